"""Networks that forecast: (numbers, extras, codes, series) of n windows to all steps ahead at once, (M, n, H).

Shape legend: M members, n rows, C channels of a window, the target first, L steps before the origin, H steps ahead,
K channels known ahead, D inputs beside the series.

A window is taken by its own level and size and the answer is given these back, so that what was learned holds at any
level (Kim et al., Reversible Instance Normalization, ICLR 2022; here without weights of its own). Beside every network
stands a linear map of the window, as in LSTNet (Lai et al., SIGIR 2018), which starts as the ridge regression of the
training windows: a network starts as good as a linear forecast and learns what that misses.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional

from assay.data.encoding.encode import Encoded, Layout
from assay.models.blocks import Inputs, MemberEmbedding, MemberLinear
from assay.models.config import ModelConfig
from assay.models.ft_transformer import Block
from assay.models.linear_start import linear_start
from assay.models.network import Dropout, Network, rows_within
from assay.models.series import Places, Recurrent, SeriesLayout, Standardised

#: The least size of a window, in deviations of all windows: a constant one has none.
_LEAST_SIZE = 1e-4
#: Steps of the moving average that parts a window into trend and rest.
_AVERAGE = 25
#: Units of what is known ahead, and of channels that are known up to the origin.
_UNITS = 16
#: Steps of a patch, and most steps that a recurrent network reads one after another.
_PATCH, _READ = 16, 48
_LONGEST_EMBEDDING = 8
_NUMBERS_AT_ONCE = 1 << 24


@dataclass(frozen=True)
class WindowLayout:
    """What is known of windows before a network is built: known lists the channels that go on ahead."""

    series: SeriesLayout
    length: int
    horizon: int
    known: tuple[int, ...]

    @classmethod
    def learn(cls, train: Tensor, horizon: int) -> WindowLayout:
        """The layout of training windows (n, C, T); of channels known ahead T is L + H, and other channels end at L."""
        last = train[:, :, -horizon:].isfinite().any(2).any(0)
        goes_on = train.shape[2] > horizon and not bool(last[0])
        series = SeriesLayout.learn(train, normalise=False)
        known = tuple(int(place) for place in last.nonzero().flatten()) if goes_on else ()
        return cls(series, train.shape[2] - horizon if goes_on else train.shape[2], horizon, known)

    @property
    def past(self) -> tuple[int, ...]:
        """Channels other than the target that end at the origin."""
        return tuple(place for place in range(1, self.series.channels) if place not in self.known)


class ForecastNetwork(Network):
    """Base: a subclass says what is ahead of a window of level 0 and size 1; the rest is the same for all.

    What is known ahead acts on each step alike, before and ahead: it is taken off the past and put on the forecast, as
    in a regression whose errors are a time series (Hyndman & Athanasopoulos 2021, chapter 10). Other channels and what
    stands beside the series give each step ahead a share that starts at zero.

    level: what a window is measured from, its last value or its mean. start: the first weights of the linear map,
    (L, H), zero if nothing is given: all steps ahead are then at the level.
    """

    level: Literal["last", "mean"] = "mean"
    starts_at_prior = False
    starts_fitted = True

    def __init__(self, members: int, windows: WindowLayout, layout: Layout) -> None:
        super().__init__(members)
        self.length, self.horizon = windows.length, windows.horizon
        self.known, self.past = windows.known, windows.past
        self.standardised = Standardised(_without_gaps(windows.series))
        self.linear = MemberLinear(members, self.length, self.horizon)
        self.start = torch.zeros(self.length, self.horizon)
        size = min(_LONGEST_EMBEDDING, max(layout.vocabularies, default=1))
        self.embedding = MemberEmbedding(members, layout.vocabularies, size) if layout.vocabularies else None
        self.has_numbers = layout.numbers + layout.extras > 0
        width = layout.numbers + layout.extras + size * len(layout.vocabularies)
        self.beside = MemberLinear(members, width, self.horizon) if width else None
        self.narrow = MemberLinear(members, len(self.past) * self.length, _UNITS, "lecun") if self.past else None
        self.others = MemberLinear(members, _UNITS, self.horizon) if self.past else None
        self.hidden = MemberLinear(members, len(self.known), _UNITS) if self.known else None
        self.effect = MemberLinear(members, _UNITS, 1) if self.known else None
        numbers = members * max(self.length, self.horizon) * (_UNITS if self.known else 1)
        self.rows_at_once = rows_within(_NUMBERS_AT_ONCE, numbers)

    def initialise(self, generators: Sequence[torch.Generator], prior: Tensor) -> None:
        """Draw the weights; the linear map begins at its start, and last layers beside it at zero."""
        super().initialise(generators, prior)
        self.linear.weight.copy_(self.start.to(self.linear.weight.device))
        for layer in (self.beside, self.others, self.effect, *self.last_layers()):
            if layer is not None:
                nn.init.zeros_(layer.weight)
                nn.init.zeros_(layer.bias)

    def last_layers(self) -> tuple[MemberLinear, ...]:
        """The layers that give the steps ahead."""
        raise NotImplementedError

    def ahead(self, window: Tensor) -> Tensor:
        """What comes to the linear map, (M, n, H), for windows (M, n, L), or (1, n, L) where members agree."""
        raise NotImplementedError

    def forward(self, numbers: Tensor, extras: Tensor, codes: Tensor, *media: Tensor) -> Tensor:
        """Compute: media[0] is the window, (n, C, T) float32 with NaN where nothing is known."""
        series, _ = self.standardised(media[0])
        window, centre, size = self.normalised(series)
        window = window.unsqueeze(0)
        effects = self._effects(series)
        if effects is not None:
            window = window - effects[:, :, : self.length]
        found = self.linear(_rows(window)) + self.ahead(window)
        for share in (self._from_others(series), self._from_beside(numbers, extras, codes)):
            if share is not None:
                found = found + share
        if effects is not None:
            found = found + effects[:, :, self.length :]
        return torch.add(found * size, centre)

    def normalised(self, series: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The target's windows (n, L) at level 0 and size 1, and level and size (n, 1), of standardised (n, C, T)."""
        own = series[:, 0, : self.length]
        mean = own.mean(1, keepdim=True)
        centre = own[:, -1:] if self.level == "last" else mean
        size = (own - mean).square().mean(1, keepdim=True).sqrt().clamp(min=_LEAST_SIZE)
        return (own - centre) / size, centre, size

    def fit_start(self, series: Tensor, targets: Tensor) -> None:
        """Begin at the ridge regression of standardised targets (n, H) on training windows (n, C, T)."""
        window, centre, size = self.normalised(self.standardised(series)[0])
        self.start = linear_start(window, (targets - centre) / size, size)

    def _effects(self, series: Tensor) -> Tensor | None:
        """What is known ahead, as its effect on each step of the window and ahead of it, (M, n, L + H)."""
        if self.hidden is None or self.effect is None:
            return None
        steps = rearrange(series[:, list(self.known)], "n k t -> (n t) k")
        units = functional.relu(self.hidden(Inputs(steps, None)))
        found: Tensor = rearrange(self.effect(units), "m (n t) 1 -> m n t", t=self.length + self.horizon)
        return found

    def _from_others(self, series: Tensor) -> Tensor | None:
        if self.narrow is None or self.others is None:
            return None
        past = series[:, list(self.past), : self.length]
        past = past - past.mean(2, keepdim=True)
        found: Tensor = self.others(self.narrow(Inputs(past.flatten(1), None)))
        return found

    def _from_beside(self, numbers: Tensor, extras: Tensor, codes: Tensor) -> Tensor | None:
        if self.beside is None:
            return None
        own = None if self.embedding is None else self.embedding(codes)
        if not self.has_numbers:
            assert own is not None
            found: Tensor = self.beside(own)
            return found
        joined: Tensor = self.beside(Inputs(torch.cat([numbers, extras], dim=1), own))
        return joined


def _without_gaps(series: SeriesLayout) -> SeriesLayout:
    """Windows have no gaps but where a channel ends, which the network knows."""
    return SeriesLayout(series.channels, series.length, False, False, series.means, series.deviations)


def _rows(window: Tensor) -> Tensor | Inputs:
    """Windows as the inputs of a member layer: what members share stands once."""
    return Inputs(window[0], None) if window.shape[0] == 1 else window


class DLinear(ForecastNetwork):
    """A linear map of the trend beside that of the window (Zeng, Chen, Zhang & Xu, AAAI 2023, section 3).

    The paper maps trend and rest, which is the same. The trend is a moving average of 25 steps with repeated ends;
    windows are measured from their last value, as the paper's NLinear does.
    """

    level = "last"

    def __init__(self, members: int, windows: WindowLayout, layout: Layout) -> None:
        super().__init__(members, windows, layout)
        self.steps = min(_AVERAGE, self.length)
        self.trend = MemberLinear(members, self.length, self.horizon)

    def last_layers(self) -> tuple[MemberLinear, ...]:
        """See the base."""
        return (self.trend,)

    def ahead(self, window: Tensor) -> Tensor:
        """See the base."""
        before = (self.steps - 1) // 2
        after = self.steps - 1 - before
        ends = [window[:, :, :1].expand(-1, -1, before), window, window[:, :, -1:].expand(-1, -1, after)]
        trend = functional.avg_pool1d(torch.cat(ends, dim=2), self.steps, stride=1)
        found: Tensor = self.trend(_rows(trend))
        return found


class PatchTst(ForecastNetwork):
    """Overlapping pieces of the window as tokens, attention among them, and a linear map of all tokens.

    Nie, Nguyen, Sinthong & Kalagnanam, A Time Series is Worth 64 Words, ICLR 2023, section 3.1: pieces of 16 steps, 8
    apart, the last step repeated behind the end. Blocks are those of `FtTransformer`.
    """

    def __init__(
        self, members: int, windows: WindowLayout, layout: Layout, *, width: int = 32, depth: int = 2, heads: int = 4,
        dropout: float = 0.2,
    ) -> None:  # fmt: skip
        super().__init__(members, windows, layout)
        if width % heads:
            raise ValueError(f"{heads} attention heads must divide the width {width}")
        self.patch = min(_PATCH, self.length)
        self.stride = max(self.patch // 2, 1)
        self.tokens = (self.length - self.patch) // self.stride + 2
        self.embed = MemberLinear(members, self.patch, width, "xavier")
        self.places = Places(members, self.tokens, width)
        config = ModelConfig(width=width, attention_heads=heads, dropout=dropout, activation="gelu")
        self.blocks = nn.ModuleList(Block(config, self.noise, is_first=place == 0) for place in range(depth))
        self.dropout = Dropout(dropout, self.noise)
        self.head = MemberLinear(members, self.tokens * width, self.horizon)
        self.rows_at_once = rows_within(_NUMBERS_AT_ONCE, 4 * members * self.tokens * width)

    def last_layers(self) -> tuple[MemberLinear, ...]:
        """See the base."""
        return (self.head,)

    def ahead(self, window: Tensor) -> Tensor:
        """See the base."""
        longer = torch.cat([window, window[:, :, -1:].expand(-1, -1, self.stride)], dim=2)
        places = range(0, self.tokens * self.stride, self.stride)
        pieces = torch.stack([longer[:, :, place : place + self.patch] for place in places], dim=2)
        pieces = pieces.expand(self.members, -1, -1, -1)
        tokens = rearrange(self.embed(rearrange(pieces, "m n t p -> m (n t) p")), "m (n t) d -> m n t d", t=self.tokens)
        tokens = self.places(tokens)
        for block in self.blocks:
            tokens = block(tokens, None)
        found: Tensor = self.head(self.dropout(tokens.flatten(2)))
        return found


class GruForecast(ForecastNetwork):
    """Gated recurrent units over the window, and a linear map of their last state to all steps ahead.

    A long window is read in segments of several steps at once (Lin et al., SegRNN, arXiv 2308.11200).
    """

    level = "last"

    def __init__(
        self, members: int, windows: WindowLayout, layout: Layout, *, width: int = 64, depth: int = 1,
        dropout: float = 0.1,
    ) -> None:  # fmt: skip
        super().__init__(members, windows, layout)
        self.segment = -(-self.length // _READ)
        self.count = self.length // self.segment
        self.units = Recurrent(members, self.segment, width, depth, "gru")
        self.dropout = Dropout(dropout, self.noise)
        self.head = MemberLinear(members, width, self.horizon)
        self.rows_at_once = rows_within(_NUMBERS_AT_ONCE, 4 * members * self.count * width)

    def factors(self) -> dict[str, tuple[float, float]]:
        """As ever: matrices decay, vectors do not."""
        return {name: (1.0, float("weight" in name or "table" in name)) for name, _ in self.named_parameters()}

    def last_layers(self) -> tuple[MemberLinear, ...]:
        """See the base."""
        return (self.head,)

    def ahead(self, window: Tensor) -> Tensor:
        """See the base."""
        kept = window[:, :, self.length - self.count * self.segment :]
        segments = rearrange(kept, "m n (t p) -> m n t p", p=self.segment)
        if segments.shape[0] == 1:
            states: Tensor = self.units(segments[0])
        else:
            states = self.units.of_members(segments)
        found: Tensor = self.head(self.dropout(states[:, :, -1]))
        return found


#: Networks that forecast by name.
FORECAST_NETWORKS: dict[str, Callable[..., ForecastNetwork]] = {
    "dlinear": DLinear,
    "patchtst": PatchTst,
    "gru": GruForecast,
}


def build_forecast(
    config: ModelConfig, layout: Layout, horizon: int, members: int, rows: Encoded | None, targets: Tensor | None = None
) -> ForecastNetwork:
    """The forecasting network that `config` names, standardised by what the training `rows` show, and begun by them.

    targets: standardised, of these rows, (n, H); without them the linear map starts at zero.

    Raises:
        ValueError: there are no rows, or they have no windows.
    """
    places = layout.places("series")
    if rows is None or not places or not len(rows):
        raise ValueError(f"{config.name} needs training rows with windows")
    windows = WindowLayout.learn(rows.media[places[0]], horizon)
    sizes: dict[str, float] = {}
    if config.name != "dlinear":
        sizes = {"width": config.width, "depth": config.layers, "dropout": config.dropout}
    if config.name == "patchtst":
        sizes["heads"] = config.attention_heads
    network = FORECAST_NETWORKS[config.name](members, windows, layout, **sizes)
    network.reads = places
    if targets is not None and len(targets) == len(rows):
        network.fit_start(rows.media[places[0]], targets)
    return network
