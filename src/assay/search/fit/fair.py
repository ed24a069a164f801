"""What training does about sensitive groups: whose rows weigh more, and which group each row is told to be in.

The losses that look at groups are in `train/fair_loss.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import torch

from assay.data.encoding.batches import Resident
from assay.data.rows import Rows
from assay.data.schema import MEDIA_KINDS, Schema
from assay.errors import BudgetError, ConfigError, DivergenceError
from assay.evaluate.config import EvaluateConfig
from assay.evaluate.fair.learned import check_groups, learned_groups, reweighing
from assay.ledger import Ledger, Outcome
from assay.search.config import EnsembleConfig
from assay.train.budget import Budget
from assay.train.config import ON_GROUPS, TrainConfig
from assay.train.examples import Examples
from assay.train.model import Model
from assay.train.state import Checkpoints

_PRACTICE = "train.fairness"


def check_fairness(
    schema: Schema, train: TrainConfig, ensemble: EnsembleConfig, evaluate: EvaluateConfig, *, is_own: bool
) -> None:
    """Refuse a mitigation that has no groups, or that some part of the model would not take part in.

    Raises:
        ConfigError: there is such.
    """
    _check_thresholds(schema, evaluate)
    how = train.fairness
    if how == "none":
        return
    check_groups(schema, f"train.fairness={how}")
    if how != "group_dro" and not schema.is_classification:
        raise ConfigError(
            f"train.fairness={how} is about classes", f"the task is {schema.task.value}",
            "Leave it out, or take group_dro for the worst group's error.",
        )  # fmt: skip
    if is_own:
        raise ConfigError(
            "a model of your own brings its own loss", f"train.fairness={how} was given", "Leave one of the two out."
        )
    if how not in ON_GROUPS:
        return
    media = sorted({c.kind.value for c in schema.features if c.kind in MEDIA_KINDS})
    others = [f"columns of kind {kind}, which parts without such a loss read" for kind in media]
    others += ["boosted trees (ensemble.trees=true)"] if ensemble.trees else []
    if others:
        raise ConfigError(
            f"every part of the model must be trained with train.fairness={how}", f"there are {', '.join(others)}",
            "Take train.fairness=reweigh, which weighs the rows of every part.",
        )  # fmt: skip


def _check_thresholds(schema: Schema, evaluate: EvaluateConfig) -> None:
    if evaluate.group_thresholds != "none" and (schema.positive is None or not schema.sensitive):
        came = "no column is named as sensitive" if schema.positive else f"the task is {schema.task.value}"
        raise ConfigError(
            "evaluate.group_thresholds part two classes, in groups of sensitive columns", came,
            "Name the columns with --sensitive COL, or leave it out.",
        )  # fmt: skip


def with_groups(
    found: Examples, learned: Rows, judged: Rows, schema: Schema, train: TrainConfig, ledger: Ledger
) -> Examples:
    """The examples as the mitigation wants them: training rows weighed anew, or all rows with their groups.

    Validation rows keep their weights: they are to judge as the test rows will.

    Args:
        found: the examples.
        learned: the rows that they are learned from, in their order.
        judged: the rows that they are judged on.
        schema: names the sensitive columns.
        train: how.
        ledger: where it is written.

    Raises:
        ConfigError: no sensitive column has two groups, they make too many, or the rows lie in files.
    """
    if train.fairness == "none":
        _note_none(schema, ledger)
        return found
    if not isinstance(found.train, Resident):
        raise ConfigError(
            f"train.fairness={train.fairness} needs its rows in memory", "they lie in files",
            "Allow more memory with data.memory, or take fewer rows.",
        )  # fmt: skip
    groups = learned_groups(learned, judged, schema)
    named = f"{len(groups.names)} groups of {' by '.join(dict.fromkeys(schema.sensitive))}"
    if train.fairness == "reweigh":
        factors = reweighing(groups.codes, learned.target, learned.weight)
        ledger.record(
            _PRACTICE, Outcome.APPLIED, f"reweigh: rows of {named} weigh {factors.min():.3g} to {factors.max():.3g}, "
            "so that group and class are independent among training rows", value=float(factors.max()),
        )  # fmt: skip
        own = found.train.weight
        weights = torch.from_numpy(factors).float()
        return replace(found, train=found.train.weighing(weights if own is None else own * weights))
    told = {
        "group_dro": "the loss of the worst group of each class is trained on, and judges epochs",
        "equalised_odds": f"gaps of TPR and FPR cost {train.fairness_weight:g} times their size, in judging epochs too",
    }[train.fairness]
    ledger.record(_PRACTICE, Outcome.APPLIED, f"{train.fairness}: {told}; {named}", value=train.fairness_weight)
    return found.grouped(groups.codes, groups.judged)


def _note_none(schema: Schema, ledger: Ledger) -> None:
    if schema.sensitive:
        reason = "sensitive columns are named, and nothing is done about their groups: train.fairness=none"
        ledger.record(_PRACTICE, Outcome.SKIPPED, reason)
    else:
        ledger.record(_PRACTICE, Outcome.NOT_APPLICABLE, "no column was named as sensitive (--sensitive)")


#: What the epochs of the model without the mitigation are called.
TWIN = "without train.fairness"

# Beside the same without ----------------------------------------------------------------------------------------------

Trains = Callable[[TrainConfig, Budget, Ledger, Checkpoints | None], Model]


def with_and_without(
    search: Trains, train: TrainConfig, budget: Budget, ledger: Ledger, checkpoints: Checkpoints | None
) -> tuple[Model, Model | None]:
    """The model, and the same trained without the mitigation in as much time; None where there is nothing to compare.

    search: trains with such options in such a time.
    """
    if train.fairness == "none" or not train.fairness_compare:
        return search(train, budget, ledger, checkpoints), None
    model = search(train, budget.part(0.5), ledger, checkpoints)
    if any(part.trained.interrupted for part in model.parts):
        return model, None
    plain = TrainConfig.model_validate(
        {name: getattr(train, name) for name in train.model_fields_set - {"fairness", "fairness_weight"}}
    )
    own = None if checkpoints is None else checkpoints.within("without-fairness")
    try:
        return model, search(plain, budget, Ledger(), own)
    except (BudgetError, DivergenceError) as error:
        told = ledger[_PRACTICE]
        ledger.record(_PRACTICE, told.outcome, f"{told.reason}; what it costs is not known: {error.came}",
                      value=told.value)  # fmt: skip
        return model, None
