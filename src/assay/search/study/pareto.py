"""Studies that go for several things at once: the front of trials that nothing beats in all of them, and one to take.

Letters: n trials, g goals.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
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
        "fairness": "a gap between groups of a few rows each is noise that the best of many settings would fit",
        "epsilon": "privacy is spent by every trial that looks at the rows, not by the one that is kept",
    }
)
_ALONE = ("score",)


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
                "Leave it out, and look at it in the report of the model.",
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
    tried: Sequence[Tried], goals: Sequence[Goal], label: str, *, higher: bool, default: Tried | None, pick: int | None
) -> Taken | None:
    """The trial to train at the end: the one that was picked, else the knee of the front; None without any.

    The knee is the trial of the front that lies nearest to the best of every goal, where each runs from 0 to 1 over the
    front, costs on a logarithmic scale. Trials with a lower score than the defaults are not taken where others are.

    Args:
        label: of the score. default: the trial of the shipped defaults, where it completed.
        pick: the number of a trial.

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
    losses[:, 1:] = np.log(np.maximum(losses[:, 1:], 1e-12))
    able = np.ones(len(front), np.bool_)
    least = "" if default is None else f" of those that are no worse than the defaults (trial {default.number})"
    if default is not None:
        able = losses[:, 0] <= losses_of([default], goals, higher=higher)[0, 0]
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
    """What a trial came to in words: `AUROC 0.9120, 3.1 us a row, 41 kB`."""
    assert tried.outcome is not None
    values = dict(zip(goals, tried.outcome.values(goals), strict=True))
    words = [f"{label} {values['score']:.4f}"]
    words += [microseconds(values["latency"])] if "latency" in values else []
    words += [size(values["size"])] if "size" in values else []
    return ", ".join(words)


def microseconds(value: float) -> str:
    """A latency in words."""
    return f"{value:.3g} us a row" if math.isfinite(value) else "no latency"


def size(value: float) -> str:
    """Bytes in words."""
    for unit, least in (("MB", 1e6), ("kB", 1e3)):
        if value >= least:
            return f"{value / least:.3g} {unit}"
    return f"{value:.0f} B"
