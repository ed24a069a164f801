"""Slices of rows that have just been answered: their figures by hand, decisions by the model's own rule, columns."""

import numpy as np
import polars as pl
import pytest

from assay.data.decision import Rule
from assay.data.infer import infer
from assay.data.reading.read import read
from assay.data.rows import Rows
from assay.data.schema import Hints
from assay.errors import DataError
from assay.evaluate.config import EvaluateConfig
from assay.evaluate.judged import Judged
from assay.evaluate.row_losses import Deciding
from assay.evaluate.slices.named import check_columns, check_slices, named_slices

ROWS = 60


def made(classes):
    """Rows of which every third is of a late age, with the answers (n, K) of one model to all of them."""
    age = np.where(np.arange(ROWS) % 3 == 0, 70.0, 30.0)
    target = np.arange(ROWS) % len(classes)
    frame = pl.DataFrame({"age": age + np.arange(ROWS) / 100, "y": np.array(classes)[target]})
    answers = np.full((ROWS, len(classes)), 0.4 / (len(classes) - 1))
    answers[np.arange(ROWS), np.where(age > 50, (target + 1) % len(classes), target)] = 0.6
    return Judged(Rows("test", frame.drop("y"), target, None, np.arange(ROWS)), answers), infer(
        read(frame), Hints(target="y")
    )


def scored(classes, *texts, rule=None):
    judged, schema = made(classes)
    deciding = Deciding() if rule is None else Deciding(rule)
    return named_slices(
        check_slices(texts, schema), judged, schema, EvaluateConfig(), pictures=None, deciding=deciding, seed=0
    )


def test_a_slice_is_scored_beside_all_other_rows():
    found = scored(["a", "b", "c"], "age >= 50", "age < 50", "age > 200")
    old, young, nobody = found.named
    assert (found.tested_on, found.candidates, found.found) == (ROWS, 0, ())
    assert (old.rows, old.wrong, old.wrong_rest) == (20, 1.0, 0.0)
    assert (old.score.value, old.score_rest) == (0.0, 1.0)
    assert (young.rows, young.score.value) == (40, 1.0)
    # All losses on a side are equal, and without spread there is no interval and no verdict.
    assert old.difference.value == pytest.approx(np.log(0.6 / 0.2))
    assert (old.difference.low, old.p_value, old.verdict) == (None, None, "too few rows")
    assert (nobody.rows, nobody.score, nobody.verdict) == (0, None, "too few rows")


def test_decisions_within_a_slice_are_those_of_the_model():
    costs = ((0.0, 9.0, 9.0), (1.0, 0.0, 1.0), (1.0, 1.0, 0.0))  # whoever is not surely a b or a c is called an a
    (plain,) = scored(["a", "b", "c"], "age < 50").named
    (costly,) = scored(["a", "b", "c"], "age < 50", rule=Rule((), costs)).named
    assert (plain.score.value, plain.wrong) == (1.0, 0.0)
    assert costly.score.value == pytest.approx(1.0 - costly.wrong)
    assert costly.wrong > 0.5


def test_columns_that_the_rows_lack_are_named():
    _, schema = made(["a", "b"])
    named = check_slices(["age > 3"], schema)
    check_columns(named, ["age", "more"])
    with pytest.raises(DataError, match="they lack 'age'"):
        check_columns(named, ["more"])
