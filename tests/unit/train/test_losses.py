import math
from dataclasses import replace

import pytest
import torch
from scipy.optimize import minimize_scalar
from torch.nn import functional

from assay.data.encoding.batches import Batch
from assay.data.encoding.encode import Encoded
from assay.train.losses import (
    average_score,
    member_errors,
    member_losses,
    refined_losses,
    score_name,
    selection_losses,
)


def classes_of(target, weight=None):
    empty = torch.zeros(len(target), 0)
    return Batch(Encoded(empty, empty, empty.int()), torch.as_tensor(target), weight)


@pytest.fixture
def logits():
    return torch.randn(3, 20, 4, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def rows():
    return classes_of(torch.randint(0, 4, (20,), generator=torch.Generator().manual_seed(1)))


def test_losses_are_those_of_torch_each_with_its_own_smoothing(logits, rows):
    shares = (0.0, 0.2, 0.7)
    expected = [
        functional.cross_entropy(one, rows.target, label_smoothing=share)
        for one, share in zip(logits, shares, strict=True)
    ]
    torch.testing.assert_close(member_losses(logits, rows, torch.tensor(shares)), torch.stack(expected))
    plain = [functional.cross_entropy(one, rows.target) for one in logits]
    torch.testing.assert_close(member_losses(logits, rows), torch.stack(plain))


def test_squared_errors_are_those_of_torch(batch):
    rows = batch(20, 0, regression=True)
    values = torch.randn(3, 20, 1, generator=torch.Generator().manual_seed(0))
    expected = [functional.mse_loss(one[:, 0], rows.target) for one in values]
    torch.testing.assert_close(member_losses(values, rows), torch.stack(expected))
    torch.testing.assert_close(member_errors(values, rows), torch.stack(expected))


def test_weights_are_shared_or_each_members_own(logits, rows):
    each = torch.stack([functional.cross_entropy(one, rows.target, reduction="none") for one in logits])
    weight = torch.rand(3, 20, generator=torch.Generator().manual_seed(2))
    shared = (each * weight[0]).sum(1) / weight[0].sum()
    torch.testing.assert_close(member_losses(logits, classes_of(rows.target, weight[0])), shared)
    own = (each * weight).sum(1) / weight.sum(1)
    torch.testing.assert_close(member_losses(logits, classes_of(rows.target, weight)), own)
    nothing = member_losses(logits, classes_of(rows.target, torch.zeros(3, 20)))
    assert nothing.tolist() == [0.0, 0.0, 0.0]


def test_heads_are_judged_one_by_one_and_answer_together(logits, rows):
    outputs = torch.cat([logits, logits.flip(2)])  # two members of three heads
    weight = torch.rand(2, 20, generator=torch.Generator().manual_seed(2))
    weighted = classes_of(rows.target, weight)
    single = member_losses(outputs, classes_of(rows.target, weight.repeat_interleave(3, 0)))
    torch.testing.assert_close(member_losses(outputs, weighted, heads=3), single.view(2, 3).mean(1))
    shares = outputs.softmax(-1).view(2, 3, 20, 4).mean(1)
    wrong = (shares.argmax(-1) != rows.target).float()
    torch.testing.assert_close(member_errors(outputs, rows, heads=3), wrong.mean(1))
    torch.testing.assert_close(member_errors(outputs, weighted, heads=3), (wrong * weight).sum(1) / weight.sum(1))


def test_the_score_of_an_epoch_is_that_of_the_members_average():
    logits = torch.tensor(
        [[[2.0, 0.0], [0.0, 1.0], [0.0, 3.0], [1.0, 0.0]], [[0.0, 1.0], [0.0, 1.0], [0.0, 1.0], [0.0, 3.0]]]
    )
    assert average_score(logits, classes_of([0, 1, 0, 1])) == pytest.approx(0.75)
    assert average_score(logits, classes_of([0, 1, 0, 1], torch.tensor([1.0, 1.0, 6.0, 0.0]))) == pytest.approx(0.25)
    values = classes_of([0.0, 1.0, 2.0, 3.0])
    assert average_score(values.target.view(1, 4, 1), values) == pytest.approx(1.0)
    assert average_score(torch.full((2, 4, 1), 1.5), values) == pytest.approx(0.0)
    assert math.isnan(average_score(torch.zeros(1, 4, 1), classes_of(torch.ones(4))))


def test_a_row_of_a_fold_counts_with_the_member_that_did_not_learn_from_it():
    target = classes_of([0, 1, 0, 1], torch.tensor([[1.0, 1.0, 0.0, 0.0], [0.0, 0.0, 1.0, 1.0]]))
    right = functional.one_hot(target.target).float() * 9
    outputs = torch.stack([right, 9 - right])  # the first member is always right, the second never
    assert average_score(outputs, target) == pytest.approx(0.5)
    assert average_score(outputs.flip(0), target) == pytest.approx(0.5)
    both = torch.stack([right[[0, 1, 0, 0]], right[[1, 1, 2, 3]]])
    assert average_score(both, target) == pytest.approx(1.0)
    values = Batch(target.inputs, target.target.float(), target.weight)
    assert average_score(torch.stack([values.target, 1 - values.target]).unsqueeze(2), values) == pytest.approx(-1.0)
    heads = average_score(both.repeat_interleave(2, 0), target)
    assert heads == pytest.approx(1.0)


def test_labels_have_a_cross_entropy_each_smoothed_towards_one_half():
    generator = torch.Generator().manual_seed(0)
    logits, weight = torch.randn(2, 20, 3, generator=generator), torch.rand(20, generator=generator)
    target = torch.randint(0, 2, (20, 3), generator=generator, dtype=torch.uint8)
    rows, weighted = classes_of(target), classes_of(target, weight)
    each = functional.binary_cross_entropy_with_logits(logits, target.float().expand(2, -1, -1), reduction="none").mean(
        2
    )
    torch.testing.assert_close(member_losses(logits, rows), each.mean(1))
    torch.testing.assert_close(member_losses(logits, weighted), (each * weight).sum(1) / weight.sum())
    aims = 0.8 * target.float() + 0.1
    smoothed = torch.stack([functional.binary_cross_entropy_with_logits(one, aims) for one in logits])
    torch.testing.assert_close(member_losses(logits, rows, torch.tensor([0.2, 0.2])), smoothed)
    torch.testing.assert_close(member_errors(logits, rows), each.mean(1))  # there is no decision to count


def test_aims_are_learned_in_the_place_of_classes_and_of_labels(logits, rows):
    aims = torch.randn(20, 4, generator=torch.Generator().manual_seed(3)).softmax(1)
    expected = torch.stack([functional.cross_entropy(one, aims) for one in logits])
    smoothing = torch.full((3,), 0.2)  # what is aimed at is as smooth as it should be
    torch.testing.assert_close(member_losses(logits, replace(rows, aims=aims), smoothing), expected)
    sure = replace(rows, aims=functional.one_hot(rows.target, 4).float())
    torch.testing.assert_close(member_losses(logits, sure), member_losses(logits, rows))

    labels = replace(classes_of((aims > 0.25).to(torch.uint8)), aims=aims)
    expected = torch.stack([functional.binary_cross_entropy_with_logits(one, aims) for one in logits])
    torch.testing.assert_close(member_losses(logits, labels), expected)


def test_the_score_of_labels_is_the_share_that_is_right():
    logits = torch.tensor([[[2.0, -1.0], [-3.0, 4.0]]])
    rows = classes_of(torch.tensor([[1, 1], [0, 1]], dtype=torch.uint8), torch.tensor([1.0, 3.0]))
    assert average_score(logits, rows) == pytest.approx((0.5 + 3.0) / 4.0)
    assert score_name(rows.target) == "label accuracy"
    assert score_name(torch.zeros(2, dtype=torch.int64)) == "accuracy"
    assert score_name(torch.zeros(2)) == "R2"


def lowest(logits, rows, weight=None):
    """The least cross-entropy of the mean of heads, (k, n, C), over temperatures from 1/4 to 8, by scipy."""

    def loss(log_temperature):
        shares = (logits / math.exp(log_temperature)).softmax(2).mean(0)
        each = -shares[range(len(rows)), rows.target].log()
        return float(each.mean() if weight is None else (each * weight).sum() / weight.sum())

    return minimize_scalar(loss, bounds=(math.log(0.25), math.log(8.0)), method="bounded").fun


@pytest.mark.parametrize("factor", [0.5, 1.0, 3.0])
def test_what_is_left_of_a_loss_is_that_at_the_best_temperature(factor):
    generator = torch.Generator().manual_seed(3)
    logits = torch.randn(6, 200, 4, generator=generator)
    target = torch.multinomial((2.0 * logits.mean(0)).softmax(1), 1, generator=generator)[:, 0]
    weight = torch.rand(2, 200, generator=generator)
    rows, weighted, told = classes_of(target), classes_of(target, weight), logits * factor
    expected = torch.tensor([float(lowest(each, rows)) for each in told.view(2, 3, 200, 4)])
    torch.testing.assert_close(refined_losses(told, rows, heads=3), expected, rtol=1e-3, atol=0.0)
    own = torch.tensor([float(lowest(each, rows, w)) for each, w in zip(told.view(2, 3, 200, 4), weight, strict=True)])
    torch.testing.assert_close(refined_losses(told, weighted, heads=3), own, rtol=1e-3, atol=0.0)
    alone = refined_losses(told, rows)
    assert alone.shape == (6,)
    assert bool((alone <= member_losses(told, rows) + 1e-4).all())


def test_what_is_left_of_a_loss_without_an_error_and_without_a_class():
    rows = classes_of([0, 1, 0, 1])
    right = functional.one_hot(rows.target).float().unsqueeze(0) * 2.0
    at_the_edge = functional.cross_entropy(right[0] * 4.0, rows.target)  # the coldest that is tried is a quarter
    torch.testing.assert_close(refined_losses(right, rows), at_the_edge.view(1))
    assert not refined_losses(torch.full_like(right, torch.nan), rows).isfinite()
    values = classes_of(torch.tensor([0.0, 1.0]))
    outputs = torch.tensor([[[0.5], [0.5]]])
    torch.testing.assert_close(refined_losses(outputs, values), torch.tensor([0.25]))


def test_an_epoch_is_chosen_by_what_was_asked_for(logits, rows):
    torch.testing.assert_close(selection_losses("loss", logits, rows), member_losses(logits, rows))
    torch.testing.assert_close(selection_losses("refinement", logits, rows), refined_losses(logits, rows))
    by_errors = member_errors(logits, rows) + 1e-6 * member_losses(logits, rows)
    torch.testing.assert_close(selection_losses("metric", logits, rows), by_errors)
