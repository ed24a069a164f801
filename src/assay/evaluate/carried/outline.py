"""Learn what rows look like from training rows, and calibrate on validation rows from which distance on one is unusual.

The limit is a conformal quantile, so usual rows are flagged at the rate asked for (Bates et al., Testing for outliers
with conformal p-values, Annals of Statistics 2023, section 2).
"""

from __future__ import annotations

from statistics import NormalDist
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
from numpy.typing import NDArray

from assay.data.inputs import Input, Matrices, joined_media, matrices, views_of
from assay.data.outline import (
    FOLD,
    Categories,
    Numbers,
    Outline,
    Placed,
    Words,
    joined,
    number_names,
    numbers_of,
    scores_of,
    token_names,
    tokens_of,
)
from assay.data.rows import Rows, sample_of
from assay.data.schema import Kind
from assay.evaluate.carried.conformal import conformal_quantile, rank

if TYPE_CHECKING:
    from assay.data.encoding.encode import Encoder

Floats = NDArray[np.float64]

#: Rows that are looked at in each part at most; fewer where texts, series or pictures are read.
MOST_ROWS, FEW_ROWS = 20_000, 2_000
#: Rows read at once where texts, series or pictures are, and bytes of pictures that are held.
_BLOCK, _PICTURE_BYTES = 64, 64_000_000
#: Normal scores of the quantiles that are kept of a number: none is the smallest or largest of a large table.
_KNOTS = np.linspace(-3.0, 3.0, 13)
#: A category or a gap can be so rare and no rarer.
_RAREST = 4.0
#: Axes that are kept, and rows and scores from which on they are found on fewer rows.
_AXES, _WIDE, _WIDE_ROWS = 32, 512, 1_000
#: Scores vary this much at least, and axes: what never varied in training may do so a little.
_LEAST_DEVIATION, _LEAST_VARIANCE = 0.5, 0.03
_NORMAL = NormalDist()


def most_rows(inputs: tuple[Input, ...]) -> int:
    """Rows that are looked at in each part at most."""
    forms = [item.picture for item in inputs if item.picture is not None]
    size = sum(form.channels * form.height * form.width for form in forms)
    if size:
        return min(FEW_ROWS, max(_PICTURE_BYTES // size, 200))
    return FEW_ROWS if views_of(inputs) else MOST_ROWS


def read_rows(rows: Rows, encoder: Encoder, inputs: tuple[Input, ...]) -> Matrices:
    """The cells of rows, read as the model reads them."""
    block = _BLOCK if views_of(inputs) else MOST_ROWS
    return stacked([matrices(frame, inputs, encoder.readers) for frame in rows.blocks(block)], inputs)


def stacked(parts: list[Matrices], inputs: tuple[Input, ...]) -> Matrices:
    """Blocks of rows under each other."""
    views = views_of(inputs)
    return Matrices(
        np.concatenate([part.values for part in parts]),
        np.concatenate([part.codes for part in parts]),
        np.concatenate([part.texts for part in parts]),
        joined_media([part.media for part in parts], views) if views else (),
    )


def place_rows(outline: Outline, rows: Rows, encoder: Encoder, inputs: tuple[Input, ...]) -> Placed:
    """Where rows lie, a block of them at a time."""
    block = _BLOCK if views_of(inputs) else MOST_ROWS
    return joined([place_frame(outline, frame, encoder, inputs) for frame in rows.blocks(block)])


def place_frame(outline: Outline, frame: pl.DataFrame, encoder: Encoder, inputs: tuple[Input, ...]) -> Placed:
    """Where the rows of a frame lie."""
    return outline.place(matrices(frame, inputs, encoder.readers), inputs)


def fit_outline(train: Rows, encoder: Encoder, inputs: tuple[Input, ...], *, seed: int) -> Outline:
    """What training rows look like; `inputs` are those of the model.

    Raises:
        ValueError: the rows are not training rows.
    """
    if train.part != "train":
        raise ValueError(f"an outline is learned from training rows, not from {train.part} rows")
    taken = sample_of(len(train), most_rows(inputs), seed)
    raw = read_rows(train if taken is None else train.at(taken), encoder, inputs)
    return outline_of(raw, inputs)


def outline_of(raw: Matrices, inputs: tuple[Input, ...]) -> Outline:
    """The outline of these rows, without a limit."""
    rows = len(raw.values)
    words = tuple(
        Words(name=name, surprise=_surprise(ids, known))
        for name, (ids, known) in zip(token_names(inputs), tokens_of(raw, inputs), strict=True)
    )
    told = numbers_of(raw, inputs, words)
    numbers = tuple(_knots(name, told[:, at]) for at, name in enumerate(number_names(inputs)))
    named = [item for item in inputs if item.kind is Kind.CATEGORY]
    rare = tuple(
        Categories(name=item.name, scores=_rarity(np.bincount(raw.codes[:, at], minlength=len(item.categories) + 2)))
        for at, item in enumerate(named)
    )
    plain = Outline(
        rows=rows, numbers=numbers, categories=rare, words=words, center=(), scale=(), axes=(), variances=(), rest=1.0
    )
    scores = scores_of(plain, told, raw.codes)
    known = ~np.isnan(scores)
    many = np.maximum(known.sum(axis=0), 1)
    center = np.where(known, scores, 0.0).sum(axis=0) / many
    spread = np.sqrt((np.where(known, scores - center, 0.0) ** 2).sum(axis=0) / many)
    scale = 1.0 / np.maximum(spread, _LEAST_DEVIATION)
    scaled = (scores - center) * scale
    found = plain.model_copy(update={"center": _rounded(center), "scale": _rounded(scale)})
    found = _with_axes(found, np.where(known, scaled, 0.0))
    # With gaps filled by what is likeliest, columns that have some are not taken for less alike than they are.
    return found if known.all() else _with_axes(found, found.filled(scaled))


def _with_axes(outline: Outline, scaled: Floats) -> Outline:
    axes, variances, rest = _principal(scaled)
    return outline.model_copy(
        update={"axes": tuple(map(_rounded, axes)), "variances": _rounded(variances), "rest": float(rest)}
    )


def with_limit(outline: Outline, distances: Floats, rate: float) -> Outline:
    """The outline with the distance that a share `rate` of usual rows passes, from distances of such rows (n,).

    Too few rows have no such distance: then it is the largest of theirs, which 1 / (n + 1) of usual rows pass.
    """
    rows = len(distances)
    if not rows:
        return outline
    few = rank(rows, 1.0 - rate) > rows
    limit = float(distances.max()) if few else float(conformal_quantile(distances, 1.0 - rate))
    return outline.model_copy(
        update={"limit": limit, "rate": 1.0 / (rows + 1) if few else rate, "calibration": rows}
    )  # fmt: skip


def _knots(name: str, cells: Floats) -> Numbers:
    """The quantiles of a number at even normal scores; equal ones share the mean of their scores."""
    known = cells[~np.isnan(cells)]
    share = 1.0 - len(known) / max(len(cells), 1)
    missing = _rare_score(max(share, 1.0 / (len(cells) + 1)))
    if not len(known):
        return Numbers(name=name, values=(), scores=(), missing=0.0)
    levels = [_NORMAL.cdf(score) for score in _KNOTS]
    values, place = np.unique(np.quantile(np.sort(known), levels), return_inverse=True)
    scores = np.bincount(place, weights=_KNOTS) / np.bincount(place)
    return Numbers(name=name, values=tuple(map(float, values)), scores=_rounded(scores), missing=missing)


def _rarity(counts: NDArray[np.int64]) -> tuple[float, ...]:
    """The score of each code: of how small a share of the rows are it and all that are as rare."""
    rows = max(int(counts.sum()), 1)
    order = np.argsort(counts, kind="stable")
    summed = np.cumsum(counts[order])
    last = np.searchsorted(counts[order], counts, side="right") - 1
    return tuple(_rare_score(max(float(summed[at]) / rows, 1.0 / (rows + 1))) for at in last)


def _rare_score(share: float) -> float:
    """The normal score that this share of rows passes, from 0 for half of them on."""
    return round(min(max(_NORMAL.inv_cdf(1.0 - share), 0.0), _RAREST), 4) if share < 0.5 else 0.0


def _surprise(ids: NDArray[np.int64], known: NDArray[np.bool_]) -> tuple[float, ...]:
    counts = np.bincount(ids[known], minlength=FOLD) + 0.5
    return tuple(round(float(each), 3) for each in -np.log(counts / counts.sum()))


def _principal(scaled: Floats) -> tuple[Floats, Floats, float]:
    """The leading axes (q, D), the variances along them (q,), and the mean variance along all others."""
    rows, count = scaled.shape
    kept = min(_AXES, count)
    if count > _WIDE and rows > _WIDE_ROWS:
        scaled = scaled[:: -(-rows // _WIDE_ROWS)]
    if count > _WIDE:
        _, sizes, found = np.linalg.svd(scaled, full_matrices=False)
        variances, axes = (sizes**2 / len(scaled))[:kept], found[:kept]
    else:
        values, vectors = np.linalg.eigh(scaled.T @ scaled / max(rows, 1))
        variances, axes = values[::-1][:kept], vectors.T[::-1][:kept]
    total = float((scaled**2).sum() / max(len(scaled), 1))
    left = count - len(variances)
    rest = max((total - float(variances.sum())) / left, _LEAST_VARIANCE) if left else 1.0
    return axes, np.maximum(variances, _LEAST_VARIANCE), rest


def _rounded(values: Floats) -> tuple[float, ...]:
    """Six digits are enough, and make a small file."""
    return tuple(float(f"{value:.6g}") for value in values)
