"""All pictures of a table, decoded once into one file that is mapped into memory: (n, C, H, W) uint8.

Threads decode, because Pillow lets other threads run while it decodes and resizes; a pool of processes would have to be
started anew beside Polars and torch, which have threads of their own. The file is written in order through Python, so
that a full disk is an error and no crash, and its folder gets its name when all is there.

Shape legend: n pictures, C channels, H height, W width.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Final

import numpy as np
import polars as pl

from assay.data.pictures.picture import Damaged, Fault, Picture, PictureFormat, decode, read_file
from assay.data.pictures.places import Places, sum_of
from assay.errors import BundleError, DataError
from assay.records import Record

#: Raised when the same files would be stored in another way, so that older stores are not taken for theirs.
VERSION: Final = 1
_PIXELS, _INDEX, _FACTS = "pixels.u8", "index.json", "pictures.parquet"
#: Pictures and bytes of what one thread decodes at a time, at most.
_PIECE, _PIECE_BYTES = 128, 4 << 20
#: Damaged pictures that the index names; all are in the table of facts.
_NAMED = 1000
_SCHEMA: Final = {
    "sha256": pl.String(),
    "bytes": pl.Int64(),
    "kind": pl.String(),
    "height": pl.Int32(),
    "width": pl.Int32(),
    "channels": pl.UInt8(),
    "fault": pl.String(),
    "reason": pl.String(),
    "notes": pl.String(),
}

Progress = Callable[[int, int], None]


class DamagedPicture(Record):
    """A picture that could not be read: its row from 0, its place, and why."""

    row: int
    place: str
    fault: Fault
    reason: str


class StoreIndex(Record):
    """What a store holds. `key` stands for the files it was made of; `notes` count what was done to pictures."""

    version: int
    key: str
    count: int
    form: PictureFormat
    damaged_count: int
    damaged: tuple[DamagedPicture, ...] = ()
    notes: dict[str, int] = {}


@dataclass(frozen=True)
class PictureStore:
    """Decoded pictures in the order of the table; those that could not be read are black.

    reused: whether it was there already.
    """

    folder: Path
    index: StoreIndex
    reused: bool = False

    def __len__(self) -> int:
        return self.index.count

    @property
    def form(self) -> PictureFormat:
        """What every picture became."""
        return self.index.form

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """The shape of `pixels`."""
        form = self.form
        return len(self), form.channels, form.height, form.width

    @cached_property
    def facts(self) -> pl.DataFrame:
        """A row for each picture: sha256 and bytes of its file, kind, size, and fault and reason if it is damaged."""
        return pl.read_parquet(self.folder / _FACTS)

    @cached_property
    def sound(self) -> np.ndarray:
        """Which pictures could be read, bool (n,)."""
        return np.asarray(self.facts["fault"].is_null().to_numpy())

    def pixels(self) -> np.ndarray:
        """All pictures, mapped read-only: uint8 (n, C, H, W). What is looked at counts as memory only while it may."""
        if not len(self):
            return np.zeros(self.shape, np.uint8)
        return np.memmap(self.folder / _PIXELS, np.uint8, "r", shape=self.shape)

    def at(self, rows: np.ndarray) -> np.ndarray:
        """The pictures at these positions, copied into memory: uint8 (rows, C, H, W)."""
        return np.ascontiguousarray(self.pixels()[rows])

    def blocks(self, size: int = 64 << 20) -> Iterator[tuple[int, np.ndarray]]:
        """All pictures in their order, in blocks of about `size` bytes in memory, each with its first position."""
        step = max(1, size // self.form.size)
        for first in range(0, len(self), step):
            # Mapped anew for each block: pages that were looked at would otherwise stay in memory.
            yield first, np.array(self.pixels()[first : first + step])


def store_pictures(
    places: pl.Series, form: PictureFormat, folder: Path, *, threads: int = 0, progress: Progress | None = None
) -> PictureStore:
    """The pictures at `places` in `form`, decoded into a new folder within `folder`, or as they were stored before.

    A store is found again by the places, the sizes and times of change of their files (checksums within archives), and
    the format. Memory holds what the threads are at, a few MB each.

    Args:
        places: paths, or places within containers; missing cells are missing pictures.
        form: what every picture becomes.
        folder: where stores are kept.
        threads: that decode; 0 for one a processor.
        progress: called with pictures done and all of them, from this thread.

    Raises:
        DataError: not one picture can be read.
        OSError: there is no room on the disk.
    """
    with Places() as source:
        key = _key(places, form, source)
        kept = folder / f"pictures-{key[:32]}"
        found = _opened(kept, key)
        if found is not None:
            return found
        folder.mkdir(parents=True, exist_ok=True)
        made = Path(tempfile.mkdtemp(prefix=".pictures-", dir=folder))
        try:
            _fill(made, places, form, source, key, threads or len(os.sched_getaffinity(0)), progress)
            made.chmod(0o755)  # temporary folders are closed to others
            shutil.rmtree(kept, ignore_errors=True)  # a damaged one
            with suppress(OSError):  # another run came first with the same pictures
                made.rename(kept)
        finally:
            shutil.rmtree(made, ignore_errors=True)
    stored = _opened(kept, key)
    if stored is None:
        raise OSError(f"the pictures stored in {kept} changed while they were written")
    return PictureStore(kept, stored.index)


def open_store(folder: Path) -> PictureStore:
    """The store in `folder`.

    Raises:
        BundleError: it is damaged.
    """
    index = StoreIndex.read(folder / _INDEX)
    size = index.count * index.form.size
    path = folder / _PIXELS
    found = path.stat().st_size if path.exists() else 0
    if index.version != VERSION or found != size or not (folder / _FACTS).exists():
        raise BundleError(
            f"{folder.name} must hold {index.count:,} pictures of version {VERSION}",
            f"it is of version {index.version} and has {found:,} of {size:,} bytes",
            "Remove the folder; it is made anew from the pictures.",
        )
    return PictureStore(folder, index)


def _opened(folder: Path, key: str) -> PictureStore | None:
    """The whole store of `key`, if there is one."""
    if not folder.exists():
        return None
    try:
        store = open_store(folder)
    except BundleError:
        return None
    return PictureStore(folder, store.index, reused=True) if store.index.key == key else None


def _key(places: pl.Series, form: PictureFormat, source: Places) -> str:
    digest = hashlib.sha256(f"{VERSION}\n{form.model_dump_json()}\n".encode())
    for place in places:  # Polars makes them Python's a block at a time
        line = "" if place is None else f"{place}\0{source.stamp(place)}"
        digest.update(f"{line}\n".encode())
    return digest.hexdigest()


@dataclass(frozen=True)
class _Piece:
    """Decoded pictures (k, C, H, W), and their facts as columns."""

    pixels: np.ndarray
    facts: pl.DataFrame


def _fill(
    folder: Path,
    places: pl.Series,
    form: PictureFormat,
    source: Places,
    key: str,
    threads: int,
    progress: Progress | None,
) -> None:
    """Decode all pictures into `folder`."""
    step = max(1, min(_PIECE, _PIECE_BYTES // form.size))
    facts: list[pl.DataFrame] = []
    done = 0
    with (folder / _PIXELS).open("wb") as file:
        for piece in _decoded(places, form, source, step, threads):
            file.write(piece.pixels.data)
            facts.append(piece.facts)
            done += len(piece.pixels)
            if progress is not None:
                progress(done, len(places))
        file.flush()
        os.fsync(file.fileno())
    table = pl.concat(facts) if facts else pl.DataFrame(schema=_SCHEMA)
    damaged = table.with_row_index("row").filter(pl.col("fault").is_not_null())
    if damaged.height == len(places):
        first = damaged["reason"][0] if damaged.height else "there are none"
        raise DataError(
            "at least one picture must be readable",
            f"none of {len(places):,} is; of the first, {first}",
            "Check the paths: they count from the folder you are in. PNG, JPEG, WebP, BMP, TIFF and GIF are read.",
        )
    table.write_parquet(folder / _FACTS)
    named = [
        DamagedPicture(row=row, place=str(places[row] or ""), fault=Fault(fault), reason=reason)
        for row, fault, reason in damaged.head(_NAMED).select("row", "fault", "reason").iter_rows()
    ]
    notes = table["notes"].drop_nulls().str.split("; ").explode(keep_nulls=False, empty_as_null=False)
    index = StoreIndex(
        version=VERSION,
        key=key,
        count=len(places),
        form=form,
        damaged_count=damaged.height,
        damaged=tuple(named),
        notes=dict(notes.value_counts().sort(notes.name).iter_rows()),
    )
    (folder / _INDEX).write_text(index.to_json(), encoding="utf-8")


def _decoded(places: pl.Series, form: PictureFormat, source: Places, step: int, threads: int) -> Iterator[_Piece]:
    """Pieces in order, while at most a few of them are in work."""
    waiting: deque[Future[_Piece]] = deque()
    pool = ThreadPoolExecutor(threads, thread_name_prefix="pictures")
    try:
        for first in range(0, len(places), step):
            waiting.append(pool.submit(_piece, places.slice(first, step).to_list(), form, source))
            if len(waiting) > 2 * threads:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _piece(places: list[str | None], form: PictureFormat, source: Places) -> _Piece:
    pixels = np.zeros((len(places), form.channels, form.height, form.width), np.uint8)
    rows: list[tuple[object, ...]] = []
    for place, out in zip(places, pixels, strict=True):
        sha256, size, found = _one(place, form, source)
        if isinstance(found, Damaged):
            rows.append((sha256, size, None, None, None, None, found.fault.value, found.reason, None))
            continue
        out[:] = found.pixels.transpose(2, 0, 1)
        facts = found.facts
        notes = "; ".join(facts.notes) or None
        rows.append((sha256, size, facts.kind, facts.height, facts.width, facts.channels, None, None, notes))
    return _Piece(pixels, pl.DataFrame(rows, schema=_SCHEMA, orient="row"))


def _one(place: str | None, form: PictureFormat, source: Places) -> tuple[str | None, int, Picture | Damaged]:
    """The sha256 and the number of bytes at a place, and the picture they are."""
    if not place:
        return None, 0, Damaged(Fault.MISSING, "the cell is empty")
    got = source.get(place)
    if isinstance(got, Damaged):
        return None, 0, got
    if isinstance(got, np.ndarray):
        return sum_of(got), got.nbytes, decode(got, form)
    data = got if isinstance(got, bytes) else read_file(got)
    if isinstance(data, Damaged):
        return None, 0, data
    return sum_of(data), len(data), decode(data, form)
