"""Rows of one part, read out of a table: their cells, target and weight."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import polars as pl

from assay.data.columns import as_category, as_datetime, as_number
from assay.data.labels import label_cells
from assay.data.pictures.reader import sums_of
from assay.data.reading.frames import bytes_of_lists
from assay.data.reading.read import Table
from assay.data.schema import Kind, Schema
from assay.data.steps import SERIES
from assay.data.stored import Frame, Stored, cells_at, gather
from assay.data.target import target_values
from assay.errors import DataError, nearest

Part = Literal["train", "valid", "test"]
NAMES: dict[Part, str] = {"train": "training", "valid": "validation", "test": "test"}


#: Rows whose cells are taken out of a table at once.
BLOCK_ROWS = 65_536


@dataclass(frozen=True)
class Rows:
    """Some rows of a table: where their cells are found, and their target and weight.

    part: which part they are: `train`, `valid` or `test`; what learns takes training rows only.
    cells: a table with all columns of the schema but the target, in memory or in files; nobody copies it.
    target: class positions (int64) or values (float64), shape (n,); of a forecast (n, horizon), of labels 0 and 1
        (int8), (n, labels).
    weight: row weights (float64), shape (n,), or None.
    positions: 0-based row numbers in the source, int64, shape (n,).
    index: where the rows stand in `cells`, int64, shape (n,); None where they are all of it, in its order.
    """

    part: Part
    cells: Frame
    target: np.ndarray
    weight: np.ndarray | None
    positions: np.ndarray
    index: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.target)

    @property
    def frame(self) -> pl.DataFrame:
        """The cells of all rows, in memory: for parts that are small enough."""
        if self.index is None:
            return self.cells if isinstance(self.cells, pl.DataFrame) else gather(self.cells, slice(0, len(self)))
        return gather(self.cells, self.index)

    def column(self, name: str) -> pl.Series:
        """One column of these rows."""
        return self.cells[name] if self.index is None else cells_at(self.cells, name, self.index)

    def blocks(self, rows: int = BLOCK_ROWS) -> Iterator[pl.DataFrame]:
        """The cells of all rows in their order, so many rows at a time."""
        for start in range(0, len(self), rows):
            stop = min(start + rows, len(self))
            yield gather(self.cells, slice(start, stop) if self.index is None else self.index[start:stop])

    def at(self, places: np.ndarray, part: Part | None = None) -> Rows:
        """The rows at these places among these, as rows of `part`."""
        return Rows(
            part or self.part,
            self.cells,
            self.target[places],
            None if self.weight is None else self.weight[places],
            self.positions[places],
            places if self.index is None else self.index[places],
        )


def sample_of(rows: int, most: int, seed: int = 0) -> np.ndarray | None:
    """Places of `most` of so many rows, ascending, drawn at random; None where there are no more than that."""
    if rows <= most:
        return None
    return np.sort(np.random.default_rng(seed).choice(rows, most, replace=False, shuffle=False))


def given_files(valid: Table | None, test: Table | None) -> dict[Part, Table]:
    """The parts that have a file of their own."""
    files: dict[Part, Table] = {}
    if valid is not None:
        files["valid"] = valid
    if test is not None:
        files["test"] = test
    return files


def complete(table: Table, schema: Schema, part: Part) -> Rows:
    """The rows that have a target.

    Raises:
        DataError: a class or a label unknown to training, an infinite target, an unusable weight.
    """
    raw = table.frame[schema.target]
    target = target_values(raw, schema)
    if schema.is_classification:
        known = target >= 0
        if not known.all():
            _check_classes_are_known(raw, np.flatnonzero(~known), schema, part)
    elif schema.is_multilabel:
        known = target[:, 0] >= 0
        _check_labels_are_known(raw, schema, part)
    else:
        known = ~np.isnan(target).reshape(len(target), -1).any(axis=1)
        if np.isinf(target).any():
            raise DataError(
                f"the target {schema.target!r} must be finite",
                f"{int(np.isinf(target).sum())} values are infinite ({rows_text(np.isinf(target))})",
                "Correct or remove these rows.",
            )
    frame = table.frame.select([c.name for c in schema.columns if c.name != schema.target])
    whole = Rows(part, frame, target, _weights(frame, schema, part), np.arange(len(target)))
    return whole if known.all() else whole.at(np.flatnonzero(known))


def _check_classes_are_known(raw: pl.Series, missing: np.ndarray, schema: Schema, part: Part) -> None:
    """Refuse cells of the target that are neither missing nor a class; `missing` are the rows without a class."""
    labels = as_category(raw.gather(missing))
    unknown = labels.is_not_null().to_numpy()
    if unknown.any():
        names = ", ".join(repr(name) for name in labels.drop_nulls().unique().sort().to_list()[:10])
        raise DataError(
            f"every class of {schema.target!r} in the {NAMES[part]} file must be one of {listed(schema.classes)}",
            f"{int(unknown.sum())} rows have {names} ({rows_text(unknown, missing)})",
            "Add such rows to the training file, or correct the spelling.",
        )


def _check_labels_are_known(raw: pl.Series, schema: Schema, part: Part) -> None:
    """Refuse labels that training never met; those that it left out are known, and never given."""
    assert schema.labelling is not None
    strangers = label_cells(raw, schema.labelling).strangers((*schema.classes, *schema.labelling.left_out))
    if strangers:
        rows = np.zeros(len(raw), bool)
        rows[np.concatenate(list(strangers.values()))] = True
        raise DataError(
            f"every label of {schema.target!r} in the {NAMES[part]} file must be one of {listed(schema.classes)}",
            f"{int(rows.sum())} rows have {listed(list(strangers)[:10])} ({rows_text(rows)})",
            "Add such rows to the training file, correct the spelling, or remove the label from these rows.",
        )


def _weights(frame: Frame, schema: Schema, part: Part) -> np.ndarray | None:
    if schema.weight is None:
        return None
    weight = as_number(frame[schema.weight], schema[schema.weight].format)
    bad = ~(np.isfinite(weight) & (weight >= 0.0))
    if bad.any() or not weight.any():
        are = "is" if bad.sum() == 1 else "are"
        came = f"{int(bad.sum())} {are} missing, negative or infinite ({rows_text(bad)})" if bad.any() else "all are 0"
        raise DataError(
            f"the weights {schema.weight!r} of the {NAMES[part]} rows must be numbers of at least 0, some above 0",
            came,
            "Fill them in, or leave out the weight column.",
        )
    return weight


def with_columns(table: Table, schema: Schema, part: Part, *, spares: Sequence[str] = ()) -> Table:
    """The given file with the schema's columns; columns nothing uses, and those of `spares`, are empty where absent.

    Raises:
        DataError: columns that are used are missing; all are named.
    """
    used = {schema.target, schema.group, schema.time, schema.weight, *schema.sensitive}
    used -= set(spares)
    used |= {column.name for column in schema.features}
    have = table.frame.columns
    present = set(have)
    missing = [column.name for column in schema.columns if column.name not in present]
    needed = [name for name in missing if name in used]
    if needed:
        known = {column.name for column in schema.columns}
        spare = [name for name in have if name not in known]
        hints = " ".join(f"{name!r}: {nearest(name, spare)}" for name in needed[:5]) if spare else ""
        raise DataError(
            f"the {NAMES[part]} file {table.source.name!r} must have the columns of the training file",
            f"it lacks {listed(needed)}",
            f"Rename or add them. {hints}".strip(),
        )
    if not missing:
        return table
    if isinstance(table.frame, Stored):
        return Table(table.frame.with_empty(missing), table.source)
    empty = [pl.lit(None, dtype=pl.String).alias(name) for name in missing]
    return Table(table.frame.with_columns(empty), table.source)


def take(rows: Rows, mask: np.ndarray, part: Part) -> Rows:
    """The rows where `mask` holds, as rows of `part`."""
    return rows.at(np.flatnonzero(mask), part)


def joined(train: Rows, valid: Rows) -> Rows:
    """Training and validation rows as one part, training rows first."""
    weights = None
    if train.weight is not None and valid.weight is not None:
        weights = np.concatenate([train.weight, valid.weight])
    target = np.concatenate([train.target, valid.target])
    positions = np.concatenate([train.positions, valid.positions])
    if train.index is not None and valid.index is not None and train.cells is valid.cells:
        return Rows("train", train.cells, target, weights, positions, np.concatenate([train.index, valid.index]))
    cells = pl.concat([train.frame, valid.frame], how="vertical_relaxed")
    return Rows("train", cells, target, weights, positions)


def fingerprint(rows: Rows, pictures: Collection[str] = ()) -> str:
    """Sha256 over names, types, missing cells and values; no hash of a library that may change between versions.

    Of columns of `pictures` the pictures count and not where they lie, so that rows are the same in another folder.
    """
    digest = hashlib.sha256()
    for name in rows.cells.columns:
        column = sums_of(rows.column(name)) if name in pictures else rows.column(name)
        digest.update(f"{column.name!r}:{column.dtype}:{len(column)}".encode())
        digest.update(np.packbits(column.is_null().to_numpy()).tobytes())
        if column.dtype.is_numeric() or column.dtype.is_temporal() or column.dtype == pl.Boolean:
            filled = column.to_physical().fill_null(False if column.dtype == pl.Boolean else 0)
            digest.update(np.ascontiguousarray(filled.to_numpy()).tobytes())
        elif column.dtype == SERIES:
            digest.update(bytes_of_lists(column))
        else:
            text = column.cast(pl.String).fill_null("")
            digest.update(text.str.len_bytes().to_numpy().astype(np.int64).tobytes())
            for start in range(0, len(text), BLOCK_ROWS):
                digest.update("".join(text.slice(start, BLOCK_ROWS).to_list()).encode())
    digest.update(np.ascontiguousarray(rows.target).tobytes())
    if rows.weight is not None:
        digest.update(np.ascontiguousarray(rows.weight).tobytes())
    return digest.hexdigest()


def times(rows: Rows, schema: Schema, name: str) -> np.ndarray:
    """The time column as numbers, shape (n,).

    Raises:
        DataError: a time is missing or cannot be read.
    """
    column = schema[name]
    dated = column.kind is Kind.DATETIME
    cells = rows.column(name)
    times = as_datetime(cells, column.format) if dated else as_number(cells, column.format)
    bad = ~np.isfinite(times)
    if bad.any():
        have = "row has" if bad.sum() == 1 else "rows have"
        raise DataError(
            f"every row must have a time in {name!r}",
            f"{int(bad.sum())} {NAMES[rows.part]} {have} none that can be read ({rows_text(bad, rows.positions)})",
            "Fill it in, remove these rows, or leave --time out.",
        )
    return times


def listed(names: Sequence[str]) -> str:
    """The names in quotes, a dozen at most."""
    shown = ", ".join(repr(name) for name in names[:12])
    return shown + (f" and {len(names) - 12} more" if len(names) > 12 else "")


def rows_text(mask: np.ndarray, positions: np.ndarray | None = None) -> str:
    """`row 7` or `rows 3, 9, 12, ...`, counted from 1."""
    where = np.flatnonzero(mask)
    numbers = (where if positions is None else positions[where]) + 1
    shown = ", ".join(str(number) for number in numbers[:5])
    return f"row{'s' if len(numbers) > 1 else ''} {shown}{', ...' if len(numbers) > 5 else ''}"
