import numpy as np
import polars as pl
import pytest
import torch

from assay.data.config import EncodeConfig
from assay.data.encoding.encode import Encoder
from assay.data.inputs import matrices
from assay.data.rows import Rows
from assay.data.schema import Column, Kind, Schema, Task
from assay.evaluate.calibration.calibrate import mixed_probabilities
from assay.evaluate.multilabel.calibration import mixed_labels
from assay.ledger import Ledger
from assay.models.answer import Answer, Head
from assay.models.build import build
from assay.models.calibration import CalibrationMap
from assay.models.config import ModelConfig
from assay.models.ensemble import Ensemble

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
    config = ModelConfig(name="mlp", width=8, members=3, number_bins=4)
    numbers = encoder.encode(FRAME).numbers
    network = build(config, encoder.layout, numbers, outputs=outputs, prior=torch.zeros(outputs), seeds=range(3)).eval()
    torch.nn.init.normal_(network.head.weight, generator=torch.Generator().manual_seed(1))
    raw = matrices(FRAME, encoder.inputs)
    encoded = encoder.encode(FRAME)
    with torch.inference_mode():
        found = Answer(encoder, Ensemble([network]), head)(
            torch.from_numpy(raw.values), torch.from_numpy(raw.codes), torch.from_numpy(raw.texts)
        )
        return found, network(encoded.numbers, encoded.extras, encoded.codes)


SHARES = (0.5, 0.125, 0.375)


@pytest.mark.parametrize("temperature", [0.3, 1.0, 4.0])
def test_a_classifier_answers_with_the_calibrated_weighted_mean_of_its_members(encoder, temperature):
    temperatures = (temperature, 1.0, 2.0 * temperature)
    found, logits = answers(encoder, Head(SHARES, temperatures), outputs=3)
    assert found.dtype == torch.float32
    assert logits.shape == (3, 5, 3)
    np.testing.assert_allclose(found.numpy(), mixed_probabilities(logits.numpy(), temperatures, SHARES), atol=1e-6)


@pytest.mark.parametrize(
    "found",
    [
        CalibrationMap("vector", (0.5, 1.0, 2.0), (), (0.3, 0.0, -0.4)),
        CalibrationMap("beta", (0.5, 1.0, 2.0), (1.0, 1.0, 0.5), (0.3, 0.0, -0.4)),
        CalibrationMap("isotonic", knots=(-4.0, 0.0, 3.0), heights=(-2.0, -0.5, 1.0)),
    ],
)
def test_a_map_is_applied_to_the_mean_of_the_members(encoder, found):
    temperatures = (0.2, 0.5, 0.1)
    answered, logits = answers(encoder, Head(SHARES, temperatures, calibration=found), outputs=3)
    assert answered.dtype == torch.float32
    expected = found.apply(mixed_probabilities(logits.numpy(), temperatures, SHARES))
    np.testing.assert_allclose(answered.numpy(), expected, atol=1e-6)


def test_a_map_of_labels_is_applied_to_their_mean(encoder):
    found = CalibrationMap("vector", (0.5, 2.0), (0.5, 2.0), (0.3, -1.0), has_labels=True)
    head = Head(SHARES, (1.0, 2.0, 0.5), thresholds=(0.5, 0.5), has_labels=True, calibration=found)
    answered, logits = answers(encoder, head, outputs=2)
    expected = found.apply(mixed_labels(logits.numpy(), (1.0, 2.0, 0.5), SHARES))
    np.testing.assert_allclose(answered.numpy(), expected, atol=1e-6)


def weighted(outputs):
    return np.tensordot(np.array(SHARES), outputs.double().numpy(), axes=1)


def test_a_regression_answers_in_the_units_of_its_target(encoder):
    found, outputs = answers(encoder, Head(SHARES, None, mean=-3.0, deviation=2.5), outputs=1)
    assert found.shape == (5, 1)
    np.testing.assert_allclose(found.numpy(), weighted(outputs) * 2.5 - 3.0, rtol=1e-12)


def test_a_large_target_keeps_its_digits(encoder):
    found, outputs = answers(encoder, Head(SHARES, None, mean=1.7e9, deviation=1.0), outputs=1)
    np.testing.assert_allclose((found - 1.7e9).numpy(), weighted(outputs), atol=1e-6)


def test_networks_answer_side_by_side(encoder):
    config, numbers = ModelConfig(name="mlp", width=8, members=2, number_bins=4), encoder.encode(FRAME).numbers
    networks = [
        build(config, encoder.layout, numbers, outputs=2, prior=torch.zeros(2), seeds=seeds).eval()
        for seeds in ((0, 1), (7,))
    ]
    ensemble, inputs = Ensemble(networks), encoder.encode(FRAME)
    together = ensemble(inputs.numbers, inputs.extras, inputs.codes)
    apart = [network(inputs.numbers, inputs.extras, inputs.codes) for network in networks]
    assert ensemble.members == 3
    assert torch.equal(together, torch.cat(apart))
