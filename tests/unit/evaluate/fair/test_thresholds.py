"""Thresholds of groups: beside fairlearn's on the same rows, by hand, and where there is nothing to choose by."""

import warnings

import numpy as np
import polars as pl
import pytest
from fairlearn.postprocessing import ThresholdOptimizer
from sklearn.base import BaseEstimator, ClassifierMixin

from assay.data.rows import Rows
from assay.data.schema import Column, Kind, Schema, Task
from assay.data.split.split import Split, SplitRecord
from assay.evaluate.config import EvaluateConfig
from assay.evaluate.fair.examine import Unlearned, examine_groups
from assay.evaluate.fair.groups import Grouping
from assay.evaluate.fair.thresholds import Seen, choose_group_thresholds, decide_by_group
from assay.ledger import Ledger, Outcome

SCHEMA = Schema(
    columns=tuple(
        Column(name=name, kind=kind, dtype="String", reason="", distinct=2)
        for name, kind in (("x", Kind.NUMBER), ("sex", Kind.CATEGORY), ("y", Kind.CATEGORY))
    ),
    target="y", task=Task.BINARY, task_reason="", classes=("no", "yes"), sensitive=("sex",),
)  # fmt: skip


def drawn(rows=4000, seed=0):
    """Groups with other base rates and other scores: codes, classes, probabilities."""
    rng = np.random.default_rng(seed)
    codes = rng.integers(0, 2, rows)
    positive = (rng.random(rows) < np.where(codes == 0, 0.6, 0.3)).astype(np.int64)
    score = rng.normal(size=rows) + 1.5 * positive + np.where(codes == 0, 0.8, -0.4)
    return codes, positive, 1 / (1 + np.exp(-score))


def seen(codes, positive, probability):
    return Seen(positive, probability, np.ones(len(codes)), Grouping(("sex",), ("a", "b"), codes))


class Fixed(ClassifierMixin, BaseEstimator):
    """A fitted model whose probabilities are its only column."""

    classes_ = np.array([0, 1])

    def fit(self, cells, target):
        return self

    def predict_proba(self, cells):
        return np.stack([1 - cells[:, 0], cells[:, 0]], axis=1)

    def __sklearn_is_fitted__(self):
        return True


@pytest.mark.parametrize(
    ("aim", "constraint"),
    [("demographic_parity", "demographic_parity"), ("equal_opportunity", "true_positive_rate_parity")],
)  # fmt: skip
def test_they_are_as_accurate_and_as_alike_as_those_of_fairlearn(aim, constraint):
    codes, positive, probability = drawn()
    chosen = choose_group_thresholds(seen(codes, positive, probability), aim, 30)
    assert [each.group for each in chosen] == ["a", "b"]
    levels = np.array([each.threshold for each in chosen])
    decided = probability >= levels[codes]
    of = (positive == 1) if aim == "equal_opportunity" else np.ones(len(codes), bool)
    shares = [decided[of & (codes == group)].mean() for group in (0, 1)]
    assert shares[0] == pytest.approx(shares[1], abs=0.003)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = ThresholdOptimizer(
            estimator=Fixed(), constraints=constraint, objective="accuracy_score", prefit=True,
            predict_method="predict_proba", grid_size=400,
        )  # fmt: skip
        theirs.fit(probability[:, None], positive, sensitive_features=codes)
        share = theirs._pmf_predict(probability[:, None], sensitive_features=codes)[:, 1]
    expected = np.where(positive == 1, share, 1 - share).mean()
    assert (decided == positive).mean() == pytest.approx(expected, abs=0.004)


def test_by_hand_the_best_common_share_is_found():
    # Of each group twenty rows, half of them positive and ranked first: a half is the share that errs nowhere.
    codes = np.repeat([0, 1], 20)
    positive = np.tile(np.repeat([1, 0], 10), 2)
    probability = np.concatenate([np.linspace(0.9, 0.5, 20), np.linspace(0.4, 0.1, 20)])
    chosen = choose_group_thresholds(seen(codes, positive, probability), "demographic_parity", 20)
    for group, own in enumerate((probability[:20], probability[20:])):
        assert own[10] < chosen[group].threshold <= own[9]
        assert chosen[group].rows == 20


def test_groups_with_few_rows_of_a_class_get_none():
    codes, positive, probability = drawn(200)
    positive = np.where((codes == 1) & (np.cumsum(codes) > 9), 0, positive)
    assert choose_group_thresholds(seen(codes, positive, probability), "demographic_parity", 30) == ()


def rows_of(part, rows, seed):
    codes, positive, probability = drawn(rows, seed)
    frame = pl.DataFrame({"x": np.zeros(rows), "sex": np.array(["a", "b"])[codes]})
    return Rows(part, frame, positive, None, np.arange(rows)), np.stack([1 - probability, probability], axis=1)


def test_the_report_tells_what_they_would_give_and_that_the_bundle_does_not_use_them():
    valid, known = rows_of("valid", 1500, 0)
    test, answers = rows_of("test", 1500, 1)
    record = SplitRecord(policy="p", seed=0, train_rows=1, valid_rows=1, test_rows=0, sealed_sha256=None)
    config = EvaluateConfig(group_thresholds="demographic_parity", bootstrap=100)
    ledger = Ledger()
    found = examine_groups(
        Split(valid, valid, None, record), test, SCHEMA, answers, config, seed=0, ledger=ledger,
        unlearned=Unlearned(known, None),
    )  # fmt: skip
    made = found.thresholds
    gaps = [next(gap for gap in each[0].gaps if gap.id == "demographic_parity_difference").value
            for each in (found.attributes, made.attributes)]  # fmt: skip
    assert gaps[1] < 0.25 * gaps[0]
    by_hand = decide_by_group(test, SCHEMA, answers, (), made.thresholds)
    assert made.costs[0].value == pytest.approx((by_hand == test.target).mean())
    assert made.costs[0].without == pytest.approx(((answers[:, 1] >= 0.5) == test.target).mean())
    assert ledger["evaluate.group-thresholds"].outcome is Outcome.APPLIED
    assert "not in the bundle" in ledger["evaluate.group-thresholds"].reason


def test_groups_without_a_threshold_are_decided_at_one_half():
    test, answers = rows_of("test", 50, 1)
    assert decide_by_group(test, SCHEMA, answers, (), ()).tolist() == (answers[:, 1] >= 0.5).astype(int).tolist()
