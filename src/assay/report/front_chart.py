"""The front of a study that goes for several things: its trials by score and by what they cost."""

from __future__ import annotations

import math
from collections.abc import Sequence

from assay.report.charts import Series, scatter_chart
from assay.report.pictures import Picture
from assay.report.ticks import Axis
from assay.search.study.pareto import costs_of
from assay.search.study.store import Tried
from assay.search.study.trial import Goal

_NAMES: dict[Goal, str] = {
    "score": "score", "latency": "microseconds a row", "size": "bytes of the numbers", "fairness": "gap between groups",
}  # fmt: skip
#: How many times the least cost the largest is from which their axis is one of powers of ten.
_FAR = 30.0


def front_pictures(
    done: Sequence[Tried], front: Sequence[Tried], taken: Tried | None, goals: Sequence[Goal], label: str
) -> list[Picture]:
    """A picture for each cost: every completed trial, those that no other equals in all, and the one that is taken."""
    return [_picture(done, front, taken, goal, label) for goal in goals if goal != "score"]


def _picture(done: Sequence[Tried], front: Sequence[Tried], taken: Tried | None, goal: Goal, label: str) -> Picture:
    costs = [_values(each, goal)[1] for each in done]
    powers = goal != "fairness" and max(costs) > _FAR * max(min(costs), 1e-9)

    def place(tried: Tried) -> tuple[float, float]:
        score, cost = _values(tried, goal)
        return (math.log10(max(cost, 1e-9)) if powers else cost), score

    dots, edge = [place(each) for each in done], sorted(place(each) for each in front)
    lines = [Series("front", [at for at, _ in edge], [score for _, score in edge], 1)]
    if taken is not None:
        at, score = place(taken)
        lines.append(Series("taken", [at], [score], 1))
    svg = scatter_chart(
        f"{label} by {_NAMES[goal]}", [at for at, _ in dots], [score for _, score in dots],
        Axis(_NAMES[goal], powers=powers), Axis(label), lines=lines,
    )  # fmt: skip
    caption = f"{label} of each trial by {_NAMES[goal]}; the line is the front, which nothing tried beats in all."
    if taken is not None:
        cost = costs_of(taken, [goal])[goal]
        caption += f" The large dot, trial {taken.number} at {cost}, is the one that is trained."
    return Picture(svg, caption)


def _values(tried: Tried, goal: Goal) -> tuple[float, float]:
    assert tried.outcome is not None
    score, cost = tried.outcome.values(("score", goal))
    return score, cost
