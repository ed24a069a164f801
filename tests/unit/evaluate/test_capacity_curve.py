"""Capacity curves: which width does, by hand, and small networks of all widths on real rows."""

import numpy as np
import pytest
from scipy import stats

from assay.data.config import EncodeConfig, SplitConfig
from assay.data.encoding.encode import Encoder
from assay.data.infer import infer
from assay.data.reading.read import read
from assay.data.schema import Hints
from assay.data.split.split import seal
from assay.evaluate.capacity_curve import PRACTICE, WIDTHS, Trial, capacity_curve, judge_widths
from assay.evaluate.config import EvaluateConfig
from assay.ledger import Ledger, Outcome
from assay.train.budget import Budget


@pytest.fixture(scope="module")
def schema(adult_small):
    return infer(read(adult_small), Hints(target="income"))


def trial(width, valid, train=0.1):
    return Trial(width, width * 10, train + np.array([-0.001, 0.0, 0.001]), np.asarray(valid))


def test_the_smallest_width_that_chance_cannot_tell_from_the_best(schema):
    made = [
        trial(4, [0.30, 0.31, 0.29]), trial(16, [0.205, 0.195, 0.20]), trial(64, [0.19, 0.20, 0.18]),
        trial(256, [0.25, 0.26, 0.24]),
    ]  # fmt: skip
    found = judge_widths(made, schema, 1000, 0.95, 1.0)
    # Variances within: 1e-4, 0.25e-4, 1e-4, 1e-4, of 2 degrees each; the error of a mean of three is by their mean.
    error = np.sqrt((1e-4 + 0.25e-4 + 1e-4 + 1e-4) / 4 / 3)
    half = stats.t.ppf(0.975, 8) * error
    assert found.points[0].valid.high - found.points[0].valid.value == pytest.approx(half)
    assert half * np.sqrt(2) > 0.01  # so that the width of 16 is as good as that of 64
    assert (found.enough, found.is_rising) == (16, False)
    assert "capacity is not what is missing" in found.words
    assert found.error == "1 - AUROC"
    assert [point.parameters for point in found.points] == [40, 160, 640, 2560]


def test_where_the_widest_is_the_best_a_larger_one_may_help(schema):
    made = [
        trial(width, level + np.array([-0.001, 0.0, 0.001]))
        for width, level in zip(WIDTHS, [0.4, 0.3, 0.2, 0.1], strict=True)
    ]
    found = judge_widths(made, schema, 1000, 0.95, 1.0)
    assert (found.enough, found.is_rising) == (256, True)
    assert "a larger network may help" in found.words


def test_it_is_measured_on_real_rows_without_the_test_part(adult_small, schema):
    split = seal(read(adult_small), schema, SplitConfig(), seed=0, ledger=Ledger())
    encoder, ledger = Encoder.fit(split.train, schema, EncodeConfig(), Ledger()), Ledger()
    config = EvaluateConfig(capacity_curve=True)
    found = capacity_curve(encoder, split, schema, config, is_own=False, budget=Budget(None), seed=0, ledger=ledger)
    assert [point.width for point in found.points] == list(WIDTHS)
    assert all(0.0 < point.valid.value < 0.5 for point in found.points)  # better than chance, and not perfect
    parameters = [point.parameters for point in found.points]
    assert parameters == sorted(parameters)
    assert found.rows == len(split.train)
    assert ledger[PRACTICE].outcome is Outcome.APPLIED


def test_it_is_left_out_where_it_was_not_asked_for(adult_small, schema):
    split = seal(read(adult_small), schema, SplitConfig(), seed=0, ledger=Ledger())
    encoder, ledger = Encoder.fit(split.train, schema, EncodeConfig(), Ledger()), Ledger()
    for asked, why in ((False, "evaluate.capacity_curve=false"), ("auto", "no time was left")):
        config = EvaluateConfig(capacity_curve=asked)
        made = capacity_curve(encoder, split, schema, config, is_own=False, budget=Budget(None), seed=0, ledger=ledger)
        assert made is None
        assert why in ledger[PRACTICE].reason
