"""Weak subgroups of a model: searched for on rows it did not learn from, and tested on the sealed rows.

No test row chooses a subgroup, so the difference that the test rows show, and its interval, are not flattered by the
choice. Subgroups that the user names are tested in the same way, without a search.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from assay._imports import require
from assay.data.picture_reader import PictureReader
from assay.data.rows import Rows, sample_of
from assay.data.schema import Schema
from assay.errors import ConfigError
from assay.evaluate.compare import holm
from assay.evaluate.config import EvaluateConfig
from assay.evaluate.estimate import Estimate
from assay.evaluate.inspection_record import Slice, Slices, SliceVerdict
from assay.evaluate.intervals import estimates, quantile
from assay.evaluate.judged import Judged
from assay.evaluate.metrics import PRIMARY, Scorer, metric
from assay.evaluate.row_losses import Deciding, absolute_or_log, loss_name
from assay.evaluate.slices.conditions import Condition, parse, written
from assay.evaluate.slices.row_values import RowValues
from assay.evaluate.slices.search import atoms_of, search
from assay.ledger import Ledger, Outcome

PRACTICE = "evaluate.slices"
#: Rows that the search looks at, and test rows that slices are tested on, at most.
SEARCHED_ROWS, TESTED_ROWS = 4000, 100_000
#: Rows without which there is no search, that a subgroup has at least, and their least share.
FEWEST_ROWS, SMALLEST, SMALLEST_SHARE = 200, 20, 0.02
#: Test rows that a slice, and those outside it, must have to be judged.
_JUDGED_ROWS = 15
#: Samples of the bootstrap of a slice's score, fewer where it has many rows.
_SAMPLES, _FEWEST_SAMPLES, _DRAWN = 200, 50, 2_000_000

Bools = NDArray[np.bool_]
Floats = NDArray[np.float64]


def check_slices(named: Sequence[str], schema: Schema) -> tuple[Condition, ...]:
    """The conditions that the user named, before anything is trained.

    Raises:
        ConfigError: one of them cannot be read, or the task has no rows that slices could be of.
    """
    if named and schema.windowing is not None:
        raise ConfigError(
            "slices must be of rows that stand alone", "a forecast has windows, which overlap", "Leave --slice out."
        )
    return tuple(parse(text, schema) for text in named)


def weak_slices(
    chosen_by: Judged,
    tested_by: Judged | None,
    schema: Schema,
    config: EvaluateConfig,
    *,
    pictures: PictureReader | None,
    deciding: Deciding,
    seed: int,
    ledger: Ledger,
) -> Slices:
    """The weak subgroups, and the slices that the user named.

    Args:
        chosen_by: rows that nothing was learned from, which choose subgroups.
        tested_by: the sealed rows, which test them; where there are none, half of the others do.
        schema: of their table.
        config: the slices named, and how sure intervals and tests are to be.
        pictures: what has decoded the pictures of the rows, where there are any.
        deciding: how answers become decisions.
    """
    if tested_by is None:
        dealt = np.random.default_rng(seed).permutation(len(chosen_by))
        half = len(chosen_by) // 2
        chosen_by, tested_by = chosen_by.at(np.sort(dealt[:half])), chosen_by.at(np.sort(dealt[half:]))
    taken = sample_of(len(tested_by), TESTED_ROWS, seed)
    tested = Tested.of(tested_by if taken is None else tested_by.at(taken), schema, config, pictures, deciding, seed)
    found, searched, candidates, smallest, reason = _searched(chosen_by, schema, config, pictures, seed)
    confirmed = tested.all([condition for condition, _ in found], [excess for _, excess in found])
    named = tested.all(check_slices(config.slices, schema))
    record = Slices(
        loss=loss_name(chosen_by.answers), metric=metric(schema.task, PRIMARY[schema.task]).label,
        searched_rows=searched, candidates=candidates, smallest=smallest, tested_on=len(tested.rows), found=confirmed,
        named=named, reason=reason,
    )  # fmt: skip
    _note(record, schema, ledger)
    return record


def _searched(
    judged: Judged, schema: Schema, config: EvaluateConfig, pictures: PictureReader | None, seed: int
) -> tuple[list[tuple[Condition, float]], int, int, int, str]:
    """Conditions found with the difference they were found by; rows and candidates looked at, least size, why not."""
    taken = sample_of(len(judged), SEARCHED_ROWS, seed)
    some = judged if taken is None else judged.at(taken)
    smallest = max(SMALLEST, math.ceil(SMALLEST_SHARE * len(some)))
    if len(some) < FEWEST_ROWS:
        return [], len(some), 0, smallest, f"{len(some):,} rows are too few to search; {FEWEST_ROWS} would do"
    values = RowValues(some.rows, schema, pictures)
    atoms = atoms_of(values, schema)
    if not atoms:
        return [], len(some), 0, smallest, "no column divides the rows"
    masks = np.stack([values.holds(atom.condition) for atom in atoms])
    losses = weighted_losses(some)
    level = 1.0 - config.confidence
    made = search(masks, [atom.column for atom in atoms], losses, smallest=smallest, level=level, seed=seed)
    found = []
    for candidate in made.found:
        condition = tuple(clause for place in candidate.atoms for clause in atoms[place].condition)
        inside = values.holds(condition)
        found.append((condition, float(losses[inside].mean() - losses[~inside].mean())))
    reason = "" if made.candidates else "the losses of all rows are the same, or no subgroup is large enough"
    return found, len(some), made.candidates, smallest, reason


def weighted_losses(judged: Judged) -> Floats:
    """The loss of each row, times its weight where rows have weights with a mean of one."""
    losses, weight = absolute_or_log(judged.answers, judged.rows.target), judged.rows.weight
    return losses if weight is None else losses * weight / max(float(weight.mean()), 1e-300)


@dataclass(frozen=True)
class Tested:
    """The rows that slices are tested on, with all that is asked of them."""

    rows: Rows
    answers: Floats
    losses: Floats
    wrong: Bools | None
    values: RowValues
    schema: Schema
    config: EvaluateConfig
    deciding: Deciding
    seed: int

    @classmethod
    def of(
        cls,
        judged: Judged,
        schema: Schema,
        config: EvaluateConfig,
        pictures: PictureReader | None,
        deciding: Deciding,
        seed: int,
    ) -> Tested:
        """The rows with their losses."""
        rows = judged.rows
        return cls(
            rows, judged.answers, weighted_losses(judged), deciding.wrong(judged.answers, rows.target),
            RowValues(rows, schema, pictures), schema, config, deciding, seed,
        )  # fmt: skip

    def all(self, conditions: Sequence[Condition], found: Sequence[float] | None = None) -> tuple[Slice, ...]:
        """Each slice against the rest of the rows, their p-values Holm-corrected together."""
        inside = [self.values.holds(condition) for condition in conditions]
        raw = [self._tested(mask) for mask in inside]
        judged = [at for at, (_, p_value) in enumerate(raw) if p_value is not None]
        p_values: list[float | None] = [None] * len(raw)
        one_sided = [min(p, 1.0 - p) * 2.0 if found is None else p for _, p in raw if p is not None]
        for at, p_value in zip(judged, holm(one_sided), strict=True):
            p_values[at] = p_value
        return tuple(
            self._slice(condition, mask, difference, p_value, None if found is None else found[at])
            for at, (condition, mask, (difference, _), p_value) in enumerate(
                zip(conditions, inside, raw, p_values, strict=True)
            )
        )

    def _tested(self, inside: Bools) -> tuple[Estimate, float | None]:
        """The difference of the mean losses inside and outside with its interval, and the chance of one so high."""
        within, rest = self.losses[inside], self.losses[~inside]
        if not len(within) or not len(rest):
            return Estimate(value=None, method="not defined: all rows are on one side"), None
        value = float(within.mean() - rest.mean())
        if min(len(within), len(rest)) < _JUDGED_ROWS:
            return Estimate(value=value, method=f"no interval: fewer than {_JUDGED_ROWS} rows on a side"), None
        error = math.sqrt(within.var(ddof=1) / len(within) + rest.var(ddof=1) / len(rest))
        if not error > 0.0:
            return Estimate(value=value, method="no interval: the losses do not vary"), None
        special = require("scipy.special", "a test of a slice")
        half = quantile(self.config.confidence) * error
        estimate = Estimate(value=value, low=value - half, high=value + half, method="Welch, normal")
        return estimate, float(special.ndtr(-value / error))

    def _slice(
        self, condition: Condition, inside: Bools, difference: Estimate, p_value: float | None, found: float | None
    ) -> Slice:
        rows = int(inside.sum())
        verdict: SliceVerdict = "too few rows" if p_value is None else "not distinguishable"
        if p_value is not None and p_value < 1.0 - self.config.confidence and difference.value is not None:
            verdict = "weaker" if difference.value > 0.0 else "stronger"
        wrong = self.wrong
        return Slice(
            condition=written(condition, self.schema), rows=rows, share=rows / max(len(self.rows), 1),
            loss=_mean(self.losses[inside]), loss_rest=_mean(self.losses[~inside]), difference=difference,
            p_value=p_value, wrong=None if wrong is None else _mean(wrong[inside]),
            wrong_rest=None if wrong is None else _mean(wrong[~inside]), expected_wrong=self._expected(inside),
            score=self._score(inside), score_rest=self._plain_score(~inside),
            found_difference=found, verdict=verdict,
        )  # fmt: skip

    def _expected(self, inside: Bools) -> float | None:
        """The share of wrong answers that the model's own probabilities let expect."""
        if not self.schema.is_classification:
            return None
        answers = self.answers[inside]
        return _mean(1.0 - answers[np.arange(len(answers)), self.deciding.classes(answers)])

    def _score(self, inside: Bools) -> Estimate | None:
        """The primary metric of these rows; of labels there is none."""
        if self.schema.is_multilabel or not inside.any():
            return None
        name, target, answers = PRIMARY[self.schema.task], self.rows.target[inside], self.answers[inside]
        return estimates(
            self.schema.task, target, answers, None if self.rows.weight is None else self.rows.weight[inside],
            confidence=self.config.confidence, only=(name,), seed=self.seed,
            samples=int(np.clip(_DRAWN / inside.sum(), _FEWEST_SAMPLES, _SAMPLES)),
        )[name]  # fmt: skip

    def _plain_score(self, inside: Bools) -> float | None:
        """The same without an interval."""
        if self.schema.is_multilabel or not inside.any():
            return None
        name, weight = PRIMARY[self.schema.task], self.rows.weight
        scorer = Scorer(self.schema.task, self.rows.target[inside], self.answers[inside])
        value = scorer.values(None if weight is None else weight[inside], (name,))[name]
        return value if math.isfinite(value) else None


def _mean(values: NDArray[np.float64] | Bools) -> float | None:
    return float(values.mean()) if len(values) else None


def _note(found: Slices, schema: Schema, ledger: Ledger) -> None:
    if not found.candidates:
        ledger.record(PRACTICE, Outcome.NOT_APPLICABLE, f"no search for weak subgroups: {found.reason}")
        return
    weak = [each for each in found.found if each.verdict == "weaker"]
    told = (
        f"{found.candidates:,} subgroups of at least {found.smallest:,} rows were looked at on {found.searched_rows:,} "
        "rows that nothing was learned from"
    )
    told += f"; rows of one {schema.group!r} were taken as independent" if schema.group is not None else ""
    if not found.found:
        ledger.record(PRACTICE, Outcome.PASSED, f"no weak subgroup that chance would not explain: {told}", value=0.0)
    elif not weak:
        reason = f"{told}; {len(found.found)} stood out, and the {found.tested_on:,} test rows confirm none"
        ledger.record(PRACTICE, Outcome.PASSED, reason, value=0.0)
    else:
        named = "; ".join(f"{each.condition} ({_figures(each, found.loss)})" for each in weak)
        reason = f"{told}; {len(weak)} are weaker on the test rows too: {named}"
        ledger.record(PRACTICE, Outcome.WARNED, reason, value=len(weak))


def _figures(each: Slice, loss: str) -> str:
    assert each.loss is not None
    assert each.loss_rest is not None
    if each.wrong is not None and each.wrong_rest is not None:
        return f"{each.wrong:.1%} of {each.rows:,} rows wrong against {each.wrong_rest:.1%}"
    return f"{loss} {each.loss:.3g} of {each.rows:,} rows against {each.loss_rest:.3g}"
