"""Members that leave the batch, and those that go on as if they had always been alone."""

import math
from dataclasses import replace

import pytest
import torch
from torch.nn.functional import cross_entropy

from assay.data.encoding.batches import Resident
from assay.data.encoding.encode import Layout
from assay.errors import BudgetError
from assay.models.build import build
from assay.models.config import ModelConfig
from assay.train.budget import Budget
from assay.train.config import TrainConfig
from assay.train.loop import fit, predict
from assay.train.members import Member
from assay.train.together import Course, Lot, fit_together
from assay.train.watch import Epoch, Unwatched

FAMILIES = {
    "mlp": {"norm": "batch"}, "resnet": {"width": 8}, "realmlp": {"layers": 2}, "tabm": {"heads": 3},
    "ft_transformer": {"width": 8, "attention_heads": 2, "layers": 1},
}  # fmt: skip
PATIENCE = 30
MEMBERS = (
    Member(3, 0.01, 0.0, 0.0, 0.0, PATIENCE),
    Member(4, 0.03, 0.1, 0.3, 0.0, PATIENCE),
    Member(5, 0.002, 0.02, 0.5, 0.2, PATIENCE),
)


@pytest.fixture
def make(train):
    """A function that makes a network of a family from the members' seeds."""

    def made(name, seeds):
        config = ModelConfig(
            **{"name": name, "width": 12, "number_bins": 4, "embedding": 3, "dropout": 0.1, "frequencies": 4}
            | FAMILIES[name]
        )
        rows, layout = train.inputs, Layout(numbers=3, extras=1, vocabularies=(5,))
        return build(
            config, layout, rows.numbers, outputs=2, prior=torch.zeros(2), seeds=seeds, rows=rows, targets=train.target
        )

    return made


def together(network, train, valid, members, *, ends=None, budget=None, **changes):
    """Courses of the members; `ends` gives the places of those that end after an epoch."""
    config = TrainConfig(**{"epochs": 6, "batch": 64, "threads": 1, "precision": "float32", "clip_norm": 0.5} | changes)
    courses = [Course() for _ in members]

    def end(epoch):
        for place in () if ends is None else ends(epoch):
            courses[place].ended = True

    fit_together(
        [Lot(network, Resident(train), Resident(valid), members, courses)], config, seed=1,
        budget=budget or Budget(None), watch=Unwatched(), ends=end,
    )  # fmt: skip
    return courses


def alone(network, train, valid, member, **changes):
    config = TrainConfig(**{"epochs": 6, "batch": 64, "threads": 1, "precision": "float32", "clip_norm": 0.5} | changes)
    trained = fit(
        network, Resident(train), Resident(valid), config, (member,), seed=1, budget=Budget(None), watch=Unwatched()
    )
    return predict(network, valid.inputs), trained


@pytest.mark.parametrize("name", FAMILIES)
def test_a_member_ends_with_the_bits_it_has_alone_whoever_leaves(name, make, train, valid):
    def ends(epoch):
        return {2: [1], 4: [0]}.get(epoch, [])

    courses = together(make(name, [3, 4, 5]), train, valid, MEMBERS, ends=ends)
    assert [course.epochs for course in courses] == [4, 2, 6]
    found, _ = alone(make(name, [5]), train, valid, MEMBERS[2])
    assert torch.equal(courses[2].outputs, found)


@pytest.mark.parametrize("changes", [{"ema": 0.9}, {"swa": 0.5}, {"optimiser": "muon"}, {"optimiser": "sgd"}])
def test_what_optimisers_and_averages_remember_is_narrowed_too(changes, make, train, valid):
    members = MEMBERS[:2]
    courses = together(make("mlp", [3, 4]), train, valid, members, ends=lambda epoch: [0] * (epoch == 2), **changes)
    found, trained = alone(make("mlp", [4]), train, valid, members[1], **changes)
    assert courses[1].epochs == 6
    assert torch.equal(courses[1].outputs, found)
    assert trained.lost == ()


def test_members_have_schedules_limits_and_betas_of_their_own(make, train, valid):
    own = [
        TrainConfig(schedule="constant", warmup=0.0, clip_norm=0.05, beta1=0.8),
        TrainConfig(schedule="step", gamma=0.5, warmup=0.3, clip_norm=0.0, beta2=0.9),
        TrainConfig(),
    ]
    members = [replace(member, own=each) for member, each in zip(MEMBERS, own, strict=True)]
    courses = together(make("realmlp", [3, 4, 5]), train, valid, members, ends=lambda epoch: [1] * (epoch == 4))
    assert [course.epochs for course in courses] == [6, 4, 6]
    for place in (0, 2):
        shared = own[place].model_dump(include=own[place].model_fields_set)
        found, _ = alone(
            make("realmlp", [3 + place]), train, valid, MEMBERS[place], **{"clip_norm": 1.0} | shared
        )  # fmt: skip
        torch.testing.assert_close(courses[place].outputs, found, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("optimiser", ["sgd", "rmsprop", "muon"])
def test_other_optimisers_take_rates_of_each_member(optimiser, make, train, valid):
    own = [TrainConfig(schedule="constant", clip_norm=0.5), TrainConfig(schedule="cosine", warmup=0.5, clip_norm=0.5)]
    members = [replace(member, own=each) for member, each in zip(MEMBERS, own, strict=False)]
    courses = together(make("mlp", [3, 4]), train, valid, members, optimiser=optimiser)
    for place, shared in enumerate(({"schedule": "constant"}, {"warmup": 0.5})):
        found, _ = alone(make("mlp", [3 + place]), train, valid, MEMBERS[place], optimiser=optimiser, **shared)
        torch.testing.assert_close(courses[place].outputs, found, rtol=1e-4, atol=1e-5)


def test_a_member_leaves_when_its_patience_ends(make, train, valid):
    opposite = replace(valid, target=1 - valid.target)
    members = [replace(MEMBERS[0], patience=2), replace(MEMBERS[1], patience=4)]
    courses = together(make("mlp", [3, 4]), train, opposite, members, epochs=20)
    assert [course.epochs for course in courses] == [3, 5]
    assert all(course.ended for course in courses)


def test_lots_take_turns_and_do_not_touch_each_other(make, train, valid):
    config = TrainConfig(epochs=4, batch=64, threads=1, precision="float32", clip_norm=0.5, mixup=0.3)
    halves = [train[:128], train[128:]]
    lots = [
        Lot(make("mlp", [3, 4]), Resident(half), Resident(valid), MEMBERS[:2], [Course(), Course()], f"half {place}")
        for place, half in enumerate(halves)
    ]
    heard = []

    class Heard(Unwatched):
        def epoch(self, record, of):
            heard.append((record.epoch, record.network, of))

    def ends(epoch):
        lots[0].courses[1].ended = epoch >= 2

    fit_together(lots, config, seed=1, budget=Budget(None), watch=Heard(), ends=ends)
    assert heard == [(epoch, f"half {place}", 4) for epoch in (1, 2, 3, 4) for place in (0, 1)]
    assert [[course.epochs for course in lot.courses] for lot in lots] == [[4, 2], [4, 4]]
    for lot, half in zip(lots, halves, strict=True):
        found, _ = alone(make("mlp", [3]), half, valid, MEMBERS[0], epochs=4, mixup=0.3)
        assert torch.equal(lot.courses[0].outputs, found)


def test_a_member_without_finite_numbers_leaves_and_says_so(make, train, valid):
    wild = replace(MEMBERS[0], lr=1e38)
    courses = together(make("mlp", [3, 4]), train, valid, [wild, MEMBERS[1]], clip_norm=0.0, warmup=0.0)
    assert courses[0].outputs is None
    assert "not finite after epoch 1 with a learning rate of at most 1e+38" in courses[0].trouble
    assert courses[0].epochs == 1
    found, trained = alone(make("mlp", [4]), train, valid, MEMBERS[1], clip_norm=0.0, warmup=0.0)
    assert torch.equal(courses[1].outputs, found)
    # What is told of the others is not that of the one which was lost.
    norms = [record.gradient_norm for record in courses[1].history]
    assert norms[1:] == pytest.approx([record.gradient_norm for record in trained.epochs][1:], rel=1e-5)
    assert 0.0 < norms[0] < 1e3


def test_an_epoch_without_finite_numbers_travels_as_json(make, train, valid):
    _, trained = alone(make("mlp", [4]), train, valid, MEMBERS[1])
    lost = trained.epochs[0].model_copy(update={"train_loss": math.nan, "gradient_norm": -math.inf})
    read = Epoch.from_json(lost.to_json(), "a history")
    assert math.isnan(read.train_loss)
    assert math.isnan(read.gradient_norm)
    assert read.valid_loss == lost.valid_loss


def test_all_members_may_lose_their_numbers(make, train, valid):
    wild = replace(MEMBERS[0], lr=1e38)
    (course,) = together(make("mlp", [3]), train, valid, [wild], clip_norm=0.0, warmup=0.0)
    assert course.outputs is None
    assert "at a learning rate of 9.62e+37" in course.trouble


def test_without_time_nothing_is_begun(make, train, valid):
    with pytest.raises(BudgetError):
        together(make("mlp", [3]), train, valid, MEMBERS[:1], budget=Budget(-1.0))


def test_means_of_weights_are_what_is_kept(make, train, valid):
    found, trained = alone(make("mlp", [3]), train, valid, MEMBERS[0], ema=0.95)
    loss = float(torch.nn.functional.cross_entropy(found[0], valid.target))
    assert loss == pytest.approx(min(trained.best_losses), rel=1e-6)
    assert math.isfinite(loss)


def test_what_a_member_says_at_its_last_epoch_is_kept_beside_its_best(make, train, valid):
    network = make("mlp", [3])
    (course,) = together(network, train, valid, MEMBERS[:1])
    torch.testing.assert_close(course.last, predict(network, valid.inputs), rtol=0, atol=1e-6)
    several = together(make("mlp", [3, 4, 5]), train, valid, MEMBERS, ends=lambda epoch: [1] if epoch == 2 else [])
    torch.testing.assert_close(several[0].last, course.last)
    assert several[1].last.shape == course.last.shape


def test_rows_of_a_half_are_answered_by_the_epoch_that_the_other_half_chose(make, train, valid):
    """One half has turned labels, so that it likes the first epochs, and the other the last."""
    half = torch.arange(len(valid)) % 3 == 0
    mixed = replace(valid, target=torch.where(half, 1 - valid.target, valid.target))
    courses = [Course(), Course()]
    said = []

    def note(epoch):
        said.append([course.last.clone() for course in courses])

    config = TrainConfig(epochs=8, batch=64, threads=1, precision="float32")
    lot = Lot(make("mlp", [3, 4]), Resident(train), Resident(mixed), MEMBERS[:2], courses, half=half)
    fit_together([lot], config, seed=1, budget=Budget(None), watch=Unwatched(), ends=note, keeps=True)
    for place, course in enumerate(courses):
        said_at = [each[place] for each in said] + [course.last]  # after the last epoch nobody is asked
        losses = torch.tensor([
            [float(cross_entropy(each[0][rows], mixed.target[rows])) for each in said_at] for rows in (~half, half)
        ])  # fmt: skip
        first, second = losses.argmin(1).tolist()
        assert first != second
        assert torch.equal(course.outputs[:, half], said_at[first][:, half])
        assert torch.equal(course.outputs[:, ~half], said_at[second][:, ~half])
        curve = [record.valid_loss for record in course.history]
        assert (course.kept, course.best) == (curve.index(min(curve)) + 1, min(curve))
        assert course.learned.trained.best_epochs == (course.kept,)
        fresh = make("mlp", [9])
        for name, tensor in fresh.state_dict().items():
            if name in course.learned.numbers:
                tensor.copy_(course.learned.numbers[name])
        torch.testing.assert_close(predict(fresh, valid.inputs), said_at[course.kept - 1], rtol=1e-5, atol=1e-6)


def test_trainings_that_take_turns_share_the_time(make, train, valid):
    """Each second of the clock is a look at it: a lot that waits for others must not take their time for its own."""
    ticks = iter(range(10**9))
    budget = Budget(40.0, 0.0, lambda: 0.05 * next(ticks))
    lots = [
        Lot(make("mlp", [seed]), Resident(train), Resident(valid), [replace(MEMBERS[0], patience=1000)], [Course()])
        for seed in (3, 4, 5)
    ]
    config = TrainConfig(epochs=1000, batch=64, threads=1)
    fit_together(lots, config, seed=1, budget=budget, watch=Unwatched())
    epochs = [lot.courses[0].epochs for lot in lots]
    assert min(epochs) > 5
    assert max(epochs) - min(epochs) <= 1
    assert 30.0 < budget.used < 42.0
