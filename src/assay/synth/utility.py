"""Train on synthetic, test on real: the same boosted trees learned from real and from synthetic rows.

Source: Esteban, Hyland & Raetsch, Real-valued (Medical) Time Series Generation (2017), section 4.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from assay.data.rows import Rows
from assay.data.schema import Schema
from assay.evaluate.baselines import FittedBaseline, fit_baselines
from assay.evaluate.compare import PairedTest, paired_bootstrap, paired_test
from assay.evaluate.config import EvaluateConfig
from assay.evaluate.intervals import estimates
from assay.evaluate.metrics import PRIMARY, Floats, metric
from assay.evaluate.multilabel.exam import label_estimates
from assay.evaluate.multilabel.metrics import LabelScorer
from assay.evaluate.record import Estimate
from assay.ledger import Ledger
from assay.synth.record import Utility

_TREES = EvaluateConfig(baselines=("trees",))
_SAMPLES = 500


def utility(
    real: Rows, synthetic: Rows, test: Rows, schema: Schema, *, seed: int, seconds: float | None, threads: int
) -> Utility:
    """Scores on `test` of trees trained on `real` and on `synthetic`, and their paired difference.

    Args:
        real, synthetic: training rows.
        test: held-back real rows.
        schema: of the columns that both have.
        seed: of the trees.
        seconds: wall time for both; None for as long as they take.
        threads: of the processor.
    """
    measured = metric(schema.task, PRIMARY[schema.task])
    half = None if seconds is None else max(seconds / 2, 1.0)
    models = [_fitted(rows, schema, seed, half, threads) for rows in (real, synthetic)]
    answers = [None if model is None else model.predict(test) for model in models]
    cuts = [_cuts(answer, rows, schema) for answer, rows in zip(answers, (real, synthetic), strict=True)]
    scores = [_score(answer, test, schema, seed, own) for answer, own in zip(answers, cuts, strict=True)]
    difference, p_value, name = Estimate(value=None, method="not defined: there are not two models"), None, ""
    if answers[0] is not None and answers[1] is not None:
        found = _compared(answers[1], answers[0], test, schema, seed, cuts)
        difference, p_value, name = found.difference, found.p_value, found.test
    lacking = [part for part, model in zip(("real", "synthetic"), models, strict=True) if model is None]
    reason = f"boosted trees could not be fitted to the {' and the '.join(lacking)} rows" if lacking else ""
    return Utility(
        metric=measured.id, label=measured.label, model="boosted trees", real=scores[0], synthetic=scores[1],
        difference=difference, p_value=p_value, test=name, real_rows=len(real), synthetic_rows=len(synthetic),
        test_rows=len(test), reason=reason,
    )  # fmt: skip


def _fitted(rows: Rows, schema: Schema, seed: int, seconds: float | None, threads: int) -> FittedBaseline | None:
    """Boosted trees, or None where they have nothing to learn from, such as one class."""
    fitted = fit_baselines(rows, schema, _TREES, seed=seed, seconds=seconds, threads=threads, ledger=Ledger())
    return fitted[0] if fitted else None


def _cuts(answer: Floats | None, learned: Rows, schema: Schema) -> Floats | None:
    """From which probability each label is given, (L,): as often as the rows learned from have it; None of other tasks.

    So no threshold is chosen on the rows that judge.
    """
    if answer is None or not schema.is_multilabel:
        return None
    share = (learned.target > 0).mean(axis=0)
    return np.array([np.quantile(own, 1.0 - part) for own, part in zip(answer.T, share, strict=True)])


def _score(answer: Floats | None, test: Rows, schema: Schema, seed: int, cuts: Floats | None) -> Estimate:
    if answer is None:
        return Estimate(value=None, method="not defined: no model could be fitted")
    primary = PRIMARY[schema.task]
    if cuts is not None:
        scorer = LabelScorer(test.target, answer, cuts)
        return label_estimates(scorer, samples=_SAMPLES, seed=seed, only=(primary,))[primary]
    return estimates(schema.task, test.target, answer, samples=_SAMPLES, seed=seed)[primary]


def _compared(
    first: Floats, second: Floats, test: Rows, schema: Schema, seed: int, cuts: Sequence[Floats | None]
) -> PairedTest:
    """The model of synthetic rows against that of real ones, whose cuts come first."""
    real, made = cuts
    if real is None or made is None:
        return paired_test(schema.task, test.target, first, second, samples=_SAMPLES, seed=seed)
    scorers = LabelScorer(test.target, first, made), LabelScorer(test.target, second, real)
    return paired_bootstrap(*scorers, None, 0.95, _SAMPLES, seed)
