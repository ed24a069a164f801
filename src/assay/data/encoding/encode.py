"""From cells to the network's inputs: what is learned, is learned on training rows and lives in a module.

The Encoder owns the vocabularies (outside the network) and a `Preprocess` module (inside it). `Preprocess` has nothing
that gradients change, so training runs it once over each part and serving runs it in front of the network.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import polars as pl
import torch
from torch import Tensor

from assay.data import columns
from assay.data.config import EncodeConfig
from assay.data.encoding.learn import Learned, Plan, learn
from assay.data.encoding.preprocess import Preprocess
from assay.data.inputs import (
    RESERVED,
    Input,
    Readers,
    View,
    ViewKind,
    is_numeric,
    joined_media,
    matrices,
    values_of,
    views_of,
)
from assay.data.picture_sources.tables import Pictures
from assay.data.pictures.reader import PictureReader
from assay.data.rows import Rows, sample_of
from assay.data.schema import FEATURE_KINDS, Column, Kind, Schema
from assay.data.steps import steps_of
from assay.data.texts.frozen import FrozenText, Tell, TextFeatures
from assay.data.texts.grams import MOST_GRAMS
from assay.data.texts.tokens import MOST_WINDOWS
from assay.errors import ConfigError
from assay.ledger import Ledger, Outcome

#: Training rows that the scale of a text encoder's features is learned from at most.
_FEATURE_ROWS = 20_000
#: Features of an encoder that vary less than this are left out: scaled up, their last bits would be in the answer.
_LEAST_DEVIATION = 1e-3


@dataclass(frozen=True)
class Encoded:
    """The network's inputs for some rows.

    numbers: scaled numbers, float32 (n, N).
    extras: missing flags, booleans, date cycles and texts, float32 (n, E).
    codes: category codes, int32 (n, C).
    media: what networks take that read texts themselves, see `Layout.media`; only some networks take any of it.
    """

    numbers: Tensor
    extras: Tensor
    codes: Tensor
    media: tuple[Tensor, ...] = ()

    def __len__(self) -> int:
        return len(self.codes)

    def __getitem__(self, rows: slice | Tensor) -> Encoded:
        media = tuple(each[rows] for each in self.media)
        return Encoded(self.numbers[rows], self.extras[rows], self.codes[rows], media)

    def to(self, device: torch.device) -> Encoded:
        """The same rows on `device`."""
        media = tuple(each.to(device) for each in self.media)
        return Encoded(self.numbers.to(device), self.extras.to(device), self.codes.to(device), media)

    def reading(self, places: Sequence[int]) -> Encoded:
        """The same rows with these of the media and no others."""
        return replace(self, media=tuple(self.media[place] for place in places))


@dataclass(frozen=True)
class Layout:
    """Sizes of the network's inputs; `vocabularies` counts the codes of each category column.

    media: the arrays that networks may take themselves. texts: how many of the extras say what texts say, the last.
    """

    numbers: int
    extras: int
    vocabularies: tuple[int, ...]
    media: tuple[View, ...] = ()
    texts: int = 0

    def places(self, kind: ViewKind) -> tuple[int, ...]:
        """Places of the media of a kind."""
        return tuple(place for place, view in enumerate(self.media) if view.kind == kind)

    def without_texts(self) -> Layout:
        """What a network takes that does not hear what texts say."""
        return replace(self, extras=self.extras - self.texts, texts=0)


class Encoder:
    """Vocabularies and Preprocess, learned from training rows: `encode` turns rows into the network's inputs."""

    def __init__(
        self,
        inputs: tuple[Input, ...],
        preprocess: Preprocess,
        layout: Layout,
        frozen: FrozenText | None = None,
        pictures: PictureReader | None = None,
    ) -> None:
        self.inputs = inputs
        self.preprocess = preprocess
        self.layout = layout
        self.frozen = frozen
        self.pictures = pictures
        tokenizer = None if frozen is None else frozen.tokenizer
        self.readers = Readers(tokenizer, None if pictures is None else pictures.arrays)
        self.longer: dict[str, int] = {}
        """Texts that were longer than they are read, by the view that reads them, among all that were encoded."""

    @classmethod
    def fit(
        cls,
        train: Rows,
        schema: Schema,
        config: EncodeConfig,
        ledger: Ledger,
        *,
        frozen: FrozenText | None = None,
        pictures: Pictures | None = None,
        words: bool = False,
        tell: Tell | None = None,
        tunes: bool = False,
    ) -> Encoder:
        """Learn from `train`, which must be training rows.

        Args:
            frozen: a text encoder that reads the text columns.
            tunes: whether networks are to be given its windows too, to train it further.
            pictures: those of the column of pictures, which were decoded before.
            words: whether texts are read word by word, for networks that do.
            tell: told of how many texts it has read, of how many.

        Raises:
            ValueError: the rows are not training rows.
        """
        if train.part != "train":
            raise ValueError(f"an encoder learns from training rows, not from {train.part} rows")
        counted = [_plan_input(train, column, config, frozen, pictures) for column in _input_order(schema)]
        inputs = _of_one_length(tuple(item for item, _ in counted))
        if words:
            inputs = tuple(_with_words(item, config) for item in inputs)
        plan = _plan_values(inputs, schema)
        numeric = [item for item in inputs if is_numeric(item)]
        learned = learn((values_of(train.column(item.name), item) for item in numeric), plan, config)
        features = None if frozen is None else _learn_features(frozen, inputs, train, tell)
        preprocess = Preprocess(learned, plan, config, features)
        vocabularies = tuple(len(item.categories) + 2 for item in inputs if item.kind is Kind.CATEGORY)
        media = tuple(view for view in views_of(inputs) if tunes or view.kind != "windows")
        reader = None if pictures is None else pictures.reader
        texts = sum(plan.text_sizes) + (0 if features is None else features.width)
        layout = Layout(len(plan.trends), preprocess.extras, vocabularies, media, texts)
        encoder = cls(inputs, preprocess, layout, frozen, reader)
        _write_verdicts(ledger, encoder, len(train), learned, sum(merged for _, merged in counted), plan, config)
        return encoder

    def encode(self, frame: pl.DataFrame, tell: Tell | None = None) -> Encoded:
        """The network's inputs for the rows of `frame`.

        Raises:
            DataError: a column is missing.
        """
        raw = matrices(frame, self.inputs, self.readers)
        self.longer = {name: self.longer.get(name, 0) + count for name, count in raw.cut.items()}
        values, texts = torch.from_numpy(raw.values), torch.from_numpy(raw.texts)
        block = self.preprocess.rows_at_once
        pieces = []
        with torch.no_grad():
            for start in range(0, max(len(values), 1), block):
                some = slice(start, start + block)
                pieces.append(self.preprocess.without_features(values[some], texts[some]))
        numbers, extras = (torch.cat(part) for part in zip(*pieces, strict=True))
        views = views_of(self.inputs)
        if self.frozen is not None:
            assert self.preprocess.features is not None
            windows = [array for view, array in zip(views, raw.media, strict=True) if view.kind == "windows"]
            vectors = torch.from_numpy(np.stack([self.frozen.vectors(ids, tell) for ids in windows], 1))
            extras = torch.cat([extras, self.preprocess.features.scaled(vectors)], 1)
        media = tuple(
            torch.from_numpy(array) for view, array in zip(views, raw.media, strict=True) if view in self.layout.media
        )
        return Encoded(numbers, extras, torch.from_numpy(raw.codes.astype(np.int32)), media)

    def encode_rows(self, rows: Rows, tell: Tell | None = None) -> Encoded:
        """`encode` a block of rows at a time: memory holds the answer and one block."""
        count, layout = len(rows), self.layout
        made = Encoded(
            torch.empty((count, layout.numbers)),
            torch.empty((count, layout.extras)),
            torch.empty((count, len(layout.vocabularies)), dtype=torch.int32),
        )
        done, media = 0, []
        for frame in rows.blocks():
            found, place = self.encode(frame, tell), slice(done, done + frame.height)
            made.numbers[place], made.extras[place], made.codes[place] = found.numbers, found.extras, found.codes
            media.append(tuple(each.numpy() for each in found.media))
            done += frame.height
        if not layout.media:
            return made
        return replace(made, media=tuple(torch.from_numpy(each) for each in joined_media(media, layout.media)))


def note_lengths(encoder: Encoder, ledger: Ledger) -> None:
    """The verdict on texts and series longer than a model reads, among the training and validation rows."""
    longer = {view: encoder.longer.get(view.name, 0) for view in views_of(encoder.inputs) if view.kind != "pictures"}
    if not longer:
        return
    most = {
        "windows": f"{max(item.windows for item in encoder.inputs) or MOST_WINDOWS} windows of tokens",
        "grams": f"{MOST_GRAMS:,} n-grams of a kind",
        "words": f"{max(item.words for item in encoder.inputs):,} words",
        "series": f"{max(item.length for item in encoder.inputs):,} steps",
    }
    told = [f"{count:,} of {most[view.kind]} or more in {view.name.removeprefix(RESERVED)}"
            for view, count in longer.items() if count]  # fmt: skip
    if told:
        reason = f"not read to their end, or of windows between both ends: {', '.join(told)}"
        ledger.record("text.length", Outcome.WARNED, reason, value=sum(longer.values()))
    else:
        ledger.record("text.length", Outcome.PASSED, "every text and series is read to its end", value=0)


def _learn_features(frozen: FrozenText, inputs: tuple[Input, ...], train: Rows, tell: Tell | None) -> TextFeatures:
    """The mean and the deviation of each feature of each text column, on training rows."""
    taken = sample_of(len(train), _FEATURE_ROWS)
    rows = train if taken is None else train.at(taken)
    centers, scales = [], []
    for item in inputs:
        if not item.window:
            continue
        texts = columns.as_text(rows.column(item.name)).to_list()
        vectors = frozen.vectors(frozen.windows(texts), tell).astype(np.float64)
        deviation = vectors.std(0)
        centers.append(vectors.mean(0).astype(np.float32))
        scales.append(np.divide(1.0, deviation, out=np.zeros_like(deviation), where=deviation > _LEAST_DEVIATION))
    return TextFeatures(frozen.encoder, np.stack(centers), np.stack(scales).astype(np.float32))


def _input_order(schema: Schema) -> list[Column]:
    """Feature columns laid out by kind, so that each kind is a block of its matrix."""
    features = schema.features
    return [column for kind in FEATURE_KINDS for column in features if column.kind is kind]


def _plan_input(
    train: Rows, column: Column, config: EncodeConfig, frozen: FrozenText | None, pictures: Pictures | None
) -> tuple[Input, int]:
    """The input that a column becomes, and how many cells of a category share the slot for unknown."""
    name = column.name
    if column.kind is Kind.CATEGORY:
        categories, merged = _vocabulary(train.column(name), config)
        return Input(name=name, kind=column.kind, categories=categories), merged
    if column.kind is Kind.IMAGE:
        if pictures is None:
            raise ConfigError(
                "pictures must be decoded before rows are encoded",
                f"column {name!r} names pictures, and they were not",
                "Leave the column out with --drop.",
            )
        return Input(name=name, kind=column.kind, picture=pictures.form), 0
    if column.kind is Kind.SEQUENCE:
        return Input(
            name=name,
            kind=column.kind,
            length=min(int(steps_of(train.column(name)).lengths.max(initial=1)), config.series_length),
        ), 0
    if column.kind is Kind.TEXT:
        # What an encoder says of a text leaves nothing to the few buckets, which are many inputs of little use each.
        buckets = config.text_buckets if frozen is None else 0
        window, windows = (0, 0) if frozen is None else (frozen.window, frozen.most)
        return Input(
            name=name, kind=column.kind, buckets=buckets, ngrams=config.text_ngrams if buckets else 0,
            grams=config.text_grams, window=window, windows=windows,
        ), 0  # fmt: skip
    return Input(name=name, kind=column.kind, format=column.format), 0


def _with_words(item: Input, config: EncodeConfig) -> Input:
    return item.model_copy(update={"words": config.text_words}) if item.kind is Kind.TEXT else item


def _of_one_length(inputs: tuple[Input, ...]) -> tuple[Input, ...]:
    """All channels of a row's series are read up to the longest of them."""
    length = max((item.length for item in inputs), default=0)
    return tuple(item.model_copy(update={"length": length}) if item.length else item for item in inputs)


def _vocabulary(series: pl.Series, config: EncodeConfig) -> tuple[tuple[str, ...], int]:
    """The categories with a vector of their own - the most frequent ones, ties by their text - and the other cells."""
    counts = columns.category_counts(series)
    kept = counts.filter(pl.col("rows") >= config.min_category_rows).head(config.max_categories)
    merged = int(counts["rows"].to_numpy().sum() - kept["rows"].to_numpy().sum())
    return tuple(kept["category"].sort().to_list()), merged


def _plan_values(inputs: tuple[Input, ...], schema: Schema) -> Plan:
    numeric = [item for item in inputs if is_numeric(item)]
    places = {kind: [i for i, item in enumerate(numeric) if item.kind is kind] for kind in FEATURE_KINDS}
    # The time that orders the rows has no trend the network may use: test rows are later than all it has seen.
    trending = [i for i in places[Kind.DATETIME] if numeric[i].name != schema.time]
    timeless = [i for i in places[Kind.NUMBER] if numeric[i].name != schema.time]
    texts = [item.buckets for item in inputs if item.buckets]
    return Plan(timeless + trending, places[Kind.BOOLEAN], places[Kind.DATETIME], texts)


def _write_verdicts(
    ledger: Ledger, encoder: Encoder, rows: int, learned: Learned, merged: int, plan: Plan, config: EncodeConfig
) -> None:
    """What the encoder learned from so many `rows` and applied, practice by practice."""
    sample = "" if learned.sampled is None else f", by a random sample of {learned.sampled:,} of the training rows"
    ledger.record("encode.train-only", Outcome.PASSED, f"learned from {rows:,} training rows and no others", value=rows)
    if learned.incomplete:
        flags = "with a flag" if config.missing_flags else "without a flag"
        reason = f"{learned.incomplete} columns filled with the training median, {flags}{sample}"
        ledger.record("encode.impute", Outcome.APPLIED, reason, value=learned.incomplete)
    else:
        ledger.record("encode.impute", Outcome.NOT_APPLICABLE, "no number is missing in the training rows")
    if plan.trends:
        scaled = Outcome.SKIPPED if config.scale == "none" else Outcome.APPLIED
        reason = f"{config.scale} scaling of {len(plan.trends)} columns{sample}"
        ledger.record("encode.scale", scaled, reason, value=len(plan.trends))
        clipped = Outcome.APPLIED if config.clip else Outcome.SKIPPED
        ledger.record("encode.clip", clipped, f"smooth limit at {config.clip:g} scaled units", value=config.clip)
    categories = [item for item in encoder.inputs if item.kind is Kind.CATEGORY]
    if categories:
        kept = sum(len(item.categories) for item in categories)
        reason = f"{len(categories)} columns, {kept:,} categories, each column with a slot for unknown and for missing"
        ledger.record("encode.embeddings", Outcome.APPLIED, reason, value=len(categories))
        reason = (
            f"{merged:,} training cells of categories with fewer than {config.min_category_rows} rows, or beyond the "
            f"{config.max_categories:,} most frequent, share the slot for unknown"
        )
        ledger.record("encode.rare-categories", Outcome.APPLIED if merged else Outcome.PASSED, reason, value=merged)
    if plan.dates:
        reason = f"{len(plan.dates)} columns laid on {len(learned.cycle_columns)} cycles"
        ledger.record("encode.dates", Outcome.APPLIED, reason, value=len(plan.dates))
    if plan.text_sizes:
        reason = (
            f"{len(plan.text_sizes)} columns, {config.text_buckets} buckets, n-grams up to {config.text_ngrams} words"
        )
        ledger.record("encode.text", Outcome.APPLIED, reason, value=len(plan.text_sizes))
