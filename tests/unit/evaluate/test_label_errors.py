"""Confident learning: by hand, and on labels that were flipped on purpose."""

import numpy as np
import pytest

from assay.evaluate.label_errors import suspects


def test_by_hand():
    # Mean own probability: class 0: (0.9 + 0.8 + 0.9 + 0.8 + 0.1) / 5 = 0.7; class 1 likewise.
    first = np.array([0.9, 0.8, 0.9, 0.8, 0.1, 0.1, 0.2, 0.1, 0.2, 0.9])
    labels = np.array([0] * 5 + [1] * 5)
    found = suspects(np.stack([first, 1 - first], 1), labels)
    assert found.places.tolist() == [4, 9]
    assert found.likelier.tolist() == [1, 0]
    # A row that is likelier of the other class, but not as sure as rows of that class are, is left alone.
    first[4] = 0.4
    assert suspects(np.stack([first, 1 - first], 1), labels).places.tolist() == [9]


@pytest.mark.parametrize("seed", range(3))
def test_flipped_labels_are_found_and_few_others(seed):
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, 4, 2000)
    logits = rng.normal(0, 1, (2000, 4))
    logits[np.arange(2000), truth] += 4.0
    probabilities = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    labels, flipped = truth.copy(), rng.choice(2000, 100, replace=False)
    labels[flipped] = (labels[flipped] + rng.integers(1, 4, 100)) % 4
    found = suspects(probabilities, labels)
    right = np.isin(found.places, flipped)
    assert right.sum() >= 75
    assert right.mean() > 0.8
    assert right[:40].all()  # the surest come first
    assert (found.likelier[right] == truth[found.places[right]]).all()


def test_nothing_is_suspected_where_answers_agree_or_classes_are_rare():
    labels = np.arange(300) % 3
    assert len(suspects(np.eye(3)[labels] * 0.9 + 0.1 / 3, labels)) == 0
    rare = np.array([0] * 50 + [1])
    assert len(suspects(np.tile([0.2, 0.8], (51, 1)), rare)) == 0
    assert len(suspects(np.zeros((0, 2)), np.zeros(0, np.int64))) == 0
