import numpy as np
import pytest
import torch

from assay.models.trees import Trees
from assay.train.families.booster import Columns, Learned, NothingToLearnError
from assay.train.families.label_booster import LabelBooster

COLUMNS = Columns(np.array([2, 0, 1], np.int64), (6,))


@pytest.fixture
def rows():
    """A category that decides label 0, a number that decides label 1, a label of all rows, and one of none."""
    rng = np.random.default_rng(0)
    codes, numbers = rng.integers(0, 6, 400), rng.normal(size=(400, 2))
    target = np.stack([codes % 2, numbers[:, 0] > 0.5, np.ones(400), np.zeros(400)], axis=1).astype(np.uint8)
    matrix = np.column_stack([codes, numbers]).astype(np.float32)
    return Learned(matrix[:300], target[:300], None), Learned(matrix[300:], target[300:], None)


def grown(rows, rounds=30):
    booster = LabelBooster(*rows, COLUMNS, rate=0.3, most=50, seed=0)
    booster.grow(rounds)
    return booster


def test_a_forest_answers_with_the_logits_of_each_label(rows):
    booster = grown(rows)
    prior = np.array([0.0, 0.0, 5.0, -5.0])
    forest = booster.forest(prior)
    valid = rows[1]
    codes = torch.from_numpy(valid.matrix[:, :1]).int()
    numbers = torch.from_numpy(valid.matrix[:, 1:])
    logits = Trees([forest])(numbers, torch.zeros(100, 0), codes)[0].numpy()
    for label, own in booster._boosters.items():
        expected = next(
            stage for place, stage in enumerate(own._model.staged_decision_function(own._counted(valid).matrix), 1)
            if place == own.best
        )  # fmt: skip
        np.testing.assert_allclose(logits[:, label], expected.ravel(), atol=1e-5)
    assert logits[:, 2:].tolist() == [[5.0, -5.0]] * 100
    assert ((logits[:, :2] > 0) == valid.target[:, :2]).mean() > 0.97


def test_its_losses_are_means_and_never_rise(rows):
    booster = grown(rows)
    assert len(booster.valid_losses) == booster.rounds + 1
    assert (np.diff(booster.valid_losses) <= 0).all()
    first = np.mean([each.valid_losses[0] for each in booster._boosters.values()])
    assert booster.valid_losses[0] == pytest.approx(first)
    assert 1 <= booster.best <= booster.rounds


def test_labels_of_which_nothing_can_be_learned_are_refused(rows):
    train, valid = (Learned(each.matrix, each.target[:, 2:], None) for each in rows)
    with pytest.raises(NothingToLearnError, match="no label varies"):
        LabelBooster(train, valid, COLUMNS, rate=0.3, most=50, seed=0)


def test_the_check_before_first_rounds_may_stop_it(rows):
    def stop():
        raise TimeoutError

    with pytest.raises(TimeoutError):
        LabelBooster(*rows, COLUMNS, rate=0.3, most=50, seed=0, check=stop).grow(5)
