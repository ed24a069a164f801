"""The best of many, bias-corrected: by hand, against the truth, and what must always hold."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as how
from hypothesis import strategies as some

from assay.data.schema import Task
from assay.evaluate.metrics import FORECAST_METRICS, Metric, metric
from assay.evaluate.plain_metrics import auroc
from assay.evaluate.selection import best_of_answers, best_of_losses, corrected, draws

ACCURACY = metric(Task.BINARY, "accuracy")
AUROC = metric(Task.BINARY, "auroc")
RMSE = metric(Task.REGRESSION, "rmse")


def _sure(hits, truth):
    """Probabilities of two classes whose decisions are right where `hits` says so."""
    chosen = np.where(hits, truth, 1 - truth)
    return np.stack([1.0 - chosen, chosen], axis=1) * 0.8 + 0.1


def test_the_flattery_is_what_draws_lose_on_rows_they_left_out_by_hand():
    score = Metric("accuracy", "Accuracy", True)
    estimate, flattery = corrected(0.8, score, np.array([0.6, 0.7]), np.array([0.8, 0.7]), 100, 0.95)
    # On the left-out rows the draws' choices are worse by 0.2 and by 0: 0.1 on the mean.
    assert flattery == pytest.approx(0.1)
    assert estimate.value == pytest.approx(0.7)
    # Two draws 0.1 apart; a part of 0.368 of the rows varies as sqrt(0.632 / 0.368) = 1.31 times all of them.
    half = 12.70620474 * np.sqrt(0.005) / np.sqrt((1 - np.exp(-1)) / np.exp(-1))
    assert estimate.low == pytest.approx(max(0.7 - half, 0.0))
    assert estimate.high == pytest.approx(min(0.7 + half, 1.0))
    assert estimate.method == "BBC-CV (2 draws)"


def test_of_losses_less_is_better_and_the_sign_turns():
    loss = Metric("loss", "Loss", False)
    estimate, flattery = corrected(0.5, loss, np.array([0.7, 0.6]), np.array([0.5, 0.6]), 100, 0.95)
    assert flattery == pytest.approx(0.1)
    assert estimate.value == pytest.approx(0.6)


def test_a_choice_that_gains_by_chance_flatters_by_nothing():
    estimate, flattery = corrected(0.8, ACCURACY, np.array([0.9, 0.9]), np.array([0.8, 0.8]), 100, 0.95)
    assert (estimate.value, flattery) == (0.8, 0.0)


def test_draws_on_which_it_is_not_defined_are_left_out():
    nothing, kept = np.array([np.nan, 0.7, 0.7]), np.array([0.8, np.nan, 0.8])
    estimate, _ = corrected(0.8, ACCURACY, nothing, kept, 100, 0.95)
    assert estimate.value == pytest.approx(0.7)
    assert estimate.method == "BBC-CV (1 draws)"
    none, _ = corrected(0.8, ACCURACY, np.array([np.nan]), np.array([0.8]), 100, 0.95)
    assert none.value is None


@pytest.mark.parametrize("measure", [ACCURACY, AUROC])
def test_one_setting_is_its_own_out_of_fold_score(measure):
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 2, 200)
    positive = np.clip(0.3 * truth + 0.7 * rng.random(200), 0.0, 1.0)
    found = best_of_answers(Task.BINARY, truth, [np.stack([1 - positive, positive], 1)], measure)
    expected = auroc(truth, positive) if measure is AUROC else float(((positive >= 0.5) == truth).mean())
    assert found.validation == pytest.approx(expected)
    assert found.corrected.value == pytest.approx(expected)
    assert found.flattery == 0.0
    assert found.corrected.low < expected < found.corrected.high


def test_its_interval_is_as_wide_as_that_of_a_share():
    rng = np.random.default_rng(0)
    hits = (rng.random(2_000) < 0.7).astype(float)
    found = best_of_losses(1.0 - hits[None])
    half = 1.96 * np.sqrt(hits.mean() * (1 - hits.mean()) / len(hits))
    assert (found.corrected.high - found.corrected.low) / 2 == pytest.approx(half, rel=0.1)


def test_settings_that_are_all_alike_in_truth_are_not_flattered():
    rng = np.random.default_rng(1)
    naive, ours = [], []
    for seed in range(20):
        found = best_of_losses((rng.random((100, 200)) >= 0.7).astype(float), samples=200, seed=seed)
        naive.append(1.0 - found.validation)
        ours.append(1.0 - found.corrected.value)
    assert np.mean(naive) == pytest.approx(0.779, abs=0.01)  # the best of 100 by chance
    assert np.mean(ours) == pytest.approx(0.700, abs=0.01)


def test_where_one_is_far_better_nothing_is_taken_off():
    rng = np.random.default_rng(0)
    truth = rng.normal(size=300)
    answers = [truth + rng.normal(size=300) * scale for scale in (0.1, 3.0, 4.0)]
    found = best_of_answers(Task.REGRESSION, truth, answers, RMSE)
    assert found.flattery == 0.0
    assert found.corrected.value == pytest.approx(np.sqrt(np.mean((answers[0] - truth) ** 2)))


def test_forecasts_are_chosen_by_the_mean_error_of_their_steps():
    truth = np.zeros((40, 3))
    found = best_of_answers(
        Task.FORECASTING, truth, [truth + 2.0, truth + np.array([1.0, 2.0, 0.0]), None], FORECAST_METRICS[0]
    )
    assert (found.validation, found.corrected.value, found.left_out) == (1.0, 1.0, 1)


def test_those_without_answers_are_counted_and_left_out():
    truth = np.array([0, 1, 0, 1] * 10)
    answer = _sure(np.arange(40) % 5 > 0, truth)
    found = best_of_answers(Task.BINARY, truth, [None, answer, None], ACCURACY)
    assert (found.settings, found.left_out, found.rows) == (1, 2, 40)
    with pytest.raises(ValueError, match="settings with answers"):
        best_of_answers(Task.BINARY, truth, [None], ACCURACY)


def test_rows_without_weight_do_not_count():
    losses = np.array([[0.0] * 20 + [9.0] * 20, [1.0] * 40])
    weight = np.repeat([1.0, 0.0], 20)
    found = best_of_losses(losses, weight=weight)
    assert (found.validation, found.corrected.value) == (0.0, 0.0)


def test_groups_are_drawn_whole():
    groups = np.repeat(np.arange(10), 5)
    (weights,) = draws(50, 30, 0, groups=groups)
    assert weights.shape == (30, 50)
    by_group = weights.reshape(30, 10, 5)
    assert (by_group == by_group[:, :, :1]).all()
    assert (by_group[:, :, 0].sum(1) == 10).all()


def test_rows_that_say_the_same_make_the_interval_wider_with_groups():
    rng = np.random.default_rng(0)
    losses = np.repeat(rng.random((1, 40)), 25, axis=1)
    alone, together = (
        best_of_losses(losses, groups=groups).corrected for groups in (None, np.repeat(np.arange(40), 25))
    )
    assert together.high - together.low > 3.0 * (alone.high - alone.low)


@how(max_examples=25)
@given(some.integers(0, 10_000), some.integers(1, 6), some.sampled_from([ACCURACY, AUROC]))
def test_it_is_never_above_the_naive_best_and_the_order_of_settings_says_nothing(seed, count, measure):
    rng = np.random.default_rng(seed)
    truth = np.append([0, 0, 1, 1], rng.integers(0, 2, 36))
    answers = [rng.dirichlet([1.0, 1.0], 40).round(1) for _ in range(count)]
    found = best_of_answers(Task.BINARY, truth, answers, measure, samples=50)
    assert found.corrected.value <= found.validation
    shuffled = [answers[at] for at in rng.permutation(count)]
    again = best_of_answers(Task.BINARY, truth, shuffled, measure, samples=50)
    assert again.corrected.value == pytest.approx(found.corrected.value, abs=1e-12)
    assert again.corrected.low == pytest.approx(found.corrected.low, abs=1e-12)


@pytest.mark.parametrize(
    ("task", "name"), [(Task.BINARY, "auroc"), (Task.BINARY, "accuracy"), (Task.REGRESSION, "rmse")]
)
def test_answers_that_memory_does_not_hold_give_what_others_give(task, name):
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 2, 150) if task is Task.BINARY else rng.normal(size=150)
    signal = [np.clip(0.5 + 0.2 * (truth - 0.5) + 0.3 * rng.normal(size=150), 0.0, 1.0) for _ in range(5)]
    answers = [np.stack([1 - each, each], 1) for each in signal] if task is Task.BINARY else signal
    settings = {"samples": 100, "weight": rng.random(150)}
    held = best_of_answers(task, truth, [None, *answers], metric(task, name), **settings)
    passed = best_of_answers(task, truth, [None, *answers], metric(task, name), in_memory=0, **settings)
    assert passed.validation == pytest.approx(held.validation)
    assert passed.corrected.value == pytest.approx(held.corrected.value)
    assert (passed.settings, passed.left_out) == (held.settings, held.left_out) == (5, 1)
