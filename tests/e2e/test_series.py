"""Series, from lists, columns of steps or rows of steps to a bundle that answers without torch."""

import subprocess
import sys

import numpy as np
import polars as pl
import pytest

import assay

FAST = [
    "model.augment=none",
    "evaluate.bootstrap=100",
    "evaluate.baselines=[majority, linear]",
    "train.epochs=3",
    "model.width=4",
]


def waves(rows=90, length=40):
    """Sines of two frequencies, each with a phase and noise of its own: (n, T) and the name of each."""
    rng = np.random.default_rng(0)
    fast = rng.random(rows) < 0.5
    steps = np.arange(length)
    turns = np.where(fast, 5.0, 2.0)[:, None] * steps / length + rng.random((rows, 1))
    return np.sin(2 * np.pi * turns) + 0.3 * rng.normal(size=(rows, length)), np.where(fast, "fast", "slow")


def verdicts(run):
    return {verdict.practice: verdict for verdict in run.report().ledger}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    values, names = waves()
    columns = {f"t{step}": values[:, step] for step in range(values.shape[1])}
    frame = pl.DataFrame(columns | {"kind": names})
    return assay.fit(frame, "kind", out=tmp_path_factory.mktemp("series") / "run", budget="none", overrides=FAST)


def test_columns_of_steps_are_one_series_and_are_told_apart(run):
    scores = {score.name: score.estimate.value for score in run.report().scores[0].scores}
    assert scores["accuracy"] == 1.0
    assert [item.kind for item in run.bundle.manifest.inputs] == ["sequence"]
    assert "rocket" in {part.name for part in run.report().training.parts}
    assert verdicts(run)["search.rocket"].value > 0.0


def test_the_closer_look_leaves_steps_out(run):
    kinds = {harm.kind for harm in run.report().inspection.robustness.harms}
    assert {"noise on series", "steps missing"} <= kinds


def test_raw_rows_of_steps_are_answered_without_torch(run, tmp_path):
    values, names = waves(rows=30)
    frame = pl.DataFrame({f"t{step}": values[:, step] for step in range(values.shape[1])})
    frame.write_parquet(tmp_path / "rows.parquet")
    program = (
        "import sys, assay\n"
        f"answers = assay.load({str(run.directory)!r}).predict({str(tmp_path / 'rows.parquet')!r})\n"
        "assert not {'torch', 'sklearn', 'scipy'} & set(sys.modules)\n"
        f"answers.write_parquet({str(tmp_path / 'answers.parquet')!r})\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
    answers = pl.read_parquet(tmp_path / "answers.parquet")
    assert (answers["prediction"].to_numpy() == names).mean() > 0.9
    assert run.bundle.verify() <= 1e-5
    gone = frame.with_columns(pl.lit(None, pl.Float64).alias(f"t{step}") for step in range(5, 40))
    assert run.predict(gone).height == 30  # mostly missing, and answered


def test_lists_of_unequal_length_beside_a_number(tmp_path):
    values, names = waves()
    rng = np.random.default_rng(1)
    lists = [row[: rng.integers(25, 41)].tolist() for row in values]
    frame = pl.DataFrame({"pulse": lists, "age": rng.normal(size=len(lists)), "kind": names})
    run = assay.fit(frame, "kind", out=tmp_path / "run", budget="none", overrides=[*FAST, "model.name=fcn"])
    assert {part.name for part in run.report().training.parts} <= {"rocket", "fcn"}
    longer = pl.DataFrame({"pulse": [values[0].tolist() * 3, [], None], "age": [0.0, 1.0, None]})
    assert run.predict(longer).height == 3
    assert verdicts(run)["text.length"].outcome == "passed"


def test_a_network_is_tried_on_changed_series_too_and_they_are_shown(tmp_path):
    values, names = waves()
    frame = pl.DataFrame({"pulse": values.tolist(), "kind": names})
    options = [*FAST[1:], "model.name=fcn"]
    run = assay.fit(frame, "kind", out=tmp_path / "run", budget="none", overrides=options)
    told = verdicts(run)["train.augmentation"].reason
    assert "fcn on changed series" in told
    assert "slices of 90% (50% of the rows), warped windows (50% of the rows)" in told
    seen = run.report().seen
    assert len(seen.series) == 6
    assert len(seen.series[0].before) == 40
    assert (run.directory / "batch.html").read_text().count("<svg") == 6


def test_rows_of_steps_are_cases_with_one_answer_each(tmp_path):
    values, names = waves(rows=60)
    rng = np.random.default_rng(2)
    case, step = np.repeat(np.arange(60), 40), np.tile(np.arange(40), 60)
    frame = pl.DataFrame(
        {"patient": case, "t": step, "a": values.ravel(), "b": rng.normal(size=2400), "kind": names[case]}
    ).sample(fraction=1.0, shuffle=True, seed=0)
    options = [*FAST, "model.name=fcn", "data.case=patient", "data.step=t"]
    run = assay.fit(frame, "kind", out=tmp_path / "run", budget="none", overrides=options)
    split = run.report().split
    assert split.train_rows + split.valid_rows + split.test_rows == 60
    answers = run.predict(frame.drop("kind"))
    assert answers.height == 60
    first = frame.unique("patient", keep="first", maintain_order=True)["kind"]
    assert (answers["prediction"] == first).mean() > 0.9


def test_rows_at_uneven_times_are_brought_to_steps_and_answered_raw(tmp_path):
    rng = np.random.default_rng(3)
    kinds, frames = rng.choice(["fast", "slow"], 60), []
    for who, kind in enumerate(kinds):
        times = np.cumsum(rng.exponential(size=40))
        values = np.sin(2 * np.pi * times / (5.0 if kind == "fast" else 20.0)) + 0.1 * rng.normal(size=40)
        frames.append(pl.DataFrame({"who": who, "at": times, "pulse": values, "kind": kind}))
    frame = pl.concat(frames).sample(fraction=1.0, shuffle=True, seed=0)
    options = [*FAST, "model.name=fcn", "data.case=who", "data.step=at"]
    run = assay.fit(frame, "kind", out=tmp_path / "run", budget="none", overrides=options)
    assert [item.name for item in run.bundle.manifest.inputs] == ["pulse", "at distance"]
    assert verdicts(run)["data.times"].outcome == "applied"
    assert verdicts(run)["data.times"].value > 0
    answers = run.predict(frame.drop("kind"))
    first = frame.unique("who", keep="first", maintain_order=True)["kind"]
    assert answers.height == 60
    assert (answers["prediction"] == first).mean() > 0.85
    lonely = pl.DataFrame({"who": [1], "at": [5.0], "pulse": [0.3]})
    assert run.predict(lonely).height == 1


def test_a_regression_of_series(tmp_path):
    values, names = waves()
    frame = pl.DataFrame({"pulse": values.tolist(), "y": 100.0 + 10.0 * (names == "fast")})
    options = [*FAST, "model.name=fcn"]
    run = assay.fit(frame, "y", task="regression", out=tmp_path / "run", budget="none", overrides=options)
    scores = {score.name: score.estimate.value for score in run.report().scores[0].scores}
    assert scores["r2"] > 0.5
