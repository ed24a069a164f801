"""Raw sources to one table: files, globs and frames in, nothing learned."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from assay.records import Record


class Source(Record):
    """Where a table came from. `sha256` covers the bytes read (for a frame: its cells); `notes` say what was detected."""

    name: str
    format: str
    rows: int
    columns: int
    sha256: str
    delimiter: str | None = None
    encoding: str | None = None
    decimal: str | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Table:
    """A raw table: every row and column of the source, cells as read."""

    frame: pl.DataFrame
    source: Source
