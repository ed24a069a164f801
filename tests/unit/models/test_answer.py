import numpy as np
import polars as pl
import pytest
import torch

from assay.data.config import EncodeConfig
from assay.data.encode import Encoder
from assay.data.inputs import matrices
from assay.data.rows import Rows
from assay.data.schema import Column, Kind, Schema, Task
from assay.evaluate.calibrate import apply_temperature
from assay.ledger import Ledger
from assay.models.answer import Answer, Head
from assay.models.build import build
from assay.models.config import ModelConfig

FRAME = pl.DataFrame({"x": [0.0, 1.0, None, 4.0, 9.0], "c": ["a", "b", "a", "b", None]})


@pytest.fixture
def encoder():
    columns = (
        Column(name="x", kind=Kind.NUMBER, dtype="Float64", reason="made"),
        Column(name="c", kind=Kind.CATEGORY, dtype="String", reason="made"),
        Column(name="y", kind=Kind.NUMBER, dtype="Float64", reason="made"),
    )
    schema = Schema(columns=columns, target="y", task=Task.REGRESSION, task_reason="")
    return Encoder.fit(Rows("train", FRAME, np.zeros(5), None, np.arange(5)), schema, EncodeConfig(), Ledger())


def answers(encoder, head, outputs):
    config = ModelConfig(width=8, members=3, number_bins=4)
    numbers = encoder.encode(FRAME).numbers
    network = build(config, encoder.layout, numbers, outputs=outputs, prior=torch.zeros(outputs), seeds=range(3)).eval()
    torch.nn.init.normal_(network.head.weight, generator=torch.Generator().manual_seed(1))
    raw = matrices(FRAME, encoder.inputs)
    encoded = encoder.encode(FRAME)
    with torch.inference_mode():
        found = Answer(encoder, network, head)(
            torch.from_numpy(raw.values), torch.from_numpy(raw.codes), torch.from_numpy(raw.texts)
        )
        return found, network(encoded.numbers, encoded.extras, encoded.codes)


@pytest.mark.parametrize("temperature", [0.3, 1.0, 4.0])
def test_a_classifier_answers_with_the_calibrated_mean_of_its_members(encoder, temperature):
    found, logits = answers(encoder, Head(temperature), outputs=3)
    assert found.dtype == torch.float32
    assert logits.shape == (3, 5, 3)
    np.testing.assert_allclose(found.numpy(), apply_temperature(logits.numpy(), temperature), atol=1e-6)


def test_a_regression_answers_in_the_units_of_its_target(encoder):
    found, outputs = answers(encoder, Head(None, mean=-3.0, deviation=2.5), outputs=1)
    assert found.shape == (5, 1)
    np.testing.assert_allclose(found.numpy(), outputs.double().mean(0).numpy() * 2.5 - 3.0, rtol=1e-12)


def test_a_large_target_keeps_its_digits(encoder):
    found, outputs = answers(encoder, Head(None, mean=1.7e9, deviation=1.0), outputs=1)
    np.testing.assert_allclose((found - 1.7e9).numpy(), outputs.double().mean(0).numpy(), atol=1e-6)
