"""Forecasts of a bundle as a table: the steps after the last known one of each series, with their intervals."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from assay.data.series.latest import latest, times_ahead

if TYPE_CHECKING:
    from assay.bundle.load import Bundle

_NAMES = ("forecast", "lower", "upper")


class ShortSeriesWarning(UserWarning):
    """Some series are too short to be forecast and were left out."""


def forecast_table(bundle: Bundle, frame: pl.DataFrame) -> pl.DataFrame:
    """A row for each series and step ahead: the series, the time, `forecast`, `lower` and `upper`.

    Raises:
        DataError: see `latest`.
    """
    windowing, bands = bundle.schema.windowing, bundle.manifest.bands
    assert windowing is not None
    found = latest(frame, windowing)
    if found.short:
        shown = ", ".join(map(repr, found.short[:5])) + (", ..." if len(found.short) > 5 else "")
        warnings.warn(
            f"{len(found.short)} series have fewer than {windowing.length} steps and are not forecast: {shown}",
            ShortSeriesWarning,
            stacklevel=3,
        )
    answers = bundle.answer(found.frame)
    history = found.frame[windowing.history].cast(pl.Array(pl.Float64, windowing.length)).to_numpy()
    half = np.full(answers.shape, np.nan) if bands is None else bands.around(history.reshape(len(answers), -1))
    times = times_ahead(found, windowing)
    columns = []
    if found.cases is not None:
        rows = np.repeat(np.arange(len(answers)), windowing.horizon)
        columns.append(found.cases.gather(rows))
    columns.append(times)
    taken = {column.name for column in columns}
    for name, values in zip(_NAMES, (answers, answers - half, answers + half), strict=True):
        free = name if name not in taken else f"{name}_out"
        columns.append(pl.Series(free, values.ravel()))
    return pl.DataFrame(columns)
