"""The leaderboard in words, and where each row stands when it is sorted by another column."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from assay.evaluate.record import LeaderboardRow, Report
from assay.report import story
from assay.report.words import counted, fixed, number, percent, seconds, size

#: What is said of what is not there.
MISSING = "–"
#: The columns that rows can be sorted by, the first of them from the start, and what they are called.
SORTS = (
    ("corrected", "corrected score"),
    ("validation", "validation score"),
    ("test", "test score"),
    ("fit", "time to fit"),
    ("predict", "time to predict"),
    ("size", "size"),
)
#: The headings of those columns in the order of the table, and the ones that hold scores.
HEADS = (
    ("validation", "Validation"),
    ("corrected", "Corrected"),
    ("test", "Test"),
    ("fit", "Time to fit"),
    ("predict", "µs a row"),
    ("size", "Size"),
)
SCORES = ("validation", "corrected", "test")
_KINDS = {"ensemble": "whole model", "teacher": "learned from, not saved"}


@dataclass(frozen=True)
class BoardRow:
    """One row; `share` is None of what is no part of the model.

    places: of the row by each column of `SORTS`. values: what it has in each, None where it is not there.
    """

    name: str
    kind: str
    share: str | None
    validation: str
    rows: str
    corrected: str
    corrected_interval: str
    test: str
    test_interval: str
    fit: str
    predict: str
    size: str
    places: Mapping[str, int]
    values: Mapping[str, float | None]


def board(report: Report) -> tuple[BoardRow, ...]:
    """The rows as they are sorted from the start; none where the run has no leaderboard."""
    found = report.leaderboard
    if found is None:
        return ()
    digits = story.places(report, found.metric)
    places = {name: _places(found.rows, _key(name, higher=found.higher_is_better)) for name, _ in SORTS}
    return tuple(
        _row(row, digits, {name: order[at] for name, order in places.items()}) for at, row in enumerate(found.rows)
    )


def _row(row: LeaderboardRow, digits: int, places: Mapping[str, int]) -> BoardRow:
    return BoardRow(
        name=row.name,
        kind=_KINDS.get(row.kind, row.kind),
        share=None if row.share is None else percent(row.share) if row.share else MISSING,
        validation=MISSING if row.validation is None else fixed(row.validation, digits),
        rows=counted(row.validation_rows, "row"),
        corrected=_value(row.corrected.value if row.corrected else None, digits),
        corrected_interval=story.interval(row.corrected, digits) if row.corrected else "",
        test=_value(row.test.value if row.test else None, digits),
        test_interval=story.interval(row.test, digits) if row.test else "",
        fit=seconds(row.fit_seconds),
        predict=MISSING if row.predict_microseconds is None else number(row.predict_microseconds, 2),
        size=MISSING if row.bytes is None else size(row.bytes),
        places=places,
        values={
            "validation": row.validation,
            "corrected": row.corrected.value if row.corrected else None,
            "test": row.test.value if row.test else None,
            "fit": row.fit_seconds,
            "predict": row.predict_microseconds,
            "size": row.bytes,
        },
    )


def sorted_by(value: float | None) -> str:
    """A value as a script sorts by it; nothing where there is none."""
    return "" if value is None else f"{value:.9g}"


def _value(value: float | None, digits: int) -> str:
    return MISSING if value is None else fixed(value, digits)


def _key(column: str, *, higher: bool) -> Callable[[LeaderboardRow], float]:
    """What rows are sorted by, less being better."""
    sign = -1.0 if higher else 1.0

    def signed(value: float | None) -> float:
        return math.inf if value is None else sign * value

    keys: dict[str, Callable[[LeaderboardRow], float]] = {
        "validation": lambda row: signed(row.validation),
        "corrected": lambda row: signed(row.corrected.value if row.corrected else row.validation),
        "test": lambda row: signed(row.test.value if row.test else None),
        "fit": lambda row: row.fit_seconds,
        "predict": lambda row: math.inf if row.predict_microseconds is None else row.predict_microseconds,
        "size": lambda row: math.inf if row.bytes is None else row.bytes,
    }
    return keys[column]


def _places(rows: tuple[LeaderboardRow, ...], key: Callable[[LeaderboardRow], float]) -> list[int]:
    order = sorted(range(len(rows)), key=lambda at: key(rows[at]))
    places = [0] * len(rows)
    for place, at in enumerate(order):
        places[at] = place
    return places
