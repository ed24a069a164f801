"""Tables whose columns or rows are the steps of series, folded so that a row is a case and a cell is a whole series.

In a wide table the steps of a series stand side by side (t0, t1, ...); in a long one below each other, a row a step,
with a column that names the case. What is to be folded is found once, on the training table, and travels with the
schema, so that raw rows are folded in the same way when a model answers them.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final, Literal

import numpy as np
import polars as pl

from assay.data.columns import COMMA_GROUPS, DECIMAL_COMMA, as_category, as_number, row_groups
from assay.data.config import DataConfig
from assay.data.series.cases import Cases
from assay.data.series.grid import Every, Grid, find_grid, placed, unevenness
from assay.data.steps import SERIES, is_series
from assay.data.stored import Frame, Stored
from assay.errors import DataError, nearest
from assay.records import Record

#: Columns that are taken as steps only from so many on.
FEWEST_STEPS: Final = 16
_STEP: Final = re.compile(r"((?:time|step|ts|t)_?)(\d+)", re.I | re.A)
_NAME: Final = "series"
_FORMATS: Final = (None, DECIMAL_COMMA, COMMA_GROUPS)


class Folding(Record):
    """How raw rows become rows with series.

    kind: `wide`: steps side by side; `long`: steps below each other.
    columns: wide: the columns of the steps, in order; long: the columns that become series, one a channel.
    name: wide: what the column of the series is called.
    case, step: long: the column that names the case, and the one that orders its steps (None: the order of the rows).
    kept: long: the columns that have one value in each case, and stay as they are.
    left_out: long: columns that vary within a case and hold no numbers.
    format: how steps that are words are read as numbers (see `schema.Column`).
    grid: long: the even times that steps are brought to; None takes the rows of a case as its steps.
    """

    kind: Literal["wide", "long"]
    columns: tuple[str, ...]
    name: str | None = None
    case: str | None = None
    step: str | None = None
    kept: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()
    format: str | None = None
    grid: Grid | None = None


@dataclass(frozen=True)
class StepColumns:
    """Columns whose names number the steps of a series: the names in order, and those whose cells are no numbers."""

    names: tuple[str, ...]
    worded: tuple[str, ...] = ()
    format: str | None = None

    @property
    def shown(self) -> str:
        """`'t0' to 't95'`."""
        return f"{self.names[0]!r} to {self.names[-1]!r}"


def find_folding(
    frame: Frame, config: DataConfig, target: str, *, single: Collection[str] = (), apart: Collection[str] = ()
) -> Folding | None:
    """What is to be folded in a table, as the options say and the names of its columns tell; None for nothing.

    Args:
        frame: the raw training table.
        config: `case` and `step` name the columns of a long table, `series` the pattern of a wide one.
        target: the column to predict.
        single: other columns of which a case has one value: its group, time or weight.
        apart: columns that are no steps of a wide table, for something else was said of them.

    Raises:
        DataError: a column that an option names is missing or unfit, a case has several targets, or no column is a
            series.
    """
    if config.case is not None:
        return _find_long(_in_memory(frame), config.case, config.step, config.every, (target, *single))
    if config.series == "none":
        return None
    taken = {target, *single, *apart}
    if config.series != "auto":
        return _of_pattern(_in_memory(frame), config.series, taken)
    names = step_names(frame.columns, taken)
    if not names or isinstance(frame, Stored):
        return None
    run = step_columns(frame, names)
    return None if run.worded else _wide(frame, run)


def fold(frame: pl.DataFrame, folding: Folding) -> pl.DataFrame:
    """The table with series in its cells; as it is where they are there already.

    Wide: one column of lists stands where the first step stood. Missing cells at the end of a row are the end of its
    series; a row without any has an empty list. Long: one row a case, in the order in which cases first occur; steps
    are in order of the step column, and a kept column has its one value.

    Raises:
        DataError: a column is missing, a case is missing or has a step twice, or a kept column has several values in
            a case.
    """
    if is_folded(frame, folding):
        return frame
    present = set(frame.columns)  # a frame makes the list of its columns anew at each call
    lacking = [name for name in (*folding.columns, folding.case, folding.step) if name and name not in present]
    if lacking:
        shown = ", ".join(repr(name) for name in lacking[:5]) + (", ..." if len(lacking) > 5 else "")
        what = f"{len(lacking)} {'is' if len(lacking) == 1 else 'are'} missing: {shown}"
        do = nearest(lacking[0], frame.columns)
        raise DataError("the data must have the columns that the series are made of", what, do)
    return _folded_wide(frame, folding) if folding.kind == "wide" else _folded_long(frame, folding)


def is_folded(frame: pl.DataFrame, folding: Folding) -> bool:
    """Whether the series are in the cells of `frame` already."""
    types = dict(frame.schema)
    if folding.kind == "wide":
        return folding.name in types
    return all(name in types and is_series(types[name]) for name in folding.columns)


def unread(frame: pl.DataFrame, folding: Folding) -> dict[str, int]:
    """Cells of the steps of raw rows that are neither missing nor numbers, by column; they count as missing."""
    counts: dict[str, int] = {}
    steps = set(folding.columns)
    for name in (name for name, dtype in frame.schema.items() if dtype == pl.String and name in steps):
        wrong = int(_words_in(frame.get_column(name), folding.format).sum())
        counts |= {name: wrong} if wrong else {}
    return counts


def told(frame: pl.DataFrame, folding: Folding) -> str:
    """What the folding makes of the raw table, in words."""
    if folding.kind == "wide":
        return (
            f"{len(folding.columns)} columns, {folding.columns[0]!r} to {folding.columns[-1]!r}, are the steps of one "
            f"series {folding.name!r}; cells missing at the end of a row are its end"
        )
    cases = _cases_of(frame, folding)
    order = f"in the order of {folding.step!r}" if folding.step else "in the order of the rows"
    words = (
        f"{frame.height:,} rows are the steps of {cases.count:,} cases by {folding.case!r}, {order}; "
        f"{len(folding.columns)} columns are series"
    )
    if cases.unsorted:
        words += f"; {cases.unsorted:,} cases were not in order and are put in order"
    if folding.left_out:
        names = ", ".join(repr(name) for name in folding.left_out[:8])
        words += f"; left out, for they vary within a case and hold no numbers: {names}"
    return words


def told_times(frame: pl.DataFrame, folding: Folding) -> tuple[str, int]:
    """How even the times of the raw long table are and what was done about it, in words; and the steps filled."""
    assert folding.grid is not None
    cases, grid = _cases_of(frame, folding), folding.grid
    times = cases.times
    on_grid = placed(*times, grid)
    if grid.distance is None:
        absent = len(on_grid.owner) - frame.height
        lack = "none lacks" if not absent else f"{absent:,} {'lacks' if absent == 1 else 'lack'}"
        words = f"of {len(on_grid.owner):,} steps, one each {grid.every:g} of {folding.step!r}, {lack} a row"
        return words, absent
    found = unevenness(*times, grid)
    filled = int((on_grid.distances() > 0).sum())
    words = (
        f"rows are {found.least:.3g} to {found.largest:.3g} of {folding.step!r} apart, median {found.median:.3g}, "
        f"{found.off:.0%} of the gaps no multiples of one step; of {len(on_grid.owner):,} steps, one each "
        f"{grid.every:.3g}, {filled:,} lie between rows and are filled in on straight lines; {grid.distance!r} says "
        "how many steps the nearest row is away"
    )
    return words, filled


# Wide tables ----------------------------------------------------------------------------------------------------------


def step_names(names: Sequence[str], taken: Collection[str] = ()) -> tuple[str, ...]:
    """The longest run of at least 16 names t0, t1, ..., in order; none where numbers repeat, lack or begin above 1."""
    runs: dict[str, dict[int, str]] = {}
    repeated: set[str] = set()
    for name in names:
        match = None if name in taken else _STEP.fullmatch(name)
        if match is None:
            continue
        prefix, number = match[1], int(match[2])
        if number in runs.setdefault(prefix, {}):
            repeated.add(prefix)
        runs[prefix][number] = name
    whole = [run for prefix, run in runs.items() if prefix not in repeated and _is_whole(run)]
    longest = max(whole, key=len, default={})
    return tuple(longest[number] for number in sorted(longest))


def _is_whole(run: dict[int, str]) -> bool:
    first = min(run)
    return len(run) >= FEWEST_STEPS and first in (0, 1) and max(run) - first == len(run) - 1


def step_columns(frame: Frame, names: Sequence[str]) -> StepColumns:
    """The columns of the steps: whether their cells are numbers, and how these are written."""
    worded: dict[str | None, tuple[str, ...]] = {}
    for form in _FORMATS:
        worded[form] = tuple(name for name in names if not _are_numbers(frame[name], form))
        if not worded[form]:
            return StepColumns(tuple(names), (), form)
    return StepColumns(tuple(names), worded[None])


def _are_numbers(series: pl.Series, form: str | None) -> bool:
    """Whether every cell that is not missing is a number."""
    if series.dtype.is_numeric() or series.dtype == pl.Boolean or series.null_count() == len(series):
        return True
    if series.dtype != pl.String:
        return False
    return not bool(_words_in(series, form).any())


def _words_in(series: pl.Series, form: str | None) -> np.ndarray:
    """Which cells are neither missing nor numbers, bool (n,)."""
    return np.asarray(np.isnan(as_number(series, form)) & as_category(series).is_not_null().to_numpy())


def _of_pattern(frame: pl.DataFrame, pattern: str, taken: Collection[str]) -> Folding:
    """The folding of the columns whose names fit `v{}`, in the order of the numbers that stand for `{}`."""
    before, after = (re.escape(part) for part in pattern.split("{}"))
    numbered = re.compile(rf"{before}(-?\d+(?:\.\d+)?){after}", re.A)
    matches = [match for name in frame.columns if name not in taken and (match := numbered.fullmatch(name))]
    matches.sort(key=lambda match: float(match[1]))
    must = f"columns must be called {pattern!r}, with a number in the place of the braces, as data.series says"
    if len(matches) < 2:
        came = f"{len(matches) or 'none'} of {len(frame.columns)} columns {'is' if len(matches) == 1 else 'are'}"
        raise DataError(must, came, f"Change the pattern. {nearest(pattern, frame.columns)}")
    for one, other in pairwise(matches):
        if float(one[1]) == float(other[1]):
            raise DataError(must, f"{one[0]!r} and {other[0]!r} have the same number", "Rename one of them.")
    run = step_columns(frame, [match[0] for match in matches])
    if run.worded:
        name = run.worded[0]
        raise DataError(
            "the steps of a series must be numbers",
            f"{name!r} holds {_example(frame[name])!r}",
            "Repair these cells, leave them empty, or narrow the pattern in data.series.",
        )
    return _wide(frame, run)


def _example(series: pl.Series) -> object:
    """A cell that is no number."""
    if series.dtype != pl.String:
        return series.drop_nulls()[0]
    return series.filter(pl.Series(_words_in(series, None)))[0]


def _wide(frame: pl.DataFrame, run: StepColumns) -> Folding:
    others = set(frame.columns) - set(run.names)
    free = (name for name in (_NAME, *(f"{_NAME}_{at}" for at in range(2, len(others) + 3))) if name not in others)
    return Folding(kind="wide", columns=run.names, name=next(free), format=run.format)


def _folded_wide(frame: pl.DataFrame, folding: Folding) -> pl.DataFrame:
    assert folding.name is not None
    matrix = np.empty((frame.height, len(folding.columns)))
    for at, name in enumerate(folding.columns):
        matrix[:, at] = as_number(frame.get_column(name), folding.format)
    known = ~np.isnan(matrix)
    ends = np.where(known.any(axis=1), matrix.shape[1] - known[:, ::-1].argmax(axis=1), 0)
    lists = pl.Series("whole", matrix, dtype=pl.Array(pl.Float64, matrix.shape[1])).cast(SERIES)
    if (ends < matrix.shape[1]).any():
        cut = pl.DataFrame({"whole": lists, "end": ends}).select(pl.col("whole").list.head(pl.col("end")))
        lists = cut["whole"]
    steps, columns = set(folding.columns), frame.get_columns()
    first = next(at for at, column in enumerate(columns) if column.name in steps)
    before = [column for column in columns[:first] if column.name not in steps]
    after = [column for column in columns[first:] if column.name not in steps]
    return pl.DataFrame([*before, lists.alias(folding.name), *after])


# Long tables ----------------------------------------------------------------------------------------------------------


def _cases_of(frame: pl.DataFrame, folding: Folding) -> Cases:
    assert folding.case is not None
    return Cases.of(frame, folding.case, folding.step)


def _find_long(frame: pl.DataFrame, case: str, step: str | None, every: Every, single: Sequence[str]) -> Folding:
    target = single[0]
    for option, name in (("case", case), ("step", step)):
        if name is not None and name not in frame.columns:
            raise DataError(f"data.{option} must name a column", f"{name!r} is none", nearest(name, frame.columns))
        if name == target:
            came = f"{name!r} is the column to predict"
            raise DataError(f"data.{option} must name a column of its own", came, "Name another column.")
    if case == step:
        raise DataError("data.case and data.step must be two columns", f"both are {case!r}", "Leave data.step out.")
    bare = Folding(kind="long", columns=(), case=case, step=step)
    cases = _cases_of(frame, bare)
    channels, kept, left_out = [], [], []
    formats = set()
    for series in frame.get_columns():
        if series.name in (case, step):
            continue
        several = _several(series, cases)
        if several is None:
            kept.append(series.name)
        elif series.name in single:
            raise _several_values(frame, bare, cases, series.name, several)
        elif (run := step_columns(frame, [series.name])).worded:
            left_out.append(series.name)
        else:
            channels.append(series.name)
            formats |= {run.format} if series.dtype == pl.String else set()
    if not channels:
        came = "each has one row" if cases.count == frame.height else "none does"
        raise DataError(
            "at least one column of numbers must vary within a case", came, f"Is {case!r} the column of cases?"
        )
    if len(formats) > 1:
        raise DataError("all series must be written with one decimal sign", "they are not", "Write them with a point.")
    return bare.model_copy(
        update={
            "columns": tuple(channels),
            "kept": tuple(kept),
            "left_out": tuple(left_out),
            "format": next(iter(formats), None),
            "grid": None if step is None else find_grid(*cases.times, every, step, frame.columns),
        }
    )


def _several(series: pl.Series, cases: Cases) -> int | None:
    """A case in which the column has more than one value, missing cells aside; None where there is none."""
    if series.dtype.is_float():
        series = series.fill_nan(None)
    known = np.flatnonzero(series.is_not_null().to_numpy())
    values = row_groups(pl.DataFrame([series.gather(known)]))
    owner = cases.codes[known]
    order = np.argsort(owner, kind="stable")
    differ = (np.diff(owner[order]) == 0) & (np.diff(values[order]) != 0)
    return int(owner[order][np.flatnonzero(differ)[0]]) if differ.any() else None


def _several_values(frame: pl.DataFrame, folding: Folding, cases: Cases, name: str, case: int) -> DataError:
    assert folding.case is not None
    rows = np.flatnonzero(cases.codes == case)
    values = frame.get_column(name).gather(rows).drop_nulls().unique(maintain_order=True).head(3).to_list()
    return DataError(
        f"a case must have one value of {name!r}",
        f"the case {frame.get_column(folding.case)[int(rows[0])]!r} has {', '.join(map(repr, values))}",
        f"Correct these rows, or name another column than {folding.case!r} with data.case.",
    )


def _folded_long(frame: pl.DataFrame, folding: Folding) -> pl.DataFrame:
    assert folding.case is not None
    cases = _cases_of(frame, folding)
    present = [name for name in frame.columns if name in (folding.case, *folding.kept, *folding.columns)]
    for name in present:
        if name in folding.kept and (several := _several(frame.get_column(name), cases)) is not None:
            raise _several_values(frame, folding, cases, name, several)
    on_grid = None if folding.grid is None else placed(*cases.times, folding.grid)
    codes = cases.codes[cases.order]
    columns = []
    for name in present:
        cells = frame.get_column(name)
        if name in folding.columns:
            values = as_number(cells, folding.format)[cases.order]
            owner, steps = (codes, values) if on_grid is None else (on_grid.owner, on_grid.values(values))
            columns.append(_lists(name, steps, owner))
        else:
            cells = cells.fill_nan(None) if cells.dtype.is_float() else cells
            columns.append(_by_case(name, cells.gather(cases.order), codes, pl.col("cells").drop_nulls().first()))
    if on_grid is not None and on_grid.grid.distance is not None:
        columns.append(_lists(on_grid.grid.distance, on_grid.distances(), on_grid.owner))
    return pl.DataFrame(columns)


def _lists(name: str, steps: np.ndarray, owner: np.ndarray) -> pl.Series:
    return _by_case(name, pl.Series(steps), owner, pl.col("cells"))


def _by_case(name: str, cells: pl.Series, owner: np.ndarray, pick: pl.Expr) -> pl.Series:
    """One cell a case, in their order, of cells whose cases (n,) ascend."""
    grouped = pl.DataFrame({"case": owner, "cells": cells}).group_by("case", maintain_order=True).agg(pick)
    return grouped["cells"].alias(name)


def _in_memory(frame: Frame) -> pl.DataFrame:
    if isinstance(frame, Stored):
        raise DataError(
            "a table whose rows or columns are steps of series must fit into the memory allowed",
            f"its {frame.height:,} rows and {frame.width:,} columns lie in files",
            "Raise data.memory, or write the series as lists, a row a case, into a Parquet file.",
        )
    return frame


def folded(frame: Frame, folding: Folding | None) -> Frame:
    """`fold`, of a table that may lie in files.

    Raises:
        DataError: it does and is to be folded, or `fold` says no.
    """
    return frame if folding is None else fold(_in_memory(frame), folding)
