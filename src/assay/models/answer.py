"""The whole answer as one module: preprocessing, networks and head, as it is exported."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from assay.data.decision import Rule
from assay.data.encoding.encode import Encoder
from assay.models.calibration import Calibrated, CalibrationMap
from assay.models.ensemble import Ensemble


@dataclass(frozen=True)
class Head:
    """What turns the networks' outputs into answers.

    shares: weight of each of the A answers in the mean, summing to 1.
    temperatures: each answer's logits are divided by its own (classification), or None (regression).
    mean, deviation: of the training target (regression): answers are outputs * deviation + mean.
    thresholds: the probability from which each label is given, or from which the positive one of two classes is; None
        where the likeliest of more classes is, or the cheapest.
    factors: of the temperatures, one for each label; none are ones.
    has_labels: whether answers are probabilities of labels that do not exclude each other.
    calibration: a map of the averaged probabilities, on top of the temperatures.
    costs: (K, K) of decisions (columns) by what is true (rows), where the cheapest of more than two classes is decided.
    """

    shares: tuple[float, ...]
    temperatures: tuple[float, ...] | None
    mean: float = 0.0
    deviation: float = 1.0
    thresholds: tuple[float, ...] | None = None
    factors: tuple[float, ...] = ()
    has_labels: bool = False
    calibration: CalibrationMap | None = None
    costs: tuple[tuple[float, ...], ...] = ()

    @property
    def rule(self) -> Rule:
        """How one class follows from the probabilities."""
        return Rule(self.thresholds or (), self.costs)

    @property
    def is_classifier(self) -> bool:
        """Whether answers are probabilities."""
        return self.temperatures is not None

    def in_units(self, raw: NDArray[np.float32], shares: Sequence[float]) -> NDArray[np.float64]:
        """Values in the target's units, (n, ...), of answers (A, n, ...) that have these shares."""
        mean = np.average(raw.astype(np.float64), axis=0, weights=shares)
        return np.asarray(mean * self.deviation + self.mean, np.float64)

    def hotter(self, temperature: float) -> Head:
        """The same with all temperatures multiplied."""
        assert self.temperatures is not None
        return replace(self, temperatures=tuple(each * temperature for each in self.temperatures))


class Answer(nn.Module):
    """Matrices of raw cells in, the weighted mean of all answers out: probabilities (n, K), values (n, 1) or (n, H).

    Probabilities are of classes, which sum to 1, or of labels, each for itself.

    Shapes: values (n, K) float64, codes (n, C) int64, texts (n, T) float32, then the media that networks read and,
    last, the windows of text columns that a text encoder reads, which networks may read too; probabilities are float32,
    values float64.
    """

    scale: Tensor
    shares: Tensor
    shift: Tensor

    def __init__(self, encoder: Encoder, ensemble: Ensemble, head: Head) -> None:
        super().__init__()
        self.preprocess = encoder.preprocess
        self.ensemble = ensemble
        self.is_classifier, self.has_labels = head.is_classifier, head.has_labels
        # In float64 for values: float32 knows a target of 1.7e9 only to 128. And for what a map is applied to.
        dtype = torch.float32 if self.is_classifier and head.calibration is None else torch.float64
        scales = [1.0 / each for each in head.temperatures] if head.temperatures else [head.deviation]
        scale = torch.tensor(scales, dtype=dtype).view(-1, 1, 1)
        self.register_buffer("scale", scale / torch.tensor(head.factors, dtype=dtype) if head.factors else scale)
        self.register_buffer("shares", torch.tensor(head.shares, dtype=dtype).view(-1, 1, 1))
        self.register_buffer("shift", torch.tensor(head.mean, dtype=dtype))
        self.calibrated = None if head.calibration is None else Calibrated(head.calibration)

    def outputs(self, values: Tensor, codes: Tensor, texts: Tensor, *media: Tensor) -> Tensor:
        """What the members say before scale, shares and calibration, float32 (A, n, K); see the class for shapes."""
        windows = media[len(media) - self.preprocess.windows :]
        numbers, extras = self.preprocess(values, texts, *windows)
        found: Tensor = self.ensemble(numbers, extras, codes, *media[: len(self.ensemble.reads)])
        return found

    def forward(self, values: Tensor, codes: Tensor, texts: Tensor, *media: Tensor) -> Tensor:
        """Compute; see the class for shapes."""
        return self.stated(self.outputs(values, codes, texts, *media))

    def stated(self, outputs: Tensor) -> Tensor:
        """The answers from `outputs`."""
        if self.calibrated is not None:
            scaled = outputs.double() * self.scale
            stated = ((scaled.sigmoid() if self.has_labels else scaled.softmax(-1)) * self.shares).sum(0)
            calibrated: Tensor = self.calibrated(stated)
            return calibrated.float()
        if self.has_labels:
            return ((outputs * self.scale).sigmoid() * self.shares).sum(0)
        if self.is_classifier:
            return ((outputs * self.scale).softmax(-1) * self.shares).sum(0)
        return (outputs.double() * self.shares).sum(0) * self.scale[0] + self.shift
