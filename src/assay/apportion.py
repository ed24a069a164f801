"""How the time of a run is dealt out: to the reading of texts, to the baselines, and to what follows training."""

from __future__ import annotations

import math

from assay.compose.run_config import RunConfig
from assay.data.encoding.encode import Encoder
from assay.data.schema import Schema
from assay.data.split.split import Split
from assay.ledger import Ledger
from assay.request import Request
from assay.search.fit.texts import TextPlan, plan_texts
from assay.train.budget import Budget

#: Seconds that the export with its parity check and the report take, and those of the intervals for each million pairs
#: of a test row and a model at 1,000 bootstrap samples (above `_MOST_PAIRS` fewer samples are taken).
_SAVING = 14.0
_SCORING = 90.0
_MOST_PAIRS = 130_000
#: Seconds of the closer look (subgroups, mistakes, damaged cells), most of which are answers to rows.
_INSPECTING = 3.0
#: Seconds of the intervals of a model whose rows have any number of labels, which are bootstraps all of them.
_SCORING_LABELS = 2.5
#: Seconds that all models take to answer a validation or test row beyond so many, twice that where there is time for
#: a slow network; and the description of a training cell.
_ANSWERING, _ANSWERED_AT_ONCE, _LONG = 1.2e-4, 20_000, 200.0
_DESCRIBING = 3e-8
#: Seconds more where a text encoder, random convolutions of series, networks of windows or of pictures, or those of
#: timm are saved.
_SAVING_TEXTS, _SAVING_TUNED, _SAVING_SERIES, _SAVING_WINDOWS, _SAVING_PICTURES, _SAVING_TIMM = (
    6.0, 18.0, 28.0, 8.0, 8.0, 10.0,
)  # fmt: skip
#: What reads texts for a model of the user's own.
_PLAIN_TEXTS = {"text_encoder": "none", "text_grams": 0}
#: Share of the time left that the baselines may take.
_BASELINE_SHARE = 0.15
#: Share of the budget that a curve of small networks takes where it is asked for.
_CURVE_SHARE = 0.2


def text_plan(request: Request, split: Split, schema: Schema, budget: Budget, ledger: Ledger) -> TextPlan:
    """How texts are read; a model of the user's own is given what `describe_inputs` says, without a text encoder."""
    data = request.config.data
    options = data.encode if request.model is None else data.encode.model_copy(update=_PLAIN_TEXTS)
    others = len(split.valid) + (0 if split.test is None else len(split.test))
    left = budget.holding(_SAVING)
    room = data.memory * 1_000_000
    ensemble = request.config.ensemble
    if request.model is not None:
        ensemble = ensemble.model_copy(update={"tuned_layers": 0})
    model = request.config.model if request.model is None else None
    return plan_texts(
        split.train, others, schema, options, ensemble, model=model, room=room, budget=left, ledger=ledger
    )


def seconds_after_training(
    split: Split, schema: Schema, config: RunConfig, budget: Budget, texts: TextPlan, encoder: Encoder
) -> float:
    """What is held back from training for what follows it: answers, intervals, export, parity check, report."""
    rows = len(split.valid if split.test is None else split.test)
    pairs = min(rows * (1 + len(config.evaluate.baselines)), _MOST_PAIRS)
    answered = rows + len(split.valid) if split.test is not None else 2 * rows
    answering = _ANSWERING * max(answered - _ANSWERED_AT_ONCE, 0) * (2.0 if budget.left > _LONG else 1.0)
    describing = _DESCRIBING * len(split.train) * split.train.cells.width
    reading = texts.seconds_a_row * (0 if split.test is None else len(split.test))
    views = {view.kind for view in encoder.layout.media}
    saving = _SAVING + (_SAVING_TEXTS if texts.frozen is not None else 0.0) + _SAVING_TUNED * texts.tunes
    of_series = _SAVING_SERIES if schema.windowing is None else _SAVING_WINDOWS
    saving += of_series * ("series" in views) + _SAVING_PICTURES * ("pictures" in views)
    if schema.is_multilabel:
        saving += _SCORING_LABELS * (1 + len(config.evaluate.baselines)) * config.evaluate.bootstrap / 1000
    saving += curve_seconds(config, budget) + (0.0 if schema.windowing is not None else _INSPECTING)
    saving += _SAVING_TIMM * ("timm" in (config.model.name, *config.ensemble.recipes))
    return saving + _SCORING * 1e-6 * pairs * config.evaluate.bootstrap / 1000 + answering + describing + reading


def curve_seconds(config: RunConfig, budget: Budget) -> float:
    """What is held back for the curves that were asked for."""
    asked = (config.evaluate.learning_curve is True) + (config.evaluate.capacity_curve is True)
    return 0.0 if math.isinf(budget.seconds) else _CURVE_SHARE * asked * budget.seconds


def baseline_seconds(budget: Budget, after: float) -> float | None:
    """How long the baselines may take; None without a budget."""
    return None if math.isinf(budget.left) else max((budget.left - after) * _BASELINE_SHARE, 1.0)
