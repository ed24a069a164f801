"""Pictures from memory: arrays of pixels beside their labels, and bytes within the cells of a table."""

import io
import os
import signal

import numpy as np
import polars as pl
import pytest
import torch

import assay
from assay.errors import ConfigError, DataError, TerminatedError
from assay.runs import audit, evaluate, open_run
from assay.train.watch import Unwatched

Image = pytest.importorskip("PIL.Image")
FAST = [
    "train.epochs=3", "evaluate.bootstrap=100", "evaluate.baselines=majority", "ensemble.backbone=none",
    "ensemble.views=none", "model.width=8", "model.augment=none", "evaluate.learning_curve=false",
]  # fmt: skip


def drawn(count, seed=0):
    """Two classes of noise: the left half is brighter, or the right one; (n, 12, 12, 3) and their labels."""
    rng = np.random.default_rng(seed)
    y = np.arange(count) % 2
    pixels = rng.normal(90, 25, (count, 12, 12, 3))
    pixels[y == 0, :, :6] += 120
    pixels[y == 1, :, 6:] += 120
    return pixels.clip(0, 255).astype(np.uint8), y


def nothing_of_the_scratch(directory):
    """Whether no file of a run names the folder that its pictures lay in."""
    return not any(
        b"assay-held" in path.read_bytes() for path in directory.rglob("*") if path.is_file()
    )  # fmt: skip


# Arrays


@pytest.fixture(scope="module")
def arrays():
    return drawn(60), drawn(20, seed=1)


@pytest.fixture(scope="module")
def run(arrays, tmp_path_factory):
    (X, y), test = arrays
    out = tmp_path_factory.mktemp("arrays") / "run"
    return assay.fit(torch.from_numpy(X).permute(0, 3, 1, 2), y, test=test, out=out, budget="none", overrides=FAST)


def test_arrays_and_a_file_of_them_are_one_run(run, arrays, tmp_path):
    (X, y), (Xt, yt) = arrays
    first = np.moveaxis(X, 3, 1)
    np.savez(tmp_path / "x.npz", train_images=first, train_labels=y, test_images=Xt, test_labels=yt)
    other = assay.fit(tmp_path / "x.npz", out=tmp_path / "run", budget="none", overrides=FAST)
    one, same = run.report(), other.report()
    assert one.source.sha256 == same.source.sha256
    assert one.split.sealed_sha256 == same.split.sealed_sha256
    assert one.table_schema == same.table_schema
    assert one.scores[0].scores == same.scores[0].scores
    assert [f.what for f in one.findings if f.check.startswith("audit.picture")] == [
        f.what for f in same.findings if f.check.startswith("audit.picture")
    ]
    for name in ("model.onnx", "weights.safetensors", "probe.parquet", "schema.json", "reference.json"):
        assert (run.bundle.directory / name).read_bytes() == (other.bundle.directory / name).read_bytes(), name


def test_the_bundle_answers_the_same_arrays_and_stands_alone(run, arrays):
    _, (Xt, _) = arrays
    answers = run.predict(Xt)
    assert (
        answers["prediction"].to_list()
        == run.predict(torch.from_numpy(Xt).requires_grad_(False))["prediction"].to_list()
    )
    assert run.predict(np.moveaxis(Xt, 3, 1)).equals(answers)
    assert run.predict((Xt / 255.0).astype(np.float32)).equals(answers)
    assert run.bundle.verify() <= 1e-5
    assert nothing_of_the_scratch(run.directory)
    with pytest.raises(DataError, match=r"values of 0 to 1, but they are float64 from 0 to 127"):
        run.predict(np.linspace(0.0, 255.0, 2 * 144 * 3).reshape(2, 12, 12, 3))
    with pytest.raises(DataError, match="NaN is no colour"):
        run.predict(np.full((2, 12, 12, 3), np.nan))


def test_the_same_arrays_are_known_as_the_sealed_rows(run, arrays):
    _, test = arrays
    with pytest.raises(ConfigError, match=r"20 of the 20 sealed rows of run are among these 20"):
        evaluate(run.directory, test)
    X, y = drawn(20, seed=2)
    found = evaluate(run.directory, (X, y))
    assert found.scores[0].scores


def test_an_audit_of_arrays_finds_what_one_of_a_file_does(arrays, tmp_path):
    (X, y), _ = arrays
    X = np.concatenate([X, X[:1]])
    y = np.append(y, y[:1])
    np.savez(tmp_path / "x.npz", images=X, labels=y)
    one, other = audit(X, y)[1], audit(tmp_path / "x.npz", "label")[1]
    told = [finding.what for finding in one.findings]
    assert told == [finding.what for finding in other.findings]
    assert any("1 picture of 61 in the data part equal an earlier one" in what for what in told)


class Ends(Unwatched):
    """A watch that asks the run to end within its networks."""

    def epoch(self, record, of):
        os.kill(os.getpid(), signal.SIGTERM)


def test_a_run_goes_on_with_the_same_arrays_and_no_others(run, arrays, tmp_path):
    (X, y), test = arrays
    first = np.moveaxis(X, 3, 1)
    with pytest.raises(TerminatedError):
        assay.fit(first, y, test=test, out=tmp_path / "run", budget="none", overrides=FAST, watch=Ends())
    with pytest.raises(ConfigError, match=r"data must be given again, for it was a pair of arrays and no file"):
        assay.fit(resume=tmp_path / "run")
    with pytest.raises(DataError, match="must go on with the data it began with"):
        assay.fit(first[::-1], y, test=test, resume=tmp_path / "run")
    again = assay.fit((first, y), test=test, resume=tmp_path / "run")
    one, other = (each.bundle.directory / "weights.safetensors" for each in (run, again))
    assert one.read_bytes() == other.read_bytes()


def test_series_in_arrays_are_learned_and_answered_as_they_are(tmp_path):
    y = np.arange(60) % 2
    X = np.sin(0.4 * np.arange(20) * (1 + y[:, None, None])) + np.random.default_rng(0).normal(0, 0.1, (60, 2, 20))
    options = [*FAST[:3], "model.name=fcn", "model.width=8", "model.members=1", "ensemble.folds=1"]
    run = assay.fit(X, y, kinds={"x": "sequence"}, out=tmp_path / "run", budget="none", overrides=options)
    assert {item.name for item in run.bundle.manifest.inputs} == {"x0", "x1"}
    answers = run.predict(X)
    assert answers.equals(run.predict(torch.from_numpy(X)))
    assert answers.equals(run.predict({"x0": list(X[:, 0]), "x1": list(X[:, 1])}))
    assert evaluate(run.directory, (X[:20] + 0.01, y[:20])).scores[0].scores
    with pytest.raises(ConfigError, match="sealed rows of run are among these 60"):
        evaluate(run.directory, (X, y))
    with pytest.raises(DataError, match=r"series must have the shape \(rows, 2, steps\), but they have \(60, 3, 20\)"):
        run.predict(np.repeat(X[:, :1], 3, 1))


# Bytes in cells


def as_file(pixels, kind="PNG"):
    made = io.BytesIO()
    Image.fromarray(pixels).save(made, kind)
    return made.getvalue()


@pytest.fixture(scope="module")
def table():
    """Pictures and a number; the fifth picture is cut off."""
    X, y = drawn(60)
    files = [as_file(pixels) for pixels in X]
    files[4] = files[4][:80]
    grams = np.random.default_rng(3).normal(size=60)
    return pl.DataFrame({"photo": files, "grams": grams, "side": [("left", "right")[side] for side in y]})


@pytest.fixture(scope="module")
def of_bytes(table, tmp_path_factory):
    folder = tmp_path_factory.mktemp("bytes")
    records = [{"bytes": content, "path": f"{row}.png"} for row, content in enumerate(table["photo"])]
    table.with_columns(pl.Series("photo", records)).write_parquet(folder / "rows.parquet")
    run = assay.fit(folder / "rows.parquet", "side", out=folder / "run", budget="none", overrides=FAST)
    return run, folder / "rows.parquet"


def test_bytes_go_the_way_of_files(of_bytes, table, tmp_path):
    run, _ = of_bytes
    report = run.report()
    assert report.table_schema["photo"].kind == "image"
    (finding,) = (f for f in report.findings if f.check == "audit.picture-files")
    assert finding.count == 1
    assert "'photo, row 5': it is cut off" in finding.what
    assert report.split.train_rows + report.split.valid_rows + report.split.test_rows == 59
    (tmp_path / "files").mkdir()
    for row, content in enumerate(table["photo"]):
        (tmp_path / "files" / f"{row}.png").write_bytes(content)
    paths = table.with_columns(pl.Series("photo", [f"files/{row}.png" for row in range(60)]))
    paths.write_parquet(tmp_path / "rows.parquet")
    _, by_path, _ = audit(tmp_path / "rows.parquet", "side")
    checked = {f.check: f.count for f in by_path.findings}
    assert {f.check: f.count for f in report.findings if f.check in checked} == checked


def test_a_bundle_answers_rows_with_bytes_however_they_come(of_bytes, table, tmp_path):
    run, path = of_bytes
    whole = table.filter(pl.Series(range(60)) != 4)
    answers = run.predict(whole)
    rows = whole.to_dicts()
    records = [row | {"photo": {"bytes": row["photo"], "path": None}} for row in rows]
    for given in (rows, records, whole.to_dict(as_series=False), whole.to_pandas(), whole.to_arrow()):
        assert run.predict(given).equals(answers)
    pl.DataFrame(records).write_parquet(tmp_path / "rows.parquet")
    assert run.predict(tmp_path / "rows.parquet").equals(answers)
    with pytest.raises(DataError, match=r"1 of 60 cannot: row 5: it is cut off"):
        run.predict(path)
    assert open_run(run.directory).bundle.verify() <= 1e-5
    assert nothing_of_the_scratch(run.directory)


def test_pictures_too_large_for_memory_are_sealed_as_others_are(of_bytes, table, tmp_path):
    run, _ = of_bytes
    table.write_parquet(tmp_path / "rows.parquet")
    options = [*FAST, "data.memory=0"]
    other = assay.fit(tmp_path / "rows.parquet", "side", out=tmp_path / "run", budget="none", overrides=options)
    assert other.report().split.sealed_sha256 == run.report().split.sealed_sha256
    assert "lie in files" in {v.practice: v.reason for v in other.report().ledger}["data.memory"]
