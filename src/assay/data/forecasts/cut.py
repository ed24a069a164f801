"""Where the parts of series end, how long windows are, and which windows each part has.

The cut is in time and by targets: no step that a validation or test window is to forecast is a target, or an input, of
an earlier part. Windows may reach back into what came before, as they do when the model is used.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Final

import numpy as np
import polars as pl

from assay.data.config import DataConfig
from assay.data.forecasts.rhythm import find_season
from assay.data.series.windowing import Panel, Windowing, measured, targets, windows
from assay.errors import ConfigError, DataError
from assay.records import Record

#: Training windows, and windows of another part, at most; and numbers in them.
MOST_TRAINING, MOST_JUDGED = 200_000, 20_000
_MOST_NUMBERS: Final = 24_000_000
#: Training windows that there must be at least, and steps before a forecast.
_FEWEST, _SHORTEST = 4, 4
#: How long windows are, in horizons and in seasons, where the training part is three times as long.
_HORIZONS, _SEASONS = 3.5, 2


class Cut(Record):
    """Where the parts of a forecast's windows end.

    train_until, valid_until, test_until: times of the last steps of the parts. every: each how many steps a window of
    each part begins, 1 for at every step. unknown: windows left out, for a step of their target is missing.
    """

    train_until: str
    valid_until: str
    test_until: str
    every: tuple[int, int, int]
    unknown: int


# Where the parts end --------------------------------------------------------------------------------------------------


def limits_of(panel: Panel, part: np.ndarray, config: DataConfig) -> np.ndarray:
    """The places where the parts of each series begin and the last ends, int64 (s, 4), from the first known target on.

    All series are cut at the same times; without times each is cut at its own share.
    """
    begun, ended = panel.begun(), panel.ended() + 1
    if not (ended > begun).any():
        came = "every cell is missing"
        raise DataError(f"the target {panel.windowing.target.name!r} must have values", came, "Name another target.")
    given = [place for place in (1, 2) if (part == place).any()]
    if given == [1]:
        do = "Give the test rows as well (--test), or leave the cut to assay."
        raise ConfigError("validation rows of a forecast lie between training and test rows", "--test is missing", do)
    is_timed = panel.windowing.clock.unit != "rows"
    shift = panel.first - panel.starts[:-1]  # from places to steps
    there = ended > begun
    low, high = begun + shift, ended + shift
    if is_timed:
        low, high = (np.full(len(panel), edge) for edge in (low[there].min(), high[there].max()))
    firsts = {place: _first_of(panel, part, place, is_timed=is_timed) for place in given}
    if is_timed:
        _check_order(panel, part, given)
    high = firsts.get(2, high)
    sizes = np.array([_sizes(int(n), config, given) for n in np.maximum(high - low, 0)]).reshape(-1, 2)
    if is_timed or len(panel) == 1:
        _check_sizes(int((high - low)[0]), sizes[0], config, given, panel.windowing)
    test = high - sizes[:, 1]
    valid = firsts.get(1, test - sizes[:, 0])
    limits = np.stack([begun, valid - shift, test - shift, ended], axis=1)
    return np.maximum.accumulate(np.clip(limits, begun[:, None], np.maximum(ended, begun)[:, None]), axis=1)


def _first_of(panel: Panel, part: np.ndarray, place: int, *, is_timed: bool) -> np.ndarray:
    """The first step of a given file in each series, (s,)."""
    there = panel.rows >= 0
    mine = there & (np.where(there, part[panel.rows], -1) == place)
    if is_timed:
        return np.full(len(panel), panel.steps[mine].min())
    last = panel.first + np.diff(panel.starts)
    np.minimum.at(last, panel.owner[mine], panel.steps[mine])
    return last


def _check_order(panel: Panel, part: np.ndarray, given: Sequence[int]) -> None:
    """Refuse files that do not follow one another in time."""
    there = panel.rows >= 0
    steps, files = panel.steps[there], part[panel.rows[there]]
    names = ("training", "validation", "test")
    present = [0, *given]
    for before, after in pairwise(present):
        last, first = steps[files == before].max(), steps[files == after].min()
        if first <= last:
            cells = panel.windowing.clock.cells(np.array([last, first]), "time")
            came = f"the {names[before]} rows end at {cells[0]} and the {names[after]} rows begin at {cells[1]}"
            do = "Cut the files in time, or give one file and leave the cut to assay."
            raise DataError("the files of a forecast must follow one another in time", came, do)


def _sizes(steps: int, config: DataConfig, given: Sequence[int]) -> tuple[int, int]:
    """Validation and test steps of so many: their shares, at least a horizon, by default two if there is room."""
    split, horizon = config.split, config.horizon

    def size(name: str, share: float) -> int:
        asked = round(share * steps)
        if name not in split.model_fields_set:
            asked = max(asked, min(2 * horizon, steps // 6))
        return max(asked, horizon)

    test = 0 if 2 in given or split.test == 0.0 else size("test", split.test)
    return (0 if 1 in given else size("valid", split.valid)), test


def _check_sizes(steps: int, sizes: np.ndarray, config: DataConfig, given: Sequence[int], windowing: Windowing) -> None:
    """Refuse a horizon for which the steps do not suffice."""
    horizon, parts = config.horizon, int((sizes > 0).sum())
    left = steps - int(sizes.sum())
    needed = horizon + (config.window or _SHORTEST) + _FEWEST - 1
    if left >= needed:
        return
    most = (steps - (config.window or _SHORTEST) - _FEWEST + 1) // (parts + 1)
    files = "" if not given else " in the training file"
    longest = f"The longest horizon they allow is {most}." if most >= 1 else "Give more rows."
    raise DataError(
        f"a horizon of {horizon} needs {needed} training steps and {horizon} for each other part",
        f"there are {steps:,} steps of {windowing.clock.named}{files}",
        longest + ("" if config.window <= _SHORTEST else " A shorter data.window helps too."),
    )


# What windows are -----------------------------------------------------------------------------------------------------


def planned(panel: Panel, limits: np.ndarray, config: DataConfig) -> tuple[Panel, str]:
    """The panel with season, length and scales, by the training parts alone; and how the season was found."""
    training = [panel.target[begin:end] for begin, end in limits[:, :2]]
    lengths = np.array([len(each) for each in training if len(each)])
    if not len(lengths):
        came = f"no series has steps before the validation part ({len(panel):,} series)"
        raise DataError(
            "some series must have training steps", came, "Give earlier rows, or smaller shares to the cut."
        )
    clock, horizon = panel.windowing.clock, config.horizon
    found, strength = find_season(training, clock) if config.season == 0 else (config.season, 0.0)
    season = found
    if config.season:
        told = f"{season} steps, as data.season says"
    elif season > 1:
        told = f"{season} steps of {clock.named}: autocorrelation {strength:.2f} at that distance in the training part"
    else:
        told = "none found: no likely season has a clear autocorrelation in the training part"
    typical = int(np.median(lengths))
    length = config.window or _length(typical, season, horizon)
    names = dict(zip(panel.names, training, strict=True))
    scales = {name: measured(values, season) for name, values in names.items() if np.isfinite(values).sum() > season}
    update = {"length": length, "season": season, "scales": scales}
    return replace(panel, windowing=panel.windowing.model_copy(update=update)), told


def _length(steps: int, season: int, horizon: int) -> int:
    """How many steps a window has, for series with so many training steps."""
    wanted = max(_SEASONS * season, int(np.ceil(_HORIZONS * horizon)), 2 * _SHORTEST)
    room = steps - horizon - _FEWEST + 1
    length = max(min(wanted, room // 3), min(season, room // 2) if season > 1 else 0, min(_SHORTEST, room))
    return max(length, 1)


# The windows ----------------------------------------------------------------------------------------------------------


def cut_windows(frame: pl.DataFrame, panel: Panel, limits: np.ndarray) -> tuple[list[pl.DataFrame | None], Cut]:
    """The windows of each part with their targets, None for a part that is not asked for."""
    made: list[pl.DataFrame | None] = []
    every, unknown, ends = [], 0, []
    wanted = [True, True, bool((limits[:, 3] > limits[:, 2]).any())]
    for part, is_wanted in enumerate(wanted):
        reached = limits[limits[:, part + 1] > limits[:, part]]
        ends.append(_time_of(panel, int(reached[:, part + 1].max()) - 1) if len(reached) else "")
        if not is_wanted:
            made.append(None)
            every.append(1)
            continue
        origins = origins_of(panel, limits, part)
        origins, stride = thinned(panel, origins, MOST_TRAINING if part == 0 else MOST_JUDGED)
        table, aims = with_targets(frame, panel, origins)
        unknown += len(origins) - len(aims)
        check_enough(panel, limits, part, len(origins), len(aims))
        made.append(table)
        every.append(stride)
    cut = Cut(
        train_until=ends[0], valid_until=ends[1], test_until=ends[2], every=(every[0], every[1], every[2]),
        unknown=unknown,
    )  # fmt: skip
    return made, cut


def thinned(panel: Panel, origins: np.ndarray, most: int) -> tuple[np.ndarray, int]:
    """At most so many origins, and few enough for memory: those every so many steps, the last among them."""
    windowing = panel.windowing
    width = windowing.length * (1 + len(windowing.past)) + windowing.horizon
    width += (windowing.length + windowing.horizon) * len(windowing.known)
    stride = max(-(-len(origins) // max(min(most, _MOST_NUMBERS // width), 1)), 1)
    if stride == 1:
        return origins, 1
    steps = panel.steps[origins]
    return origins[steps % stride == int(steps.max()) % stride], stride


def with_targets(frame: pl.DataFrame, panel: Panel, origins: np.ndarray) -> tuple[pl.DataFrame, np.ndarray]:
    """The windows whose steps to forecast are all known, with these as a column, and these, (k, H)."""
    windowing = panel.windowing
    aims = targets(panel, origins)
    known = np.isfinite(aims).all(axis=1)
    aim = pl.Series(windowing.target.name, aims[known], dtype=pl.Array(pl.Float64, windowing.horizon))
    return windows(frame, panel, origins[known]).with_columns(aim), aims[known]


def _time_of(panel: Panel, place: int) -> str:
    step = panel.steps[place]
    return str(panel.windowing.clock.cells(np.array([step]), "time")[0])


def origins_of(panel: Panel, limits: np.ndarray, part: int) -> np.ndarray:
    """The places of the last known steps before targets that lie wholly in the part, in order of series and time."""
    windowing = panel.windowing
    first = np.maximum(limits[:, part] - 1, limits[:, 0] + windowing.length - 1)
    last = limits[:, part + 1] - 1 - windowing.horizon
    return np.concatenate(
        [np.arange(start, stop + 1) for start, stop in zip(first, last, strict=True)] or [np.empty(0, np.int64)]
    ).astype(np.int64)


def check_enough(panel: Panel, limits: np.ndarray, part: int, made: int, known: int) -> None:
    """Refuse a part for which so few windows were made, or of so few of which all steps to forecast are known.

    Raises:
        DataError: there are too few.
    """
    windowing = panel.windowing
    needed = _FEWEST if part == 0 else 1
    if known >= needed:
        return
    name = ("training", "validation", "test")[part]
    longest = int((limits[:, part + 1] - limits[:, part]).max())
    came = f"the longest series has {longest} {name} steps"
    if made >= needed:
        have = "has" if made - known == 1 else "have"
        came = f"of {made:,} windows {made - known:,} {have} a missing step of {windowing.target.name!r} to forecast"
    raise DataError(
        f"the {name} part needs windows of {windowing.length} known steps and {windowing.horizon} to forecast",
        came,
        "Give a shorter data.horizon or data.window, or longer series; fill missing steps in where you know them.",
    )
