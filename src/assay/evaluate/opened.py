"""The rows that an exam is sat on, and what baselines answer to them."""

from __future__ import annotations

from time import perf_counter

from assay.data.rows import Rows
from assay.data.split.split import Split
from assay.evaluate.assess import Output
from assay.evaluate.baselines import FittedBaseline
from assay.ledger import Ledger, Outcome


def opened(split: Split, what: str, ledger: Ledger) -> Rows:
    """The test part with its seal broken, or the validation part where there is none, which the ledger is told.

    what: rows or windows.
    """
    if split.test is not None:
        return split.test.open("the scores of the report")
    reason = f"no test part was asked for: the scores are on validation {what} and flatter the model"
    ledger.record("split.sealed-test", Outcome.SKIPPED, reason)
    return split.valid


def output_of(baseline: FittedBaseline, rows: Rows) -> Output:
    """A baseline's answers to these rows."""
    begun = perf_counter()
    prediction = baseline.predict(rows)
    seconds = perf_counter() - begun
    return Output(baseline.name, "baseline", baseline.description, prediction, baseline.fit_seconds, seconds)
