"""Windows of forecasts with what judges them: what came, what was known before, and whose they are."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from assay.data.columns import as_category
from assay.data.rows import Rows, times
from assay.data.schema import Schema
from assay.data.series.windowing import scales_of
from assay.evaluate.forecast.baselines import history_of
from assay.evaluate.forecast.paired import Overlap
from assay.evaluate.forecast.scores import ForecastScorer

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Judged:
    """Windows with what judges forecasts of them.

    truth: (n, H). history: (n, L). steps: of the origins, (n,). names: of their series. naive, deviation: see
    `ForecastScorer`. overlap: which of them share steps.
    """

    truth: Floats
    history: Floats
    steps: NDArray[np.int64]
    names: tuple[str, ...]
    naive: Floats
    deviation: Floats

    @cached_property
    def overlap(self) -> Overlap:
        """Which of the windows share steps."""
        return Overlap.of(self.steps, self.names, self.truth.shape[1])

    def scorer(self, answers: Floats) -> ForecastScorer:
        """The scores of forecasts (n, H) of these windows."""
        return ForecastScorer(self.truth, answers, self.naive, self.deviation, self.overlap)

    @classmethod
    def of(cls, rows: Rows, schema: Schema) -> Judged:
        """What judges forecasts of these windows."""
        windowing = schema.windowing
        assert windowing is not None
        history = np.concatenate([history_of(block, windowing) for block in rows.blocks()])
        steps, names = origins_of(rows, schema)
        naive, deviation = scales_of(names, windowing, history)
        return cls(rows.target, history, steps, names, naive, deviation)


def origins_of(rows: Rows, schema: Schema) -> tuple[NDArray[np.int64], tuple[str, ...]]:
    """The steps of the origins of windows, (n,), and the names of their series."""
    windowing = schema.windowing
    assert windowing is not None
    steps, _ = windowing.clock.steps(times(rows, schema, windowing.origin))
    if windowing.case is None:
        return steps, ("",) * len(rows)
    return steps, tuple(name or "" for name in as_category(rows.column(windowing.case)).to_list())
