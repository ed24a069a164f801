"""Encoded rows with texts, series or pictures in files that are mapped into memory, for rows too large for it.

Networks of media, and what is fitted to their features, take whole arrays; mapped ones look the same and count as
memory only while it may be used. Rows stand in their own order, and a batch is gathered when it is its turn, so that a
training sees the batches that it would see of rows in memory, to the bit.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from io import BufferedWriter
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from assay.data.encoding.batches import BLOCK_ROWS, Batch, Resident, epoch_order
from assay.data.encoding.encode import Encoded, Encoder
from assay.data.inputs import matrices
from assay.data.rows import Rows

#: Rows that the width of texts is guessed from, and bytes of media that are encoded at once.
_GUESSED_FROM, _BLOCK_BYTES = 64, 64 << 20


@dataclass(frozen=True)
class Paged(Resident):
    """Rows whose arrays are mapped files: a shuffled copy of them, as `Resident` takes it, would be in memory."""

    def epoch(self, seed: int, epoch: int, batch: int, start: int = 0) -> Iterator[Batch]:
        """See `Source`."""
        if batch >= len(self.rows):
            yield from super().epoch(seed, epoch, batch, start)
            return
        order = epoch_order(len(self.rows), seed, epoch)
        for first in range(start * batch, len(order), batch):
            yield self.rows[order[first : first + batch]]


def bytes_of_media(encoder: Encoder, rows: Rows) -> int:
    """What the media of rows take when they are encoded; of texts, whose widths differ, as some rows have it."""
    if not encoder.layout.media or not len(rows):
        return 0
    some = rows.at(np.arange(min(_GUESSED_FROM, len(rows)))).frame
    taken = sum(array.nbytes for array in matrices(some, encoder.inputs, encoder.readers).media)
    return taken * len(rows) // some.height


def encode_into_files(encoder: Encoder, rows: Rows, folder: Path) -> Encoded:
    """`Encoder.encode_rows`, with every array in a file within `folder`, which whoever gives it removes.

    Raises:
        OSError: there is no room on the disk.
    """
    place = Path(tempfile.mkdtemp(prefix="media-", dir=folder))
    piles: list[_Pile] = []
    with ExitStack() as files:
        a_row = max(1, bytes_of_media(encoder, rows) // len(rows))
        for frame in rows.blocks(max(1, min(BLOCK_ROWS, _BLOCK_BYTES // a_row))):
            found = encoder.encode(frame)
            arrays = [one.numpy() for one in (found.numbers, found.extras, found.codes, *found.media)]
            if not piles:
                paths = [place / str(number) for number in range(len(arrays))]
                piles = [_Pile(path, files.enter_context(path.open("wb")), []) for path in paths]
            for pile, array in zip(piles, arrays, strict=True):
                pile.add(array)
    numbers, extras, codes, *media = (pile.whole() for pile in piles)
    return Encoded(numbers, extras, codes, tuple(media))


@dataclass
class _Pile:
    """Arrays of several blocks of rows, written one behind the other."""

    path: Path
    file: BufferedWriter
    shapes: list[tuple[int, ...]]
    dtype: np.dtype[np.generic] | None = None

    def add(self, array: np.ndarray) -> None:
        """Write a block. Python writes, and nothing is written through a mapping: a full disk is then an OSError."""
        self.shapes.append(array.shape)
        self.dtype = array.dtype
        if array.size:
            self.file.write(np.ascontiguousarray(array).data)

    def whole(self) -> Tensor:
        """All rows, mapped; blocks that are narrower than others get zeros behind."""
        assert self.dtype is not None
        width = tuple(max(sizes) for sizes in zip(*(shape[1:] for shape in self.shapes), strict=True))
        if any(shape[1:] != width for shape in self.shapes):
            self._widen(width)
        shape = (sum(shape[0] for shape in self.shapes), *width)
        if not np.prod(shape):
            return torch.from_numpy(np.zeros(shape, self.dtype))
        # Copied where it is written to, which nothing does: torch warns of arrays that cannot be.
        return torch.from_numpy(np.memmap(self.path, self.dtype, "c", shape=shape))

    def _widen(self, width: tuple[int, ...]) -> None:
        """Write the file anew with all blocks as wide as the widest."""
        wide, start = self.path.with_suffix(".wide"), 0
        with wide.open("wb") as file:
            for shape in self.shapes:
                block = np.fromfile(self.path, self.dtype, int(np.prod(shape)), offset=start).reshape(shape)
                start += block.nbytes
                file.write(np.pad(block, [(0, 0), *((0, w - s) for w, s in zip(width, shape[1:], strict=True))]).data)
        wide.replace(self.path)
