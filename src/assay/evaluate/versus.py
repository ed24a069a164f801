"""Finished runs against each other on the same test rows: paired tests, Holm over the family, and who is told apart.

DeLong et al. (Biometrics 1988) for AUROC, McNemar (Psychometrika 1947) for accuracy, a paired bootstrap for the rest;
see `compare.py`. Runs that are not told apart form groups: every two within one are alike as far as these rows can say
(Piepho, Journal of Computational and Graphical Statistics 2004, letters of pairwise comparisons).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations

import numpy as np

from assay.data.schema import Task
from assay.evaluate.compare import Verdict, holm, paired_test
from assay.evaluate.kept import KeptTest
from assay.evaluate.metrics import METRICS, PRIMARY, Scorer, metric
from assay.evaluate.record import Estimate
from assay.records import Record


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

    scores: of each run. groups: of runs of which no two can be told apart, as large as they can be, the best first; a
    run may be in several. why: why there are no pairs, in words; empty where there are.
    """

    metric: str
    label: str
    higher_is_better: bool
    rows: int
    runs: tuple[str, ...]
    scores: tuple[float, ...]
    pairs: tuple[Pairing, ...]
    groups: tuple[tuple[str, ...], ...]
    sentence: str
    why: str = ""


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
        return Family(
            metric=measure.id, label=measure.label, higher_is_better=measure.higher_is_better, rows=0,
            runs=tuple(names), scores=(), pairs=(), groups=(), sentence=f"Nothing is tested: {why}.", why=why,
        )  # fmt: skip
    known = [each for each in tested if each is not None]
    scores = [Scorer(task, each.truth, each.answers).values(each.weight, (measure.id,))[measure.id] for each in known]
    signed = np.nan_to_num(np.array(scores) * (1.0 if measure.higher_is_better else -1.0), nan=-np.inf)
    order = [int(place) for place in np.argsort(-signed, kind="stable")]
    places = list(combinations(order, 2))
    tests = [
        paired_test(
            task, known[one].truth, known[one].answers, known[other].answers, known[one].weight, confidence=confidence,
            samples=samples, seed=seed,
        )
        for one, other in places
    ]  # fmt: skip
    pairs = []
    for (one, other), test, p_value in zip(places, tests, holm([test.p_value for test in tests]), strict=True):
        verdict: Verdict = "not distinguishable"
        if p_value < 1.0 - confidence and test.difference.value:
            verdict = "better" if test.difference.value > 0.0 else "worse"
        pairs.append(
            Pairing(
                first=names[one], second=names[other], difference=test.difference, p_value=p_value, test=test.test,
                verdict=verdict,
            )
        )  # fmt: skip
    ranked = [names[place] for place in order]
    groups = alike(ranked, [(each.first, each.second) for each in pairs if each.verdict == "not distinguishable"])
    return Family(
        metric=measure.id, label=measure.label, higher_is_better=measure.higher_is_better, rows=len(known[0].truth),
        runs=tuple(ranked), scores=tuple(scores[place] for place in order), pairs=tuple(pairs), groups=groups,
        sentence=_sentence(ranked, pairs, groups, len(known[0].truth)),
    )  # fmt: skip


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
    if task not in METRICS:
        return f"paired tests of {task.value} are not made"
    lacking = [name for name, each in zip(names, tested, strict=True) if each is None]
    if lacking:
        have = "has" if len(lacking) == 1 else "have"
        return f"{', '.join(lacking)} {have} no answers to the test rows (answers.npz); runs of this version keep them"
    first = tested[0]
    assert first is not None
    if not all(each is not None and np.array_equal(each.truth, first.truth) for each in tested):
        return "the rows that they kept are not in the same order"
    return ""


def _sentence(ranked: Sequence[str], pairs: Sequence[Pairing], groups: Sequence[tuple[str, ...]], rows: int) -> str:
    """The answer in a sentence; that none can be told apart is one."""
    told = [pair for pair in pairs if pair.verdict != "not distinguishable"]
    if not told:
        return f"{rows:,} test rows cannot tell these {len(ranked)} runs apart."
    first = groups[0]
    if len(first) == 1:
        return f"{first[0]} is better than every other run on {rows:,} test rows."
    beaten = [name for name in ranked if name not in first]
    best = f"{rows:,} test rows cannot tell {_and(first)} apart"
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
