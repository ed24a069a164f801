"""What a student learns from: aims by hand, the rows that the teacher is asked about, and rows that are made."""

from itertools import count

import numpy as np
import pytest
import torch

from assay.data.encoding.batches import Batch
from assay.data.encoding.encode import Encoded, Layout
from assay.data.schema import Column, Kind, Schema, Task
from assay.models.answer import Head
from assay.models.build import build
from assay.models.config import ModelConfig
from assay.models.ensemble import Ensemble
from assay.search.ensemble.teaching import Told, added, aimed, ask
from assay.train.budget import Budget
from assay.train.examples import Units
from assay.train.model import Model, Validation
from assay.train.state import Checkpoints


def inputs_of(rows):
    numbers = torch.linspace(-1.0, 1.0, rows).unsqueeze(1)
    return Encoded(numbers, torch.zeros(rows, 0), torch.zeros(rows, 0, dtype=torch.int32))


def schema_of(task, classes=()):
    kind = Kind.CATEGORY if classes else Kind.NUMBER
    columns = [
        Column(name="x", kind=Kind.NUMBER, dtype="Float64", reason="made"),
        Column(name="y", kind=kind, dtype="String", reason="made"),
    ]
    return Schema(columns=tuple(columns), target="y", task=task, task_reason="", classes=classes)


def of(truth, told, places, task, classes=(), units=None):
    rows = Batch(inputs_of(len(truth)), torch.as_tensor(truth), None)
    found = Told(np.array(places), np.array(told))
    return aimed(rows, truth, found, schema_of(task, classes), units or Units())


def test_a_row_aims_at_a_mean_of_what_the_teacher_says_and_of_its_class():
    rows = of(np.array([0, 1, 2]), [[0.5, 0.5, 0.0], [0.1, 0.2, 0.7]], [1, 0], Task.MULTICLASS, ("a", "b", "c"))
    # 0.7 of what the teacher says and 0.3 of the class; of the last row it says nothing
    expected = [[0.37, 0.14, 0.49], [0.35, 0.65, 0.0], [0.0, 0.0, 1.0]]
    assert rows.aims.numpy() == pytest.approx(np.array(expected), abs=1e-6)
    assert rows.target.tolist() == [0, 1, 2]


def test_labels_aim_at_a_probability_each():
    labels = np.array([[1, 0], [0, 0]], np.int8)
    rows = of(labels, [[0.9, 0.4], [0.2, 0.0]], [0, 1], Task.MULTILABEL, ("a", "b"))
    assert rows.aims.numpy() == pytest.approx(np.array([[0.93, 0.28], [0.14, 0.0]]), abs=1e-6)
    assert rows.aims.dtype == torch.float32


@pytest.mark.parametrize("task", [Task.REGRESSION, Task.FORECASTING])
def test_values_aim_at_a_mean_in_units_of_the_network(task):
    truth, told = np.array([1e9 + 10.0, 1e9 - 20.0]), np.array([1e9, 1e9 + 10.0])
    expected = np.array([0.3, 0.1])  # (0.3 * 10 + 0.7 * 0) / 10 and (0.3 * -20 + 0.7 * 10) / 10
    if task is Task.FORECASTING:
        truth, told, expected = (np.stack([each, each[::-1]], axis=1) for each in (truth, told, expected))
    rows = of(truth, told, [0, 1], task, units=Units(1e9, 10.0))
    assert rows.aims is None
    assert rows.target.numpy() == pytest.approx(expected, abs=1e-6)


@pytest.fixture(scope="module")
def teacher():
    """One network of values with weights at random, which says something else of every row."""
    numbers = inputs_of(100).numbers
    settings = ModelConfig(name="perceptron", members=1, width=4, dropout=0.0)
    network = build(settings, Layout(1, 0, ()), numbers, outputs=1, prior=torch.zeros(1), seeds=[3])
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for weights in network.parameters():
            weights.copy_(torch.randn(weights.shape, generator=generator))
    validation = Validation(np.zeros((1, 2, 1), np.float32), (1.0,), None, np.zeros(2), None)
    return Model(None, Ensemble([network]), Head((1.0,), None, 5.0, 2.0), (), validation)


def test_the_teacher_is_asked_about_every_row_where_there_is_the_time(teacher):
    inputs = inputs_of(1300)
    told = ask(teacher, inputs, "asked", 0, Budget(None), None)
    assert sorted(told.places.tolist()) == list(range(1300))
    with torch.inference_mode():
        said = teacher.ensemble(inputs.numbers, inputs.extras, inputs.codes)[0, :, 0].double().numpy()
    assert told.answers == pytest.approx(2.0 * said[told.places] + 5.0, abs=1e-5)
    assert len(np.unique(told.answers)) > 100


def test_it_is_asked_about_fewer_where_there_is_not_and_about_the_same_when_a_run_goes_on(teacher, tmp_path):
    kept, inputs = Checkpoints(tmp_path, {}), inputs_of(5000)
    seconds = count()
    slow = Budget(10.0, 0.0, lambda: float(next(seconds)))  # a look at the clock takes a second
    first = ask(teacher, inputs, "asked", 0, slow, kept)
    assert 512 <= len(first.places) < 5000
    again = ask(teacher, inputs, "asked", 0, Budget(None), kept)
    assert again.places.tolist() == first.places.tolist()
    assert again.answers.tolist() == first.answers.tolist()
    late = ask(teacher, inputs, "asked", 0, Budget(-5.0), None)  # training then says that there is no time
    assert len(late.places) == 512


def test_rows_of_both_kinds_are_joined_and_made_ones_count_as_a_row_on_average():
    heard = Batch(inputs_of(2), torch.tensor([0, 1]), torch.tensor([0.5, 1.5]), aims=torch.tensor([[1.0, 0], [0, 1]]))
    made = Batch(inputs_of(3), torch.tensor([1, 1, 0]), None, aims=torch.full((3, 2), 0.5))
    whole = added(heard, made)
    assert len(whole) == 5
    assert whole.inputs.numbers.flatten().tolist() == [-1.0, 1.0, -1.0, 0.0, 1.0]
    assert whole.target.tolist() == [0, 1, 1, 1, 0]
    assert whole.weight.tolist() == [0.5, 1.5, 1.0, 1.0, 1.0]
    assert whole.aims.tolist() == [[1, 0], [0, 1], [0.5, 0.5], [0.5, 0.5], [0.5, 0.5]]
