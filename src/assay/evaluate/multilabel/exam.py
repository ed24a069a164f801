"""The exam of labels: thresholds of every model from validation rows, then all are scored on sealed rows, once."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from assay.data.rows import Rows
from assay.data.schema import Schema, Task
from assay.data.split.split import Split
from assay.evaluate.assess import (
    CURVE_CLASSES,
    Assessment,
    Output,
    check_finite,
    curves_of,
    note_gap,
    scores_of,
    write_verdicts,
)
from assay.evaluate.baselines import FittedBaseline
from assay.evaluate.calibration.calibrate import as_losses, binned
from assay.evaluate.compare import advice, comparisons, paired_bootstrap
from assay.evaluate.config import EvaluateConfig
from assay.evaluate.intervals import bootstrap_interval, bootstrap_name, replicates, sample_count, undefined
from assay.evaluate.metrics import LABEL_METRICS, Floats
from assay.evaluate.multilabel.calibration import (
    choose_thresholds,
    label_answers,
    mixed_labels,
    validation_labels,
)
from assay.evaluate.multilabel.metrics import RANKED, LabelScorer
from assay.evaluate.opened import opened, output_of
from assay.evaluate.record import Calibration, Estimate, LabelScores
from assay.ledger import Ledger, Outcome
from assay.train.model import Model


@dataclass(frozen=True)
class LabelExam:
    """What was asked and found.

    rows: that were scored. raw: outputs of the model's networks, (A, n, L). outputs: what each model answers.
    found: the scores. calibration: how good probabilities are. validation: the model's score on validation rows.
    """

    rows: Rows
    raw: NDArray[np.float32]
    outputs: list[Output]
    found: Assessment
    calibration: Calibration | None
    validation: float


def sit_labels(
    model: Model,
    described: str,
    baselines: Sequence[FittedBaseline],
    split: Split,
    schema: Schema,
    config: EvaluateConfig,
    *,
    seed: int,
    ledger: Ledger,
) -> LabelExam:
    """Open the seal once and score every model, each with thresholds of its own from the validation rows.

    Without a test part the scores are on validation rows, and the ledger says so.
    """
    assert model.head.thresholds is not None
    valid = split.valid
    thresholds = [np.array(model.head.thresholds)]
    for baseline in baselines:
        thresholds.append(choose_thresholds(baseline.predict(valid), valid.target, valid.weight).each)
    rows = opened(split, "rows", ledger)
    begun = perf_counter()
    raw = model.outputs_of(rows)
    answers = label_answers(model, raw)
    network = Output("network", "network", described, answers, model.seconds, perf_counter() - begun)
    outputs = [network, *(output_of(baseline, rows) for baseline in baselines)]
    found = assess_labels(schema, rows.target, rows.weight, outputs, thresholds, config, seed=seed, ledger=ledger)
    measure = LABEL_METRICS[0]
    seen = model.validation
    scorer = LabelScorer(seen.target, validation_labels(model), thresholds[0])
    on_test = next(score.estimate for score in found.scores[0].scores if score.name == measure.id)
    validation = scorer.values(seen.weight, (measure.id,))[measure.id]
    note_gap(validation, on_test, measure, ledger=ledger)
    calibration = label_calibration(model, rows, raw, answers, config, ledger) if config.calibration != "none" else None
    return LabelExam(rows, raw, outputs, found, calibration, validation)


def assess_labels(
    schema: Schema,
    truth: NDArray[Any],
    weight: Floats | None,
    outputs: Sequence[Output],
    thresholds: Sequence[Floats],
    config: EvaluateConfig,
    *,
    seed: int,
    ledger: Ledger,
) -> Assessment:
    """Score every model on the test rows and compare the network with the baselines.

    Args:
        schema: gives the labels.
        truth: 0 and 1, (n, L).
        weight: of the rows (n,), or None.
        outputs: probabilities (n, L): the network's first, then those of the baselines.
        thresholds: of each model, (L,) each.
        config: confidence and bootstrap samples.
        seed: of the bootstrap.
        ledger: where the verdicts of the evaluate stage are written.

    Raises:
        DivergenceError: a model's predictions are not all finite.
    """
    check_finite(outputs)
    scorers = [LabelScorer(truth, one.prediction, own) for one, own in zip(outputs, thresholds, strict=True)]
    scores = []
    for output, scorer in zip(outputs, scorers, strict=True):
        found = label_estimates(
            scorer, weight, confidence=config.confidence, samples=config.bootstrap, seed=seed, classes=schema.classes
        )
        scores.append(scores_of(output, LABEL_METRICS, found))
    tests = [
        paired_bootstrap(scorers[0], other, weight, config.confidence, config.bootstrap, seed) for other in scorers[1:]
    ]
    names = [output.name for output in outputs[1:]]
    compared = comparisons(Task.MULTILABEL, names, tests, config.confidence)
    write_verdicts(ledger, schema, scores, compared, config.confidence)
    largest = np.sort(np.argsort(-scorers[0].truth.sum(axis=0), kind="stable")[:CURVE_CLASSES])
    network = outputs[0].prediction
    roc, precision_recall = curves_of(
        [(schema.classes[k], schema.classes[k], scorers[0].truth[:, k], network[:, k]) for k in largest], weight
    )
    return Assessment(
        scores=tuple(scores),
        primary=LABEL_METRICS[0].id,
        comparisons=compared,
        advice=advice(tuple(scores), compared, len(truth)),
        confusion=(),
        roc=roc,
        precision_recall=precision_recall,
        reliability=(),
        residuals=None,
        labels=_by_label(schema, scorers[0], weight, config, seed),
    )


# Intervals ------------------------------------------------------------------------------------------------------------


def label_estimates(
    scorer: LabelScorer,
    weight: Floats | None = None,
    *,
    confidence: float = 0.95,
    samples: int = 1000,
    seed: int = 0,
    classes: Sequence[str] = (),
    only: Collection[str] | None = None,
) -> dict[str, Estimate]:
    """Every metric (those in `only`) with a bootstrap interval of the rows, in the order of `LABEL_METRICS`.

    What ranks the rows for each label takes fewer samples; the method says over how many labels an average is, where
    these are not all of them.
    """
    values = scorer.values(weight, only)
    ranked = {name for name in values if name.startswith(RANKED)}
    costs = {True: 2.0 * scorer.classes, False: max(1.0, scorer.classes / 8)}
    found: dict[str, Estimate] = {}
    for is_ranked, cost in costs.items():
        part = {n: v for n, v in values.items() if (n in ranked) == is_ranked and np.isfinite(v)}
        if not part or scorer.rows < 2:
            continue
        taken = sample_count(scorer.rows, samples, cost)
        drawn = replicates(lambda counts, part=part: scorer(counts, part), None, weight, scorer.rows, taken, seed)  # type: ignore[misc]
        for name, value in part.items():
            highest = np.inf if name == "log_loss" else 1.0
            low, high = bootstrap_interval(value, drawn[name], scorer.rows, confidence, lowest=0.0, highest=highest)
            method = f"{bootstrap_name(taken)}{_over(scorer, weight, name, classes)}"
            found[name] = Estimate(value=value, low=low, high=high, method=method)
    for name, value in values.items():
        if name not in found:
            method = "no interval from one row"
            found[name] = Estimate(value=value, method=method) if np.isfinite(value) else undefined(_reason(name))
    return {m.id: found[m.id] for m in LABEL_METRICS if m.id in found}


def _over(scorer: LabelScorer, weight: Floats | None, name: str, classes: Sequence[str]) -> str:
    """Which labels a macro average leaves out, in words; nothing where it is over all."""
    if not name.endswith("_macro"):
        return ""
    share = np.ones(scorer.rows) if weight is None else weight
    having = share @ scorer.truth
    left = having <= 0
    if name.startswith("auroc"):
        left |= having >= share.sum()
    if not left.any():
        return ""
    named = [repr(classes[k]) for k in np.flatnonzero(left).tolist()] if classes else []
    shown = f" (not {', '.join(named[:3])}{', ...' if len(named) > 3 else ''})" if named else ""
    return f" over {int((~left).sum())} of {scorer.classes} labels{shown}"


def _reason(name: str) -> str:
    if name.startswith("auroc"):
        return "no label is on some rows and not on others"
    if name == "precision_micro":
        return "no label was given"
    return "no row has a label"


def _by_label(
    schema: Schema, scorer: LabelScorer, weight: Floats | None, config: EvaluateConfig, seed: int
) -> tuple[LabelScores, ...]:
    """The network's scores label by label; a label without rows, or on all of them, has what is defined."""
    ones = np.ones((1, scorer.rows)) if weight is None else np.asarray(weight, np.float64)[None]
    decided = {name: value[0] for name, value in scorer.by_label(ones).items()}
    ranked = {name: value[0] for name, value in scorer.ranking_by_label(ones).items()}
    taken = sample_count(scorer.rows, config.bootstrap, max(1.0, scorer.classes / 4))
    drawn = replicates(scorer.by_label, None, weight, scorer.rows, taken, seed) if scorer.rows > 1 else {}
    made = []
    for place, name in enumerate(schema.classes):
        bounds = {}
        for key, values in decided.items():
            value = float(values[place])
            if not np.isfinite(value):
                bounds[key] = undefined({"precision": "never given", "recall": "no row has it"}.get(key, "no row"))
            elif not drawn:
                bounds[key] = Estimate(value=value, method="no interval from one row")
            else:
                low, high = bootstrap_interval(
                    value, drawn[key][:, place], scorer.rows, config.confidence, lowest=0.0, highest=1.0
                )
                known = np.isfinite(low) and np.isfinite(high)
                bounds[key] = Estimate(
                    value=value, low=low if known else None, high=high if known else None, method=bootstrap_name(taken)
                )
        made.append(
            LabelScores(
                name=name, rows=int(scorer.truth[:, place].sum()), given=int(scorer.chosen[:, place].sum()),
                threshold=float(scorer.thresholds[place]), precision=bounds["precision"], recall=bounds["recall"],
                f1=bounds["f1"], auroc=_known(ranked["auroc"][place]), auprc=_known(ranked["auprc"][place]),
            )
        )  # fmt: skip
    return tuple(made)


def _known(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


# Calibration ----------------------------------------------------------------------------------------------------------


def label_calibration(
    model: Model, rows: Rows, raw: NDArray[np.float32], answers: Floats, config: EvaluateConfig, ledger: Ledger
) -> Calibration:
    """The record of the temperatures on the test rows, and its verdict in the ledger; bins are of rows and labels."""
    head = model.head
    assert head.temperatures is not None
    assert head.thresholds is not None
    plain = mixed_labels(raw, [1.0] * len(raw), head.shares)
    cuts = np.array(head.thresholds)
    before, after = (
        LabelScorer(rows.target, one, cuts).values(rows.weight, ("ece", "log_loss")) for one in (plain, answers)
    )
    overall = float(np.average(head.temperatures, weights=head.shares))
    choice, factors = model.calibrated, np.array(head.factors or (1.0,))
    shown = f"temperature {overall:.2f}, for single labels times {factors.min():.2f} to {factors.max():.2f}"
    if choice is not None:
        shown = f"{shown if head.calibration is None else head.calibration.kind}: {choice.reason}"
    reason = (
        f"{shown}; on the test rows ECE {before['ece']:.3f} -> {after['ece']:.3f}, log loss "
        f"{before['log_loss']:.4f} -> {after['log_loss']:.4f}"
    )
    worse = after["log_loss"] > before["log_loss"] * 1.01
    reason += "; the test rows would have been better off without it" if worse else ""
    ledger.record("evaluate.calibration", Outcome.WARNED if worse else Outcome.APPLIED, reason, value=overall)
    repeated = None if rows.weight is None else np.repeat(rows.weight, answers.shape[1])
    hits = (rows.target > 0).ravel().astype(np.float64)
    return Calibration(
        temperature=overall,
        ece_before=before["ece"],
        ece_after=after["ece"],
        bins=binned(answers.ravel(), hits, repeated, confidence=config.confidence),
        kind="temperature" if choice is None else choice.kind,
        reason="" if choice is None else choice.reason,
        losses=() if choice is None else as_losses(choice),
    )
