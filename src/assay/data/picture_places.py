"""Places of pictures, and what lies there.

A place is a path, or within a container `file.zip::member`, `file.npy::7` or `file.npz::images::7`; `Places` gets what
is there. Nothing is unpacked to disk.
"""

from __future__ import annotations

import gzip
import math
import struct
import threading
import zipfile
import zlib
from pathlib import Path
from typing import Any, Final, TypeAlias

import numpy as np
import polars as pl

from assay.data.pictures import MOST_BYTES, Damaged, Fault
from assay.errors import DataError

#: The columns of a table of pictures.
IMAGE, LABEL = "image", "label"
#: What parts are called as folders, as files and in arrays.
PARTS: Final = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("valid", "val", "validation", "dev"), "valid"),
    **dict.fromkeys(("test", "testing", "t10k"), "test"),
}
#: What stands between a container and the place within it.
BETWEEN: Final = "::"
#: What to do where pictures come in another way.
EXPECTED = (
    "Give a folder (or a .zip) with a folder of pictures for each class, if you like within train, valid and test; "
    "or a table with a column of paths and one of labels."
)
#: The types of idx files: LeCun, The MNIST database, "File formats".
_IDX_TYPES: Final = {8: ">u1", 9: ">i1", 11: ">i2", 12: ">i4", 13: ">f4", 14: ">f8"}

Fetched: TypeAlias = "bytes | Path | np.ndarray | Damaged"


def seen_from(folder: Path, places: pl.Series) -> pl.Series:
    """Relative places as seen from `folder`, such as that of the table they stand in; absolute ones as they are."""
    joined = [None if place is None else str(folder / place) for place in places]
    return pl.Series(places.name, joined, dtype=pl.String)


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
        """What `pictures.decode` takes: the bytes, path or pixels at a place, or why there is nothing."""
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
                path = Path(container)
                if path.suffix.casefold() == ".npy":
                    self._arrays[name] = opened_array(path)
                elif path.suffix.casefold() == ".npz":
                    with opened_array(path) as archive:
                        self._arrays[name] = array_of(archive, key, path.name)
                else:
                    self._arrays[name] = read_idx(path)
            return np.asarray(self._arrays[name][int(row)])


# Arrays


def opened_array(path: Path) -> Any:  # noqa: ANN401  # an array, or an archive of them
    """The array of a .npy, mapped, or the archive of a .npz.

    Raises:
        DataError: it is damaged.
    """
    try:
        return np.load(path, mmap_mode="r" if path.suffix.casefold() == ".npy" else None, allow_pickle=False)
    except (ValueError, EOFError, zipfile.BadZipFile, zlib.error, struct.error, SyntaxError) as error:
        raise DataError(
            f"{path.name} must be a whole file of NumPy arrays of numbers",
            f"it cannot be read ({error})",
            "Save it anew with numpy.save or numpy.savez; arrays of objects hold pickles, which are never opened.",
        ) from None


def array_of(archive: Any, key: str, name: str) -> np.ndarray:  # noqa: ANN401  # NumPy's NpzFile
    """An array of a .npz that is called `name`.

    Raises:
        DataError: it is damaged.
    """
    try:
        return np.asarray(archive[key])
    except (ValueError, EOFError, zipfile.BadZipFile, zlib.error, struct.error, SyntaxError) as error:
        raise DataError(
            f"the array {key!r} of {name} must be whole and of numbers",
            f"it cannot be read ({error})",
            "Save it anew with numpy.savez; arrays of objects hold pickles, which are never opened.",
        ) from None


def read_idx(path: Path) -> np.ndarray:
    """The array of an idx file, plain or within .gz; no more is read than its header says.

    Raises:
        DataError: it is damaged.
    """
    try:
        with gzip.open(path) if path.suffix.casefold() == ".gz" else path.open("rb") as file:
            zero, kind, axes = struct.unpack(">HBB", file.read(4))
            if zero != 0 or kind not in _IDX_TYPES or not 1 <= axes <= 4:
                raise ValueError("it does not begin as an idx file")
            shape = struct.unpack(f">{axes}I", file.read(4 * axes))
            dtype = np.dtype(_IDX_TYPES[kind])
            size = math.prod(shape) * dtype.itemsize
            plain = path.suffix.casefold() != ".gz"
            if plain and path.stat().st_size - 4 - 4 * axes != size:
                raise ValueError(f"its header says {size:,} bytes and {path.stat().st_size - 4 - 4 * axes:,} follow")
            if plain:
                return np.memmap(path, dtype, "r", offset=4 + 4 * axes, shape=shape)
            # The header may claim any size, so room is made as data comes.
            data = bytearray()
            while len(data) < size and (piece := file.read(min(1 << 22, size - len(data)))):
                data += piece
            if len(data) != size or file.read(1):
                raise ValueError(
                    f"its header says {size:,} bytes and {'more' if len(data) == size else len(data)} follow"
                )
            return np.frombuffer(data, dtype).reshape(shape)
    except (ValueError, EOFError, struct.error, zlib.error, gzip.BadGzipFile) as error:
        raise DataError(
            f"{path.name} must be a whole idx file", f"it cannot be read ({error})", "Download it anew."
        ) from None
