"""Features of series from convolutions that are drawn, not trained: MultiRocket and Hydra.

Shape legend: n rows, C channels, T steps of time, G sums of channels, K kernels, B biases of a kernel, D features.

All sums of a convolution are exact: values are rounded to whole numbers, 1024 a deviation, and kernels are small whole
numbers too, so that torch and ONNX Runtime, one row or a thousand, one thread or many, find the same side of every
bias. What is counted would otherwise jump where a rounding error falls the other way.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import combinations

import torch
from torch import Tensor, nn
from torch.nn import functional

_TAPS, _KERNELS = 9, 84
#: Whole numbers a deviation, and the furthest deviation. Twice 12 * 1024 * 64 * 9 channels is below 2^24, up to which
#: float32 is exact; Hydra's larger weights are exact while the channels added stay within 64 deviations together.
_GRID, _FURTHEST = 1024.0, 64.0
#: Series are padded to this length, so that the first difference has as many steps as a kernel has taps.
_SHORTEST = _TAPS + 1
#: Kernels of one kind that see the same sum of channels, and the most channels that are added (Tan et al. 2022).
_KERNELS_A_SUM, _MOST_ADDED = 7, 9
#: Kernels of a group, and the whole numbers that the sizes of one kernel's weights add up to.
_RIVALS, _SIZE = 8, 128.0
_POOLS = 4
#: Below every value and bias: what does not count.
_FAR = -float(1 << 30)
_MOST_DILATIONS = 8
#: Standardised features are cut here: what hardly varied in training can be far out in a new row.
_CUT = 10.0
_GOLDEN = (math.sqrt(5.0) + 1.0) / 2.0
#: Values less biases that are worked on at once; few, so that they stay in the cache.
_NUMBERS_AT_ONCE = 1 << 19


def running_max(values: Tensor) -> Tensor:
    """The largest value so far along the last axis, for values of at least 0, in log2 T operations that ONNX has."""
    steps = [2**power for power in range((values.shape[-1] - 1).bit_length())]
    values = functional.pad(values, (sum(steps), 0))
    for step in reversed(steps):
        values = torch.maximum(values[..., step:], values[..., :-step])
    return values


def bridge(series: Tensor) -> tuple[Tensor, Tensor]:
    """Fill gaps on a straight line between the values beside them, (n, C, T); and where that was possible, bool.

    Before a channel's first value and after its last, and in a channel without any, values are 0.
    """
    steps = series.shape[-1]
    place = torch.arange(1, steps + 1, dtype=torch.float32, device=series.device)
    is_there = series.isfinite()
    known = torch.where(is_there, series, 0.0)
    before = running_max(torch.where(is_there, place, 0.0))
    after = steps + 1 - running_max(torch.where(is_there, steps + 1 - place, 0.0).flip(-1)).flip(-1)
    inside = (before > 0) & (after <= steps)
    left = known.gather(-1, before.clamp(min=1).long() - 1)
    right = known.gather(-1, after.clamp(max=steps).long() - 1)
    share = (place - before) / (after - before).clamp(min=1)
    return torch.where(inside, left + (right - left) * share.to(left.dtype), 0.0), inside


class Grid(nn.Module):
    """Standardise series and round them to whole numbers: (n, C, T) float32 to the same, and where they are, (n, 1, T).

    normalise: each series by its own mean and deviation; otherwise each channel by those of training.
    has_gaps: whether training had missing values. Without them, steps are not told apart and gaps become the mean.
    """

    centre: Tensor
    scale: Tensor

    def __init__(self, channels: int, *, normalise: bool, has_gaps: bool) -> None:
        super().__init__()
        self.normalise, self.has_gaps = normalise, has_gaps
        self.register_buffer("centre", torch.zeros(1, channels, 1, dtype=torch.float64))
        self.register_buffer("scale", torch.ones(1, channels, 1, dtype=torch.float64))

    def learn(self, train: Tensor) -> None:
        """Keep mean and deviation of each channel."""
        double = train.double()
        self.centre, self.scale = moments(double, double.isfinite(), (0, 2))

    def forward(self, series: Tensor) -> tuple[Tensor, Tensor | None]:
        """Compute; see the class for shapes."""
        # In double precision, where the order of a sum does not show after rounding to the grid.
        double = series.double()
        if self.has_gaps:
            known, there = bridge(double)
        else:
            there = double.isfinite()
            known = torch.where(there, double, 0.0)
        centre, scale = moments(known, there, (2,)) if self.normalise else (self.centre, self.scale)
        standard = torch.where(there, (known - centre) * scale, 0.0).clamp(-_FURTHEST, _FURTHEST)
        values = torch.round(standard * _GRID).float()
        short = max(_SHORTEST - values.shape[-1], 0)
        values = functional.pad(values, (0, short)) if short else values
        if not self.has_gaps:
            return values, None
        valid = there.float().amax(1, keepdim=True)
        return values, functional.pad(valid, (0, short)) if short else valid


def moments(values: Tensor, there: Tensor, axes: tuple[int, ...]) -> tuple[Tensor, Tensor]:
    """Mean and inverse deviation of what is there; the inverse is 0 where nothing varies beyond float32's rounding."""
    count = there.double().sum(axes, keepdim=True).clamp(min=1.0)
    mean = torch.where(there, values, 0.0).sum(axes, keepdim=True) / count
    square = torch.where(there, values - mean, 0.0).square().sum(axes, keepdim=True) / count
    varies = square > (1e-6 * mean).square() + 1e-60
    return mean, torch.where(varies, 1.0 / square.clamp(min=1e-60).sqrt(), 0.0)


def _two_valued_kernels() -> Tensor:
    """The 84 kernels of MiniRocket, (84, 9): three weights of 2 and six of -1, which add up to 0."""
    weights = -torch.ones(_KERNELS, _TAPS)
    for kernel, places in enumerate(combinations(range(_TAPS), 3)):
        weights[kernel, list(places)] = 2.0
    return weights


def _random_kernels(count: int, generator: torch.Generator) -> Tensor:
    """Normal kernels without mean and of one size, as Hydra's, in whole numbers: (count, 9)."""
    weights = torch.randn(count, _TAPS, generator=generator)
    weights -= weights.mean(1, keepdim=True)
    weights = (weights * (_SIZE / weights.abs().sum(1, keepdim=True))).round()
    weights[:, -1] -= weights.sum(1)
    return weights


def _channel_sums(sums: int, channels: int, generator: torch.Generator) -> Tensor:
    """Which channels are added, as 0 and 1, (sums, channels): as many as 2 to a uniform power, at random."""
    chosen = torch.zeros(sums, channels)
    most = min(channels, _MOST_ADDED)
    for row in chosen:
        exponent = float(torch.rand((), generator=generator)) * math.log2(most + 1)
        row[torch.randperm(channels, generator=generator)[: max(1, min(most, int(2.0**exponent)))]] = 1.0
    return chosen


class Bank(nn.Module):
    """Kernels of several dilations, pooled in four ways: (n, C, T) to (n, 4 * K * B).

    Tan, Dempster, Bergmeir & Webb, MultiRocket, DMKD 2022, section 3: of the values above a bias their share (PPV),
    mean (MPV), mean place (MIPV) and longest run (LSPV). Places and runs are shares of the series here. Half of the
    kernels of a dilation reach over the ends, where series are 0; the other half stay within.
    """

    sums: Tensor
    weight: Tensor
    bias: Tensor

    def __init__(self, channels: int, length: int, pairs: int) -> None:
        """`pairs`: of a dilation and a bias, for each of the 84 kernels."""
        super().__init__()
        self.dilations = dilations(length, min(pairs, _MOST_DILATIONS))
        biases = max(1, round(pairs / len(self.dilations)))
        groups = 1 if channels == 1 else _KERNELS // _KERNELS_A_SUM
        kernels = _KERNELS * len(self.dilations)
        self.features = _POOLS * kernels * biases
        self.register_buffer("sums", torch.ones(len(self.dilations), groups, channels))
        self.register_buffer("weight", torch.zeros(len(self.dilations), _KERNELS, 1, _TAPS))
        self.register_buffer("bias", torch.zeros(kernels, biases, 1))

    def learn(self, train: Tensor, valid: Tensor | None, generator: torch.Generator) -> None:
        """Draw the kernels' order and the sums of channels; biases are quantiles of the kernels on training series.

        Each kernel looks at a random series of its own, and quantiles are multiples of the golden ratio less wholes.
        """
        kernels, maps = _two_valued_kernels(), []
        for place in range(len(self.dilations)):
            self.weight[place, :, 0] = kernels[torch.randperm(_KERNELS, generator=generator)]
            if train.shape[1] > 1:
                self.sums[place] = _channel_sums(self.sums.shape[1], train.shape[1], generator)
            rows = torch.randint(len(train), (_KERNELS,), generator=generator)
            own = self.sums[place].repeat_interleave(_KERNELS // self.sums.shape[1], dim=0)
            added = torch.einsum("kct,kc->kt", train[rows], own).unsqueeze(0)
            values = self._maps(place, added, _KERNELS)[0]
            maps.append(values if valid is None else torch.where(valid[rows, 0] > 0, values, _FAR))
        levels = (torch.arange(1, self.bias.numel() + 1, dtype=torch.float64) * _GOLDEN) % 1.0
        for bias, values, level in zip(self.bias, torch.cat(maps), levels.view(len(self.bias), -1), strict=True):
            counted = values[values > _FAR]
            if len(counted):
                bias[:, 0] = torch.quantile(counted.double(), level).float()
        # Halfway between two whole numbers: no value is ever on a bias.
        self.bias.copy_(torch.floor(self.bias) + 0.5)

    def _maps(self, place: int, added: Tensor, groups: int) -> Tensor:
        """What the kernels of one dilation find, (n, 84, T); far below every bias where half would reach out."""
        margin = self.dilations[place] * (_TAPS // 2)
        maps = functional.conv1d(
            added, self.weight[place], padding=margin, dilation=self.dilations[place], groups=groups
        )
        over, within = maps.split(_KERNELS // 2, dim=1)
        within = functional.pad(within[..., margin : maps.shape[-1] - margin], (margin, margin), value=_FAR)
        return torch.cat([over, within], dim=1)

    def forward(self, series: Tensor, valid: Tensor | None) -> Tensor:
        """Compute; see the class for shapes."""
        steps, parts, lengths = series.shape[-1], [], []
        for place, dilation in enumerate(self.dilations):
            added = series if self.sums.shape[2] == 1 else self.sums[place] @ series
            parts.append(self._maps(place, added, self.sums.shape[1]))
            margin = dilation * (_TAPS // 2)
            for cut in (0, margin):
                left = None if valid is None else valid[..., cut : steps - cut].sum(2, keepdim=True)
                many = series.new_full((1, 1, 1), float(steps - 2 * cut)) if left is None else left
                lengths.append(many.clamp(min=1.0).expand(-1, _KERNELS // 2, -1))
        maps = torch.cat(parts, dim=1)
        if valid is not None:
            maps = torch.where(valid > 0, maps, _FAR)
        return self._pool(maps.unsqueeze(2) - self.bias, torch.cat(lengths, dim=1))

    def _pool(self, above: Tensor, length: Tensor) -> Tensor:
        """Four features of values less biases, (n, K, B, T), over as many steps as count, (n, K, 1)."""
        place = torch.arange(1, above.shape[-1] + 1, dtype=torch.float32, device=above.device)
        positive = (2.0 * above).clamp(0.0, 1.0)  # halves at least; quicker than a comparison
        count = positive.sum(-1)
        some = count.clamp(min=1.0)
        run = place - running_max((1.0 - positive) * place)
        mean = functional.relu(above).sum(-1) / some
        pools = (count / length, mean, positive @ place / some / above.shape[-1], run.amax(-1) / length)
        return torch.stack(pools, dim=1).flatten(1)


class Contest(nn.Module):
    """Groups of eight kernels of one dilation, of which one wins and one loses each step: (n, C, T) to (n, 2 * K).

    Dempster, Schmidt & Webb, Hydra, DMKD 2023, section 3: what a kernel's wins amount to, and how often it loses, a
    step. The roots of both, as their SparseScaler takes.
    """

    sums: Tensor
    weight: Tensor

    def __init__(self, channels: int, groups: int, dilation: int) -> None:
        super().__init__()
        self.dilation, self.groups, self.features = dilation, groups, 2 * groups * _RIVALS
        self.register_buffer("sums", torch.ones(1 if channels == 1 else groups, channels))
        self.register_buffer("weight", torch.zeros(groups * _RIVALS, 1, _TAPS))

    def draw(self, generator: torch.Generator) -> None:
        """Draw kernels, and random sums of channels."""
        self.weight[:, 0] = _random_kernels(len(self.weight), generator)
        if self.sums.shape[1] > 1:
            self.sums.copy_(_channel_sums(self.groups, self.sums.shape[1], generator))

    def forward(self, series: Tensor, valid: Tensor | None) -> Tensor:
        """Compute; see the class for shapes."""
        added = series if self.sums.shape[1] == 1 else self.sums @ series
        padding = self.dilation * (_TAPS // 2)
        values = functional.conv1d(
            added, self.weight, padding=padding, dilation=self.dilation, groups=self.sums.shape[0]
        ).unflatten(1, (self.groups, _RIVALS))
        best, worst = values.amax(2, keepdim=True), values.amin(2, keepdim=True)
        # Of whole numbers, so 1 where they are equal and 0 elsewhere; quicker than a comparison.
        wins, losses = functional.relu(values - (best - 1.0)), functional.relu((worst + 1.0) - values)
        length: Tensor | float = float(values.shape[-1])
        if valid is not None:
            wins, losses = wins * valid.unsqueeze(1), losses * valid.unsqueeze(1)
            length = valid.sum(-1, keepdim=True).unsqueeze(1).clamp(min=1.0)
        won = (wins @ best.transpose(2, 3)).squeeze(-1).clamp(min=0.0) / (_SIZE * _GRID)
        return (torch.stack([won, losses.sum(-1)], dim=1) / length).sqrt().flatten(1)


def dilations(length: int, most: int) -> list[int]:
    """At most `most` whole dilations in equal ratios, from 1 up to where a kernel is as long as the series."""
    furthest = math.log2(_furthest(length))
    return sorted({int(2.0 ** (furthest * place / max(most - 1, 1)) + 1e-9) for place in range(most)})


def _furthest(length: int) -> float:
    return max((length - 1) / (_TAPS - 1), 1.0)


class Level(nn.Module):
    """All kernels on one form of the series: (n, C, T) to MultiRocket's features and Hydra's, (n, D) each."""

    def __init__(self, channels: int, length: int, features: int) -> None:
        super().__init__()
        half = features // 2
        self.bank = Bank(channels, length, max(half // (_KERNELS * _POOLS), 1))
        spread = [2**power for power in range(1 + int(math.log2(_furthest(length))))]
        groups = max(half // (2 * _RIVALS * len(spread)), 1)
        self.contests = nn.ModuleList(Contest(channels, groups, dilation) for dilation in spread)
        self.sizes = self.bank.features, len(spread) * 2 * groups * _RIVALS

    def learn(self, train: Tensor, valid: Tensor | None, generator: torch.Generator) -> None:
        """Draw all kernels, and set biases from training series (n, C, T) on the grid."""
        self.bank.learn(train, valid, generator)
        for contest in self.contests:
            assert isinstance(contest, Contest)
            contest.draw(generator)

    def forward(self, series: Tensor, valid: Tensor | None) -> tuple[Tensor, Tensor]:
        """Compute; see the class for shapes."""
        contested = torch.cat([contest(series, valid) for contest in self.contests], dim=1)
        return self.bank(series, valid), contested


class Rocket(nn.Module):
    """Series as many standardised features for a linear model: (n, C, T) float32 with NaN to (n, D) float32.

    Half of them are MultiRocket's, half Hydra's, each on the series and on its first difference. Dempster, Schmidt &
    Webb (2023) found the two together better than either. What a series misses is filled on a straight line; steps
    before its first value and after its last count for nothing.

    features: about how many.
    normalise, has_gaps: see `Grid`.
    """

    centre: Tensor
    scale: Tensor

    def __init__(
        self, channels: int, length: int, features: int, *, normalise: bool = True, has_gaps: bool = False
    ) -> None:
        super().__init__()
        self.channels, self.length = channels, length
        self.grid = Grid(channels, normalise=normalise, has_gaps=has_gaps)
        long = max(length, _SHORTEST) - 1  # what the difference has, so that both have the same dilations
        self.plain = Level(channels, long, features // 2)
        self.difference = Level(channels, long, features // 2)
        counted, contested = self.plain.sizes
        self.counted = 2 * counted + has_gaps
        self.features = self.counted + 2 * contested
        self.register_buffer("centre", torch.zeros(self.features))
        self.register_buffer("scale", torch.zeros(self.features))

    @classmethod
    def fit(cls, train: Tensor, seed: int, features: int = 12_000, *, normalise: bool = True) -> Rocket:
        """Draw and learn from training series (n, C, T); the same seed and series give the same bits."""
        return cls.fit_transform(train, seed, features, normalise=normalise)[0]

    @classmethod
    def fit_transform(
        cls, train: Tensor, seed: int, features: int = 12_000, *, normalise: bool = True
    ) -> tuple[Rocket, Tensor]:
        """The same, and the features of the training series, which had to be computed anyway."""
        has_gaps = not bool(train.isfinite().all())
        rocket = cls(train.shape[1], train.shape[2], features, normalise=normalise, has_gaps=has_gaps)
        generator = torch.Generator().manual_seed(seed)
        with torch.no_grad():
            rocket.grid.learn(train)
            plain, difference = rocket._forms(train)
            rocket.plain.learn(*plain, generator)
            rocket.difference.learn(*difference, generator)
            raw = rocket._in_parts(train, rocket._raw)
            rocket._learn_scale(raw)
            return rocket.eval(), rocket._standardise(raw)

    def transform(self, series: Tensor) -> Tensor:
        """The features of any number of series, without gradients."""
        with torch.no_grad():
            features: Tensor = self(series)
            return features

    def forward(self, series: Tensor) -> Tensor:
        """Compute, a few series at a time, unless it is traced for export; see the class for shapes."""
        if torch.compiler.is_exporting():
            return self._standardise(self._raw(series))
        return self._standardise(self._in_parts(series, self._raw))

    def _in_parts(self, series: Tensor, compute: Callable[[Tensor], Tensor]) -> Tensor:
        rows = max(1, _NUMBERS_AT_ONCE // (self.plain.bank.bias.numel() * max(self.length, _SHORTEST)))
        return torch.cat([compute(part) for part in series.split(rows)])

    def _forms(self, series: Tensor) -> tuple[tuple[Tensor, Tensor | None], tuple[Tensor, Tensor | None]]:
        """The series on the grid and its first difference, each with its valid steps."""
        values, valid = self.grid(series)
        steps = values.diff(dim=-1)
        if valid is None:
            return (values, None), (steps, None)
        both = valid[..., 1:] * valid[..., :-1]
        return (values, valid), (steps * both, both)

    def _raw(self, series: Tensor) -> Tensor:
        plain, difference = self._forms(series)
        found = self.plain(*plain), self.difference(*difference)
        counted, contested = [one for one, _ in found], [one for _, one in found]
        valid = plain[1]
        if valid is not None:
            counted.append(valid.mean(-1))  # how long the series is
        return torch.cat([*counted, *contested], dim=1)

    def _learn_scale(self, raw: Tensor) -> None:
        """Means and deviations; a kernel that seldom wins is weighed down by its share of zeros to the fourth power.

        So does Hydra's SparseScaler, whose zeros stay zeros.
        """
        deviation, mean = torch.std_mean(raw, dim=0, correction=0)
        deviation[self.counted :] += (raw[:, self.counted :] == 0).float().mean(0) ** 4
        self.centre.copy_(mean)
        self.scale.copy_(torch.where(deviation > 1e-6, 1.0 / deviation.clamp(min=1e-6), 0.0))

    def _standardise(self, raw: Tensor) -> Tensor:
        standard = (raw - self.centre) * self.scale
        counted, contested = standard.tensor_split([self.counted], dim=1)
        contested = contested * (raw[:, self.counted :] != 0)
        return torch.cat([counted, contested], dim=1).clamp(-_CUT, _CUT)
