"""The names of what an encoder gives a network: one for each number, extra and category code."""

from __future__ import annotations

from dataclasses import dataclass

from assay.data.encoding.encode import Encoder
from assay.data.encoding.learn import CYCLES
from assay.data.inputs import is_numeric
from assay.data.schema import Kind

_CYCLE_OF = {period: name for name, period in CYCLES.items()}


@dataclass(frozen=True)
class EncodedNames:
    """Names in the order of `Encoded`: of the numbers, of the extras, and of each category column's codes."""

    numbers: tuple[str, ...]
    extras: tuple[str, ...]
    codes: tuple[tuple[str, tuple[str, ...]], ...]


def encoded_names(encoder: Encoder) -> EncodedNames:
    """What each column of the encoded rows is."""
    preprocess = encoder.preprocess
    numeric = [item.name for item in encoder.inputs if is_numeric(item)]
    turns = [
        f"{numeric[column]}: {_CYCLE_OF[float(period)]}"
        for column, period in zip(preprocess.dates.tolist(), preprocess.periods.tolist(), strict=True)
    ]
    extras = [f"{numeric[column]}: is missing" for column in preprocess.flagged.tolist()]
    extras += [numeric[column] for column in preprocess.booleans.tolist()]
    extras += [f"{turn} {part}" for part in ("sine", "cosine") for turn in turns]
    texts = [item for item in encoder.inputs if item.buckets]
    extras += [f"{item.name}: bucket {bucket}" for item in texts for bucket in range(item.buckets)]
    if encoder.frozen is not None:
        read = [item.name for item in encoder.inputs if item.window]
        extras += [f"{name}: feature {place}" for name in read for place in range(encoder.frozen.width)]
    codes = tuple(
        (item.name, ("unknown", "missing", *item.categories)) for item in encoder.inputs if item.kind is Kind.CATEGORY
    )
    return EncodedNames(tuple(numeric[column] for column in preprocess.trends.tolist()), tuple(extras), codes)
