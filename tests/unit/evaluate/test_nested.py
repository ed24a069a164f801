"""Nested cross-validation: the corrected interval by hand, and that an outer fold never sees the rows it judges."""

from types import SimpleNamespace

import numpy as np
import polars as pl
import pytest

from assay.data.config import SplitConfig
from assay.data.decision import LIKELIEST
from assay.data.infer import infer
from assay.data.reading.read import read
from assay.data.rows import Rows
from assay.data.schema import Hints, Task
from assay.data.split.folds import Folds
from assay.data.split.split import seal
from assay.errors import BudgetError
from assay.evaluate.metrics import metric
from assay.evaluate.nested import fingerprint_of, mean_of_folds, nested
from assay.ledger import Ledger, Outcome


def test_the_interval_is_that_of_nadeau_and_bengio_by_hand():
    found = mean_of_folds([0.8, 0.9, 0.7], 0.5, 0.95)
    # S^2 = 0.01; (1/3 + 1/2) 0.01 has the root 0.091287; t of 2 degrees is 4.302653.
    assert found.value == pytest.approx(0.8)
    assert found.high - found.value == pytest.approx(4.302653 * 0.0912871, rel=1e-5)
    assert found.method == "mean of 3 outer folds, corrected t"


def test_of_one_fold_there_is_no_interval_and_of_none_no_mean():
    assert mean_of_folds([0.8, float("nan")], 0.5, 0.95).low is None
    assert mean_of_folds([0.8], 0.5, 0.95).value == 0.8
    assert mean_of_folds([], 0.5, 0.95).value is None


def test_it_is_wider_than_folds_that_share_nothing():
    scores = list(np.linspace(0.7, 0.8, 5))
    shared, apart = (mean_of_folds(scores, ratio, 0.95) for ratio in (0.25, 0.0))
    assert shared.high - shared.low == pytest.approx(1.5 * (apart.high - apart.low))


class _Constant:
    """A model that answers with the mean of its training rows; `seen` are the rows it was given."""

    def __init__(self, split):
        self.head = SimpleNamespace(temperatures=None, has_labels=False, rule=LIKELIEST)
        self.trained = SimpleNamespace(interrupted=False)
        self.validation = SimpleNamespace(target=split.valid.target)
        self.mean = split.train.target.mean()
        self.seen = {*split.train.positions.tolist(), *split.valid.positions.tolist()}

    def outputs_of(self, rows):
        assert not self.seen & set(rows.positions.tolist())
        return np.full((1, len(rows), 1), self.mean)

    def in_units(self, raw):
        return raw[0, :, 0]


def _repeated(choose):
    frame = pl.DataFrame({"x": np.arange(100.0), "y": np.random.default_rng(0).normal(size=100)})
    table = read(frame)
    schema, ledger = infer(table, Hints(target="y")), Ledger()
    split = seal(table, schema, SplitConfig(), seed=0, ledger=ledger)
    found = nested(
        choose, split, schema, SplitConfig(), metric(Task.REGRESSION, "rmse"), folds=4, seed=0, confidence=0.95,
        ledger=ledger,
    )  # fmt: skip
    return found, split, next(each for each in ledger.close() if each.practice == "evaluate.nested")


def test_each_fold_is_judged_by_a_model_that_never_saw_it_nor_a_test_row():
    given = []

    def choose(split, place):
        assert split.test is None
        given.append((place, len(split.train), len(split.valid)))
        return _Constant(split)

    found, split, verdict = _repeated(choose)
    assert [place for place, _, _ in given] == [0, 1, 2, 3]
    assert found.rows == len(split.train) + len(split.valid)
    assert len(found.scores) == 4
    assert found.estimate.value == pytest.approx(np.mean(found.scores))
    assert 0.7 < found.estimate.value < 1.3  # the deviation of the target is 1
    assert all(valid < train for _, train, valid in given)
    assert (verdict.outcome, verdict.value) == (Outcome.APPLIED, found.estimate.value)
    assert found.ratio == pytest.approx(1 / 3, abs=0.02)


def test_the_same_rows_and_folds_are_known_again():
    rows = Rows("train", pl.DataFrame({"x": [1.0, 2.0, 3.0]}), np.zeros(3), None, np.arange(3))
    first, second = np.eye(3, dtype=bool), np.eye(3, dtype=bool)[::-1]
    made = [fingerprint_of(rows, Folds(~judged, judged, "")) for judged in (first, first.copy(), second)]
    assert made[0] == made[1] != made[2]


def test_a_fold_without_a_model_is_told_and_the_others_count():
    def choose(split, place):
        if place == 1:
            raise BudgetError("there must be time", "none was left", "Give more.")
        return _Constant(split)

    found, _, verdict = _repeated(choose)
    assert len(found.scores) == 3
    assert found.folds == ""  # the others cannot be paired with those of another run
    assert verdict.outcome is Outcome.WARNED
    assert "without fold 2 (none was left)" in verdict.reason
