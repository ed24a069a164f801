"""The verdict on the fit: each of the four by losses that leave no doubt."""

import numpy as np
import pytest

from assay.evaluate.diagnosis import _Losses, constant_losses, judge


def losses(train, test, rival, *, trivial=0.7, rows=1000, seed=0):
    rng = np.random.default_rng(seed)

    def around(mean):
        return mean + rng.normal(0, 0.05, rows)

    on_test = around(test)
    other = None if rival is None else rng.permutation(on_test) + rival - test
    return _Losses(around(train), around(test), on_test, around(trivial), other, "linear model")


@pytest.mark.parametrize(
    ("train", "test", "rival", "verdict"),
    [
        (0.30, 0.31, 0.40, "fine"),
        (0.30, 0.31, 0.31, "noise ceiling"),
        (0.30, 0.31, 0.25, "underfit"),
        (0.05, 0.40, 0.41, "overfit"),
        (0.30, 0.31, None, "fine"),
        (0.70, 0.70, 0.70, "noise ceiling"),
    ],
)
def test_verdicts(train, test, rival, verdict):
    found = judge(losses(train, test, rival), "log loss", 0.95)
    assert found.verdict == verdict
    assert f"{found.test.value:.3g}" in found.words or verdict == "underfit"
    assert found.gap.low < found.gap.value < found.gap.high
    assert found.gap.value == pytest.approx(test - train, abs=0.02)


def test_what_is_kept_is_the_share_of_the_gain():
    found = judge(losses(0.2, 0.45, 0.6), "log loss", 0.95)
    assert found.kept == pytest.approx((0.7 - 0.45) / (0.7 - 0.2), abs=0.02)
    assert found.verdict == "overfit"


def test_answers_that_look_at_no_column():
    classes = constant_losses(np.array([0, 0, 0, 1]), np.zeros((2, 2)), np.array([0, 1]))
    assert classes == pytest.approx([-np.log(4 / 6), -np.log(2 / 6)])
    values = constant_losses(np.array([1.0, 2.0, 9.0]), np.zeros(2), np.array([2.0, 5.0]))
    assert values == pytest.approx([0.0, 3.0])
    labels = constant_losses(np.array([[1, 0], [1, 1]]), np.zeros((1, 2)), np.array([[1, 0]]))
    assert labels == pytest.approx([(-np.log(3 / 4) - np.log(2 / 4)) / 2])
