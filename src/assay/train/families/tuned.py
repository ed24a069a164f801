"""What is pretrained, trained further on the rows of a table: what texts and pictures have in common."""

from __future__ import annotations

from assay.data.encoding.batches import Source
from assay.errors import BudgetError
from assay.models.config import ModelConfig
from assay.models.network import Network
from assay.train.budget import Budget
from assay.train.changes import Policy
from assay.train.config import TrainConfig
from assay.train.examples import Examples
from assay.train.loop import fit
from assay.train.members import alike
from assay.train.part import Part
from assay.train.state import Checkpoints
from assay.train.watch import Watch


def check_tunable(what: str, found: Examples, budget: Budget, checkpoints: Checkpoints | None) -> None:
    """Refuse to begin with folds, or without time.

    Args:
        what: is trained further, as messages call it.

    Raises:
        BudgetError: there is no time, and no checkpoint to go on from.
        ValueError: there are folds.
    """
    if found.folds:
        raise ValueError(f"a {what} is tuned on a single split")
    if budget.left <= 0 and (checkpoints is None or checkpoints.newest is None):
        raise BudgetError(
            f"the budget must leave time to train the {what} further",
            f"{budget.used:.0f} s had passed before it was begun",
            "Give more time with --budget, or leave it out with ensemble.tuned_layers=0.",
        )


def train_further(
    name: str,
    network: Network,
    layers: int,
    train: Source,
    valid: Source,
    config: TrainConfig,
    *,
    seed: int,
    budget: Budget,
    watch: Watch,
    checkpoints: Checkpoints | None,
    policy: Policy | None = None,
) -> Part:
    """Train a network of one member, whose last `layers` learn, in place; the part that it is of a model.

    Raises:
        DivergenceError: the numbers are no longer finite.
        KeyboardInterrupt: interrupted before the first step.
    """
    trained = fit(
        network, train, valid, config, alike(1, config, dropout=0.0, seed=seed), seed=seed, budget=budget, watch=watch,
        checkpoints=checkpoints, policy=policy,
    )  # fmt: skip
    options = {"layers": layers, "lr": config.lr, "batch": trained.batch, "epochs": len(trained.epochs)}
    return Part(name, ModelConfig(dropout=0.0), config, trained, 1, network.parameter_count, options=options)
