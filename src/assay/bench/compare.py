"""What may be concluded from the runs: ranks, win rates and paired tests over data sets, each with its uncertainty.

A data set counts once: scores of its seeds are averaged first, for seeds of one data set tell nothing of others
(Demsar 2006, section 3). Pairs are tested by Wilcoxon's signed ranks with Holm's correction (Benavoli et al. 2016 on
why not by mean ranks), after Friedman's test where there are three configurations or more.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from assay._imports import require
from assay.bench.result import CellResult
from assay.evaluate.compare import holm
from assay.evaluate.intervals import wilson
from assay.records import Record

Floats = NDArray[np.float64]
Verdict = Literal["better", "worse", "not distinguishable"]
_SEED = 0


class Mean(Record):
    """A configuration on a data set: the mean score over its finished seeds and their deviation (None for one)."""

    data: str
    config: str
    metric: str
    label: str
    higher_is_better: bool
    score: float
    spread: float | None
    seeds: int

    @property
    def error(self) -> float:
        """The score as an error, of which less is better: one minus it where more is better."""
        return 1.0 - self.score if self.higher_is_better else self.score


class Rank(Record):
    """The mean rank of a configuration over the data sets, 1 for the best, with a bootstrap interval over them."""

    config: str
    rank: float
    low: float | None
    high: float | None


class Pair(Record):
    """A configuration against another over the data sets.

    rate: share of the data sets on which the first is better, ties half, with its Wilson interval. difference: median
    over data sets of by how much its error is smaller, as a share of the larger of both. p_value: Wilcoxon's, exact,
    after Holm.
    """

    first: str
    second: str
    wins: int
    ties: int
    losses: int
    rate: float
    low: float
    high: float
    difference: float
    p_value: float
    verdict: Verdict


class Standing(Record):
    """All comparisons. data: the data sets that count; left_out: those on which a configuration has no score."""

    data: tuple[str, ...]
    left_out: tuple[str, ...]
    means: tuple[Mean, ...]
    ranks: tuple[Rank, ...]
    pairs: tuple[Pair, ...]
    friedman: float | None
    sentence: str


def standing(
    results: Sequence[CellResult], configs: Sequence[str], *, metric: str | None, confidence: float, samples: int
) -> Standing:
    """What the finished runs say of the configurations, in their order."""
    means = _means(results, metric)
    errors = {(mean.data, mean.config): mean.error for mean in means}
    names = list(dict.fromkeys(result.data for result in results))
    whole = [data for data in names if all((data, config) in errors for config in configs)]
    table = np.array([[errors[data, config] for config in configs] for data in whole]).reshape(len(whole), len(configs))
    ranks = _ranks(table, configs, confidence, samples)
    pairs = _pairs(table, configs, confidence)
    return Standing(
        data=tuple(whole),
        left_out=tuple(data for data in names if data not in whole),
        means=means,
        ranks=ranks,
        pairs=pairs,
        friedman=friedman(table),
        sentence=_sentence(ranks, pairs, len(whole), confidence),
    )


def ranked(errors: Floats) -> Floats:
    """Ranks within each row, 1 for the least, equal values sharing the mean of their ranks. Shape as given, (n, k)."""
    below = (errors[:, None, :] < errors[:, :, None]).sum(axis=2)
    equal = (errors[:, None, :] == errors[:, :, None]).sum(axis=2)
    found: Floats = below + (equal + 1) / 2
    return found


def signed_rank(differences: Floats) -> float:
    """The two-sided p-value of Wilcoxon's signed-rank test, exact with ties; zeros are left out.

    differences: one a data set, (n,). Without any that is not zero the p-value is 1.
    """
    nonzero = differences[differences != 0.0]
    if not len(nonzero):
        return 1.0
    doubled = np.rint(2 * ranked(np.abs(nonzero)[None, :])[0]).astype(np.int64)  # midranks are halves
    counts = np.zeros(int(doubled.sum()) + 1)
    counts[0] = 1.0
    for rank in doubled:
        counts[rank:] = counts[rank:] + counts[:-rank]
        counts /= 2.0
    positive = int(doubled[nonzero > 0].sum())
    least = min(positive, int(doubled.sum()) - positive)
    return min(1.0, 2.0 * float(counts[: least + 1].sum()))


def friedman(errors: Floats) -> float | None:
    """The p-value of Friedman's test that no configuration differs (Iman & Davenport's F), None for fewer than 3 or 2.

    errors: (data sets, configurations).
    """
    n, k = errors.shape
    if n < 2 or k < 3:
        return None
    ranks = ranked(errors)
    spread = float(((ranks - (k + 1) / 2) ** 2).sum())
    if spread == 0.0:
        return 1.0
    statistic = n * n * (k - 1) * float(((ranks.mean(axis=0) - (k + 1) / 2) ** 2).sum()) / spread
    if n * (k - 1) - statistic <= 1e-9:
        return 0.0
    f = (n - 1) * statistic / (n * (k - 1) - statistic)
    return float(require("scipy.stats", "Friedman's test").f.sf(f, k - 1, (k - 1) * (n - 1)))


def fewest(pairs: int, confidence: float) -> int:
    """The fewest data sets on which the signed-rank test can find a difference, after Holm over so many pairs."""
    return 2 + math.floor(math.log2(max(pairs, 1) / (1.0 - confidence)) + 1e-9)


def _means(results: Sequence[CellResult], metric: str | None) -> tuple[Mean, ...]:
    cells: dict[tuple[str, str], list[CellResult]] = {}
    for result in results:
        if result.status == "done":
            cells.setdefault((result.data, result.config), []).append(result)
    found = []
    for (data, config), done in cells.items():
        scores = [score for each in done if (score := each.score(metric)) is not None]
        values = [score.estimate.value for score in scores if score.estimate.value is not None]
        if not values:
            continue
        first = scores[0]
        found.append(
            Mean(
                data=data,
                config=config,
                metric=first.name,
                label=first.label,
                higher_is_better=first.higher_is_better,
                score=statistics.fmean(values),
                spread=statistics.stdev(values) if len(values) > 1 else None,
                seeds=len(values),
            )
        )
    return tuple(found)


def _ranks(errors: Floats, configs: Sequence[str], confidence: float, samples: int) -> tuple[Rank, ...]:
    """Mean ranks, the best first; intervals need two data sets."""
    n = len(errors)
    if not n:
        return ()
    ranks = ranked(errors)
    low: Sequence[float | None] = [None] * len(configs)
    high = low
    if n > 1:
        drawn = np.random.default_rng(_SEED).integers(n, size=(samples, n))
        means = ranks[drawn].mean(axis=1)
        half = (1.0 - confidence) / 2
        low, high = (np.quantile(means, share, axis=0).tolist() for share in (half, 1.0 - half))
    found = [
        Rank(config=config, rank=float(mean), low=low[at], high=high[at])
        for at, (config, mean) in enumerate(zip(configs, ranks.mean(axis=0), strict=True))
    ]
    return tuple(sorted(found, key=lambda each: each.rank))


def _pairs(errors: Floats, configs: Sequence[str], confidence: float) -> tuple[Pair, ...]:
    """Every pair, the one with the better mean rank first."""
    n = len(errors)
    if not n:
        return ()
    order = np.argsort(ranked(errors).mean(axis=0), kind="stable")
    places = list(combinations([int(at) for at in order], 2))
    shares = [relative(errors[:, first], errors[:, second]) for first, second in places]
    adjusted = holm([signed_rank(share) for share in shares])
    found = []
    for (first, second), share, p_value in zip(places, shares, adjusted, strict=True):
        wins, losses = int((share > 0).sum()), int((share < 0).sum())
        rate = (wins + (n - wins - losses) / 2) / n
        low, high = wilson(rate, n, confidence)
        middle = float(np.median(share))
        verdict: Verdict = "not distinguishable"
        if p_value < 1.0 - confidence:
            verdict = "better" if middle > 0 else "worse"
        found.append(
            Pair(
                first=configs[first],
                second=configs[second],
                wins=wins,
                ties=n - wins - losses,
                losses=losses,
                rate=rate,
                low=low,
                high=high,
                difference=middle,
                p_value=p_value,
                verdict=verdict,
            )
        )
    return tuple(found)


def relative(first: Floats, second: Floats) -> Floats:
    """By how much the first errors are smaller, as a share of the larger of both, so that data sets are comparable."""
    larger = np.maximum(np.abs(first), np.abs(second))
    found: Floats = np.divide(second - first, larger, out=np.zeros_like(larger), where=larger > 0)
    return found


def _sentence(ranks: Sequence[Rank], pairs: Sequence[Pair], data: int, confidence: float) -> str:
    """The answer in one or two sentences; that none can be told apart is one."""
    if not data:
        return "Nothing can be compared: on no data set has every configuration a score."
    sets = "1 data set" if data == 1 else f"{data} data sets"
    if len(ranks) == 1:
        return f"There is one configuration, so there is nothing to compare it with on {sets}."
    first = ranks[0].config
    told = [pair for pair in pairs if pair.verdict != "not distinguishable"]
    if not told:
        least = fewest(len(pairs), confidence)
        enough = "" if data >= least else f" Fewer than {least} data sets cannot tell any apart at {confidence:.0%}."
        return f"These cannot be told apart on {sets}; {first} has the best mean rank, {ranks[0].rank:.2f}.{enough}"
    beaten = [pair.second for pair in told if pair.first == first and pair.verdict == "better"]
    equal = [pair.second for pair in pairs if pair.first == first and pair.second not in beaten]
    parts = [f"{first} has the best mean rank, {ranks[0].rank:.2f} on {sets}"]
    parts += [f"it is better than {' and '.join(beaten)}"] if beaten else []
    parts += [f"it cannot be told apart from {' and '.join(equal)}"] if equal else []
    return "; ".join(parts) + "."


def by_place(means: Sequence[Mean]) -> Mapping[tuple[str, str], Mean]:
    """The means by data set and configuration."""
    return {(mean.data, mean.config): mean for mean in means}
