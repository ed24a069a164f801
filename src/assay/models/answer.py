"""The whole answer as one module: preprocessing, network and head, as it is exported."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from assay.data.encode import Encoder
from assay.models.network import Network


@dataclass(frozen=True)
class Head:
    """What turns the network's outputs into answers.

    temperature: logits are divided by it (classification), or None (regression).
    mean, deviation: of the training target (regression): answers are outputs * deviation + mean.
    """

    temperature: float | None
    mean: float = 0.0
    deviation: float = 1.0

    @property
    def scale(self) -> float:
        """Factor of the outputs."""
        return self.deviation if self.temperature is None else 1.0 / self.temperature


class Answer(nn.Module):
    """Matrices of raw cells in, probabilities (n, classes) or values (n, 1) out; members are averaged.

    Shapes: values (n, K) float64, codes (n, C) int64, texts (n, T) float32; probabilities are float32, values float64.
    """

    scale: Tensor
    shift: Tensor

    def __init__(self, encoder: Encoder, network: Network, head: Head) -> None:
        super().__init__()
        self.preprocess = encoder.preprocess
        self.network = network
        self.is_classifier = head.temperature is not None
        # In float64 for values: float32 knows a target of 1.7e9 only to 128.
        dtype = torch.float32 if self.is_classifier else torch.float64
        self.register_buffer("scale", torch.tensor(head.scale, dtype=dtype))
        self.register_buffer("shift", torch.tensor(head.mean, dtype=dtype))

    def forward(self, values: Tensor, codes: Tensor, texts: Tensor) -> Tensor:
        """Compute; see the class for shapes."""
        numbers, extras = self.preprocess(values, texts)
        outputs: Tensor = self.network(numbers, extras, codes)
        if self.is_classifier:
            return (outputs * self.scale).softmax(-1).mean(0)
        return outputs.double().mean(0) * self.scale + self.shift
