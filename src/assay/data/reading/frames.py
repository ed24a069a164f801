"""Data frames and arrays of other libraries to Polars, and every frame to the few types that assay works on."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import polars as pl

from assay._imports import require
from assay.data.pictures.cells import as_bytes, look_like_pictures
from assay.data.reading.delimited import check_unique
from assay.data.steps import SERIES, is_series
from assay.errors import DataError

_HASHED_ROWS = 100_000
#: Up to this many rows plain Python values are quicker than a way through Arrow.
_SHORT = 64
#: The types that `tidy` leaves as they are.
_PLAIN = frozenset(
    {pl.Boolean, pl.Int8, pl.Int16, pl.Int32, pl.Int64, pl.UInt8, pl.UInt16, pl.UInt32, pl.Float32, pl.Float64}
    | {pl.Date, pl.Datetime, pl.String}
)
#: pandas types whose cells are plain Python values, and their Polars types.
_PANDAS = {"bool": pl.Boolean, "float32": pl.Float32, "float64": pl.Float64, "str": pl.String} | {
    str(dtype).lower(): dtype
    for dtype in (pl.Int8, pl.Int16, pl.Int32, pl.Int64, pl.UInt8, pl.UInt16, pl.UInt32, pl.UInt64)
}


def from_object(source: object, notes: list[str]) -> tuple[pl.DataFrame, str]:
    """The frame that an object holds, and what kind of object it was.

    Takes frames of Polars, pandas and pyarrow, a dict of columns, a list of dicts, arrays of NumPy and torch of two
    dimensions (columns x0, x1, ...), and NumPy arrays with named fields.

    Raises:
        DataError: the object is none of these, or its columns differ in length.
    """
    if isinstance(source, pl.LazyFrame):
        return _collect(source), "polars"
    if isinstance(source, pl.DataFrame):
        return source, "polars"
    package = type(source).__module__.partition(".")[0]
    if package == "pandas" and type(source).__name__ == "DataFrame":
        return _from_pandas(source, notes), "pandas"
    if package == "pyarrow" and type(source).__name__ in {"Table", "RecordBatch"}:
        return _from_arrow(source), "arrow"
    if is_array(source):
        return _from_array(array_of(source, "the array")), "torch" if package == "torch" else "numpy"
    if isinstance(source, Mapping):
        return from_columns({str(name): _cells_of(str(name), cells) for name, cells in source.items()}), "dict"
    if isinstance(source, list) and source and all(isinstance(row, Mapping) for row in source):
        return from_records(source), "records"
    raise DataError(
        "a table must be a path, a Polars, pandas or Arrow frame, a dict of columns, a list of dicts or a 2-D array",
        f"it is of type {type(source).__name__}",
        "Give one of these.",
    )


def _cells_of(name: str, cells: Any) -> list[object]:  # noqa: ANN401
    """The cells of a column of a dict; rows of an array are lists of numbers."""
    if not is_array(cells):
        return list(cells)
    array = array_of(cells, name)
    if array.ndim > 2:
        raise DataError(
            f"the column {name!r} must have one number or one list of numbers a row", f"its shape is {array.shape}",
            "Give arrays of pictures with their targets as a pair, (X, y); beside other columns, the bytes of each.",
        )  # fmt: skip
    return list(array)


def _collect(frame: pl.LazyFrame) -> pl.DataFrame:
    try:
        return frame.collect()
    except (pl.exceptions.PolarsError, OSError) as error:
        raise DataError(
            "the lazy frame must be computable", f"Polars says: {error}", "Check the query it stands for."
        ) from None


def _from_pandas(source: Any, notes: list[str]) -> pl.DataFrame:  # noqa: ANN401  # pandas is not imported here
    """A pandas frame, column by column; its index is taken along where it has a name."""
    if any(name is not None for name in source.index.names):
        notes.append(
            f"the named index {', '.join(repr(str(n)) for n in source.index.names if n is not None)} is a column"
        )
        source = source.reset_index()
    names = [str(name) for name in source.columns.tolist()]
    check_unique(names, "the pandas frame")
    require("pyarrow", "taking a pandas frame")
    short = _from_short_pandas(source, names) if len(source) <= _SHORT else None
    if short is not None:
        return short
    return pl.DataFrame([_pandas_column(name, column) for name, (_, column) in zip(names, source.items(), strict=True)])


def _from_short_pandas(source: Any, names: list[str]) -> pl.DataFrame | None:  # noqa: ANN401
    """A frame of few rows, row by row, because pandas takes long to cut out a column; None where a type is not plain.

    An object column is plain where it holds strings alone.
    """
    kinds = [dtype.name for dtype in source.dtypes.tolist()]
    if not all(kind == "object" or kind in _PANDAS for kind in kinds):
        return None
    cells = source.to_numpy(dtype=object).tolist()
    rows = [[None if isinstance(cell, float) and cell != cell else cell for cell in row] for row in cells]
    types = [_PANDAS.get(kind, pl.String) for kind in kinds]
    for at in (at for at, kind in enumerate(kinds) if kind == "object"):
        present = [row[at] for row in rows if row[at] is not None]
        if not all(type(cell) is str for cell in present):
            return None
        types[at] = pl.String if present else pl.Null
    return pl.DataFrame(rows, schema=dict(zip(names, types, strict=True)), orient="row")


def _pandas_column(name: str, column: Any) -> pl.Series:  # noqa: ANN401
    """One pandas column; missing cells are null."""
    kind = column.dtype.name
    if kind == "object":
        missing = column.isna().tolist()
        return from_cells(name, [None if gone else cell for cell, gone in zip(column.tolist(), missing, strict=True)])
    if kind == "category":
        return from_cells(name, [None if cell != cell else cell for cell in column.astype(object).tolist()])
    if kind in _PANDAS and kind != "str":
        return pl.Series(name, column.to_numpy(), nan_to_null=True)
    return pl.Series(name, pl.from_pandas(column.reset_index(drop=True), nan_to_null=True))


def _from_arrow(source: Any) -> pl.DataFrame:  # noqa: ANN401  # pyarrow is not imported here
    check_unique([str(name) for name in source.schema.names], "the Arrow table")
    frame = pl.from_arrow(source)
    assert isinstance(frame, pl.DataFrame)
    return frame


def is_array(source: object) -> bool:
    """Whether it is an array of NumPy or a tensor of torch."""
    package = type(source).__module__.partition(".")[0]
    return isinstance(source, np.ndarray) or (package == "torch" and hasattr(source, "detach"))


def array_of(source: Any, name: str) -> np.ndarray:  # noqa: ANN401  # torch is not imported here
    """An array of NumPy, a tensor of torch on whatever device, or a list of numbers or words as an array of NumPy.

    Raises:
        DataError: it cannot be one; `name` is what it is called.
    """
    if isinstance(source, np.ma.MaskedArray):
        raise DataError(f"{name} must be a plain array", "it is masked", "Fill it: X.filled(numpy.nan).")
    try:
        if type(source).__module__.partition(".")[0] == "torch":
            source = source.detach().cpu()
            source = source.float() if "bfloat16" in str(source.dtype) else source
            return np.asarray(source.numpy())
        return np.asarray(source)
    except (TypeError, ValueError, RuntimeError, NotImplementedError) as error:
        raise DataError(
            f"{name} must be an array of numbers", f"it cannot be made one ({str(error).splitlines()[0]})",
            "Give an array of NumPy, or a dense tensor of torch.",
        ) from None  # fmt: skip


def _from_array(source: np.ndarray) -> pl.DataFrame:
    if source.dtype.names:
        return _frame([_from_vector(name, source[name]) for name in source.dtype.names])
    if source.ndim != 2:
        raise DataError(
            "an array must have two dimensions, rows and columns",
            f"it has the shape {source.shape}",
            "Reshape it, for one column with array.reshape(-1, 1). Pictures come with their labels: (X, y).",
        )
    return _frame([_from_vector(f"x{at}", source[:, at]) for at in range(source.shape[1])])


def _from_vector(name: str, vector: np.ndarray) -> pl.Series:
    if (vector.dtype.kind in "biufUM" and vector.dtype.itemsize <= 8) or vector.dtype.kind == "U":
        return pl.Series(name, np.ascontiguousarray(vector))
    return from_cells(name, vector.tolist())


def from_records(rows: Iterable[Mapping[str, object]]) -> pl.DataFrame:
    """The frame of rows given as dicts; a key that a row lacks is a missing cell."""
    table = list(rows)
    names = dict.fromkeys(name for row in table for name in row)
    return from_columns({str(name): [row.get(name) for row in table] for name in names})


def from_columns(columns: Mapping[str, list[object]]) -> pl.DataFrame:
    """The frame of columns given as lists.

    Raises:
        DataError: the columns differ in length.
    """
    lengths = {name: len(cells) for name, cells in columns.items()}
    if len(set(lengths.values())) > 1:
        (one, first), (other, second) = next(
            (pair, item) for pair in lengths.items() for item in lengths.items() if pair[1] != item[1]
        )
        raise DataError(
            "all columns must have the same number of cells",
            f"{one!r} has {first} and {other!r} has {second}",
            "Give columns of one length.",
        )
    return _frame([from_cells(name, cells) for name, cells in columns.items()])


def from_cells(name: str, cells: list[object]) -> pl.Series:
    """A column of Python values; values of different types become numbers where all are, else strings."""
    cells = [None if cell is None or (isinstance(cell, float) and cell != cell) else cell for cell in cells]
    if any(isinstance(cell, bytearray | memoryview) for cell in cells):
        cells = [bytes(cell) if isinstance(cell, bytearray | memoryview) else cell for cell in cells]
    if (lists := _lists_of_numbers(cells)) is not None:
        return pl.Series(name, lists, dtype=SERIES)
    cells = [cell.tolist() if isinstance(cell, np.ndarray) else cell for cell in cells]  # Polars fails on both at once
    try:
        return pl.Series(name, cells, strict=True)
    except (TypeError, OverflowError, pl.exceptions.PolarsError):
        pass  # mixed types, which the next lines sort out
    present = [cell for cell in cells if cell is not None]
    if all(isinstance(cell, int | float | np.number) and not isinstance(cell, bool) for cell in present):
        return pl.Series(name, [None if cell is None else float(cell) for cell in cells], dtype=pl.Float64)  # type: ignore[arg-type]
    return pl.Series(name, [None if cell is None else _text(cell) for cell in cells], dtype=pl.String)


def _lists_of_numbers(cells: list[object]) -> list[list[float | None] | None] | None:
    """The cells where all of them are lists of numbers, else None; Polars fails on lists of several types."""
    lists: list[list[float | None] | None] = []
    for cell in cells:
        steps = cell.tolist() if isinstance(cell, np.ndarray) else _listed(cell)
        if steps is not None and not (isinstance(steps, list | tuple) and all(map(_is_step, steps))):
            return None
        lists.append(None if steps is None else [None if step is None else float(step) for step in steps])
    return lists if any(steps is not None for steps in lists) else None


def _is_step(value: object) -> bool:
    return value is None or (isinstance(value, int | float | np.number) and not isinstance(value, bool))


def _text(cell: object) -> str:
    if isinstance(cell, bool | np.bool_):
        return "true" if cell else "false"
    return json.dumps(cell, default=str) if isinstance(cell, dict | list) else str(cell)


def _frame(columns: list[pl.Series]) -> pl.DataFrame:
    check_unique([column.name for column in columns], "the table")
    return pl.DataFrame(columns)


def tidy(frame: pl.DataFrame, notes: list[str], first: int = 1) -> pl.DataFrame:
    """The frame with columns of booleans, integers, floats, dates, datetimes, strings and lists of numbers only.

    Pictures stay bytes (see `data/pictures/cells.py`). Every column has a name; `first` is the number of its first
    column, by which columns without a name are called.
    """
    if all(dtype.base_type() in _PLAIN for dtype in frame.dtypes) and all(name.strip() for name in frame.columns):
        return frame
    columns = []
    for at, series in enumerate(frame.get_columns(), start=first):
        plain = _plain(series, notes)
        if not series.name.strip():
            notes.append(f"column {at} has no name and is called column_{at}")
            plain = plain.alias(f"column_{at}")
        columns.append(plain)
    return _frame(columns)


def _plain(series: pl.Series, notes: list[str]) -> pl.Series:
    dtype = series.dtype
    if dtype in (pl.Categorical, pl.Enum, pl.Null, pl.Time):
        return series.cast(pl.String)
    if dtype.is_decimal():
        return series.cast(pl.Float64)
    if isinstance(dtype, pl.Duration):
        notes.append(f"the durations of column {series.name!r} are taken as seconds")
        return series.dt.total_microseconds().cast(pl.Float64) / 1e6
    if dtype in (pl.Int128, pl.UInt64, pl.UInt128):
        narrow = series.cast(pl.Int64, strict=False)
        return narrow if narrow.null_count() == series.null_count() else series.cast(pl.String)
    if dtype == pl.Float16:
        return series.cast(pl.Float32)
    if is_series(dtype):
        return series.cast(SERIES)
    encoded = as_bytes(series)
    if encoded is not None and look_like_pictures(encoded):
        return encoded
    if dtype.is_nested() or dtype in (pl.Object, pl.Binary):
        notes.append(f"column {series.name!r} holds {str(dtype).lower()} values; they are taken as text")
        cells = [None if cell is None else _text(_listed(cell)) for cell in series.to_list()]
        return pl.Series(series.name, cells, dtype=pl.String)
    return series


def _listed(cell: object) -> object:
    return cell.to_list() if isinstance(cell, pl.Series) else cell


def hash_of_cells(frame: pl.DataFrame) -> str:
    """sha256 of names, types and cells, the same for equal frames whatever their origin."""
    digest = hashlib.sha256()
    for series in frame:
        digest.update(f"{series.name}\0{series.dtype}\0{len(series)}\0{series.null_count()}\0".encode())
        for start in range(0, len(series), _HASHED_ROWS):
            part = series.slice(start, _HASHED_ROWS)
            if part.dtype == SERIES:
                digest.update(bytes_of_lists(part))
            elif part.dtype == pl.String:
                cells = part.to_list()
                digest.update(np.array([-1 if cell is None else len(cell) for cell in cells], dtype=np.int64).tobytes())
                digest.update("".join(cell for cell in cells if cell is not None).encode())
            elif part.dtype == pl.Binary:
                for cell in part:  # one at a time: these are large
                    digest.update(b"-" if cell is None else f"{len(cell)} ".encode() + cell)
            elif part.null_count() == 0:
                digest.update(part.to_physical().to_numpy().tobytes())
            else:
                digest.update(part.is_null().to_numpy().tobytes())
                digest.update(part.drop_nulls().to_physical().to_numpy().tobytes())
    return digest.hexdigest()


def bytes_of_lists(series: pl.Series) -> bytes:
    """Lengths and numbers of a column of lists as bytes, the same for equal columns."""
    lengths = series.list.len().cast(pl.Int64).fill_null(-1)
    steps = series.filter(lengths > 0).explode()
    return b"".join(
        (
            lengths.to_numpy().tobytes(),
            steps.is_null().to_numpy().tobytes(),
            steps.fill_null(0.0).to_numpy().tobytes(),
        )
    )
