"""How long a model of either side takes to answer: one row, and many at once. Needs the standard library alone."""

import statistics
import time
from collections.abc import Callable

#: Rows that are answered at once at most, and turns of each size.
MOST, TURNS = 10_000, 5


def timed(answer: Callable[[object], object], rows) -> dict[str, float]:
    """Median milliseconds of wall time for one row, and microseconds a row for many; `rows` is a pandas frame."""
    many = rows.head(MOST)
    return {
        "one_row_ms": 1e3 * _median(answer, rows.head(1), 4 * TURNS),
        "row_us": 1e6 * _median(answer, many, TURNS) / len(many),
    }


def _median(answer: Callable[[object], object], rows, turns: int) -> float:
    answer(rows)  # what is only made once
    taken = []
    for _ in range(turns):
        begun = time.perf_counter()
        answer(rows)
        taken.append(time.perf_counter() - begun)
    return statistics.median(taken)
