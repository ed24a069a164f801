"""Files as they lie on the disk, and what they hold once they are out of their containers."""

from __future__ import annotations

import gzip
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final, Literal

import polars as pl

from assay.errors import DataError

_DELIMITED: Final = (".csv", ".tsv", ".tab", ".txt", ".psv", ".data", ".dat", "")
_Format = Literal["delimited text", "parquet", "arrow", "json lines", "excel"]
#: What a file holds, by its ending.
ENDINGS: Final[dict[str, _Format]] = {
    **dict.fromkeys(_DELIMITED, "delimited text"),
    **dict.fromkeys((".parquet", ".pq"), "parquet"),
    **dict.fromkeys((".arrow", ".feather", ".ipc"), "arrow"),
    **dict.fromkeys((".jsonl", ".ndjson"), "json lines"),
    **dict.fromkeys((".xlsx", ".xlsm", ".xlsb", ".xls", ".ods"), "excel"),
}
#: Endings of what files may come packed in.
CONTAINERS: Final = (".gz", ".zst", ".zip")
_CHUNK: Final = 1 << 22


@dataclass(frozen=True)
class File:
    """A file to parse: where its plain bytes lie, the user's name for it, and its ending without a container's."""

    path: Path
    name: str
    ending: str


def ending_of(name: str) -> str:
    """The ending in small letters, without that of a container."""
    path = Path(name.casefold())
    return Path(path.stem).suffix if path.suffix in CONTAINERS else path.suffix


def unpacked(path: Path, folder: Path) -> File:
    """The file out of its container, if it is in one.

    Raises:
        DataError: the container is damaged, or holds several files.
    """
    container = path.suffix.casefold()
    plain = folder / "unpacked"
    try:
        if container == ".gz":
            with gzip.open(path) as packed:
                _copy(packed, plain)
        elif container == ".zst":
            _unpack_zst(path, plain)
        elif container == ".zip":
            return _unpack_zip(path, plain)
        else:
            return File(path, path.name, ending_of(path.name))
    except (EOFError, zlib.error, gzip.BadGzipFile, zipfile.BadZipFile, pl.exceptions.PolarsError) as error:
        raise DataError(
            f"{path.name} must be a whole {container} file", f"it is damaged ({error})", "Copy or download it anew."
        ) from None
    return File(plain, path.name, ending_of(path.name))


def _copy(packed: gzip.GzipFile | IO[bytes], plain: Path) -> None:
    with plain.open("wb") as out:
        while chunk := packed.read(_CHUNK):
            out.write(chunk)


def _unpack_zst(path: Path, plain: Path) -> None:
    """Polars brings a decoder of Zstandard; read as whole lines, its text comes out unchanged."""
    try:
        lines = pl.read_csv(
            path,
            has_header=False,
            separator="\x1f",
            quote_char=None,
            schema={"line": pl.String},
            empty_string_is_null=False,
            truncate_ragged_lines=True,
        )
    except OSError as error:  # what the decoder raises on damaged data
        raise pl.exceptions.ComputeError(str(error)) from None
    lines.write_csv(plain, include_header=False, quote_style="never", null_value="")


def _unpack_zip(path: Path, plain: Path) -> File:
    with zipfile.ZipFile(path) as archive:
        members = [m for m in archive.infolist() if not m.is_dir() and not m.filename.startswith("__MACOSX/")]
        if len(members) != 1:
            names = ", ".join(repr(member.filename) for member in members[:5]) or "nothing"
            raise DataError(
                f"{path.name} must hold one file", f"it holds {len(members)}: {names}", "Unpack it and name the file."
            )
        member = members[0]
        ending = ending_of(member.filename)
        if member.flag_bits & 1 or ending not in ENDINGS:
            what = "is encrypted" if member.flag_bits & 1 else "has an unknown ending"
            raise DataError(
                f"{path.name} must hold a table",
                f"its file {member.filename!r} {what}",
                "Unpack it and convert the file.",
            )
        with archive.open(member) as packed:
            _copy(packed, plain)
    return File(plain, path.name, ending)
