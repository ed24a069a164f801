"""What each kind of column gives, by hand: a kind that decides, one that says nothing, and the limits of time."""

import numpy as np
import polars as pl
import pytest

from assay.data.infer import infer
from assay.data.reading.read import read
from assay.data.rows import Rows
from assay.data.schema import Hints
from assay.evaluate.contributions import contributions
from assay.ledger import Ledger, Outcome

ROWS = 400


def table(target):
    rng = np.random.default_rng(0)
    x = rng.normal(size=ROWS)
    colour = rng.choice(["red", "blue"], ROWS)
    return pl.DataFrame({"x": x, "colour": colour, "y": target(x)})


def measured(frame, answer, *, a_row=1e-6, confidence=0.95):
    schema = infer(read(frame), Hints(target="y"))
    values = frame["y"].to_numpy()
    target = np.array([schema.classes.index(str(value)) for value in values]) if schema.classes else values
    rows = Rows("test", frame.drop("y"), target, None, np.arange(len(frame)))
    ledger = Ledger()
    found = contributions(answer, rows, schema, a_row=a_row, confidence=confidence, seed=1, ledger=ledger)
    (verdict,) = (each for each in ledger.close() if each.practice == "evaluate.contributions")
    return found, verdict


def test_a_regression_that_reads_one_number_loses_twice_its_variance():
    frame = table(lambda x: x)
    found, verdict = measured(frame, lambda rows: rows["x"].to_numpy())
    assert [each.family for each in found] == ["numbers", "categories"]
    order = np.random.default_rng(1).permutation(ROWS)
    x = frame["x"].to_numpy()
    expected = ((x[order] - x) ** 2).mean()
    assert found[0].loss.value == pytest.approx(expected)
    assert found[0].loss.low < expected < found[0].loss.high
    assert expected == pytest.approx(2 * x.var(), rel=0.2)
    assert found[1].loss.value == 0.0
    assert (found[1].score, found[1].score_without) == (found[0].score, found[0].score)
    assert verdict.outcome is Outcome.APPLIED
    assert "squared error" in verdict.reason


def test_a_classifier_is_measured_by_its_log_loss():
    frame = table(lambda x: np.where(x > 0, "up", "down"))

    def answer(rows):
        up = np.where(rows["x"].to_numpy() > 0, 0.9, 0.1)
        return np.stack([1 - up, up], 1)

    found, _ = measured(frame, answer)
    order = np.random.default_rng(1).permutation(ROWS)
    up = frame["x"].to_numpy() > 0
    wrong = (up != up[order]).mean()
    assert found[0].loss.value == pytest.approx(wrong * (np.log(0.9) - np.log(0.1)))
    assert found[0].score == pytest.approx(1.0)  # of the area under the curve
    assert 0.3 < found[0].score_without < 0.7


def test_intervals_are_as_sure_as_asked():
    frame = table(lambda x: x)
    low, high = (
        measured(frame, lambda rows: rows["x"].to_numpy(), confidence=sure)[0][0].loss for sure in (0.68, 0.99)
    )
    assert low.value == high.value
    # The normal quantiles of both sides.
    assert (high.high - high.value) / (low.high - low.value) == pytest.approx(2.5758 / 0.9945, rel=1e-4)


def test_one_kind_alone_is_not_compared():
    frame = table(lambda x: x).drop("colour")
    found, verdict = measured(frame, lambda rows: rows["x"].to_numpy())
    assert (found, verdict.outcome) == ((), Outcome.NOT_APPLICABLE)


def test_slow_answers_are_not_waited_for():
    found, verdict = measured(table(lambda x: x), lambda rows: rows["x"].to_numpy(), a_row=1.0)
    assert (found, verdict.outcome) == ((), Outcome.SKIPPED)
    found, _ = measured(table(lambda x: x), lambda rows: rows["x"].to_numpy(), a_row=0.01)
    assert found[0].rows == 133
