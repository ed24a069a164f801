"""Checks of the series of a forecast: steps in order and without gaps, long enough, and not constant."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from assay.data.findings import Checked, Finding, Severity, count_of
from assay.data.series.windowing import Panel
from assay.errors import DataError

#: Share of missing steps from which they are a warning.
_MANY_MISSING = 0.05


def check_series(panel: Panel, limits: np.ndarray) -> tuple[Checked, ...]:
    """What is found about series whose parts begin and end at `limits` (s, 4).

    Raises:
        DataError: all series are constant.
    """
    return _time_steps(panel), _short(panel, limits), _constant(panel, limits)


def _names(panel: Panel, which: np.ndarray) -> str:
    if panel.windowing.case is None:
        return ""
    named = [panel.names[place] for place in np.flatnonzero(which)[:5]]
    return f": {', '.join(map(repr, named))}{', ...' if which.sum() > 5 else ''}"


def _time_steps(panel: Panel) -> Checked:
    practice, clock = "audit.time-steps", panel.windowing.clock
    found = []
    if panel.unsorted:
        found.append(
            Finding(
                check=practice,
                severity=Severity.NOTE,
                count=panel.unsorted,
                what=f"{count_of(panel.unsorted, 'series')} {'was' if panel.unsorted == 1 else 'were'} not in the "
                "order of time",
                do="Nothing: rows are put in order.",
            )
        )
    absent, holes = int(panel.gaps.sum()), _holes(panel)
    total = len(panel.rows)
    if absent + holes:
        share = (absent + holes) / total
        parts = [f"{count_of(absent, 'step')} without a row"] if absent else []
        parts += [f"{count_of(holes, 'step')} without a value of {panel.windowing.target.name!r}"] if holes else []
        found.append(
            Finding(
                check=practice,
                severity=Severity.WARNING if share >= _MANY_MISSING else Severity.NOTE,
                count=absent + holes,
                what=f"{' and '.join(parts)} ({100 * share:.3g} %), at one each {clock.named}"
                + _names(panel, panel.gaps > 0),
                do="In the past of a forecast the last value before stands in for a missing one; windows whose steps "
                "to forecast are missing are left out. Fill them in where you know better, such as 0 for no sales.",
            )
        )
    reason = f"{total:,} steps, one each {clock.named}, in order and without gaps"
    return Checked(practice, reason, float(absent + holes), tuple(found))


def _holes(panel: Panel) -> int:
    """Rows within the known part of a series that have no target."""
    place = np.arange(len(panel.rows))
    begun = np.repeat(panel.begun(), np.diff(panel.starts))
    ended = np.repeat(panel.ended(), np.diff(panel.starts))
    return int(((panel.rows >= 0) & np.isnan(panel.target) & (place >= begun) & (place <= ended)).sum())


def _short(panel: Panel, limits: np.ndarray) -> Checked:
    practice, windowing = "audit.short-series", panel.windowing
    needed = windowing.length + windowing.horizon
    lengths = limits[:, 3] - limits[:, 0]
    short, untaught = lengths < needed, limits[:, 1] - limits[:, 0] < needed
    reason = f"every series has the {needed} steps of a window and its forecast in the training part"
    found = []
    if short.any():
        found.append(
            Finding(
                check=practice,
                severity=Severity.WARNING,
                count=int(short.sum()),
                what=f"{int(short.sum()):,} of {len(panel):,} series left out, with fewer than the {needed} steps of a "
                f"window and its forecast{_names(panel, short)}",
                do="Give a shorter data.window or data.horizon to take them in.",
            )
        )
    only = untaught & ~short
    if only.any():
        found.append(
            Finding(
                check=practice,
                severity=Severity.NOTE,
                count=int(only.sum()),
                what=f"{int(only.sum()):,} of {len(panel):,} series too short for a training window, forecast by what "
                f"others teach{_names(panel, only)}",
                do="Nothing, if they are like the others.",
            )
        )
    return Checked(practice, reason, float(short.sum()), tuple(found))


def _constant(panel: Panel, limits: np.ndarray) -> Checked:
    practice, name = "audit.constant-series", panel.windowing.target.name
    flat = np.array([_is_flat(panel.target[begin:end]) for begin, end in limits[:, :2]], bool)
    there = limits[:, 1] > limits[:, 0]
    if flat[there].all():
        raise DataError(
            f"the target {name!r} must change in the training part", "it has one value there", "Name another target."
        )
    found: Sequence[Finding] = ()
    if (flat & there).any():
        what = f"{int((flat & there).sum()):,} of {len(panel):,} series constant in the training part"
        do = "Check whether they stood still or were not measured. MASE is not defined for them."
        found = (
            Finding(
                check=practice,
                severity=Severity.WARNING,
                what=what + _names(panel, flat & there),
                do=do,
                count=int((flat & there).sum()),
            ),
        )
    return Checked(practice, "every series changes", float((flat & there).sum()), tuple(found))


def _is_flat(values: np.ndarray) -> bool:
    known = values[np.isfinite(values)]
    return len(known) < 2 or bool(np.ptp(known) <= 1e-12 * np.abs(known).max())
