"""From trained networks to one model: their answers weighted by what they got right, members without share left out.

`combine.py` has the weights themselves; here they are asked of networks, and networks are cut down to them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from assay.data.encoding.encode import Encoder
from assay.data.rows import Rows
from assay.data.schema import Schema
from assay.evaluate.calibration.calibrate import fit_temperature, mixed_probabilities
from assay.evaluate.multilabel.calibration import fit_label_temperature, mixed_labels
from assay.models.answer import Head
from assay.models.ensemble import Ensemble
from assay.models.network import Network
from assay.search.ensemble.choose import guarded, stacked
from assay.train.examples import Examples
from assay.train.families.forecast_ridge import RIDGE
from assay.train.loop import predict
from assay.train.model import Model, TrainedNetwork, Validation


@dataclass(frozen=True)
class Candidate:
    """Answers that are weighted as one: a member with its heads, or all folds of a variant.

    places: which members of which network. outputs: for the rows of validation, (heads, n, outputs).
    """

    network: int
    places: tuple[int, ...]
    outputs: NDArray[np.float32]


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
    weight = judged_weight(found, judge)
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


def candidate_answers(
    trained: TrainedNetwork, found: Examples, judge: Rows, weight: NDArray[np.float64] | None, schema: Schema
) -> list[NDArray[np.float64]]:
    """What the candidates of a network answer to the rows of validation; see `combine`.

    weight: of these rows, see `judged_weight`.
    """
    outputs = _outputs(trained.network, found)
    (temperature,) = _temperatures([outputs], found, judge, weight, schema)
    return [_answer(each, temperature, found, schema) for each in _candidates(0, outputs, found)]


def judged_weight(found: Examples, judge: Rows) -> NDArray[np.float64] | None:
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
