"""Rows at the border of their class: told as the paper tells them, by each member's own rows, and only these copied."""

import numpy as np
import pytest
import torch

from assay.data.encoding.batches import Batch, Resident
from assay.data.encoding.encode import Encoded
from assay.train.balance import resampled
from assay.train.border import Border


@pytest.fixture
def rows():
    """Three clouds that touch, of 80, 30 and 12 rows: numbers (n, 2) and classes (n,)."""
    draw = torch.Generator().manual_seed(0)
    target = torch.repeat_interleave(torch.arange(3), torch.tensor([80, 30, 12]))
    centres = torch.tensor([[0.0, 0.0], [2.0, 0.0], [0.0, 2.0]])
    return centres[target] + torch.randn(122, 2, generator=draw), target


DRAWS = torch.tensor([80, 80, 80])


def in_danger(numbers, target, learned):
    """The rule of the paper, row by row."""
    points, classes, found = numbers.numpy(), target.numpy(), []
    for row in np.flatnonzero(learned & (classes > 0)):
        others = np.flatnonzero(learned & (np.arange(len(points)) != row))
        near = others[np.argsort(np.linalg.norm(points[others] - points[row], axis=1))[:10]]
        if 5 <= (classes[near] != classes[row]).sum() < 10:
            found.append(int(row))
    return found


def test_danger_is_told_by_the_ten_nearest_rows(rows):
    numbers, target = rows
    counts = Border.of(numbers, target, DRAWS).counts(target, None)
    expected = in_danger(numbers, target, np.ones(122, bool))
    assert 5 < len(expected) < 42
    assert counts[0].nonzero().flatten().tolist() == expected
    assert counts[0, expected].tolist() == pytest.approx([1.0] * len(expected))


def test_rows_that_a_member_does_not_learn_from_have_no_say(rows):
    numbers, target = rows
    judged = np.random.default_rng(1).permutation(122) < 30
    weight = torch.ones(2, 122)
    weight[0, torch.from_numpy(judged)] = 0.0
    counts = Border.of(numbers, target, DRAWS).counts(target, weight)
    expected = in_danger(numbers, target, ~judged)
    assert (counts[0] > 0).nonzero().flatten().tolist() == expected != in_danger(numbers, target, np.ones(122, bool))

    other = target.clone()  # as if the rows that are judged had each other's classes
    other[torch.from_numpy(judged)] = target[torch.from_numpy(judged)].flip(0)
    again = Border.of(numbers, other, DRAWS).counts(other, weight)
    assert (again[0] > 0).nonzero().flatten().tolist() == expected


def test_copies_count_for_each_member_as_much_as_those_of_all_rows_would(rows):
    numbers, target = rows
    weight = torch.rand(3, 122, generator=torch.Generator().manual_seed(2))
    weight[weight < 0.3] = 0.0
    counts = Border.of(numbers, target, DRAWS).counts(target, weight)
    for name in (1, 2):
        ours = target == name
        drawn = ours & (counts > 0).any(0)
        torch.testing.assert_close((counts * weight)[:, drawn].mean(1), weight[:, ours].mean(1))
    assert (counts[:, target == 0] == 0.0).all()  # the largest class gets no copies


def test_a_class_without_a_border_is_copied_whole():
    numbers = torch.cat([torch.zeros(40, 1), torch.full((12, 1), 100.0)]) + torch.rand(52, 1)
    target = torch.repeat_interleave(torch.arange(2), torch.tensor([40, 12]))
    counts = Border.of(numbers, target, torch.tensor([40, 40])).counts(target, None)
    assert counts[0].tolist() == [0.0] * 40 + [1.0] * 12


def test_rows_are_made_at_the_border_alone():
    # twelve of the class lie far from the other one, eight among its rows
    numbers = torch.cat([torch.linspace(0.0, 3.0, 100), torch.linspace(50.0, 51.0, 12), torch.linspace(2.0, 4.0, 8)])
    target = torch.repeat_interleave(torch.arange(2), torch.tensor([100, 20]))
    empty = torch.zeros(120, 0)
    batch = Batch(Encoded(numbers.unsqueeze(1), empty, torch.arange(120, dtype=torch.int32).unsqueeze(1)), target, None)
    made = resampled(Resident(batch), "borderline")
    (epoch,) = made.epoch(0, 0, 400)
    ours = epoch.inputs.numbers[epoch.target == 1, 0]
    new = ours[~torch.isin(ours, numbers)]
    assert (len(ours), len(epoch)) == (100, 200)
    assert len(new) > 60
    assert 2.0 <= float(new.min()) <= float(new.max()) <= 4.0
    assert torch.isin(numbers[100:], ours).all()  # the rows themselves are all there
