"""Boosted trees are trained on the networks' rows and folds, in a share of the time, to the same trees each time."""

import os
import signal

import numpy as np
import pytest
import torch

from assay.data.encoding.batches import Batch, Resident
from assay.data.encoding.encode import Layout
from assay.errors import BudgetError, TerminatedError
from assay.train.budget import Budget
from assay.train.examples import Examples, Units
from assay.train.families.trees import train_trees
from assay.train.loop import predict
from assay.train.losses import member_losses
from assay.train.state import Checkpoints
from assay.train.watch import Unwatched


class Encoder:
    """All that trees ask of an encoder."""

    layout = Layout(numbers=3, extras=1, vocabularies=(5,))


class Heard(Unwatched):
    """A watch that remembers, and does something when a stretch ends."""

    def __init__(self, at=0, act=None):
        self.records, self.at, self.act = [], at, act

    def epoch(self, record, of):
        self.records.append(record)
        if record.epoch == self.at:
            self.act()


@pytest.fixture
def found(batch):
    """A function that makes examples: of one split, or of so many folds of the same rows."""

    def make(folds=0, *, regression=False, rows=300):
        prior = torch.zeros(1 if regression else 2)
        train, valid = batch(rows, 0, regression=regression), batch(120, 1, regression=regression)
        if folds:
            fold = torch.arange(rows) % folds
            judged = torch.stack([fold == place for place in range(folds)]).float()
            valid = batch(rows, 0, regression=regression, weight=judged)
            train = batch(rows, 0, regression=regression, weight=1.0 - judged)
        return Examples(Encoder(), Units(), prior, Resident(train), valid, train.inputs, train.target, folds)

    return make


def fitted(found, *, budget=None, watch=None, checkpoints=None, seed=0):
    return train_trees(
        found, seed=seed, budget=budget or Budget(None), watch=watch or Unwatched(), threads=1, checkpoints=checkpoints
    )


def same(first, second):
    mine, other = first.network.state_dict(), second.network.state_dict()
    return mine.keys() == other.keys() and all(torch.equal(mine[name], other[name]) for name in mine)


@pytest.mark.parametrize("regression", [False, True])
def test_the_losses_told_are_those_of_the_trees(found, regression):
    rows, heard = found(regression=regression), Heard()
    trees = fitted(rows, watch=heard)
    trained = trees.part.trained
    loss = member_losses(predict(trees.network, rows.valid.inputs), rows.valid)
    np.testing.assert_allclose(trained.best_losses, loss.numpy(), rtol=1e-5)
    assert trees.first_loss > trained.best_losses[0]
    assert trained.epochs == tuple(heard.records)
    assert trained.stopped == "the validation loss had not improved for 20 rounds"
    assert not trained.limited_by_budget
    assert (trees.part.name, trees.part.is_network) == ("trees", False)
    assert trees.part.parameters == trees.network.parameter_count


def test_each_fold_has_trees_that_have_not_seen_its_rows(found):
    rows = found(3)
    trees = fitted(rows)
    assert trees.network.members == 3
    # A fold's trees are those of the rows that the fold learns from, judged by the others.
    for fold in range(3):
        learns, judged = rows.train.weight[fold] > 0, rows.valid.weight[fold] > 0
        whole = rows.train.rows
        train = Batch(whole.inputs[learns], whole.target[learns], None)
        valid = Batch(whole.inputs[judged], whole.target[judged], None)
        alone = Examples(Encoder(), Units(), rows.prior, Resident(train), valid, train.inputs, train.target)
        expected = predict(fitted(alone).network, whole.inputs)[0]
        assert torch.equal(predict(trees.make([fold]), whole.inputs)[0], expected)
        assert torch.equal(predict(trees.network, whole.inputs)[fold], expected)


def test_the_same_seed_gives_the_same_trees(found):
    assert same(fitted(found(2)), fitted(found(2)))


def test_row_weights_count(found):
    rows = found()
    heavy = Examples(
        Encoder(), Units(), rows.prior, rows.train.weighing(1.0 + 9.0 * (rows.train.rows.inputs.numbers[:, 1] > 0)),
        rows.valid, rows.sample, rows.targets,
    )  # fmt: skip
    assert not same(fitted(rows), fitted(heavy))


def test_the_budget_cuts_rounds_and_says_so(found):
    now = [0.0]
    heard = Heard(at=2, act=lambda: now.__setitem__(0, 9.9))
    trees = fitted(found(), budget=Budget(10.0, 0.0, lambda: now[0]), watch=heard)
    assert trees.part.trained.stopped == "the time budget was used up"
    assert trees.part.trained.limited_by_budget
    assert [record.step for record in heard.records][:2] == [5, 15]


def test_no_time_at_all_is_an_error(found):
    with pytest.raises(BudgetError, match="leave time for the first boosted trees"):
        fitted(found(), budget=Budget(1.0, 0.0, lambda: 2.0))


def test_one_class_is_nothing_to_learn(found):
    rows = found()
    rows.train.rows.target.zero_()
    with pytest.raises(BudgetError, match="of one class"):
        fitted(rows)


def interrupt():
    raise KeyboardInterrupt  # not by a signal, which a process in the background may have been started to ignore


def test_interrupted_what_has_grown_is_kept(found):
    trees = fitted(found(2), watch=Heard(at=1, act=interrupt))
    assert trees.part.trained.interrupted
    assert trees.part.trained.stopped == "it was interrupted"
    assert all(forest.rounds <= 15 for forest in trees.network.forests)


def test_finished_trees_are_taken_up_and_unfinished_ones_are_grown_again(found, tmp_path):
    place = Checkpoints(tmp_path / "trees", {"data": "d"})
    whole, heard = Heard(), Heard()
    expected = fitted(found(2), watch=whole)
    with pytest.raises(TerminatedError, match="while boosted trees were grown"):
        fitted(found(2), checkpoints=place, watch=Heard(at=1, act=lambda: os.kill(os.getpid(), signal.SIGTERM)))
    assert place.newest is None
    assert same(fitted(found(2), checkpoints=place), expected)
    assert place.newest == expected.part.trained.steps
    taken = fitted(found(2), checkpoints=place, watch=heard)
    assert same(taken, expected)
    assert [(r.epoch, r.valid_loss) for r in heard.records] == [(r.epoch, r.valid_loss) for r in whole.records]
    assert taken.part.trained.best_losses == expected.part.trained.best_losses
    assert taken.part.options == expected.part.options
