"""Scores of windows, by hand."""

import numpy as np
import pytest

from assay.evaluate.forecast.window_scorer import WindowScorer

TRUTH = np.zeros((2, 2))
ANSWER = np.array([[1.0, 3.0], [0.0, 2.0]])


def test_scores_are_means_over_windows_and_their_steps():
    scorer = WindowScorer(TRUTH, ANSWER)
    assert scorer.values() == {"mae": 1.5, "rmse": pytest.approx(np.sqrt(3.5))}
    assert scorer.values(np.array([3.0, 1.0]), only=["mae"]) == {"mae": 1.75}
    assert scorer.of_rows("rmse").tolist() == [5.0, 2.0]


def test_weightings_are_scored_at_once():
    found = WindowScorer(TRUTH, ANSWER)(np.array([[1.0, 0.0], [0.0, 1.0], [0.0, 0.0]]), ["mae"])["mae"]
    assert found[:2].tolist() == [2.0, 1.0]
    assert np.isnan(found[2])
