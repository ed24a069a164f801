"""Finished runs against each other on the same test rows: paired tests, Holm over the family, and who is told apart.

DeLong et al. (Biometrics 1988) for AUROC, McNemar (Psychometrika 1947) for accuracy, Diebold & Mariano (J. Business &
Economic Statistics 1995) for forecasts, a paired bootstrap for the rest; see `compare.py`, `forecast/paired.py`. Runs
with the same outer folds of a nested cross-validation are compared by the scores of these, too. Runs that are not told
apart form groups: every two within one are alike as far as these rows can say (Piepho, Journal of Computational and
Graphical Statistics 2004, letters of pairwise comparisons).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import combinations
from typing import Literal

import numpy as np

from assay.data.schema import Task
from assay.evaluate.compare import PairedTest, Scored, Verdict, holm, paired_bootstrap, paired_test
from assay.evaluate.earned import corrected_gain
from assay.evaluate.forecast.paired import Overlap, lead_test, leads
from assay.evaluate.forecast.window_scorer import WindowScorer
from assay.evaluate.kept import KeptTest
from assay.evaluate.metrics import PRIMARY, Metric, Scorer, metric
from assay.evaluate.multilabel.metrics import LabelScorer
from assay.evaluate.record import Estimate, Nested
from assay.records import Record

Unit = Literal["test row", "test window", "outer fold"]


class Pairing(Record):
    """A run against another on the same rows; positive differences favour the first, p-values are Holm's."""

    first: str
    second: str
    difference: Estimate
    p_value: float
    test: str
    verdict: Verdict


class Family(Record):
    """Runs that were tested on the same rows, the best first, in the primary metric of their task.

    rows: that they were tested on. unit: what these are, of forecasts windows; of a nested cross-validation `rows`
    counts outer folds, in which every run chose its model anew. scores: of each run. groups: of runs of which no two
    can be told apart, as large as they can be, the best first; a run may be in several. why: why there are no pairs, in
    words; empty where there are.
    """

    metric: str
    label: str
    higher_is_better: bool
    rows: int
    unit: Unit = "test row"
    runs: tuple[str, ...]
    scores: tuple[float, ...]
    pairs: tuple[Pairing, ...]
    groups: tuple[tuple[str, ...], ...]
    sentence: str
    why: str = ""

    @property
    def where(self) -> str:
        """What the runs were tested on, in words: `400 test rows`."""
        return f"{self.rows:,} {self.unit}{'' if self.rows == 1 else 's'}"


def family(
    task: Task, names: Sequence[str], tested: Sequence[KeptTest | None], confidence: float, samples: int, seed: int = 0
) -> Family:
    """Every two of the runs compared on the test rows that all of them have.

    Args:
        names: of the runs. tested: what they kept of their test rows, which are the same; None where they kept nothing.
        confidence: one minus the level of the tests. samples: of a bootstrap. seed: of its draws.
    """
    measure = metric(task, PRIMARY[task])
    why = _why_not(task, names, tested)
    if why:
        return _untested(measure, names, why)
    known = [each for each in tested if each is not None]
    scorers = [_scorer(task, each) for each in known]
    scores = [
        scorer.values(each.weight, (measure.id,))[measure.id] for scorer, each in zip(scorers, known, strict=True)
    ]

    def test(one: int, other: int) -> PairedTest:
        first, second = known[one], known[other]
        if task is Task.MULTILABEL:
            return paired_bootstrap(
                scorers[one], scorers[other], first.weight, confidence, samples, seed, first.clusters
            )
        return paired_test(
            task, first.truth, first.answers, second.answers, first.weight, confidence=confidence, samples=samples,
            seed=seed, rules=(first.rule, second.rule), clusters=first.clusters,
        )  # fmt: skip

    return _ranked(measure, names, scores, test, confidence, len(known[0].truth), "test row")


def window_family(names: Sequence[str], tested: Sequence[KeptTest | None], confidence: float) -> Family:
    """Every two of the runs compared by the mean absolute errors of their forecasts of the same windows.

    Args:
        names: of the runs. tested: what they kept of their test windows; None where they kept nothing.
        confidence: one minus the level of the tests.
    """
    measure = metric(Task.FORECASTING, PRIMARY[Task.FORECASTING])
    known = [each for each in tested if each is not None]
    why = _none_kept(names, tested)
    if not why and len({each.windows for each in known}) > 1:
        why = "the windows that they kept are not the same"
    first = known[0] if known else None
    if why or first is None or first.steps is None or first.clusters is None:
        return _untested(measure, names, why or "they kept no windows")
    overlap = Overlap.of(first.steps, first.clusters, first.truth.shape[1])
    losses = [WindowScorer(each.truth, each.answers).of_rows(measure.id) for each in known]

    def test(one: int, other: int) -> PairedTest:
        return lead_test(leads(losses[one], losses[other]), overlap, confidence)

    scores = [float(each.mean()) for each in losses]
    return _ranked(measure, names, scores, test, confidence, len(first.truth), "test window")


def fold_family(names: Sequence[str], found: Sequence[Nested], confidence: float) -> Family:
    """Every two of the runs compared by the scores of the outer folds that all of them have.

    Folds share training rows: the t-test is corrected for it (Nadeau & Bengio, Machine Learning 52, 2003).

    Args:
        names: of the runs. found: their nested cross-validations, of the same folds.
        confidence: one minus the level of the tests.
    """
    first = found[0]
    measure = Metric(first.metric, first.label, first.higher_is_better)
    sign = 1.0 if first.higher_is_better else -1.0

    def test(one: int, other: int) -> PairedTest:
        apart = [sign * (a - b) for a, b in zip(found[one].scores, found[other].scores, strict=True)]
        difference, p_value = corrected_gain(apart, first.ratio, confidence)
        return PairedTest(difference, p_value, f"corrected resampled t of {len(apart)} outer folds")

    scores = [float(np.mean(each.scores)) for each in found]
    return _ranked(measure, names, scores, test, confidence, len(first.scores), "outer fold")


def _untested(measure: Metric, names: Sequence[str], why: str) -> Family:
    return Family(
        metric=measure.id, label=measure.label, higher_is_better=measure.higher_is_better, rows=0, runs=tuple(names),
        scores=(), pairs=(), groups=(), sentence=f"Nothing is tested: {why}.", why=why,
    )  # fmt: skip


def _scorer(task: Task, kept: KeptTest) -> Scored:
    if task is Task.MULTILABEL:
        return LabelScorer(kept.truth, kept.answers, np.array(kept.thresholds))
    return Scorer(task, kept.truth, kept.answers, kept.rule)


def _ranked(
    measure: Metric,
    names: Sequence[str],
    scores: Sequence[float],
    test: Callable[[int, int], PairedTest],
    confidence: float,
    count: int,
    unit: Unit,
) -> Family:
    """The runs by their scores, every two of them tested, Holm over all of these."""
    signed = np.nan_to_num(np.array(scores) * (1.0 if measure.higher_is_better else -1.0), nan=-np.inf)
    order = [int(place) for place in np.argsort(-signed, kind="stable")]
    places = list(combinations(order, 2))
    tests = [test(one, other) for one, other in places]
    pairs = []
    for (one, other), made, p_value in zip(places, tests, holm([made.p_value for made in tests]), strict=True):
        verdict: Verdict = "not distinguishable"
        if p_value < 1.0 - confidence and made.difference.value:
            verdict = "better" if made.difference.value > 0.0 else "worse"
        pairs.append(
            Pairing(
                first=names[one], second=names[other], difference=made.difference, p_value=p_value, test=made.test,
                verdict=verdict,
            )
        )  # fmt: skip
    ranked = [names[place] for place in order]
    groups = alike(ranked, [(each.first, each.second) for each in pairs if each.verdict == "not distinguishable"])
    found = Family(
        metric=measure.id, label=measure.label, higher_is_better=measure.higher_is_better, rows=count, unit=unit,
        runs=tuple(ranked), scores=tuple(scores[place] for place in order), pairs=tuple(pairs), groups=groups,
        sentence="",
    )  # fmt: skip
    return found.model_copy(update={"sentence": _sentence(found)})


def alike(names: Sequence[str], pairs: Sequence[tuple[str, str]]) -> tuple[tuple[str, ...], ...]:
    """The largest sets of names of which every two are among the pairs, those of the first names first.

    Bron & Kerbosch, Algorithm 457 (Communications of the ACM 1973).
    """
    near: dict[str, set[str]] = {name: set() for name in names}
    for one, other in pairs:
        if one == other:
            continue
        near[one].add(other)
        near[other].add(one)
    place = {name: at for at, name in enumerate(names)}

    def grown(inside: list[str], able: set[str], done: set[str]) -> Iterator[tuple[str, ...]]:
        if not able and not done:
            yield tuple(sorted(inside, key=place.__getitem__))
        for name in sorted(able, key=place.__getitem__):
            yield from grown([*inside, name], able & near[name], done & near[name])
            able = able - {name}
            done = done | {name}

    found = grown([], set(names), set())
    return tuple(sorted(found, key=lambda group: [place[name] for name in group]))


def _why_not(task: Task, names: Sequence[str], tested: Sequence[KeptTest | None]) -> str:
    why = _none_kept(names, tested)
    if why:
        return why
    first = tested[0]
    assert first is not None
    if not all(each is not None and np.array_equal(each.truth, first.truth) for each in tested):
        return "the rows that they kept are not in the same order"
    if task is Task.MULTILABEL and not all(each is not None and each.thresholds for each in tested):
        return "a run kept no thresholds of its labels; runs of this version do"
    return ""


def _none_kept(names: Sequence[str], tested: Sequence[KeptTest | None]) -> str:
    lacking = [name for name, each in zip(names, tested, strict=True) if each is None]
    have = "has" if len(lacking) == 1 else "have"
    why = f"{', '.join(lacking)} {have} no answers to the test rows (answers.npz); runs of this version keep them"
    return why if lacking else ""


def _sentence(found: Family) -> str:
    """The answer in a sentence; that none can be told apart is one."""
    ranked, pairs = found.runs, found.pairs
    told = [pair for pair in pairs if pair.verdict != "not distinguishable"]
    if not told:
        return f"{found.where} cannot tell these {len(ranked)} runs apart."
    first = found.groups[0]
    if len(first) == 1:
        return f"{first[0]} is better than every other run on {found.where}."
    beaten = [name for name in ranked if name not in first]
    best = f"{found.where} cannot tell {_and(first)} apart"
    sure = [name for name in beaten if all(_is_behind(name, one, pairs) for one in first)]
    return f"{best}; {_and(sure)} {'is' if len(sure) == 1 else 'are'} behind all of them." if sure else f"{best}."


def _is_behind(name: str, other: str, pairs: Sequence[Pairing]) -> bool:
    """Whether a run is worse than another, surely."""
    for pair in pairs:
        if (pair.first, pair.second) == (other, name):
            return pair.verdict == "better"
        if (pair.first, pair.second) == (name, other):
            return pair.verdict == "worse"
    return False


def _and(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
