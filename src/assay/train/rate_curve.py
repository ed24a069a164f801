"""What a learning-rate range test finds: its curve, and the rates that are read off it.

Plain numbers without torch, so that a report with a curve in it can be opened where nothing is trained. `lr_find.py`
does the test.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from assay.errors import ConfigError
from assay.records import Record
from assay.train.config import TrainConfig

#: Steps of a test, the fewest that say anything, and the most that are read off in no time.
STEPS, FEWEST_STEPS, MOST_STEPS = 120, 24, 2000
#: The smoothed loss ends a test when it is so many times its best (Gugger, 2018).
WORSE = 4.0
#: A suggestion this many times away from the rate used is worth a warning.
FAR = 10.0

DIVERGED = f"the smoothed loss had risen to more than {WORSE:g} times its best"
NOT_FINITE = "the loss or its gradient was no longer finite"
ALL_STEPS = "all rates were tried"
TIME_UP = "the time for it was up"
NO_TIME = "there was no time for it"

#: Where rates begin; where they end at least, for optimisers that normalise the gradient and for the others; and how
#: many times the rate used the last one is at least.
_LOWEST, _HIGHEST, _HIGHEST_PLAIN, _ABOVE = 1e-6, 1.0, 10.0, 20.0
_MOST = 100.0
#: The running mean of the loss looks back over this share of the steps.
_WINDOW = 0.05
#: Share of the planned steps at the beginning, and points at the end, that nothing is read off (fastai).
_SKIPPED, _CUT = 10, 5
#: A descent that is worth a suggestion: the fewest points of it, and the share of the loss that it takes off.
_FEWEST_POINTS, _LEAST_FALL = 5, 0.01


@dataclass(frozen=True)
class Sweep:
    """The rates of a test, as `train.lr` counts them: `steps` of them from `low` to `high`, growing by one factor."""

    low: float
    high: float
    steps: int

    @property
    def rates(self) -> tuple[float, ...]:
        """The rates in their order."""
        growth = math.log(self.high / self.low) / (self.steps - 1)
        return (*(self.low * math.exp(growth * place) for place in range(self.steps - 1)), self.high)


def sweep_for(config: TrainConfig, used: float, steps: int, low: float | None, high: float | None) -> Sweep:
    """The sweep for an optimiser; it ends at least twenty times above the rate `used`.

    It begins at 1e-6 and ends at 10 for plain SGD, at 1 for optimisers that normalise the gradient, whose steps are as
    large as the rate itself.

    Raises:
        ConfigError: too few or too many steps, or rates that do not rise between 0 and 100.
    """
    if not FEWEST_STEPS <= steps <= MOST_STEPS:
        raise ConfigError(
            f"a range test takes from {FEWEST_STEPS} to {MOST_STEPS:,} steps",
            f"{steps:,} were asked for",
            f"{STEPS} are the default.",
        )
    plain = config.optimiser == "sgd"
    first = min(_LOWEST, used / 100.0) if low is None else low
    last = min(max(_HIGHEST_PLAIN if plain else _HIGHEST, _ABOVE * used), _MOST) if high is None else high
    if not 0.0 < first < last <= _MOST:
        raise ConfigError(
            f"the rates of a range test must rise between 0 and {_MOST:g}",
            f"they go from {first:g} to {last:g}",
            "Choose other ends, or leave them out.",
        )
    return Sweep(first, last, steps)


class RateCurve(Record):
    """The range test of one network. Rates are what `train.lr` would say, whatever batch a run then takes.

    losses: mean training loss of the members before the step at each rate. smoothed: its running mean.
    used: the rate of the run or of the recipe. ended: why the test ended; `diverged` is the rate at which the loss
    was lost, None where it never was. valley, steepest, tenth: see the functions of these names; None where the loss
    fell at no rate. scale: what a run multiplies its rate by for the batch it takes.
    """

    network: str
    rates: tuple[float, ...]
    losses: tuple[float, ...]
    smoothed: tuple[float, ...]
    used: float
    scale: float = 1.0
    ended: str
    diverged: float | None = None
    valley: float | None = None
    steepest: float | None = None
    tenth: float | None = None
    seconds: float = 0.0

    @property
    def suggestion(self) -> float | None:
        """The rate to train with: that of the valley."""
        return self.valley

    @property
    def is_far(self) -> bool:
        """Whether the suggestion and the rate used are more than a factor of ten apart."""
        return self.valley is not None and abs(math.log(self.valley / self.used)) > math.log(FAR) * (1.0 + 1e-9)


@dataclass(frozen=True)
class Walk:
    """The steps of a test as they were: a finite loss for each rate that was reached, and how they ended."""

    rates: tuple[float, ...]
    losses: tuple[float, ...]
    ended: str
    diverged: float | None = None


def curve(network: str, walk: Walk, *, steps: int, used: float, scale: float = 1.0, seconds: float = 0.0) -> RateCurve:
    """The curve of a walk of which `steps` were planned, with what is read off it."""
    running = Running(steps)
    smoothed = tuple(running.after(loss) for loss in walk.losses)
    first = steps // _SKIPPED
    rates, read = walk.rates[first:-_CUT], smoothed[first:-_CUT]
    falls = falling(read)
    return RateCurve(
        network=network, rates=walk.rates, losses=walk.losses, smoothed=smoothed, used=used, scale=scale,
        ended=walk.ended, diverged=walk.diverged, seconds=seconds,
        valley=valley(rates, read) if falls else None,
        steepest=steepest(rates, read) if falls else None,
        tenth=tenth(rates, read) if falls else None,
    )  # fmt: skip


class Running:
    """A running mean of losses that forgets, corrected for having begun at zero (Kingma & Ba, ICLR 2015, section 3).

    It looks back over a fixed share of the planned steps, so that its lag is the same factor of the rate whatever
    their number. `is_lost` says whether it has left its best behind by `WORSE`.
    """

    def __init__(self, steps: int) -> None:
        self.decay = 1.0 - 1.0 / max(_WINDOW * steps, 1.0)
        self.best = math.inf
        self._sum, self._weight, self._now = 0.0, 0.0, math.inf

    def after(self, loss: float) -> float:
        """The mean with one more loss in it."""
        self._sum = self.decay * self._sum + (1.0 - self.decay) * loss
        self._weight = self.decay * self._weight + (1.0 - self.decay)
        self._now = self._sum / self._weight
        self.best = min(self.best, self._now)
        return self._now

    @property
    def is_lost(self) -> bool:
        """Whether the mean is more than four times its best."""
        return self._now > WORSE * self.best


def falling(smoothed: Sequence[float]) -> bool:
    """Whether there is a descent to read a rate off: of five points at least, taking one per cent off the loss."""
    start, end = _descent(smoothed)
    return end - start >= _FEWEST_POINTS and smoothed[start] - smoothed[end] > _LEAST_FALL * abs(smoothed[start])


def valley(rates: Sequence[float], smoothed: Sequence[float]) -> float:
    """The rate in the middle of the longest valley: fastai's `valley`, which ESRI contributed to it.

    The longest valley is the longest run of points, not necessarily neighbours, of which each is below the one before
    (the longest decreasing subsequence; of equally long ones the first to end). It counts as beginning as many points
    before its end as it has. The rate is that of the point half way, a third and half a third in, each rounded down.
    """
    start, end = _descent(smoothed)
    third = (end - start) / 3
    return rates[start + int(third) + int(third / 2)]


def _descent(smoothed: Sequence[float]) -> tuple[int, int]:
    """The first and the last place of the longest valley."""
    lengths = [1] * len(smoothed)
    end = 0
    for here, loss in enumerate(smoothed):
        lengths[here] = 1 + max((lengths[j] for j in range(here) if loss < smoothed[j]), default=0)
        if lengths[here] > lengths[end]:
            end = here
    return (max(end - lengths[end], 0), end) if lengths else (0, 0)


def steepest(rates: Sequence[float], smoothed: Sequence[float]) -> float:
    """The rate where the loss falls fastest by the logarithm of the rate: fastai's `steep`, the least gradient.

    It is looked for up to the least loss: beyond, where the loss leaps up and down, the fastest fall is chance.
    """
    last = smoothed.index(min(smoothed))
    slopes = [(smoothed[i + 1] - smoothed[i]) / math.log(rates[i + 1] / rates[i]) for i in range(max(last, 1))]
    return rates[slopes.index(min(slopes))]


def tenth(rates: Sequence[float], smoothed: Sequence[float]) -> float:
    """A tenth of the rate at which the smoothed loss was least: fastai's `minimum` (Gugger, 2018)."""
    return rates[smoothed.index(min(smoothed))] / 10.0
