"""What rounding may make of a file's answers: of sharp networks more, and never more than is promised."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from assay.bundle.load import TOLERANCE
from assay.bundle.rounding import MOST, allowed_differences


def allowed(outputs: list[float], temperature: float) -> np.ndarray:
    """Of binary rows whose two outputs are z and -z."""
    z = torch.tensor(outputs)
    logits = torch.stack([z, -z], dim=1)[None]
    answer = SimpleNamespace(is_classifier=True, scale=torch.tensor(1.0 / temperature).view(1, 1, 1))
    expected = (logits[0].double() / temperature).softmax(-1).numpy()
    return allowed_differences(answer, logits, expected)


def test_an_ordinary_network_is_held_to_the_tolerance():
    assert allowed([0.0, 0.5, 3.0, 9.0], 1.0) == pytest.approx([TOLERANCE] * 4)


def test_an_undecided_row_of_a_cold_network_may_differ_by_its_rounding():
    (found,) = allowed([0.5], 0.05)  # z / T = 10: p is nearly 1 and hardly moves
    assert found == pytest.approx(TOLERANCE)
    logits = torch.tensor([[[400.0, 400.0]]])
    answer = SimpleNamespace(is_classifier=True, scale=torch.tensor(20.0).view(1, 1, 1))
    (found,) = allowed_differences(answer, logits, np.array([[0.5, 0.5]]))
    assert found == pytest.approx(MOST)
    (found,) = allowed_differences(answer, logits / 100, np.array([[0.5, 0.5]]))
    assert found == pytest.approx(64 * 2.0**-24 * 80 * 0.25)


def test_rounding_in_another_order_stays_within_what_is_allowed():
    rng = np.random.default_rng(0)
    weight = rng.normal(size=(4096, 2)).astype(np.float32)
    rows = rng.normal(size=(500, 4096)).astype(np.float32)
    temperature = 10.0
    there = torch.from_numpy(rows @ weight)
    other = rows[:, ::-1] @ np.ascontiguousarray(weight[::-1])
    answer = SimpleNamespace(is_classifier=True, scale=torch.tensor(1.0 / temperature).view(1, 1, 1))
    one = (there.double() / temperature).softmax(-1).numpy()
    two = (torch.from_numpy(other).double() / temperature).softmax(-1).numpy()
    apart = np.abs(one - two).max(axis=1)
    assert apart.max() > 0
    assert np.all(apart <= allowed_differences(answer, there[None], one))


def test_values_keep_the_relative_tolerance():
    answer = SimpleNamespace(is_classifier=False, scale=torch.tensor(1e6).view(1, 1, 1))
    assert allowed_differences(answer, torch.ones(1, 3, 1), np.ones((3, 1))) == pytest.approx([TOLERANCE] * 3)
