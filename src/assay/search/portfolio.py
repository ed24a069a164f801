"""From examples to a model: the networks of a plan are trained one after another and combined by what they got right.

The plan, the training and the weighting are apart: `plan.py` says which networks, `combine.py` how much each counts.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from assay.data.config import SplitConfig
from assay.data.encode import Encoder
from assay.data.folds import deal_folds
from assay.data.rows import Rows, joined
from assay.data.schema import Schema
from assay.data.split import Split
from assay.data.stored import Spill
from assay.errors import BudgetError, DivergenceError
from assay.evaluate.calibration.calibrate import fit_temperature, mixed_probabilities
from assay.evaluate.multilabel.calibration import fit_label_temperature, mixed_labels
from assay.ledger import Ledger, Outcome
from assay.models.answer import Head
from assay.models.config import ModelConfig
from assay.models.ensemble import Ensemble
from assay.models.network import Network
from assay.search.choose import guarded, stacked
from assay.search.class_balance import with_balance
from assay.search.config import EnsembleConfig
from assay.search.distill import SHARE_OF_STUDENT, distilled
from assay.search.fair import with_groups
from assay.search.model_verdicts import (
    write_augmentation,
    write_forecast_ridge,
    write_model,
    write_rocket,
    write_text_linear,
    write_trees,
    write_tuned_text,
)
from assay.search.picture_policies import choose_mirroring, losses_of, seconds_to_save, with_policies
from assay.search.plan import Job, Plan, plan
from assay.search.pretrained import Pretraining, train_backbones
from assay.search.several import plan_settings
from assay.search.text_policy import text_substitutes
from assay.search.texts import SHARE_OF_TUNED, words_read
from assay.search.views import SHARE_OF_VIEWS, choose_views
from assay.train.budget import Budget
from assay.train.config import TrainConfig
from assay.train.examples import Examples, examples, folded
from assay.train.forecast_ridge import RIDGE, train_forecast_ridge
from assay.train.loop import predict
from assay.train.model import Model, TrainedNetwork, Validation, train_network
from assay.train.rocket_head import ROCKET, train_rocket
from assay.train.state import Checkpoints
from assay.train.text_linear import TEXT_LINEAR, train_text_linear
from assay.train.text_tuned import TUNED_TEXT, tune_text
from assay.train.trees import TREES, train_trees
from assay.train.watch import Named, Watch

#: Share of the time left below which no further network is begun, and those that trees, a linear model of texts and
#: random convolutions of series get at most.
_LEAST_SHARE, _SHARE_OF_TREES, _SHARE_OF_TEXT, _SHARE_OF_ROCKET = 0.08, 0.15, 0.25, 0.4


@dataclass(frozen=True)
class Candidate:
    """Answers that are weighted as one: a member with its heads, or all folds of a variant.

    places: which members of which network. outputs: for the rows of validation, (heads, n, outputs).
    """

    network: int
    places: tuple[int, ...]
    outputs: NDArray[np.float32]


def search(
    encoder: Encoder,
    split: Split,
    schema: Schema,
    model: ModelConfig,
    train: TrainConfig,
    ensemble: EnsembleConfig,
    *,
    dealing: SplitConfig,
    seed: int,
    budget: Budget,
    watch: Watch,
    ledger: Ledger,
    checkpoints: Checkpoints | None = None,
    spill: Spill | None = None,
    known: Sequence[TrainedNetwork] = (),
) -> Model:
    """The model: networks trained as planned, weighted greedily on rows they did not learn from.

    Encoded training rows that are too large for memory are put into the folder of `spill`. Where there are `known`
    networks, trained on these rows in `ensemble.folds` folds, no others are trained.

    Raises:
        DivergenceError: no network kept finite numbers.
        BudgetError: no time is left to train.
    """
    # A run that goes on has less time left, but its plan is that of then.
    allowed = budget.left if checkpoints is None else checkpoints.kept("seconds", budget.left)
    planned = plan_for(encoder, split, schema, model, train, ensemble, allowed)
    if known:
        planned = Plan((), ensemble.folds, "the networks that the search judged", "that of the search")
    of_all = budget
    if ensemble.distill and not math.isinf(allowed):
        budget = budget.holding(SHARE_OF_STUDENT * allowed)
    found, judge = planned_examples(encoder, split, schema, planned, dealing, seed, spill, ledger)
    found = replace(found, bagged=ensemble.bagging, words=text_substitutes(encoder, split.train, planned, ledger))
    found = with_groups(found, judge if planned.folds > 1 else split.train, judge, schema, train, ledger)
    networks = list(known)
    lost = lost_text = lost_rocket = lost_tuned = told = ""
    if ensemble.trees:
        more, lost = _or_why(lambda: _grow_trees(found, train, seed, budget, watch, checkpoints))
        networks += more
    if ensemble.text_linear and found.places("grams"):
        more, lost_text = _or_why(lambda: _fit_text_linear(found, train, seed, budget, watch, checkpoints))
        networks += more
    if found.places("windows"):
        more, lost_tuned = _or_why(lambda: _tune_text(found, train, seed, budget, watch, checkpoints))
        networks += more
    if schema.windowing is not None and ensemble.ridge:
        ridge = train_forecast_ridge(
            found, split.train, schema, seed=seed, budget=budget, watch=Named(watch, RIDGE), threads=train.threads
        )
        networks.append(ridge)
    is_series = schema.windowing is None and bool(found.places("series"))
    if is_series:
        more, lost_rocket = _or_why(lambda: _fit_rocket(found, train, seed, budget, watch))
        networks += more
    if found.places("pictures"):
        mirroring = choose_mirroring(found, planned, seed, ledger)
        mirror = mirroring.anywhere
        tested = 0 if split.test is None else len(split.test)
        given = Pretraining(found, ensemble, train, seed, watch, ledger, checkpoints, mirror, tested)
        pretrained, held = train_backbones(given, budget)
        networks += pretrained
        for_views = math.inf if math.isinf(allowed) else allowed * SHARE_OF_VIEWS
        budget = budget.holding(held if math.isinf(for_views) else held + for_views)
        planned, told = with_policies(found, planned, mirroring, budget, checkpoints, seed)
        budget = budget.holding(seconds_to_save(planned))
    if not networks and not planned.jobs:
        planned = replace(planned, jobs=planned.spare)
    planned = with_balance(
        planned, encoder, split, schema, train, dealing=dealing, seed=seed, budget=budget, watch=watch, ledger=ledger,
        checkpoints=checkpoints,
    )  # fmt: skip
    if planned.jobs and not any(each.part.trained.interrupted for each in networks):
        networks += _train_all(found, planned, seed, budget, watch, ledger, checkpoints, has_others=bool(networks))
    losses: Mapping[str, float] = {}
    if found.places("pictures"):
        losses = losses_of(networks, found)
        networks = choose_views(
            networks, found, ensemble.views, mirror=mirror, tests=tested, seconds=for_views, ledger=ledger
        )
    whole = combine(networks, found, judge, schema, encoder, stacking=ensemble.stacking, seed=seed)
    write_model(ledger, whole, networks, planned, ensemble, seed, budget)
    write_augmentation(ledger, whole, networks, told, losses)
    write_trees(ledger, whole, ensemble, lost)
    if found.places("grams"):
        write_text_linear(ledger, whole, ensemble, lost_text)
    if found.places("windows"):
        write_tuned_text(ledger, whole, networks, lost_tuned)
    if is_series:
        write_rocket(ledger, whole, lost_rocket)
    if schema.windowing is not None:
        write_forecast_ridge(ledger, whole)
    if ensemble.distill:
        return distilled(
            whole, planned, found, split, schema, seed=seed, budget=of_all, watch=watch, ledger=ledger,
            checkpoints=checkpoints,
            alone=lambda made, rows: combine([made], rows, split.valid, schema, encoder, seed=seed),
        )  # fmt: skip
    return whole


def plan_for(
    encoder: Encoder,
    split: Split,
    schema: Schema,
    model: ModelConfig,
    train: TrainConfig,
    ensemble: EnsembleConfig,
    seconds: float,
) -> Plan:
    """The plan for these rows, as they are encoded, and so many seconds of training.

    Raises:
        ConfigError: see `plan`.
    """
    if ensemble.settings:
        return plan_settings(encoder, len(split.train) + len(split.valid), schema, model, train, ensemble, seconds)
    tunes = bool(encoder.layout.places("windows"))
    for_networks = seconds * (1.0 - ensemble.trees * _SHARE_OF_TREES - tunes * SHARE_OF_TUNED)
    return plan(
        len(split.train) + len(split.valid), schema, model, train, ensemble, Budget(for_networks),
        has_encoder=encoder.frozen is not None, steps=max((item.length for item in encoder.inputs), default=0),
        has_pictures=any(item.picture is not None for item in encoder.inputs),
        tunes=tunes, words=words_read(encoder, split.train),
    )  # fmt: skip


def planned_examples(
    encoder: Encoder,
    split: Split,
    schema: Schema,
    planned: Plan,
    dealing: SplitConfig,
    seed: int,
    spill: Spill | None,
    ledger: Ledger,
) -> tuple[Examples, Rows]:
    """What the plan learns from, and the rows whose targets are judged by."""
    if planned.folds < 2:
        found = examples(encoder, split.train, split.valid, schema, seed=seed, spill=spill, ledger=ledger)
        return found, split.valid
    rows = joined(split.train, split.valid)
    return folded(encoder, rows, schema, deal_folds(rows, schema, dealing, planned.folds, seed), spill), rows


def _or_why(train: Callable[[], TrainedNetwork]) -> tuple[list[TrainedNetwork], str]:
    """What `train` gives, or nothing and why there was no time for it or nothing to learn."""
    try:
        return [train()], ""
    except (BudgetError, DivergenceError) as error:
        return [], error.came


def _grow_trees(
    found: Examples, train: TrainConfig, seed: int, budget: Budget, watch: Watch, checkpoints: Checkpoints | None
) -> TrainedNetwork:
    """Boosted trees. They come first, for networks can use the time that they leave."""
    return train_trees(
        found, seed=seed, budget=budget.part(_SHARE_OF_TREES), watch=Named(watch, TREES), threads=train.threads,
        checkpoints=None if checkpoints is None else checkpoints.within(TREES),
    )  # fmt: skip


def _fit_text_linear(
    found: Examples, train: TrainConfig, seed: int, budget: Budget, watch: Watch, checkpoints: Checkpoints | None
) -> TrainedNetwork:
    return train_text_linear(
        found, seed=seed, budget=budget.part(_SHARE_OF_TEXT), watch=Named(watch, TEXT_LINEAR),
        threads=train.threads, checkpoints=None if checkpoints is None else checkpoints.within(TEXT_LINEAR),
    )  # fmt: skip


def _tune_text(
    found: Examples, train: TrainConfig, seed: int, budget: Budget, watch: Watch, checkpoints: Checkpoints | None
) -> TrainedNetwork:
    return tune_text(
        found, seed=seed, budget=budget.part(SHARE_OF_TUNED), watch=Named(watch, TUNED_TEXT), threads=train.threads,
        checkpoints=None if checkpoints is None else checkpoints.within(TUNED_TEXT),
    )  # fmt: skip


def _fit_rocket(found: Examples, train: TrainConfig, seed: int, budget: Budget, watch: Watch) -> TrainedNetwork:
    return train_rocket(
        found, seed=seed, budget=budget.part(_SHARE_OF_ROCKET), watch=Named(watch, ROCKET), threads=train.threads
    )


def _train_all(
    found: Examples,
    planned: Plan,
    seed: int,
    budget: Budget,
    watch: Watch,
    ledger: Ledger,
    checkpoints: Checkpoints | None,
    *,
    has_others: bool,
) -> list[TrainedNetwork]:
    """The networks of the plan, in its order, each in its share of the time that is left.

    has_others: whether there is something to answer with when no network can be trained.
    """
    networks: list[TrainedNetwork] = []
    lost: list[str] = []
    allowed = budget.left
    for place, job in enumerate(planned.jobs):
        own = None if checkpoints is None else checkpoints.within(job.name)
        is_begun = own is not None and own.newest is not None
        if networks and not is_begun and budget.left < _LEAST_SHARE * allowed:
            lost.append(f"{job.name} (no time was left)")
            continue
        try:
            networks.append(_train(found, job, planned.jobs[place:], seed, budget, watch, own))
        except (DivergenceError, BudgetError) as error:
            if not networks and not has_others and job is planned.jobs[-1]:
                raise
            lost.append(f"{job.name} ({error.came})")
        if networks and networks[-1].part.trained.interrupted:
            break
    if lost:
        ledger.record("search.recipes", Outcome.WARNED, f"not trained: {', '.join(lost)}", value=len(networks))
    return networks


def _train(
    found: Examples,
    job: Job,
    still: Sequence[Job],
    seed: int,
    budget: Budget,
    watch: Watch,
    checkpoints: Checkpoints | None,
) -> TrainedNetwork:
    own = budget.part(job.share / sum(each.share for each in still))
    return train_network(
        found, job.name, job.model, job.train, seed=seed, budget=own, watch=Named(watch, job.name), vary=job.vary,
        checkpoints=checkpoints,
    )  # fmt: skip


# Weighting ----------------------------------------------------------------------------------------------------------


def combine(
    networks: Sequence[TrainedNetwork],
    found: Examples,
    judge: Rows,
    schema: Schema,
    encoder: Encoder,
    *,
    stacking: bool = False,
    seed: int = 0,
) -> Model:
    """The networks weighted greedily, or by stacking; members that no share fell to are left out of the model.

    seed: of the draws of validation rows that guard the weights.
    """
    weight = _judged_weight(found, judge)
    outputs = [_outputs(each.network, found) for each in networks]
    candidates = [c for place, each in enumerate(outputs) for c in _candidates(place, each, found)]
    temperatures = _temperatures(outputs, found, judge, weight, schema)
    answers = [_answer(c, temperatures[c.network], found, schema) for c in candidates]
    weigh = stacked if stacking and len(answers) > 1 else guarded
    owner = [c.network for c in candidates]
    simple = next((at for at, own in enumerate(owner) if networks[own].part.name == RIDGE), None)
    choice = weigh([each.part for each in networks], owner, answers, judge, weight, schema, seed, simple)
    kept = [(c, share) for c, share in zip(candidates, choice.shares.tolist(), strict=True) if share > 0.0]
    return replace(_model(networks, kept, temperatures, found, judge, weight, schema, encoder), choice=choice)


def _judged_weight(found: Examples, judge: Rows) -> NDArray[np.float64] | None:
    """Row weights of validation: rows that no fold is judged on count nothing."""
    if not found.folds or found.valid.weight is None:
        return judge.weight
    return np.asarray(found.valid.weight.sum(0).numpy(), np.float64)


def _outputs(network: Network, found: Examples) -> NDArray[np.float32]:
    """Raw outputs of all members for the rows of validation, (members, heads, n, outputs)."""
    raw = predict(network, found.valid.inputs)
    return np.asarray(raw.view(network.members, network.heads, *raw.shape[1:]).numpy())


def _candidates(place: int, outputs: NDArray[np.float32], found: Examples) -> list[Candidate]:
    if not found.folds:
        return [Candidate(place, (member,), each) for member, each in enumerate(outputs)]
    assert found.valid.weight is not None
    judge = found.valid.weight.argmax(0).numpy()
    candidates = []
    for first in range(0, len(outputs), found.folds):
        own = outputs[first + judge, :, np.arange(outputs.shape[2])]  # (n, heads, outputs)
        candidates.append(Candidate(place, tuple(range(first, first + found.folds)), own.transpose(1, 0, 2)))
    return candidates


def _temperatures(
    outputs: Sequence[NDArray[np.float32]],
    found: Examples,
    judge: Rows,
    weight: NDArray[np.float64] | None,
    schema: Schema,
) -> list[float]:
    """A temperature for each network, so that the over-sure and the smoothed can be averaged."""
    if not schema.has_probabilities:
        return [1.0] * len(outputs)
    fit = fit_label_temperature if schema.is_multilabel else fit_temperature
    fitted = []
    for place, each in enumerate(outputs):
        answers = np.concatenate([c.outputs for c in _candidates(place, each, found)])
        fitted.append(fit(answers, judge.target, weight))
    return fitted


def _answer(candidate: Candidate, temperature: float, found: Examples, schema: Schema) -> NDArray[np.float64]:
    """Probabilities (n, classes or labels), values (n,) or forecasts (n, horizon) of a candidate."""
    heads = len(candidate.outputs)
    if schema.has_probabilities:
        mixed = mixed_labels if schema.is_multilabel else mixed_probabilities
        return mixed(candidate.outputs, [temperature] * heads, [1.0 / heads] * heads)
    outputs = candidate.outputs if schema.windowing is not None else candidate.outputs[:, :, 0]
    mean = outputs.astype(np.float64).mean(0)
    return np.asarray(mean * found.units.deviation + found.units.mean, np.float64)


def _model(
    networks: Sequence[TrainedNetwork],
    kept: Sequence[tuple[Candidate, float]],
    temperatures: Sequence[float],
    found: Examples,
    judge: Rows,
    weight: NDArray[np.float64] | None,
    schema: Schema,
    encoder: Encoder,
) -> Model:
    """The model of the candidates that were kept, their networks cut down to the members in it."""
    modules, shares, heats, parts = [], [], [], []
    for place, each in enumerate(networks):
        chosen = [(c, share) for c, share in kept if c.network == place]
        if not chosen:
            continue
        heads = each.network.heads
        members = [member for c, _ in chosen for member in c.places]
        modules.append(only(each, members))
        for c, share in chosen:
            shares += [share / (len(c.places) * heads)] * (len(c.places) * heads)
        heats += [temperatures[place]] * (len(members) * heads)
        own = sum(share for _, share in chosen)
        parts.append(replace(each.part, members=len(members), parameters=modules[-1].parameter_count, share=own))
    thresholds = (0.5,) * found.outputs if schema.is_multilabel else None  # until they are chosen
    heated = tuple(heats) if schema.has_probabilities else None
    head = Head(
        tuple(shares), heated, found.units.mean, found.units.deviation, thresholds, has_labels=schema.is_multilabel
    )
    return Model(encoder, Ensemble(modules), head, tuple(parts), _validation(kept, temperatures, judge, weight, head))


def _validation(
    kept: Sequence[tuple[Candidate, float]],
    temperatures: Sequence[float],
    judge: Rows,
    weight: NDArray[np.float64] | None,
    head: Head,
) -> Validation:
    ordered = sorted(kept, key=lambda each: each[0].network)
    shares = [share / len(c.outputs) for c, share in ordered for _ in c.outputs]
    heats = [temperatures[c.network] for c, _ in ordered for _ in c.outputs]
    outputs = np.concatenate([c.outputs for c, _ in ordered])
    return Validation(outputs, tuple(shares), tuple(heats) if head.is_classifier else None, judge.target, weight)


def only(trained: TrainedNetwork, members: Sequence[int]) -> Network:
    """The network with these members alone."""
    if list(members) == list(range(trained.network.members)):
        return trained.network
    smaller = trained.make(members)
    places = torch.tensor(members)
    own, whole = smaller.state_dict(), trained.network.state_dict()
    learned = {name for name, _ in smaller.named_parameters()} | set(smaller.statistics())
    for name in learned:
        own[name].copy_(whole[name][places])
    return smaller.eval()
