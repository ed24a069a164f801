"""The leaderboard of labels, and the score without what the choice of networks flatters it by.

Labels are given from thresholds, so each network and each baseline is judged with thresholds of its own, chosen as
those of the whole model are.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from assay.data.rows import Rows
from assay.data.schema import Schema
from assay.data.split.split import Split
from assay.evaluate.baselines import FittedBaseline
from assay.evaluate.chosen import note_selection, selection_of
from assay.evaluate.config import EvaluateConfig
from assay.evaluate.leaderboard import SAMPLES, Sat, leaderboard, networks_of
from assay.evaluate.metrics import LABEL_METRICS, Floats
from assay.evaluate.multilabel.calibration import choose_thresholds, mixed_labels
from assay.evaluate.multilabel.exam import LabelExam, label_estimates
from assay.evaluate.multilabel.metrics import LabelScorer
from assay.evaluate.record import Estimate, Leaderboard, Selection
from assay.ledger import Ledger
from assay.train.model import Model


def label_board(
    model: Model,
    baselines: Sequence[FittedBaseline],
    split: Split,
    schema: Schema,
    config: EvaluateConfig,
    exam: LabelExam,
    *,
    seed: int,
    ledger: Ledger,
) -> tuple[Selection | None, Leaderboard | None]:
    """Both in the primary metric of labels; None where it is not known what the model was chosen from."""
    choice, measure = model.choice, LABEL_METRICS[0]
    if choice is None:
        return None, None

    def judged(some: Rows, prediction: Floats, cuts: Floats) -> Estimate:
        scorer = LabelScorer(some.target, prediction, cuts)
        return label_estimates(
            scorer, some.weight, confidence=config.confidence, samples=SAMPLES, seed=seed, only=(measure.id,)
        )[measure.id]  # fmt: skip

    def judged_valid(some: Rows, prediction: Floats) -> Estimate:
        return judged(some, prediction, choose_thresholds(prediction, some.target, some.weight).each)

    selection = selection_of(choice, schema.task, measure, exam.validation, config.confidence)
    on_test = next(score.estimate for score in exam.found.scores[0].scores if score.name == measure.id)
    note_selection(selection, choice, on_test if split.test is not None else None, ledger)
    sat = Sat(
        exam.found.scores, exam.raw, len(exam.rows), split.test is not None,
        lambda prediction, place: judged(exam.rows, prediction, cuts_of(model, place)),
    )  # fmt: skip
    board = leaderboard(
        model, choice, baselines, split.valid, schema, measure, selection, sat, judge_valid=judged_valid,
        confidence=config.confidence,
    )  # fmt: skip
    return selection, board


def cuts_of(model: Model, place: int) -> Floats:
    """Thresholds of one network of the model alone, (L,), from its answers to rows that it did not learn from."""
    seen, head = model.validation, model.head
    assert seen.temperatures is not None
    sizes = [network.members * network.heads for network in networks_of(model)]
    folds = sum(sizes) // len(seen.outputs)  # of these only the one that had not seen a row has answered it
    own = slice(sum(sizes[:place]) // folds, sum(sizes[: place + 1]) // folds)
    shares = np.asarray(seen.shares[own])
    stated = mixed_labels(seen.outputs[own], seen.temperatures[own], (shares / shares.sum()).tolist(), head.factors)
    answers = stated if head.calibration is None else head.calibration.apply(stated)
    return choose_thresholds(answers, seen.target, seen.weight).each
