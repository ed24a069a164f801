"""Calibrated sets and intervals: parity with crepes, coverage by simulation, choices, and rows that are too few."""

from dataclasses import replace

import crepes
import numpy as np
import pytest
from crepes.extras import hinge
from sklearn.linear_model import QuantileRegressor

from assay.data.regions import Tried
from assay.evaluate.carried.regions import Judged, chosen, fit_regions, held_by, quantile_plane, worst_stratum


def classes(rows, seed, sharp=1.5, many=4):
    """Probabilities that are right, of rows of which some are hard."""
    rng = np.random.default_rng(seed)
    logits = sharp * rng.normal(size=(rows, many)) * rng.uniform(0.2, 2.0, (rows, 1))
    shares = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    truth = (shares.cumsum(1) < rng.random((rows, 1))).sum(1).clip(max=many - 1)
    return Judged(shares, truth, tuple(np.array(["a", "b", "c"])[rng.integers(0, 3, rows)].tolist()))


def values(rows, seed):
    """Predictions whose errors grow with them and with the first coordinate, and lean to one side."""
    rng = np.random.default_rng(seed)
    predicted, coordinates = rng.normal(size=rows), rng.normal(size=(rows, 2))
    size = np.exp(0.7 * predicted + 0.4 * coordinates[:, 0])
    truth = predicted + size * (rng.exponential(size=rows) - 0.5)
    groups = tuple(np.where(coordinates[:, 1] > 0, "high", "low").tolist())
    return Judged(predicted, truth, groups, np.sqrt((coordinates**2).sum(1)), coordinates)


# Parity with crepes; 500 and 1,201 rows leave (n + 1) c between whole numbers, where both round alike


@pytest.mark.parametrize("coverage", [0.8, 0.9, 0.95])
def test_lac_is_that_of_crepes(coverage):
    calibration, test = classes(500, 0), classes(400, 1)
    ours = fit_regions(calibration, coverage, "lac")
    names = np.arange(4)
    theirs = crepes.ConformalClassifier().fit(hinge(calibration.answers, names, calibration.truth))
    expected = theirs.predict_set(hinge(test.answers), confidence=coverage, smoothing=False).astype(bool)
    expected[np.arange(400), test.answers.argmax(1)] = True
    assert (ours.sets(test.answers) == expected).all()


def test_lac_by_group_is_that_of_crepes():
    calibration, test = classes(1201, 2), classes(300, 3)
    ours = fit_regions(calibration, 0.9, "lac", column="g")
    bins, names = np.array(calibration.groups), np.arange(4)
    theirs = crepes.ConformalClassifier().fit(hinge(calibration.answers, names, calibration.truth), bins=bins)
    expected = theirs.predict_set(
        hinge(test.answers), bins=np.array(test.groups), confidence=0.9, smoothing=False
    ).astype(bool)
    expected[np.arange(300), test.answers.argmax(1)] = True
    assert (ours.sets(test.answers, test.groups) == expected).all()


def test_absolute_intervals_are_those_of_crepes():
    calibration, test = values(500, 0), values(200, 1)
    low, high = fit_regions(calibration, 0.9, "absolute").bounds(test.answers)
    theirs = crepes.ConformalRegressor().fit(calibration.truth - calibration.answers)
    expected = theirs.predict_int(test.answers, confidence=0.9)
    np.testing.assert_allclose(np.stack([low, high], 1), expected, rtol=1e-7, atol=1e-8)


def test_absolute_intervals_by_group_are_those_of_crepes():
    calibration, test = values(1201, 2), values(200, 3)
    low, high = fit_regions(calibration, 0.9, "absolute", column="g").bounds(test.answers, None, test.groups)
    theirs = crepes.ConformalRegressor().fit(calibration.truth - calibration.answers, bins=np.array(calibration.groups))
    expected = theirs.predict_int(test.answers, bins=np.array(test.groups), confidence=0.9)
    np.testing.assert_allclose(np.stack([low, high], 1), expected, rtol=1e-7, atol=1e-8)


def test_normalised_intervals_are_those_of_crepes_with_the_same_difficulty():
    calibration, test = values(801, 4), values(200, 5)
    ours = fit_regions(calibration, 0.9, "normalised", seed=7)
    order = np.random.default_rng(7).permutation(801)
    held = calibration.at(np.sort(order[400:]))  # the other half learned the difficulty
    features = held.features(ours.shape)
    sigma = ours._planes(held.answers, features)[2]
    theirs = crepes.ConformalRegressor().fit(held.truth - held.answers, sigmas=sigma)
    low, high = ours.bounds(test.answers, test.features(ours.shape))
    sigma = ours._planes(test.answers, test.features(ours.shape))[2]
    expected = theirs.predict_int(test.answers, sigmas=sigma, confidence=0.9)
    np.testing.assert_allclose(np.stack([low, high], 1), expected, rtol=1e-7, atol=1e-8)


# Coverage


@pytest.mark.parametrize(
    ("kind", "draw"),
    [("lac", classes), ("aps", classes), ("raps", classes), ("absolute", values), ("normalised", values),
     ("cqr", values)],
)  # fmt: skip
def test_the_rate_is_held_on_average(kind, draw):
    held = [
        held_by(fit_regions(draw(150, 2 * seed), 0.85, kind, seed=seed), draw(200, 2 * seed + 1))[0].mean()
        for seed in range(80)
    ]
    error = np.std(held) / np.sqrt(len(held))
    assert 0.85 - 3.0 * error <= np.mean(held) <= 0.85 + 1.0 / 75 + 3.0 * error + 0.01


def by_size(judged):
    """The same rows in two groups, of small and of large predictions, where errors are small and large."""
    return replace(judged, groups=tuple(np.where(judged.answers > 0, "large", "small").tolist()))


def test_each_group_is_held_at_the_rate():
    held = {None: [], "g": []}
    for seed in range(60):
        calibration, test = by_size(values(400, 2 * seed)), by_size(values(400, 2 * seed + 1))
        large = np.array(test.groups) == "large"
        for column, shares in held.items():
            found = fit_regions(calibration, 0.9, "absolute", column=column)
            shares.append(held_by(found, test)[0][large].mean())
    assert np.mean(held[None]) < 0.86  # one limit for all fails where errors are large
    assert np.mean(held["g"]) == pytest.approx(0.9, abs=0.015)


def test_each_class_is_held_at_the_rate_where_the_target_is_the_column():
    def rare(rows, seed):
        rng = np.random.default_rng(seed)
        truth = (rng.random(rows) < 0.15).astype(np.int64)
        score = 1 / (1 + np.exp(-(rng.normal(size=rows) + 2.0 * truth - 3.0)))
        return Judged(np.stack([1 - score, score], 1), truth)

    plain, own = [], []
    for seed in range(60):
        calibration, test = rare(600, 2 * seed), rare(600, 2 * seed + 1)
        positive = test.truth == 1
        plain.append(held_by(fit_regions(calibration, 0.9, "lac"), test)[0][positive].mean())
        found = fit_regions(calibration, 0.9, "lac", column="target", by_class=True)
        own.append(held_by(found, test)[0][positive].mean())
    assert np.mean(plain) < 0.8
    assert np.mean(own) >= 0.89


# Choices


def test_errors_that_grow_choose_intervals_that_follow_them():
    found = fit_regions(values(2000, 0), 0.9)
    assert found.kind in ("normalised", "cqr")
    assert {each.kind for each in found.tried} == {"absolute", "normalised", "cqr"}
    absolute, picked = (next(each for each in found.tried if each.kind == kind) for kind in ("absolute", found.kind))
    assert picked.score < 0.9 * absolute.score


def test_even_errors_choose_the_simplest():
    rng = np.random.default_rng(0)
    predicted, coordinates = rng.normal(size=1500), rng.normal(size=(1500, 3))
    judged = Judged(predicted, predicted + rng.normal(size=1500), None, np.abs(coordinates[:, 0]), coordinates)
    assert fit_regions(judged, 0.9).kind == "absolute"


def test_of_sets_about_as_small_the_evenest_is_taken():
    lac, aps, raps = (
        Tried(kind=kind, size=size, covered=0.9, worst=worst)
        for kind, size, worst in (("lac", 1.0, 0.2), ("aps", 1.3, 0.0), ("raps", 1.04, 0.1))
    )
    assert chosen([lac, aps, raps]) == "raps"
    assert chosen([lac, aps]) == "lac"


def test_two_classes_are_not_given_raps():
    found = fit_regions(classes(400, 0, many=2), 0.9)
    assert {each.kind for each in found.tried} == {"lac", "aps"}


def test_what_is_asked_for_is_taken_without_a_trial():
    found = fit_regions(classes(400, 0), 0.9, "raps")
    assert (found.kind, found.tried) == ("raps", ())
    assert found.penalty > 0.0


def test_the_same_seed_gives_the_same_regions():
    assert fit_regions(values(500, 0), 0.9, seed=3) == fit_regions(values(500, 0), 0.9, seed=3)


# Rows that are too few, and hostile ones


def test_too_few_rows_have_no_regions():
    assert fit_regions(classes(8, 0), 0.9, "lac") is None
    assert fit_regions(classes(9, 0), 0.9, "lac") is not None
    assert fit_regions(classes(98, 0), 0.99) is None
    assert fit_regions(values(30, 0), 0.95, "cqr") is None
    assert fit_regions(values(30, 0), 0.95) is not None  # absolute


def test_small_groups_share_a_limit():
    judged = classes(300, 0)
    groups = tuple("rare" if place < 3 else None if place < 9 else name for place, name in enumerate(judged.groups))
    found = fit_regions(Judged(judged.answers, judged.truth, groups), 0.9, "lac", column="g")
    assert set(found.groups) == {"a", "b", "c"}
    assert found.others.rows == 9
    alone = fit_regions(Judged(judged.answers, judged.truth, groups), 0.95, "lac", column="g")
    assert alone.others is None


def test_a_class_without_rows_has_the_limit_of_all():
    judged = classes(300, 0)
    found = fit_regions(Judged(judged.answers, np.minimum(judged.truth, 2)), 0.9, "lac", column="t", by_class=True)
    assert found.by_class[3] == found.limit


@pytest.mark.parametrize("truth", [np.zeros(400), np.r_[np.zeros(399), 1e12], np.full(400, 1e-300)])
def test_errors_of_nothing_and_errors_of_everything_are_borne(truth):
    rng = np.random.default_rng(0)
    judged = Judged(np.zeros(400), truth, None, np.ones(400), rng.normal(size=(400, 3)))
    for kind in ("absolute", "normalised", "cqr"):
        found = fit_regions(judged, 0.9, kind)
        low, high = found.bounds(judged.answers, judged.features(found.shape))
        assert np.isfinite(low).all()
        assert (low <= high).all()
        assert held_by(found, judged)[0].mean() >= 0.9


def test_one_class_that_is_always_right():
    shares = np.tile([0.7, 0.3], (100, 1))
    found = fit_regions(Judged(shares, np.zeros(100, np.int64)), 0.9)
    assert found.sets(shares).tolist() == [[True, False]] * 100


# Pieces


def test_a_quantile_plane_is_that_of_a_linear_programme():
    rng = np.random.default_rng(0)
    some = rng.normal(size=(600, 2))
    told = np.concatenate([np.ones((600, 1)), some], 1)
    aim = 1.0 + some @ [2.0, -1.0] + (1.0 + np.abs(some[:, 0])) * rng.normal(size=600)
    theirs = QuantileRegressor(quantile=0.8, alpha=0.0, solver="highs").fit(some, aim)
    ours = quantile_plane(told, aim, 0.8)
    assert ours == pytest.approx([theirs.intercept_, *theirs.coef_], abs=0.05)
    assert (aim <= told @ ours).mean() == pytest.approx(0.8, abs=0.01)


def test_the_worst_stratum_is_the_one_furthest_below():
    strata = np.repeat([1.0, 2.0, 3.0], [50, 50, 5])
    inside = np.r_[np.ones(50), np.zeros(10), np.ones(40), np.zeros(5)].astype(bool)
    assert worst_stratum(inside, strata, 0.9) == pytest.approx(0.1)  # five rows are too few to judge
    assert worst_stratum(np.ones(105, bool), strata, 0.9) == 0.0
