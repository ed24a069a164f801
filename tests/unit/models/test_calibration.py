"""Maps of probabilities: the same numbers in NumPy and in torch, normalised, and in order where they should be."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit, logit, softmax

from assay.models.calibration import TAIL, Calibrated, CalibrationMap

MAPS = {
    "Platt": CalibrationMap("vector", (0.6,), (0.6,), (0.4,)),
    "beta of two": CalibrationMap("beta", (0.5,), (1.5,), (-0.2,)),
    "isotonic": CalibrationMap("isotonic", knots=(-3.0, -0.5, 0.2, 4.0), heights=(-2.0, -1.9, 0.8, 1.5)),
    "vector": CalibrationMap("vector", (0.6, 1.0, 2.0), (), (0.1, -0.5, 0.0)),
    "beta": CalibrationMap("beta", (0.5, 1.0, 2.0), (1.5, 1.0, 0.0), (0.1, -0.2, 0.0)),
}
OF_TWO, OF_THREE = ("Platt", "beta of two", "isotonic"), ("isotonic", "vector", "beta")


def stated(classes, seed=0, rows=400):
    return softmax(np.random.default_rng(seed).normal(0, 4, (rows, classes)), axis=1)


@pytest.mark.parametrize(("name", "classes"), [*((n, 2) for n in OF_TWO), *((n, 3) for n in OF_THREE)])
def test_torch_computes_what_numpy_does(name, classes):
    rows = np.concatenate([stated(classes), np.eye(classes), np.full((1, classes), 1 / classes)])
    found = MAPS[name].apply(rows)
    assert found.sum(axis=1) == pytest.approx(np.ones(len(rows)), abs=1e-12)
    assert np.isfinite(found).all()
    assert (found >= 0).all()
    assert Calibrated(MAPS[name])(torch.from_numpy(rows)).numpy() == pytest.approx(found, abs=1e-12)


def test_formulas_are_those_of_the_papers():
    rows = stated(2)
    p = rows[:, 1]
    assert MAPS["Platt"].apply(rows)[:, 1] == pytest.approx(expit(0.6 * logit(p) + 0.4))
    beta = expit(0.5 * np.log(p) - 1.5 * np.log1p(-p) - 0.2)
    assert MAPS["beta of two"].apply(rows)[:, 1] == pytest.approx(beta)
    many = stated(3)
    assert MAPS["vector"].apply(many) == pytest.approx(softmax(np.log(many) * [0.6, 1, 2] + [0.1, -0.5, 0], axis=1))
    shares = expit(np.log(many) * [0.5, 1, 2] - np.log1p(-many) * [1.5, 1, 0] + [0.1, -0.2, 0])
    assert MAPS["beta"].apply(many) == pytest.approx(shares / shares.sum(axis=1, keepdims=True))


def test_an_isotonic_map_is_a_line_through_its_knots_and_goes_on_gently():
    found = MAPS["isotonic"]
    odds = np.array([-3.0, -1.75, 0.2, 4.0, 6.0, -5.0])
    expected = np.array([-2.0, -1.95, 0.8, 1.5, 1.5 + 2 * TAIL, -2.0 - 2 * TAIL])
    rows = np.stack([expit(-odds), expit(odds)], axis=1)
    assert logit(found.apply(rows)[:, 1]) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("name", OF_TWO)
@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 1000))
def test_no_two_answers_become_one_and_none_pass_each_other(name, seed):
    p = np.sort(np.random.default_rng(seed).uniform(1e-6, 1 - 1e-6, 50))
    found = MAPS[name].apply(np.stack([1 - p, p], axis=1))[:, 1]
    assert (np.diff(found) > 0).all()


def test_one_function_for_all_classes_keeps_the_likeliest():
    rows = stated(5, seed=3)
    assert (MAPS["isotonic"].apply(rows).argsort(axis=1) == rows.argsort(axis=1)).all()


@pytest.mark.parametrize("labels", [2, 3])
def test_labels_are_mapped_each_for_itself(labels):
    rows = np.random.default_rng(0).random((100, labels))
    slopes, rests, shifts = (0.5, 2.0, 1.0)[:labels], (1.0, 2.0, 1.0)[:labels], (0.3, -1.0, 0.0)[:labels]
    found = CalibrationMap("beta", slopes, rests, shifts, has_labels=True)
    expected = expit(np.log(rows) * slopes - np.log1p(-rows) * rests + shifts)
    assert found.apply(rows) == pytest.approx(expected)
    assert Calibrated(found)(torch.from_numpy(rows)).numpy() == pytest.approx(expected)
