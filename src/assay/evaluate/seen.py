"""What training sees of a few of its rows: changed pictures and series, and cells as they are encoded.

A bounded sample is kept with the report, so that it can be looked at later without the data and without torch.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator, Sequence

import numpy as np
import polars as pl
import torch
from torch import Tensor
from torch.nn import functional

from assay._imports import require
from assay.data.encoding.batches import Batch
from assay.data.encoding.encode import Encoded
from assay.data.encoding.names import encoded_names
from assay.data.rows import Rows, sample_of
from assay.data.schema import Kind, Schema
from assay.data.split.split import Split
from assay.evaluate.record import Seen, SeenSeries, Thumbnail
from assay.models.config import PICTURES, SERIES
from assay.train.augment.mixing import mixed
from assay.train.changes import changed, policy_of
from assay.train.model import Model
from assay.train.part import Part

#: Pictures and the side they are shown in; series and their steps; rows of other cells and the columns of each.
_PICTURES, _SIDE = 32, 96
_SERIES, _STEPS = 6, 200
_ROWS, _COLUMNS = 8, 24
#: Letters of a text that are shown, and the quality of JPEG.
_LETTERS, _QUALITY = 90, 90


def see(model: Model, split: Split, schema: Schema, *, seed: int) -> Seen:
    """A few training rows, drawn at random, as the network with the largest share saw them in its first epoch."""
    layout = model.encoder.layout
    wanted = _PICTURES if layout.places("pictures") else _ROWS
    taken = sample_of(len(split.train), wanted, seed)
    rows = split.train if taken is None else split.train.at(taken)
    frame, target = rows.frame, torch.from_numpy(np.asarray(rows.target))
    encoded = model.encoder.encode(frame)
    labels = _answers_in_words(rows, schema)
    pictures, told = _pictures(model.parts, encoded, layout.places("pictures"), target, labels, seed)
    series, told_series = _series(model.parts, encoded, layout.places("series"), target, labels, schema, seed)
    columns, cells = _cells(model, frame, encoded, labels, schema)
    what = "rows" if schema.windowing is None else "windows"
    sentences = [f"{len(rows)} training {what}, drawn at random.", *told, *told_series]
    return Seen(caption=" ".join(sentences), pictures=pictures, series=series, columns=columns, rows=cells)


def _answers_in_words(rows: Rows, schema: Schema) -> list[str]:
    """The class, the labels or the value of each row."""
    if schema.is_multilabel:
        return [", ".join(schema.classes[at] for at in np.flatnonzero(row)) or "no label" for row in rows.target]
    # Of a forecast the first step ahead stands for all.
    aims = rows.target if schema.windowing is None else rows.target[:, 0]
    return [schema.classes[int(one)] if schema.is_classification else f"{float(one):g}" for one in aims]


def _leading(parts: Sequence[Part], names: Sequence[str]) -> Part | None:
    """The network of these families with the largest share, those first whose rows were changed."""
    able = [part for part in parts if part.is_network and part.model.name in names]
    return max(able, key=lambda part: (bool(part.changes), part.share), default=None)


# Pictures


def _pictures(
    parts: Sequence[Part], encoded: Encoded, places: Sequence[int], target: Tensor, labels: Sequence[str], seed: int
) -> tuple[tuple[Thumbnail, ...], list[str]]:
    if not places:
        return (), []
    part = _leading(parts, (*PICTURES, "own"))
    rows = _alone(encoded, places[0], target)
    shown, told = list(labels), ["Pictures are shown as they are: no network was trained on them from scratch."]
    if part is not None:
        policy = policy_of(part.model, part.train, min(rows.inputs.media[0].shape[2:]))
        rows = rows if policy is None else changed(rows, policy, seed, 0, 0)
        told = [f"As {part.name} was trained on them, pictures were {part.changes or 'left as they are'}."]
        if part.train.mixes:
            generator = torch.Generator().manual_seed(seed)
            rows, other, share = mixed(rows, part.train.mixup, generator, cutmix=part.train.cutmix)
            names = dict(zip(map(str, target.tolist()), labels, strict=True))
            shown = [f"{a} {share:.0%}, {names[str(b)]}" for a, b in zip(labels, other.target.tolist(), strict=True)]
            told.append("They were also mixed with each other, in every batch by another share.")
    return tuple(thumbnail(one, label) for one, label in zip(rows.inputs.media[0], shown, strict=True)), told


def _alone(encoded: Encoded, place: int, target: Tensor) -> Batch:
    return Batch(encoded.reading((place,)), target, None)


def thumbnail(picture: Tensor, label: str) -> Thumbnail:
    """A picture (C, H, W) of 0 to 255, made smaller where it is large."""
    image = require("PIL.Image", "a contact sheet of pictures")
    values = picture.float().unsqueeze(0)
    factor = _SIDE / max(values.shape[2:])
    if factor < 1.0:
        size = [max(1, round(side * factor)) for side in values.shape[2:]]
        values = functional.interpolate(values, size=size, mode="area")
    pixels = values[0].round().clamp(0, 255).to(torch.uint8).permute(1, 2, 0).contiguous().numpy()
    file = io.BytesIO()
    made = image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels)
    made.save(file, "JPEG", quality=_QUALITY)
    text = base64.b64encode(file.getvalue()).decode("ascii")
    return Thumbnail(label=label, jpeg=text, width=pixels.shape[1], height=pixels.shape[0])


# Series


def _series(
    parts: Sequence[Part],
    encoded: Encoded,
    places: Sequence[int],
    target: Tensor,
    labels: Sequence[str],
    schema: Schema,
    seed: int,
) -> tuple[tuple[SeenSeries, ...], list[str]]:
    """The first channel of a few series."""
    if not places:
        return (), []
    part = _leading(parts, SERIES)
    rows = _alone(encoded, places[0], target)
    after, told = None, ["Series are shown as they are: no network of the model was trained on changed ones."]
    policy = None if part is None else policy_of(part.model, part.train, 1)
    if part is not None and policy is not None:
        after = changed(rows, policy, seed, 0, 0).inputs.media[0]
        told = [f"As {part.name} was trained on them, series underwent {part.changes}."]
    channel = next(column.name for column in schema.features if column.kind is Kind.SEQUENCE)
    before = rows.inputs.media[0]
    return tuple(
        SeenSeries(
            label=labels[row], channel=channel, before=points(before[row, 0]),
            after=() if after is None else points(after[row, 0]),
        )
        for row in range(min(_SERIES, len(before)))
    ), told  # fmt: skip


def points(values: Tensor) -> tuple[float | None, ...]:
    """At most so many steps, evenly taken, to six digits."""
    some = values[torch.linspace(0, len(values) - 1, min(len(values), _STEPS)).round().long()]
    return tuple(None if value != value else float(f"{value:.6g}") for value in some.tolist())


# Other cells


def _cells(
    model: Model, frame: pl.DataFrame, encoded: Encoded, labels: Sequence[str], schema: Schema
) -> tuple[tuple[str, ...], tuple[tuple[str, ...], ...]]:
    """Columns and rows: the target, then scaled numbers, categories with their codes, texts as they were written."""
    columns = [(schema.target, list(labels))]
    columns += _encoded(model, encoded)
    texts = [column.name for column in schema.features if column.kind is Kind.TEXT]
    columns += [(name, [_written(cell) for cell in frame[name].to_list()]) for name in texts]
    if len(columns) == 1:
        return (), ()
    kept = columns[:_COLUMNS]
    rows = tuple(tuple(values[row] for _, values in kept) for row in range(min(_ROWS, len(labels))))
    return tuple(name for name, _ in kept), rows


def _encoded(model: Model, encoded: Encoded) -> Iterator[tuple[str, list[str]]]:
    names = encoded_names(model.encoder)
    for place, (name, codes) in enumerate(names.codes):
        yield name, [f"{codes[code]} ({code})" for code in encoded.codes[:, place].tolist()]
    for place, name in enumerate(names.numbers):
        yield f"{name} (scaled)", [f"{value:.3g}" for value in encoded.numbers[:, place].tolist()]


def _written(cell: object) -> str:
    text = "" if cell is None else str(cell)
    return text if len(text) <= _LETTERS else f"{text[:_LETTERS]}..."
