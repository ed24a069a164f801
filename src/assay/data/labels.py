"""Cells that hold several labels: a list, words with a separator between them, or a column of 0 and 1 for each label.

How they are written is found once, on the training table, and travels with the schema. Lists come as JSON (see
`frames.tidy`), columns of 0 and 1 are made into lists, and a cell is read one way ever after: the set of its labels.
"""

from __future__ import annotations

import ast
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
import polars as pl

from assay.data.columns import MISSING_SPELLINGS, as_boolean, as_category
from assay.data.steps import is_series
from assay.data.stored import Frame, Stored, cells_at
from assay.errors import DataError
from assay.records import Record

#: Separators that are looked for, in this order; only the first is one without being asked for.
SEPARATORS: Final = ("|", ";", ",")
#: Rows that a label needs to be learned: one for each part.
FEWEST_ROWS: Final = 3
#: Cells that are looked at to tell whether they hold several labels, and those that must.
_LOOKED_AT: Final = 20_000
_FEWEST_CELLS: Final = 2
#: Share of the labels beside others that must stand in another cell, too.
_RECURRING: Final = 0.5

Form = Literal["lists", "joined", "columns"]


class Labelling(Record):
    """How the labels of a row are written.

    form: `lists`: a list in each cell; `joined`: words with `separator` between them; `columns`: a column of 0 and 1
    for each label. `separator` also joins the labels of an answer where lists cannot be written. `empty` tells that an
    empty cell of joined words is a row without a label and not a missing target, as in delimited files, which cannot
    tell the two apart.
    `left_out` are labels of too few rows to be learned, with their rows.
    """

    form: Form
    separator: str = SEPARATORS[0]
    columns: tuple[str, ...] = ()
    empty: bool = False
    left_out: dict[str, int] = {}


@dataclass(frozen=True)
class LabelCells:
    """A column's cells, each different one read once.

    sets: the labels of each different cell, None where the target is missing; a label stands once in a cell.
    place: which of them a row has, int64 (n,).
    repeats: rows that name a label twice.
    """

    sets: tuple[tuple[str, ...] | None, ...]
    place: np.ndarray
    repeats: int

    @property
    def missing(self) -> np.ndarray:
        """Rows without a target, bool (n,)."""
        return np.asarray(np.array([labels is None for labels in self.sets], bool)[self.place])

    def counts(self) -> Counter[str]:
        """Rows of each label."""
        rows = np.bincount(self.place, minlength=len(self.sets))
        counted = Counter[str]()
        for labels, count in zip(self.sets, rows.tolist(), strict=True):
            for label in labels or ():
                counted[label] += count
        return counted

    def matrix(self, classes: Sequence[str]) -> np.ndarray:
        """Whether a row has each label: int8 (n, labels) of 0 and 1, -1 throughout where the target is missing."""
        column = {label: at for at, label in enumerate(classes)}
        distinct = np.zeros((len(self.sets), len(classes)), np.int8)
        for at, labels in enumerate(self.sets):
            if labels is None:
                distinct[at] = -1
                continue
            distinct[at, [column[label] for label in labels if label in column]] = 1
        return np.asarray(distinct[self.place])

    def strangers(self, known: Sequence[str]) -> dict[str, np.ndarray]:
        """Labels that are not known, each with the positions of its rows."""
        expected = set(known)
        places: dict[str, list[int]] = {}
        for at, labels in enumerate(self.sets):
            for label in labels or ():
                if label not in expected:
                    places.setdefault(label, []).append(at)
        return {label: np.flatnonzero(np.isin(self.place, at)) for label, at in sorted(places.items())}


def label_cells(series: pl.Series, labelling: Labelling) -> LabelCells:
    """The labels of every cell of a column.

    Raises:
        DataError: a cell is no list where all are to be.
    """
    cells = _as_words(series)
    distinct = cells.unique(maintain_order=True)
    places = pl.Series(range(len(distinct)), dtype=pl.Int64)
    place = cells.replace_strict(distinct, places, return_dtype=pl.Int64).to_numpy()
    read = _read_lists if labelling.form != "joined" else _read_joined
    found = [read(cell, labelling, series.name) for cell in distinct.to_list()]
    sets = tuple(None if labels is None else tuple(dict.fromkeys(labels)) for labels in found)
    doubled = [labels is not None and len(labels) > len(own or ()) for labels, own in zip(found, sets, strict=True)]
    return LabelCells(sets, place, int(np.array(doubled, bool)[place].sum()) if len(place) else 0)


def _as_words(series: pl.Series) -> pl.Series:
    """Cells as strings, lists as JSON; a missing one is marked, for nulls are no keys."""
    if is_series(series.dtype):
        cells = [None if cell is None else json.dumps(cell.to_list()) for cell in series]
        series = pl.Series(series.name, cells, dtype=pl.String)
    elif series.dtype != pl.String:
        series = as_category(series)
    return series.fill_null(_NULL)


#: Stands for a missing cell among the different ones; no file has it.
_NULL: Final = "\0missing"


def _read_joined(cell: str, labelling: Labelling, _: str) -> list[str] | None:
    bare = cell.strip()
    if cell == _NULL or not bare:
        return [] if not bare or labelling.empty else None
    if bare.lower() in MISSING_SPELLINGS:
        return None
    return [label for part in cell.split(labelling.separator) if (label := part.strip())]


def _read_lists(cell: str, _: Labelling, name: str) -> list[str] | None:
    bare = cell.strip()
    if cell == _NULL or bare.lower() in MISSING_SPELLINGS:
        return None
    parts = _parsed(bare)
    if parts is None:
        raise DataError(
            f"every cell of the target {name!r} must be a list of labels, as most are",
            f"{bare[:60]!r} is none",
            'Write it as ["one", "two"], and [] for no label.',
        )
    return [label for part in parts if part is not None and (label := _spelled(part))]


def _parsed(cell: str) -> list[object] | None:
    """The list that a cell spells, as JSON or as Python writes it (which is how pandas puts lists into a CSV)."""
    if not (cell.startswith("[") and cell.endswith("]")):
        return None
    try:
        found = json.loads(cell)
    except ValueError:
        try:
            found = ast.literal_eval(cell)
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            return None
    return found if isinstance(found, list) and not any(isinstance(part, list | dict) for part in found) else None


def _spelled(part: object) -> str:
    """A label of a list as a word: 2.0 is the label 2, for lists of whole numbers are read as steps of a series."""
    if isinstance(part, bool):
        return "true" if part else "false"
    if isinstance(part, float) and part.is_integer():
        return str(int(part))
    return str(part).strip()


# How the labels are written -------------------------------------------------------------------------------------------


def looks_labelled(frame: Frame, name: str, separator: str | None = None) -> Form | None:
    """Whether cells hold several labels beyond doubt: lists of words, or words with `|` between them that recur.

    Words are joined where at least two different cells have several, cells differ in how many they have, and at least
    half of the labels that stand beside others stand in another cell, too: a name such as `left|right` that comes as a
    whole each time is a class, and so is one of parts that all have, such as `red|large`.

    Args:
        frame: the training table.
        name: the column of the target.
        separator: the one to look for; `|` by default.
    """
    cells = cells_at(frame, name, np.arange(min(frame.height, _LOOKED_AT)))
    if cells.dtype != pl.String:
        return None
    distinct = [cell for cell in cells.drop_nulls().unique(maintain_order=True).to_list() if cell.strip()]
    lists = [_parsed(cell.strip()) for cell in distinct]
    words = [part for parts in lists for part in parts or ()]
    if distinct and all(parts is not None for parts in lists) and any(isinstance(part, str) for part in words):
        return "lists"
    joined = Labelling(form="joined", separator=separator or SEPARATORS[0])
    sets = [set(_read_joined(cell, joined, name) or ()) for cell in distinct]
    several = [labels for labels in sets if len(labels) > 1]
    if len(several) < _FEWEST_CELLS or len({len(labels) for labels in sets}) == 1:
        return None
    stands = Counter(label for labels in sets for label in labels)
    beside = set.union(*several)
    recurring = sum(stands[label] > 1 for label in beside)
    return "joined" if recurring >= _RECURRING * len(beside) else None


def separator_in(frame: Frame, name: str) -> str:
    """The first of the usual separators that a cell has; `|` where none has one."""
    cells = cells_at(frame, name, np.arange(min(frame.height, _LOOKED_AT)))
    words = as_category(cells).drop_nulls()
    return next((mark for mark in SEPARATORS if words.str.contains(mark, literal=True).any()), SEPARATORS[0])


def joined_columns(frame: Frame, labelling: Labelling, target: str) -> pl.DataFrame:
    """The table with one column of lists, called `target`, in the place of the columns of 0 and 1.

    A row that lacks one of them lacks its target.

    Raises:
        DataError: a column is missing or holds something else, or the table lies in files.
    """
    if isinstance(frame, Stored):
        raise DataError(
            "a table whose labels are columns must fit into memory",
            "it lies in files",
            "Allow more with data.memory, or write the labels of a row into one column, as in drama|comedy.",
        )
    names = list(labelling.columns)
    if lost := [name for name in names if name not in frame.columns]:
        raise DataError(
            "every column of labels must be in the table", f"{lost[0]!r} is not", "Name the columns as in training."
        )
    values = np.stack([_zero_or_one(frame[name]) for name in names], axis=1)
    known = ~np.isnan(values).any(axis=1)
    cells = [
        json.dumps([name for name, value in zip(names, row, strict=True) if value]) if there else None
        for row, there in zip(values.tolist(), known.tolist(), strict=True)
    ]
    return frame.drop(names).with_columns(pl.Series(target, cells, dtype=pl.String))


def _zero_or_one(series: pl.Series) -> np.ndarray:
    """A column of labels as 0.0, 1.0 and NaN where a cell is missing."""
    values = as_boolean(series)
    words = as_category(series)
    wrong = np.flatnonzero(np.isnan(values) & words.is_not_null().to_numpy())
    if len(wrong):
        raise DataError(
            "several target columns must each hold 0 and 1, whether a row has the label",
            f"{series.name!r} holds {words[int(wrong[0])]!r} in row {int(wrong[0]) + 1}",
            "Name one target, or write 0 and 1 (or no and yes) into each of these columns.",
        )
    return values
