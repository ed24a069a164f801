"""Distillation: rows that stand for probabilities, by hand and against the cross-entropy."""

import numpy as np
import pytest
import torch
from torch.nn import functional

from assay.search.distill import soft_rows


def test_a_row_is_as_many_rows_as_it_has_likely_classes():
    told, target = np.array([[0.8, 0.2], [0.5, 0.5]]), np.array([0, 1])
    places, classes, shares = soft_rows(told.copy(), target)
    assert places.tolist() == [0, 0, 1, 1]
    assert classes.tolist() == [0, 1, 0, 1]
    # 0.7 of what the teacher says and 0.3 of the class
    assert shares.tolist() == pytest.approx([0.86, 0.14, 0.35, 0.65])


def test_their_weighted_losses_are_the_cross_entropy_with_the_aims():
    rng = np.random.default_rng(0)
    told, target = rng.dirichlet(np.ones(3), 20), rng.integers(0, 3, 20)
    outputs = torch.from_numpy(rng.normal(size=(20, 3)))
    places, classes, shares = soft_rows(told.copy(), target)
    each = functional.cross_entropy(outputs[places], torch.from_numpy(classes), reduction="none")
    aims = 0.7 * told + 0.3 * np.eye(3)[target]
    whole = functional.cross_entropy(outputs, torch.from_numpy(aims), reduction="sum")
    assert float((each * torch.from_numpy(shares)).sum()) == pytest.approx(float(whole))


def test_of_many_classes_the_likeliest_are_kept_and_sum_to_one():
    told = np.array([[0.4, 0.3, 0.2, 0.06, 0.04]])
    _, classes, shares = soft_rows(told, np.array([4]))
    assert classes.tolist() == [0, 1, 4]
    assert shares.sum() == pytest.approx(1.0)
    assert shares[2] == pytest.approx(0.328 / (0.28 + 0.21 + 0.328))
