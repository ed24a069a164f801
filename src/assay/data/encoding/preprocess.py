"""The numeric work in front of a network: modules that learned all they know from training rows, and export to ONNX."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor, nn

from assay.data.config import EncodeConfig
from assay.data.encoding.learn import Knots, Learned, Plan
from assay.data.inputs import LARGEST
from assay.data.texts.frozen import TextFeatures

#: Scaled numbers end here, also without a clip: their squares still fit into float32.
_FURTHEST = 1e18
#: Rows that are preprocessed at once.
_ROWS_AT_ONCE = 8_192
#: Rows times columns times knots that quantile scaling takes at once; 2^24 are 128 MB.
_RAMPS_AT_ONCE = 1 << 24


class QuantileScale(nn.Module):
    """Map each column's quantiles to normal scores, linear in between (as scikit-learn's QuantileTransformer).

    A sum of clamped ramps instead of a search, so that it exports to ONNX.

    Shapes: (n, N) float64 to (n, N) float64.
    """

    starts: Tensor
    inverse_widths: Tensor
    rises: Tensor
    lowest: Tensor

    def __init__(self, knots: list[Knots], most: int) -> None:
        """`knots` of each column, at most `most` and one more."""
        super().__init__()
        shape = len(knots), most
        starts, widths, rises = np.zeros(shape), np.ones(shape), np.zeros(shape)
        lowest = np.zeros(len(knots))
        for column, (edges, scores) in enumerate(knots):
            steps = len(edges) - 1
            lowest[column] = scores[0]
            starts[column, :steps] = edges[:-1]
            widths[column, :steps] = np.diff(edges)
            rises[column, :steps] = np.diff(scores)
        self.register_buffer("starts", torch.from_numpy(starts))
        self.register_buffer("inverse_widths", torch.from_numpy(1.0 / np.maximum(widths, 1.0 / LARGEST)))
        self.register_buffer("rises", torch.from_numpy(rises))
        self.register_buffer("lowest", torch.from_numpy(lowest))

    def forward(self, values: Tensor) -> Tensor:
        """Scale; see the class."""
        ramps = ((values.unsqueeze(-1) - self.starts) * self.inverse_widths).clamp(0.0, 1.0)
        return self.lowest + (ramps * self.rises).sum(-1)


class Preprocess(nn.Module):
    """Impute, flag, scale, clip, and lay dates on cycles: all numeric work in front of the network.

    Values are centred in float64 and only then cast, so that large offsets (years, timestamps) keep their digits. What
    comes out is finite, whatever goes in.

    Shapes:
        values: (n, K) float64, NaN or infinite where missing; texts: (n, T) float32; windows: of each text column that
        a text encoder reads, (n, w, t) int32.
        returns numbers (n, N) float32 and extras (n, E) float32, the features of the windows last.
    """

    largest: Tensor
    fill: Tensor
    center: Tensor
    scale: Tensor
    flagged: Tensor
    trends: Tensor
    booleans: Tensor
    dates: Tensor
    periods: Tensor

    def __init__(
        self, learned: Learned, plan: Plan, config: EncodeConfig, features: TextFeatures | None = None
    ) -> None:
        super().__init__()
        self.clip = config.clip
        self.features = features
        self.text_sizes = plan.text_sizes
        knots = [learned.knots[column] for column in plan.trends if column in learned.knots]
        self.quantile = QuantileScale(knots, config.quantiles) if config.scale == "quantile" else None
        # A buffer, because the exporter writes plain numbers as float32, where this one is infinite.
        self.register_buffer("largest", torch.tensor(LARGEST, dtype=torch.float64))
        self.register_buffer("fill", torch.tensor(learned.fill, dtype=torch.float64))
        self.register_buffer("center", torch.tensor(learned.center, dtype=torch.float64))
        self.register_buffer("scale", torch.tensor(learned.scale, dtype=torch.float64))
        self.register_buffer("flagged", torch.tensor(learned.flagged, dtype=torch.int64))
        self.register_buffer("trends", torch.tensor(plan.trends, dtype=torch.int64))
        self.register_buffer("booleans", torch.tensor(plan.booleans, dtype=torch.int64))
        self.register_buffer("dates", torch.tensor(learned.cycle_columns, dtype=torch.int64))
        self.register_buffer("periods", torch.tensor(learned.cycle_periods, dtype=torch.float64))

    @property
    def extras(self) -> int:
        """How many extra inputs come out."""
        plain = len(self.flagged) + len(self.booleans) + 2 * len(self.dates) + sum(self.text_sizes)
        return plain + (0 if self.features is None else self.features.width)

    @property
    def windows(self) -> int:
        """Text columns that a text encoder reads."""
        return 0 if self.features is None else len(self.features.center)

    @property
    def rows_at_once(self) -> int:
        """Rows whose float64 work space stays near the processor."""
        ramps = 0 if self.quantile is None else self.quantile.starts.numel()
        return max(min(_ROWS_AT_ONCE, _RAMPS_AT_ONCE // max(ramps, 1)), 64)

    def forward(self, values: Tensor, texts: Tensor, *windows: Tensor) -> tuple[Tensor, Tensor]:
        """Preprocess; see the class."""
        numbers, extras = self.without_features(values, texts)
        if self.features is None:
            return numbers, extras
        return numbers, torch.cat([extras, self.features(windows)], 1)

    def without_features(self, values: Tensor, texts: Tensor) -> tuple[Tensor, Tensor]:
        """The same without what a text encoder gives."""
        missing = (values.abs() < math.inf).logical_not()
        filled = torch.where(missing, self.fill, values.minimum(self.largest).maximum(-self.largest))
        scaled = (filled - self.center) * self.scale
        numbers = scaled[:, self.trends] if self.quantile is None else self.quantile(filled[:, self.trends])
        numbers = self._soft_clip(numbers.clamp(-_FURTHEST, _FURTHEST)).float()
        parts = [missing[:, self.flagged].float(), scaled[:, self.booleans].float()]
        if len(self.dates):
            turns = filled[:, self.dates] / self.periods
            angle = (turns - turns.floor()).float() * (2.0 * math.pi)
            known = missing[:, self.dates].logical_not().float()
            parts += [angle.sin() * known, angle.cos() * known]
        parts += [_unit_length(text) for text in texts.split(self.text_sizes, dim=1)] if self.text_sizes else []
        return numbers, torch.cat(parts, dim=1)

    def _soft_clip(self, numbers: Tensor) -> Tensor:
        """Take x to x / sqrt(1 + (x / c)^2): near the identity at 0, never beyond c (RealMLP, 2024)."""
        if not self.clip:
            return numbers
        return numbers / (1.0 + (numbers / self.clip).square()).sqrt()


def _unit_length(text: Tensor) -> Tensor:
    return text / (text.square().sum(1, keepdim=True).sqrt() + 1e-6)
