import time
from dataclasses import dataclass, replace

import pytest
import torch

from assay.data.encoding.batches import Batch, Resident
from assay.data.encoding.encode import Encoded
from assay.errors import BudgetError, ConfigError, DivergenceError
from assay.train.budget import Budget
from assay.train.config import TrainConfig
from assay.train.loop import predict
from assay.train.losses import member_losses
from assay.train.optimise.schedule import factor
from assay.train.watch import Named, Unwatched


class Witness(Unwatched):
    """Keeps the epochs, and may raise once one of them has ended."""

    def __init__(self, raise_in=None):
        self.epochs = []
        self.raise_in = raise_in

    def epoch(self, record, of):
        self.epochs.append((record, of))
        if record.epoch == self.raise_in:
            raise KeyboardInterrupt


@dataclass(frozen=True)
class Interrupting(Resident):
    """Rows during which Ctrl-C comes before the step at `at`, the first is 0."""

    at: int = 0

    def epoch(self, seed, epoch, batch, start=0):
        for place, rows in enumerate(super().epoch(seed, epoch, batch, start)):
            if place == self.at:
                raise KeyboardInterrupt
            yield rows


def weights(made):
    return torch.cat([parameter.detach().flatten() for parameter in made.parameters()])


def losses(trained):
    return [epoch.train_loss for epoch in trained.epochs]


def loss_of(made, rows):
    return float(member_losses(predict(made, rows.inputs), rows).mean())


# The course of a fit


def test_a_fit_learns_and_keeps_the_best_epoch(network, run, train, valid):
    made, watch = network(), Witness()
    start = loss_of(made, valid)
    trained = run(made, train, valid, watch=watch, epochs=8)
    assert [record.epoch for record, _ in watch.epochs] == list(range(1, 9))
    assert [record for record, _ in watch.epochs] == list(trained.epochs)
    assert {of for _, of in watch.epochs} == {8}
    assert (trained.steps, trained.horizon, trained.stopped) == (64, 64, "all epochs were run")
    by_valid = [epoch.valid_loss for epoch in trained.epochs]
    assert trained.best_epoch == by_valid.index(min(by_valid)) + 1
    assert trained.best_losses == pytest.approx([min(by_valid)])
    assert min(by_valid) < 0.6 * start
    assert loss_of(made, valid) == pytest.approx(min(by_valid), rel=1e-6)
    assert not made.training
    assert (trained.batch, trained.threads, trained.precision) == (32, torch.get_num_threads(), "float32")
    assert (trained.skipped, trained.lost) == (0, ())


def test_a_fitted_start_is_kept_where_no_epoch_is_better(network, run, train, valid):
    spoilt, plain = network(), network()
    run(plain, train, valid, epochs=8)  # a start that is good
    with torch.no_grad():
        for own, good in zip(spoilt.parameters(), plain.parameters(), strict=True):
            own.copy_(good)
    spoilt.starts_fitted = True
    start = loss_of(spoilt, valid)
    trained = run(spoilt, train, valid, epochs=3, lr=0.5, patience=2)
    assert trained.best_epochs == (0,)
    assert trained.best_losses == pytest.approx((start,))
    assert weights(spoilt).equal(weights(plain))
    assert (len(trained.epochs), trained.stopped) == (2, "the validation loss had not improved for 2 epochs")


def test_a_start_that_epochs_better_is_left(network, run, train, valid):
    made, other = network(), network()
    made.starts_fitted = True
    trained = run(made, train, valid, epochs=4)
    assert trained.best_epochs[0] > 0
    assert trained.best_losses == run(other, train, valid, epochs=4).best_losses
    assert weights(made).equal(weights(other))


def test_steps_are_told_between_epochs(network, run, train, valid, monkeypatch):
    monkeypatch.setattr("assay.train.training._TOLD_EVERY", 0.0)
    told = []

    class Steps(Unwatched):
        def steps(self, done, of, network=""):
            told.append((done, of, network))

    run(network(), train, valid, watch=Named(Steps(), "mlp"), epochs=2)
    assert told == [(step, 16, "mlp") for step in range(1, 17)]


def test_a_loss_in_double_precision_is_taken(network, run, train, valid):
    made = network()
    forward = made.forward
    made.forward = lambda *inputs: forward(*inputs).double()
    assert losses(run(made, train, valid, epochs=2)) == pytest.approx(losses(run(network(), train, valid, epochs=2)))


def test_an_epoch_records_its_rate_norm_update_and_speed(network, run, train, valid):
    trained = run(network(), train, valid, epochs=4, lr=0.02, warmup=0.0)
    assert [epoch.step for epoch in trained.epochs] == [8, 16, 24, 32]
    config = TrainConfig(warmup=0.0)
    expected = [0.02 * factor(step - 1, 32, config) for step in (8, 16, 24, 32)]
    assert [epoch.learning_rate for epoch in trained.epochs] == pytest.approx(expected)
    assert all(epoch.gradient_norm > 0 for epoch in trained.epochs)
    assert all(0 < epoch.update_ratio < 0.2 for epoch in trained.epochs)
    assert all(epoch.rows_per_second > 0 and epoch.memory_mb > 1 for epoch in trained.epochs)
    assert sorted(epoch.seconds for epoch in trained.epochs) == [epoch.seconds for epoch in trained.epochs]


def test_the_share_of_clipped_steps_is_counted(network, run, train, valid):
    assert run(network(), train, valid, epochs=2, clip_norm=1e-4).clipped == 1.0
    assert run(network(), train, valid, epochs=2, clip_norm=1e4).clipped == 0.0
    assert run(network(), train, valid, epochs=2, clip_norm=0.0).clipped == 0.0


def test_a_regression_learns_too(network, run, batch):
    made = network(outputs=1)
    trained = run(made, batch(256, 0, regression=True), batch(128, 1, regression=True), epochs=10)
    assert trained.epochs[0].valid_loss < 1.5
    assert min(epoch.valid_loss for epoch in trained.epochs) < 0.3
    assert {epoch.score_name for epoch in trained.epochs} == {"R2"}


# Determinism


def test_the_same_seed_gives_the_same_bits_with_dropout(network, run, train, valid):
    found = []
    for noise in (1, 2):
        torch.manual_seed(noise)
        made = network(seed=3, dropout=0.3, members=2)
        found.append((losses(run(made, train, valid, seed=3, dropout=0.3)), weights(made)))
    assert found[0][0] == found[1][0]
    assert torch.equal(found[0][1], found[1][1])
    other = network(seed=4, dropout=0.3, members=2)
    assert losses(run(other, train, valid, seed=4, dropout=0.3)) != found[0][0]


def test_the_callers_random_numbers_are_left_alone(network, run, train, valid):
    torch.manual_seed(7)
    expected = torch.rand(4)
    torch.manual_seed(7)
    run(network(dropout=0.5), train, valid, dropout=0.5, mixup=0.4)
    assert torch.equal(torch.rand(4), expected)


# Early stopping


def test_training_ends_when_patience_does(network, run, train, batch):
    opposite = batch(128, 1)
    opposite = replace(opposite, target=1 - opposite.target)
    made = network()
    trained = run(made, train, opposite, epochs=50, patience=3)
    assert trained.best_epoch == 1
    assert len(trained.epochs) == 4
    assert trained.stopped == "the validation loss had not improved for 3 epochs"
    assert loss_of(made, opposite) == pytest.approx(trained.epochs[0].valid_loss, rel=1e-6)


# Budget


def test_a_spent_budget_is_refused_before_the_first_step(network, run, train, valid):
    spent = Budget(1.0, started=time.monotonic() - 5.0)
    with pytest.raises(BudgetError, match="5 s had passed before the first step"):
        run(network(), train, valid, budget=spent)


def test_a_wide_budget_changes_nothing(network, run, train, valid):
    free, wide = run(network(), train, valid, epochs=8), run(network(), train, valid, epochs=8, budget=Budget(600.0))
    assert not wide.limited_by_budget
    assert losses(free) == losses(wide)


# Sizes of a step


def test_a_batch_larger_than_the_rows_is_refused(network, run, train, valid):
    with pytest.raises(ConfigError, match=r"train\.batch=257 was given for 256 training rows"):
        run(network(), train, valid, batch=257)


def test_gradients_that_are_added_up_are_those_of_the_whole_batch(network, run, train, valid):
    made = [network(), network()]
    run(made[0], train, valid, batch=64)
    trained = run(made[1], train, valid, batch=16, accumulate=4)
    assert (trained.steps, trained.batch) == (20, 64)
    torch.testing.assert_close(weights(made[0]), weights(made[1]), rtol=1e-4, atol=1e-5)


def test_a_full_batch_is_one_step_an_epoch_in_the_rows_own_order(network, run, train, valid):
    made = [network(), network()]
    trained = run(made[0], train, valid, batch="full")
    assert (trained.steps, trained.batch) == (5, 256)
    run(made[1], train, valid, batch=256, seed=9)
    assert torch.equal(weights(made[0]), weights(made[1]))


def test_rows_can_be_taken_one_by_one(network, run, batch, valid):
    made = network(norm="batch")
    trained = run(made, batch(20, 0), valid, batch=1, epochs=2)
    assert trained.steps == 40
    assert bool(weights(made).isfinite().all())
    assert run(network(), batch(1, 0), valid, batch="auto", epochs=2).steps == 2


# Divergence


def test_divergence_names_step_norm_and_rate(network, run, train):
    made = network(outputs=1)
    numbers = Batch(train.inputs, train.target.float() * 1e19, None)
    words = r"from the first step on the loss was inf .*gradient norm .*\(one step before: not known\) .*rate of 0"
    with pytest.raises(DivergenceError, match=words) as caught:
        run(made, numbers, numbers, lr=0.01)
    assert "train.lr=0.001" in str(caught.value)
    assert "8 steps were skipped in all" in str(caught.value)


def test_a_rate_of_ten_without_clipping_diverges_with_a_message(network, run, batch):
    made = network(outputs=1, layers=6)
    rows = batch(256, 0, regression=True)
    with pytest.raises(DivergenceError, match=r"first at step \d+ the loss was|from the first step on"):
        run(made, rows, rows, lr=10.0, clip_norm=0.0, warmup=0.0, epochs=200, patience=200)


def test_an_infinite_weight_is_found_in_the_first_epoch(network, run, train, valid):
    made = network()
    made.hidden[0].linear.weight.data[0, 0, 0] = torch.inf
    with pytest.raises(DivergenceError, match=r"from the first step on .*one step before: not known"):
        run(made, train, valid)


def test_weights_spoiled_by_the_last_step_are_not_kept_in_silence(network, run, train, valid):
    broken = Batch(replace(valid.inputs, numbers=valid.inputs.numbers * torch.nan), valid.target, None)
    with pytest.raises(DivergenceError, match="after step 8 the validation loss was nan"):
        run(network(), train, broken, epochs=1)


# Interruption


def test_ctrl_c_keeps_the_best_weights_so_far(network, run, train, valid):
    interrupted = network()
    trained = run(interrupted, train, valid, watch=Witness(raise_in=2), epochs=8)
    assert trained.interrupted
    assert trained.stopped == "it was interrupted"
    assert len(trained.epochs) == 2
    best = min(epoch.valid_loss for epoch in trained.epochs)
    assert loss_of(interrupted, valid) == pytest.approx(best, rel=1e-6)


def test_ctrl_c_in_the_first_epoch_keeps_the_weights_as_they_stand(network, run, train, valid):
    made, start = network(), weights(network())
    trained = run(made, Interrupting(train, at=3), valid)
    assert (trained.interrupted, trained.steps, trained.best_epoch, trained.epochs) == (True, 3, 0, ())
    assert not torch.equal(weights(made), start)


def test_ctrl_c_before_the_first_step_is_passed_on(network, run, train, valid):
    with pytest.raises(KeyboardInterrupt):
        run(network(), Interrupting(train, at=0), valid)


# What options do


@pytest.mark.parametrize("regression", [False, True])
def test_rows_without_weight_have_no_influence(network, run, batch, regression):
    outputs = 1 if regression else 2
    some = batch(64, 0, regression=regression)
    weight = torch.ones(96)
    weight[64:] = 0.0
    other = batch(32, 5, regression=regression).inputs
    parts = [
        torch.cat([getattr(part, name) for part in (some.inputs, other)]) for name in ("numbers", "extras", "codes")
    ]
    both = Batch(Encoded(*parts), torch.cat([some.target, some.target[:32]]), weight)
    made = [network(outputs=outputs), network(outputs=outputs)]
    for rows, one in zip((some, both), made, strict=True):
        run(one, rows, some, batch="full", epochs=10)
    torch.testing.assert_close(weights(made[0]), weights(made[1]), rtol=1e-4, atol=1e-5)


def test_a_weight_of_two_is_a_row_given_twice(network, run, batch):
    rows = batch(64, 0)
    twice = torch.cat([torch.arange(64), torch.arange(16)])
    weight = torch.ones(64)
    weight[:16] = 2.0
    made = [network(), network()]
    run(made[0], rows[twice], rows, batch="full", epochs=10)
    run(made[1], Batch(rows.inputs, rows.target, weight), rows, batch="full", epochs=10)
    torch.testing.assert_close(weights(made[0]), weights(made[1]), rtol=1e-4, atol=1e-5)


def test_l1_pulls_weights_to_zero(network, run, train, valid):
    plain, pulled = network(), network()
    run(plain, train, valid, epochs=10, weight_decay=0.0)
    run(pulled, train, valid, epochs=10, weight_decay=0.0, l1=0.01)
    sizes = [float(made.hidden[0].linear.weight.detach().abs().sum()) for made in (plain, pulled)]
    assert sizes[1] < 0.5 * sizes[0]


def test_label_smoothing_keeps_probabilities_from_the_ends(network, run, train):
    sure, smooth = network(), network()
    run(sure, train, train, epochs=20)
    trained = run(smooth, train, train, epochs=20, label_smoothing=0.3)
    assert trained.epochs[-1].train_loss > 0.4  # the entropy of smoothed labels
    highest = [float(predict(made, train.inputs).softmax(-1).max()) for made in (sure, smooth)]
    assert highest[1] < 0.95 < highest[0]


def test_prediction_runs_in_blocks_without_a_seam(network, batch):
    made, rows = network(dropout=0.5), batch(100, 3)
    made.train()
    torch.testing.assert_close(predict(made, rows.inputs, rows=7), predict(made, rows.inputs))
    assert made.training
    assert predict(made, rows.inputs[:0]).shape == (1, 0, 2)
