"""Where forecasts are weak: parts of the steps they are of, each against all others, over origins that overlap.

A difference of two means is tested as a lead is (`paired.py`): every window pulls at it by what its steps add to either
mean, and counts by the stretches of time, and the series, that its side of the slice lies in - a month that comes once
is one witness, however many windows are in it. P-values are Holm's over all parts together.

Letters: n windows, H steps ahead.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from assay.data.rows import Rows
from assay.data.schema import Kind, Schema
from assay.evaluate.compare import PairedTest, holm
from assay.evaluate.estimate import Estimate
from assay.evaluate.forecast.cells import HOUR, LEVEL, MONTH, STEP, WEEKDAY, WEEKDAYS, cell_schema, cells_of
from assay.evaluate.forecast.judged import Judged
from assay.evaluate.forecast.paired import Overlap, Support, pulled_test
from assay.evaluate.forecast.scores import error_estimate
from assay.evaluate.inspection_record import STEPS_AHEAD, Slice, SliceFamily, Slices, SliceVerdict
from assay.evaluate.metrics import FORECAST_METRICS
from assay.evaluate.slices.conditions import Clause, Condition, rounded, written
from assay.evaluate.slices.row_values import RowValues
from assay.ledger import Ledger, Outcome

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

PRACTICE = "evaluate.slices"
#: Steps of windows that are looked at, at most; of more, every so many origins are left out.
_MOST_STEPS = 300_000
#: Series, and values of a column, that are looked at one by one; and parts that the steps ahead are cut into.
MOST_SERIES, _MOST_VALUES, _PARTS = 10, 12, 4


def weak_series(judged: Judged, answers: Floats) -> tuple[str, ...]:
    """The series of the largest errors for their size, the worst first, as they are to be tested on other windows."""
    missed = np.abs(answers - judged.truth).mean(axis=1) / _unit(judged)[0]
    names, place = np.unique(np.asarray(judged.names), return_inverse=True)
    means = np.bincount(place, missed) / np.bincount(place)
    return tuple(names[np.argsort(-means, kind="stable")[:MOST_SERIES]].tolist())


def forecast_slices(
    rows: Rows,
    judged: Judged,
    answers: Floats,
    schema: Schema,
    named: Sequence[Condition],
    *,
    doubted: Sequence[str] | None,
    confidence: float,
) -> Slices:
    """Parts of the steps to come, each with its error beside that of all others.

    Args:
        rows: windows, and what judges them.
        answers: forecasts of them, (n, H).
        schema: with how they were made.
        named: what the user named.
        doubted: series that are looked at by themselves, chosen by other windows; None to look at what was named alone.
        confidence: of intervals, and one less the level of the tests.
    """
    rows, judged, answers = _thinned(rows, judged, answers)
    unit, loss = _unit(judged)
    cells, columns = cells_of(rows, judged, schema), cell_schema(schema)
    tested = _Tested(
        np.abs(answers - judged.truth), unit, judged.overlap, RowValues(cells, columns), columns, confidence
    )  # fmt: skip
    kinds = [] if doubted is None else _families(tested.values, columns, doubted, schema)
    looked = [(name, tested.weaker_half(conditions)) for name, conditions in kinds]
    flat = iter(tested.all([condition for _, conditions in looked for condition in conditions]))
    families = tuple(
        SliceFamily(name=name, slices=tuple(next(flat) for _ in conditions)) for name, conditions in looked
    )
    return Slices(
        loss=loss, metric=FORECAST_METRICS[0].label, searched_rows=0, smallest=0, tested_on=len(cells),
        candidates=sum(len(family.slices) for family in families), families=families, named=tested.all(named),
        reason="" if families else "only named slices are scored",
    )  # fmt: skip


def _thinned(rows: Rows, judged: Judged, answers: Floats) -> tuple[Rows, Judged, Floats]:
    """The windows of as many origins, evenly apart, as can be looked at."""
    every = -(-judged.truth.size // _MOST_STEPS)
    if every <= 1:
        return rows, judged, answers
    taken = np.flatnonzero(judged.overlap.place % every == (len(judged.overlap.origins) - 1) % every)
    some = replace(
        judged, truth=judged.truth[taken], history=judged.history[taken], steps=judged.steps[taken],
        names=tuple(judged.names[at] for at in taken), naive=judged.naive[taken], deviation=judged.deviation[taken],
    )  # fmt: skip
    return rows.at(taken), some, answers[taken]


def _unit(judged: Judged) -> tuple[Floats, str]:
    """What errors of each window are measured in, (n,), so that several series count alike; and their name."""
    if len(set(judged.names)) == 1:
        return np.ones(len(judged.naive)), "absolute error"
    naive = np.where(np.isfinite(judged.naive) & (judged.naive > 0.0), judged.naive, np.nan)
    if np.isfinite(naive).all():
        return naive, "scaled error"
    return judged.deviation, "error in deviations"


@dataclass(frozen=True)
class _Tested:
    """The steps with all that is asked of them. missed: absolute errors, (n, H). unit: of each window, (n,)."""

    missed: Floats
    unit: Floats
    overlap: Overlap
    values: RowValues
    schema: Schema
    confidence: float

    def all(self, conditions: Sequence[Condition]) -> tuple[Slice, ...]:
        """Each part against the rest of the steps, their p-values Holm-corrected together."""
        inside = [self.values.holds(condition).reshape(self.missed.shape) for condition in conditions]
        tests = [self._test(mask) for mask in inside]
        judged = [at for at, test in enumerate(tests) if test.difference.low is not None]
        p_values: list[float | None] = [None] * len(tests)
        for at, p_value in zip(judged, holm([tests[at].p_value for at in judged]), strict=True):
            p_values[at] = p_value
        return tuple(
            self._slice(condition, mask, test.difference, p_value)
            for condition, mask, test, p_value in zip(conditions, inside, tests, p_values, strict=True)
        )

    def weaker_half(self, conditions: Sequence[Condition]) -> Sequence[Condition]:
        """The conditions; of two that part the steps between them the one of the larger loss, for the tests are one."""
        if len(conditions) != 2:
            return conditions
        first, second = (self.values.holds(condition).reshape(self.missed.shape) for condition in conditions)
        if (first == second).any() or not first.any() or not second.any():
            return conditions
        loss = self.missed / self.unit[:, None]
        return conditions[:1] if loss[first].mean() > loss[second].mean() else conditions[1:]

    def _test(self, inside: Bools) -> PairedTest:
        """The difference of the mean losses inside and outside."""
        loss, within, rest = self.missed / self.unit[:, None], int(inside.sum()), int((~inside).sum())
        if not within or not rest:
            return PairedTest(Estimate(value=None, method="not defined: all steps are on one side"), 1.0, "")
        mean, others = float(loss[inside].mean()), float(loss[~inside].mean())
        pulls = np.where(inside, (loss - mean) / within, (others - loss) / rest).sum(axis=1)
        support = self._support(inside).common(self._support(~inside))
        return pulled_test(mean - others, pulls, self.overlap, support, self.confidence)

    def _slice(self, condition: Condition, inside: Bools, difference: Estimate, p_value: float | None) -> Slice:
        loss, steps = self.missed / self.unit[:, None], int(inside.sum())
        verdict: SliceVerdict = "too few rows" if p_value is None else "not distinguishable"
        if p_value is not None and p_value < 1.0 - self.confidence and difference.value is not None:
            verdict = "weaker" if difference.value > 0.0 else "stronger"
        return Slice(
            condition=written(condition, self.schema), rows=steps, share=steps / inside.size,
            loss=_mean(loss[inside]), loss_rest=_mean(loss[~inside]), difference=difference, p_value=p_value,
            score=self._score(inside), score_rest=_mean(self.missed[~inside]), verdict=verdict,
        )  # fmt: skip

    def _support(self, inside: Bools) -> Support:
        return self.overlap.support_of(np.asarray(inside.any(axis=1)))

    def _score(self, inside: Bools) -> Estimate | None:
        """The mean absolute error of these steps, in units of the target."""
        steps = int(inside.sum())
        if not steps:
            return None
        value = float(self.missed[inside].mean())
        pulls = np.where(inside, (self.missed - value) / steps, 0.0).sum(axis=1)
        return error_estimate(value, pulls, self.overlap, self._support(inside), self.confidence)


def _mean(values: Floats) -> float | None:
    return float(values.mean()) if len(values) else None


# What is looked at ----------------------------------------------------------------------------------------------------


def _families(
    values: RowValues, columns: Schema, doubted: Sequence[str], schema: Schema
) -> list[tuple[str, list[Condition]]]:
    """Kinds of parts, each with those that there are steps of; kinds of which all steps are alike are left out."""
    windowing = schema.windowing
    assert windowing is not None
    counted = {column.name for column in columns.columns if column.reason.endswith("it is counted")}
    made: list[tuple[str, list[Condition]]] = []
    if STEP in counted:
        made.append((STEPS_AHEAD, _parts(STEP, np.arange(1, windowing.horizon + 1))))
    for name, told in ((HOUR, "hour of the day"), (WEEKDAY, "day of the week"), (MONTH, "month")):
        if name in counted:
            made.append((told, _calendar(name, values)))
    if LEVEL in counted:
        made.append(("level before", _outer_quarters(LEVEL, values.numbers(LEVEL))))
    if windowing.case is not None:
        case = windowing.case
        made.append(("series", [(Clause(case, "=", name),) for name in doubted]))
    for name in (*windowing.kept, *(channel.name for channel in windowing.known)):
        made.append((name, _values(name, columns, values)))
    return [(name, conditions) for name, conditions in made if len(conditions) > 1]


def _parts(name: str, numbers: NDArray[np.int64]) -> list[Condition]:
    """Whole numbers that follow one another in a few parts of one size."""
    edges = np.unique(np.linspace(0, len(numbers), min(_PARTS, len(numbers)) + 1).round().astype(int))[1:-1]
    ends = [float(numbers[edge - 1]) for edge in edges]
    made: list[Condition] = []
    for low, high in zip([None, *ends], [*ends, None], strict=True):
        clauses = () if low is None else (Clause(name, ">", low),)
        made.append((*clauses, *(() if high is None else (Clause(name, "<=", high),))))
    return made if ends else []


def _calendar(name: str, values: RowValues) -> list[Condition]:
    if name == WEEKDAY:
        there = set(values.words(name).unique().to_list())
        return [(Clause(name, "=", day),) for day in WEEKDAYS if day in there]
    numbers = np.unique(values.numbers(name))
    if name == HOUR and len(numbers) > _MOST_VALUES:
        return _parts(HOUR, np.arange(24))
    return [(Clause(name, "=", float(number)),) for number in numbers]


def _outer_quarters(name: str, numbers: Floats) -> list[Condition]:
    known = numbers[np.isfinite(numbers)]
    if not len(known):
        return []
    low, high = (rounded(float(edge)) for edge in np.quantile(known, (0.25, 0.75)))
    return [(Clause(name, "<=", low),), (Clause(name, ">", high),)] if low < high else []


def _values(name: str, columns: Schema, values: RowValues) -> list[Condition]:
    """The values of a column where it has a few."""
    if columns[name].kind is Kind.CATEGORY:
        words = sorted(values.words(name).drop_nulls().unique().to_list())
        return [(Clause(name, "=", word),) for word in words] if len(words) <= _MOST_VALUES else []
    if columns[name].kind is Kind.BOOLEAN:
        return [(Clause(name, "=", truth),) for truth in (0.0, 1.0)]
    return []


# What the ledger is told ----------------------------------------------------------------------------------------------


def note_slices(found: Slices, ledger: Ledger) -> None:
    """The verdict on parts of the steps; that later ones are harder is no news."""
    told = (
        f"{found.candidates:,} parts of {found.tested_on:,} forecast steps ({_and(found)}) were set beside all others"
    )
    every = [(family.name, each) for family in found.families for each in family.slices if each.verdict == "weaker"]
    weak = [each for name, each in every if name != STEPS_AHEAD]
    if not weak:
        later = ", but for steps further ahead" if every else ""
        ledger.record(PRACTICE, Outcome.PASSED, f"{told}: none is weaker beyond chance{later}", value=0.0)
        return
    figures = "; ".join(
        f"{each.condition} ({found.loss} {each.loss:.3g} against {each.loss_rest:.3g})" for each in weak
    )
    ledger.record(PRACTICE, Outcome.WARNED, f"{told}; {len(weak)} are weaker: {figures}", value=len(weak))


def _and(found: Slices) -> str:
    return ", ".join(family.name for family in found.families)
