"""The score of a fit without what its choice flatters it by: by hand, and of each network alone."""

import numpy as np
import pytest

from assay.data.schema import Task
from assay.evaluate.chosen import alone, note_selection, selection_of
from assay.evaluate.metrics import FORECAST_METRICS, metric
from assay.evaluate.record import Estimate
from assay.ledger import Ledger, Outcome
from assay.train.choice import Choice

RMSE = metric(Task.REGRESSION, "rmse")


def _choice(answers, target, shares, left, drawn, owner=None, weight=None, rows=None):
    answers = np.asarray(answers, np.float32)
    return Choice(
        parts=(), owner=np.arange(len(answers)) if owner is None else np.asarray(owner), answers=answers,
        target=np.asarray(target), weight=weight, shares=np.asarray(shares, float),
        rows=np.arange(len(target)) if rows is None else rows, left=np.asarray(left, bool),
        drawn=np.asarray(drawn, float), units=len(target), way="by hand",
    )  # fmt: skip


def test_what_a_draw_would_have_chosen_is_scored_on_the_rows_it_left_out():
    # The first is off by 1, the second by 3 on the last two rows, which the only draw left out: it chose the second.
    choice = _choice([[1, 1, 1, 1], [0, 0, 3, 3]], [0.0, 0.0, 0.0, 0.0], [1, 0], [[False, False, True, True]], [[0, 1]])
    found = selection_of(choice, Task.REGRESSION, RMSE, 1.0, 0.95)
    assert found.flattery == pytest.approx(2.0)
    assert found.corrected.value == pytest.approx(3.0)
    assert (found.settings, found.rows, found.validation) == (2, 4, 1.0)


def test_shares_that_every_draw_confirms_flatter_by_nothing():
    left = [[True, False, True, False], [False, True, False, True]]
    choice = _choice([[1, 1, 1, 1], [0, 0, 3, 3]], np.zeros(4), [0.5, 0.5], left, [[0.5, 0.5]] * 2)
    found = selection_of(choice, Task.REGRESSION, RMSE, 1.3, 0.95)
    assert (found.flattery, found.corrected.value) == (0.0, 1.3)


def test_classes_and_weights_are_scored_as_everywhere():
    right, wrong = [0.2, 0.8], [0.8, 0.2]
    answers = [[right, right, wrong, right], [right, right, right, wrong]]
    choice = _choice(
        answers, np.ones(4, int), [1, 0], [[False, False, True, True]], [[0, 1]], weight=np.array([1.0, 1.0, 3.0, 1.0])
    )
    accuracy = metric(Task.BINARY, "accuracy")
    found = selection_of(choice, Task.BINARY, accuracy, 0.5, 0.95)
    # Left out: the first is right on 1 of 4 by weight, the second on 3 of 4. A gain by chance takes nothing off.
    assert (found.flattery, found.corrected.value) == (0.0, 0.5)


def test_forecasts_are_scored_by_their_mean_absolute_error():
    answers = [[[1.0, 3.0]] * 4, [[0.0, 0.0]] * 4]
    choice = _choice(answers, np.zeros((4, 2)), [0, 1], [[True, True, False, False]], [[1, 0]])
    found = selection_of(choice, Task.FORECASTING, FORECAST_METRICS[0], 0.0, 0.95)
    assert found.corrected.value == pytest.approx(2.0)


def test_labels_are_given_from_thresholds_of_their_own():
    # The first ranks every label right, though never above one half; the second gets the last two rows wrong.
    right = [[0.4, 0.1], [0.1, 0.4], [0.4, 0.4], [0.1, 0.1]]
    wrong = [*right[:2], [0.1, 0.1], [0.4, 0.4]]
    target = np.array([[1, 0], [0, 1], [1, 1], [0, 0]], np.int8)
    choice = _choice([right, wrong], target, [1, 0], [[False, False, True, True]], [[0, 1]])
    measure = metric(Task.MULTILABEL, "f1_micro")
    found = selection_of(choice, Task.MULTILABEL, measure, 1.0, 0.95)
    assert found.flattery == pytest.approx(1.0)  # on the rows left out the second gives what is not, and not what is
    assert alone(choice, 0, Task.MULTILABEL, measure, 0.95)[0] == pytest.approx(1.0)
    assert alone(choice, 1, Task.MULTILABEL, measure, 0.95)[0] == pytest.approx(2 / 3)  # gives all: 4 of 8
    ledger = Ledger()
    note_selection(found, choice, None, ledger)
    verdict = next(each for each in ledger.close() if each.practice == "evaluate.selection-bias")
    assert "epochs, temperatures and thresholds are not chosen anew" in verdict.reason


def test_a_network_alone_has_its_own_shares_and_one_without_any_equal_ones():
    choice = _choice(
        [[2, 2], [4, 4], [8, 8]], np.zeros(2), [0.25, 0.75, 0.0], [[True, False]], [[0.0, 0.0, 1.0]], owner=[0, 0, 1]
    )
    shares, drawn = choice.alone(0)
    assert shares.tolist() == [0.25, 0.75, 0.0]
    assert drawn.tolist() == [[0.5, 0.5, 0.0]]
    assert alone(choice, 0, Task.REGRESSION, RMSE, 0.95)[0] == pytest.approx(3.5)
    assert choice.alone(1)[0].tolist() == [0.0, 0.0, 1.0]


@pytest.mark.parametrize("is_left", [True, False])
def test_the_ledger_has_all_three_scores_or_says_why_not(is_left):
    choice = _choice([[1, 1], [0, 3]], np.zeros(2), [1, 0], [[False, is_left]], [[0, 1]])
    ledger = Ledger()
    found = selection_of(choice, Task.REGRESSION, RMSE, 1.0, 0.95)
    note_selection(found, choice, Estimate(value=2.5, method=""), ledger)
    verdict = next(each for each in ledger.close() if each.practice == "evaluate.selection-bias")
    assert verdict.reason.startswith("RMSE 1 on the 2 rows that the model was chosen by")
    if is_left:
        assert (verdict.outcome, verdict.value) == (Outcome.APPLIED, 2.0)
        assert "3 without what a choice among 2 candidates flatters by" in verdict.reason
        assert verdict.reason.endswith("2.5 on the sealed test rows")
    else:
        assert verdict.outcome is Outcome.WARNED
        assert "not defined" in verdict.reason
