"""Rows as people see them: a few cells in words, a small picture, a short series."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from assay.data.encoding.encode import Encoder
from assay.data.inputs import cells_of
from assay.data.pictures.places import shown_place
from assay.data.pictures.reader import decoded
from assay.data.rows import Rows
from assay.data.schema import Kind, Schema
from assay.data.steps import steps_of
from assay.evaluate.seen import points, thumbnail
from assay.evaluate.shown_record import SeenSeries, Thumbnail

#: Columns of cells that are shown, and letters of a cell.
_COLUMNS, _LETTERS = 8, 240


@dataclass(frozen=True)
class ShownCells:
    """Of each of some rows: its cells in words, its picture and its series, where there are any."""

    cells: tuple[tuple[str, ...], ...]
    pictures: tuple[Thumbnail | None, ...]
    series: tuple[SeenSeries | None, ...]


def shown_columns(schema: Schema) -> tuple[str, ...]:
    """The columns whose cells are shown in words."""
    plain = (column.name for column in schema.features if column.kind not in (Kind.IMAGE, Kind.SEQUENCE))
    return tuple(plain)[:_COLUMNS]


def show(rows: Rows, schema: Schema, encoder: Encoder) -> ShownCells:
    """What is shown of a few rows."""
    frame, count = rows.frame, len(rows)
    plain = shown_columns(schema)
    columns = [[_written(cell) for cell in frame.get_column(name).to_list()] for name in plain]
    cells = tuple(tuple(column[row] for column in columns) for row in range(count))
    return ShownCells(cells, _pictures(rows, encoder), _series(rows, schema))


def _written(cell: object) -> str:
    text = "" if cell is None else f"{cell:g}" if isinstance(cell, float) else str(cell)
    return text if len(text) <= _LETTERS else f"{text[:_LETTERS]}..."


def _pictures(rows: Rows, encoder: Encoder) -> tuple[Thumbnail | None, ...]:
    item = next((item for item in encoder.inputs if item.picture is not None), None)
    if item is None or item.picture is None or not len(rows):
        return (None,) * len(rows)
    pixels = (encoder.readers.pictures or decoded)(cells_of(rows.frame, item.name), item.picture)
    names = [shown_place(str(cell)).rsplit("/", 1)[-1] for cell in rows.column(item.name).to_list()]
    made = zip(torch.from_numpy(np.ascontiguousarray(pixels)), names, strict=True)
    return tuple(thumbnail(picture, name) for picture, name in made)


def _series(rows: Rows, schema: Schema) -> tuple[SeenSeries | None, ...]:
    """The first channel of each row."""
    channel = next((column.name for column in schema.features if column.kind is Kind.SEQUENCE), None)
    if channel is None:
        return (None,) * len(rows)
    steps = steps_of(rows.column(channel))
    found = []
    for row in range(len(rows)):
        values = torch.from_numpy(steps.values[steps.starts[row] : steps.starts[row + 1]].copy())
        found.append(SeenSeries(label="", channel=channel, before=points(values) if len(values) else ()))
    return tuple(found)
