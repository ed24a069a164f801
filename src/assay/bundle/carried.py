"""What a bundle adds to its answers on request: sets of classes, intervals of values, and how unusual a row is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from assay.data.columns import as_category
from assay.data.inputs import cells_of
from assay.data.outline import Placed
from assay.data.regions import Regions, shape_features
from assay.data.schema import Task
from assay.errors import BundleError, DataError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from assay.bundle.load import Bundle

_SEPARATORS = ("|", ";", "/", "\t", " | ")


def check_carried(bundle: Bundle, *, sets: bool, intervals: bool, unusual: bool) -> None:
    """Refuse what the model does not carry, before any row is read.

    Raises:
        BundleError: the reason, and what to do.
    """
    task, regions = bundle.manifest.task, bundle.manifest.regions
    if sets and task not in (Task.BINARY, Task.MULTICLASS):
        do = "Ask for intervals instead." if task is not Task.MULTILABEL else "Use the probability of each label."
        raise BundleError("sets of classes are of rows with one class each", f"this is a model of {task.value}", do)
    if intervals and task not in (Task.REGRESSION, Task.FORECASTING):
        do = "Ask for sets instead." if task is not Task.MULTILABEL else "Use the probability of each label."
        raise BundleError("intervals are of numbers", f"this is a model of {task.value}", do)
    if (sets or (intervals and task is Task.REGRESSION)) and regions is None:
        raise BundleError(
            "a model must have been calibrated for sets or intervals to give them", "this one was not",
            "Fit it anew, without evaluate.conformal=none; if it was calibrated in vain, "
            "`assay show RUN --ledger` says why.",
        )  # fmt: skip
    if unusual and (bundle.outline is None or bundle.outline.limit is None):
        raise BundleError(
            "a model must carry an outline of its training rows to say which rows are unusual", "this one does not",
            "Fit it anew, without evaluate.false_alarms=0; forecasts have none.",
        )  # fmt: skip


def carried_columns(
    bundle: Bundle, frame: pl.DataFrame, answers: NDArray[Any], *, sets: bool, intervals: bool, unusual: bool
) -> list[pl.Series]:
    """The columns that were asked for.

    Args:
        bundle: which was checked to carry them.
        frame: the raw rows, folded.
        answers: to them, probabilities (n, K) or values (n,).

    Raises:
        DataError: the rows lack the column that sets or intervals are by.
    """
    regions, made = bundle.manifest.regions, []
    shaped = intervals and regions is not None and regions.needs_outline
    placed = bundle.place(frame) if shaped or unusual else None
    if sets and regions is not None:
        made.append(_sets(bundle, regions.sets(answers, _groups(frame, regions)), answers))
    if intervals and regions is not None:
        made += _intervals(regions, answers, placed if shaped else None, _groups(frame, regions))
    if unusual and placed is not None:
        made += _unusual(bundle, placed)
    return made


def _sets(bundle: Bundle, held: NDArray[np.bool_], probabilities: NDArray[Any]) -> pl.Series:
    """Lists of classes, the likeliest first; none is empty."""
    labels = bundle.labels
    rows, classes = np.nonzero(held)
    order = np.lexsort((classes, -probabilities[rows, classes], rows))
    flat = labels.gather(classes[order]).alias("set")
    if not len(held):
        return pl.Series("set", [], dtype=pl.List(labels.dtype))
    table = pl.DataFrame([pl.Series("row", rows[order]), flat])
    return table.group_by("row", maintain_order=True).agg(pl.col("set"))["set"]


def _intervals(
    regions: Regions, values: NDArray[Any], placed: Placed | None, groups: list[str | None] | None
) -> list[pl.Series]:
    features = None
    if placed is not None and regions.shape is not None:
        features = shape_features(values, regions.shape, placed.distance, placed.coordinates)
    lower, upper = regions.bounds(values, features, groups)
    return [pl.Series("lower", lower), pl.Series("upper", upper)]


def _unusual(bundle: Bundle, placed: Placed) -> list[pl.Series]:
    outline = bundle.outline
    assert outline is not None
    assert outline.limit is not None
    names = np.array(outline.names, dtype=object)
    most = names[placed.most] if len(names) else np.full(len(placed.distance), "")
    return [
        pl.Series("unusual", placed.distance > outline.limit),
        pl.Series("unusual_score", placed.distance / max(outline.limit, 1e-12)),
        pl.Series("unusual_column", most.tolist(), dtype=pl.String),
    ]


def _groups(frame: pl.DataFrame, regions: Regions) -> list[str | None] | None:
    """The group of each row, by the column that limits are by."""
    column = regions.asks_for
    if column is None:
        return None
    if column not in frame.columns:
        raise DataError(
            f"the rows must have the column {column!r}, whose groups have sets or intervals of their own",
            "they lack it",
            "Add it (cells may be empty); a group that training did not meet has the limit of the others.",
        )
    return as_category(cells_of(frame, column)).to_list()


def set_separator(classes: tuple[str, ...]) -> str:
    """What joins the classes of a set where no list can be written: the first that no class has in it."""
    return next((sign for sign in _SEPARATORS if not any(sign in name for name in classes)), " || ")
