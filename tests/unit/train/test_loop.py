import itertools
import math
import time
from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional

from assay.data.encode import Encoded
from assay.errors import BudgetError, DivergenceError
from assay.train import loop
from assay.train.budget import Budget
from assay.train.config import TrainConfig
from assay.train.loop import Batch, BestWeights, average_score, epoch_order, fit, member_losses, predict
from assay.train.schedule import warm_cosine
from assay.train.watch import Unwatched

FOREVER = Budget(None)


class Witness(Unwatched):
    """Keeps the epochs, and may raise once one of them has ended."""

    def __init__(self, raise_in=None):
        self.epochs = []
        self.raise_in = raise_in

    def epoch(self, record, of):
        self.epochs.append((record, of))
        if record.epoch == self.raise_in:
            raise KeyboardInterrupt


def settings(**changes) -> TrainConfig:
    return TrainConfig(**{"epochs": 5, "batch": 32, "lr": 0.01} | changes)


def run(made, train, valid, *, seed=0, budget=FOREVER, watch=None, **changes):
    return fit(made, train, valid, settings(**changes), seed=seed, budget=budget, watch=watch or Unwatched())


def weights(made):
    return torch.cat([parameter.detach().flatten() for parameter in made.parameters()])


def losses(trained):
    return [epoch.train_loss for epoch in trained.epochs]


# The course of a fit


def test_a_fit_learns_and_keeps_the_best_epoch(network, train, valid):
    made, watch = network(), Witness()
    start = float(member_losses(predict(made, valid.inputs), valid, 0.0)[0])
    trained = run(made, train, valid, watch=watch, epochs=8)
    assert [record.epoch for record, _ in watch.epochs] == list(range(1, 9))
    assert [record for record, _ in watch.epochs] == list(trained.epochs)
    assert {of for _, of in watch.epochs} == {8}
    assert (trained.steps, trained.horizon, trained.stopped) == (64, 64, "all epochs were run")
    by_valid = [epoch.valid_loss for epoch in trained.epochs]
    assert trained.best_epoch == by_valid.index(min(by_valid)) + 1
    assert min(by_valid) < 0.6 * start
    kept = float(member_losses(predict(made, valid.inputs), valid, 0.0)[0])
    assert kept == pytest.approx(min(by_valid), rel=1e-6)
    assert not made.training


def test_an_epoch_records_its_rate_and_norm(network, train, valid):
    trained = run(network(), train, valid, epochs=4, lr=0.02, warmup=0.0)
    assert [epoch.step for epoch in trained.epochs] == [8, 16, 24, 32]
    expected = [0.02 * warm_cosine(step - 1, 32, 0.0) for step in (8, 16, 24, 32)]
    assert [epoch.learning_rate for epoch in trained.epochs] == pytest.approx(expected)
    assert all(epoch.gradient_norm > 0 for epoch in trained.epochs)
    assert sorted(epoch.seconds for epoch in trained.epochs) == [epoch.seconds for epoch in trained.epochs]


def test_the_share_of_clipped_steps_is_counted(network, train, valid):
    assert run(network(), train, valid, epochs=2, clip_norm=1e-4).clipped == 1.0
    assert run(network(), train, valid, epochs=2, clip_norm=1e4).clipped == 0.0
    assert run(network(), train, valid, epochs=2, clip_norm=0.0).clipped == 0.0


def test_a_regression_learns_too(network, batch):
    made = network(outputs=1)
    trained = run(made, batch(256, 0, regression=True), batch(128, 1, regression=True), epochs=10)
    assert trained.epochs[0].valid_loss < 1.5
    assert min(epoch.valid_loss for epoch in trained.epochs) < 0.3


# Order and determinism


@given(rows=st.integers(1, 300), seed=st.integers(0, 2**40), epoch=st.integers(0, 500))
def test_the_order_is_a_permutation_and_a_pure_function(rows, seed, epoch):
    torch.manual_seed(epoch)
    order = epoch_order(rows, seed, epoch)
    torch.rand(3)
    assert sorted(order.tolist()) == list(range(rows))
    assert torch.equal(order, epoch_order(rows, seed, epoch))


def test_orders_differ_by_seed_and_epoch():
    orders = {tuple(epoch_order(50, seed, epoch).tolist()) for seed in range(5) for epoch in range(5)}
    assert len(orders) == 25


def test_the_same_seed_gives_the_same_bits_with_dropout(network, train, valid):
    found = []
    for noise in (1, 2):
        torch.manual_seed(noise)
        made = network(seed=3, dropout=0.3, members=2)
        found.append((losses(run(made, train, valid, seed=3)), weights(made)))
    assert found[0][0] == found[1][0]
    assert torch.equal(found[0][1], found[1][1])
    other = network(seed=4, dropout=0.3, members=2)
    assert losses(run(other, train, valid, seed=4)) != found[0][0]


def test_the_callers_random_numbers_are_left_alone(network, train, valid):
    torch.manual_seed(7)
    expected = torch.rand(4)
    torch.manual_seed(7)
    run(network(dropout=0.5), train, valid)
    assert torch.equal(torch.rand(4), expected)


def test_members_train_as_they_would_alone(network, train, valid):
    together = network(seed=10, members=3)
    run(together, train, valid, seed=10, epochs=3)
    outputs = predict(together, valid.inputs)
    for member in range(3):
        alone = network(seed=10 + member)
        run(alone, train, valid, seed=10, epochs=3)
        torch.testing.assert_close(outputs[member], predict(alone, valid.inputs)[0], rtol=1e-4, atol=1e-5)


# Best weights and early stopping


def test_each_member_keeps_its_own_best_weights(network):
    made = network(members=2, batch_norm=True)
    best = BestWeights(made, 2)
    tensors = {**dict(made.named_parameters()), "mean": made.hidden[0].norm.mean}

    def fill(value):
        for tensor in tensors.values():
            tensor.data.fill_(value)

    fill(1.0)
    assert best.update(torch.tensor([1.0, 1.0]), 1)
    fill(2.0)
    assert best.update(torch.tensor([0.5, 2.0]), 2)
    fill(3.0)
    assert not best.update(torch.tensor([0.5, 1.0]), 3)
    assert best.epoch == 2
    best.restore()
    for tensor in tensors.values():
        halves = tensor.detach().reshape(2, -1)
        assert (halves[0] == 2.0).all()
        assert (halves[1] == 1.0).all()


def test_training_ends_when_patience_does(network, train, batch):
    opposite = batch(128, 1)
    opposite = replace(opposite, target=1 - opposite.target)
    made = network()
    trained = run(made, train, opposite, epochs=50, patience=3)
    assert trained.best_epoch == 1
    assert len(trained.epochs) == 4
    assert trained.stopped == "the validation loss had not improved for 3 epochs"
    kept = float(member_losses(predict(made, opposite.inputs), opposite, 0.0)[0])
    assert kept == pytest.approx(trained.epochs[0].valid_loss, rel=1e-6)


# Budget


def test_a_spent_budget_is_refused_before_the_first_step(network, train, valid):
    spent = Budget(1.0, started=time.monotonic() - 5.0)
    with pytest.raises(BudgetError, match="5 s had passed before the first step"):
        run(network(), train, valid, budget=spent)


def test_a_budget_shortens_the_schedule_and_is_kept(network, train, valid):
    begun = time.monotonic()
    trained = run(network(), train, valid, epochs=10_000, patience=10_000, budget=Budget(0.5))
    assert trained.limited_by_budget
    assert trained.stopped == "the time budget was used up"
    assert 0 < trained.steps == trained.horizon < 80_000
    assert time.monotonic() - begun < 1.5
    assert trained.epochs[-1].learning_rate < 0.01


def test_a_budget_is_kept_by_slow_steps(network, train, valid, monkeypatch):
    """Ten steps of a second fill the budget: the loop may not wait for forty before it looks at the clock."""
    seconds = [0.0]

    def rate(step, steps, warmup):
        seconds[0] += 1.0
        return warm_cosine(step, steps, warmup)

    monkeypatch.setattr(loop, "warm_cosine", rate)
    monkeypatch.setattr(loop.time, "monotonic", lambda: seconds[0])
    trained = run(network(), train, valid, epochs=100, budget=Budget(10.0))
    assert trained.limited_by_budget
    assert 8 <= trained.steps <= 10
    assert trained.steps == trained.horizon


def test_a_wide_budget_changes_nothing(network, train, valid):
    free, wide = run(network(), train, valid, epochs=8), run(network(), train, valid, epochs=8, budget=Budget(600.0))
    assert not wide.limited_by_budget
    assert losses(free) == losses(wide)


# Divergence


def test_divergence_names_step_norm_and_rate(network, train, valid):
    made = network(outputs=1)
    numbers = Batch(train.inputs, train.target.float() * 1e19, None)
    with pytest.raises(
        DivergenceError, match=r"at step 1 the loss was inf .*gradient norm .* learning rate of 0"
    ) as caught:
        run(made, numbers, numbers, lr=0.01)
    assert "train.lr=0.001" in str(caught.value)


def test_a_rate_of_ten_without_clipping_diverges_with_a_message(network, batch):
    made = network(outputs=1, layers=6)
    rows = batch(256, 0, regression=True)
    with pytest.raises(DivergenceError, match=r"at step \d+ the loss was|after step \d+ the validation loss was"):
        run(made, rows, rows, lr=10.0, clip_norm=0.0, warmup=0.0, epochs=200, patience=200)


def test_an_infinite_weight_is_found_in_the_first_epoch(network, train, valid):
    made = network()
    made.hidden[0].linear.weight.data[0, 0, 0] = torch.inf
    with pytest.raises(DivergenceError, match=r"at step 1 .*one step before: not known"):
        run(made, train, valid)


def test_weights_spoiled_by_the_last_step_are_not_kept_in_silence(network, train, valid):
    made = network()
    broken = Batch(replace(valid.inputs, numbers=valid.inputs.numbers * torch.nan), valid.target, None)
    with pytest.raises(DivergenceError, match="after step 8 the validation loss was nan at"):
        run(made, train, broken, epochs=1)


# Interruption


def test_ctrl_c_keeps_the_best_weights_so_far(network, train, valid):
    interrupted = network()
    trained = run(interrupted, train, valid, watch=Witness(raise_in=2), epochs=8)
    assert trained.interrupted
    assert trained.stopped == "it was interrupted"
    assert len(trained.epochs) == 2
    best = min(epoch.valid_loss for epoch in trained.epochs)
    assert float(member_losses(predict(interrupted, valid.inputs), valid, 0.0)[0]) == pytest.approx(best, rel=1e-6)


def test_ctrl_c_in_the_first_epoch_keeps_the_weights_as_they_stand(network, train, valid, monkeypatch):
    made, start = network(), weights(network())
    calls = itertools.count()

    def rate(*arguments):
        if next(calls) == 3:
            raise KeyboardInterrupt
        return 1.0

    monkeypatch.setattr(loop, "warm_cosine", rate)
    trained = run(made, train, valid)
    assert (trained.interrupted, trained.steps, trained.best_epoch, trained.epochs) == (True, 3, 0, ())
    assert not torch.equal(weights(made), start)


def test_ctrl_c_before_the_first_step_is_passed_on(network, train, valid, monkeypatch):
    def rate(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(loop, "warm_cosine", rate)
    with pytest.raises(KeyboardInterrupt):
        run(network(), train, valid)


# Losses


def test_losses_are_those_of_torch(batch):
    generator = torch.Generator().manual_seed(0)
    rows = batch(20, 0)
    logits = torch.randn(3, 20, 2, generator=generator)
    for smoothing in (0.0, 0.2):
        expected = [functional.cross_entropy(member, rows.target, label_smoothing=smoothing) for member in logits]
        torch.testing.assert_close(member_losses(logits, rows, smoothing), torch.stack(expected))
    numbers = batch(20, 0, regression=True)
    values = torch.randn(3, 20, 1, generator=generator)
    expected = [functional.mse_loss(member[:, 0], numbers.target) for member in values]
    torch.testing.assert_close(member_losses(values, numbers, 0.0), torch.stack(expected))


@pytest.mark.parametrize("regression", [False, True])
def test_rows_without_weight_have_no_influence(network, batch, regression):
    outputs = 1 if regression else 2
    some = batch(64, 0, regression=regression)
    weight = torch.ones(96)
    weight[64:] = 0.0
    other = batch(32, 5, regression=regression).inputs
    both = Batch(
        type(other)(
            *(
                torch.cat([getattr(part, name) for part in (some.inputs, other)])
                for name in ("numbers", "extras", "codes")
            )
        ),
        torch.cat([some.target, some.target[:32]]),
        weight,
    )
    made = [network(outputs=outputs), network(outputs=outputs)]
    for rows, one in zip((some, both), made, strict=True):
        run(one, rows, some, batch=1000, epochs=10)
    torch.testing.assert_close(weights(made[0]), weights(made[1]), rtol=1e-4, atol=1e-5)


def test_a_weight_of_two_is_a_row_given_twice(network, batch):
    rows = batch(64, 0)
    twice = torch.cat([torch.arange(64), torch.arange(16)])
    weight = torch.ones(64)
    weight[:16] = 2.0
    made = [network(), network()]
    run(made[0], rows[twice], rows, batch=1000, epochs=10)
    run(made[1], Batch(rows.inputs, rows.target, weight), rows, batch=1000, epochs=10)
    torch.testing.assert_close(weights(made[0]), weights(made[1]), rtol=1e-4, atol=1e-5)


def test_l1_pulls_weights_to_zero(network, train, valid):
    plain, pulled = network(), network()
    run(plain, train, valid, epochs=10, weight_decay=0.0)
    run(pulled, train, valid, epochs=10, weight_decay=0.0, l1=0.01)
    sizes = [float(made.hidden[0].linear.weight.detach().abs().sum()) for made in (plain, pulled)]
    assert sizes[1] < 0.5 * sizes[0]


def test_label_smoothing_keeps_probabilities_from_the_ends(network, train):
    sure, smooth = network(), network()
    run(sure, train, train, epochs=20)
    trained = run(smooth, train, train, epochs=20, label_smoothing=0.3)
    assert trained.epochs[-1].train_loss > 0.4  # the entropy of smoothed labels
    highest = [float(predict(made, train.inputs).softmax(-1).max()) for made in (sure, smooth)]
    assert highest[1] < 0.95 < highest[0]


def test_prediction_runs_in_blocks_without_a_seam(network, batch, monkeypatch):
    made, rows = network(dropout=0.5), batch(100, 3)
    made.train()
    whole = predict(made, rows.inputs)
    monkeypatch.setattr(loop, "_EVALUATION_ROWS", 7)
    torch.testing.assert_close(predict(made, rows.inputs), whole)
    assert made.training
    assert predict(made, rows.inputs[:0]).shape == (1, 0, 2)


def test_the_score_of_an_epoch_is_that_of_the_members_average():
    empty = torch.zeros(4, 0)
    inputs = Encoded(empty, empty, torch.zeros(4, 0, dtype=torch.int32))
    logits = torch.tensor(
        [[[2.0, 0.0], [0.0, 1.0], [0.0, 3.0], [1.0, 0.0]], [[0.0, 1.0], [0.0, 1.0], [0.0, 1.0], [0.0, 3.0]]]
    )
    classes = Batch(inputs, torch.tensor([0, 1, 0, 1]), None)
    assert average_score(logits, classes) == pytest.approx(0.75)
    weighted = Batch(inputs, torch.tensor([0, 1, 0, 1]), torch.tensor([1.0, 1.0, 6.0, 0.0]))
    assert average_score(logits, weighted) == pytest.approx(0.25)
    values = Batch(inputs, torch.tensor([0.0, 1.0, 2.0, 3.0]), None)
    assert average_score(values.target.view(1, 4, 1), values) == pytest.approx(1.0)
    assert average_score(torch.full((2, 4, 1), 1.5), values) == pytest.approx(0.0)
    constant = Batch(inputs, torch.ones(4), None)
    assert math.isnan(average_score(torch.zeros(1, 4, 1), constant))
