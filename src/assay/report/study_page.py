"""A study as an HTML page of its own, in the style of the report."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate

from assay.evaluate.record import Selection
from assay.report.charts import Dot, Part, Series, bar_chart, interval_chart, line_chart, scatter_chart
from assay.report.contour import contour_chart
from assay.report.front_chart import front_pictures
from assay.report.page import environment
from assay.report.parallel import Upright, parallel_chart
from assay.report.pictures import Picture
from assay.report.ticks import Axis
from assay.report.words import fixed, percent
from assay.search.study.findings import EVALUATOR, Importance
from assay.search.study.interactions import Interactions, place_of
from assay.search.study.mixture import Mixture, in_words
from assay.search.study.pareto import HEADINGS, Taken, costs_of
from assay.search.study.space import Parameter, Space, shown, told
from assay.search.study.store import Tried
from assay.search.study.trial import Goal
from assay.version import __version__

#: Trials that a table shows at most, the best first; axes of parallel coordinates; trials that pictures show at most.
_MOST_ROWS, _MOST_AXES, _MOST_DRAWN = 30, 8, 1_000
#: Share of the trials that parallel coordinates lift out.
_BEST = 0.1


@dataclass(frozen=True)
class StudyPage:
    """What the page is drawn from. `ended` is why the search is over, in words; empty while it is not.

    gap: what is to be said of the gap between groups, where that is a goal.
    """

    data: str
    target: str
    space: Space
    label: str
    higher: bool
    folds: int
    sampler: str
    why: str
    pruning: str
    ended: str
    tried: Sequence[Tried]
    importances: Sequence[Importance]
    edges: Sequence[str]
    selection: Selection | None
    goals: Sequence[Goal] = ("score",)
    front: Sequence[Tried] = ()
    taken: Taken | None = None
    mixture: Mixture | None = None
    interactions: Interactions | None = None
    gap: str = ""

    @property
    def over(self) -> list[Tried]:
        """The trials that are over, by number."""
        return [each for each in self.tried if each.outcome is not None]

    @cached_property
    def done(self) -> list[Tried]:
        """Those that completed, by number."""
        return [each for each in self.tried if each.value is not None]

    @cached_property
    def drawn(self) -> list[Tried]:
        """Those that pictures show: all, or of very many the best and an even sample of the others, by number."""
        if len(self.done) <= _MOST_DRAWN:
            return self.done
        best = self.ranked[: _MOST_DRAWN // 4]
        kept = {each.number for each in best}
        others = [each for each in self.done if each.number not in kept]
        stride = -(-len(others) // (_MOST_DRAWN - len(best)))
        return sorted([*best, *others[::stride]], key=lambda each: each.number)

    @cached_property
    def ranked(self) -> list[Tried]:
        """Those that completed, the best first."""
        sign = -1.0 if self.higher else 1.0
        return sorted(self.done, key=lambda each: (sign * (each.value or 0.0), each.number))


def draw_study(page: StudyPage) -> str:
    """A self-contained page: the best setting, what to try next, pictures, and the trials.

    Raises:
        MissingExtraError: jinja2 is not installed.
    """
    first = page.ranked[0] if page.done else None
    best = first if page.taken is None else page.taken.tried
    failed = [each for each in page.over if each.outcome is not None and each.outcome.state == "failed"]
    return environment().get_template("study.html.j2").render(
        version=__version__, page=page, best=best, failed=failed[:_MOST_ROWS], failures=len(failed),
        setting="" if best is None else told(dict(best.trial.options)), figures=list(_figures(page)),
        crossing=_parallel(page) if len(page.done) > 1 else None,
        keys=page.space.keys, rows=page.ranked[:_MOST_ROWS], more=max(len(page.done) - _MOST_ROWS, 0), shown=shown,
        evaluator=EVALUATOR, costs=page.goals[1:], contours=list(_contours(page)), costs_of=costs_of, headings=HEADINGS,
        mixture="" if page.mixture is None else in_words(page.mixture),
    )  # fmt: skip


def _figures(page: StudyPage) -> Iterator[Picture]:
    done = page.done
    if len(done) < 2:
        return
    if len(page.goals) > 1:
        taken = None if page.taken is None else page.taken.tried
        yield from front_pictures(page.drawn, page.front, taken, page.goals, page.label)
    yield _history(page)
    if page.importances:
        parts = [Part(each.name, each.share, percent(each.share)) for each in page.importances]
        caption = (
            f"Importance by {EVALUATOR}: what tells the best tenth from the rest. Evaluators disagree; an indication."
        )
        yield Picture(bar_chart("Importance of parameters", parts), caption)
    for parameter in page.space.parameters:
        yield from _slice(page, parameter)


def _contours(page: StudyPage) -> Iterator[Picture]:
    """What a forest expects over pairs of parameters, and what that means in words."""
    for each in () if page.interactions is None else page.interactions.contours:
        label = f"{page.label} expected over {each.x} and {each.y}"
        svg = contour_chart(label, each.x, each.y, each.at_x, each.at_y, each.means, higher=page.higher)
        yield Picture(svg, f"{each.told[0].upper()}{each.told[1:]}. The darker, the better.")


def _history(page: StudyPage) -> Picture:
    """The value of each trial and the best so far."""
    numbers = [float(each.number) for each in page.done]
    values = [each.value or 0.0 for each in page.done]
    best = list(accumulate(values, max if page.higher else min))
    series = [Series("best so far", numbers, best, 1), Series("each trial", numbers, values, 0, quiet=True)]
    svg = line_chart(f"{page.label} by trial", series, Axis("trial", whole=True), Axis(page.label))
    return Picture(
        svg, f"{page.label} of each trial (thin) and the best so far, on rows the trials did not learn from."
    )


def _slice(page: StudyPage, parameter: Parameter) -> Iterator[Picture]:
    """The value over one parameter, in the trials in which it has a meaning."""
    named = [(page.space.by_name(dict(each.trial.options)).get(parameter.name), each.value) for each in page.drawn]
    pairs = [(at, value) for at, value in named if at is not None]
    if len({at for at, _ in pairs}) < 2:
        return
    caption = f"{page.label} over {parameter.name}."
    if parameter.choices and not parameter.ordered:
        rows = []
        for choice in parameter.choices:
            values = sorted(value for at, value in pairs if at == choice and value is not None)
            if values:
                rows.append(Dot(shown(choice), values[len(values) // 2], values[0], values[-1]))
        yield Picture(interval_chart(caption, rows, Axis(page.label)), f"{caption} Median, from worst to best.")
        return
    log = parameter.scale == "log"
    xs = [math.log10(float(at)) if log else float(at) for at, _ in pairs]
    ys = [value for _, value in pairs]
    yield Picture(scatter_chart(caption, xs, ys, Axis(parameter.name, powers=log), Axis(page.label)), caption)


def _parallel(page: StudyPage) -> Picture:
    """All settings at once; the best tenth stands out."""
    ranked = page.ranked
    lifted = {each.number for each in ranked[: max(1, round(_BEST * len(ranked)))]}
    found = (_axis(page, parameter) for parameter in page.space.parameters)
    axes = [axis for axis in found if any(place is not None for place in axis.places)][:_MOST_AXES]
    values = [each.value or 0.0 for each in page.drawn]
    low, high = min(values), max(values)
    places = [(value - low) / (high - low) if high > low else 0.5 for value in values]
    axes.append(Upright(page.label, places, fixed(low, 4), fixed(high, 4)))
    svg = parallel_chart("Settings and their values", axes, [each.number in lifted for each in page.drawn])
    some = f", of {len(page.drawn):,} of {len(page.done):,} trials" if len(page.drawn) < len(page.done) else ""
    return Picture(svg, f"Each line is a trial{some}; those of the best tenth stand out.")


def _axis(page: StudyPage, parameter: Parameter) -> Upright:
    named = [page.space.by_name(dict(each.trial.options)).get(parameter.name) for each in page.drawn]
    places = [None if value is None else place_of(parameter, value) for value in named]
    ends = (parameter.choices[0], parameter.choices[-1]) if parameter.choices else (parameter.low, parameter.high)
    return Upright(parameter.name, places, shown(ends[0] or 0), shown(ends[1] or 0))
