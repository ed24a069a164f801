"""Weak subgroups of a model: searched for on rows it did not learn from, and tested on the sealed rows.

No test row chooses a subgroup, so the difference that the test rows show, and its interval, are not flattered by the
choice. Subgroups that the user names are tested in the same way, without a search.
"""

from __future__ import annotations

import math

import numpy as np

from assay.data.pictures.reader import PictureReader
from assay.data.rows import sample_of
from assay.data.schema import Schema
from assay.evaluate.config import EvaluateConfig
from assay.evaluate.inspection_record import Slice, Slices
from assay.evaluate.judged import Judged
from assay.evaluate.metrics import PRIMARY, metric
from assay.evaluate.row_losses import Deciding, loss_name
from assay.evaluate.slices.conditions import Condition
from assay.evaluate.slices.named import TESTED_ROWS, Tested, check_slices, weighted_losses
from assay.evaluate.slices.row_values import RowValues
from assay.evaluate.slices.search import atoms_of, search
from assay.ledger import Ledger, Outcome

PRACTICE = "evaluate.slices"
#: Rows that the search looks at, at most.
SEARCHED_ROWS = 4000
#: Rows without which there is no search, that a subgroup has at least, and their least share.
FEWEST_ROWS, SMALLEST, SMALLEST_SHARE = 200, 20, 0.02


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
