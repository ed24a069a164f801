"""Encoded rows in files, for tables too large for memory: written once in random order, read a block at a time.

Every row is dealt at random to one of the blocks of a file. An epoch takes the blocks in a random order and shuffles
the rows within each (Xu et al., CorgiPile, SIGMOD 2022, where the blocks are as they come): the first epoch is a plain
random order of all rows, and later ones differ from that only in which rows come near each other. Memory holds one
block.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from io import BufferedWriter
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from assay.data.encoding.batches import BLOCK_ROWS, Batch, epoch_order, epoch_seed
from assay.data.encoding.encode import Encoded, Encoder, Layout
from assay.data.rows import Rows

#: Rows of a block at most, and its bytes at most unless a single row has more.
MOST_ROWS, MOST_BYTES = 65_536, 32 << 20
#: Apart enough that no block of an epoch has the seed of a block of another one.
_APART = 1 << 32


@dataclass(frozen=True)
class Mapped:
    """A `Source` (see `batches.py`) whose inputs lie in files and whose targets and weights, a number a row, in memory.

    block: rows of all blocks but the last, which may have fewer. device: where batches are wanted, if not in memory.
    """

    folder: Path
    layout: Layout
    block: int
    target: Tensor
    weight: Tensor | None
    device: torch.device | None = None

    def __len__(self) -> int:
        return len(self.target)

    def weighing(self, weight: Tensor | None) -> Mapped:
        """See `Source`."""
        return replace(self, weight=weight)

    def reading(self, places: Sequence[int]) -> Mapped:
        """See `Source`.

        Raises:
            ValueError: any media are asked for, which do not lie in files.
        """
        if places:
            raise ValueError("rows in files have no media: give them in memory")
        return self

    def to(self, device: torch.device) -> Mapped:
        """See `Source`."""
        return replace(self, device=device)

    def epoch(self, seed: int, epoch: int, batch: int, start: int = 0) -> Iterator[Batch]:
        """See `Source`; blocks that lie before `start` are not read."""
        before = start * batch
        rest: Batch | None = None
        for place in epoch_order(self._blocks, seed, epoch).tolist():
            size = self._size(place)
            if before >= size:
                before -= size
                continue
            order = _block_order(size, seed, epoch, place)[before:]
            before = 0
            rows = self._read(place * self.block, order)
            rows = rows if rest is None else _joined(rest, rows)
            whole = len(rows) - len(rows) % batch
            for first in range(0, whole, batch):
                yield self._delivered(rows[first : first + batch])
            rest = rows[whole:] if whole < len(rows) else None
        if rest is not None:
            yield self._delivered(rest)

    def blocks(self, rows: int = BLOCK_ROWS) -> Iterator[Batch]:
        """See `Source`; their own order is that of the files."""
        for first in range(0, len(self), rows):
            yield self._delivered(self._read(first, torch.arange(min(rows, len(self) - first))))

    def _delivered(self, rows: Batch) -> Batch:
        return rows if self.device is None else rows.to(self.device)

    @property
    def _blocks(self) -> int:
        return -(-len(self) // self.block)

    def _size(self, place: int) -> int:
        return min(self.block, len(self) - place * self.block)

    def _read(self, first: int, order: Tensor) -> Batch:
        """The rows at `first` + `order`; the files are mapped only while these are copied out of them."""
        rows = order.numpy()
        tensors: list[Tensor] = []
        for path, dtype, width in _files(self.folder, self.layout):
            if width:
                mapped = np.memmap(path, dtype, "r", offset=first * width * 4, shape=(int(rows.max()) + 1, width))
                tensors.append(torch.from_numpy(mapped[rows]))
            else:
                tensors.append(torch.from_numpy(np.empty((len(rows), 0), dtype)))
        places = order + first
        weight = None if self.weight is None else self.weight[..., places]
        numbers, extras, codes = tensors
        return Batch(Encoded(numbers, extras, codes), self.target[places], weight)


def map_rows(
    encoder: Encoder, rows: Rows, target: Tensor, weight: Tensor | None, folder: Path, *, seed: int, block: int = 0
) -> Mapped:
    """Encode `rows` into files within `folder`, in an order that follows from `seed`.

    Args:
        encoder: of these rows.
        rows: the cells, which are read once, from front to back.
        target, weight: see `Batch`, in the order of the rows.
        folder: where a new folder is made for the files; whoever gives it removes it.
        seed: of the order; rows that fit into one block keep theirs.
        block: rows of a block, 0 for as many as suit the width of a row.

    Raises:
        OSError: there is no room on the disk.
    """
    place = Path(tempfile.mkdtemp(prefix="rows-", dir=folder))
    layout = encoder.layout
    size = block or max(1, min(MOST_ROWS, MOST_BYTES // _bytes_of_row(layout)))
    dealt = _dealt(len(rows), size, seed)
    _write(encoder, rows, dealt, size, place)
    order = torch.from_numpy(np.argsort(dealt, kind="stable"))
    return Mapped(place, layout, size, target[order], None if weight is None else weight[..., order])


def bytes_encoded(layout: Layout, rows: int) -> int:
    """What the inputs of so many rows take."""
    return rows * _bytes_of_row(layout)


def _bytes_of_row(layout: Layout) -> int:
    return 4 * (layout.numbers + layout.extras + len(layout.vocabularies))


def _files(folder: Path, layout: Layout) -> list[tuple[Path, type[np.generic], int]]:
    """The files of numbers, extras and codes: where they are, their type of four bytes, and numbers a row."""
    return [
        (folder / "numbers", np.float32, layout.numbers),
        (folder / "extras", np.float32, layout.extras),
        (folder / "codes", np.int32, len(layout.vocabularies)),
    ]


def _dealt(rows: int, size: int, seed: int) -> np.ndarray:
    """The block of each row, (rows,): at random, so that all are full but the last."""
    if rows <= size:
        return np.zeros(rows, np.uint16)
    blocks = np.random.default_rng([seed, 2]).permutation(rows) // size
    # Small numbers, because NumPy sorts those of 16 bits many times faster.
    return blocks.astype(np.uint16 if blocks.max() < 1 << 16 else np.uint32)


def _write(encoder: Encoder, rows: Rows, dealt: np.ndarray, size: int, folder: Path) -> None:
    """Write each row behind those that were dealt to its block before."""
    filled = np.arange(int(dealt.max()) + 1, dtype=np.int64) * size
    with ExitStack() as open_files:
        files = [
            (open_files.enter_context(path.open("wb")), width) for path, _, width in _files(folder, encoder.layout)
        ]
        done = 0
        for frame in rows.blocks():
            found = encoder.encode(frame)
            own = dealt[done : done + len(found)]
            done += len(found)
            order = np.argsort(own, kind="stable")
            blocks, starts = np.unique(own[order], return_index=True)
            pieces = [tensor.numpy()[order] for tensor in (found.numbers, found.extras, found.codes)]
            for block, start, stop in zip(blocks, starts, [*starts[1:], len(found)], strict=True):
                for (file, width), piece in zip(files, pieces, strict=True):
                    _put(file, int(filled[block]) * width * 4, piece[start:stop])
                filled[block] += stop - start


def _put(file: BufferedWriter, place: int, rows: np.ndarray) -> None:
    """Python writes, and nothing is written through a mapping: a full disk is then an OSError and no crash."""
    if rows.size:
        file.seek(place)
        file.write(rows.data)


def _block_order(rows: int, seed: int, epoch: int, place: int) -> Tensor:
    """The order of the rows within a block; of the first one that of `Resident`, so that one block equals it."""
    chosen = (epoch_seed(seed, epoch) + place * _APART) % (2**63 - 1)
    return torch.randperm(rows, generator=torch.Generator().manual_seed(chosen))


def _joined(first: Batch, second: Batch) -> Batch:
    one, other = first.inputs, second.inputs
    inputs = Encoded(
        torch.cat([one.numbers, other.numbers]),
        torch.cat([one.extras, other.extras]),
        torch.cat([one.codes, other.codes]),
    )
    weight = None
    if first.weight is not None and second.weight is not None:
        weight = torch.cat([first.weight, second.weight], dim=-1)
    return Batch(inputs, torch.cat([first.target, second.target]), weight)
