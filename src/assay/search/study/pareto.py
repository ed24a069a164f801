"""Studies that go for several things at once: the front of trials that nothing beats in all of them, and one to take.

Letters: n trials, g goals.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import get_args

import numpy as np
from numpy.typing import NDArray

from assay.errors import ConfigError, nearest
from assay.search.study.store import Tried
from assay.search.study.trial import Goal

GOALS: tuple[Goal, ...] = get_args(Goal)
#: Goals that a study does not know, and why.
_NOT_YET: Mapping[str, str] = MappingProxyType(
    {
        "epsilon": "no network is trained with differential privacy yet, so that none has one",
    }
)
#: What a column of each is called.
HEADINGS: Mapping[Goal, str] = MappingProxyType(
    {"score": "score", "latency": "latency", "size": "size", "fairness": "gap"}
)
_ALONE: tuple[Goal, ...] = ("score",)
#: Goals that differ by factors; a gap of nil has no logarithm.
_BY_FACTORS = ("latency", "size")


def goals_named(asked: Sequence[str]) -> tuple[Goal, ...]:
    """The goals of a study: `score,latency` or several words; the score alone where nothing is asked.

    Raises:
        ConfigError: there is no such goal, one is named twice, or the score is not among them.
    """
    words = [word.strip() for text in asked for word in text.split(",") if word.strip()] or ["score"]
    for word in words:
        if word in _NOT_YET:
            raise ConfigError(
                f"settings are searched for {', '.join(GOALS)}", f"{word} is asked for, and {_NOT_YET[word]}",
                "Leave it out.",
            )  # fmt: skip
        if word not in GOALS:
            raise ConfigError(
                f"an objective must be one of {', '.join(GOALS)}", f"{word!r} was given", nearest(word, GOALS)
            )
    if len(set(words)) < len(words) or "score" not in words:
        came = "one is named twice" if "score" in words else "the score is not among them"
        raise ConfigError("a study goes for the score, and for other things beside it, each once", came,
                          "Example: --objective score,latency.")  # fmt: skip
    return tuple(goal for goal in GOALS if goal in words)


def losses_of(tried: Sequence[Tried], goals: Sequence[Goal], *, higher: bool) -> NDArray[np.float64]:
    """What is to be small of each completed trial, (n, g)."""
    values = np.array([each.outcome.values(goals) for each in tried if each.outcome is not None], np.float64)
    signs = np.array([-1.0 if higher and goal == "score" else 1.0 for goal in goals])
    return np.asarray(values.reshape(-1, len(goals)) * signs, np.float64)


def front_of(tried: Sequence[Tried], goals: Sequence[Goal], *, higher: bool) -> list[Tried]:
    """The completed trials that no other equals in all goals, the best score first; of equal ones the first.

    Args:
        higher: whether a high score is good.
    """
    done = sorted((each for each in tried if each.value is not None), key=lambda each: each.number)
    losses = losses_of(done, goals, higher=higher)
    known = [bool(np.isfinite(row).all()) for row in losses] if done else []
    # In this order a trial can be beaten by an earlier one only.
    order = [at for at in np.lexsort(losses.T[::-1]) if known[at]] if len(done) else []
    kept: list[int] = []
    for at in order:
        if not any(bool((losses[other] <= losses[at]).all()) for other in kept):
            kept.append(int(at))
    return [done[at] for at in kept]


@dataclass(frozen=True)
class Taken:
    """The trial that is trained at the end, and why it."""

    tried: Tried
    why: str


def take(
    tried: Sequence[Tried], goals: Sequence[Goal], label: str, *, higher: bool, default: Tried | None, pick: int | None,
    error: float = 0.0,
) -> Taken | None:  # fmt: skip
    """The trial to train at the end: the one that was picked, else the knee of the front; None without any.

    The knee is the trial of the front that lies nearest to the best of every goal, where each runs from 0 to 1 over the
    front, latency and size on a logarithmic scale. Trials with a lower score than the defaults are not taken where
    others are. A smaller gap between groups has its price: where it is a goal, trials within a standard error of the
    best score may be taken (the rule of Breiman et al., Classification and Regression Trees, 1984, section 3.4.3).

    Args:
        label: of the score. default: the trial of the shipped defaults, where it completed.
        pick: the number of a trial.
        error: the standard error of the best score.

    Raises:
        ConfigError: the trial that was picked is not there, or did not complete.
    """
    front = front_of(tried, goals, higher=higher)
    if pick is not None:
        return _picked(tried, front, goals, label, pick)
    if not front:
        return None
    if goals == _ALONE:
        return Taken(front[0], f"it has the best {label}")
    losses = losses_of(front, goals, higher=higher)
    logged = [place for place, goal in enumerate(goals) if goal in _BY_FACTORS]
    losses[:, logged] = np.log(np.maximum(losses[:, logged], 1e-12))
    able, least = np.ones(len(front), np.bool_), ""
    if "fairness" in goals:
        able = losses[:, 0] <= losses[:, 0].min() + error
        least = f", of those within a standard error ({error:.2g}) of the best {label}"
    elif default is not None:
        able = losses[:, 0] <= losses_of([default], goals, higher=higher)[0, 0]
        least = f", of those that are no worse than the defaults (trial {default.number})"
    span = losses.max(0) - losses.min(0)
    scaled = (losses - losses.min(0)) / np.where(span > 0.0, span, 1.0)
    far = np.where(able, np.sqrt((scaled**2).sum(1)), np.inf)
    knee, best = front[int(far.argmin())], front[0]
    beside = "" if knee is best else f"; the best score, of trial {best.number}, is {told(best, goals, label)}"
    why = (
        f"it is the knee of the front{least}, nearest to the best of {' and '.join(goals)}: {told(knee, goals, label)}"
    )
    return Taken(knee, why + beside)


def _picked(tried: Sequence[Tried], front: Sequence[Tried], goals: Sequence[Goal], label: str, pick: int) -> Taken:
    found = next((each for each in tried if each.number == pick and each.value is not None), None)
    if found is None:
        known = ", ".join(str(each.number) for each in front[:12])
        raise ConfigError("the trial to train must have come to its end", f"trial {pick} has not",
                          f"On the front are {known}." if known else "None has yet.")  # fmt: skip
    why = f"it was picked: {told(found, goals, label)}"
    return Taken(found, why if found in front else f"{why}; another is as good in all and better in one")


def told(tried: Tried, goals: Sequence[Goal], label: str) -> str:
    """What a trial came to in words: `AUROC 0.9120, 3.1 us a row, 41 kB, gap 0.021`."""
    assert tried.outcome is not None
    score, *_ = tried.outcome.values(_ALONE)
    costs = [f"gap {cost}" if goal == "fairness" else cost for goal, cost in costs_of(tried, goals).items()]
    return ", ".join([f"{label} {score:.4f}", *costs])


def costs_of(tried: Tried, goals: Sequence[Goal]) -> dict[Goal, str]:
    """What a trial costs in each goal beside the score, in words."""
    assert tried.outcome is not None
    wanted = [goal for goal in goals if goal != "score"]
    return {goal: _WORDED[goal](value) for goal, value in zip(wanted, tried.outcome.values(wanted), strict=True)}


def _microseconds(value: float) -> str:
    return f"{value:.3g} us a row" if math.isfinite(value) else "no latency"


def _size(value: float) -> str:
    for unit, least in (("MB", 1e6), ("kB", 1e3)):
        if value >= least:
            return f"{value / least:.3g} {unit}"
    return f"{value:.0f} B"


def _gap(value: float) -> str:
    return f"{value:.3g}" if math.isfinite(value) else "no gap"


_WORDED: Mapping[Goal, Callable[[float], str]] = MappingProxyType(
    {"latency": _microseconds, "size": _size, "fairness": _gap}
)
