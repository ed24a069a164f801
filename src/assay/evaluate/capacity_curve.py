"""A capacity curve: small networks from very narrow to wide that learn from the same rows, a few seeds of each width.

Where training and new rows both gain with the width, the networks were too small; where training rows gain alone, width
is not what is missing (Geman, Bienenstock & Doursat, Neural Computation 1992; that wider networks need not get worse
again: Belkin et al., PNAS 2019). The test rows have no part in it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from time import perf_counter

import numpy as np
from numpy.typing import NDArray

from assay._imports import require
from assay.data.encoding.encode import Encoder
from assay.data.rows import Rows, joined
from assay.data.schema import Schema
from assay.data.split.folds import Folds
from assay.data.split.split import Split
from assay.errors import BudgetError, DivergenceError
from assay.evaluate.config import EvaluateConfig
from assay.evaluate.estimate import Estimate
from assay.evaluate.inspection_record import CapacityCurve, CapacityPoint
from assay.evaluate.learning_curve import MODEL, error_of, some_of, why_no_curve
from assay.evaluate.metrics import PRIMARY, metric
from assay.ledger import Ledger, Outcome
from assay.train.budget import Budget
from assay.train.config import TrainConfig
from assay.train.examples import folded
from assay.train.loop import predict
from assay.train.model import train_network
from assay.train.watch import Unwatched

PRACTICE = "evaluate.capacity-curve"
#: Units of a hidden layer, seeds of each width, and rows at most.
WIDTHS, SEEDS = (4, 16, 64, 256), 3
_MOST_TRAIN, _MOST_VALID = 8_000, 4_000
_TRAIN = TrainConfig(epochs=30, patience=5)

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Trial:
    """Networks of one width: learned numbers of one, and errors of each on training and on new rows."""

    width: int
    parameters: int
    train: Floats
    valid: Floats


def capacity_curve(
    encoder: Encoder,
    split: Split,
    schema: Schema,
    config: EvaluateConfig,
    *,
    is_own: bool,
    budget: Budget,
    seed: int,
    ledger: Ledger,
) -> CapacityCurve | None:
    """The curve, where it was asked for or where there is time for it; see `learning_curve`."""
    why = why_no_curve(
        encoder, split, schema, config, "capacity_curve", config.capacity_curve, is_own=is_own, budget=budget
    )
    if why:
        ledger.record(PRACTICE, Outcome.SKIPPED, why)
        return None
    begun = perf_counter()
    train, valid = some_of(split.train, _MOST_TRAIN, seed), some_of(split.valid, _MOST_VALID, seed)
    made: list[Trial] = []
    try:
        for place, width in enumerate(WIDTHS):
            # The later ones are wider, and take more of what is left.
            share = 1.0 if width == WIDTHS[-1] else 0.6 / (len(WIDTHS) - place)
            made.append(_tried(encoder, train, valid, schema, width, budget.part(share), seed))
    except (BudgetError, DivergenceError) as error:
        ledger.record(PRACTICE, Outcome.SKIPPED, f"the small networks were not trained: {error.came}")
        return None
    found = judge_widths(made, schema, len(train), config.confidence, perf_counter() - begun)
    ledger.record(PRACTICE, Outcome.APPLIED, found.words, value=found.enough)
    return found


def _tried(encoder: Encoder, train: Rows, valid: Rows, schema: Schema, width: int, budget: Budget, seed: int) -> Trial:
    """Networks of one width, each with a seed of its own, that learn from all of these training rows."""
    rows, count = joined(train, valid), len(train)
    learns = np.tile(np.arange(len(rows)) < count, (SEEDS, 1))
    found = folded(encoder, rows, schema, Folds(learns, ~learns, "the same rows for every seed"))
    model = MODEL.model_copy(update={"width": width})
    made = train_network(found, "mlp", model, _TRAIN, seed=seed, budget=budget, watch=Unwatched())
    errors = []
    for part in (train, valid):
        outputs = predict(made.network, encoder.encode_rows(part)).numpy()
        each = outputs.reshape(SEEDS, -1, *outputs.shape[1:])
        errors.append(np.array([error_of(one, found.units.mean, found.units.deviation, part, schema) for one in each]))
    return Trial(width, made.part.parameters // SEEDS, *errors)


def judge_widths(made: Sequence[Trial], schema: Schema, rows: int, confidence: float, seconds: float) -> CapacityCurve:
    """The curve with the smallest width that does as well as the best, as far as the seeds can tell.

    The error of a mean is that of all widths together, whose seeds are few (Fisher's pooled variance).
    """
    special = require("scipy.special", "an interval")
    degrees = sum(len(trial.valid) - 1 for trial in made)
    reach = float(special.stdtrit(degrees, (1.0 + confidence) / 2.0))
    errors = {name: _pooled([getattr(trial, name) for trial in made], degrees) for name in ("train", "valid")}
    means = [float(trial.valid.mean()) for trial in made]
    best = int(np.argmin(means))
    noise = reach * math.sqrt(2.0) * errors["valid"]
    enough = next(place for place, mean in enumerate(means) if mean - means[best] <= noise)
    is_rising = len(made) > 1 and enough == len(made) - 1
    measure = metric(schema.task, PRIMARY[schema.task])
    points = tuple(
        CapacityPoint(
            width=trial.width, parameters=trial.parameters,
            train=_mean(trial.train, reach * errors["train"]), valid=_mean(trial.valid, reach * errors["valid"]),
        )
        for trial in made
    )  # fmt: skip
    error = f"1 - {measure.label}" if measure.higher_is_better else measure.label
    words = _words(made, means, enough, noise, error, is_rising=is_rising)
    return CapacityCurve(
        error=error, model="small networks (mlp)", rows=rows, points=points, enough=made[enough].width,
        is_rising=is_rising, words=words, seconds=seconds,
    )  # fmt: skip


def _pooled(errors: Sequence[Floats], degrees: int) -> float:
    """The standard error of the mean of one width, by the variance within all of them."""
    if not degrees:
        return 0.0
    within = sum(float(each.var(ddof=1)) * (len(each) - 1) for each in errors if len(each) > 1)
    return math.sqrt(within / degrees / min(map(len, errors)))


def _mean(errors: Floats, half: float) -> Estimate:
    mean = float(errors.mean())
    return Estimate(value=mean, low=mean - half, high=mean + half, method=f"mean of {len(errors)} seeds, pooled t")


def _words(
    made: Sequence[Trial], means: Sequence[float], enough: int, noise: float, error: str, *, is_rising: bool
) -> str:
    widest = made[-1].width
    if is_rising:
        gain = means[-2] - means[-1]
        return (
            f"small networks still gain at a width of {widest} ({error} {gain:.3g} less than at {made[-2].width}, "
            f"beyond {noise:.2g} of chance): a larger network may help"
        )
    return (
        f"small networks are as good at a width of {made[enough].width} as at any other up to {widest} ({error} "
        f"{means[enough]:.4g}, at best {min(means):.4g}, where seeds alone differ by {noise:.2g}): capacity is not "
        "what is missing"
    )
