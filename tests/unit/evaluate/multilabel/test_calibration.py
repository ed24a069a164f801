import numpy as np
import pytest
from sklearn.metrics import f1_score

from assay.evaluate.multilabel.calibration import (
    FEWEST,
    best_threshold,
    choose_label_kind,
    choose_thresholds,
    fit_factors,
    fit_label_temperature,
    is_common,
    mixed_labels,
)


def sigmoid(x):
    return 1.0 / (1.0 + np.exp(-x))


def drawn(rows=4000, labels=3, heat=1.0, seed=0):
    """Logits whose probabilities are honest once they are divided by `heat`, and labels drawn from these."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(size=(rows, labels)) * 1.5 - 0.5
    return (logits * heat)[None], (rng.random((rows, labels)) < sigmoid(logits)).astype(np.int8)


def test_members_are_averaged_by_their_shares_and_labels_have_factors():
    logits = np.array([[[1.0, -2.0]], [[3.0, 0.0]]])
    found = mixed_labels(logits, (1.0, 2.0), (0.25, 0.75), (1.0, 4.0))
    assert found[0, 0] == pytest.approx(0.25 * sigmoid(1.0) + 0.75 * sigmoid(1.5))
    assert found[0, 1] == pytest.approx(0.25 * sigmoid(-0.5) + 0.75 * 0.5)
    assert mixed_labels(np.full((1, 1, 1), -1e6), (1.0,), (1.0,))[0, 0] == pytest.approx(0.0)


@pytest.mark.parametrize("heat", [0.5, 1.0, 3.0])
def test_the_temperature_undoes_what_was_too_sure(heat):
    logits, target = drawn(heat=heat)
    assert fit_label_temperature(logits, target) == pytest.approx(heat, rel=0.1)


def test_labels_have_factors_of_their_own_where_they_have_rows():
    logits, target = drawn(labels=2)
    logits = np.concatenate([logits * [1.0, 3.0], logits[:, :, :1]], axis=2)
    target = np.concatenate([target, np.zeros((len(target), 1), np.int8)], axis=1)
    target[: FEWEST - 1, 2] = 1
    found = fit_factors(logits, (1.0,), target, None, (1.0,))
    assert found[0] == pytest.approx(1.0, rel=0.1)
    assert found[1] == pytest.approx(3.0, rel=0.1)
    assert found[2] == 1.0
    assert is_common(target, None).tolist() == [True, True, False]


def test_no_rows_ask_for_no_temperature():
    assert fit_label_temperature(np.zeros((1, 0, 2)), np.zeros((0, 2), np.int8)) == 1.0
    assert fit_label_temperature(np.zeros((1, 3, 2)), np.zeros((3, 2), np.int8), np.zeros(3)) == 1.0


def test_the_threshold_has_the_highest_f1_of_all():
    rng = np.random.default_rng(0)
    positive = rng.random(300) < 0.2
    stated = np.clip(0.3 * positive + 0.5 * rng.random(300), 0, 1).round(2)
    found = best_threshold(stated, positive, np.ones(300))
    best = max(f1_score(positive, stated >= cut) for cut in np.unique(stated))
    assert f1_score(positive, stated >= found) == pytest.approx(best)


def test_thresholds_lie_between_probabilities():
    assert best_threshold(np.array([0.2, 0.4, 0.9]), np.array([False, True, True]), np.ones(3)) == pytest.approx(0.3)
    assert best_threshold(np.array([0.2, 0.4]), np.array([True, True]), np.ones(2)) == pytest.approx(0.1)
    assert best_threshold(np.array([0.2, 0.4]), np.array([False, False]), np.ones(2)) == 0.5
    weighted = best_threshold(np.array([0.2, 0.4, 0.9]), np.array([True, False, True]), np.array([0.0, 1.0, 1.0]))
    assert weighted == pytest.approx(0.65)


def test_rare_labels_have_the_threshold_of_all_together():
    logits, target = drawn(rows=500)
    target[:, 2] = 0
    target[0, 2] = 1
    stated = sigmoid(logits[0])
    found = choose_thresholds(stated, target)
    assert found.own.tolist() == [True, True, False]
    assert found.each[2] == np.float32(found.common)
    for label in (0, 1):
        own = best_threshold(stated[:, label], target[:, label] > 0, np.ones(500))
        assert found.each[label] == np.float32(own)


def test_a_shift_of_a_label_is_found_where_there_are_rows_and_left_where_there_are_none():
    logits, target = drawn(labels=3)
    logits = logits + np.array([0.0, 2.0, 0.0])
    target[:, 2] = 0
    target[: FEWEST - 1, 2] = 1
    stated = sigmoid(logits[0])
    (temperature, factors, found), choice = choose_label_kind("auto", logits, (1.0,), target, None)
    assert (temperature, factors) == (1.0, ())
    assert choice.kind == "vector" == found.kind
    assert [one.kind for one in choice.losses] == ["none", "temperature", "vector", "beta"]
    assert found.slopes[:2] == pytest.approx((1.0, 1.0), rel=0.1)
    assert found.shifts[:2] == pytest.approx((0.0, -2.0), abs=0.15)
    assert (found.slopes[2], found.rests[2], found.shifts[2]) == (1.0, 1.0, 0.0)
    assert found.apply(stated)[:, 2] == pytest.approx(stated[:, 2])


def test_few_rows_of_labels_get_a_temperature():
    logits, target = drawn(rows=100, heat=3.0)
    (temperature, factors, found), choice = choose_label_kind("auto", logits, (1.0,), target, None)
    assert (choice.kind, found, len(factors)) == ("temperature", None, 3)
    assert temperature > 1.5
    assert choose_label_kind("none", logits, (1.0,), target, None)[0] == (1.0, (), None)
    assert choose_label_kind("beta", logits, (1.0,), target, None)[1].is_doubtful
