"""Arrays in memory as a source of rows: `X` and `y`, of NumPy or torch, as data scientists hold them.

What they are is settled here, before anything is made; what they hold is read where files of the same are read:
pictures in `data/picture_sources/held.py`, tables and series below.

Shape legend: n rows, C channels, T steps, L labels.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import polars as pl

from assay.data.pictures.arrays import LABEL
from assay.data.reading.frames import array_of, from_cells, from_object, hash_of_cells, is_array, tidy
from assay.data.reading.read import Source, Table
from assay.data.schema import Kind, Schema
from assay.data.steps import SERIES as STEPS
from assay.errors import DataError

#: What the target of a table is called that came without a name, and the column of its series.
TARGET, SERIES = "y", "x"
#: What pandas and Polars call columns and tables, either of which may hold targets.
_FRAMES = ("Series", "DataFrame")
#: Dtypes of targets: booleans, numbers, and words.
_TARGETS = "biufU"


@dataclass(frozen=True, eq=False)
class Arrays:
    """Rows and their targets, as they were given.

    X: pictures (n, ...) of three or four axes, series (n, T) or (n, C, T), a table (n, columns) or a frame.
    y: (n,), or (n, L) of 0 and 1.
    names: of the columns of targets.
    part: `test` or `valid`, for errors; empty for the rows to learn from.
    """

    X: Any
    y: np.ndarray
    names: tuple[str, ...]
    is_series: bool = False
    part: str = ""

    @property
    def has_pictures(self) -> bool:
        """Whether rows are pictures: these have two axes or three each."""
        return not self.is_series and isinstance(self.X, np.ndarray) and self.X.ndim > 2

    @property
    def target(self) -> str | tuple[str, ...]:
        """The name of the target, or of each label."""
        return self.names if len(self.names) > 1 else self.names[0]

    @property
    def name(self) -> str:
        """What the arrays are called in records."""
        return f"arrays ({self.part})" if self.part else "arrays"

    def called(self, letter: str) -> str:
        """What X or y is called in errors."""
        return f"{letter} of {self.part}" if self.part else letter


@dataclass(frozen=True)
class Given:
    """Sources and what is said of their columns, with arrays recognised."""

    data: Any
    target: str | tuple[str, ...] | None
    test: Any = None
    valid: Any = None
    kinds: dict[str, Kind] | None = None


def as_given(
    data: Any,  # noqa: ANN401  # whatever read() takes, or X
    target: Any,  # noqa: ANN401  # a name, several, or y
    *,
    test: Any = None,  # noqa: ANN401
    valid: Any = None,  # noqa: ANN401
    kinds: Mapping[str, Kind] | None = None,
) -> Given:
    """The sources, where `data` and `target` are X and y, or a source is a pair (X, y), as `Arrays`.

    A list counts as y beside an array of as many rows; else it holds names of columns. `kinds={"x": "sequence"}` says
    that the rows of X are series.

    Raises:
        DataError: arrays do not belong together, or hold nothing to learn from.
    """
    said = dict(kinds or {})
    if isinstance(data, tuple) and len(data) == 2 and not _are_targets(data, target):
        data, y, name = data[0], data[1], target
    elif _are_targets(data, target):
        y, name = target, None
    else:
        named = target if target is None or isinstance(target, str) else tuple(target)
        _refuse_pairs(test, valid)
        if target is None and is_array(data) and data.ndim > 2:
            raise DataError("an array must come with its targets", "there is X alone", "Give y, too: assay.fit(X, y).")
        return Given(data, named, test, valid, said or None)
    is_series = is_array(data) and said.get(SERIES) == Kind.SEQUENCE
    if is_series:
        del said[SERIES]
    main = arrays_of(data, y, name=name, is_series=is_series)
    others = {part: _beside(source, main, part) for part, source in (("test", test), ("valid", valid))}
    return Given(main, main.target, others["test"], others["valid"], said or None)


def _are_targets(data: object, target: object) -> bool:
    """Whether `target` holds the targets themselves, and not the names of their columns."""
    if is_array(target) or type(target).__name__ in _FRAMES:
        return True
    is_list = isinstance(target, list | tuple) and len(target) > 0
    return is_list and is_array(data) and len(target) == len(data)  # type: ignore[arg-type]


def _refuse_pairs(*sources: object) -> None:
    if any(isinstance(source, tuple) for source in sources):
        raise DataError(
            "test and valid rows come as data does", "a pair of arrays is given beside another kind of data",
            "Give X and y for all of them, or tables for all of them.",
        )  # fmt: skip


def _beside(source: Any, main: Arrays, part: str) -> Any:  # noqa: ANN401
    """A source of other rows, whose targets are called as those of the rows to learn from; a path or frame as it is."""
    if isinstance(source, tuple) and len(source) == 2:
        return arrays_of(*source, name=main.names, is_series=main.is_series, part=part)
    if is_array(source):
        raise DataError(
            f"{part} rows must come with their targets", "there is an array alone", f"Give a pair: {part}=(X, y)."
        )
    return source


def as_in_training(source: Any, schema: Schema) -> Any:  # noqa: ANN401
    """A pair (X, y) with its targets called as in the training table; another source as it is.

    Raises:
        DataError: see `arrays_of`.
    """
    if not (isinstance(source, tuple) and len(source) == 2):
        return source
    labelling = schema.labelling
    names = labelling.columns if labelling is not None and labelling.form == "columns" else (schema.target,)
    is_series = bool(schema.features) and all(column.kind is Kind.SEQUENCE for column in schema.features)
    return arrays_of(*source, name=names, is_series=is_series)


def arrays_of(
    X: Any,  # noqa: ANN401
    y: Any,  # noqa: ANN401
    *,
    name: str | Sequence[str] | None = None,
    is_series: bool = False,
    part: str = "",
) -> Arrays:
    """X and y, checked to belong together.

    Args:
        X: an array of NumPy or torch, or a frame.
        y: an array of NumPy or torch, a column or a frame of pandas or Polars, or a list.
        name: of the target, or of each label.
        is_series: whether the rows of X are series.
        part: of rows that stand beside those to learn from.

    Raises:
        DataError: they differ in length, are empty, or are of a shape or type that is not read.
    """
    x_name, y_name = (f"{each} of {part}" if part else each for each in ("X", "y"))
    if isinstance(X, str | os.PathLike) or X is None:
        raise DataError(f"{x_name} must be an array or a frame", f"it is {X!r}", "A path has its targets in it.")
    rows = _rows_of(X, x_name, is_series=is_series)
    targets = _targets_of(y, y_name)
    count = len(rows)
    if len(targets) != count:
        raise DataError(
            f"{x_name} and {y_name} must have as many rows",
            f"{x_name} has {count:,} and {y_name} has {len(targets):,}", "Give a target for each row.",
        )  # fmt: skip
    if not count:
        raise DataError(f"{x_name} must hold rows", "it holds none", "Check how it was made.")
    made = Arrays(rows, targets, (), is_series, part)
    if name is None:
        named = (LABEL,) if made.has_pictures else _names_of(y)
    else:
        named = (name,) if isinstance(name, str) else tuple(name)
    if made.has_pictures:
        return replace(made, names=named)
    labels = targets.shape[1] if targets.ndim == 2 else 1
    if len(named) == 1 and labels > 1:
        named = tuple(f"{named[0]}{place}" for place in range(labels))
    if len(named) != labels:
        raise DataError(
            f"{y_name} must have as many columns as there are targets", f"it has {labels}, and they are {named}",
            "Give the labels that the model learned from.",
        )  # fmt: skip
    return replace(made, names=named)


def _names_of(y: Any) -> tuple[str, ...]:  # noqa: ANN401
    """The names that targets have of their own, else `y`."""
    if type(y).__name__ == "DataFrame":
        return tuple(map(str, y.columns))
    own = getattr(y, "name", None)
    return (own,) if isinstance(own, str) and own else (TARGET,)


def _rows_of(X: Any, name: str, *, is_series: bool) -> Any:  # noqa: ANN401  # an array or a Polars frame
    if not is_array(X):
        return from_object(X, [])[0]
    rows = array_of(X, name)
    axes = (2, 3) if is_series else (2, 3, 4)
    if rows.ndim not in axes:
        do = "Pictures of different sizes come as a folder, or as a column of a table that holds their bytes."
        what = "series (n, steps) or (n, channels, steps)" if is_series else (
            "pictures (n, height, width), with channels at the end or behind n, or a table (n, columns)"
        )  # fmt: skip
        raise DataError(f"{name} must be an array of {what}", f"it has the shape {rows.shape}", do)
    if rows.dtype == object and (rows.ndim > 2 or is_series):
        raise DataError(f"{name} must hold numbers", "it holds objects", "Stack the rows: numpy.stack(X).")
    if not rows.size:
        raise DataError(f"{name} must hold rows", f"it is empty: its shape is {rows.shape}", "Check how it was made.")
    return rows


def _targets_of(y: Any, name: str) -> np.ndarray:  # noqa: ANN401
    """The targets as booleans, numbers or words: (n,), or (n, L) of 0 and 1."""
    if y is None:
        raise DataError(f"{name} must hold the targets", "it is None", "Give a class or a value for each row.")
    targets = array_of(y.to_numpy() if type(y).__name__ in _FRAMES else y, name)
    if targets.ndim == 2 and targets.shape[1] == 1:
        targets = targets[:, 0]
    if targets.dtype.kind in "OTS":
        targets = _of_words(targets, name)
    if targets.dtype.kind not in _TARGETS:
        raise DataError(f"{name} must hold numbers or words", f"it holds {targets.dtype}", "Convert it.")
    several = targets.ndim == 2 and targets.dtype.kind != "U" and bool(np.isin(targets, (0, 1)).all())
    if targets.ndim != 1 and not several:
        raise DataError(
            f"{name} must have the shape (rows,), or (rows, labels) of 0 and 1 where a row has several labels",
            f"it has {targets.shape}" + (" and holds other values" if targets.ndim == 2 else ""),
            "Give one target a row: y.argmax(1) makes it of scores.",
        )
    return targets


def _of_words(targets: np.ndarray, name: str) -> np.ndarray:
    """Objects that are all words, or all numbers, as an array of these."""
    cells = [cell.decode("utf-8", "replace") if isinstance(cell, bytes) else cell for cell in targets.ravel().tolist()]
    odd = [row for row, cell in enumerate(cells, 1) if not isinstance(cell, str | bool | int | float)]
    kinds = {str if isinstance(cell, str) else float for cell in cells}
    if odd or len(kinds) > 1:
        came = f"row {odd[0]} holds {cells[odd[0] - 1]!r}" if odd else "it holds both"
        raise DataError(f"{name} must hold numbers or words", came, "Make all of one type, and leave out other rows.")
    return np.array(cells).reshape(targets.shape) if cells else np.empty(targets.shape)


# Tables and series ----------------------------------------------------------------------------------------------------


def read_rows(given: Arrays) -> Table:
    """The table of arrays that are no pictures: columns of X, or a channel of series each, beside the targets.

    Raises:
        DataError: a column of X has the name of the target.
    """
    notes: list[str] = []
    X = given.X
    frame = series_rows(X, channels_of(X)) if given.is_series else from_object(X, notes)[0]
    taken = [name for name in given.names if name in frame.columns]
    if taken:
        raise DataError(
            "the target must be given once", f"{taken[0]!r} is a column of X and the name of y",
            "Leave y out and name the column, or leave the column out of X.",
        )  # fmt: skip
    columns = given.y.T if given.y.ndim == 2 else [given.y]
    targets = [
        pl.Series(name, np.ascontiguousarray(cells)) if cells.dtype.kind != "f" else from_cells(name, cells.tolist())
        for name, cells in zip(given.names, columns, strict=True)
    ]
    frame = tidy(frame.hstack(targets), notes)
    record = Source(
        name=given.name, format="arrays", rows=frame.height, columns=frame.width, sha256=hash_of_cells(frame),
        notes=tuple(notes),
    )  # fmt: skip
    return Table(frame, record)


def channels_of(series: np.ndarray) -> tuple[str, ...]:
    """Names of the columns of series (n, T) or (n, C, T): `x`, or `x0`, `x1`, ..."""
    return (SERIES,) if series.ndim == 2 else tuple(f"{SERIES}{place}" for place in range(series.shape[1]))


def series_rows(series: np.ndarray, names: Sequence[str]) -> pl.DataFrame:
    """Series (n, T) or (n, C, T) as a table with a column for each channel.

    Raises:
        DataError: there are not as many channels as names.
    """
    channels = series[:, None, :] if series.ndim == 2 else series
    if channels.ndim != 3 or channels.shape[1] != len(names):
        raise DataError(
            f"series must have the shape (rows, {len(names)}, steps)" + (" or (rows, steps)" * (len(names) == 1)),
            f"they have {series.shape}", "Give the channels that the model learned from.",
        )  # fmt: skip
    cells = np.asarray(channels, np.float64)
    return pl.DataFrame(
        [pl.Series(name, np.ascontiguousarray(cells[:, place])).cast(STEPS) for place, name in enumerate(names)]
    )
