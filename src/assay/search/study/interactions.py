"""How parameters of a study act together: a forest fitted to its trials, and what it says of pairs of them.

An indication, as importance is: a forest smooths, and a sampler looks longer where values are good. Letters: n trials,
P parameters, G points of a grid.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from assay._imports import require
from assay.records import Record
from assay.search.study.space import Parameter, Space, shown
from assay.search.study.store import Tried
from assay.search.study.trial import Value

Floats = NDArray[np.float64]

#: Completed trials from which a forest is fitted, those that it is fitted to at most, and those that are averaged over.
FEWEST, _MOST, _AVERAGED = 20, 2_000, 100
#: Parameters that are looked at in pairs, points of a grid, and trees.
_LOOKED_AT, _GRID, _TREES = 3, 12, 100
#: Shares of a pair's effect that is no sum, from which it is said to be an interaction, or a weak one.
_STRONG, _WEAK = 0.25, 0.1
#: Share of the scores' variance that the forest must explain out of the bag for what it says to be shown.
_TRUSTED = 0.1


class Contour(Record):
    """The mean value that a forest expects over a grid of two parameters.

    x, y: names of the parameters. xs, ys: places on their ranges from 0 to 1. at_x, at_y: values there, as one would
    type them. means: (len(ys), len(xs)). strength: the share of the effect of both that is not the sum of each alone
    (Friedman & Popescu, Annals of Applied Statistics 2008, section 8.1), from 0 to 1. told: in words.
    """

    x: str
    y: str
    xs: tuple[float, ...]
    ys: tuple[float, ...]
    at_x: tuple[str, ...]
    at_y: tuple[str, ...]
    means: tuple[tuple[float, ...], ...]
    strength: float
    told: str


class Interactions(Record):
    """What a forest says of pairs of parameters; explained: the share of the variance that it explains out of bag."""

    trials: int
    explained: float
    contours: tuple[Contour, ...]


@dataclass(frozen=True)
class _Fitted:
    """A forest, the parameters it knows, their settings from 0 to 1, (n, P), and the direction of good values."""

    forest: object
    parameters: tuple[Parameter, ...]
    places: Floats
    higher: bool

    def expected(self, places: Floats) -> Floats:
        return np.asarray(self.forest.predict(places), np.float64)  # type: ignore[attr-defined]  # an optional package


def interactions(space: Space, tried: Sequence[Tried], *, higher: bool, seed: int) -> Interactions | None:
    """The pairs of the parameters that matter most to a forest; None for few trials, or where it explains nothing.

    Args:
        higher: whether high values are good.
        seed: of the forest.
    """
    done = [each for each in tried if each.value is not None]
    named = [space.by_name(dict(each.trial.options)) for each in done]
    able = [p for p in space.parameters if all(p.name in each for each in named)]
    able = [p for p in able if len({each[p.name] for each in named}) > 1]
    values = np.array([each.value for each in done], np.float64)
    if len(done) < FEWEST or len(able) < 2 or np.ptp(values) == 0.0:
        return None
    places = np.array([[place_of(p, each[p.name]) for p in able] for each in named], np.float64)
    if len(done) > _MOST:
        kept = np.sort(np.random.default_rng(seed).choice(len(done), _MOST, replace=False))
        places, values = places[kept], values[kept]
    # Lost trials would be all that a forest of squared errors sees: values worse than the middle by far are cut there.
    low, middle, high = np.quantile(values, (0.25, 0.5, 0.75))
    reach = 3.0 * max(high - low, 1e-12)
    values = np.clip(values, middle - reach, middle + reach)
    made = require("sklearn.ensemble", "Looking at interactions")
    forest = made.RandomForestRegressor(
        n_estimators=_TREES, min_samples_leaf=2, bootstrap=True, oob_score=True, random_state=seed, n_jobs=1
    )
    forest.fit(places, values)
    explained = float(forest.oob_score_)
    if not math.isfinite(explained) or explained < _TRUSTED:
        return None
    fitted = _Fitted(forest, tuple(able), places, higher)
    order = np.argsort(-forest.feature_importances_, kind="stable")[:_LOOKED_AT]
    contours = tuple(_contour(fitted, int(a), int(b)) for a, b in combinations(order, 2))
    return Interactions(trials=len(done), explained=round(explained, 4), contours=contours)


def place_of(parameter: Parameter, value: Value) -> float:
    """Where a value lies between the ends of its parameter, from 0 to 1."""
    if parameter.choices:
        return parameter.choices.index(value) / max(len(parameter.choices) - 1, 1)
    low, high, number = float(parameter.low or 0.0), float(parameter.high or 0.0), float(value)
    return math.log(number / low) / math.log(high / low) if parameter.scale == "log" else (number - low) / (high - low)


def _points(parameter: Parameter) -> tuple[Floats, tuple[str, ...]]:
    """Places of a grid on the range of a parameter, and the values there."""
    if parameter.choices:
        return np.linspace(0.0, 1.0, max(len(parameter.choices), 1)), tuple(map(shown, parameter.choices))
    values = parameter.points(_GRID)
    return np.array([place_of(parameter, value) for value in values]), tuple(map(shown, values))


def _contour(fitted: _Fitted, a: int, b: int) -> Contour:
    """The forest's partial dependence on two parameters (Friedman, Annals of Statistics 2001, section 8.2)."""
    first, second = fitted.parameters[a], fitted.parameters[b]
    (xs, at_x), (ys, at_y) = _points(first), _points(second)
    stride = max(1, len(fitted.places) // _AVERAGED)
    base = fitted.places[::stride]
    grid = np.repeat(base[None], len(xs) * len(ys), 0)  # (G, n, P)
    grid[:, :, a] = np.tile(xs, len(ys))[:, None]
    grid[:, :, b] = np.repeat(ys, len(xs))[:, None]
    means = fitted.expected(grid.reshape(-1, base.shape[1])).reshape(len(ys), len(xs), -1).mean(2)
    strength = _strength(means)
    return Contour(
        x=first.name, y=second.name, xs=tuple(xs.tolist()), ys=tuple(ys.tolist()), at_x=at_x, at_y=at_y,
        means=tuple(tuple(row) for row in means.tolist()), strength=round(strength, 4),
        told=_told(first.name, second.name, at_x, at_y, means, strength, higher=fitted.higher),
    )  # fmt: skip


def _strength(means: Floats) -> float:
    """The share of the variance over the grid that is not the sum of the two effects."""
    centred = means - means.mean()
    alone = centred.mean(0, keepdims=True) + centred.mean(1, keepdims=True)
    total = float((centred**2).sum())
    return float(((centred - alone) ** 2).sum()) / total if total > 0.0 else 0.0


def _told(
    x: str, y: str, at_x: Sequence[str], at_y: Sequence[str], means: Floats, strength: float, *, higher: bool
) -> str:
    """What a pair does together, in words: where the best of one lies for little and for much of the other."""
    if strength < _WEAK:
        joint = f"{strength:.0%} of their effect is joint"
        return f"{x} and {y} act each by itself ({joint}): the best of one holds for all of the other"
    best = means.argmax(1) if higher else means.argmin(1)
    little, much = at_x[int(best[0])], at_x[int(best[-1])]
    how = "interact" if strength >= _STRONG else "interact a little"
    told = f"{x} and {y} {how} ({strength:.0%} of their effect is joint)"
    if little == much:
        return f"{told}: {x} is best near {little} at both ends of {y}, but how much it matters differs"
    return f"{told}: at {y}={at_y[0]} the best {x} is near {little}, at {at_y[-1]} near {much}; search them together"
