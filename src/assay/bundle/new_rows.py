"""What a saved model does to new rows that have the target: decisions, groups, sets or intervals, and named slices."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from assay.bundle.load import Bundle
from assay.bundle.manifest import REPORT
from assay.data.columns import as_category
from assay.data.reading.read import Table
from assay.data.rows import Rows
from assay.data.schema import Schema
from assay.errors import DataError
from assay.evaluate.carried.coverage import prove
from assay.evaluate.carried.record import CoverageReport
from assay.evaluate.carried.regions import Judged as Answered
from assay.evaluate.config import EvaluateConfig
from assay.evaluate.decision.exam import decided_again
from assay.evaluate.decision.record import DecisionReport
from assay.evaluate.fair.examine import BY_LABEL, fairness_of, giving
from assay.evaluate.fair.groups import learn_cuts
from assay.evaluate.fair.record import Fairness
from assay.evaluate.inspection_record import Slices
from assay.evaluate.judged import Judged
from assay.evaluate.record import Report
from assay.evaluate.row_losses import Deciding
from assay.evaluate.slices.conditions import Condition
from assay.evaluate.slices.named import decoded_for, named_slices


def _report_of(bundle: Bundle) -> Report | None:
    """The report of the run; None in a copy of the bundle that it was removed from."""
    path = bundle.directory / REPORT
    return Report.read(path) if path.is_file() else None


def decisions_of(
    bundle: Bundle, rows: Rows, answers: NDArray[np.float64], schema: Schema, config: EvaluateConfig
) -> DecisionReport | None:
    """What the decisions are worth on new rows; None where the run had nothing to say of its own."""
    report = _report_of(bundle)
    if report is None or report.decision is None:
        return None
    return decided_again(report.decision, schema, rows.target, answers, rows.weight, bundle.rule, config, seed=0)


def slices_of(
    bundle: Bundle, named: Sequence[Condition], rows: Rows, answers: NDArray[np.float64], schema: Schema,
    config: EvaluateConfig, folder: Path, longest: int,
) -> Slices | None:  # fmt: skip
    """The slices that the user named; None where there are none."""
    if not named:
        return None
    deciding = Deciding(bundle.rule, bundle.manifest.thresholds if schema.is_multilabel else None)
    pictures = decoded_for(named, rows, schema, folder, longest)
    return named_slices(named, Judged(rows, answers), schema, config, pictures=pictures, deciding=deciding, seed=0)


def groups_of(
    bundle: Bundle, rows: Rows, absent: Sequence[str], answers: np.ndarray, config: EvaluateConfig
) -> Fairness | None:
    """Rates of the groups of new rows, in the bands of numbers that the run cut."""
    if not bundle.schema.sensitive:
        return None
    report = _report_of(bundle)
    told = None if report is None else report.fairness
    cuts = learn_cuts(rows, bundle.schema) if told is None else told.cuts
    positive = bundle.schema.classes[-1] if bundle.schema.classes else ""
    labels = bundle.schema.is_multilabel
    return fairness_of(
        rows, bundle.schema, answers, config, cuts=cuts, part="new", absent=absent,
        decides=giving(bundle.manifest.thresholds) if labels else bundle.rule,
        decided=BY_LABEL if labels else bundle.rule.told(positive),
    )  # fmt: skip


def covered(
    bundle: Bundle, rows: Rows, answers: NDArray[np.float64], schema: Schema, confidence: float
) -> CoverageReport | None:
    """What the model's sets or intervals hold of these rows; None where it has none."""
    regions = bundle.manifest.regions
    if regions is None or not len(rows):
        return None
    placed = bundle.place(rows.frame) if regions.needs_outline else None
    column = regions.asks_for
    judged = Answered(
        answers, rows.target, None if column is None else tuple(as_category(rows.column(column)).to_list()),
        None if placed is None else placed.distance, None if placed is None else placed.coordinates,
    )  # fmt: skip
    return prove(regions, judged, schema.classes, confidence)


def note_left_out(table: Table, rows: Rows, schema: Schema, tell: Callable[[str], None] | None) -> None:
    """Tell of the rows without a target, which cannot be scored.

    Raises:
        DataError: no row has one.
    """
    left = table.frame.height - len(rows)
    if not len(rows):
        raise DataError(
            f"rows must have {schema.target!r} to be scored on", f"all {left:,} rows of {table.source.name!r} lack it",
            "Give rows with their target; assay predict answers those without.",
        )  # fmt: skip
    if left and tell is not None:
        tell(f"{left:,} of {table.frame.height:,} rows have no {schema.target!r} and are left out")
