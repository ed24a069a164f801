"""Parquet and Arrow files, read by column: whole, or where they are large a few columns at a time into files."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import polars as pl

from assay.data.reading.delimited import check_unique
from assay.data.reading.frames import tidy
from assay.data.stored import Frame, Spill, bytes_of_table, store

Kind = Literal["parquet", "arrow"]


def read_columnar(path: Path, kind: Kind, notes: list[str], spill: Spill | None) -> Frame:
    """The table of a file in tidy columns; in files where `spill` says that it is too large for memory.

    Raises:
        polars.exceptions.PolarsError: the file is damaged.
        OSError: there is no room for the table.
    """
    if spill is not None:
        scan = pl.scan_parquet(path, glob=False) if kind == "parquet" else pl.scan_ipc(path, glob=False)
        schema, rows = scan.collect_schema(), int(scan.select(pl.len()).collect().item())
        size = max(bytes_of_table(rows, schema.dtypes()), path.stat().st_size)
        if size > spill.limit:
            names = schema.names()
            check_unique([name if name.strip() else f"column_{at}" for at, name in enumerate(names, 1)], path.name)
            together = max(1, len(names) * spill.limit // (4 * size))  # a quarter of the memory allowed
            return store(_few_at_a_time(path, kind, names, together, notes), spill.folder)
    return tidy(_columns(path, kind, None), notes)


def _few_at_a_time(path: Path, kind: Kind, names: list[str], together: int, notes: list[str]) -> Iterator[pl.Series]:
    for first in range(0, len(names), together):
        yield from tidy(_columns(path, kind, names[first : first + together]), notes, first=first + 1)


def _columns(path: Path, kind: Kind, names: list[str] | None) -> pl.DataFrame:
    """Some columns of a file; all where `names` is None."""
    return pl.read_parquet(path, columns=names, glob=False) if kind == "parquet" else pl.read_ipc(path, columns=names)


def kept(frame: pl.DataFrame, spill: Spill | None) -> Frame:
    """A parsed table, put into files where it is too large for memory; its columns leave memory one by one."""
    if spill is None or frame.estimated_size() <= spill.limit:
        return frame
    return store((frame.drop_in_place(name) for name in frame.columns), spill.folder)
