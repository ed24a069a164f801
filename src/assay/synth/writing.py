"""Synthetic rows into a file, a block at a time, so that memory does not grow with their number."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from assay.synth.attacks import Copies
from assay.synth.block import Block, Generator
from assay.synth.codec import Codec
from assay.synth.config import SynthesisConfig

#: Rows that are made at once, and rows that stand the tests at most.
BLOCK, TESTED = 50_000, 20_000


@dataclass(frozen=True)
class Written:
    """The first rows again, as a frame and as a block, for the tests; and how many of all rows written are copies."""

    frame: pl.DataFrame
    block: Block
    copies: int


def write(
    generator: Generator,
    codec: Codec,
    config: SynthesisConfig,
    learned: pl.DataFrame,
    *,
    tested: int,
    path: Path,
    scratch: Path,
    tell: Callable[[int, int], None],
) -> Written:
    """Write the rows asked for; where they are fewer than `tested`, more are made for the tests alone.

    Args:
        generator, codec: what makes rows, and what makes cells of them.
        config: how many rows, and the seed that they follow from.
        learned: the rows learned from, of which copies are counted.
        tested: rows that the tests want.
        path: the file.
        scratch: a folder for the pieces of a Parquet file.
        tell: is told of the rows written, and of how many.
    """
    copies, found = Copies(learned.select(codec.described)), 0
    kept: list[pl.DataFrame] = []
    pieces: list[Path] = []
    for first, frame in _frames(generator, codec, max(config.rows, tested), config.seed):
        if first < TESTED:
            kept.append(frame.head(TESTED - first))
        wanted = frame.head(max(config.rows - first, 0))
        found += copies.among(wanted.select(codec.described))
        given = codec.as_given(wanted)
        if config.file == "csv":
            with path.open("ab") as stream:
                given.write_csv(stream, include_header=first == 0)
        else:
            pieces.append(scratch / f"{first}.parquet")
            given.write_parquet(pieces[-1])
        tell(min(first + BLOCK, config.rows), config.rows)
    if pieces:
        pl.scan_parquet(pieces).sink_parquet(path)
    made = pl.concat(kept)
    return Written(made, codec.read(made), found)


def _frames(generator: Generator, codec: Codec, rows: int, seed: int) -> Iterator[tuple[int, pl.DataFrame]]:
    """The rows in blocks, each with the place of its first row; the draws of a block follow from its number."""
    for number, first in enumerate(range(0, rows, BLOCK)):
        rng = np.random.default_rng([seed, 4, number])
        block = generator.sample(min(BLOCK, rows - first), rng)
        yield first, codec.write(block, first, rng)
