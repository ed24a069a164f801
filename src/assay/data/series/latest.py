"""The windows that a model forecasts from when it is used: the last one of each series, and the times to come."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from assay.data.series.windowing import Panel, Windowing, around, panel_of, windows
from assay.errors import DataError


@dataclass(frozen=True)
class Latest:
    """The last window of each series that is long enough, and the times of the steps after it.

    frame: the windows, (s,). cases: the series of each, or None for a single one. steps: int64 (s,) of the origins.
    short: the names of the series that are too short.
    """

    frame: pl.DataFrame
    cases: pl.Series | None
    steps: np.ndarray
    short: tuple[str, ...]


def latest(frame: pl.DataFrame, windowing: Windowing) -> Latest:
    """The window before what is to be forecast, of each series.

    Raises:
        DataError: a column is missing, times are not fit, every series is too short, or a column that is to be known
            for the steps to come is not.
    """
    panel = panel_of(frame, windowing)
    begun, ended = panel.begun(), panel.ended()
    long = ended - begun + 1 >= windowing.length
    if not long.any():
        most = int((ended - begun + 1).max(initial=0))
        raise DataError(
            f"a forecast needs the last {windowing.length} steps of a series, as the model was trained",
            f"the longest has {most} from the first to the last known {windowing.target.name!r}",
            "Give earlier rows too.",
        )
    origins = ended[long]
    _check_known(panel, origins)
    made = windows(frame, panel, origins)
    cases = None if windowing.case is None else made[windowing.case]
    short = tuple(name for name, fits in zip(panel.names, long, strict=True) if not fits)
    return Latest(made, cases, panel.steps[origins], short)


def _check_known(panel: Panel, origins: np.ndarray) -> None:
    """Refuse series whose known columns end before the steps to come."""
    windowing = panel.windowing
    offsets = np.arange(1, windowing.horizon + 1)
    for channel in windowing.known:
        values = around(panel.values[channel.name], panel, panel.owner[origins], origins, offsets)
        lacking = np.isnan(values).any(axis=1)
        if lacking.any():
            row = int(np.flatnonzero(lacking)[0])
            step = panel.steps[origins[row]] + 1 + int(np.flatnonzero(np.isnan(values[row]))[0])
            time = windowing.clock.cells(np.array([step]), "time")[0]
            whose = "" if windowing.case is None else f" in the series {panel.names[panel.owner[origins[row]]]!r}"
            raise DataError(
                f"the column {channel.name!r} must be known for the {windowing.horizon} steps to come (data.known)",
                f"it is missing at {time}{whose}",
                f"Add rows for the steps to come with {windowing.target.name!r} left empty.",
            )


def times_ahead(found: Latest, windowing: Windowing) -> pl.Series:
    """The times of the steps after each window, those of the first window first, (s * horizon,)."""
    steps = found.steps[:, None] + np.arange(1, windowing.horizon + 1)
    return windowing.clock.cells(steps.ravel(), windowing.time or windowing.origin)
