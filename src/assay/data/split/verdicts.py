"""What the ledger is told of a division: rows left out, how alike the parts are, rows kept together, and time."""

from __future__ import annotations

import numpy as np
import polars as pl

from assay.data.columns import as_category
from assay.data.config import SplitConfig
from assay.data.findings import count_of
from assay.data.reading.read import Table
from assay.data.rows import NAMES, Part, Rows, listed, times
from assay.data.schema import Kind, Schema
from assay.data.split.deal import TARGET_BINS, rows_kept_together
from assay.ledger import Ledger, Outcome


def record_left_out(table: Table, whole: Rows, given: dict[Part, tuple[Table, Rows]], ledger: Ledger) -> int:
    """Count the rows without a target in all files; the row numbers are of the first file that has any."""
    files: dict[Part, tuple[Table, Rows]] = {"train": (table, whole), **given}
    counts = {part: t.frame.height - len(rows) for part, (t, rows) in files.items()}
    total = sum(counts.values())
    if total == 0:
        ledger.record("data.target-complete", Outcome.PASSED, "every row has a target", value=0)
        return 0
    first = next(part for part, count in counts.items() if count)
    t, rows = files[first]
    absent = np.setdiff1d(np.arange(t.frame.height), rows.positions) + 1
    where = ", ".join(f"{count:,} in {files[part][0].source.name!r}" for part, count in counts.items() if count)
    reason = f"{count_of(total, 'row')} without a target left out ({where})"
    ledger.record("data.target-complete", Outcome.APPLIED, reason, value=total, rows=absent.tolist())
    return total


def record_balance(cut: dict[Part, Rows], schema: Schema, config: SplitConfig, ledger: Ledger) -> None:
    """The verdict on how alike the parts are in the target."""
    if schema.has_probabilities:
        shares = {part: _shares_of_classes(rows, schema) for part, rows in cut.items()}
        difference = max(float(np.abs(a - b).max()) for a in shares.values() for b in shares.values())
        absent = {part: [schema.classes[i] for i in np.flatnonzero(share == 0)] for part, share in shares.items()}
        lacking = "".join(f"; {NAMES[part]} rows lack {listed(names)}" for part, names in absent.items() if names)
        named = "label" if schema.is_multilabel else "class"
        what = f"{named} shares differ by at most {100 * difference:.2f} percentage points between parts{lacking}"
    else:
        edges = np.quantile(cut["train"].target, np.arange(1, TARGET_BINS) / TARGET_BINS)
        bins = [np.searchsorted(edges, rows.target, side="right") for rows in cut.values()]
        table = [np.bincount(b, minlength=TARGET_BINS) / len(b) for b in bins]
        difference = max(float(np.abs(a - b).max()) for a in table for b in table)
        lacking = ""
        what = f"shares of the training deciles differ by at most {100 * difference:.2f} percentage points"
    if schema.time is not None:
        outcome, why = Outcome.NOT_APPLICABLE, "the cut is in time; "
    elif not config.stratify:
        outcome, why = Outcome.SKIPPED, "data.split.stratify is false; "
    else:
        outcome, why = Outcome.APPLIED, ""
    ledger.record("split.stratified", Outcome.WARNED if lacking else outcome, why + what, value=difference)


def _shares_of_classes(rows: Rows, schema: Schema) -> np.ndarray:
    """The share of the rows that has each class, or each label."""
    if schema.is_multilabel:
        return np.asarray(rows.target.mean(axis=0))
    return np.asarray(np.bincount(rows.target, minlength=len(schema.classes)) / len(rows))


def record_units(cut: dict[Part, Rows], units: np.ndarray, schema: Schema, config: SplitConfig, ledger: Ledger) -> None:
    """The verdict on rows that had to stay together."""
    kept = rows_kept_together(units)
    sets = int((np.bincount(units) > 1).sum())
    straddling = _groups_in_several_parts(cut, schema)
    if straddling:
        reason = (
            f"{len(straddling):,} groups of {schema.group!r} are in more than one file ({listed(straddling[:3])}): "
            "given files are not cut"
        )
        ledger.record("split.groups", Outcome.FAILED, reason, value=len(straddling))
    elif schema.group is None and not config.keep_duplicates_together:
        ledger.record("split.groups", Outcome.SKIPPED, "data.split.keep_duplicates_together is false")
    else:
        what = "equal rows" if schema.group is None else f"groups of {schema.group!r} and equal rows"
        if schema.group is not None and not config.keep_duplicates_together:
            what = f"groups of {schema.group!r}"
        ledger.record(
            "split.groups",
            Outcome.APPLIED,
            f"{count_of(sets, 'set')} of {what} kept whole ({count_of(kept, 'row')})",
            value=sets,
        )


def _groups_in_several_parts(cut: dict[Part, Rows], schema: Schema) -> list[str]:
    """Names of groups that more than one part has; only given files can cause it."""
    if schema.group is None:
        return []
    names = [as_category(rows.column(schema.group)).drop_nulls().unique() for rows in cut.values()]
    merged = pl.concat([name.rename("group") for name in names]).to_frame()
    return merged.group_by("group").len().filter(pl.col("len") > 1)["group"].sort().to_list()


def record_time(cut: dict[Part, Rows], schema: Schema, ledger: Ledger) -> tuple[float | None, float | None]:
    """The last training and the first test time."""
    if schema.time is None:
        ledger.record("split.time", Outcome.NOT_APPLICABLE, "no time column was given (--time)")
        return None, None
    moments = {part: times(rows, schema, schema.time) for part, rows in cut.items()}
    until = float(moments["train"].max())
    since = float(moments["test"].min()) if "test" in moments else None
    early = sum(int((values <= until).sum()) for part, values in moments.items() if part != "train")
    last = {part: _moment(float(values.max()), schema) for part, values in moments.items()}
    ends = "; ".join(f"{NAMES[part]} rows end at {moment}" for part, moment in last.items())
    if not early:
        ledger.record("split.time", Outcome.APPLIED, ends, value=0)
        return until, since
    why = "a group goes by its last row" if schema.group is not None else "given files are not cut"
    reason = f"{early:,} validation and test rows are not later than the last training row ({why}); {ends}"
    ledger.record("split.time", Outcome.WARNED, reason, value=early)
    return until, since


def _moment(value: float, schema: Schema) -> str:
    if schema.time is None or schema[schema.time].kind is not Kind.DATETIME:
        return f"{value:g}"
    return str(np.datetime64(int(value), "s")).replace("T", " ")
