"""The leaderboard of a run: networks, baselines and the whole model, in the primary metric and in what they cost."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from assay.data.rows import Rows, sample_of
from assay.data.schema import Schema
from assay.evaluate.baselines import FittedBaseline
from assay.evaluate.calibration.calibrate import mixed_probabilities
from assay.evaluate.chosen import alone
from assay.evaluate.metrics import Floats, Metric
from assay.evaluate.multilabel.calibration import mixed_labels
from assay.evaluate.record import Estimate, Leaderboard, LeaderboardRow, ModelScores, Selection
from assay.models.network import Network
from assay.train.choice import Choice
from assay.train.families.trees import TREES
from assay.train.loop import predict
from assay.train.model import Model
from assay.train.part import Part

#: Answers to the test rows of the network at a place of the model, and what they are worth in the primary metric.
Judge = Callable[[Floats, int], Estimate]

#: Rows that a network is timed on at most, and the seconds that timing may take; those for validation rows of a
#: baseline, and the rows that it is scored on at most.
_TIMED, _TIMING = 500, 0.2
_SCORED, _SCORING = 20_000, 2.0
#: Bootstrap samples of the intervals, which are many.
SAMPLES = 200


@dataclass(frozen=True)
class Sat:
    """What the exam has of the test rows: scores of all models, the whole model first, and its raw outputs (A, n, ...).

    rows: that were answered. is_sealed: whether they are a test part, and not validation rows for want of one.
    judge: of a network's answers to these rows.
    """

    scores: Sequence[ModelScores]
    raw: NDArray[np.float32]
    rows: int
    is_sealed: bool
    judge: Judge


def leaderboard(
    model: Model,
    choice: Choice,
    baselines: Sequence[FittedBaseline],
    valid: Rows,
    schema: Schema,
    measure: Metric,
    selection: Selection,
    sat: Sat,
    *,
    judge_valid: Callable[[Rows, Floats], Estimate],
    confidence: float,
) -> Leaderboard:
    """All rows, those first that are best without what their choice flatters by.

    Args:
        choice: what the model was chosen from.
        valid: rows that baselines are scored on; networks are on those that they were chosen by.
        measure: the primary metric.
        judge_valid: of answers to some of the validation rows.
        confidence: of the intervals.
    """
    whole = sat.scores[0]
    a_row = whole.predict_seconds / max(sat.rows, 1)
    costs, timed_rows = _timed(model, valid, a_row)
    rest = max(a_row - sum(costs), 0.0)
    rows = [
        LeaderboardRow(
            name="the model", kind="ensemble", share=1.0, validation=selection.validation,
            validation_rows=selection.rows, corrected=selection.corrected, test=_on_test(whole, measure, sat),
            fit_seconds=model.seconds, predict_microseconds=1e6 * a_row,
            bytes=bytes_of(model),
        )
    ]  # fmt: skip
    for place, part in enumerate(choice.parts):
        rows.append(_network_row(model, choice, place, part, schema, measure, sat, costs, rest, confidence))
    for baseline, scores in zip(baselines, sat.scores[1:], strict=True):
        rows.append(_baseline_row(baseline, scores, valid, measure, sat, judge_valid))
    part_of = "test" if sat.is_sealed else "validation"
    timed = f"{sat.rows:,} raw {part_of} rows in batches, reading of cells included"
    if costs:
        timed += f"; what networks share of that was measured on {timed_rows:,} validation rows"
    board = Leaderboard(
        metric=measure.id, label=measure.label, higher_is_better=measure.higher_is_better, timed=timed, rows=()
    )
    return ranked(board, rows)


def ranked(board: Leaderboard, rows: Sequence[LeaderboardRow]) -> Leaderboard:
    """The leaderboard of these rows, the best first."""
    sign = -1.0 if board.higher_is_better else 1.0
    in_order = sorted(rows, key=lambda row: sign * value if (value := _value(row)) is not None else np.inf)
    return board.model_copy(update={"rows": tuple(in_order)})


def bytes_of(model: Model) -> int:
    """What the numbers of all networks take."""
    return sum(map(_bytes, networks_of(model)))


def with_size(found: Leaderboard | None, size: int) -> Leaderboard | None:
    """The same with the bytes of the file that the whole model is saved in."""
    if found is None:
        return None
    rows = tuple(row.model_copy(update={"bytes": size}) if row.kind == "ensemble" else row for row in found.rows)
    return found.model_copy(update={"rows": rows})


def part_answers(model: Model, place: int, raw: NDArray[np.float32]) -> Floats:
    """The answers of one network of the model alone, from the raw outputs of all, (A, n, ...)."""
    sizes = [network.members * network.heads for network in networks_of(model)]
    own = slice(sum(sizes[:place]), sum(sizes[: place + 1]))
    shares = np.asarray(model.head.shares[own])
    shares = shares / shares.sum()
    if model.head.temperatures is not None:
        heats = model.head.temperatures[own]
        if model.head.has_labels:
            stated = mixed_labels(raw[own], heats, shares.tolist(), model.head.factors)
        else:
            stated = mixed_probabilities(raw[own], heats, shares.tolist())
        return stated if model.head.calibration is None else model.head.calibration.apply(stated)
    found = raw[own] if model.validation.target.ndim == 2 else raw[own][:, :, 0]
    return model.head.in_units(found, shares.tolist())


def _network_row(
    model: Model,
    choice: Choice,
    place: int,
    part: Part,
    schema: Schema,
    measure: Metric,
    sat: Sat,
    costs: Sequence[float],
    rest: float,
    confidence: float,
) -> LeaderboardRow:
    validation, estimate = alone(choice, place, schema.task, measure, confidence)
    inside = [each.name for each in model.parts]
    at = inside.index(part.name) if part.name in inside else None
    if part.is_network:
        kind: Literal["network", "trees", "linear"] = "network"
    else:
        kind = "trees" if part.name == TREES else "linear"
    return LeaderboardRow(
        name=part.name, kind=kind, share=0.0 if at is None else model.parts[at].share,
        validation=validation if np.isfinite(validation) else None, validation_rows=len(choice.target),
        corrected=estimate,
        test=None if at is None or not sat.is_sealed else sat.judge(part_answers(model, at, sat.raw), at),
        fit_seconds=part.trained.seconds,
        predict_microseconds=None if at is None else 1e6 * (rest + costs[at]),
        bytes=None if at is None else _bytes(networks_of(model)[at]),
    )  # fmt: skip


def _baseline_row(
    baseline: FittedBaseline,
    scores: ModelScores,
    valid: Rows,
    measure: Metric,
    sat: Sat,
    judge_valid: Callable[[Rows, Floats], Estimate],
) -> LeaderboardRow:
    """A baseline: validation rows had no part in its choice, so that its score on them flatters it by nothing."""
    a_row = scores.predict_seconds / max(sat.rows, 1)
    taken = sample_of(len(valid), int(np.clip(_SCORING / max(a_row, 1e-9), _TIMED, _SCORED)))
    some = valid if taken is None else valid.at(taken)
    found = judge_valid(some, baseline.predict(some))
    return LeaderboardRow(
        name=baseline.name, kind="baseline", share=None, validation=found.value, validation_rows=len(some),
        corrected=found, test=_on_test(scores, measure, sat), fit_seconds=baseline.fit_seconds,
        predict_microseconds=1e6 * a_row, bytes=None,
    )  # fmt: skip


def _on_test(scores: ModelScores, measure: Metric, sat: Sat) -> Estimate | None:
    if not sat.is_sealed:
        return None
    return next((score.estimate for score in scores.scores if score.name == measure.id), None)


def _value(row: LeaderboardRow) -> float | None:
    estimate = None if row.corrected is None else row.corrected.value
    return row.validation if estimate is None else estimate


def networks_of(model: Model) -> list[Network]:
    """The networks of a model in the order of its parts."""
    return [network for network in model.ensemble.networks if isinstance(network, Network)]


def _timed(model: Model, valid: Rows, a_row: float) -> tuple[list[float], int]:
    """Seconds that each network takes for a row that is encoded, and the rows that this was measured on."""
    count = int(min(np.clip(_TIMING / max(a_row, 1e-9), 8, _TIMED), len(valid)))
    if not count:
        return [0.0] * len(model.parts), 0
    batch = model.encoder.encode(valid.at(np.arange(count)).frame)
    costs = []
    for network in networks_of(model):
        begun = perf_counter()
        predict(network, batch)
        costs.append((perf_counter() - begun) / count)
    return costs, count


def _bytes(network: Network) -> int:
    """What the numbers of a network take on disk, learned ones and those that are kept with them."""
    return sum(tensor.numel() * tensor.element_size() for tensor in network.state_dict().values())
