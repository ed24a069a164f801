"""What a run is asked for, written down so that another process can go on with it."""

import hashlib
import json
import re
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest

from assay.compose.hydra_io import compose
from assay.data.reading.read import read
from assay.errors import BundleError, ConfigError, DataError
from assay.evaluate.record import Reference
from assay.request import Request, RequestFile, begin, recognised, remembered, with_table
from assay.train.state import CHECKPOINT_FORMAT
from assay.version import __version__
from assay.workspace import how_to_resume, opened, reopened

FRAME = pl.DataFrame({"x": [1, 2, 3], "y": ["a", "b", "a"]})
REFERENCES = (Reference(model="m", metric="accuracy", value=0.9, source="s"),)


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    FRAME.write_csv("rows.csv")
    FRAME.write_csv("test.csv")


def asked(data="rows.csv", test="test.csv", overrides=("train.epochs=3", "train.optimiser=adam")):
    said = {"target": "y", "kinds": {"x": "number"}}
    said |= {part: source for part, source in (("data", data), ("test", test)) if isinstance(source, str)}
    return Request(data, test, None, with_table(compose(None, None, overrides), said), REFERENCES)


def tables(request):
    return {part: read(source) for part, source in request.sources.items() if source is not None and part != "model"}


def stopped(request, *, step=None, used=0.0, read_it=True):
    """An unfinished run `run`, ended after reading; its checkpoint is of `step`, or None: not to be read."""
    with pytest.raises(OSError, match="stopped"), opened(Path("run"), request.name) as work:  # noqa: PT012
        begin(work, request)
        if read_it:
            recognised(work, tables(request))
        place = work.checkpoints / "mlp" / f"step-{step or 0:012d}"
        place.mkdir(parents=True)
        if step is not None:
            progress = {
                "step": step, "epoch": 1, "place": 0, "horizon": 9, "seconds": 1.0, "used": used, "counters": {},
                "history": [], "stopped": "", "python_random": "", "threads": 1,
            }  # fmt: skip
            write_state(place, progress)
        raise OSError("stopped")


def write_state(place, progress):
    header = {"format": CHECKPOINT_FORMAT, "assay": __version__, "identity": {}, "sha256": "", "progress": progress}
    text = json.dumps(header)
    digest = hashlib.sha256(text.encode()).hexdigest()
    (place / "state.json").write_text(json.dumps({"sha256": digest, "header": text}))


def changed(**fields):
    """Change the request of the unfinished run as somebody with an editor would."""
    path = Path(".run.partial/request.json")
    path.write_text(json.dumps(json.loads(path.read_text()) | fields))


def test_a_request_of_files_is_remembered_whole():
    request = asked()
    stopped(request)
    again = remembered("run", {}, {})
    assert (again.data, again.test, again.valid) == ("rows.csv", "test.csv", None)
    assert again.config == request.config
    assert again.config.train.model_fields_set == request.config.train.model_fields_set
    assert (again.references, again.name, again.command) == (REFERENCES, "rows", request.command)


def test_from_elsewhere_files_are_found_by_their_whole_paths(tmp_path, monkeypatch):
    request = asked()
    stopped(request)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    again = remembered("../run", {}, {})
    assert again.data == str(tmp_path / "rows.csv")
    assert again.command == request.command == "assay fit rows.csv --target y --test test.csv --as x=number"


def test_the_command_of_a_forecast_names_its_horizon():
    assert asked(test=None, overrides=("data.horizon=12",)).command.endswith(" --horizon 12")
    assert "--horizon" not in asked().command


def test_a_frame_is_given_again():
    request = asked(data=FRAME)
    stopped(request)
    assert remembered("run", {"data": FRAME}, {"target": "y"}).data is FRAME
    expected = "data must be given again, for it was a polars DataFrame and no file, but it is not there."
    with pytest.raises(ConfigError, match=re.escape(f"{expected} In Python: assay.fit(data, resume='run').")):
        remembered("run", {"data": None}, {})
    with pytest.raises(ConfigError, match="but a path is given"):
        remembered("run", {"data": "rows.csv"}, {})


@pytest.mark.parametrize(
    ("sources", "said", "named"),
    [
        ({"data": "rows.csv"}, {}, "data is"),
        ({"data": FRAME, "valid": FRAME}, {}, "data, valid are"),
        ({}, {"target": "x"}, "target is"),
        ({}, {"target": "y", "seed": 0, "kinds": {}, "strict": False, "budget": "60s"}, "budget, seed are"),
        ({}, {"overrides": ("train.lr=1",), "drop": ("x",), "config": None}, "drop, overrides are"),
    ],
)
def test_what_is_said_again_is_refused_by_name(sources, said, named):
    stopped(asked())
    with pytest.raises(ConfigError, match=f"in its own request, but {named} given beside resume"):
        remembered("run", sources, said)


def test_a_file_of_another_size_is_refused_before_it_is_read(tmp_path):
    stopped(asked())
    Path("rows.csv").write_text(Path("rows.csv").read_text() + "4,b\n")
    expected = f"{tmp_path / 'rows.csv'} has 20 bytes now, and had 16. Put the file back"
    with pytest.raises(DataError, match=re.escape(expected)):
        remembered("run", {}, {})


def test_other_contents_are_refused_by_name(tmp_path):
    stopped(asked(), step=1)
    Path("test.csv").write_text(Path("test.csv").read_text().replace("3", "4"))
    request = remembered("run", {}, {})
    expected = f"{tmp_path / 'test.csv'} has other contents now (3 rows, then 3). Put the file back"
    with pytest.raises(DataError, match=re.escape(expected)), reopened(Path("run")) as work:
        recognised(work, tables(request))
    assert Path(".run.partial").exists()


def test_another_frame_is_refused():
    stopped(asked(data=FRAME), step=1)
    request = remembered("run", {"data": FRAME.head(2)}, {})
    expected = r"data has other contents now \(2 rows, then 3\). Put the table back"
    with pytest.raises(DataError, match=expected), reopened(Path("run")) as work:
        recognised(work, tables(request))


@pytest.mark.parametrize("package", ["assay", "torch"])
def test_another_version_is_refused(package):
    stopped(asked())
    changed(versions=json.loads(Path(".run.partial/request.json").read_text())["versions"] | {package: "0.0.1"})
    with pytest.raises(
        ConfigError, match=f"with the {package} it began with, but 'run' was begun with {package} 0.0.1"
    ):
        remembered("run", {}, {})


def test_a_request_that_cannot_be_read_is_said():
    stopped(asked())
    Path(".run.partial/request.json").write_text("{")
    with pytest.raises(BundleError, match=r"request.json must hold a valid requestfile record"):
        remembered("run", {}, {})
    Path(".run.partial/request.json").unlink()
    with pytest.raises(ConfigError, match=r"before it had written down what was asked for\. Start the run again"):
        remembered("run", {}, {})


def test_the_request_counts_how_often_it_was_resumed_and_from_where():
    stopped(asked(), step=12, used=34.5)
    for times in (1, 2):
        with pytest.raises(OSError, match="again"), reopened(Path("run")) as work:  # noqa: PT012
            assert begin(work, remembered("run", {}, {})) == ["the run goes on from step 12, after 34 s"]
            file = recognised(work, tables(asked()))
            assert [(again.step, again.seconds) for again in file.resumed] == [(12, 34.5)] * times
            assert file.used == 34.5
            raise OSError("again")


def test_before_its_first_checkpoint_a_run_begins_anew():
    stopped(asked(), read_it=False)
    with reopened(Path("run")) as work:
        assert begin(work, remembered("run", {}, {})) == ["the run begins anew, for it had written no checkpoint yet"]
        assert recognised(work, tables(asked())).used == 0.0


def test_checkpoints_are_of_one_configuration_and_one_set_of_data():
    request = asked()
    stopped(request)
    file = RequestFile.read(Path(".run.partial/request.json"))
    identity, other = file.identity(request.config), file.identity(asked(overrides=["train.epochs=4"]).config)
    assert identity.keys() == {"configuration", "data"}
    assert identity["configuration"] != other["configuration"]
    assert identity["data"] == other["data"]
    sources = {**file.sources, "test": file.sources["test"].model_copy(update={"sha256": "0"})}
    assert file.model_copy(update={"sources": sources}).identity(request.config)["data"] != identity["data"]


def test_a_model_of_the_users_own_is_given_again():
    def net(inputs, outputs):
        raise NotImplementedError

    stopped(replace(asked(data=FRAME), model=net))
    assert remembered("run", {"data": FRAME, "model": net}, {}).model is net
    expected = "model must be given again, for it was a builtins function and no file, but it is not there. In Python: "
    with pytest.raises(ConfigError, match=re.escape(f"{expected}assay.fit(data, model=model, resume='run').")):
        remembered("run", {"data": FRAME}, {})
    assert how_to_resume(Path("run")) == (
        "go on in Python with `assay.fit(data, model=model, resume='run')` and the same data and model"
    )


def test_a_pattern_is_remembered_with_all_its_bytes(tmp_path):
    FRAME.write_csv("rows-2.csv")
    stopped(asked(data="rows*.csv", test=None))
    source = RequestFile.read(Path(".run.partial/request.json")).sources["data"]
    assert (source.path, source.given, source.bytes, source.rows) == (str(tmp_path / "rows*.csv"), "rows*.csv", 32, 6)
