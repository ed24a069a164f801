"""What rows usually look like, in numbers small enough to travel with a model, and how far a row is from that.

Every column becomes a normal score: a number by its quantiles in the training rows, a category by how rare it is, a
text by its length and how common its words are, a series or a picture by a few statistics. A row's distance is that
of Mahalanobis over these scores, with the leading axes of their correlation and one variance for all others (Tipping &
Bishop, Probabilistic Principal Component Analysis, JRSS B 1999); with ranks instead of values no outlier among the
training rows can widen it. No row is kept: see docs/decisions/conformal.md. NumPy only: a server measures rows so.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from assay.data.inputs import LARGEST, Input, Matrices, View, is_numeric, views_of
from assay.data.schema import Kind
from assay.records import Record

Floats = NDArray[np.float64]

#: Scores end here: a cell can be this unusual and no more.
FURTHEST = 8.0
#: Words of texts share so many counts.
FOLD = 2048
#: Steps that fill gaps, and what counts as no length.
_STEPS, _NOTHING = 16, 1e-24
#: A value that differs from a column's only one is so unusual at least.
_NEVER = 3.0


class Numbers(Record):
    """A number that is told of each row: normal `scores` at some of its `values`, and the score of a missing cell."""

    name: str
    values: tuple[float, ...]
    scores: tuple[float, ...]
    missing: float


class Categories(Record):
    """How rare each category of a column is, as a normal score from 0 on, by its code."""

    name: str
    scores: tuple[float, ...]


class Words(Record):
    """How rarely the words of a text column occur: minus the log of the share of each of `FOLD` groups of them."""

    name: str
    surprise: tuple[float, ...]


class Outline(Record):
    """What the training rows look like, and from which distance on a row is unusual.

    rows: of how many it was learned. center, scale: of the scores. axes: leading axes of the scaled scores, (q, D).
    variances: along them. rest: along all others. limit: the largest distance that is usual, None where it could not be
    calibrated; rate: the share of usual rows beyond it. calibration: rows that the limit was found on.
    """

    rows: int
    numbers: tuple[Numbers, ...]
    categories: tuple[Categories, ...]
    words: tuple[Words, ...]
    center: tuple[float, ...]
    scale: tuple[float, ...]
    axes: tuple[tuple[float, ...], ...]
    variances: tuple[float, ...]
    rest: float
    limit: float | None = None
    rate: float = 0.0
    calibration: int = 0

    def place(self, raw: Matrices, inputs: tuple[Input, ...]) -> Placed:
        """Where rows lie; `raw` are their cells, read as the model reads them."""
        scores = scores_of(self, numbers_of(raw, inputs, self.words), raw.codes)
        missing = np.isnan(scores)
        scaled = self.filled((scores - np.array(self.center)) * np.array(self.scale))
        along = scaled @ self._matrix().T
        # Each score times its share of the inverse covariance: they sum to the squared distance of the row. A gap
        # adds what it is unusual by itself.
        gaps = np.array([one.missing for one in self.numbers] + [0.0] * len(self.categories))
        shares = scaled * self._precision(scaled) + np.where(missing, gaps**2, 0.0)
        squares = np.maximum(shares.sum(axis=1), 0.0) / max(scaled.shape[1], 1)
        most = shares.argmax(axis=1) if shares.shape[1] else np.zeros(len(shares), np.int64)
        return Placed(np.sqrt(squares), along / np.sqrt(np.array(self.variances)), most)

    def filled(self, scaled: Floats) -> Floats:
        """Scaled scores (n, D) with what is likeliest for those that are missing, given the others of the row.

        The distance is then that of the known scores alone. Conjugate gradients, all rows at once.
        """
        missing = np.isnan(scaled)
        found = np.where(missing, 0.0, scaled)
        some = np.flatnonzero(missing.any(axis=1))
        if not len(some):
            return found
        mask, part = missing[some], found[some]
        left = -self._precision(part) * mask
        way, size = left, (left**2).sum(axis=1)
        for _ in range(_STEPS):
            turned = self._precision(way) * mask
            bent = (way * turned).sum(axis=1)
            step = np.divide(size, bent, out=np.zeros_like(size), where=bent > _NOTHING)[:, None]
            part, left = part + step * way, left - step * turned
            now = (left**2).sum(axis=1)
            way = left + np.divide(now, size, out=np.zeros_like(now), where=size > _NOTHING)[:, None] * way
            size = now
        found[some] = part
        return found

    def _matrix(self) -> Floats:
        return np.array(self.axes).reshape(len(self.variances), len(self.center))

    def _precision(self, scaled: Floats) -> Floats:
        """The inverse covariance times each row, (n, D)."""
        axes = self._matrix()
        own = 1.0 / np.array(self.variances) - 1.0 / self.rest
        return np.asarray(scaled / self.rest + (scaled @ axes.T * own) @ axes)

    @property
    def names(self) -> tuple[str, ...]:
        """What each score is of."""
        return (*(one.name for one in self.numbers), *(one.name for one in self.categories))


@dataclass(frozen=True)
class Placed:
    """Where rows lie: distances (n,), coordinates along the leading axes (n, q), and the most unusual score, (n,)."""

    distance: Floats
    coordinates: Floats
    most: NDArray[np.int64]


def joined(parts: list[Placed]) -> Placed:
    """The places of several blocks of rows under each other."""
    return Placed(
        np.concatenate([part.distance for part in parts]),
        np.concatenate([part.coordinates for part in parts]),
        np.concatenate([part.most for part in parts]),
    )


# Cells to numbers -----------------------------------------------------------------------------------------------------


def number_names(inputs: tuple[Input, ...]) -> tuple[str, ...]:
    """What `numbers_of` tells of, in its order: columns by their names."""
    names = [item.name for item in inputs if is_numeric(item)]
    for name in _token_names(inputs):
        names += [f"length of {name}", f"words of {name}"]
    for view in views_of(inputs):
        if view.kind == "series":
            names += [f"{what} of {item.name}" for item in view.items for what in ("mean", "spread", "change", "gaps")]
        elif view.kind == "pictures":
            channels = range(int(view.shape[0]))
            names += [f"{what} {channel + 1} of {view.items[0].name}"
                      for channel in channels for what in ("brightness", "contrast", "sharpness")]  # fmt: skip
    return tuple(names)


def numbers_of(raw: Matrices, inputs: tuple[Input, ...], words: tuple[Words, ...]) -> Floats:
    """A few numbers for each row, NaN where a cell is missing, (n, A); `words` are those of the training rows."""
    parts = [np.where(np.isfinite(raw.values), raw.values.clip(-LARGEST, LARGEST), np.nan)]
    for (ids, known), one in zip(tokens_of(raw, inputs), words, strict=True):
        parts.append(_told_of_words(ids, known, np.array(one.surprise)))
    for view, array in zip(views_of(inputs), raw.media, strict=True):
        if view.kind == "series":
            parts += [_told_of_series(array[:, channel]) for channel in range(array.shape[1])]
        elif view.kind == "pictures":
            parts += [_told_of_pictures(array[:, channel]) for channel in range(array.shape[1])]
    return np.concatenate(parts, axis=1)


def tokens_of(raw: Matrices, inputs: tuple[Input, ...]) -> list[tuple[NDArray[np.int64], NDArray[np.bool_]]]:
    """The words of texts, as groups of them (n, k) and where there is one (n, k), for each of `_token_names`."""
    found, start = [], 0
    viewed = _text_views(inputs)
    taken = {item.name for view in viewed for item in view.items}
    for item in inputs:
        if item.buckets:
            counts = raw.texts[:, start : start + item.buckets]
            start += item.buckets
            if item.name not in taken:
                known = counts != 0.0
                found.append((np.broadcast_to(np.arange(item.buckets) % FOLD, known.shape), known))
    arrays = dict(zip((view.name for view in views_of(inputs)), raw.media, strict=True))
    for view in viewed:
        read = arrays[view.name]
        ids = read.reshape(len(read), int(np.prod(read.shape[1:]))).astype(np.int64)
        known = ids > 0
        found.append(((ids % view.items[0].grams if view.kind == "grams" else ids) % FOLD, known))
    return found


def _text_views(inputs: tuple[Input, ...]) -> list[View]:
    """One array for each text column, where it has any: its tokens, else its n-grams, else the words of all texts."""
    chosen: list[View] = []
    views = views_of(inputs)
    for kind in ("windows", "grams", "words"):
        taken = {item.name for view in chosen for item in view.items}
        chosen += [view for view in views if view.kind == kind and not taken & {item.name for item in view.items}]
    return chosen


def _token_names(inputs: tuple[Input, ...]) -> list[str]:
    viewed = _text_views(inputs)
    taken = {item.name for view in viewed for item in view.items}
    plain = [item.name for item in inputs if item.kind is Kind.TEXT and item.buckets and item.name not in taken]
    return plain + [" and ".join(item.name for item in view.items) for view in viewed]


def token_names(inputs: tuple[Input, ...]) -> list[str]:
    """The text columns that `tokens_of` reads, in its order."""
    return _token_names(inputs)


def _told_of_words(ids: NDArray[np.int64], known: NDArray[np.bool_], surprise: Floats) -> Floats:
    """The log of how many words there are, and how rare they are on average, (n, 2)."""
    many = known.sum(axis=1)
    rare = np.where(known, surprise[ids], 0.0).sum(axis=1) / np.maximum(many, 1)
    return np.stack([np.log1p(many), np.where(many > 0, rare, np.nan)], axis=1)


def _told_of_series(steps: NDArray[np.float32]) -> Floats:
    """Mean, deviation and mean change of series (n, T), and the share of steps that are missing, (n, 4)."""
    known = np.isfinite(steps)
    many = known.sum(axis=1)
    filled = np.where(known, steps, 0.0).astype(np.float64)
    mean = filled.sum(axis=1) / np.maximum(many, 1)
    spread = np.sqrt((np.where(known, filled - mean[:, None], 0.0) ** 2).sum(axis=1) / np.maximum(many, 1))
    pairs = known[:, 1:] & known[:, :-1]
    change = np.where(pairs, np.abs(np.diff(filled, axis=1)), 0.0).sum(axis=1) / np.maximum(pairs.sum(axis=1), 1)
    told = np.where((many > 0)[:, None], np.stack([mean, spread, change], axis=1), np.nan)
    return np.concatenate([told, (1.0 - known.mean(axis=1))[:, None]], axis=1)


def _told_of_pictures(channel: NDArray[np.uint8]) -> Floats:
    """Brightness, contrast and sharpness (mean change between neighbours) of a channel (n, H, W): (n, 3)."""
    pixels = channel.astype(np.float32)
    change = np.abs(np.diff(pixels, axis=1)).mean(axis=(1, 2)) + np.abs(np.diff(pixels, axis=2)).mean(axis=(1, 2))
    return np.stack([pixels.mean(axis=(1, 2)), pixels.std(axis=(1, 2)), change], axis=1).astype(np.float64)


# Numbers to scores ----------------------------------------------------------------------------------------------------


def scores_of(outline: Outline, numbers: Floats, codes: NDArray[np.int64]) -> Floats:
    """The normal scores of rows, (n, D), NaN where a number is missing: 0 is usual, one row in a thousand has 3."""
    found = np.empty((len(numbers), len(outline.numbers) + len(outline.categories)))
    for at, one in enumerate(outline.numbers):
        found[:, at] = number_scores(numbers[:, at], one)
    for at, rare in enumerate(outline.categories):
        scores = np.array(rare.scores)
        found[:, len(outline.numbers) + at] = scores[codes[:, at]]
    return found


def number_scores(cells: Floats, one: Numbers) -> Floats:
    """The scores of cells (n,): straight lines between the knots, and on beyond them in the slope of the last one."""
    missing = np.isnan(cells)
    if not one.values:
        return np.where(missing, np.nan, _NEVER)
    values, scores = np.array(one.values), np.array(one.scores)
    filled = np.where(missing, values[0], cells)
    if len(values) == 1:
        away = filled - values[0]
        score = scores[0] + np.sign(away) * _NEVER + away / max(abs(values[0]), 1.0)
    else:
        least = 0.1 * (values[-1] - values[0])
        below = (scores[1] - scores[0]) / max(values[1] - values[0], least)
        above = (scores[-1] - scores[-2]) / max(values[-1] - values[-2], least)
        score = np.interp(filled, values, scores)
        score += np.minimum(filled - values[0], 0.0) * below + np.maximum(filled - values[-1], 0.0) * above
    return np.where(missing, np.nan, np.clip(score, -FURTHEST, FURTHEST))
