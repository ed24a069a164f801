"""How differently a trial answers rows of different sensitive groups: what a study makes small beside the score.

Of classes it is the largest difference between two groups in the mean probability that rows of a class get for it: of
two classes the gaps in TPR and FPR with probabilities in the place of decisions (equalised odds, Hardt et al., NIPS
2016), which is what `train.fairness=equalised_odds` lessens. Decisions would add the noise of rows near a threshold,
and a setting that decides alike for all rows would have no gap. Of numbers it is the largest difference in mean
residuals.

Letters: n rows that judge, G groups, K classes, 1 for numbers.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from assay.data.schema import Schema
from assay.errors import ConfigError
from assay.evaluate.fair.gaps import PART_OF_LEAST, Weighing, count, gap_of
from assay.evaluate.fair.groups import Grouping
from assay.evaluate.fair.measures import Compared, Measured
from assay.evaluate.fair.record import Gap, Measure
from assay.evaluate.metrics import Floats, Ints
from assay.search.study.answered import Judged

_ID, _LABEL = "fairness", "Gap between groups"
#: Replicates of the bootstrap that gives the interval of a gap.
_SAMPLES = 1_000


class GroupGap:
    """The gap of answers to the rows that judge, and what chance alone would give.

    counted: which groups have rows enough in which class, bool (G, K): `least` rows in all, and a part of that in the
    class.
    """

    def __init__(
        self, names: tuple[str, ...], codes: Ints, rows: Judged, schema: Schema, least: int, clusters: Ints | None
    ) -> None:
        """What is measured.

        Args:
            names: of the groups, (G,). codes: the group of each row that judges, (n,).
            rows: that judge. schema: of their table.
            least: rows that a group must have.
            clusters: which rows belong together, (n,), or None where each stands alone.

        Raises:
            ConfigError: no two groups are large enough.
        """
        self._grouping = Grouping(tuple(schema.sensitive), names, codes)
        self._truth, self._weighing, self._least = rows.truth, Weighing(rows.weight, clusters), least
        self._classes = schema.classes if schema.is_classification else ()
        self._unit = schema.target
        self._cells = codes * len(self._classes) + rows.truth if self._classes else codes
        self._shape = len(names), max(len(self._classes), 1)
        in_class, weight = self._summed(None), rows.weight
        self._below = in_class if weight is None else self._summed(weight)
        in_group = np.bincount(codes, minlength=len(names))
        self.counted = (in_class * PART_OF_LEAST >= least) & (in_group >= least)[:, None]
        if not (self.counted.sum(0) > 1).any():
            raise ConfigError(
                f"a gap is between two groups of {least} rows or more (evaluate.least_group)",
                f"of {' and '.join(schema.sensitive)} there are {', '.join(map(_sized, names, in_group.tolist()))}",
                "Name coarser columns with --sensitive, or bring more rows.",
            )  # fmt: skip

    def value(self, answer: NDArray[Any]) -> float:
        """The gap of answers: probabilities (n, K), or values (n,), for the rows that judge."""
        weight = self._weighing.weight
        said = answer[np.arange(len(answer)), self._truth] if self._classes else answer - self._truth
        sums = self._summed(said if weight is None else said * weight)
        means = np.divide(sums, self._below, out=np.zeros_like(sums), where=self._below > 0)
        spans = np.where(self.counted, means, -np.inf).max(0) - np.where(self.counted, means, np.inf).min(0)
        return float(spans[self.counted.sum(0) > 1].max())

    def _summed(self, values: Floats | None) -> Floats:
        """Sums over the rows of each group and class, of ones where nothing else is given, (G, K)."""
        groups, classes = self._shape
        sums = np.bincount(self._cells, weights=values, minlength=groups * classes)
        return np.asarray(sums.reshape(groups, classes), np.float64)

    def told(self, answer: NDArray[Any], *, confidence: float, seed: int) -> Gap:
        """The gap with its interval, where it lies, and what groups of these sizes have where nothing tells them apart.

        Args:
            answer: see `value`. confidence: of the interval, and of what chance gives. seed: of the bootstrap.
        """
        rng, measured = np.random.default_rng(seed), self._measured(answer)
        counts = count(measured, self._grouping, self._weighing, samples=_SAMPLES, rng=rng)
        compared = Compared(_ID, _LABEL, tuple(each.told.id for each in measured))
        big = np.flatnonzero(self.counted.any(1)).tolist()
        found = gap_of(
            compared, counts, self._grouping, big, self._weighing, least=self._least, confidence=confidence, rng=rng
        )
        assert found is not None  # two groups are counted
        return found

    def _measured(self, answer: NDArray[Any]) -> list[Measured]:
        if not self._classes:
            of = f"the mean residual in units of {self._unit}"
            told = Measure(id=of, label="Mean residual", of="all rows", is_share=False)
            return [Measured(told, np.asarray(answer - self._truth, np.float64), np.ones(len(answer), bool))]
        found = []
        for place, name in enumerate(self._classes):
            of = f"the mean probability that rows of {name} get for it"
            told = Measure(id=of, label=f"Probability: {name}", of=f"rows of {name}", is_share=False)
            found.append(Measured(told, np.asarray(answer[:, place], np.float64), self._truth == place))
        return found


def _sized(name: str, rows: int) -> str:
    return f"{name} with {rows:,}"


def in_words(gap: Gap, default: Gap | None) -> str:
    """What the gap of a trial is in, between whom, and beside what: that of the defaults, and what chance gives."""
    told = (
        f"{gap.value:.3g} ({gap.low:.3g} to {gap.high:.3g}) in {gap.measure}, from {gap.lowest} to {gap.highest}; "
        f"chance alone gives groups of these sizes up to {gap.by_chance:.3g}"
    )
    if default is None:
        return told
    told += f"; the defaults have {default.value:.3g}"
    if default.value <= default.by_chance:
        told += ", which is no more than chance gives: settings may differ in it by luck alone"
    return told
