"""The forecasts that a network has to beat: the last value, the last season, and a linear model of the window."""

from __future__ import annotations

import time

import numpy as np
import polars as pl
from numpy.typing import NDArray

from assay._imports import require
from assay.data.rows import Rows
from assay.data.schema import Schema
from assay.data.series.windowing import Windowing
from assay.data.steps import padded
from assay.evaluate.baselines import FittedBaseline, note_baselines
from assay.evaluate.config import EvaluateConfig
from assay.ledger import Ledger
from assay.models.forecast_ridge import LinearForecast, sees_ahead
from assay.train.families.forecast_ridge import taught

Floats = NDArray[np.float64]


def fit_forecast_baselines(
    train: Rows,
    schema: Schema,
    config: EvaluateConfig,
    *,
    seed: int,
    seconds: float | None,
    threads: int,
    ledger: Ledger,
) -> tuple[FittedBaseline, ...]:
    """Fit the forecasts of the config: `majority` stands for the two that repeat, `linear` for the linear one.

    Args:
        train: training windows.
        schema: with how they were made.
        config: which baselines.
        seed: of the sample that the linear model learns from, where there are very many windows.
        seconds: of no use, for all of them are quick.
        threads: CPU threads, 0 for all.
        ledger: where the verdict is written.
    """
    windowing = schema.windowing
    assert windowing is not None
    found, missed = [], []
    if "majority" in config.baselines:
        found.append(_repeating(windowing, 1))
        if windowing.season > 1 and windowing.season <= windowing.length:
            found.append(_repeating(windowing, windowing.season))
        elif windowing.season > 1:
            missed.append(f"last season ({windowing.season} steps are more than the {windowing.length} of a window)")
    if "linear" in config.baselines:
        with require("threadpoolctl", "a baseline").threadpool_limits(limits=threads or None):
            found.append(_fit_linear(train, schema, windowing, seed))
    note_baselines(ledger, found, missed)
    return tuple(found)


def history_of(frame: pl.DataFrame, windowing: Windowing) -> Floats:
    """The steps of the target before each forecast, float64 (n, L)."""
    lists = frame.get_column(windowing.history)
    return np.asarray(lists.cast(pl.Array(pl.Float64, windowing.length)).to_numpy(), np.float64).reshape(
        len(frame), windowing.length
    )


def _repeating(windowing: Windowing, season: int) -> FittedBaseline:
    """The last steps over and over (Hyndman & Athanasopoulos 2021, section 5.2)."""
    places = windowing.length - season + np.arange(windowing.horizon) % season

    def answer(frame: pl.DataFrame) -> Floats:
        return history_of(frame, windowing)[:, places]

    if season == 1:
        return FittedBaseline("last value", "the last known value at every step ahead", 0.0, answer)
    return FittedBaseline("last season", f"the value {season} steps before, a season", 0.0, answer)


# The linear model ---------------------------------------------------------------------------------------------------


def _fit_linear(train: Rows, schema: Schema, windowing: Windowing, seed: int) -> FittedBaseline:
    """Ridge regression of all steps ahead on the window, the same that stands beside networks in the model."""
    begun = time.monotonic()
    rows, steps = taught(train, schema, seed)
    frame = rows.frame
    fitted = LinearForecast.fit(history_of(frame, windowing), rows.target, steps, _known_ahead(frame, windowing))

    def answer(frame: pl.DataFrame) -> Floats:
        return fitted.answer(history_of(frame, windowing), _known_ahead(frame, windowing))

    how = "over its deviation" if fitted.is_sized else "in its own units"
    ahead = "" if fitted.ahead is None else " and what is known ahead"
    told = f"ridge regression of all steps ahead on the window{ahead}, measured from its last value, {how}"
    told += f", penalty {fitted.penalty:g} chosen by the latest of {fitted.windows:,} training windows"
    return FittedBaseline("linear model", told, time.monotonic() - begun, answer)


def _known_ahead(frame: pl.DataFrame, windowing: Windowing) -> Floats | None:
    """The steps to come of what is known ahead, (n, K * H), from the means before; None where it is too much."""
    if not sees_ahead(windowing.length, len(windowing.known) * windowing.horizon):
        return None
    known = []
    for channel in windowing.known:
        cells = frame.get_column(channel.name)
        steps = np.nan_to_num(padded(cells, windowing.length + windowing.horizon)[0].astype(np.float64))
        known.append(steps[:, windowing.length :] - steps[:, : windowing.length].mean(axis=1, keepdims=True))
    return np.concatenate(known, axis=1)
