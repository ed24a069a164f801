"""The forecasts that a network has to beat: the last value, the last season, and a linear model of the window."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from assay._imports import require
from assay.data.rows import Rows, sample_of, times
from assay.data.schema import Schema
from assay.data.steps import padded
from assay.data.windowing import Windowing
from assay.evaluate.baselines import CELLS, FittedBaseline, note_baselines
from assay.evaluate.config import EvaluateConfig
from assay.ledger import Ledger
from assay.models.linear_start import PENALTIES, USUAL, ridges

Floats = NDArray[np.float64]

#: Share of the training windows, the latest, by which the penalty is chosen.
_HELD_OUT = 0.2
#: Inputs of the linear model at most; beyond these it sees the window alone.
_MOST_INPUTS = 2000


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


@dataclass(frozen=True)
class _Window:
    """Inputs and answers in the units of each window: measured from its last value, over its size."""

    inputs: Floats
    last: Floats
    size: Floats


class _Reader:
    """Frames as the inputs of the linear model: the window, and what is known ahead where that is not too much."""

    def __init__(self, windowing: Windowing, *, is_sized: bool) -> None:
        self.windowing, self.is_sized = windowing, is_sized
        ahead = len(windowing.known) * windowing.horizon
        self.sees_ahead = ahead > 0 and ahead + windowing.length <= _MOST_INPUTS

    def read(self, frame: pl.DataFrame) -> _Window:
        windowing = self.windowing
        history = history_of(frame, windowing)
        last = history[:, -1:]
        size = np.maximum(history.std(axis=1, keepdims=True), 1e-9 * np.abs(last) + 1e-300)
        size = size if self.is_sized else np.ones_like(size)
        inputs = (history - last) / size
        inputs[:, -1] = 1.0 / size[:, 0]  # the last is the level: in its place the size, for a constant change
        if not self.sees_ahead:
            return _Window(inputs, last, size)
        total = windowing.length + windowing.horizon
        known = []
        for channel in windowing.known:
            steps = np.nan_to_num(padded(frame.get_column(channel.name), total)[0].astype(np.float64))
            known.append(steps[:, windowing.length :] - steps[:, : windowing.length].mean(axis=1, keepdims=True))
        return _Window(np.concatenate([inputs, *known], axis=1), last, size)


def _fit_linear(train: Rows, schema: Schema, windowing: Windowing, seed: int) -> FittedBaseline:
    """Ridge regression of all steps ahead on the window (Toner & Darlow, ICML 2024: what DLinear comes down to)."""
    begun = time.monotonic()
    width = windowing.length + windowing.horizon * (1 + len(windowing.known))
    kept = sample_of(len(train), max(CELLS // width, 1000), seed)
    rows = train if kept is None else train.at(kept)
    steps, _ = windowing.clock.steps(times(rows, schema, windowing.origin))
    border = np.quantile(steps, 1.0 - _HELD_OUT)
    judged, taught = steps > border, steps <= border - windowing.horizon
    frame = rows.frame
    choices = []
    for is_sized in (True, False):
        reader = _Reader(windowing, is_sized=is_sized)
        window = reader.read(frame)
        aims = (rows.target - window.last) / window.size
        errors = np.full(len(PENALTIES), np.inf)
        if judged.any() and taught.sum() >= 2:
            for place, weights in enumerate(ridges(window.inputs[taught], aims[taught])):
                missed = (window.inputs[judged] @ weights - aims[judged]) * window.size[judged]
                errors[place] = np.abs(missed).mean()
        best = PENALTIES[int(errors.argmin())] if np.isfinite(errors).any() else USUAL
        choices.append((float(errors.min()), best))
    is_sized = choices[0][0] <= choices[1][0]
    penalty = choices[0 if is_sized else 1][1]
    reader = _Reader(windowing, is_sized=is_sized)
    window = reader.read(frame)
    aims = (rows.target - window.last) / window.size
    weights = ridges(window.inputs, aims, (penalty,))[0]

    def answer(frame: pl.DataFrame) -> Floats:
        found = reader.read(frame)
        return np.asarray(found.inputs @ weights * found.size + found.last)

    how = "over its deviation" if is_sized else "in its own units"
    ahead = " and what is known ahead" if reader.sees_ahead else ""
    told = f"ridge regression of all steps ahead on the window{ahead}, measured from its last value, {how}"
    told += f", penalty {penalty:g} chosen by the latest of {len(rows):,} training windows"
    return FittedBaseline("linear model", told, time.monotonic() - begun, answer)
