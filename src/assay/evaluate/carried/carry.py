"""What a model carries beside its answers: regions that hold the truth, and an outline of what rows usually look like.

`carry` calibrates both on validation rows, `prove` measures them on the test rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from assay.data.columns import as_category
from assay.data.outline import Placed
from assay.data.regions import INTERVALS, SETS
from assay.data.rows import Rows, joined, sample_of
from assay.data.schema import Schema
from assay.data.split.split import Split
from assay.errors import ConfigError, nearest
from assay.evaluate.carried.conformal import fewest_rows
from assay.evaluate.carried.coverage import note_coverage
from assay.evaluate.carried.coverage import prove as prove_coverage
from assay.evaluate.carried.outline import fit_outline, most_rows, place_rows, with_limit
from assay.evaluate.carried.record import CoverageReport, UnusualReport
from assay.evaluate.carried.regions import Judged, fit_regions
from assay.evaluate.carried.unusual import note_unusual, unusual_share
from assay.evaluate.config import EvaluateConfig
from assay.ledger import Ledger, Outcome
from assay.models.reading import inputs_of
from assay.train.model import Model

Floats = NDArray[np.float64]

_CONFORMAL, _UNUSUAL = "evaluate.conformal", "evaluate.unusual"
#: Calibration rows at most: more move a limit by less than chance moves the test.
_MOST_ROWS = 20_000


def check_carried(schema: Schema, config: EvaluateConfig) -> None:
    """Refuse a kind of region that the task does not have, and a column of groups that is not there.

    Raises:
        ConfigError: one of them was asked for.
    """
    fitting = SETS if schema.is_classification else INTERVALS
    has_regions = schema.windowing is None and not schema.is_multilabel
    if config.conformal not in ("auto", "none") and not (has_regions and config.conformal in fitting):
        can = f"for {schema.task.value} evaluate.conformal may be auto, none" + (
            f", {', '.join(fitting)}" if has_regions else ""
        )
        raise ConfigError(can, f"{config.conformal} was given", "Leave it out, or take one of these.")
    column = config.conformal_groups
    if column is None:
        return
    if not has_regions:
        raise ConfigError(
            "evaluate.conformal_groups is for sets of classes and intervals of single values",
            f"the task is {schema.task.value}", "Leave it out.",
        )  # fmt: skip
    names = [known.name for known in schema.columns]
    if column not in names:
        raise ConfigError(
            "evaluate.conformal_groups must name a column of the table", f"{column!r} is none", nearest(column, names)
        )
    if column == schema.target and not schema.is_classification:
        raise ConfigError(
            "groups of evaluate.conformal_groups must be known when a row is answered",
            f"{column!r} is the target, and its values are no classes",
            "Name another column.",
        )


def carry(
    model: Model,
    answers: Floats,
    split: Split,
    schema: Schema,
    config: EvaluateConfig,
    *,
    seed: int,
    ledger: Ledger,
) -> Model:
    """The model with an outline of its training rows and, of one class or value a row, calibrated regions.

    Args:
        answers: to the rows that it did not learn from; see `validation_answers`.
    """
    if schema.windowing is not None:
        reason = "a forecast has bands for each step ahead (evaluate.bands)"
        ledger.record(_CONFORMAL, Outcome.NOT_APPLICABLE, reason)
        ledger.record(_UNUSUAL, Outcome.NOT_APPLICABLE, "windows of a series are not compared with training rows")
        return model
    model = _with_outline(model, split, config, seed, ledger)
    if schema.is_multilabel:
        reason = "a set of classes is of rows that have one; labels have thresholds (evaluate.thresholds)"
        ledger.record(_CONFORMAL, Outcome.NOT_APPLICABLE, reason)
        return model
    if config.conformal == "none":
        ledger.record(_CONFORMAL, Outcome.SKIPPED, "switched off with evaluate.conformal=none")
        return model
    rows, source = _judged_rows(model, split)
    regions = fit_regions(
        _judged(model, rows, answers, schema, config, seed), config.coverage, config.conformal,
        column=config.conformal_groups, by_class=config.conformal_groups == schema.target, source=source, seed=seed,
    )  # fmt: skip
    if regions is None:
        reason = (
            f"{len(rows):,} {source} are too few for {config.coverage:.4g}: no score of fewer than "
            f"{fewest_rows(config.coverage):,} rows holds so much (of kinds that learn a shape, of half of them)"
        )
        ledger.record(_CONFORMAL, Outcome.WARNED, reason, value=len(rows))
    return replace(model, regions=regions)


def _with_outline(model: Model, split: Split, config: EvaluateConfig, seed: int, ledger: Ledger) -> Model:
    """Learned from training rows, its limit found on validation rows."""
    if not config.false_alarms:
        ledger.record(_UNUSUAL, Outcome.SKIPPED, "switched off with evaluate.false_alarms=0")
        return model
    inputs = inputs_of(model.encoder, model.ensemble)
    outline = fit_outline(split.train, model.encoder, inputs, seed=seed)
    taken = sample_of(len(split.valid), most_rows(inputs), seed)
    rows = split.valid if taken is None else split.valid.at(taken)
    found = place_rows(outline, rows, model.encoder, inputs)
    return replace(model, outline=with_limit(outline, found.distance, config.false_alarms))


def _judged_rows(model: Model, split: Split) -> tuple[Rows, str]:
    """The rows that validation answers are of; with folds every row was answered by networks that had not seen it."""
    if len(model.validation.target) == len(split.valid):
        return split.valid, "validation rows"
    return joined(split.train, split.valid), "rows that were answered out of fold"


def _judged(model: Model, rows: Rows, answers: Floats, schema: Schema, config: EvaluateConfig, seed: int) -> Judged:
    """The calibration rows, a sample of many, with all that regions depend on."""
    weight = model.validation.weight
    places = np.arange(len(rows)) if weight is None else np.flatnonzero(weight > 0.0)
    wants_shape = model.outline is not None and not schema.is_classification
    wants_shape &= config.conformal in ("auto", "normalised", "cqr")
    most = most_rows(inputs_of(model.encoder, model.ensemble)) if wants_shape else _MOST_ROWS
    taken = sample_of(len(places), min(most, _MOST_ROWS), seed)
    places = places if taken is None else places[taken]
    some = rows if len(places) == len(rows) else rows.at(places)
    placed = _placed(model, some) if wants_shape else None
    return Judged(
        answers[places], model.validation.target[places], _groups(some, schema, config.conformal_groups),
        None if placed is None else placed.distance, None if placed is None else placed.coordinates,
    )  # fmt: skip


def _placed(model: Model, rows: Rows) -> Placed:
    assert model.outline is not None
    return place_rows(model.outline, rows, model.encoder, inputs_of(model.encoder, model.ensemble))


def _groups(rows: Rows, schema: Schema, column: str | None) -> tuple[str | None, ...] | None:
    """The group of each row; None where there is no column, or where it is the class."""
    if column is None or column == schema.target:
        return None
    return tuple(as_category(rows.column(column)).to_list())


# On the test rows -----------------------------------------------------------------------------------------------------


def prove(
    model: Model,
    rows: Rows,
    answers: Floats,
    schema: Schema,
    config: EvaluateConfig,
    *,
    is_test: bool,
    seed: int,
    ledger: Ledger,
) -> tuple[CoverageReport | None, UnusualReport | None]:
    """What regions hold of these rows, and how many the outline flags; None of what the model does not carry.

    Args:
        answers: to the rows: probabilities (n, K) or values (n,).
        is_test: whether these are sealed rows; on those that it was calibrated on nothing is proven.
    """
    if not is_test:
        _note_unproven(model, ledger)
        return None, None
    taken = sample_of(len(rows), most_rows(inputs_of(model.encoder, model.ensemble)), seed)
    some = rows if taken is None else rows.at(taken)
    placed = None if model.outline is None else _placed(model, some)
    unusual = None
    if placed is not None and model.outline is not None and model.outline.limit is not None:
        unusual = unusual_share(model.outline, placed, config.false_alarms, config.confidence)
        note_unusual(unusual, ledger)
    regions = model.regions
    if regions is None:
        return None, unusual
    if regions.needs_outline:
        assert placed is not None
        answers = answers if taken is None else answers[taken]
    else:
        some, placed = rows, None
    judged = Judged(
        answers, some.target, _groups(some, schema, regions.asks_for),
        None if placed is None else placed.distance, None if placed is None else placed.coordinates,
    )  # fmt: skip
    others = {name: as_category(some.column(name)).to_list() for name in schema.sensitive if name != regions.column}
    found = prove_coverage(regions, judged, schema.classes, config.confidence, others)
    note_coverage(found, _caveats(schema, regions.source), ledger)
    return found, unusual


def _note_unproven(model: Model, ledger: Ledger) -> None:
    if model.outline is not None:
        reason = f"calibrated on {model.outline.calibration:,} validation rows; there are no test rows to prove it on"
        ledger.record(_UNUSUAL, Outcome.WARNED, reason)
    if model.regions is not None:
        made = f"{model.regions.limit.rows:,} {model.regions.source}"
        ledger.record(_CONFORMAL, Outcome.WARNED, f"calibrated on {made}; there are no test rows to prove it on")


def _caveats(schema: Schema, source: str) -> Sequence[str]:
    """Why the rows may not be alike, which the promise rests on."""
    found = []
    if schema.group is not None:
        found.append(f"the promise is for rows that are exchangeable, and rows of one {schema.group!r} are alike")
    if schema.time is not None:
        found.append("the promise is for rows that are exchangeable, and later rows may differ")
    if schema.weight is not None:
        found.append("every row counts once, whatever its weight")
    if source == "validation rows":
        found.append("validation rows chose epochs and weights of the networks too, so the test rows are the proof")
    return found
