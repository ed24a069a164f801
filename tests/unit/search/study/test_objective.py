"""The objective of a study: values that can be had otherwise too, folds, members that leave, and trials that fail."""

import math

import numpy as np
import polars as pl
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save

from assay.data.config import EncodeConfig, SplitConfig
from assay.data.encoding.encode import Encoder
from assay.data.rows import Rows
from assay.data.schema import Column, Kind, Schema, Task
from assay.errors import BundleError, ConfigError
from assay.evaluate.metrics import Scorer
from assay.ledger import Ledger
from assay.models.config import ModelConfig
from assay.search.study.answered import answers_of
from assay.search.study.judging import Judge
from assay.search.study.objective import TableObjective, folds_for
from assay.search.study.trial import Trial
from assay.search.study.trial_networks import has_network, keep_best
from assay.train.budget import Budget
from assay.train.config import TrainConfig
from assay.train.examples import Units
from assay.train.watch import Unwatched

MODEL = ModelConfig(name="mlp", width=8, number_bins=4, dropout=0.1)
TRAIN = TrainConfig(epochs=4, batch=32, threads=1, precision="float32")


def schema_of(classes, **changes):
    columns = [
        Column(name="x", kind=Kind.NUMBER, dtype="Float64", reason="made"),
        Column(name="c", kind=Kind.CATEGORY, dtype="String", reason="made"),
        Column(name="t", kind=Kind.NUMBER, dtype="Float64", reason="made"),
        Column(name="y", kind=Kind.CATEGORY if classes else Kind.NUMBER, dtype="String", reason="made"),
    ]
    task = {0: Task.REGRESSION, 2: Task.BINARY}.get(classes, Task.MULTICLASS)
    names = tuple("abcd"[:classes])
    return Schema(columns=tuple(columns), target="y", task=task, task_reason="", classes=names, **changes)


def rows_of(part, count, seed, classes, *, weight=None):
    rng = np.random.default_rng(seed)
    frame = pl.DataFrame(
        {"x": rng.normal(size=count), "c": rng.choice(["a", "b"], count), "t": np.arange(count, dtype=float)}
    )
    signal = frame["x"].to_numpy() + (frame["c"] == "a").to_numpy() + 0.3 * rng.normal(size=count)
    target = np.digitize(signal, np.linspace(-1, 2, classes + 1)[1:-1]) if classes else 100.0 + 5.0 * signal
    return Rows(part, frame, target, weight, np.arange(count))


def opened(tmp_path, *, classes=2, folds=3, metric=None, axis="epochs", train=TRAIN, model=MODEL, seed=0, weight=None,
           schema=None, keeps=False, least_group=0):  # fmt: skip
    rows = rows_of("train", 120, 0, classes, weight=weight), rows_of("valid", 60, 1, classes, weight=weight and None)
    schema = schema or schema_of(classes)
    encoder = Encoder.fit(rows[0], schema, EncodeConfig(), Ledger())
    metric = metric or ("log_loss" if classes else "rmse")
    return TableObjective.open(
        encoder, rows, schema, model, train, SplitConfig(), folds, metric, seed, tmp_path / "answers", axis=axis,
        keeps=keeps, least_group=least_group,
    )  # fmt: skip


def trial(number, **options):
    return Trial(number, {name.replace("__", "."): value for name, value in options.items()}, 100 + 10 * number)


def judged(objective, trials, prune=None, budget=None):
    return objective.judge(trials, prune, Budget(budget), Unwatched())


SETTINGS = [
    trial(0, train__lr=0.02), trial(1, train__lr=0.002, model__dropout=0.4),
    trial(2, train__lr=0.05, train__weight_decay=0.1, train__label_smoothing=0.1),
]  # fmt: skip


@pytest.mark.parametrize("axis", ["epochs", "folds"])
@pytest.mark.parametrize(("classes", "folds"), [(2, 3), (3, 2), (0, 3), (2, 1), (0, 1)])
def test_values_are_the_metric_of_the_answers_that_are_kept(tmp_path, classes, folds, axis):
    objective = opened(tmp_path, classes=classes, folds=folds, axis=axis)
    found = judged(objective, SETTINGS)
    assert [(each.number, each.state) for each in found] == [(0, "complete"), (1, "complete"), (2, "complete")]
    answers = answers_of(tmp_path / "answers", [0, 1, 2])
    assert len(answers.rows) == (180 if folds > 1 else 60)
    assert sorted(set(answers.rows.fold.tolist())) == list(range(folds))
    for each in found:
        prediction = answers.predictions[each.number]
        value = Scorer(objective_task(classes), answers.rows.truth, prediction).values()[objective.metric.id]
        assert each.value == pytest.approx(value, rel=1e-12)
        for fold, own in enumerate(each.folds):
            rows = answers.rows.fold == fold
            score = Scorer(objective_task(classes), answers.rows.truth[rows], prediction[rows]).values()
            assert own == pytest.approx(score[objective.metric.id], rel=1e-12)
        assert len(each.folds) == folds
        assert (each.epochs, each.reason) == (4, "")
        assert each.parameters > 0
    assert len({each.value for each in found}) == 3


def objective_task(classes):
    return {0: Task.REGRESSION, 2: Task.BINARY}.get(classes, Task.MULTICLASS)


def test_networks_learn(tmp_path):
    objective = opened(tmp_path, metric="auroc", train=TrainConfig(epochs=15, batch=32, threads=1))
    (found,) = judged(objective, SETTINGS[:1])
    assert found.value > 0.9


@pytest.mark.parametrize("axis", ["epochs", "folds"])
def test_a_trial_is_worth_the_same_alone_and_in_company(tmp_path, axis):
    together = judged(opened(tmp_path / "a", axis=axis), SETTINGS)
    for place, each in enumerate(SETTINGS[:2]):
        (alone,) = judged(opened(tmp_path / "b", axis=axis), [each])
        assert alone.value == together[place].value
        assert alone.folds == together[place].folds


def test_a_trial_of_several_members_answers_with_their_mean(tmp_path):
    objective = opened(tmp_path / "a", classes=0, folds=2)
    (pair,) = judged(objective, [Trial(0, {"model.members": 2}, 5)])
    # Members are dealt variant by variant, so the second variant begins with the seed after the folds of the first.
    singles = judged(objective, [Trial(1, {}, 5), Trial(2, {}, 7)])
    found = answers_of(tmp_path / "a" / "answers", [0, 1, 2]).predictions
    np.testing.assert_allclose(found[0], (found[1] + found[2]) / 2, rtol=1e-6)
    assert pair.parameters == 2 * singles[0].parameters


def test_trials_are_grouped_by_what_members_must_share(tmp_path):
    objective = opened(tmp_path)
    objective.width = 2
    trials = [
        trial(0), trial(1, model__width=16), trial(2, train__lr=0.1), trial(3, model__nonsense=1),
        trial(4, model__width=16, model__dropout=0.0), trial(5, train__lr=0.3), trial(6, train__batch=16),
    ]  # fmt: skip
    groups = [[each.number for each in group] for group in objective.groups(trials)]
    assert groups == [[0, 2], [1, 4], [3], [5], [6]]


def test_a_mixed_group_is_judged_group_by_group_in_its_order(tmp_path):
    trials = [trial(0), trial(1, model__width=16), trial(2, train__lr=0.1)]
    found = judged(opened(tmp_path), trials)
    assert [each.number for each in found] == [0, 1, 2]
    assert {each.state for each in found} == {"complete"}


def test_members_that_fall_behind_leave_and_the_others_end_as_without_them(tmp_path):
    asked = []

    def prune(number, step, value):
        asked.append((number, step))
        assert math.isfinite(value)
        return (number, step) in ((1, 1), (2, 3))

    pruned = judged(opened(tmp_path / "a"), SETTINGS, prune)
    assert [each.state for each in pruned] == ["complete", "pruned", "pruned"]
    assert [each.epochs for each in pruned] == [4, 1, 3]
    assert "behind in epoch 1" in pruned[1].reason
    assert asked == [(0, 1), (1, 1), (2, 1), (0, 2), (2, 2), (0, 3), (2, 3)]
    whole = judged(opened(tmp_path / "b"), SETTINGS)
    assert pruned[0].value == whole[0].value
    assert not (tmp_path / "a" / "answers" / "1.npy").exists()
    assert pruned[1].seconds < pruned[2].seconds < pruned[0].seconds


def test_with_the_axis_of_folds_each_fold_is_asked_about(tmp_path):
    asked = []

    def prune(number, step, value):
        asked.append((number, step))
        return number == 1 and step == 2

    found = judged(opened(tmp_path, axis="folds"), SETTINGS, prune)
    assert asked == [(0, 1), (1, 1), (2, 1), (0, 2), (1, 2), (2, 2)]
    assert [each.state for each in found] == ["complete", "pruned", "complete"]
    assert [len(each.folds) for each in found] == [3, 2, 3]


@pytest.mark.parametrize("axis", ["epochs", "folds"])
def test_a_trial_that_loses_its_numbers_fails_and_the_others_go_on(tmp_path, axis):
    train = TrainConfig(epochs=4, batch=32, threads=1, clip_norm=0.0, warmup=0.0)
    trials = [SETTINGS[0], trial(1, train__weight_decay=1e30)]
    lone = judged(opened(tmp_path / "b", train=train, axis=axis), trials[:1])
    found = judged(opened(tmp_path / "a", train=train, axis=axis), trials)
    assert found[0].value == lone[0].value
    assert found[1].state == "failed"
    assert "finite" in found[1].reason
    (alone,) = judged(opened(tmp_path / "c", train=train, axis=axis), trials[1:])
    assert alone.state == "failed"
    assert "learning rate of" in alone.reason


def test_options_that_cannot_be_fail_their_trial_alone(tmp_path):
    trials = [trial(0), trial(1, train__lr=-1.0), trial(2, train__batch=5000)]
    found = judged(opened(tmp_path), trials)
    assert [each.state for each in found] == ["complete", "failed", "failed"]
    assert "train.lr=-1.0" in found[1].reason
    assert "train.batch=5000" in found[2].reason


def test_without_time_trials_fail_and_say_so(tmp_path):
    (found,) = judged(opened(tmp_path), [trial(0)], budget=-1.0)
    assert (found.state, found.value) == ("failed", None)
    assert "time to train" in found.reason


def test_a_budget_that_ends_shortens_the_training_of_all_folds(tmp_path):
    ticks = iter(range(10**9))
    budget = Budget(20.0, 0.0, lambda: 0.05 * next(ticks))
    train = TrainConfig(epochs=1000, patience=1000, batch=32, threads=1)
    found = opened(tmp_path, train=train).judge(SETTINGS[:2], None, budget, Unwatched())
    assert [each.state for each in found] == ["complete", "complete"]
    assert all(1 <= each.epochs < 1000 for each in found)


def test_what_memory_does_not_hold_is_tried_in_halves(tmp_path, monkeypatch):
    objective, tried = opened(tmp_path), []
    fit = objective._fit

    def scarce(entries, *others):
        tried.append([entry.trial.number for entry in entries])
        if len(entries) > 1 or entries[0].trial.number == 2:
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory")
        fit(entries, *others)

    monkeypatch.setattr(objective, "_fit", scarce)
    found = judged(objective, SETTINGS)
    assert tried == [[0, 1, 2], [0], [1, 2], [1], [2]]
    assert [each.state for each in found] == ["complete", "complete", "failed"]
    assert "memory did not hold it" in found[2].reason


def test_no_more_settings_are_trained_at_once_than_memory_holds(tmp_path, monkeypatch):
    lone = judged(opened(tmp_path / "a"), SETTINGS)
    monkeypatch.setattr("assay.search.study.objective.free_memory", lambda device: 1_000)
    names = set()

    class Heard(Unwatched):
        def epoch(self, record, of):
            names.add(record.network)

    found = opened(tmp_path / "b").judge(SETTINGS, None, Budget(None), Heard())
    assert [each.value for each in found] == [each.value for each in lone]
    assert names == {f"mlp, trial {number}, fold {fold}" for number in (0, 1, 2) for fold in (1, 2, 3)}


def test_a_metric_that_is_not_defined_fails_the_trial(tmp_path):
    objective = opened(tmp_path, folds=1, metric="auroc")
    objective._judge.truth = np.zeros_like(objective._judge.truth)
    (found,) = judged(objective, [trial(0)])
    assert (found.state, found.value) == ("failed", None)
    assert "AUROC is not defined" in found.reason


def test_rows_in_time_are_judged_by_what_came_before(tmp_path):
    objective = opened(tmp_path, folds=2, schema=schema_of(2, time="t"))
    (found,) = judged(objective, [trial(0)])
    answers = answers_of(tmp_path / "answers", [0])
    assert found.state == "complete"
    assert len(answers.rows) == len(answers.predictions[0]) < 180


def test_the_study_of_other_rows_is_refused(tmp_path):
    opened(tmp_path)
    opened(tmp_path)
    with pytest.raises(BundleError, match="other rows or other folds"):
        opened(tmp_path, folds=2)


def test_a_metric_of_another_task_is_refused(tmp_path):
    with pytest.raises(ConfigError, match=r"'auroc' is none of regression.*rmse"):
        opened(tmp_path, classes=0, metric="auroc")


def test_folds_follow_from_the_rows():
    schema = schema_of(2)
    assert [folds_for(rows, schema) for rows in (100, 2_999, 3_000, 19_999, 20_000)] == [5, 5, 3, 3, 1]


def test_torchs_threads_are_left_as_they_were(tmp_path):
    before = torch.get_num_threads()
    judged(opened(tmp_path, train=TrainConfig(epochs=1, batch=32)), [trial(0)])
    assert torch.get_num_threads() == before


def test_folds_are_halved_by_rows_by_groups_and_by_time(tmp_path):
    objective = opened(tmp_path)
    judge, metric = objective._judge, objective.metric
    assert [abs(int(half.sum()) - 30) <= 2 for half in judge.halves] == [True] * 3
    rows = rows_of("train", 120, 0, 2)
    (half,) = Judge(rows, None, schema_of(2, group="c"), metric, Units()).halves
    assert len(set(zip(half.tolist(), rows.column("c").to_list(), strict=True))) == 2
    (half,) = Judge(rows, None, schema_of(2, time="t"), metric, Units()).halves
    assert half.tolist() == [False] * 60 + [True] * 60
    timed = opened(tmp_path / "t", folds=2, schema=schema_of(2, time="t"))._judge
    assert [0 < half.sum() < len(half) for half in timed.halves] == [True, True]
    (half,) = Judge(rows.at(np.array([3])), None, schema_of(2), metric, Units()).halves
    assert half is None


@pytest.mark.parametrize(("classes", "folds", "members"), [(2, 3, 1), (3, 2, 2), (0, 3, 1), (2, 1, 2), (0, 1, 1)])
def test_the_network_of_a_trial_is_what_was_judged(tmp_path, classes, folds, members):
    objective = opened(tmp_path, classes=classes, folds=folds, keeps=True)
    trials = [trial(0, train__lr=0.02, model__members=members), trial(1, train__lr=0.002, model__members=members)]
    found = judged(objective, trials)
    for each, outcome in zip(trials, found, strict=True):
        network = objective.network_of_trial(each, outcome.seconds)
        assert network.part.name == f"mlp (trial {each.number})"
        assert network.network.members == network.part.members == folds * members
        assert network.part.trained.seconds == outcome.seconds
        assert (network.part.seed, len(network.part.trained.epochs)) == (each.seed, 4)
        assert network.part.train.lr == pytest.approx(each.options["train.lr"])
        assert network.first_loss > min(network.part.trained.best_losses)


def test_a_network_that_is_not_that_of_its_trial_is_refused(tmp_path):
    objective = opened(tmp_path, keeps=True)
    judged(objective, SETTINGS[:2])
    answers = tmp_path / "answers"
    with safe_open(answers / "0.safetensors", framework="pt") as file:
        numbers = {name: file.get_tensor(name) * 0.5 for name in file.keys()}  # noqa: SIM118
        (answers / "0.safetensors").write_bytes(save(numbers, metadata=file.metadata()))
    with pytest.raises(BundleError, match="must be judged as the trial was, but its loss differs by"):
        objective.network_of_trial(SETTINGS[0], 1.0)
    (answers / "1.safetensors").replace(answers / "0.safetensors")
    with pytest.raises(BundleError, match=r"must be its own, but 0\.safetensors is that of trial 1"):
        objective.network_of_trial(SETTINGS[0], 1.0)
    with pytest.raises(BundleError, match=r"1\.safetensors is not"):
        objective.network_of_trial(SETTINGS[1], 1.0)
    (answers / "0.safetensors").write_bytes(b"not a network")
    with pytest.raises(BundleError, match="Remove it: the best setting is then trained anew"):
        objective.network_of_trial(SETTINGS[0], 1.0)


def test_networks_of_the_best_are_kept_alone(tmp_path):
    judged(opened(tmp_path, keeps=True), SETTINGS)
    answers = tmp_path / "answers"
    keep_best(answers, [2])
    assert [path.name for path in answers.glob("*.safetensors")] == ["2.safetensors"]
    assert (has_network(answers, 2), has_network(answers, 0)) == (True, False)
    assert (answers / "0.npy").is_file()


# Gaps between groups --------------------------------------------------------------------------------------------------

FAIR = {"schema": schema_of(2, sensitive=("c",)), "least_group": 20}


def penalised(number, weight):
    return trial(number, train__lr=0.02, train__fairness="equalised_odds", train__fairness_weight=weight)


@pytest.mark.parametrize("folds", [1, 3])
def test_the_gap_between_groups_is_that_of_what_was_answered(tmp_path, folds):
    objective = opened(tmp_path, folds=folds, **FAIR)
    trials = [trial(0, train__lr=0.02), penalised(1, 3.0), trial(2, train__fairness="reweigh")]
    found = judged(objective, trials)
    answered = answers_of(tmp_path / "answers", [0, 1, 2])
    is_b = np.concatenate([rows_of("train", 120, 0, 2).frame["c"], rows_of("valid", 60, 1, 2).frame["c"]]) == "b"
    is_b = is_b[120:] if folds == 1 else is_b
    for each in found:
        own = answered.predictions[each.number][np.arange(len(is_b)), answered.rows.truth]
        differences = [
            abs(own[is_b & (answered.rows.truth == place)].mean() - own[~is_b & (answered.rows.truth == place)].mean())
            for place in range(2)
        ]
        assert each.gap == pytest.approx(max(differences), rel=1e-5)
        assert objective.gap_of_trial(each.number, 0.95).value == pytest.approx(each.gap, rel=1e-5)
    assert len({each.gap for each in found}) == 3
    assert all(each.gap is None for each in judged(opened(tmp_path / "b", folds=folds), [trial(0)]))


def test_members_with_other_penalties_answer_as_they_would_alone(tmp_path):
    trials = [penalised(0, 0.1), penalised(1, 1.0), penalised(2, 10.0)]
    together = opened(tmp_path / "a", **FAIR)
    assert [len(group) for group in together.groups(trials)] == [3]
    found = judged(together, trials)
    for place, each in enumerate(trials):
        (alone,) = judged(opened(tmp_path / f"alone{place}", **FAIR), [each])
        assert (found[place].value, found[place].gap) == (alone.value, alone.gap)
    gaps = [each.gap for each in found]
    assert gaps[2] < gaps[0]


def test_a_penalty_needs_groups_and_says_so(tmp_path):
    for how in ("equalised_odds", "reweigh"):
        (found,) = judged(opened(tmp_path / how), [trial(0, train__fairness=how)])
        assert found.state == "failed"
        assert "come without" in found.reason


def test_groups_that_are_too_small_are_refused_before_anything_is_trained(tmp_path):
    with pytest.raises(ConfigError, match=r"two groups of 150 rows or more \(evaluate.least_group\)"):
        opened(tmp_path, schema=schema_of(2, sensitive=("c",)), least_group=150)
