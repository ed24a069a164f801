"""Networks that read series from end to end: (numbers, extras, codes, series) of n rows to outputs (M, n, outputs).

Shape legend: M members, n rows, C channels of a series, T steps of time, W feature maps, D inputs of the last layer.

Maps lie as (M, n, W, T) and members are convolved one after another. One grouped convolution of all of them is up to
three times as fast where layers are small and no faster where they are large, but its last bits are others than a
member's alone, which nothing here may depend on.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional

from assay.data.encoding.encode import Encoded, Layout
from assay.models.blocks import Generators, MemberLinear, draw_uniform
from assay.models.config import ModelConfig
from assay.models.ft_transformer import Block
from assay.models.late_fusion import LateFusion
from assay.models.network import MemberModule, rows_within
from assay.models.rocket import moments

#: Numbers of one layer's maps, all members together, that are looked at at once without gradients; 2^24 are 64 MB.
_NUMBERS_AT_ONCE = 1 << 24
#: Tokens of a series that a transformer reads, about: attention grows with their square.
_TOKENS = 64
#: Where torch has the gates that ONNX's nodes have first, second and so on.
_ONNX_GATES = {"gru": (1, 0, 2), "lstm": (0, 3, 1, 2)}


@dataclass(frozen=True)
class SeriesLayout:
    """What is known of series before a network is built.

    normalise: each series is taken by its own mean and deviation; otherwise each channel by these of training.
    has_gaps: whether training had missing values or series that end early; only then do networks see where.
    """

    channels: int
    length: int
    normalise: bool
    has_gaps: bool
    means: tuple[float, ...]
    deviations: tuple[float, ...]

    @classmethod
    def learn(cls, train: Tensor, *, normalise: bool) -> SeriesLayout:
        """The layout of training series (n, C, T) with NaN where nothing was measured."""
        there = train.isfinite()
        mean, inverse = moments(train.double(), there, (0, 2))
        deviation = torch.where(inverse > 0, 1.0 / inverse.clamp(min=1e-30), 0.0)
        return cls(
            train.shape[1], train.shape[2], normalise, not bool(there.all()),
            tuple(mean.flatten().tolist()), tuple(deviation.flatten().tolist()),
        )  # fmt: skip


class Standardised(nn.Module):
    """Series without NaN, and where they are: (n, C, T) to (n, C + 1, T) and (n, 1, T), or (n, C, T) and None.

    What is missing is 0, the mean. With gaps, the share of channels that are there is one more channel, and a step
    counts as there if any channel is.
    """

    centre: Tensor
    scale: Tensor

    def __init__(self, layout: SeriesLayout) -> None:
        super().__init__()
        self.normalise, self.has_gaps = layout.normalise, layout.has_gaps
        self.channels = layout.channels + layout.has_gaps
        deviations = torch.tensor(layout.deviations, dtype=torch.float64).view(1, -1, 1)
        inverse = torch.where(deviations > 0, 1.0 / deviations.clamp(min=1e-30), 0.0)
        self.register_buffer("centre", torch.tensor(layout.means, dtype=torch.float64).view(1, -1, 1))
        self.register_buffer("scale", inverse)

    def forward(self, series: Tensor) -> tuple[Tensor, Tensor | None]:
        """Compute; see the class for shapes."""
        there, double = series.isfinite(), series.double()
        centre, scale = moments(double, there, (2,)) if self.normalise else (self.centre, self.scale)
        values = torch.where(there, (double - centre) * scale, 0.0).float()
        if not self.has_gaps:
            return values, None
        share = there.float()
        return torch.cat([values, share.mean(1, keepdim=True)], dim=1), share.amax(1, keepdim=True)


class Convolution(MemberModule):
    """A convolution of each member with as many steps out as in: (M, n, W, T) or (1, n, W, T) to (M, n, W', T)."""

    def __init__(self, members: int, inputs: int, outputs: int, taps: int) -> None:
        super().__init__()
        self.taps = taps
        self.weight = nn.Parameter(torch.empty(members, outputs, inputs, taps))

    def reset(self, generators: Generators) -> None:
        """Uniform with variance 2 / fan-in (He et al., ICCV 2015)."""
        bound = math.sqrt(6.0 / self.weight[0, 0].numel())
        for weight, generator in zip(self.weight.data, generators, strict=True):
            nn.init.uniform_(weight, -bound, bound, generator=generator)

    def forward(self, maps: Tensor) -> Tensor:
        """Compute; see the class for shapes."""
        before = (self.taps - 1) // 2
        if self.taps % 2 == 0:
            maps = functional.pad(maps, (before, before + 1))
        padding = before if self.taps % 2 else 0
        each = maps.expand(len(self.weight), -1, -1, -1)
        # By number: iterating over a tensor would be an operation that the exporter does not know.
        return torch.stack([functional.conv1d(each[m], self.weight[m], padding=padding) for m in range(len(each))])


class MapNorm(MemberModule):
    """Batch normalisation of each member's maps (Ioffe & Szegedy, ICML 2015): (M, n, W, T) to the same."""

    mean: Tensor
    variance: Tensor

    def __init__(self, members: int, maps: int, momentum: float = 0.1) -> None:
        super().__init__()
        self.momentum = momentum
        self.gain = nn.Parameter(torch.ones(members, maps))
        self.shift = nn.Parameter(torch.zeros(members, maps))
        self.register_buffer("mean", torch.zeros(members, maps))
        self.register_buffer("variance", torch.ones(members, maps))

    def reset(self, generators: Generators) -> None:
        """No change to the maps, and no rows seen."""
        for one, zero in ((self.gain, self.shift), (self.variance, self.mean)):
            nn.init.ones_(one)
            nn.init.zeros_(zero)

    def forward(self, maps: Tensor) -> Tensor:
        """Compute; see the class for shapes."""
        learns = self.training and maps.shape[1] * maps.shape[3] > 1
        return torch.stack(
            [
                functional.batch_norm(
                    maps[m], self.mean[m], self.variance[m], self.gain[m], self.shift[m], learns, self.momentum
                )
                for m in range(len(self.gain))
            ]
        )


class Layer(nn.Module):
    """Convolution, normalisation, ReLU: (M, n, W, T) to (M, n, W', T)."""

    def __init__(self, members: int, inputs: int, outputs: int, taps: int, *, is_linear: bool = False) -> None:
        super().__init__()
        self.convolution = Convolution(members, inputs, outputs, taps)
        self.norm = MapNorm(members, outputs)
        self.is_linear = is_linear

    def forward(self, maps: Tensor) -> Tensor:
        """Compute; see the class for shapes."""
        normal: Tensor = self.norm(self.convolution(maps))
        return normal if self.is_linear else functional.relu(normal)


class SeriesNetwork(LateFusion):
    """Base: maps of a series and one vector of them; a subclass says what `read` makes of a series."""

    def __init__(
        self, members: int, series: SeriesLayout, layout: Layout, outputs: int, width: int, dropout: float = 0.0
    ) -> None:
        """`width`: length of the vector that `read` returns."""
        super().__init__(members, layout, outputs, width, dropout)
        self.standardised = Standardised(series)
        self.rows_at_once = rows_within(_NUMBERS_AT_ONCE, members * width * max(series.length, 1))

    def read(self, series: Tensor, there: Tensor | None) -> Tensor:
        """The vector of each series, (M, n, width), of series (n, C, T) and of where they are, (n, 1, T)."""
        raise NotImplementedError

    def forward(self, numbers: Tensor, extras: Tensor, codes: Tensor, *media: Tensor) -> Tensor:
        """Compute: media[0] is the series, (n, C, T) float32 with NaN where nothing was measured."""
        return self.join(self.read(*self.standardised(media[0])), numbers, extras, codes)


def average(maps: Tensor, there: Tensor | None) -> Tensor:
    """The mean of maps (M, n, W, T) over the steps that are there, (n, 1, T): (M, n, W)."""
    if there is None:
        return maps.mean(3)
    return (maps * there).sum(3) / there.sum(2).clamp(min=1.0)


class Fcn(SeriesNetwork):
    """Three layers of 8, 5 and 3 taps and an average (Wang, Yan & Oates, IJCNN 2017, section II.B)."""

    def __init__(
        self, members: int, series: SeriesLayout, layout: Layout, outputs: int, *, width: int = 128,
        dropout: float = 0.0,
    ) -> None:  # fmt: skip
        super().__init__(members, series, layout, outputs, width, dropout)
        channels = self.standardised.channels
        sizes = ((channels, width, 8), (width, 2 * width, 5), (2 * width, width, 3))
        self.layers = nn.Sequential(*(Layer(members, *size) for size in sizes))

    def read(self, series: Tensor, there: Tensor | None) -> Tensor:
        """See the base."""
        return average(self.layers(series.unsqueeze(0)), there)


class Shortcut(nn.Module):
    """ReLU(block(maps) + what passes it by): (M, n, W, T) to (M, n, W', T).

    What passes is normalised, and convolved to as many maps where the block changes their number.
    """

    def __init__(self, members: int, inputs: int, outputs: int, block: nn.Module, *, is_short: bool = False) -> None:
        super().__init__()
        self.block = block
        self.past = MapNorm(members, outputs) if is_short else Layer(members, inputs, outputs, 1, is_linear=True)

    def forward(self, maps: Tensor) -> Tensor:
        """Compute; see the class for shapes."""
        return functional.relu(self.block(maps) + self.past(maps))


class ResNet1d(SeriesNetwork):
    """Three residual blocks, each of layers of 8, 5 and 3 taps (Wang, Yan & Oates, IJCNN 2017, section II.C)."""

    def __init__(
        self, members: int, series: SeriesLayout, layout: Layout, outputs: int, *, width: int = 64, depth: int = 3,
        dropout: float = 0.0,
    ) -> None:  # fmt: skip
        super().__init__(members, series, layout, outputs, width * min(depth, 2), dropout)
        blocks, inputs = [], self.standardised.channels
        for place in range(depth):
            maps = width if place == 0 else 2 * width
            layers = nn.Sequential(
                Layer(members, inputs, maps, 8),
                Layer(members, maps, maps, 5),
                Layer(members, maps, maps, 3, is_linear=True),
            )
            blocks.append(Shortcut(members, inputs, maps, layers, is_short=inputs == maps))
            inputs = maps
        self.blocks = nn.Sequential(*blocks)

    def read(self, series: Tensor, there: Tensor | None) -> Tensor:
        """See the base."""
        return average(self.blocks(series.unsqueeze(0)), there)


class Inception(nn.Module):
    """Convolutions of several lengths side by side, and one of largest neighbours: (M, n, W, T) to (M, n, 4w, T)."""

    def __init__(self, members: int, inputs: int, width: int, taps: Sequence[int], bottleneck: int) -> None:
        super().__init__()
        narrow = bottleneck if inputs > 1 else 1
        self.bottleneck = Convolution(members, inputs, narrow, 1) if inputs > 1 else None
        self.branches = nn.ModuleList(Convolution(members, narrow, width, length) for length in taps)
        self.pooled = Convolution(members, inputs, width, 1)
        self.norm = MapNorm(members, (len(taps) + 1) * width)

    def forward(self, maps: Tensor) -> Tensor:
        """Compute; see the class for shapes."""
        narrow = maps if self.bottleneck is None else self.bottleneck(maps)
        largest = functional.max_pool1d(maps.flatten(0, 1), 3, stride=1, padding=1).unflatten(0, maps.shape[:2])
        every = [branch(narrow) for branch in self.branches] + [self.pooled(largest)]
        return functional.relu(self.norm(torch.cat(every, dim=2)))


class InceptionTime(SeriesNetwork):
    """Six inception modules, every third passed by (Fawaz et al., InceptionTime, DMKD 2020, section 3).

    The paper averages five networks of other seeds: five members.
    """

    def __init__(
        self, members: int, series: SeriesLayout, layout: Layout, outputs: int, *, width: int = 32, depth: int = 6,
        taps: Sequence[int] = (40, 20, 10), dropout: float = 0.0,
    ) -> None:  # fmt: skip
        maps = (len(taps) + 1) * width
        super().__init__(members, series, layout, outputs, maps, dropout)
        blocks, inputs = [], self.standardised.channels
        for start in range(0, depth, 3):
            count = min(3, depth - start)
            sizes = [inputs] + [maps] * (count - 1)
            modules = nn.Sequential(*(Inception(members, size, width, taps, width) for size in sizes))
            blocks.append(Shortcut(members, inputs, maps, modules) if count == 3 else modules)
            inputs = maps
        self.blocks = nn.Sequential(*blocks)

    def read(self, series: Tensor, there: Tensor | None) -> Tensor:
        """See the base."""
        return average(self.blocks(series.unsqueeze(0)), there)


class Recurrent(MemberModule):
    """Layers of gated units of each member: (n, T, C), or each member's own (M, n, T, C), to (M, n, T, W).

    gru: Cho et al., EMNLP 2014. lstm: Hochreiter & Schmidhuber, Neural Computation 1997; its forget gates start open,
    at 1 (Jozefowicz, Zaremba & Sutskever, ICML 2015).
    """

    def __init__(self, members: int, inputs: int, width: int, depth: int, kind: Literal["gru", "lstm"]) -> None:
        super().__init__()
        self.width, self.depth, self.kind = width, depth, kind
        self.gates = gates = 3 if kind == "gru" else 4
        sizes = [inputs] + [width] * (depth - 1)
        self.input_weights = nn.ParameterList(torch.empty(members, gates * width, size) for size in sizes)
        self.state_weights = nn.ParameterList(torch.empty(members, gates * width, width) for _ in sizes)
        self.input_biases = nn.ParameterList(torch.zeros(members, gates * width) for _ in sizes)
        self.state_biases = nn.ParameterList(torch.zeros(members, gates * width) for _ in sizes)

    def reset(self, generators: Generators) -> None:
        """Uniform between -1 and 1 over the root of the width, torch's own default; biases 0 but for forget gates."""
        for place in range(self.depth):
            for weights in (self.input_weights, self.state_weights):
                draw_uniform(weights[place], self.width, generators)
            nn.init.zeros_(self.input_biases[place])
            nn.init.zeros_(self.state_biases[place])
            if self.kind == "lstm":
                self.input_biases[place][:, self.width : 2 * self.width] = 1.0

    def forward(self, steps: Tensor) -> Tensor:
        """Compute; see the class for shapes."""
        # The exporter would write torch's operation as a loop of small ones, and ONNX has one for each kind.
        read = self._as_nodes if torch.onnx.is_in_onnx_export() else self._member
        members = range(len(self.input_weights[0]))
        return torch.stack([read(steps if steps.dim() == 3 else steps[m], m) for m in members])

    def of_members(self, steps: Tensor) -> Tensor:
        """The same of steps that each member has its own of, (M, n, T, C)."""
        read = self._as_nodes if torch.onnx.is_in_onnx_export() else self._member
        return torch.stack([read(steps[m], m) for m in range(len(self.input_weights[0]))])

    def _as_nodes(self, steps: Tensor, m: int) -> Tensor:
        """The same as nodes called GRU or LSTM, which want time first and the gates in another order."""
        order = torch.tensor(_ONNX_GATES[self.kind])
        attributes: dict[str, Any] = {"hidden_size": self.width}
        if self.kind == "gru":
            attributes["linear_before_reset"] = 1
        states = steps.transpose(0, 1)
        for place in range(self.depth):
            weights = [
                each[place][m].unflatten(0, (self.gates, self.width))[order].flatten(0, 1).unsqueeze(0)
                for each in (self.input_weights, self.state_weights, self.input_biases, self.state_biases)
            ]
            inputs = (states, *weights[:2], torch.cat(weights[2:], dim=1))
            shape = (states.shape[0], 1, states.shape[1], self.width)
            node = torch.onnx.ops.symbolic(self.kind.upper(), inputs, attributes, dtype=steps.dtype, shape=shape)
            states = node.squeeze(1)
        return states.transpose(0, 1)

    def _member(self, steps: Tensor, m: int) -> Tensor:
        lists = (self.input_weights, self.state_weights, self.input_biases, self.state_biases)
        flat = [parameters[place][m] for place in range(self.depth) for parameters in lists]
        start = steps.new_zeros(self.depth, steps.shape[0], self.width)
        if self.kind == "gru":
            found: Tensor = torch.gru(steps, start, flat, True, self.depth, 0.0, self.training, False, True)[0]
        else:
            found = torch.lstm(steps, [start, start], flat, True, self.depth, 0.0, self.training, False, True)[0]
        return found


class RecurrentNetwork(SeriesNetwork):
    """Base: a series is read step by step, and what is known after its last step is its vector.

    Steps after a series' end are computed and not used, which is what packing gives. Gradients through many steps
    explode: train with clipping.
    """

    kind: Literal["gru", "lstm"]

    def __init__(
        self, members: int, series: SeriesLayout, layout: Layout, outputs: int, *, width: int = 64, depth: int = 1,
        dropout: float = 0.0,
    ) -> None:  # fmt: skip
        super().__init__(members, series, layout, outputs, width, dropout)
        self.units = Recurrent(members, self.standardised.channels, width, depth, self.kind)

    def factors(self) -> dict[str, tuple[float, float]]:
        """As ever: matrices decay, vectors do not."""
        return {name: (1.0, float("weight" in name or "table" in name)) for name, _ in self.named_parameters()}

    def read(self, series: Tensor, there: Tensor | None) -> Tensor:
        """See the base."""
        states: Tensor = self.units(series.transpose(1, 2))
        if there is None:
            return states[:, :, -1]
        place = torch.arange(1, there.shape[2] + 1, dtype=torch.float32, device=there.device)
        last = (there[:, 0] * place).amax(1).clamp(min=1.0).long() - 1  # (n,)
        return states.gather(2, last.view(1, -1, 1, 1).expand(len(states), -1, 1, states.shape[3])).squeeze(2)


class Gru(RecurrentNetwork):
    """Gated recurrent units, see `Recurrent`."""

    kind = "gru"


class Lstm(RecurrentNetwork):
    """Long short-term memory, see `Recurrent`."""

    kind = "lstm"


class SeriesTransformer(SeriesNetwork):
    """Pieces of the series as tokens, attention among them, and their average.

    Nie, Nguyen, Sinthong & Kalagnanam, A Time Series is Worth 64 Words, ICLR 2023, has pieces; here channels share a
    token and pieces do not overlap. Blocks are those of `FtTransformer`.

    patch: steps of a piece; by default as many as make about 64 tokens.
    """

    def __init__(
        self, members: int, series: SeriesLayout, layout: Layout, outputs: int, *, width: int = 64, depth: int = 3,
        heads: int = 4, patch: int | None = None, dropout: float = 0.1,
    ) -> None:  # fmt: skip
        if width % heads:
            raise ValueError(f"{heads} attention heads must divide the width {width}")
        super().__init__(members, series, layout, outputs, width)
        self.patch = -(-series.length // _TOKENS) if patch is None else patch
        self.tokens = -(-series.length // self.patch)
        self.embed = MemberLinear(members, self.standardised.channels * self.patch, width, "xavier")
        self.places = Places(members, self.tokens, width)
        config = ModelConfig(width=width, attention_heads=heads, dropout=dropout, activation="relu")
        self.blocks = nn.ModuleList(Block(config, self.noise, is_first=place == 0) for place in range(depth))

    def read(self, series: Tensor, there: Tensor | None) -> Tensor:
        """See the base."""
        whole = functional.pad(series, (0, self.tokens * self.patch - series.shape[2]))
        pieces = rearrange(whole, "n c (t p) -> 1 (n t) (c p)", p=self.patch)
        tokens = rearrange(self.embed(pieces.expand(self.members, -1, -1)), "m (n t) d -> m n t d", t=self.tokens)
        tokens = self.places(tokens)
        for block in self.blocks:
            tokens = block(tokens, None)
        if there is not None:
            there = functional.pad(there, (0, whole.shape[2] - there.shape[2]))
            there = rearrange(there, "n 1 (t p) -> n 1 t p", p=self.patch).amax(3)
        return average(tokens.transpose(2, 3), there)


class Places(MemberModule):
    """A learned vector of each place, added to its token: (M, n, t, d) to the same."""

    def __init__(self, members: int, tokens: int, width: int) -> None:
        super().__init__()
        self.table = nn.Parameter(torch.empty(members, 1, tokens, width))

    def reset(self, generators: Generators) -> None:
        """Normal with a deviation of 0.02, as is usual (Devlin et al., NAACL 2019)."""
        for table, generator in zip(self.table.data, generators, strict=True):
            nn.init.normal_(table, std=0.02, generator=generator)

    def forward(self, tokens: Tensor) -> Tensor:
        """Compute; see the class for shapes."""
        return tokens + self.table


#: Networks of series by name; each takes (members, series layout, table layout, outputs) and its own sizes by name.
SERIES_NETWORKS: dict[str, Callable[..., SeriesNetwork]] = {
    "inception": InceptionTime,
    "resnet1d": ResNet1d,
    "fcn": Fcn,
    "gru": Gru,
    "lstm": Lstm,
    "series_transformer": SeriesTransformer,
}


def build_series(
    config: ModelConfig, layout: Layout, outputs: int, members: int, rows: Encoded | None
) -> SeriesNetwork:
    """The network of series that `config` names, standardised by what the training `rows` show.

    Raises:
        ValueError: there are no rows, or they have no series.
    """
    places = layout.places("series")
    if rows is None or not places or not len(rows):
        raise ValueError(f"{config.name} needs training rows with series")
    series = SeriesLayout.learn(rows.media[places[0]], normalise=False)
    sizes: dict[str, float] = {"width": config.width, "dropout": config.dropout}
    if config.name != "fcn":  # which has three layers
        sizes["depth"] = config.layers
    if config.name == "series_transformer":
        sizes["heads"] = config.attention_heads
    network = SERIES_NETWORKS[config.name](members, series, layout, outputs, **sizes)
    network.reads = places
    return network
