"""What the ledger says of a model: which networks and other parts are in it, with what share, and which are not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from assay.ledger import Ledger, Outcome
from assay.models.config import PICTURES, SERIES
from assay.search.config import EnsembleConfig
from assay.search.planning.jobs import Plan
from assay.train.budget import Budget
from assay.train.families.forecast_ridge import RIDGE
from assay.train.families.rocket_head import ROCKET
from assay.train.families.text_linear import TEXT_LINEAR
from assay.train.families.text_tuned import TUNED_TEXT
from assay.train.families.trees import TREES
from assay.train.model import Model, TrainedNetwork
from assay.train.part import Part
from assay.train.part_verdicts import write_budget, write_rates, write_verdicts


def write_model(
    ledger: Ledger,
    whole: Model,
    networks: Sequence[TrainedNetwork],
    planned: Plan,
    ensemble: EnsembleConfig,
    seed: int,
    budget: Budget,
) -> None:
    """The verdicts on what was trained, on how it was weighted, and on folds and bags."""
    trained = [each for each in networks if each.part.is_network]
    if trained:
        leading, first = _leading(whole, trained)
        write_verdicts(ledger, leading, whole.encoder.layout.numbers, first.first_loss, seed)
    write_budget(ledger, whole.trained, budget)
    write_rates(ledger, [each.part for each in trained])
    told = ", ".join(f"{part.name} {part.share:.0%} ({_count(part.members)})" for part in whole.parts)
    if "search.recipes" not in ledger:
        names = ", ".join(each.part.name for each in trained) or "none"
        ledger.record("search.recipes", Outcome.APPLIED, f"{planned.reason}: {names}", value=len(trained))
    way = "greedy weights" if whole.choice is None else whole.choice.way
    ledger.record("search.ensemble", Outcome.APPLIED, f"{told}: {way}", value=len(whole.parts))
    if ensemble.bagging:
        reason = "each member learned from a Poisson bootstrap of the training rows"
        ledger.record("search.bagging", Outcome.APPLIED, reason, value=whole.members)
    else:
        ledger.record("search.bagging", Outcome.SKIPPED, "members share the rows; ensemble.bagging=true resamples them")
    if planned.folds > 1:
        reason = (
            f"{planned.folds} folds trained as members of one run; every row is judged by networks that had not seen it"
        )
        ledger.record("search.folds", Outcome.APPLIED, reason, value=planned.folds)
    else:
        ledger.record("search.folds", Outcome.SKIPPED, f"one split: {planned.why_no_folds}", value=1)


def _leading(whole: Model, trained: Sequence[TrainedNetwork]) -> tuple[Part, TrainedNetwork]:
    """The network with the largest share, as it is in the model and as it was trained.

    Where trees have the whole answer, it is the network that came nearest.
    """
    kept = {part.name: part for part in whole.parts}
    inside = [each for each in trained if each.part.name in kept]
    if inside:
        first = max(inside, key=lambda each: kept[each.part.name].share)
        return kept[first.part.name], first
    first = min(trained, key=lambda each: float(np.mean(each.part.trained.best_losses)))
    return first.part, first


def write_augmentation(
    ledger: Ledger, whole: Model, networks: Sequence[TrainedNetwork], told: str, losses: Mapping[str, float]
) -> None:
    """The verdict on changes of training pictures and series.

    told: what was tried, or why not, where the choice was left open. losses: on validation, of networks by name.
    """
    able = [each.part for each in networks if each.part.is_network and each.part.model.name in PICTURES + SERIES]
    if not able:
        return
    shares = {part.name: part.share for part in whole.parts}

    def line(part: Part) -> str:
        loss = f", validation loss {losses[part.name]:.4f}" if part.name in losses else ""
        return f"{part.name} ({shares.get(part.name, 0.0):.0%} of the answer{loss}): {part.changes or 'none'}"

    done = "; ".join([*map(line, able), *([told] if told else [])])
    if any(part.changes for part in able):
        ledger.record("train.augmentation", Outcome.APPLIED, done, value=sum(bool(part.changes) for part in able))
    else:
        ledger.record("train.augmentation", Outcome.SKIPPED, "model.augment=none, or no time to try any", value=0)


def write_trees(ledger: Ledger, whole: Model, ensemble: EnsembleConfig, lost: str) -> None:
    """The verdict on boosted trees in the model; `lost` says why there are none."""
    if not ensemble.trees:
        reason = "trees stay baselines; ensemble.trees=true lets them join"
        ledger.record("search.trees", Outcome.SKIPPED, reason)
        return
    share = sum(part.share for part in whole.parts if part.name == TREES)
    if lost:
        reason = f"there are none in the model: {lost}"
        ledger.record("search.trees", Outcome.WARNED, reason, value=0.0)
    elif not share:
        reason = "the greedy weights gave boosted trees no share, and they were dropped"
        ledger.record("search.trees", Outcome.APPLIED, reason, value=0.0)
    elif all(part.name == TREES for part in whole.parts):
        reason = "the greedy weights gave boosted trees the whole answer: no network is in the model"
        ledger.record("search.trees", Outcome.WARNED, reason, value=share)
    else:
        reason = f"boosted trees are in the model with {share:.0%} of the answer, as ensemble.trees=true asked"
        ledger.record("search.trees", Outcome.APPLIED, reason, value=share)


def write_text_linear(ledger: Ledger, whole: Model, ensemble: EnsembleConfig, lost: str) -> None:
    """The verdict on the linear model of texts; `lost` says why there is none."""
    share = sum(part.share for part in whole.parts if part.name == TEXT_LINEAR)
    if not ensemble.text_linear:
        ledger.record("search.text-linear", Outcome.SKIPPED, "ensemble.text_linear=false leaves it out")
    elif lost:
        ledger.record("search.text-linear", Outcome.WARNED, f"there is none in the model: {lost}", value=0.0)
    elif not share:
        reason = "the greedy weights gave the linear model of TF-IDF n-grams no share, and it was dropped"
        ledger.record("search.text-linear", Outcome.APPLIED, reason, value=0.0)
    elif all(part.name == TEXT_LINEAR for part in whole.parts):
        reason = "the greedy weights gave a linear model the whole answer: you do not need a deep network here"
        ledger.record("search.text-linear", Outcome.WARNED, reason, value=share)
    else:
        reason = f"a linear model of TF-IDF n-grams has {share:.0%} of the answer"
        ledger.record("search.text-linear", Outcome.APPLIED, reason, value=share)


def write_tuned_text(ledger: Ledger, whole: Model, networks: Sequence[TrainedNetwork], lost: str) -> None:
    """The verdict on the text encoder that was trained further; `lost` says why there is none."""
    if lost:
        ledger.record("search.text-tuning", Outcome.WARNED, f"there is none in the model: {lost}", value=0.0)
        return
    (part,) = (each.part for each in networks if each.part.name == TUNED_TEXT)
    share = sum(each.share for each in whole.parts if each.name == TUNED_TEXT)
    assert part.options is not None
    layers = part.options["layers"]
    assert isinstance(layers, int)
    reason = (
        f"{trained_layers(layers)} trained {passes(len(part.trained.epochs))} from a fitted head, lower ones slower;"
        f" it has {share:.0%} of the answer"
    )
    ledger.record("search.text-tuning", Outcome.APPLIED, reason, value=share)


def trained_layers(layers: int) -> str:
    """The beginning of a sentence on the last layers of something pretrained."""
    return "its last layer was" if layers == 1 else f"its last {layers} layers were"


def passes(epochs: int) -> str:
    """For how long something was trained."""
    return "for one epoch" if epochs == 1 else f"for {epochs} epochs"


def write_rocket(ledger: Ledger, whole: Model, lost: str) -> None:
    """The verdict on random convolutions of series; `lost` says why there are none."""
    share = sum(part.share for part in whole.parts if part.name == ROCKET)
    if lost:
        ledger.record("search.rocket", Outcome.WARNED, f"there are none in the model: {lost}", value=0.0)
        return
    reason = f"random convolutions with a ridge head have {share:.0%} of the answer"
    ledger.record("search.rocket", Outcome.APPLIED, reason, value=share)


def write_forecast_ridge(ledger: Ledger, whole: Model) -> None:
    """The verdict on the linear forecast: whether networks were taken, and what they gain over it on validation."""
    practice, share = "search.forecast-ridge", sum(part.share for part in whole.parts if part.name == RIDGE)
    choice = whole.choice
    assert choice is not None
    if all(part.name != RIDGE for part in choice.parts):
        ledger.record(practice, Outcome.SKIPPED, "ensemble.ridge=false leaves it out")
    elif choice.lead is None:
        ledger.record(practice, Outcome.WARNED, "it answers alone: no network could be trained", value=0.0)
    elif choice.lead.is_clear:
        reason = f"{choice.lead.told()}: networks were taken, and the ridge forecast has {share:.0%} of the answer"
        ledger.record(practice, Outcome.APPLIED, reason, value=choice.lead.gain / choice.lead.simple)
    else:
        reason = f"{choice.lead.told()}: it answers alone, and you do not need a deep network here"
        ledger.record(practice, Outcome.WARNED, reason, value=choice.lead.gain / choice.lead.simple)


def _count(members: int) -> str:
    return f"{members} members" if members > 1 else "1 member"
