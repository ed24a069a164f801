"""Columns whose cells are pictures themselves: the bytes of files, as Parquet and Arrow hold them.

A cell may be bytes, or a record of `bytes` and `path` as Hugging Face data sets write it, of which the bytes count
where there are any.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import polars as pl

from assay.data.pictures.picture import STARTS

#: Cells that are looked at, and the share of them that must begin as pictures do: few other bytes do so by chance, and
#: many pictures may be damaged.
_LOOKED_AT: Final = 500
_SHARE: Final = 0.1
_BYTES, _PATH = "bytes", "path"


def as_bytes(series: pl.Series) -> pl.Series | None:
    """The column as bytes, or as paths where records have nothing else; None where it holds neither."""
    dtype = series.dtype
    if dtype == pl.Binary:
        return series
    if not isinstance(dtype, pl.Struct):
        return None
    fields = {field.name: field.dtype for field in dtype.fields}
    if not {_BYTES} <= set(fields) <= {_BYTES, _PATH} or fields[_BYTES] not in (pl.Binary, pl.Null):
        return None
    content = series.struct.field(_BYTES) if fields[_BYTES] == pl.Binary else None
    if content is not None and (content.null_count() < len(content) or _PATH not in fields):
        return content.alias(series.name)
    return series.struct.field(_PATH).cast(pl.String).alias(series.name) if _PATH in fields else None


def look_like_pictures(cells: pl.Series) -> bool:
    """Whether cells are bytes of which enough begin as files of pictures do, or paths."""
    if cells.dtype != pl.Binary:
        return True
    sample = cells.drop_nulls().head(_LOOKED_AT).to_list()
    return bool(sample) and sum(cell.startswith(STARTS) for cell in sample) >= _SHARE * len(sample)


def bytes_in(cell: object) -> object:
    """What a record of bytes and a path stands for; other cells as they are."""
    if not isinstance(cell, Mapping):
        return cell
    found = cell.get(_BYTES)
    return cell.get(_PATH) if found is None else found


def is_record(row: object) -> bool:
    """Whether it is a record of bytes, and of a path if it has one."""
    return isinstance(row, Mapping) and _BYTES in row and set(row) <= {_BYTES, _PATH}
