"""Which group each row belongs to: the values of a sensitive column, bands of its numbers, and crossings of several."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import combinations, pairwise

import numpy as np
import polars as pl

from assay.data.columns import as_category, as_datetime, as_number
from assay.data.rows import Rows
from assay.data.schema import Column, Kind, Schema
from assay.evaluate.fair.record import Cuts
from assay.evaluate.metrics import Floats, Ints

#: Groups of an attribute at most: of more, most would be too small to say anything.
MOST_GROUPS = 50
#: Bands of a column of numbers, by its quantiles; so many different numbers are groups as they are.
BANDS, FEW_NUMBERS = 4, 8
MISSING = "(missing)"


@dataclass(frozen=True)
class Grouping:
    """Which group each row is in.

    names: of the groups, (G,). codes: positions in `names`, (n,). problem: why there are no groups, or empty.
    """

    columns: tuple[str, ...]
    names: tuple[str, ...]
    codes: Ints
    problem: str = ""
    is_banded: bool = False


def learn_cuts(rows: Rows, schema: Schema) -> tuple[Cuts, ...]:
    """Where the sensitive columns of numbers and dates are cut into bands of about as many of these rows each."""
    found = []
    for name in schema.sensitive:
        column = schema[name]
        if column.kind is Kind.DATETIME or (column.kind is Kind.NUMBER and column.distinct > FEW_NUMBERS):
            edges = _edges(_numbers(rows.column(name), column))
            found.append(Cuts(column=name, edges=edges, is_date=column.kind is Kind.DATETIME))
    return tuple(found)


def _numbers(cells: pl.Series, column: Column) -> Floats:
    read = as_datetime if column.kind is Kind.DATETIME else as_number
    return np.asarray(read(cells, column.format), np.float64)


def _edges(values: Floats) -> tuple[float, ...]:
    """Inner quantiles that leave no band empty."""
    known = np.sort(values[np.isfinite(values)])
    if not len(known) or known[0] == known[-1]:
        return ()
    inner = np.quantile(known, np.arange(1, BANDS) / BANDS, method="inverted_cdf")
    edges = np.unique(inner[inner < known[-1]])
    return tuple(map(float, edges)) if len(edges) else (float(known[known < known[-1]][-1]),)


def groupings(
    column: Callable[[str], pl.Series], schema: Schema, cuts: Sequence[Cuts], absent: Sequence[str] = ()
) -> tuple[Grouping, ...]:
    """A grouping by each sensitive column, then by each two of them, then by all where there are more than two.

    Args:
        column: gives the cells of a column, for the rows that are judged.
        schema: names the sensitive columns.
        cuts: of those that are cut into bands.
        absent: columns that these rows do not have.
    """
    bands = {cut.column: cut for cut in cuts}
    single = []
    for name in dict.fromkeys(schema.sensitive):
        if name in absent:
            single.append(_without((name,), "these rows do not have the column"))
        else:
            single.append(_by_column(column(name), schema[name], bands.get(name)))
    usable = [grouping for grouping in single if len(grouping.names) > 1]
    crossings = list(combinations(usable, 2))
    crossed = [_crossed(pair) for pair in crossings]
    return (*single, *crossed, *([_crossed(usable)] if len(usable) > 2 else []))


def finest(found: Sequence[Grouping]) -> Grouping:
    """Of `groupings` the crossing of all columns that have groups; where none has, the last, with what it lacks."""
    usable = [grouping for grouping in found if len(grouping.names) > 1]
    return usable[-1] if usable else found[-1]


def _without(columns: tuple[str, ...], problem: str) -> Grouping:
    return Grouping(columns, (), np.empty(0, np.int64), problem)


def _by_column(cells: pl.Series, column: Column, cut: Cuts | None) -> Grouping:
    if column.kind in (Kind.IMAGE, Kind.SEQUENCE):
        return _without((column.name,), f"it holds cells of kind {column.kind.value}, which name no groups")
    if cut is not None:
        return _banded(_numbers(cells, column), cut)
    words = as_category(cells)
    counts = words.drop_nulls().value_counts(sort=True)
    names = sorted(counts[words.name].to_list(), key=_natural)
    if len(names) > MOST_GROUPS:
        problem = (
            f"it has {len(names)} values, and groups of more than {MOST_GROUPS} are too small to compare: bring a "
            f"coarser column, or have numbers cut into bands with --as {column.name}=number"
        )
        return _without((column.name,), problem)
    place = {name: at for at, name in enumerate(names)}
    codes = np.array([place.get(cell, len(names)) for cell in words.to_list()], np.int64)
    return _grouping((column.name,), names, codes)


def _natural(name: str) -> tuple[bool, float, str]:
    """Numbers by their size, then words."""
    is_number = name.removeprefix("-").replace(".", "", 1).isdecimal()
    return (not is_number, float(name) if is_number else 0.0, name)


def _banded(values: Floats, cut: Cuts) -> Grouping:
    edges = [_shown(edge, cut.is_date) for edge in cut.edges]
    names = [f"up to {edges[0]}"] if edges else ["any"]
    names += [f"{low} to {high}" for low, high in pairwise(edges)]
    names = [names[0], *(f"above {name}" for name in names[1:]), *([f"above {edges[-1]}"] if edges else [])]
    codes = np.searchsorted(np.array(cut.edges), values, side="left").astype(np.int64)
    codes[~np.isfinite(values)] = len(names)
    found = _grouping((cut.column,), names, codes)
    return Grouping(found.columns, found.names, found.codes, found.problem, is_banded=True)


def _shown(edge: float, is_date: bool) -> str:
    return datetime.fromtimestamp(edge, UTC).date().isoformat() if is_date else f"{edge:.6g}"


def _grouping(columns: tuple[str, ...], names: Sequence[str], codes: Ints) -> Grouping:
    """The grouping with the groups that have rows; codes of `len(names)` are missing cells."""
    kept, places = np.unique(codes, return_inverse=True)
    shown = [*names, MISSING]
    found = tuple(shown[code] for code in kept)
    if len(found) < 2:
        came = f"all of these rows have {found[0]!r}" if found else "there are no rows"
        return Grouping(columns, found, places.reshape(-1), f"it has one value, and one group has no gap: {came}")
    return Grouping(columns, found, places.reshape(-1))


def _crossed(parts: Sequence[Grouping]) -> Grouping:
    columns = tuple(name for part in parts for name in part.columns)
    codes = np.zeros(len(parts[0].codes), np.int64)
    for part in parts:
        codes = codes * len(part.names) + part.codes
    kept, places = np.unique(codes, return_inverse=True)
    if len(kept) > MOST_GROUPS:
        return _without(columns, f"crossed they make {len(kept)} groups, more than {MOST_GROUPS}")
    names = tuple(_name_of(int(code), parts) for code in kept)
    return Grouping(columns, names, places.reshape(-1), is_banded=any(part.is_banded for part in parts))


def _name_of(code: int, parts: Sequence[Grouping]) -> str:
    words = []
    for part in reversed(parts):
        code, place = divmod(code, len(part.names))
        words.append(part.names[place])
    return ", ".join(reversed(words))
