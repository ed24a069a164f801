"""Losses that look at groups: weights and slopes by hand and by autograd, and what they do to gaps."""

import math
import os
import signal
from dataclasses import replace

import pytest
import torch

from assay.data.encoding.batches import Resident
from assay.errors import ConfigError, TerminatedError
from assay.train.config import TrainConfig
from assay.train.fair_loss import GroupDRO, OddsPenalty, group_loss_of
from assay.train.losses import member_losses, row_losses
from assay.train.state import Checkpoints
from assay.train.watch import Unwatched

ONE = torch.ones(1)


@pytest.fixture
def grouped(batch):
    """A batch whose groups differ in what is to be learned of them."""

    def make(rows=64, seed=0, *, groups=2, **more):
        found = batch(rows, seed, **more)
        drawn = torch.randint(0, groups, (rows,), generator=torch.Generator().manual_seed(seed + 7))
        return replace(found, groups=drawn)

    return make


def logits(rows, members=1, classes=2, seed=3):
    return torch.randn(members, rows, classes, generator=torch.Generator().manual_seed(seed), requires_grad=True)


def odds_gap(outputs, rows, groups=2, classes=2):
    """The penalty as it is defined, one cell after another."""
    own = outputs.softmax(-1)[0].gather(1, rows.target[:, None])[:, 0]
    squares = []
    for kind in range(classes):
        of_class = rows.target == kind
        for group in range(groups):
            cell = of_class & (rows.groups == group)
            squares.append((own[cell].mean() - own[of_class].mean()) ** 2)
    return (torch.stack(squares).mean() + 1e-6).sqrt()


@pytest.mark.parametrize("loss", [GroupDRO, OddsPenalty])
def test_groups_are_counted_in_single_precision_whatever_the_network_computes_in(grouped, loss):
    rows, outputs = grouped(rows=1001), logits(1001).detach()
    made = [loss(2, 2, 1, 0.5 * ONE) for _ in range(2)]
    plain = made[0].losses(outputs, rows, None), made[0].judged(outputs, rows)
    with torch.autocast("cpu", torch.bfloat16):
        mixed = made[1].losses(outputs, rows, None), made[1].judged(outputs, rows)
    for one, other in zip(plain, mixed, strict=True):
        torch.testing.assert_close(other, one)
    for name, state in made[0].state().items():
        torch.testing.assert_close(made[1].state()[name], state)


def test_the_weight_of_a_group_grows_with_its_loss(grouped):
    rows, outputs = grouped(), logits(64)
    loss = GroupDRO(groups=2, classes=2, heads=1, steps=0.5 * ONE)
    each = row_losses(outputs, rows.target)[0]
    means = torch.stack([each[(rows.groups == g) & (rows.target == y)].mean() for g in range(2) for y in range(2)])
    grown = 0.25 * (0.5 * means).exp()
    expected = grown / grown.sum()
    found = loss.losses(outputs, rows, None)
    torch.testing.assert_close(loss.shares[0], expected.detach())
    torch.testing.assert_close(found[0], (expected.detach() * means).sum())
    torch.testing.assert_close(loss.judged(outputs, rows)[0], means.max())


def test_a_group_without_rows_in_a_batch_keeps_its_place(grouped):
    rows = grouped()
    rows = replace(rows, groups=torch.zeros_like(rows.groups))
    loss = GroupDRO(groups=2, classes=2, heads=1, steps=0.5 * ONE)
    loss.losses(logits(64), rows, None)
    assert loss.shares[0, 2] == loss.shares[0, 3]
    assert float(loss.shares.sum()) == pytest.approx(1.0)


def test_the_penalty_has_the_value_and_the_slope_of_the_gap(grouped):
    rows, outputs = grouped(200), logits(200)
    loss = OddsPenalty(groups=2, classes=2, heads=1, weights=3.0 * ONE)
    found = loss.losses(outputs, rows, None)
    expected = member_losses(outputs, rows) + 3.0 * odds_gap(outputs, rows)
    torch.testing.assert_close(found, expected)
    (slope,) = torch.autograd.grad(found.sum(), outputs)
    (wanted,) = torch.autograd.grad(expected.sum(), outputs)
    torch.testing.assert_close(slope, wanted)
    torch.testing.assert_close(loss.judged(outputs, rows), expected)


def test_the_penalty_of_classes_and_of_several_heads_is_of_their_mean_answer(grouped):
    rows = grouped(200)
    rows = replace(rows, target=torch.randint(0, 3, (200,), generator=torch.Generator().manual_seed(2)))
    outputs = logits(200, members=4, classes=3)
    loss = OddsPenalty(groups=2, classes=3, heads=2, weights=torch.ones(2))
    found = loss.judged(outputs, rows) - member_losses(outputs, rows, heads=2)
    shares = outputs.softmax(-1).view(2, 2, 200, 3).mean(1)
    expected = torch.stack([odds_gap(one.clamp_min(1e-30).log()[None], rows, classes=3) for one in shares])
    torch.testing.assert_close(found, expected)


def test_rows_count_by_their_weight(grouped):
    rows, outputs = grouped(100), logits(50)
    # Rows that weigh nothing are as good as not there.
    half = replace(rows[:50], weight=None)
    rows = replace(rows, weight=torch.cat([torch.ones(50), torch.zeros(50)]))
    more = torch.cat([outputs, logits(50, seed=9)], 1)
    for make in (
        lambda: GroupDRO(2, 2, 1, 0.1 * ONE),
        lambda: OddsPenalty(2, 2, 1, ONE),
    ):
        torch.testing.assert_close(make().losses(more, rows, None), make().losses(outputs, half, None))


def test_members_go_on_without_each_other_to_the_same_loss(grouped):
    rows, outputs = grouped(), logits(64, members=2)
    for make in (
        lambda *own: GroupDRO(2, 2, 1, torch.tensor(own)),
        lambda *own: OddsPenalty(2, 2, 1, torch.tensor(own)),
    ):
        both, alone = make(0.1, 3.0), make(3.0)
        both.losses(outputs, rows, None)
        alone.losses(outputs[1:], rows, None)
        both.narrow(torch.tensor([1]))
        torch.testing.assert_close(both.losses(outputs[1:], rows, None), alone.losses(outputs[1:], rows, None))
        for name, tensor in both.state().items():
            torch.testing.assert_close(tensor, alone.state()[name])


def test_rows_without_groups_are_refused(batch):
    rows = Resident(batch(10, 0))
    assert group_loss_of(TrainConfig(), [1.0], rows, rows, 1) is None
    with pytest.raises(ConfigError, match="rows of this training come without"):
        group_loss_of(TrainConfig(fairness="group_dro"), [1.0], rows, rows, 1)


def test_a_group_of_rows_that_judge_alone_has_a_place(grouped):
    train, valid = grouped(40), grouped(60, seed=1, groups=3)
    for how in ("group_dro", "equalised_odds"):
        loss = group_loss_of(TrainConfig(fairness=how), [1.0], Resident(train), Resident(valid), 1)
        assert bool(loss.losses(logits(40), train, None).isfinite().all())
        assert bool(loss.judged(logits(60), valid).isfinite().all())


def test_options_that_do_not_go_together_are_refused():
    with pytest.raises(ValueError, match="fairness_weight is of group_dro and equalised_odds"):
        TrainConfig(fairness="reweigh", fairness_weight=2.0)
    with pytest.raises(ValueError, match="no group of their own"):
        TrainConfig(fairness="equalised_odds", mixup=0.2)


def unequal(batch, rows, seed):
    """Rows of which one group is positive twice as often as its cells say."""
    found = batch(rows, seed)
    generator = torch.Generator().manual_seed(seed)
    groups = (found.inputs.extras[:, 0] > 0).long()
    flips = (torch.rand(rows, generator=generator) < 0.35) & (groups == 1)
    return replace(found, target=torch.where(flips, 1, found.target), groups=groups)


def test_a_trained_penalty_narrows_the_gap(batch, network, run):
    train, valid = unequal(batch, 1000, 0), unequal(batch, 1000, 1)
    gaps = {}
    for weight in (None, 5.0):
        made = network()
        asked = {} if weight is None else {"fairness": "equalised_odds", "fairness_weight": weight}
        run(made, train, valid, epochs=8, batch=64, **asked)
        with torch.no_grad():
            inputs = valid.inputs
            gaps[weight] = float(odds_gap(made(inputs.numbers, inputs.extras, inputs.codes), valid))
    assert gaps[5.0] < 0.5 * gaps[None]


def test_group_dro_betters_the_worst_group(batch, network, run):
    train, valid = unequal(batch, 1000, 0), unequal(batch, 1000, 1)
    worst = {}
    for how in ("none", "group_dro"):
        made = network()
        asked = {} if how == "none" else {"fairness": how, "fairness_weight": 5.0}
        run(made, train, valid, epochs=8, batch=64, **asked)
        with torch.no_grad():
            inputs = valid.inputs
            outputs = made(inputs.numbers, inputs.extras, inputs.codes)
        worst[how] = float(GroupDRO(2, 2, 1, 0.1 * ONE).judged(outputs, valid))
    assert worst["group_dro"] < worst["none"]


class _Ends(Unwatched):
    """Asks the training to end in the middle, as SIGTERM does."""

    def epoch(self, record, of):
        if record.epoch == 2:
            os.kill(os.getpid(), signal.SIGTERM)


@pytest.mark.parametrize("how", ["group_dro", "equalised_odds"])
def test_a_training_that_is_ended_goes_on_to_the_same_bits(how, batch, network, run, tmp_path):
    train, valid = unequal(batch, 300, 0), unequal(batch, 100, 1)

    def trained(watch=None, checkpoints=None):
        made = network()
        run(made, train, valid, epochs=4, patience=4, fairness=how, watch=watch, checkpoints=checkpoints)
        return made

    def place():
        return Checkpoints(tmp_path / how, {"data": "d"}, math.inf, tell=lambda text: None)

    whole = trained()
    with pytest.raises(TerminatedError):
        trained(_Ends(), place())
    again = trained(checkpoints=place())
    assert all(torch.equal(a, b) for a, b in zip(whole.parameters(), again.parameters(), strict=True))
