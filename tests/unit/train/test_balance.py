"""Rare classes: what the loss aims at stays the true shares, and epochs hold the rows they should."""

import math

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from assay.data.encoding.batches import Batch, Resident
from assay.data.encoding.encode import Encoded
from assay.errors import ConfigError
from assay.train.balance import SAMPLES, ClassLoss, Resampled, class_counts, resampled
from assay.train.config import TrainConfig
from assay.train.losses import member_losses

ROWS = 90, 9, 1


def source(weight: Tensor | None = None, numbers: int = 2) -> Resident:
    """Rows of three classes, 90, 9 and 1 of them; the first number is the row's class."""
    target = torch.repeat_interleave(torch.arange(3), torch.tensor(ROWS))
    spread = torch.randn(len(target), numbers, generator=torch.Generator().manual_seed(0))
    if numbers:
        spread[:, 0] = target.float()
    codes = torch.arange(len(target), dtype=torch.int32).unsqueeze(1)
    return Resident(Batch(Encoded(spread, torch.zeros(len(target), 0), codes), target, weight))


def loss_of(*names: str, train: Resident | Resampled | None = None, **more: float) -> ClassLoss:
    options = [TrainConfig(balance=name, **(more if name == "focal" else {})) for name in names]
    found = ClassLoss.of(options, train or source(), torch.device("cpu"))
    assert found is not None
    return found


def minimised(loss: ClassLoss, rows: Batch, members: int = 1) -> Tensor:
    """The outputs, the same for all rows, at which the loss is least: (M, C) probabilities."""
    outputs = torch.zeros(members, 1, 3, requires_grad=True)
    optimiser = torch.optim.LBFGS([outputs], max_iter=400, tolerance_grad=1e-9, line_search_fn="strong_wolfe")

    def step() -> Tensor:
        optimiser.zero_grad()
        found = loss(outputs.expand(-1, len(rows), -1), rows, None, 1).sum()
        found.backward()
        return found

    optimiser.step(step)
    return outputs.detach().softmax(-1).squeeze(1)


@pytest.mark.parametrize("name", ["weights", "effective"])
def test_weights_of_classes_leave_the_probabilities_that_are_aimed_at(name: str) -> None:
    rows = source().rows
    assert minimised(loss_of(name), rows)[0].tolist() == pytest.approx([0.9, 0.09, 0.01], abs=1e-4)


def test_weights_are_one_over_the_classes_size_or_effective_size() -> None:
    loss = loss_of("weights", "none", "effective")
    assert loss.weight is not None
    assert loss.weight[0].tolist() == pytest.approx([100 / 3 / count for count in ROWS])
    assert loss.weight[1].tolist() == [1.0, 1.0, 1.0]
    raw = [(1 - 0.999) / (1 - 0.999**count) for count in ROWS]
    mean = sum(each * count for each, count in zip(raw, ROWS, strict=True)) / 100
    assert loss.weight[2].tolist() == pytest.approx([each / mean for each in raw], rel=1e-5)


def test_the_loss_of_weighted_classes_by_hand() -> None:
    rows = source().rows
    outputs = torch.randn(1, 100, 3, generator=torch.Generator().manual_seed(1))
    weight = torch.tensor([100 / 3 / count for count in ROWS])
    expected = functional.cross_entropy(outputs[0] + weight.log(), rows.target, weight=weight)
    assert loss_of("weights")(outputs, rows, None, 1).item() == pytest.approx(expected.item(), rel=1e-5)


def test_members_count_the_rows_that_they_learn_from() -> None:
    weight = torch.ones(2, 100)
    weight[0, :45] = 0.0  # the first member has half of the largest class
    counts = class_counts(source(weight))
    assert counts.tolist() == [[45.0, 9.0, 1.0], [90.0, 9.0, 1.0]]
    loss = loss_of("weights", "weights", train=source(weight))
    assert loss.weight is not None
    assert loss.weight[0].tolist() == pytest.approx([55 / 3 / 45, 55 / 3 / 9, 55 / 3])
    kept = loss.narrow(torch.tensor([1]))
    assert kept.weight is not None
    assert kept.weight.shape == (1, 3)


def test_a_focal_loss_is_as_published_and_plain_where_members_have_none() -> None:
    rows = source().rows
    outputs = torch.randn(2, 100, 3, generator=torch.Generator().manual_seed(1))
    found = loss_of("focal", "none", focal_gamma=1.5)(outputs, rows, None, 1)
    right = outputs.softmax(-1)[0][torch.arange(100), rows.target]
    assert found[0].item() == pytest.approx((-((1 - right) ** 1.5) * right.log()).mean().item(), rel=1e-4)
    assert found[1].item() == pytest.approx(member_losses(outputs[1:], rows)[0].item(), rel=1e-6)


def test_nothing_is_done_where_nothing_was_asked() -> None:
    assert ClassLoss.of([TrainConfig()], source(), torch.device("cpu")) is None
    rows = source()
    assert resampled(rows, "weights") is rows


@pytest.mark.parametrize(
    ("name", "wanted"), [("sample", [33, 33, 33]), ("oversample", [90, 90, 90]), ("undersample", [1, 1, 1])]
)
def test_an_epoch_has_so_many_rows_of_each_class(name: str, wanted: list[int]) -> None:
    made = resampled(source(), name)
    targets = torch.cat([rows.target for rows in made.epoch(3, 0, 32)])
    assert torch.bincount(targets).tolist() == wanted
    assert len(made) == sum(wanted)
    again = torch.cat([rows.inputs.codes for rows in made.epoch(3, 0, 32)])
    first = torch.cat([rows.inputs.codes for rows in made.epoch(3, 0, 32)])
    later = torch.cat([rows.inputs.codes for rows in made.epoch(3, 1, 32)])
    assert torch.equal(again, first)
    assert not torch.equal(first, later)
    resumed = torch.cat([rows.inputs.codes for rows in made.epoch(3, 0, 32, start=1)]) if len(made) > 32 else None
    assert resumed is None or torch.equal(resumed, first[32:])


@pytest.mark.parametrize("name", sorted(SAMPLES))
def test_drawn_classes_leave_the_probabilities_that_are_aimed_at(name: str) -> None:
    made = resampled(source(), name)
    loss = loss_of(name, train=made)
    rows = next(iter(made.epoch(0, 0, len(made))))
    assert minimised(loss, rows)[0].tolist() == pytest.approx([0.9, 0.09, 0.01], abs=1e-3)


def test_made_rows_lie_between_neighbours_of_their_class() -> None:
    weight = torch.ones(2, 100)
    weight[1, 90:94] = 0.0  # four rows of the second class are not the second member's
    made = resampled(source(weight), "smote")
    rows = next(iter(made.epoch(0, 0, len(made))))
    ours = rows.target == 1
    own = made.rows.rows.inputs.numbers[90:99, 1]
    numbers = rows.inputs.numbers[ours]
    assert (numbers[:, 0] == 1.0).all()  # between rows of the class, which all have its number
    assert own.min() <= numbers[:, 1].min()
    assert numbers[:, 1].max() <= own.max()
    assert len(numbers[:, 1].unique()) > 80  # 9 rows, and 81 that are none of them
    assert rows.weight is not None
    assert (rows.weight[0, ours] == 1.0).all()
    forbidden = torch.isin(rows.inputs.codes[ours, 0], torch.arange(90, 94, dtype=torch.int32))
    assert (rows.weight[1, ours][forbidden] == 0.0).all() or not forbidden.any()
    assert 0.0 < rows.weight[1, ours].mean() < 5 / 9 + 0.1  # both parents must be allowed
    single = rows.target == 2
    assert (rows.inputs.numbers[single] == made.rows.rows.inputs.numbers[99]).all()  # one row has no neighbour


def test_rows_without_numbers_are_not_made() -> None:
    with pytest.raises(ConfigError, match="where there are numbers"):
        resampled(source(numbers=0), "smote")


def test_a_gamma_belongs_to_a_focal_loss() -> None:
    with pytest.raises(ValueError, match="focal_gamma is an option of balance=focal"):
        TrainConfig(balance="weights", focal_gamma=3.0)
    assert math.isclose(TrainConfig(balance="focal").focal_gamma, 2.0)
