import pytest

from assay.compose.hydra_io import Composed, composed
from assay.compose.run_config import RunConfig, TableConfig, options
from assay.compose.show import as_yaml, changed, settings


def shown(preset=None, file=None, overrides=()):
    return {each.key: each for each in settings(composed(preset, file, overrides))}


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "exp.yaml"
    path.write_text(
        "# a comment\nseed: 7\ntable:\n  data: a.csv\n  target: 'no'\n  kinds: {zip code: category}\n"
        "model:\n  name: tabm\ntrain:\n  lr: 1e-3\n"
    )
    return path


def test_every_option_is_there_once_in_order():
    assert list(shown()) == [option.key for option in options()]


def test_each_value_has_its_origin(file):
    found = shown("best", file, ["train.lr=3e-3", "budget=90s"])
    assert (found["preset"].value, found["preset"].place) == ("best", "--preset best")
    assert (found["budget"].value, found["budget"].origin, found["budget"].place) == (90.0, "override", "budget=90s")
    assert (found["seed"].value, found["seed"].origin, found["seed"].place) == (7, "file", "line 2 of exp.yaml")
    assert (found["train.lr"].value, found["train.lr"].place) == (3e-3, "train.lr=3e-3")
    assert (found["table.target"].value, found["table.target"].place) == ("no", "line 5 of exp.yaml")
    assert (found["evaluate.confidence"].value, found["evaluate.confidence"].origin) == (0.95, "default")
    assert shown("best")["budget"].place == "preset best"
    assert shown(overrides=["model=tabm"])["model.name"].place == "model=tabm"


def test_what_nobody_sets_is_the_recipes():
    found = shown(overrides=["model=realmlp"])
    assert (found["model.width"].value, found["model.width"].place) == (256, "recipe of realmlp")
    assert (found["train.epochs"].value, found["train.epochs"].origin) == (256, "recipe")
    assert found["train.lr"].place == "recipe of realmlp: binary 0.04, multiclass 0.04, regression 0.2"
    assert (shown()["train.lr"].value, shown()["train.lr"].origin) == (2e-3, "recipe")
    assert shown()["train.lr"].place == "left to each network's recipe"


def test_a_task_that_is_known_decides():
    known = RunConfig(table=TableConfig(task="regression"), model={"name": "realmlp"})
    found = {each.key: each for each in settings(Composed(known, {}))}
    assert (found["train.lr"].value, found["train.lr"].place) == (0.2, "recipe of realmlp")


def test_only_what_differs(file):
    found = changed(settings(composed(None, file, ["train.epochs=60"])))
    assert [each.key for each in found] == [
        "seed", "table.data", "table.target", "table.kinds", "model.name", "train.lr",
    ]  # fmt: skip
    assert changed(settings(composed())) == ()


@pytest.mark.parametrize(
    "overrides",
    [
        [],
        ["model=tabm", "train.lr=3e-7", "budget=none"],
        ["evaluate.baselines=linear", "track.run='17'", "data.encode.text_encoder=none", "ensemble=mlp,tabm"],
        ["model=realmlp", "train.pictures.flip=random", "train.momentum=none", "preset=best"],
    ],
)
def test_the_output_reads_back_as_the_same_configuration(tmp_path, file, overrides):
    for source in (None, file):
        if source is not None and any(word.startswith(("model=", "ensemble=")) for word in overrides):
            continue
        was = composed(None, source, overrides)
        path = tmp_path / "again.yaml"
        path.write_text(as_yaml(settings(was)))
        assert composed(None, path).config == was.config
        path.write_text(as_yaml(changed(settings(was))) if changed(settings(was)) else "")
        assert composed(None, path).config.model_dump() == was.config.model_dump()


def test_origins_stand_beside_the_values(file):
    text = as_yaml(settings(composed(None, file)))
    assert "seed: 7  # line 2 of exp.yaml\n" in text
    assert "  # width: 256  # recipe of tabm\n" in text
    assert '  target: "no"  # line 5 of exp.yaml\n' in text
    assert '  kinds:  # line 6 of exp.yaml\n    "zip code": category\n' in text
