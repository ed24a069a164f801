"""A learning curve: small networks that learn from an eighth to all of the training rows, trained as one batch.

Each size has networks on several draws of the rows. All are members of one network, each with the rows that it may
learn from, and are judged by the validation rows; the test rows have no part in it. The small network stands for the
model: its error is another, but what more rows bring is much alike.
"""

from __future__ import annotations

import math
from time import perf_counter
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from assay.data.encoding.encode import Encoder
from assay.data.rows import Rows, joined, sample_of
from assay.data.schema import Schema, Task
from assay.data.split.folds import Folds
from assay.data.split.split import Split
from assay.errors import BudgetError, DivergenceError
from assay.evaluate.calibration.calibrate import mixed_probabilities
from assay.evaluate.config import EvaluateConfig
from assay.evaluate.estimate import Estimate
from assay.evaluate.inspection_record import CapacityCurve, CurvePoint, Inspection, LearningCurve
from assay.evaluate.intervals import quantile
from assay.evaluate.metrics import PRIMARY, Scorer, metric
from assay.evaluate.multilabel.calibration import mixed_labels
from assay.evaluate.multilabel.metrics import LabelScorer
from assay.evaluate.power_law import fit_power_law, gain_of_more
from assay.ledger import Ledger, Outcome
from assay.models.config import ModelConfig
from assay.train.budget import Budget
from assay.train.config import TrainConfig
from assay.train.examples import folded
from assay.train.loop import predict
from assay.train.model import train_network
from assay.train.watch import Unwatched

PRACTICE = "evaluate.learning-curve"
#: Shares of the training rows, draws of each, and rows at most.
SHARES, REPEATS = (0.125, 0.25, 0.5, 1.0), 3
_MOST_TRAIN, _MOST_VALID, _FEWEST = 16_000, 4_000, 400
#: Share of the time left that it takes by itself, and the least of it that is worth it, in seconds.
_SHARE, _LEAST = 0.3, 12.0
MODEL = ModelConfig(name="mlp", members=1, width=64, number_bins=16)
_TRAIN = TrainConfig(epochs=40, patience=6)

Floats = NDArray[np.float64]


def learning_curve(
    encoder: Encoder,
    split: Split,
    schema: Schema,
    config: EvaluateConfig,
    *,
    is_own: bool,
    budget: Budget,
    seed: int,
    ledger: Ledger,
) -> LearningCurve | None:
    """The curve, where it was asked for or where there is time for it.

    Args:
        encoder: of the run; what it learned from all training rows, small networks on fewer rows have as well.
        split: whose test part is not looked at.
        is_own: whether the model is the user's own, for which no small network stands.
        budget: of the run, without what is held back for what follows.
    """
    why = why_no_curve(
        encoder, split, schema, config, "learning_curve", config.learning_curve, is_own=is_own, budget=budget
    )
    if why:
        ledger.record(PRACTICE, Outcome.SKIPPED, why)
        return None
    begun = perf_counter()
    own_time = budget.part(_SHARE)
    if config.learning_curve is True:
        own_time = budget.part(0.5) if config.capacity_curve is True else budget
    train, valid = (
        some_of(rows, most, seed) for rows, most in ((split.train, _MOST_TRAIN), (split.valid, _MOST_VALID))
    )
    try:
        sizes, errors = _errors(encoder, train, valid, schema, own_time, seed)
    except (BudgetError, DivergenceError) as error:
        ledger.record(PRACTICE, Outcome.SKIPPED, f"the small networks were not trained: {error.came}")
        return None
    found = _curve(sizes, errors, schema, len(split.train), config.confidence, seed, perf_counter() - begun)
    ledger.record(PRACTICE, Outcome.APPLIED, in_words(found, schema), value=found.gain.value)
    return found


def with_curves(
    inspection: Inspection | None, curve: LearningCurve | None, capacity: CapacityCurve | None
) -> Inspection | None:
    """The closer look with the curves in it."""
    if inspection is None:
        return None
    return inspection.model_copy(update={"curve": curve, "capacity": capacity})


def why_no_curve(
    encoder: Encoder,
    split: Split,
    schema: Schema,
    config: EvaluateConfig,
    option: str,
    asked: bool | Literal["auto"],
    *,
    is_own: bool,
    budget: Budget,
) -> str:
    """Why there is no curve of small networks; nothing where there is one.

    Args:
        option: of the evaluation that asks for the curve. asked: its value.
        is_own, budget: see `learning_curve`.
    """
    kinds = {view.kind for view in encoder.layout.media} & {"pictures", "series"}
    if is_own or schema.windowing is not None or kinds:
        what = "a model of your own" if is_own else "forecasts" if schema.windowing is not None else " and ".join(kinds)
        return f"no small network of tables stands for {what}"
    if len(split.train) < _FEWEST:
        return f"{len(split.train):,} training rows are too few; {_FEWEST} would do"
    if asked is False:
        return f"switched off with evaluate.{option}=false"
    is_idle = config.protocol == "holdout" and _LEAST <= _SHARE * budget.left < math.inf
    if asked == "auto" and not is_idle:
        return f"no time was left for it; evaluate.{option}=true keeps some"
    return ""


def some_of(rows: Rows, most: int, seed: int) -> Rows:
    """So many of the rows at most, drawn at random."""
    taken = sample_of(len(rows), most, seed)
    return rows if taken is None else rows.at(taken)


def _errors(
    encoder: Encoder, train: Rows, valid: Rows, schema: Schema, budget: Budget, seed: int
) -> tuple[Floats, Floats]:
    """Rows learned from (p,), and errors on the validation rows (p, r)."""
    rows, count = joined(train, valid), len(train)
    learns = draws(count, len(valid), seed)
    judged = np.tile(np.arange(len(rows)) >= count, (len(learns), 1))
    found = folded(encoder, rows, schema, Folds(learns, judged, "draws of the training rows"))
    made = train_network(
        found, "mlp", MODEL, _TRAIN, seed=seed, budget=budget, watch=Unwatched()
    )  # fmt: skip
    outputs = predict(made.network, encoder.encode_rows(valid)).numpy()
    each = outputs.reshape(len(learns), -1, *outputs.shape[1:])
    errors = [error_of(some, found.units.mean, found.units.deviation, valid, schema) for some in each]
    sizes = learns[::REPEATS].sum(1).astype(np.float64)
    return sizes, np.array(errors).reshape(len(SHARES), REPEATS)


def draws(train: int, valid: int, seed: int) -> NDArray[np.bool_]:
    """Which rows each network learns from, (sizes * repeats, train + valid): the larger draws hold the smaller ones."""
    rng = np.random.default_rng(seed)
    orders = [rng.permutation(train) for _ in range(REPEATS)]
    learns = np.zeros((len(SHARES) * REPEATS, train + valid), bool)
    for at, share in enumerate(SHARES):
        for repeat, order in enumerate(orders):
            learns[at * REPEATS + repeat, order[: max(1, round(share * train))]] = True
    return learns


def error_of(outputs: NDArray[np.float32], mean: float, deviation: float, valid: Rows, schema: Schema) -> float:
    """1 less the primary metric, or the metric itself where lower is better; from outputs (heads, n, outputs)."""
    name, equal = PRIMARY[schema.task], [1.0 / len(outputs)] * len(outputs)
    ones = [1.0] * len(outputs)
    if schema.is_multilabel:
        answers = mixed_labels(outputs, ones, equal)
        scorer = LabelScorer(valid.target, answers, np.full(answers.shape[1], 0.5))
        return 1.0 - scorer.values(valid.weight, (name,))[name]
    if schema.task is Task.REGRESSION:
        answers = outputs[:, :, 0].mean(0).astype(np.float64) * deviation + mean
        return Scorer(schema.task, valid.target, answers).values(valid.weight, (name,))[name]
    answers = mixed_probabilities(outputs, ones, equal)
    return 1.0 - Scorer(schema.task, valid.target, answers).values(valid.weight, (name,))[name]


def _curve(
    sizes: Floats, errors: Floats, schema: Schema, rows: int, confidence: float, seed: int, seconds: float
) -> LearningCurve:
    measure = metric(schema.task, PRIMARY[schema.task])
    law = fit_power_law(sizes, errors)
    half = quantile(confidence) * errors.std(axis=1, ddof=1) / math.sqrt(errors.shape[1])
    points = tuple(
        CurvePoint(
            rows=int(size),
            error=Estimate(
                value=float(mean), low=float(mean - reach), high=float(mean + reach), method=f"mean of {REPEATS} draws"
            ),
        )
        for size, mean, reach in zip(sizes, errors.mean(1), half, strict=True)
    )
    gain = gain_of_more(sizes, errors, rows, 2.0 * rows, confidence=confidence, seed=seed)
    return LearningCurve(
        error=f"1 - {measure.label}" if measure.higher_is_better else measure.label,
        model=f"small networks (mlp, width {MODEL.width})", points=points, a=law.a, b=law.b, c=law.c, gain=gain,
        seconds=seconds,
    )  # fmt: skip


def in_words(found: LearningCurve, schema: Schema) -> str:
    """What twice the rows would bring."""
    measure, gain = metric(schema.task, PRIMARY[schema.task]), found.gain
    assert gain.value is not None
    assert gain.low is not None
    assert gain.high is not None
    if measure.higher_is_better:
        figures = f"{100 * gain.value:+.1f} points of {measure.label} [{100 * gain.low:+.1f}, {100 * gain.high:+.1f}]"
    else:
        figures = f"{-gain.value:+.3g} of {measure.label} [{-gain.high:+.3g}, {-gain.low:+.3g}]"
    return (
        f"twice the training rows would bring about {figures}, by {found.model} on {found.points[0].rows:,} to "
        f"{found.points[-1].rows:,} rows"
    )
