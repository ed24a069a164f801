"""What is chosen for rare classes: a gain beyond its error, by the folds that the trials share."""

import math

import pytest

from assay.errors import BudgetError
from assay.search.fit.class_balance import summed_up, told


def test_a_gain_beyond_its_error_is_taken() -> None:
    found = summed_up({"none": (0.50, 0.60, 0.55), "weights": (0.54, 0.64, 0.60), "focal": (0.4, 0.5, 0.6)}, "auprc")
    apart = (0.04, 0.04, 0.05)
    mean = sum(apart) / 3
    variance = sum((each - mean) ** 2 for each in apart) / 2
    assert found.gain == pytest.approx(mean)
    assert found.error == pytest.approx(math.sqrt(variance * (1 / 3 + 1 / 2)))
    assert found.chosen == "weights"
    assert "weights of classes: mean AUPRC of 3 folds without 0.5500" in told(found)


def test_a_gain_within_its_error_is_not() -> None:
    found = summed_up({"none": (0.50, 0.60, 0.55), "weights": (0.60, 0.55, 0.56)}, "auprc")
    assert (found.best, found.chosen) == ("weights", "none")
    assert told(found).endswith("a gain of 0.0200, within its error of 0.0689")
    assert told(summed_up({"none": (0.5, 0.6), "focal": (0.4, 0.5)}, "auprc")).endswith("of which none gains")


def test_nothing_is_chosen_by_one_part_and_ties_go_to_nothing() -> None:
    assert summed_up({"none": (0.5,), "focal": (0.9,)}, "auprc").chosen == "none"
    assert summed_up({"none": (0.5, 0.6), "focal": (0.5, 0.6)}, "auprc").best == "none"


def test_trials_that_did_not_end_are_no_answer() -> None:
    with pytest.raises(BudgetError):
        summed_up({"weights": (0.5, 0.6)}, "auprc")
