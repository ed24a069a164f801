"""Places of pictures, and what lies there.

A place is a path, or within a container `file.zip::member`, `file.npy::7` or `file.npz::images::7`; `Places` gets what
is there. Nothing is unpacked to disk. Pictures that came without files of their own lie, while a run lasts, in
containers whose names begin with `HELD`.
"""

from __future__ import annotations

import hashlib
import threading
import zipfile
import zlib
from pathlib import Path
from typing import Final, TypeAlias

import numpy as np
import polars as pl

from assay.data.pictures.arrays import BETWEEN, array_at, pixels_of
from assay.data.pictures.picture import MOST_BYTES, Damaged, Fault
from assay.errors import DataError

#: How files are called that hold pictures without files of their own (see `data/picture_sources/held.py`).
HELD: Final = "assay-held-"

Fetched: TypeAlias = "bytes | Path | np.ndarray | Damaged"


def seen_from(folder: Path, places: pl.Series) -> pl.Series:
    """Relative places as seen from `folder`, such as that of the table they stand in; absolute ones as they are."""
    joined = [None if place is None else str(folder / place) for place in places]
    return pl.Series(places.name, joined, dtype=pl.String)


def shown_place(place: str) -> str:
    """A place as its owner knows it: of a picture without a file its column and row, from 1."""
    container, between, member = place.partition(BETWEEN)
    name, _, row = member.rpartition(BETWEEN)
    if not between or not Path(container).name.startswith(HELD) or not row.isdecimal():
        return place
    return f"{name or 'picture'}, row {int(row) + 1}"


def sum_of(content: bytes | np.ndarray) -> str:
    """sha256 of a file or of pixels; of these with type and shape, for equal bytes can be different pictures."""
    if isinstance(content, bytes):
        return hashlib.sha256(content).hexdigest()
    return hashlib.sha256(f"{content.dtype.str}{content.shape}".encode() + content.tobytes()).hexdigest()


class Places:
    """Gets what lies at places; containers stay open until `close`. May be used from several threads."""

    def __init__(self) -> None:
        self._archives: dict[str, zipfile.ZipFile] = {}
        self._arrays: dict[str, np.ndarray] = {}
        self._lock = threading.Lock()

    def __enter__(self) -> Places:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close all containers."""
        for archive in self._archives.values():
            archive.close()
        self._archives.clear()
        self._arrays.clear()

    def get(self, place: str) -> Fetched:
        """What `picture.decode` takes: the bytes, path or pixels at a place, or why there is nothing."""
        container, between, member = place.partition(BETWEEN)
        try:
            if not between or Path(place).exists():
                return Path(place)
            if container.casefold().endswith(".zip"):
                return self._unpacked(container, member)
            return self._array(container, member)
        except DataError as error:
            return Damaged(Fault.DAMAGED, error.came)
        except (OSError, KeyError, ValueError, IndexError) as error:
            return Damaged(Fault.MISSING, f"it cannot be read ({error})")

    def stamp(self, place: str) -> str:
        """What changes when the file at a place does: size and time of change, of a zip member its checksum."""
        container, between, member = place.partition(BETWEEN)
        try:
            if between and container.casefold().endswith(".zip") and not Path(place).exists():
                info = self._archive(container).getinfo(member)
                return f"{info.file_size} {info.CRC}"
            status = Path(container if between and not Path(place).exists() else place).stat()
        except (OSError, KeyError, ValueError, DataError):
            return "missing"
        return f"{status.st_size} {status.st_mtime_ns}"

    def _unpacked(self, container: str, member: str) -> bytes | Damaged:
        archive = self._archive(container)
        info = archive.getinfo(member)
        if info.file_size > MOST_BYTES:
            return Damaged(Fault.TOO_LARGE, f"it unpacks to {info.file_size:,} bytes, more than {MOST_BYTES:,}")
        try:
            return archive.read(info)  # which stops at the size that was just looked at
        except (zipfile.BadZipFile, EOFError, zlib.error, NotImplementedError, RuntimeError) as error:
            return Damaged(Fault.DAMAGED, f"it is damaged within the archive ({error})")

    def _archive(self, container: str) -> zipfile.ZipFile:
        with self._lock:
            if container not in self._archives:
                try:
                    self._archives[container] = zipfile.ZipFile(container)
                except zipfile.BadZipFile as error:
                    raise ValueError(f"{container} is no .zip file: {error}") from None
            return self._archives[container]

    def _array(self, container: str, member: str) -> np.ndarray:
        key, _, row = member.rpartition(BETWEEN)
        name = f"{container}{BETWEEN}{key}"
        with self._lock:
            if name not in self._arrays:
                self._arrays[name] = array_at(Path(container), key)
            return pixels_of(np.asarray(self._arrays[name][int(row)]))
