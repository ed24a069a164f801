"""Forecasts, from long tables to a bundle that answers with the steps to come, without torch."""

import json
import subprocess
import sys
from datetime import date
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import assay
from assay.cli import main
from assay.errors import ConfigError, DataError
from assay.runs import evaluate

AIRLINE = Path(__file__).parents[1] / "fixtures" / "airline.csv"
FAST = ["evaluate.bootstrap=400", "train.epochs=3", "train.patience=3", "model.members=1"]


def verdicts(run):
    return {verdict.practice: verdict for verdict in run.report().ledger}


def values(model):
    return {score.name: score.estimate.value for score in model.scores}


@pytest.fixture(scope="module")
def airline(tmp_path_factory):
    out = tmp_path_factory.mktemp("airline") / "run"
    options = [*FAST, "ensemble.recipes=[dlinear]"]
    return assay.fit(
        AIRLINE, "Passengers", time="Month", horizon=12, out=out, budget="none", overrides=options
    )  # fmt: skip


def test_one_series_is_forecast_better_than_it_repeats_itself(airline):
    report = airline.report()
    network, *baselines = report.scores
    assert [model.name for model in baselines] == ["last value", "last season", "linear model"]
    assert report.primary == "mae"
    assert report.selection.metric == "mae"
    assert report.selection.corrected.value >= report.selection.validation > 0.0
    rows = {row.name: row for row in report.leaderboard.rows}
    assert rows["the model"].test.value == values(network)["mae"]
    assert rows["last value"].test.value == values(baselines[0])["mae"]
    assert values(network)["mae"] < 0.6 * values(baselines[1])["mae"] < values(baselines[0])["mae"]
    assert values(network)["mase"] == pytest.approx(values(network)["mae"] / 29.2, rel=0.02)
    split = report.split
    assert (split.train_rows, split.valid_rows, split.test_rows, split.opened) == (58, 13, 13, 1)
    assert report.table_schema.windowing.season == 12
    assert verdicts(airline)["split.windows"].outcome == "passed"
    assert verdicts(airline)["evaluate.origins"].outcome == "warned"  # two stretches of twelve months are few


def test_intervals_are_made_on_validation_and_measured_on_test_windows(airline):
    found = airline.report().forecast.coverage
    assert found.asked == 0.9
    assert len(found.fixed_by_step) == len(found.adaptive_by_step) == 12
    assert np.mean(found.fixed_by_step) == pytest.approx(found.fixed)
    assert 0.7 < found.fixed <= 1.0
    page = (airline.directory / "report.html").read_text()
    assert page.count('class="band') == 4
    assert "Adapted ones" in page


def test_the_months_to_come_are_answered_without_torch(airline, tmp_path):
    program = (
        "import sys, assay\n"
        f"answers = assay.load({str(airline.directory)!r}).predict({str(AIRLINE)!r})\n"
        "assert not {'torch', 'sklearn', 'scipy'} & set(sys.modules)\n"
        f"answers.write_parquet({str(tmp_path / 'answers.parquet')!r})\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
    answers = pl.read_parquet(tmp_path / "answers.parquet")
    assert answers.columns == ["Month", "forecast", "lower", "upper"]
    assert answers["Month"].to_list() == [f"1961-{month:02}" for month in range(1, 13)]
    assert (answers["lower"] < answers["forecast"]).all()
    assert answers["Month"][answers["forecast"].arg_max()] in ("1961-07", "1961-08")
    assert airline.bundle.verify() <= 1e-5
    with pytest.raises(DataError, match="needs the last 27 steps"):
        airline.predict(pl.read_csv(AIRLINE).head(20))


def test_new_rows_are_scored_from_every_origin(airline):
    table = pl.read_csv(AIRLINE).tail(24 + 12 + 27)
    with pytest.raises(ConfigError, match="13 of the 13 sealed rows"):
        evaluate(airline.directory, table)
    notes = []
    found = evaluate(airline.directory, table, sealed=True, tell=notes.append)
    assert "look number 2" in notes[0]
    again = airline.report().scores[0]
    assert found.forecast.origins == 25
    # The last 13 of these origins are those of the test part.
    assert values(found.scores[0])["mae"] == pytest.approx(values(again)["mae"], rel=0.2)
    assert found.forecast.coverage.adaptive is None


def table_of_shops(steps=160, count=4, seed=0):
    """Sales of shops of very different size, with weekly seasons and promotions that add half a level."""
    rng = np.random.default_rng(seed)
    day = np.arange(steps)
    dates = [date.fromordinal(date(2024, 1, 1).toordinal() + int(at)) for at in day]
    frames = []
    for shop in range(count):
        promotion = rng.random(steps) < 0.2
        level = 10.0 ** (shop % 3 + 1)
        season = 0.3 * np.sin(2 * np.pi * day / 7)
        sold = level * (1.0 + season + 0.5 * promotion + 0.05 * rng.normal(size=steps))
        kinds = "town" if shop % 2 else "country"
        frames.append(
            pl.DataFrame({"day": dates, "shop": f"s{shop}", "place": kinds, "promotion": promotion, "sold": sold})
        )
    return pl.concat(frames).sample(fraction=1.0, shuffle=True, seed=1)


@pytest.fixture(scope="module")
def panel(tmp_path_factory):
    options = [
        "evaluate.bootstrap=400", "train.epochs=40", "train.lr=0.01", "model.members=1", "ensemble.recipes=[dlinear]",
        "data.case=shop", "data.known=promotion", "data.window=21", "train.patience=40", "ensemble.ridge=false",
    ]  # fmt: skip
    return assay.fit(
        table_of_shops(), "sold", time="day", horizon=7, out=tmp_path_factory.mktemp("panel") / "run", budget="none",
        overrides=options,
    )  # fmt: skip


def test_many_series_with_columns_known_ahead(panel):
    report = panel.report()
    windowing = report.table_schema.windowing
    assert windowing.season == 7
    assert [channel.name for channel in windowing.known] == ["promotion"]
    assert windowing.kept == ("place",)
    scores = {model.name: values(model) for model in report.scores}
    # Without the promotions nothing can be better than their share of the noise.
    assert scores["network"]["mase"] < 0.6 * scores["last season"]["mase"]
    assert report.forecast.series == 4
    assert "not in the order of time" in report.findings[0].what
    assert verdicts(panel)["search.forecast-ridge"].outcome == "skipped"


def test_each_series_is_forecast_with_what_is_known_ahead(panel):
    table = table_of_shops()
    now = table["day"].max()
    ahead = [date.fromordinal(now.toordinal() + step) for step in range(1, 8)]
    to_come = pl.DataFrame({"day": ahead * 4, "shop": [f"s{shop}" for shop in range(4) for _ in ahead]}).with_columns(
        place=pl.lit("town"), promotion=pl.Series([False, True] * 14), sold=pl.lit(None, pl.Float64)
    )
    answers = panel.predict(pl.concat([table, to_come.select(table.columns)]))
    assert answers.columns == ["shop", "day", "forecast", "lower", "upper"]
    assert answers.height == 28
    assert answers["day"].unique().sort().to_list() == ahead
    one = answers.filter(pl.col("shop") == "s1").sort("day")["forecast"].to_numpy()
    assert 60 < one.min() < one.max() < 200  # the shop's level is 100
    with pytest.raises(DataError, match="'promotion' must be known for the 7 steps to come"):
        panel.predict(table)


def dated(**columns):
    """A table with a day a row."""
    days = len(next(iter(columns.values())))
    return pl.DataFrame({"day": [date.fromordinal(date(2024, 1, 1).toordinal() + at) for at in range(days)]} | columns)


def walking(steps=500):
    """A random walk with a drift: no forecast is better than the last value and the drift."""
    return dated(value=(0.1 + np.random.default_rng(7).normal(size=steps)).cumsum())


def pushed(steps=500):
    """A series that remembers its last two steps, and the square of a column known ahead."""
    rng = np.random.default_rng(0)
    push, value, noise = rng.normal(size=steps), np.zeros(steps), 0.3 * rng.normal(size=steps)
    for at in range(2, steps):
        value[at] = 0.6 * value[at - 1] - 0.3 * value[at - 2] + noise[at]
    return dated(pushed=push, value=value + push**2)


def fitted(frame, out, *more, window=12):
    options = ["evaluate.bootstrap=200", "train.epochs=15", "train.lr=0.01", "ensemble.recipes=[dlinear]",
               f"data.window={window}", "evaluate.baselines=linear", *more]  # fmt: skip
    return assay.fit(frame, "value", time="day", horizon=4, out=out, budget="none", overrides=options)


def test_where_all_is_linear_the_ridge_forecast_answers(tmp_path):
    run = fitted(walking(), tmp_path / "run")
    report = run.report()
    assert [(part.name, part.share) for part in report.training.parts] == [("ridge", 1.0)]
    verdict = verdicts(run)["search.forecast-ridge"]
    assert verdict.outcome == "warned"
    assert "it answers alone, and you do not need a deep network here" in verdict.reason
    network, linear = (values(model)["mae"] for model in report.scores)
    assert network == pytest.approx(linear, rel=1e-5)
    assert report.comparisons[0].difference.value == 0.0
    assert run.bundle.verify() <= 1e-5


@pytest.fixture(scope="module")
def curved(tmp_path_factory):
    out = tmp_path_factory.mktemp("curved") / "run"
    return fitted(pushed(), out, "data.known=pushed", "model.members=4", "ensemble.bagging=true")


def test_where_more_than_a_line_is_true_networks_are_taken(curved):
    report = curved.report()
    (part,) = [part for part in report.training.parts if part.name == "dlinear"]
    assert part.share > 0.7
    verdict = verdicts(curved)["search.forecast-ridge"]
    assert verdict.outcome == "applied"
    assert verdict.value > 0.3
    assert "one-sided" in verdict.reason
    network, linear = (values(model)["mae"] for model in report.scores)
    assert network < 0.7 * linear


def test_a_network_is_told_apart_from_what_is_simpler_over_origins(curved):
    report = curved.report()
    (against,) = report.comparisons
    assert (against.against, against.verdict) == ("linear model", "better")
    assert against.test == "Diebold-Mariano (HLN) of 47 origins, lag 3"
    assert against.difference.low > 0.0
    assert "beats every baseline" in report.advice
    assert against.test in verdicts(curved)["evaluate.paired-test"].reason


def test_the_chance_of_training_is_told_apart_from_that_of_the_windows(curved, airline):
    found = curved.report().spread
    (part,) = found.parts
    assert (found.metric, part.name) == ("mae", "dlinear")
    assert 0.0 < part.lowest <= part.mean <= part.highest
    assert 0.0 < found.train_error < found.test_error
    score = curved.report().scores[0].scores[0].estimate
    assert found.test_error < (score.high - score.low) / 3.92  # the interval is of a t with few degrees of freedom
    assert found.both.low <= score.low < score.high <= found.both.high
    assert "Two chances in the score" in (curved.directory / "report.html").read_text()
    assert "with other test rows" in verdicts(curved)["evaluate.training-spread"].reason
    assert verdicts(airline)["evaluate.training-spread"].outcome in ("passed", "skipped")


def test_parts_of_the_steps_are_set_beside_all_others(curved, capsys):
    found = curved.report().forecast.slices
    families = {family.name: family.slices for family in found.families}
    assert set(families) == {"steps ahead", "day of the week", "month", "level before"}
    assert (found.loss, found.tested_on, found.candidates) == ("absolute error", 4 * 47, 16)
    assert len(families["day of the week"]) == 7
    first = families["steps ahead"][0]
    assert (first.condition, first.rows) == ("step <= 1", 47)
    assert first.loss == pytest.approx(curved.report().forecast.by_step[0].mae[0], rel=1e-6)
    assert verdicts(curved)["evaluate.slices"].outcome in ("passed", "warned")
    page = (curved.directory / "report.html").read_text()
    assert "Where it is weak" in page
    assert "By day of the week" in page
    pushed().write_csv(curved.directory.parent / "new.csv")
    asked = ["evaluate", str(curved.directory), str(curved.directory.parent / "new.csv"), "--slice"]
    assert main([*asked, "step > 2 & pushed > 1", "--sealed"]) == 0
    assert "step > 2 & pushed > 1: " in " ".join(capsys.readouterr().out.split())
    assert main([*asked, "hour > 2"]) == 2


def test_practices_of_a_forecast_are_ablated_on_a_backtest(curved, capsys):
    practices = ["train.clipping", "train.best-weights", "search.ensemble"]
    made = assay.ablate(curved.directory, pushed(), practices=practices, budget="none", seeds=2)
    assert (made.network, made.label, made.proper_label, made.folds) == ("dlinear", "MAE", "RMSE", 5)
    effects = {effect.practice: effect for effect in made.effects}
    assert effects.keys() == {"train.clipping", "train.best-weights"}
    best = effects["train.best-weights"]
    assert best.gain.method == "mean of 5 folds, corrected t"  # of two seeds, which judge the same blocks
    assert best.gain.value == pytest.approx(best.without_score - best.with_score)
    assert best.by_rows.method == "Diebold-Mariano (HLN) of 216 origins, lag 3"
    assert best.by_rows.low <= best.by_rows.value <= best.by_rows.high
    (left,) = made.unmeasured
    assert (left.practice, "share their steps" in left.reason) == ("search.ensemble", True)
    assert any("those of a backtest" in note for note in made.notes)
    assert "train.best-weights" in (curved.directory / "ablation.html").read_text()
    assert main(["show", str(curved.directory), "--ablation"]) == 0
    assert "folds are those of a backtest" in " ".join(capsys.readouterr().out.lower().split())


def test_windows_that_are_no_two_stretches_tell_nothing_apart(airline):
    report = airline.report()
    assert {each.verdict for each in report.comparisons} == {"not distinguishable"}
    assert report.advice.startswith("13 test windows are too few to tell the network from what is simpler")
    assert verdicts(airline)["evaluate.paired-test"].outcome == "warned"


def test_runs_are_compared_on_the_windows_that_both_forecast(curved, airline, tmp_path, capsys):
    """One without what is known ahead, and from more steps before: other windows, but the same steps are forecast."""
    other = fitted(pushed(), tmp_path / "run", window=16)
    names = [str(other.directory), str(curved.directory)]
    assert curved.report().split.sealed_sha256 != other.report().split.sealed_sha256
    page = tmp_path / "compared.html"
    assert main(["compare", *names, "--html", str(page), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["same_test_rows"] is True
    (family,) = found["families"]
    assert (family["metric"], family["rows"], family["unit"]) == ("mae", 47, "test window")
    (pair,) = family["pairs"]
    assert (pair["first"], pair["second"], pair["verdict"]) == (names[1], names[0], "not distinguishable")
    networks = [values(run.report().scores[0])["mae"] for run in (other, curved)]
    assert pair["difference"]["value"] == pytest.approx(networks[0] - networks[1])
    assert pair["difference"]["low"] < 0.0 < pair["difference"]["high"]
    assert "47 test windows cannot tell these 2 runs apart" in page.read_text()
    assert main(["compare", *names]) == 0
    told = " ".join(capsys.readouterr().out.split())
    assert "Diebold-Mariano (HLN) of 47 origins, lag 3; p-values are Holm's over 1 on the same 47 test windows." in told
    assert main(["compare", names[0], str(airline.directory)]) == 0
    assert "those of different test windows are not paired" in " ".join(capsys.readouterr().out.split())


def test_files_that_follow_one_another(tmp_path):
    whole = pl.read_csv(AIRLINE)
    parts = {"data": whole.head(96), "valid": whole.slice(96, 24), "test": whole.slice(120)}
    for name, frame in parts.items():
        frame.write_csv(tmp_path / f"{name}.csv")
    options = [*FAST, "ensemble.recipes=[dlinear]"]
    run = assay.fit(
        tmp_path / "data.csv", "Passengers", time="Month", horizon=12, valid=tmp_path / "valid.csv",
        test=tmp_path / "test.csv", out=tmp_path / "run", budget="none", overrides=options,
    )  # fmt: skip
    split = run.report().split
    assert (split.train_rows, split.valid_rows, split.test_rows) == (58, 13, 13)
    assert split.files == {"valid": "valid.csv", "test": "test.csv"}


def test_what_a_forecast_has_no_use_for_is_refused():
    with pytest.raises(ConfigError, match="and no forecast"):
        assay.fit(AIRLINE, "Passengers", time="Month", horizon=12, model=lambda inputs, outputs: None)
    with pytest.raises(ConfigError, match="dlinear reads windows of a forecast"):
        assay.fit(AIRLINE, "Passengers", budget="none", overrides=["model.name=dlinear"])
    for option, reason in (("ensemble.folds=5", "not by folds"), ("ensemble.trees=true", "a forecast has many")):
        with pytest.raises(ConfigError, match=reason):
            assay.fit(AIRLINE, "Passengers", time="Month", horizon=12, budget="none", overrides=[option])
    with pytest.raises(ConfigError, match="--group is given"):
        assay.fit(AIRLINE, "Passengers", time="Month", horizon=12, group="Month")
    with pytest.raises(ConfigError, match="forecasting"):
        assay.fit(AIRLINE, "Passengers", time="Month", horizon=12, task="regression")
    with pytest.raises(DataError, match="longest horizon they allow is 45"):
        assay.fit(AIRLINE, "Passengers", time="Month", horizon=60)


def test_the_report_is_json_that_reads_back(airline):
    content = json.loads((airline.directory / "report.json").read_text())
    assert len(content["forecast"]["by_step"]) == 4
    assert airline.report().forecast.pictures[0].origin == "1958-12"
