"""Settings searched from a table to a tested model: by the command, in Python, killed and gone on with."""

import json
import shutil
from pathlib import Path

import numpy as np
import polars as pl
import pytest

pytest.importorskip("optuna")

import assay
from assay.cli import main
from assay.errors import ConfigError, DataError
from assay.search.study.mixture import mixture_of
from assay.tuning.directory import open_study

AIRLINE = Path(__file__).parents[1] / "fixtures" / "airline.csv"
FIXED = ["model.name=mlp", "train.epochs=3", "train.threads=1", "ensemble.folds=1", "evaluate.baselines=majority"]


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    """200 rows whose class is the sign of a sum of two of four columns, in a file."""
    draw = np.random.default_rng(0)
    x = draw.normal(size=(200, 4))
    frame = pl.DataFrame({f"x{at}": x[:, at] for at in range(4)} | {"y": np.where(x[:, 0] + x[:, 1] > 0, "yes", "no")})
    path = tmp_path_factory.mktemp("tune") / "signs.csv"
    frame.write_csv(path)
    return path


@pytest.fixture(scope="module")
def tuned(table, tmp_path_factory):
    """A study of five trials by the command line, with its run."""
    out = tmp_path_factory.mktemp("study") / "signs"
    command = ["tune", str(table), "--target", "y", "--over", "train.lr,model.width=16|32", "--trials", "5", "--folds",
               "2", "--budget", "none", "--no-ensemble", "--out", str(out), "--quiet", *FIXED]  # fmt: skip
    assert main(command) == 0
    return out


def test_a_study_leaves_trials_the_best_setting_a_page_and_a_run(tuned):
    study = open_study(tuned)
    assert study.file.ended == "trials"
    assert study.states == {"complete": 5, "pruned": 0, "failed": 0}
    trials = pl.read_parquet(tuned / "trials.parquet")
    assert trials["number"].to_list() == [0, 1, 2, 3, 4]
    assert trials.columns[:3] == ["number", "state", "value"]
    assert study.best.value == trials["value"].max()
    assert study.default.number == 0
    assert study.default.trial.options == {"train.lr": 0.002, "model.width": 32}
    chosen = study.file.selection
    assert (chosen.settings, chosen.left_out) == (5, 0)
    assert chosen.validation == pytest.approx(study.best.value)
    assert chosen.corrected.value == pytest.approx(chosen.validation - chosen.flattery)
    assert "<script" not in (tuned / "report.html").read_text()
    assert study.run.report().training.parts[0].options["model.width"] == study.options["model.width"]
    assert study.run.report().split.opened == 1


def test_the_best_setting_is_a_configuration_of_fit(tuned):
    from assay.compose.hydra_io import compose

    config, study = compose(None, tuned / "best.yaml"), open_study(tuned)
    assert config.train.lr == study.options["train.lr"]
    assert config.model.width == study.options["model.width"]
    assert config.model.name == "mlp"


def test_a_study_is_shown(tuned, capsys):
    assert main(["show", str(tuned)]) == 0
    shown = capsys.readouterr().out
    assert "trials: 5 complete; tpe" in shown
    assert f"best: trial {open_study(tuned).best.number}, AUROC" in shown
    assert main(["show", str(tuned), "--json"]) == 0
    content = json.loads(capsys.readouterr().out)
    assert content["ended"] == "trials"
    assert len(content["table"]) == 5


def test_a_finished_study_tries_more_only_when_asked(tuned, table, capsys):
    assert main(["tune", "--resume", str(tuned)]) == 2
    assert "is finished" in capsys.readouterr().err
    assert main(["tune", str(table), "--target", "y", "--out", str(tuned)]) == 2
    assert "--resume" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--over", "train.lr"], "--over is given beside --resume; it was begun to search train.lr in "),
        (["--sampler", "gp"], "--sampler is given beside --resume; it was begun with --sampler tpe"),
        (["--prune", "asha"], "it was begun with --prune none"),
        (["--jobs", "2"], "it was begun with --jobs 1"),
        (["--folds", "3", "--metric", "log_loss"], "--metric, --folds are given"),
        (["--objective", "score,size"], "it was begun with --objective score"),
        (["--ensemble"], "it was begun with --no-ensemble"),
        (["--engine", "ray"], "it was begun with --engine local"),
        (["data.csv", "train.lr=0.1"], "DATA, KEY=VALUE are given"),
        (["--pick", "1"], "one trial of a study is trained"),
        (["--address", "here:1"], "without --engine ray"),
        (["--trials", "0"], "--trials must be 1 or more"),
    ],
)  # fmt: skip
def test_a_study_that_goes_on_refuses_what_it_cannot_change(tuned, capsys, arguments, said):
    assert main(["tune", "--resume", str(tuned), *arguments]) == 2
    assert said in " ".join(capsys.readouterr().err.split())


def test_what_is_as_it_was_begun_is_no_change(tuned, capsys):
    same = ["--sampler", "tpe", "--prune", "none", "--folds", "2", "--jobs", "1", "--no-ensemble"]
    assert main(["tune", "--resume", str(tuned), *same]) == 2
    assert "is finished" in capsys.readouterr().err
    with pytest.raises(ConfigError, match="it was begun with --sampler tpe"):
        assay.tune(resume=tuned, sampler="gp")
    with pytest.raises(ConfigError, match="--preset, --seed are given"):
        assay.tune(resume=tuned, preset="best", seed=1)


def test_the_ledger_of_the_run_tells_of_the_study(tuned):
    verdicts = {each.practice: each for each in open_study(tuned).run.report().ledger}
    found = verdicts["search.settings"]
    assert (found.outcome, found.value) == ("applied", 5)
    assert found.reason.startswith("5 settings of 2 parameters tried (5 complete), proposed by tpe")
    assert "judged by AUROC on 2 folds" in found.reason
    assert verdicts["search.settings-bias"].value == open_study(tuned).file.selection.flattery
    assert verdicts["search.edges"].outcome in ("passed", "warned")
    assert verdicts["search.mixture"].outcome == "skipped"


class Ending:
    """A watch that presses Ctrl-C when so many trials are done."""

    def __init__(self, after):
        self.after = after

    def stage(self, name): ...

    def epoch(self, record, of): ...

    def note(self, text): ...

    def close(self): ...

    def steps(self, done, of, network=""):
        if network.startswith("best") and done >= self.after:
            raise KeyboardInterrupt


def searched(table, out, **more):
    asked = {"over": ["train.lr,model.width=16|32,model.dropout"], "trials": 14, "folds": 2, "budget": "none",
             "fit_best": False, "overrides": FIXED[:3]}  # fmt: skip
    return assay.tune(table, "y", out=out, **asked, **more)


def test_an_interrupted_study_goes_on_to_the_same_trials(table, tmp_path):
    with pytest.raises(KeyboardInterrupt) as ended:
        searched(table, tmp_path / "a", watch=Ending(10))
    assert ended.value.__notes__ == [f"What was tried is kept: go on with `assay tune --resume {tmp_path / 'a'}`."]
    assert open_study(tmp_path / "a").file.ended == ""
    done = assay.tune(resume=tmp_path / "a")
    whole = searched(table, tmp_path / "b")
    apart = pl.exclude("seconds")
    assert done.trials.select(apart).equals(whole.trials.select(apart))
    more = assay.tune(resume=tmp_path / "a", trials=15)
    assert more.trials.height == 15


def test_a_study_does_not_go_on_with_other_data(table, tmp_path):
    own = tmp_path / "own.csv"
    own.write_bytes(table.read_bytes())
    with pytest.raises(KeyboardInterrupt):
        searched(own, tmp_path / "a", watch=Ending(1))
    text = own.read_text()
    own.write_text(text.replace("yes", "no", 1).replace("no", "yes", 1) + "")
    changed = text.splitlines()
    changed[1], changed[2] = changed[2], changed[1]
    own.write_text("\n".join(changed) + "\n")
    with pytest.raises(DataError, match="the data it began with"):
        assay.tune(resume=tmp_path / "a")


def test_a_frame_is_given_again(table, tmp_path):
    frame = pl.read_csv(table)
    with pytest.raises(KeyboardInterrupt):
        searched(frame, tmp_path / "a", watch=Ending(1))
    with pytest.raises(ConfigError, match=r"assay.tune\(data, resume="):
        assay.tune(resume=tmp_path / "a")
    assert assay.tune(frame, resume=tmp_path / "a").trials.height == 14


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--over", "train.lrr"], "Did you mean 'train.lr'"),
        (["--over", "train.lr", "train.lr=0.1"], "either set or searched"),
        (["--sampler", "tpee"], "Did you mean 'tpe'"),
        (["--prune", "ashaa"], "Did you mean 'asha'"),
        (["--prune", "wilcoxon", "--folds", "1"], "compares folds"),
        (["--metric", "rmse"], "Choose one of accuracy"),
        (["--trials", "0"], "--trials must be 1 or more"),
        (["--over", "train.lr", "--space", "space.yaml"], "one space"),
        (["--budget", "none"], "neither --trials nor a --budget"),
        (["--objective", "score,speed"], "an objective must be one of score, latency, size, fairness"),
        (["--objective", "score,fairness"], "no column is named as sensitive"),
        (["--over", "train.fairness"], "judges no gap between groups, but train.fairness trades"),
        (["train.fairness=reweigh", "--sensitive", "x0"], "judges no gap between groups, but train.fairness=reweigh"),
        (["--objective", "score,latency", "--jobs", "2"], "latency is measured while nothing else runs"),
        (["--objective", "score,size", "--prune", "asha"], "a pruner compares trials by one number"),
        (["--objective", "score,size", "--ensemble"], "an ensemble is for the score alone"),
        (["--objective", "score,size", "--sampler", "cmaes", "--over", "train.lr,train.weight_decay"],
         "searches for one thing"),
        (["--folds", "9999"], "--folds must leave each fold a row"),
        (["--pick", "3"], "can be picked when there are trials"),
        (["--engine", "spark"], "an engine must be local or ray"),
        (["--storage", "mysql://me:secret@host/x", "--trials", "2"], "SQLite or PostgreSQL"),
        (["--sampler", "grid", "--budget", "40s", "--over", "train.lr,model.width,model.layers,train.weight_decay"],
         "settings at about"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_said_before_anything_is_tried(table, tmp_path, capsys, arguments, said):
    out = tmp_path / "study"
    assert main(["tune", str(table), "--target", "y", "--out", str(out), "--quiet", *arguments]) == 2
    error = capsys.readouterr().err
    assert said in error
    assert "secret" not in error
    assert not out.exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (
            ["--over", "train.lr=1..0.1"],
            "must rise from its low end to its high end, but in train.lr=1..0.1 1 is above",
        ),
        (["--over", "train.lr=0..0.1"], "train.lr=0..0.1 gives 0"),
        (["--over", "train.lrr"], "Did you mean 'train.lr'"),
        (["--over", "model.width=32"], "a search must have a choice"),
        (["--over", "model.name=mlpp|tabm"], "mlpp"),
        (["--over", "train.threads=1|2"], "A study holds train.threads fixed"),
        (["--metric", "aurocc"], "Did you mean 'auroc'"),
        (["--sampler", "tpee"], "Did you mean 'tpe'"),
        (["--prune", "ashaa"], "Did you mean 'asha'"),
        (["--space", "space.yaml"], "a logarithmic range must lie above 0, but line 1 of space.yaml begins at 0"),
        (["--settings", "list.yaml"], "unknown option 'train.nonsense'"),
    ],
)
def test_a_mistake_in_the_words_is_told_before_data_is_read(tmp_path, monkeypatch, capsys, arguments, said):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "space.yaml").write_text("parameters: {train.weight_decay: {low: 0, high: 0.1, scale: log}}\n")
    (tmp_path / "list.yaml").write_text("[{train.nonsense: 1}, {train.nonsense: 2}]\n")
    assert main(["tune", "there-is-none.csv", "--target", "y", "--quiet", *arguments]) == 2
    assert said in " ".join(capsys.readouterr().err.split())
    assert not (tmp_path / "studies").exists()


@pytest.fixture
def hurried(monkeypatch):
    """To train anything anew takes longer than there is."""
    monkeypatch.setattr("assay.tuning.end._ALONE", 1e9)


def test_without_time_to_train_anew_the_networks_of_the_search_are_the_model(table, tmp_path, hurried):
    out = tmp_path / "study"
    study = assay.tune(
        table, "y", out=out, over=["train.lr,model.width=16|32"], trials=4, folds=2, budget=60,
        overrides=[*FIXED[:3], "evaluate.baselines=majority", "evaluate.bootstrap=100"],
    )  # fmt: skip
    mixture = study.file.mixture
    numbers = mixture.numbers if mixture is not None and mixture.is_taken else (study.best.number,)
    run = study.run
    report = run.report()
    assert {part.name for part in report.training.parts} <= {f"mlp (trial {number})" for number in numbers}
    assert {part.members for part in report.training.parts} == {2}
    verdicts = {each.practice: each for each in report.ledger}
    assert verdicts["search.recipes"].reason.startswith("the networks that the search judged: mlp (trial ")
    assert verdicts["search.folds"].value == 2
    assert verdicts["split.sealed-test"].outcome == "applied"
    assert "of the search" in verdicts["model.members"].reason
    assert report.split.opened == 1
    assert run.bundle.verify() <= 1e-5
    assert set(run.predict(pl.read_csv(table))["prediction"]) == {"yes", "no"}
    assert list((out / "answers").glob("*.safetensors")) == []
    with pytest.raises(ConfigError, match="is finished"):
        assay.tune(resume=out)


def test_settings_that_gain_together_answer_as_judged_where_there_is_no_time_to_train_them(
    table, tmp_path, hurried, monkeypatch
):
    gains = {"numbers": (0, 1), "shares": (0.5, 0.5), "is_taken": True, "why": "so it is"}
    monkeypatch.setattr(
        "assay.tuning.end.mixture_of", lambda *given, **named: mixture_of(*given, **named).model_copy(update=gains)
    )
    study = assay.tune(
        table, "y", out=tmp_path / "study", over=["train.lr"], trials=2, folds=2, budget=90,
        overrides=[*FIXED[:3], "evaluate.baselines=majority", "evaluate.bootstrap=100"],
    )  # fmt: skip
    assert (study.file.mixture.is_taken, study.file.mixture.numbers) == (True, (0, 1))
    report = study.run.report()
    assert {part.name for part in report.training.parts} <= {"mlp (trial 0)", "mlp (trial 1)"}
    verdicts = {each.practice: each.reason for each in report.ledger}
    assert verdicts["search.recipes"].startswith("the networks that the search judged: mlp (trial ")
    assert "so it is" in verdicts["search.mixture"]


def test_variants_of_the_best_setting_are_parts_of_the_model_after_a_kill_too(table, tmp_path, hurried):
    out = tmp_path / "study"

    class Killing(Ending):
        """A watch that presses Ctrl-C when the variants are there and the test is about to begin."""

        stages = []

        def stage(self, name):
            self.stages.append(name)
            if name == "evaluate":
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt) as raised:
        assay.tune(
            table, "y", out=out, over=["train.lr"], trials=3, folds=2, budget=120, watch=Killing(99),
            overrides=[*FIXED[:3], "evaluate.baselines=majority", "evaluate.bootstrap=100"],
        )  # fmt: skip
    assert "train" in Killing.stages
    assert any("--resume" in note for note in raised.value.__notes__)
    assert open_study(out).file.ended == "trials"
    assert list((out / "answers").glob("*.safetensors"))
    study = assay.tune(resume=out)
    verdicts = {each.practice: each for each in study.run.report().ledger}
    told = "the networks that the search judged and variants of its best settings: "
    assert verdicts["search.recipes"].reason.startswith(told)
    names = set(verdicts["search.recipes"].reason.removeprefix(told).split(", "))
    assert "mlp" in names
    assert names - {"mlp"} <= {f"mlp (trial {number})" for number in range(3)}
    assert len(names) > 1
    assert verdicts["search.folds"].value == 2
    assert list((out / "answers").glob("*.safetensors")) == []
    assert len(study.tried) == 3


def test_with_time_left_the_best_setting_is_trained_anew(table, tmp_path):
    study = assay.tune(
        table, "y", out=tmp_path / "study", over=["train.lr"], trials=2, folds=2, budget=60, ensemble=False,
        overrides=[*FIXED[:3], "evaluate.baselines=majority", "evaluate.bootstrap=100"],
    )  # fmt: skip
    assert {part.name for part in study.run.report().training.parts} == {"mlp"}


def test_a_network_that_cannot_be_taken_is_trained_anew(table, tmp_path, hurried):
    """The file is damaged as soon as it is written."""

    class Damaging(Ending):
        notes = []

        def steps(self, done, of, network=""):
            for path in (tmp_path / "study" / "answers").glob("*.safetensors"):
                path.write_bytes(b"not a network")

        def note(self, text):
            self.notes.append(text)

    study = assay.tune(
        table, "y", out=tmp_path / "study", over=["train.lr"], trials=2, folds=2, budget=40, watch=Damaging(0),
        ensemble=False, overrides=[*FIXED[:3], "evaluate.baselines=majority", "evaluate.bootstrap=100"],
    )  # fmt: skip
    assert any("what was chosen is trained anew, which may take longer than the budget" in n for n in Damaging.notes)
    assert {part.name for part in study.run.report().training.parts} == {"mlp"}


@pytest.fixture(scope="module")
def several(table, tmp_path_factory):
    """A search for score, latency and size, without a run."""
    out = tmp_path_factory.mktemp("several") / "signs"
    command = ["tune", str(table), "--target", "y", "--over", "train.lr,model.width=8|64", "--trials", "8", "--folds",
               "2", "--objective", "score,latency,size", "--budget", "none", "--no-fit", "--out", str(out), "--quiet",
               *FIXED]  # fmt: skip
    assert main(command) == 0
    return out


def test_a_search_for_several_things_has_a_front(several, capsys):
    study = open_study(several)
    assert study.file.goals == ("score", "latency", "size")
    assert study.run is None
    latencies = {}
    for each in study.tried:
        latencies.setdefault(each.trial.options["model.width"], set()).add(each.outcome.latency)
    assert {len(known) for known in latencies.values()} == {1}  # one number for networks of one shape
    trials = pl.read_parquet(several / "trials.parquet")
    assert trials.filter(pl.col("front"))["number"].sort().to_list() == sorted(each.number for each in study.front)
    assert trials["latency"].min() > 0.0
    assert study.best in study.front
    assert main(["show", str(several)]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert f"front of {len(study.front)} trials" in shown
    assert f"taken: trial {study.best.number}: it is the knee of the front" in shown
    assert "us a row" in shown
    page = (several / "report.html").read_text()
    assert "bytes of the numbers" in page
    assert "the line is the front" in page


@pytest.fixture(scope="module")
def fair(tmp_path_factory):
    """A search for score and fairness of rows whose class hangs on their group, with its run."""
    draw = np.random.default_rng(1)
    x, group = draw.normal(size=(600, 2)), draw.choice(["a", "b"], 600)
    chance = 1 / (1 + np.exp(-1.5 * x[:, 0] - 3 * np.where(group == "a", 0.5, -0.5)))
    drawn = np.where(draw.random(600) < chance, "yes", "no")
    frame = pl.DataFrame({"x0": x[:, 0], "x1": x[:, 1], "g": group, "y": drawn})
    folder = tmp_path_factory.mktemp("fair")
    frame.write_csv(folder / "groups.csv")
    command = ["tune", str(folder / "groups.csv"), "--target", "y", "--sensitive", "g", "--objective", "score,fairness",
               "--trials", "12", "--folds", "2", "--budget", "none", "--out", str(folder / "study"), "--quiet",
               "evaluate.bootstrap=100", "evaluate.least_group=20", "model.name=mlp", "model.numbers=plain",
               "train.epochs=20", "train.threads=1", "ensemble.folds=1", "evaluate.baselines=majority"]  # fmt: skip
    assert main(command) == 0
    return folder / "study"


def test_a_search_for_fairness_lessens_the_gap_and_tells_its_price(fair, capsys):
    study = open_study(fair)
    assert {"train.fairness", "train.fairness_weight"} <= set(study.file.space.keys)
    origins = [each.origin for each in study.tried]
    assert origins[:2] == ["default of mlp", "default of mlp with equalised_odds, weight 0.3"]
    assert all(each.outcome.gap is not None for each in study.tried)
    gaps = study.file.gaps
    assert gaps[0].value == pytest.approx(study.default.outcome.gap, rel=1e-5)
    assert min(gap.value for gap in gaps.values()) < gaps[0].value
    assert study.best in study.front
    assert main(["show", str(fair)]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert f"gap between groups: {study.gap}" in shown
    assert "of those within a standard error" in shown
    page = (fair / "report.html").read_text()
    assert "by gap between groups" in page
    assert "flattered by the choice, as its score is" in page
    assert "Latency is measured" not in page
    report = study.run.report()
    verdict = next(each for each in report.ledger if each.practice == "search.settings")
    assert "its gap between groups is" in verdict.reason
    assert [attribute.columns for attribute in report.fairness.attributes] == [("g",)]
    assert pl.read_parquet(fair / "trials.parquet")["gap"].min() == min(each.outcome.gap for each in study.tried)


def test_a_trial_of_the_front_is_picked_and_trained(several, tmp_path):
    copied = shutil.copytree(several, tmp_path / "signs")
    picked = open_study(copied).front[-1].number
    study = assay.tune(resume=copied, pick=picked)
    assert study.best.number == picked
    part = study.run.report().training.parts[0]
    assert part.options["model.width"] == study.options["model.width"]
    verdict = next(each for each in study.run.report().ledger if each.practice == "search.settings")
    assert f"trial {picked} was taken: it was picked" in verdict.reason


def test_settings_that_gain_together_are_parts_of_one_model(table, tmp_path):
    study = assay.tune(
        table, "y", out=tmp_path / "a", over=["train.lr,model.width=16|32"], trials=6, folds=2, budget="none",
        fit_best=False, ensemble=True, overrides=[*FIXED, "model.members=1"],
    )  # fmt: skip
    assert study.file.mixture is not None
    # Whether these few settings gain together is chance: that they do is written down, and the study goes on from it.
    two = [each.number for each in study.tried[:2]]
    taken = study.file.mixture.model_copy(
        update={"numbers": tuple(two), "shares": (0.5, 0.5), "is_taken": True, "why": "so it is"}
    )
    file = study.file.model_copy(update={"mixture": taken})
    (tmp_path / "a" / "study.json").write_text(file.to_json())
    run = assay.tune(resume=tmp_path / "a", fit_best=True).run
    names = {part.name for part in run.report().training.parts}
    assert names <= {"mlp", "mlp 2"}
    verdicts = {each.practice: each for each in run.report().ledger}
    assert "are parts of one model: so it is" in verdicts["search.mixture"].reason
    assert verdicts["search.recipes"].reason == "as ensemble.settings says: mlp, mlp 2"
    assert run.report().parity is not None
    from assay.compose.hydra_io import compose

    config = compose(None, tmp_path / "a" / "ensemble.yaml")
    assert len(config.ensemble.settings) == 2
    assert config.ensemble.settings[0].startswith("model.name=mlp ")


def test_labels_are_searched_by_their_log_loss(tmp_path):
    draw = np.random.default_rng(0)
    x = draw.normal(size=(160, 3))
    frame = pl.DataFrame(
        {f"x{at}": x[:, at] for at in range(3)} | {f"y{at}": (x[:, at] > 0).astype(int) for at in range(2)}
    )
    study = assay.tune(
        frame, ["y0", "y1"], out=tmp_path / "a", over=["train.lr"], trials=4, folds=2, budget="none", fit_best=False,
        overrides=["model.name=mlp", "train.epochs=2", "train.threads=1"],
    )  # fmt: skip
    assert study.file.metric == "log_loss"
    assert study.states["complete"] == 4
    truth = np.load(tmp_path / "a" / "answers" / "truth.npy")
    answer = np.load(tmp_path / "a" / "answers" / f"{study.best.number}.npy")
    stated = np.where(truth > 0, answer, 1.0 - answer.astype(float))
    assert study.best.value == pytest.approx(-np.log(stated).mean(), rel=1e-5)
    assert study.file.selection.validation == pytest.approx(study.best.value)


def test_a_forecast_is_searched_by_its_validation_windows(tmp_path, capsys):
    """Origins after the training part judge; the windows of the test part are opened once, by the fit."""
    out = tmp_path / "study"
    command = ["tune", str(AIRLINE), "--target", "Passengers", "--time", "Month", "--horizon", "12", "--over",
               "train.lr", "--trials", "3", "--budget", "none", "--no-ensemble", "--out", str(out), "--quiet",
               "model.name=dlinear", "train.epochs=2", "train.threads=1", "evaluate.baselines=linear",
               "evaluate.bootstrap=200"]  # fmt: skip
    assert main(command) == 0
    study = open_study(out)
    assert (study.file.metric, study.file.folds, study.file.higher) == ("mae", 1, False)
    assert study.states == {"complete": 3, "pruned": 0, "failed": 0}
    assert np.load(out / "answers" / "0.npy").shape == (13, 12)
    assert study.best.value == min(each.value for each in study.tried) <= study.default.value
    assert study.file.selection.validation == pytest.approx(study.best.value)
    report = study.run.report()
    assert report.split.opened == 1
    assert {part.name for part in report.training.parts} <= {"dlinear", "ridge"}
    assert "MAE" in capsys.readouterr().out
    with pytest.raises(ConfigError, match="not by folds"):
        assay.tune(AIRLINE, "Passengers", time="Month", horizon=12, folds=3, trials=1, budget="none")
