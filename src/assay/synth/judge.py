"""All tests of synthetic rows. Held-back real rows are the yardstick: what they differ by is what chance makes."""

from __future__ import annotations

import numpy as np
import polars as pl

from assay.data.rows import Rows, sample_of
from assay.data.schema import Kind, Schema
from assay.synth.attacks import Copies, Counted, Sides, closeness, detection, membership
from assay.synth.block import Ints
from assay.synth.codec import Codec
from assay.synth.config import SynthesisConfig
from assay.synth.fidelity import column_fidelity, pair_fidelity
from assay.synth.parts import Parts
from assay.synth.record import Generation, Quality
from assay.synth.utility import utility
from assay.synth.writing import TESTED, Written
from assay.version import __version__


def judge(
    parts: Parts, codec: Codec, written: Written, config: SynthesisConfig, made: Generation, *,
    seconds: float | None, threads: int,
) -> Quality:  # fmt: skip
    """Everything that is known of the rows in `written`.

    Args:
        parts: the real rows.
        codec: turns frames into blocks.
        written: the synthetic rows.
        config: what was asked for.
        made: how they were made.
        seconds: wall time for the models of the utility test, None for no limit.
        threads: of the processor, for these models.
    """
    seed, schema, source = config.seed, parts.schema, parts.table.source
    learned, held_back, synthetic = codec.read(parts.learned_frame), codec.read(parts.held_back_frame), written.block
    narrow = schema.model_copy(update={"columns": tuple(codec.columns.values()), "dropped": ()})
    real, other = learned, held_back
    if made.augments:  # new rows of some classes are compared with real rows of these, in the same shares
        wanted = parts.rows(written.frame, narrow).target
        real = learned.at(like(parts.learned.target, wanted, seed))
        alike = like(parts.held_back.target, wanted, seed)
        other = held_back.at(alike) if len(alike) > 1 else held_back
    even = sample_of(len(real), len(other), seed)
    sides = Sides(real if even is None else real.at(even), other, synthetic)
    return Quality(
        assay=__version__, source=source.name, sha256=source.sha256, target=schema.target, task=schema.task, made=made,
        rows=config.rows, tested_rows=len(synthetic), fit_rows=len(learned), held_back_rows=len(held_back),
        without_target=parts.without_target, seed=seed, left_out=dict(codec.left_out),
        notes=(*parts.notes, *_notes(codec, schema.target)),
        utility=utility(
            *_training(parts, written, narrow, made, seed), parts.rows(parts.held_back_frame, narrow), narrow,
            seed=seed, seconds=seconds, threads=threads,
        ),
        detection=detection(real, synthetic, seed, threads),
        columns=column_fidelity(real, synthetic, other, codec), pairs=pair_fidelity(real, synthetic, other, codec),
        closeness=closeness(sides, learned, Counted(config.rows, written.copies, _repeats(parts, codec)), seed),
        membership=membership(sides, learned, seed),
    )  # fmt: skip


def _training(parts: Parts, written: Written, schema: Schema, made: Generation, seed: int) -> tuple[Rows, Rows]:
    """Real training rows, and as many synthetic ones; or, where these are to be added, both together."""
    taken = sample_of(len(parts.learned), TESTED, seed)
    frame = parts.learned_frame if taken is None else parts.learned_frame[taken]
    names = [column.name for column in schema.columns]
    new = written.frame.select(names)
    new = pl.concat([frame.select(names), new]) if made.augments else new.head(frame.height)
    return parts.rows(frame, schema), parts.rows(new, schema)


def _repeats(parts: Parts, codec: Codec) -> float:
    """The share of the held-back rows that equal a row learned from."""
    found = Copies(parts.learned_frame.select(codec.described)).among(parts.held_back_frame.select(codec.described))
    return found / parts.held_back_frame.height


def like(target: Ints, wanted: Ints, seed: int) -> Ints:
    """Places of as many rows as can be had with the classes in the shares that they have in `wanted`, (m,).

    Args:
        target: classes of the rows, (n,).
        wanted: classes of other rows.
        seed: of the draw.
    """
    classes = int(max(target.max(), wanted.max())) + 1
    share = np.bincount(wanted, minlength=classes) / len(wanted)
    there = np.bincount(target, minlength=classes)
    asked = np.flatnonzero(share > 0)
    size = float((there[asked] / share[asked]).min())
    rng = np.random.default_rng([seed, 5])
    taken = [
        rng.choice(
            np.flatnonzero(target == at), max(int(size * share[at] + 1e-9), min(1, int(there[at]))), replace=False
        )
        for at in asked
    ]
    return np.sort(np.concatenate(taken)).astype(np.int64)


def _notes(codec: Codec, target: str) -> tuple[str, ...]:
    """What the user should know of the columns: names left out, and categories that may stand for one person."""
    notes = [f"{name!r} is left out: {why}" for name, why in codec.left_out.items()]
    rare = () if codec.labels is None else codec.labels.labelling.left_out
    if rare:
        notes.append(f"labels of too few rows to learn from are never given: {', '.join(map(repr, list(rare)[:8]))}")
    for name, form in codec.coded.items():
        single = int((form.rows[~form.missing] == 1).sum())
        if single and codec.shown[name].kind is Kind.CATEGORY and name != target:
            noun = "category stands" if single == 1 else "categories stand"
            notes.append(
                f"{single:,} {noun} in a single row of {name!r} and may be written as they are: leave the column out "
                "with --drop if they could name somebody"
            )
    return tuple(notes)
