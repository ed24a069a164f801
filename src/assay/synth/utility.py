"""Train on synthetic, test on real: the same boosted trees learned from real and from synthetic rows.

Source: Esteban, Hyland & Raetsch, Real-valued (Medical) Time Series Generation (2017), section 4.
"""

from __future__ import annotations

from assay.data.rows import Rows
from assay.data.schema import Schema
from assay.evaluate.baselines import FittedBaseline, fit_baselines
from assay.evaluate.compare import paired_test
from assay.evaluate.config import EvaluateConfig
from assay.evaluate.intervals import estimates
from assay.evaluate.metrics import PRIMARY, Floats, metric
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
    scores = [_score(answer, test, schema, seed) for answer in answers]
    difference, p_value, name = Estimate(value=None, method="not defined: there are not two models"), None, ""
    if answers[0] is not None and answers[1] is not None:
        found = paired_test(schema.task, test.target, answers[1], answers[0], samples=_SAMPLES, seed=seed)
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


def _score(answer: Floats | None, test: Rows, schema: Schema, seed: int) -> Estimate:
    if answer is None:
        return Estimate(value=None, method="not defined: no model could be fitted")
    return estimates(schema.task, test.target, answer, samples=_SAMPLES, seed=seed)[PRIMARY[schema.task]]
