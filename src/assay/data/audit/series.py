"""The check of series: lists of numbers, a column of them being one channel."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from assay.data.findings import Checked, Finding, Severity, View, count_of, first_rows, named, said
from assay.data.schema import Kind
from assay.data.series.folding import step_columns, step_names
from assay.data.steps import Steps, is_series, steps_of, summaries
from assay.ledger import Outcome

_PRACTICE = "audit.series"
#: Share of missing steps, or of constant series, from which it is a warning and no note.
MANY_MISSING, MANY_CONSTANT = 0.2, 0.5
#: Series shorter than this say nothing about how they go on.
SHORT = 2


@dataclass(frozen=True)
class _Channel:
    """What a column of series looks like: counts, and rows as booleans (n,)."""

    lengths: np.ndarray
    steps: int
    missing: int
    infinite: int
    holed: np.ndarray
    constant: np.ndarray
    present: np.ndarray

    @classmethod
    def of(cls, steps: Steps) -> _Channel:
        known, summed = steps.known, summaries(steps)
        same = (known >= SHORT) & (summed[:, 2] == summed[:, 3])
        absent = int(np.isnan(steps.values).sum())
        return cls(
            steps.lengths, len(steps.values), absent, steps.infinite, known < steps.lengths, same, steps.lengths > 0
        )


def series(view: View) -> Checked:
    """Channels without a value, constant series, series of different and of no length, missing and infinite steps.

    Numbered columns that would be one series, were it not for cells that are no numbers, are told of as well.
    """
    empty = [c.name for c in view.schema.columns if c.kind is Kind.CONSTANT and is_series(view.frame.schema[c.name])]
    channels = {
        column.name: _Channel.of(steps_of(view.frame[column.name]))
        for column in view.schema.features
        if column.kind is Kind.SEQUENCE
    }
    empty += [name for name, channel in channels.items() if not channel.present.any()]
    channels = {name: channel for name, channel in channels.items() if channel.present.any()}
    found = [*_without_values(empty), *_not_folded(view)]
    if not channels:
        outcome = None if found else Outcome.NOT_APPLICABLE
        return Checked(_PRACTICE, "no column holds series", None, tuple(found), outcome)
    found += [*_lengths(channels), *_missing_steps(channels), *_constant(channels), *_between_rows(view)]
    steps = sum(channel.steps for channel in channels.values())
    share = sum(channel.missing for channel in channels.values()) / max(steps, 1)
    reason = f"{count_of(len(channels), 'channel')} of {_in_words(channels)}; {100 * share:.3g} % of the steps missing"
    return Checked(_PRACTICE, reason, share, tuple(found))


def _in_words(channels: dict[str, _Channel]) -> str:
    """`24 to 96 steps, median 60`."""
    lengths = np.concatenate([channel.lengths[channel.present] for channel in channels.values()])
    low, middle, high = int(lengths.min()), float(np.median(lengths)), int(lengths.max())
    return count_of(low, "step") if low == high else f"{low:,} to {high:,} steps, median {middle:,.0f}"


def _without_values(names: list[str]) -> Iterator[Finding]:
    if names:
        shown = ", ".join(repr(name) for name in names[:8])
        yield Finding(
            check=_PRACTICE,
            severity=Severity.WARNING,
            what=f"{count_of(len(names), 'channel')} left out, for all series are missing or the same: {shown}",
            do="Find out why the channel is empty, or remove it.",
            count=len(names),
            columns=tuple(names),
        )


def _not_folded(view: View) -> Iterator[Finding]:
    """Columns t0, t1, ... of which some hold words."""
    if view.schema.folding is not None:
        return
    names = step_names(view.frame.columns, (view.schema.target,))
    if not names or not (run := step_columns(view.frame, names)).worded:
        return
    worded = ", ".join(repr(name) for name in run.worded[:5])
    yield Finding(
        check=_PRACTICE,
        severity=Severity.WARNING,
        what=f"the columns {run.shown} would be one series, but cells of {worded} are no numbers",
        do="Repair these cells or leave them empty, and the columns are read as the steps of one series.",
        count=len(run.worded),
        columns=run.worded,
    )


def _lengths(channels: dict[str, _Channel]) -> Iterator[Finding]:
    short = {name: int((c.present & (c.lengths < SHORT)).sum()) for name, c in channels.items()}
    short = {name: count for name, count in short.items() if count}
    if short:
        rows = np.logical_or.reduce([channels[name].present & (channels[name].lengths < SHORT) for name in short])
        yield Finding(
            check=_PRACTICE,
            severity=Severity.WARNING,
            what=f"series of a single step: {named(short)}",
            do="Check whether they were cut off, or remove these rows.",
            count=sum(short.values()),
            columns=tuple(short),
            rows=first_rows(np.flatnonzero(rows)),
        )
    uneven = [name for name, c in channels.items() if np.ptp(c.lengths[c.present]) > 0]
    if uneven:
        yield Finding(
            check=_PRACTICE,
            severity=Severity.NOTE,
            what=f"series differ in length: {_in_words({name: channels[name] for name in uneven})}",
            do="Nothing, if they last as long as what they measure; else look for series that were cut off.",
            count=len(uneven),
            columns=tuple(uneven),
        )


def _missing_steps(channels: dict[str, _Channel]) -> Iterator[Finding]:
    absent = {name: channel.missing for name, channel in channels.items() if channel.missing}
    if not absent:
        return
    total, infinite = sum(absent.values()), sum(channel.infinite for channel in channels.values())
    share = total / sum(channel.steps for channel in channels.values())
    endless = f" ({infinite:,} of them infinite, which count as missing)" if infinite else ""
    worst = max(channels[name].missing / channels[name].steps for name in absent)
    yield Finding(
        check=_PRACTICE,
        severity=Severity.WARNING if worst >= MANY_MISSING or infinite else Severity.NOTE,
        what=f"{count_of(total, 'step')} ({100 * share:.3g} %) {said(total, 'is', 'are')} missing{endless}: "
        f"{named(absent)}",
        do="See that steps would be missing in the same way when the model is used.",
        count=total,
        columns=tuple(absent),
        rows=first_rows(np.flatnonzero(np.logical_or.reduce([channels[name].holed for name in absent]))),
    )


def _between_rows(view: View) -> Iterator[Finding]:
    """Steps of uneven times that were filled in."""
    grid = None if view.schema.folding is None else view.schema.folding.grid
    if grid is None or grid.distance is None:
        return
    away = steps_of(view.frame[grid.distance]).values
    between, far = int((away > 0.0).sum()), int((away > 1.0).sum())
    yield Finding(
        check=_PRACTICE,
        severity=Severity.WARNING if far >= MANY_MISSING * len(away) else Severity.NOTE,
        what=f"times are uneven: {between:,} of {len(away):,} steps lie between rows and are filled in, {far:,} of "
        "them more than a step from any",
        do="See that times will be as uneven when the model is used. data.every sets another step, and "
        "data.every=rows takes rows as steps.",
        count=between,
        columns=(grid.distance,),
    )


def _constant(channels: dict[str, _Channel]) -> Iterator[Finding]:
    flat = {name: int(channel.constant.sum()) for name, channel in channels.items() if channel.constant.any()}
    if not flat:
        return
    worst = max(count / max(int(channels[name].present.sum()), 1) for name, count in flat.items())
    yield Finding(
        check=_PRACTICE,
        severity=Severity.WARNING if worst >= MANY_CONSTANT else Severity.NOTE,
        what=f"{'series is' if sum(flat.values()) == 1 else 'series are'} constant: {named(flat)}",
        do="Check whether the sensor stood still or failed.",
        count=sum(flat.values()),
        columns=tuple(flat),
        rows=first_rows(np.flatnonzero(np.logical_or.reduce([channels[name].constant for name in flat]))),
    )
