"""When a trial is not worth going on with: Optuna's pruners by name, with pinned arguments, on one axis of fidelity."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal, get_args

from assay._imports import require
from assay.errors import ConfigError, nearest

if TYPE_CHECKING:
    from optuna.pruners import BasePruner

Pruning = Literal["none", "asha", "hyperband", "median", "wilcoxon"]
PRUNERS: tuple[Pruning, ...] = get_args(Pruning)
Axis = Literal["epochs", "folds"]
#: What each does, in words.
MEANING: Mapping[Pruning, str] = MappingProxyType(
    {
        "none": "every trial is trained to its end",
        "asha": "only the best quarter goes on after 1, 4, 16, ... epochs",
        "hyperband": "successive halving of several patience, over epochs",
        "median": "a trial ends whose epoch is worse than the median of others at that epoch",
        "wilcoxon": "a trial ends whose folds are worse than those of the best by a signed-rank test",
    }
)


def pruning_named(name: str, folds: int) -> Pruning:
    """The pruner of this name.

    Raises:
        ConfigError: there is none, or it needs folds and there are none.
    """
    found = next((each for each in PRUNERS if each == name), None)
    if found is None:
        raise ConfigError(
            f"a pruner must be one of {', '.join(PRUNERS)}", f"{name!r} was given", nearest(name, PRUNERS)
        )
    if found == "wilcoxon" and folds == 1:
        raise ConfigError("the Wilcoxon test compares folds", "trials are judged on one held-out part",
                          "Give --folds 5, or take --prune asha.")  # fmt: skip
    return found


def axis_of(name: Pruning) -> Axis:
    """What the pruner is asked after: each epoch, or each fold; a study never has both."""
    return "folds" if name == "wilcoxon" else "epochs"


def pruner_for(name: Pruning, epochs: int) -> BasePruner:
    """Optuna's pruner with every argument pinned.

    Successive halving: Li et al. (MLSys 2020); Hyperband: Li et al. (JMLR 2018); the median rule: Golovin et al. (KDD
    2017), section 3.2.1; the test: Wilcoxon's signed ranks over folds.

    Args:
        epochs: the most that a trial may have.
    """
    made = require("optuna.pruners", "Ending trials early")
    makers: Mapping[Pruning, Callable[[], BasePruner]] = {
        "none": lambda: made.NopPruner(),
        "asha": lambda: made.SuccessiveHalvingPruner(
            min_resource=1, reduction_factor=4, min_early_stopping_rate=0, bootstrap_count=0
        ),
        "hyperband": lambda: made.HyperbandPruner(
            min_resource=1, max_resource=max(epochs, 1), reduction_factor=3, bootstrap_count=0
        ),
        "median": lambda: made.MedianPruner(
            n_startup_trials=5, n_warmup_steps=2, interval_steps=1, n_min_trials=3
        ),
        "wilcoxon": lambda: made.WilcoxonPruner(p_threshold=0.1, n_startup_steps=2),
    }  # fmt: skip
    return makers[name]()
