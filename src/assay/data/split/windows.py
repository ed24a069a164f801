"""The windows of a forecast as training, validation and sealed test rows; they were cut when they were made."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from assay.data.columns import as_category
from assay.data.forecasts.forecasting import WindowTables
from assay.data.rows import Part, Rows, complete, times
from assay.data.schema import Schema
from assay.data.split.split import Sealed, Split, SplitRecord
from assay.ledger import Ledger, Outcome

#: How many times as much as another a series may count in the loss.
_MOST_RATIO = 1e4


def seal_windows(tables: WindowTables, ledger: Ledger, *, seed: int) -> Split:
    """The parts, the test windows sealed.

    Of several series each is weighted by its own size, so that errors of all count alike.

    Args:
        tables: the windows.
        ledger: where the verdicts are written.
        seed: of the run; nothing here is drawn at random.
    """
    schema, cut = tables.schema, tables.cut
    windowing = schema.windowing
    assert windowing is not None
    given = {"train": tables.data, "valid": tables.valid, "test": tables.test}
    parts: dict[Part, Rows] = {}
    for part, table in given.items():
        if table is not None:
            rows = complete(table, schema, part)  # type: ignore[arg-type]
            parts[rows.part] = rows if windowing.case is None else replace(rows, weight=_weights(rows, schema))
    if "test" not in parts:
        ledger.record("split.sealed-test", Outcome.SKIPPED, "no test part was asked for (test share 0)")
    sealed = Sealed(parts["test"], ledger) if "test" in parts else None
    moments = {part: times(rows, schema, windowing.origin) for part, rows in parts.items()}
    beside = "".join(f"; {part} rows from {name!r}" for part, name in tables.files.items())
    ends = f"training steps end at {cut.train_until}, validation steps at {cut.valid_until}"
    ends += f", test steps at {cut.test_until}" if sealed is not None else ""
    policy = f"windows in time by the steps they forecast: {ends}{beside}"
    plan = SplitRecord(
        policy=policy,
        seed=seed,
        train_rows=len(parts["train"]),
        valid_rows=len(parts["valid"]),
        test_rows=0 if sealed is None else len(sealed),
        sealed_sha256=None if sealed is None else sealed.sha256,
        files=tables.files,
        left_out=cut.unknown,
        time=windowing.time,
        train_until=float(moments["train"].max()),
        test_from=float(moments["test"].min()) if "test" in moments else None,
    )
    _record(ledger, plan, policy, windowing.horizon)
    return Split(parts["train"], parts["valid"], sealed, plan)


def _weights(rows: Rows, schema: Schema) -> np.ndarray:
    """One over the variance of each row's series, float64 (n,), within limits."""
    windowing = schema.windowing
    assert windowing is not None
    assert windowing.case is not None
    sizes = {name: scale.deviation for name, scale in windowing.scales.items()}
    typical = float(np.median(list(sizes.values()) or [1.0]))
    names = as_category(rows.column(windowing.case)).to_list()
    weight = np.array([(typical / sizes.get(name, typical)) ** 2 for name in names])
    return np.asarray(np.clip(weight, 1.0 / _MOST_RATIO, _MOST_RATIO))


def _record(ledger: Ledger, plan: SplitRecord, policy: str, horizon: int) -> None:
    counts = f"{plan.train_rows:,} training, {plan.valid_rows:,} validation, {plan.test_rows:,} test windows"
    outcome = Outcome.APPLIED if plan.sealed_sha256 else Outcome.SKIPPED
    total = plan.train_rows + plan.valid_rows + plan.test_rows
    ledger.record("split.three-parts", outcome, counts, value=total)
    ledger.record("split.time", Outcome.APPLIED, policy, value=0)
    reason = (
        f"the {horizon} steps that a window forecasts all lie in its part, so none of them is in an earlier one; "
        "windows reach back into what came before, as they do in use"
    )
    ledger.record("split.windows", Outcome.PASSED, reason, value=0)
    ledger.record("split.stratified", Outcome.NOT_APPLICABLE, "the cut is in time")
    ledger.record("split.groups", Outcome.NOT_APPLICABLE, "windows overlap; the cut in time keeps targets apart")
