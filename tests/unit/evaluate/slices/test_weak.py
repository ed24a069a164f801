"""Slices on test rows: figures by hand, verdicts, and that the rows which choose are not those which test."""

import numpy as np
import polars as pl
import pytest

from assay.data.infer import infer
from assay.data.reading.read import read
from assay.data.rows import Rows
from assay.data.schema import Hints
from assay.errors import ConfigError
from assay.evaluate.config import EvaluateConfig
from assay.evaluate.judged import Judged
from assay.evaluate.row_losses import Deciding
from assay.evaluate.slices.named import check_slices
from assay.evaluate.slices.weak import PRACTICE, weak_slices
from assay.ledger import Ledger, Outcome


def table(rows, seed):
    rng = np.random.default_rng(seed)
    sex, job = rng.choice(["F", "M"], rows), rng.choice(["a", "b", "c"], rows)
    target = rng.integers(0, 2, rows)
    frame = pl.DataFrame(
        {"sex": sex, "job": job, "age": rng.uniform(20, 80, rows), "y": np.where(target, "up", "down")}
    )
    return frame, target


def answers(frame, target, seed, weak):
    """Right answers for all but a few rows; where the rows are weak, for all but two in five."""
    rng = np.random.default_rng(seed)
    wrong = rng.random(len(target)) < np.where(weak, 0.4, 0.05)
    up = np.where((target == 1) ^ wrong, 0.9, 0.1)
    return np.stack([1 - up, up], 1)


def judged(rows, seed, part, *, weak="F", weight=None):
    frame, target = table(rows, seed)
    cells = Rows(part, frame.drop("y"), target, weight, np.arange(rows))
    return Judged(cells, answers(frame, target, seed + 1, (frame["sex"] == weak).to_numpy())), frame


def looked_at(chosen_by, tested_by, frame, config=None):
    ledger, schema = Ledger(), infer(read(frame), Hints(target="y"))
    found = weak_slices(
        chosen_by,
        tested_by,
        schema,
        config or EvaluateConfig(),
        pictures=None,
        deciding=Deciding(),
        seed=0,
        ledger=ledger,
    )
    return found, ledger[PRACTICE]


def test_a_weak_subgroup_is_found_and_confirmed_with_its_figures():
    valid, frame = judged(1000, 0, "valid")
    test, tested = judged(800, 10, "test")
    found, verdict = looked_at(valid, test, frame)
    first = found.found[0]
    assert first.condition == "sex = F"
    inside = (tested["sex"] == "F").to_numpy()
    right = test.answers.argmax(1) == test.rows.target
    losses = np.where(right, -np.log(0.9), -np.log(0.1))
    assert first.rows == inside.sum()
    assert first.share == pytest.approx(inside.mean())
    assert (first.loss, first.loss_rest) == (
        pytest.approx(losses[inside].mean()),
        pytest.approx(losses[~inside].mean()),
    )
    assert first.wrong == pytest.approx(1 - right[inside].mean())
    assert first.wrong_rest == pytest.approx(1 - right[~inside].mean())
    assert first.expected_wrong == pytest.approx(0.1)  # it is sure of itself there
    assert first.verdict == "weaker"
    assert first.difference.low < losses[inside].mean() - losses[~inside].mean() < first.difference.high
    assert first.difference.low > 0
    assert first.score.low < first.score.value < first.score.high
    assert verdict.outcome is Outcome.WARNED
    assert "sex = F" in verdict.reason


def test_test_rows_do_not_choose():
    valid, frame = judged(1000, 0, "valid", weak="F")
    test, _ = judged(800, 10, "test", weak="M")
    found, verdict = looked_at(valid, test, frame)
    assert [each.condition for each in found.found] == ["sex = F"]
    assert found.found[0].verdict == "not distinguishable"
    assert found.found[0].difference.high < 0  # the test rows say the opposite, and are believed
    assert verdict.outcome is Outcome.PASSED
    assert "confirm none" in verdict.reason


def test_without_weak_rows_that_is_said():
    valid, frame = judged(1000, 3, "valid", weak="nobody")
    test, _ = judged(800, 13, "test", weak="nobody")
    found, verdict = looked_at(valid, test, frame)
    assert found.found == ()
    assert found.candidates > 20
    assert verdict.outcome is Outcome.PASSED
    assert "chance would not explain" in verdict.reason


def test_without_test_rows_half_of_the_others_tests():
    valid, frame = judged(1600, 0, "valid")
    found, _ = looked_at(valid, None, frame)
    assert (found.searched_rows, found.tested_on) == (800, 800)
    assert found.found[0].condition == "sex = F"


def test_few_rows_are_not_searched():
    valid, frame = judged(150, 0, "valid")
    test, _ = judged(100, 1, "test")
    found, verdict = looked_at(valid, test, frame)
    assert (found.found, found.candidates) == ((), 0)
    assert verdict.outcome is Outcome.NOT_APPLICABLE


def test_named_slices_are_scored_both_ways_and_may_be_empty():
    valid, frame = judged(1000, 0, "valid")
    test, _ = judged(800, 10, "test")
    config = EvaluateConfig(slices=("sex = F", "sex = M", "age > 200", "age > 79.9"))
    found, _ = looked_at(valid, test, frame, config)
    weaker, stronger, nobody, few = found.named
    assert (weaker.verdict, stronger.verdict, nobody.verdict, few.verdict) == (
        "weaker", "stronger", "too few rows", "too few rows",
    )  # fmt: skip
    assert weaker.difference.value == pytest.approx(-stronger.difference.value)
    assert (nobody.rows, nobody.loss, nobody.score) == (0, None, None)
    assert weaker.found_difference is None


def test_weights_count():
    weight = np.where(np.arange(800) % 2, 3.0, 1.0)
    valid, frame = judged(1000, 0, "valid")
    test, tested = judged(800, 10, "test", weight=weight)
    config = EvaluateConfig(slices=("sex = F",))
    (named,) = looked_at(valid, test, frame, config)[0].named
    inside = (tested["sex"] == "F").to_numpy()
    losses = -np.log(test.answers[np.arange(800), test.rows.target]) * weight / weight.mean()
    assert named.loss == pytest.approx(losses[inside].mean())


def test_values_are_judged_by_their_absolute_error():
    rng = np.random.default_rng(0)
    frame = pl.DataFrame({"x": rng.normal(size=1000), "g": rng.choice(["p", "q"], 1000), "y": rng.normal(size=1000)})
    target = frame["y"].to_numpy()
    missed = rng.normal(0, np.where(frame["g"] == "p", 2.0, 0.5))
    rows = Rows("valid", frame.drop("y"), target, None, np.arange(1000))
    found, _ = looked_at(Judged(rows, target + missed), None, frame)
    assert found.loss == "absolute error"
    assert found.found[0].condition == "g = p"
    assert found.found[0].wrong is None
    assert found.found[0].score.value > 1.5


def test_conditions_are_refused_before_anything_is_trained():
    frame, _ = table(60, 0)
    schema = infer(read(frame), Hints(target="y"))
    assert len(check_slices(["age > 3"], schema)) == 1
    with pytest.raises(ConfigError, match="'age'"):
        check_slices(["agee > 3"], schema)
