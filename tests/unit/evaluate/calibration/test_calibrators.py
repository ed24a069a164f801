"""Kinds of calibration: each finds what was built in, and cross-validation takes no more than the rows bear."""

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy.special import expit, logit, softmax
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression

from assay.evaluate.calibration.calibrators import (
    Answered,
    able_kinds,
    choose_kind,
    fit_beta,
    fit_isotonic,
    fit_kind,
    fit_vector,
    out_of_fold_losses,
)
from assay.evaluate.plain_metrics import log_loss


def of_two(honest, state, rows=20_000, seed=0):
    """Rows that state `state(p)` where the truth is `p` = honest(uniform), and their outcomes."""
    rng = np.random.default_rng(seed)
    p = honest(rng.random(rows))
    q = state(p)
    return np.stack([1 - q, q], axis=1), (rng.random(rows) < p).astype(int), p


def answered(stated, target, weight=None):
    return Answered(np.log(np.maximum(stated, 1e-30))[None], (1.0,), target, weight)


def test_platt_scaling_is_the_logistic_regression_of_the_log_odds():
    stated, target, _ = of_two(lambda u: u, lambda p: expit(2.5 * logit(p) - 1.0))
    found = fit_vector(stated, target)
    expected = LogisticRegression(C=1e9).fit(logit(stated[:, 1:]), target)
    assert found.slopes == found.rests
    assert found.slopes[0] == pytest.approx(expected.coef_[0, 0], rel=0.01) == pytest.approx(1 / 2.5, rel=0.05)
    assert found.shifts[0] == pytest.approx(expected.intercept_[0], abs=0.01)


def test_beta_calibration_finds_its_own_distortion():
    stated, target, p = of_two(lambda u: u, lambda p: p**2)  # log p = 0.5 log q: a = 0.5
    found = fit_beta(stated, target).apply(stated)[:, 1]
    assert np.abs(found - p).mean() < 0.01
    assert np.abs(fit_vector(stated, target).apply(stated)[:, 1] - p).mean() > np.abs(found - p).mean()


def test_slopes_are_never_below_zero():
    stated, target, _ = of_two(lambda u: u, lambda p: 1 - p)
    for fit in (fit_vector, fit_beta):
        found = fit(stated, target)
        assert min(found.slopes[0], found.rests[0]) == pytest.approx(0.01)


def test_vector_scaling_undoes_a_slope_and_a_shift_of_each_class():
    rng = np.random.default_rng(1)
    honest = rng.dirichlet([1.0, 0.7, 1.3], 20_000)
    target = (honest.cumsum(axis=1) < rng.random((20_000, 1))).sum(axis=1).clip(max=2)
    stated = softmax(np.log(honest) * [2.0, 1.0, 0.5] + [0.5, 0.0, -0.5], axis=1)
    before, after = np.abs(stated - honest).mean(), np.abs(fit_vector(stated, target).apply(stated) - honest).mean()
    # What normalising took away is not quite a slope and a shift, so a little is left.
    assert after < before / 3


def test_isotonic_follows_a_step_and_stays_near_sklearns():
    stated, target, p = of_two(lambda u: u, lambda p: expit(3 * logit(p)))
    found = fit_isotonic(stated, target).apply(stated)[:, 1]
    plain = IsotonicRegression(out_of_bounds="clip").fit(stated[:, 1], target).predict(stated[:, 1])
    assert np.abs(found - p).mean() < 0.02
    assert np.abs(found - plain).mean() < 0.02


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10_000), rows=st.integers(2, 60), classes=st.integers(2, 4))
@example(seed=132, rows=12, classes=2)  # two blocks of the same height
def test_fits_are_finite_and_normalised_on_any_few_rows(seed, rows, classes):
    rng = np.random.default_rng(seed)
    stated = softmax(rng.normal(0, 5, (rows, classes)), axis=1)
    target = rng.integers(0, classes, rows)
    for fit in (fit_vector, fit_beta, fit_isotonic):
        found = fit(stated, target, rng.random(rows) + 0.1)
        made = found.apply(stated)
        assert np.isfinite(made).all()
        assert made.sum(axis=1) == pytest.approx(np.ones(rows), abs=1e-9)
        if found.knots:
            assert (np.diff(found.knots) > 0).all()
            assert (np.diff(found.heights) > 0).all()


def test_weights_are_repeated_rows():
    stated, target, _ = of_two(lambda u: u, lambda p: p**2, rows=400)
    times = np.random.default_rng(0).permutation(np.repeat([0, 1, 2], [133, 134, 133]))  # 1 in the mean
    kept = times > 0
    for fit in (fit_vector, fit_beta, fit_isotonic):
        weighted = fit(stated[kept], target[kept], times[kept].astype(float)).apply(stated)
        repeated = fit(np.repeat(stated, times, axis=0), np.repeat(target, times)).apply(stated)
        assert weighted == pytest.approx(repeated, abs=0.04)


# Choice


def test_few_rows_get_a_temperature_or_nothing():
    stated, target, _ = of_two(lambda u: u, lambda p: expit(3 * logit(p)), rows=150)
    assert able_kinds(answered(stated, target)) == ("none", "temperature")
    (_, found), choice = choose_kind("auto", answered(stated, target))
    assert found is None
    assert choice.kind in ("none", "temperature")
    stated, target, _ = of_two(lambda u: u, lambda p: p, rows=5)
    assert (
        choose_kind("auto", answered(stated, target))[1].reason
        == "5 validation rows are too few to choose by, so a temperature"
    )


def test_a_rare_class_forbids_maps_of_its_own():
    stated, target, _ = of_two(lambda u: u, lambda p: p, rows=2000)
    target[:] = 0
    target[:5] = 1
    assert able_kinds(answered(stated, target)) == ("none", "temperature")


def test_what_was_built_in_is_chosen_and_helps_on_other_rows():
    for name, state in {
        "temperature": lambda p: expit(2.0 * logit(p)),
        "vector": lambda p: expit(2.0 * logit(p) + 1.5),
        "isotonic": lambda p: np.where(p < 0.5, p / 3, 1 - (1 - p) / 3),
    }.items():
        stated, target, _ = of_two(lambda u: u, state, rows=8000)
        (temperature, found), choice = choose_kind("auto", answered(stated, target))
        assert choice.kind == name
        assert [one.kind for one in choice.losses] == ["none", "temperature", "vector", "beta", "isotonic"]
        other, truth, _ = of_two(lambda u: u, state, rows=8000, seed=1)
        cooled = answered(other, truth).stated(temperature)
        made = cooled if found is None else found.apply(cooled)
        assert log_loss(truth, made) < log_loss(truth, other) - 0.01
        assert "validation rows (none " in choice.reason


def test_honest_probabilities_are_left_to_the_simplest():
    kinds = []
    for seed in range(5):
        stated, target, _ = of_two(lambda u: u, lambda p: p, rows=2000, seed=seed)
        kinds.append(choose_kind("auto", answered(stated, target))[1].kind)
    assert set(kinds) <= {"none", "temperature", "vector"}
    assert sum(kind in ("none", "temperature") for kind in kinds) >= 4


def test_what_is_asked_for_is_done_and_doubted_on_few_rows():
    stated, target, _ = of_two(lambda u: u, lambda p: p**2, rows=300)
    (temperature, found), choice = choose_kind("isotonic", answered(stated, target))
    assert (temperature, found.kind, choice.kind, choice.is_doubtful) == (1.0, "isotonic", "isotonic", True)
    assert "300 validation rows are few" in choice.reason
    assert choose_kind("none", answered(stated, target))[0] == (1.0, None)
    assert not choose_kind("beta", answered(stated, target))[1].is_doubtful


def test_rows_of_no_weight_and_no_rows_change_nothing():
    stated, target, _ = of_two(lambda u: u, lambda p: p**2, rows=600)
    weight = np.ones(900)
    weight[600:] = 0.0
    more = np.concatenate([stated, stated[:300, ::-1]]), np.concatenate([target, 1 - target[:300]])
    first, second = (
        choose_kind("auto", answered(stated, target, np.ones(600))),
        choose_kind("auto", answered(*more, weight)),
    )
    assert first == second
    empty = Answered(np.empty((1, 0, 2)), (1.0,), np.empty(0, int), None)
    assert choose_kind("auto", empty)[0] == (1.0, None)
    assert fit_kind("isotonic", empty) == (1.0, None)


def test_every_row_is_judged_by_folds_without_it():
    stated, target, _ = of_two(lambda u: u, lambda p: p**2, rows=400)
    losses = out_of_fold_losses(("none", "beta"), answered(stated, target))
    assert losses["none"] == pytest.approx(-np.log(stated[np.arange(400), target]))
    inside = fit_beta(stated, target).apply(stated)
    assert losses["beta"].mean() > log_loss(target, inside)
