"""Training, validation and sealed test rows.

Rows that must stay together (one group, equal rows) form a *unit*; whole units are dealt to the parts, either at random
within strata of the target or in time. Given files are parts of their own and are never cut.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
import polars as pl

from assay.data.columns import as_category, row_groups
from assay.data.config import SplitConfig
from assay.data.reading.read import Table
from assay.data.rows import NAMES, Part, Rows, complete, fingerprint, given_files, take, times, with_columns
from assay.data.schema import Schema
from assay.data.split.checks import check_class_units, check_classes, check_rows
from assay.data.split.deal import (
    DRAWS,
    DRAWS_OF_MANY,
    MANY_UNITS,
    connected,
    cut_at_random,
    cut_in_time,
    imbalance,
    pool_small,
    rarest_class,
    rows_kept_together,
    target_bins,
)
from assay.data.split.deal_labels import cut_by_labels, set_codes
from assay.data.split.verdicts import record_balance, record_left_out, record_time, record_units
from assay.errors import DataError
from assay.ledger import Ledger, Outcome
from assay.records import Record

__all__ = ["Part", "Rows", "Sealed", "Split", "SplitRecord", "seal"]


class SplitRecord(Record):
    """How the rows were divided; row positions are not kept, they follow from the data, the policy and the seed.

    `sealed_sha256` is the hash of the test rows, `opened` how often they were looked at and `reasons` why. `files` maps
    the parts that came from files of their own to the file's name. `left_out` counts rows without a target, in all
    files. `group` and `time` name the columns that ruled the cut; `train_until` and `test_from` are the last training
    and the first test time (seconds since 1970 for dates) of a cut in time. `kept_together` counts the rows that had
    to stay with another row because of a group or because they are equal.
    """

    policy: str
    seed: int
    train_rows: int
    valid_rows: int
    test_rows: int
    sealed_sha256: str | None
    opened: int = 0
    reasons: tuple[str, ...] = ()
    files: dict[str, str] = {}
    left_out: int = 0
    kept_together: int = 0
    group: str | None = None
    time: str | None = None
    train_until: float | None = None
    test_from: float | None = None


class Sealed:
    """The test rows, out of reach until they are opened with a reason; every opening is counted in the ledger."""

    __slots__ = ("__ledger", "__reasons", "__rows", "__sha256")

    def __init__(self, rows: Rows, ledger: Ledger, pictures: Collection[str] = ()) -> None:
        self.__rows = rows
        self.__ledger = ledger
        self.__reasons: tuple[str, ...] = ()
        self.__sha256 = fingerprint(rows, pictures)
        ledger.record("split.sealed-test", Outcome.APPLIED, f"{len(rows)} rows sealed, never opened", value=0)

    def __len__(self) -> int:
        return len(self.__rows)

    def __repr__(self) -> str:
        return f"Sealed({len(self)} rows, sha256 {self.__sha256[:12]}, opened {self.opened} times)"

    @property
    def sha256(self) -> str:
        """Hash over the names, types and cells of the test rows (of pictures their content) and their targets."""
        return self.__sha256

    @property
    def opened(self) -> int:
        """How often the rows were looked at."""
        return len(self.__reasons)

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why the rows were looked at, one sentence each time."""
        return self.__reasons

    def open(self, why: str) -> Rows:
        """The test rows; `why` is remembered, and the ledger counts the look.

        Raises:
            ValueError: no reason is given.
        """
        if not why.strip():
            raise ValueError("opening the sealed test rows needs a reason")
        self.__reasons += (why,)
        outcome = Outcome.APPLIED if self.opened == 1 else Outcome.WARNED
        times = "once" if self.opened == 1 else f"{self.opened} times, so the test scores are no longer blind"
        reason = f"{len(self)} rows opened {times}: " + "; ".join(self.__reasons)
        self.__ledger.record("split.sealed-test", outcome, reason, value=self.opened)
        return self.__rows


@dataclass(frozen=True)
class Split:
    """The three parts. `plan` is the record as it was when the rows were cut; `record` adds the openings since."""

    train: Rows
    valid: Rows
    test: Sealed | None
    plan: SplitRecord

    @property
    def record(self) -> SplitRecord:
        """How the rows were divided and how often the test rows were opened so far."""
        if self.test is None:
            return self.plan
        return self.plan.model_copy(update={"opened": self.test.opened, "reasons": self.test.reasons})


def seal(
    table: Table,
    schema: Schema,
    config: SplitConfig,
    *,
    seed: int,
    ledger: Ledger,
    valid: Table | None = None,
    test: Table | None = None,
) -> Split:
    """Cut `table` into training, validation and sealed test rows; given files are parts of their own.

    At random (default), units are dealt within strata: classes, or deciles of a numeric target; those with any number
    of labels so that each label keeps its share (see `deal_labels.py`). The rows of a class in a part are within one of
    its share (largest remainder), unless equal rows or groups are too large for that or a part would have none. With a
    time column the oldest units train and the latest test; a unit counts by its last row, so that nothing learned from
    is later than the border, and units with equal times stay on one side. When one part comes from a file, the shares
    of the others keep their ratio: with `test` given, valid is `valid / (1 - test)` of `table`. Of a large table the
    validation and test parts take no more than `most_held_out` rows each; the rest trains.

    Raises:
        DataError: too few rows or too few of a class, columns missing from a given file, a class that training does
            not know, a missing time, an unusable weight, a target that is not finite.
    """
    files = given_files(valid, test)
    whole = complete(table, schema, "train")
    given = {part: complete(with_columns(t, schema, part), schema, part) for part, t in files.items()}
    check_rows(whole, schema)
    left_out = record_left_out(table, whole, {part: (files[part], rows) for part, rows in given.items()}, ledger)

    parts = _parts_to_cut(config, given, len(whole))
    units = units_of(whole, schema, config.keep_duplicates_together)
    assigned = _assign(whole, units, schema, config, parts, seed)
    cut = {part: take(whole, assigned == i, part) for i, part in enumerate(parts)} | given
    check_classes(cut, given, schema)

    record_balance(cut, schema, config, ledger)
    record_units(cut, units, schema, config, ledger)
    until, since = record_time(cut, schema, ledger)
    if "test" not in cut:
        ledger.record("split.sealed-test", Outcome.SKIPPED, "no test part was asked for (test share 0)")
    sealed = Sealed(cut["test"], ledger, schema.pictures) if "test" in cut else None
    plan = SplitRecord(
        policy=_policy(schema, config, parts, len(whole), files),
        seed=seed,
        train_rows=len(cut["train"]),
        valid_rows=len(cut["valid"]),
        test_rows=0 if sealed is None else len(sealed),
        sealed_sha256=None if sealed is None else sealed.sha256,
        files={part: t.source.name for part, t in files.items()},
        left_out=left_out,
        kept_together=rows_kept_together(units),
        group=schema.group,
        time=schema.time,
        train_until=until,
        test_from=since,
    )
    _record_parts(plan, ledger)
    return Split(cut["train"], cut["valid"], sealed, plan)


# Units and parts


def units_of(rows: Rows, schema: Schema, keep_duplicates: bool) -> np.ndarray:
    """Dense unit ids, shape (n,): connected components of `same group` and `equal features and target`."""
    n = len(rows)
    duplicates = np.arange(n)
    if keep_duplicates and schema.features:
        names = [column.name for column in schema.features]
        target = set_codes(rows.target) if schema.is_multilabel else rows.target
        duplicates = row_groups(_Columns(rows, names), pl.Series(target))
    if schema.group is None:
        return duplicates
    groups = as_category(rows.column(schema.group))
    codes = groups.rank("dense").cast(pl.Int64).to_numpy().astype(np.float64) if len(groups) else np.empty(0)
    alone = np.isnan(codes)
    codes[alone] = np.nanmax(codes, initial=0.0) + 1.0 + np.arange(alone.sum())
    return connected(np.unique(codes, return_inverse=True)[1], duplicates)


class _Columns:
    """The columns of some rows, made when asked for."""

    def __init__(self, rows: Rows, names: list[str]) -> None:
        self._rows = rows
        self.columns = names

    @property
    def height(self) -> int:
        """How many rows there are."""
        return len(self._rows)

    def __getitem__(self, name: str) -> pl.Series:
        return self._rows.column(name)


def _parts_to_cut(config: SplitConfig, given: dict[Part, Rows], rows: int) -> dict[Part, float]:
    """The parts cut from the main table of so many rows with their shares, which sum to 1; training always is one."""
    shares: dict[Part, float] = {"train": 1.0 - config.valid - config.test, "valid": config.valid, "test": config.test}
    left: dict[Part, float] = {part: share for part, share in shares.items() if part not in given and share > 0.0}
    total = sum(left.values())
    parts = {part: share / total for part, share in left.items()}
    limited = {part: share if part == "train" else config.limited(share, rows) for part, share in parts.items()}
    if limited != parts:
        limited["train"] += 1.0 - sum(limited.values())
    return limited


def _assign(
    rows: Rows, units: np.ndarray, schema: Schema, config: SplitConfig, parts: dict[Part, float], seed: int
) -> np.ndarray:
    """The part (position in `parts`) of every row, shape (n,)."""
    shares = np.array(list(parts.values()))
    if schema.is_classification:
        check_class_units(rows.target, units, schema, len(shares))
    if schema.time is not None:
        return cut_in_time(units, times(rows, schema, schema.time), shares)
    if units.max() + 1 < len(shares):
        raise DataError(
            f"at least {len(shares)} rows or groups that differ are needed, one for each part",
            f"there are {units.max() + 1}",
            "Give more groups, or give the test rows as a file of their own (--test FILE).",
        )
    rng = np.random.default_rng(seed)
    if not config.stratify:
        return cut_at_random(units, np.zeros(units.max() + 1, dtype=np.int64), shares, rng)
    if schema.is_multilabel:
        return cut_by_labels(units, rows.target, shares, rng)
    if not schema.is_classification:
        return cut_at_random(units, target_bins(rows.target, units), shares, rng)
    strata, mixed = rarest_class(rows.target, units)
    if not mixed:
        return cut_at_random(units, strata, shares, rng)
    strata = pool_small(strata, len(shares))
    draws = DRAWS if len(strata) <= MANY_UNITS else DRAWS_OF_MANY
    cuts = (cut_at_random(units, strata, shares, rng) for _ in range(draws))
    return min(cuts, key=lambda cut: imbalance(cut, rows.target, shares))


def _record_parts(plan: SplitRecord, ledger: Ledger) -> None:
    counts = f"{plan.train_rows:,} training, {plan.valid_rows:,} validation, {plan.test_rows:,} test rows"
    files = "".join(f"; {part} from {name!r}" for part, name in plan.files.items())
    outcome = Outcome.APPLIED if plan.sealed_sha256 else Outcome.SKIPPED
    ledger.record(
        "split.three-parts", outcome, counts + files, value=plan.train_rows + plan.valid_rows + plan.test_rows
    )


# Words


def _policy(schema: Schema, config: SplitConfig, parts: dict[Part, float], rows: int, files: dict[Part, Table]) -> str:
    """One line that says how the rows were divided."""
    shares = ", ".join(f"{NAMES[part]} {100 * share:.3g} %" for part, share in parts.items())
    if config.most_held_out and any(round(share * rows) == config.most_held_out for share in parts.values()):
        shares += f" (at most {config.most_held_out:,} rows are held out a part)"
    if schema.time is not None:
        how = f"in time by {schema.time!r}"
    elif not config.stratify:
        how = "at random"
    else:
        how = f"at random {_strata_in_words(schema)}"
    together = [f"groups of {schema.group!r}"] if schema.group is not None else []
    together += ["equal rows"] if config.keep_duplicates_together else []
    whole = f", {' and '.join(together)} kept together" if together else ""
    given = "".join(f"; {NAMES[part]} rows from their own file" for part in files)
    return f"{shares} {how}{whole}{given}"


def _strata_in_words(schema: Schema) -> str:
    if schema.is_multilabel:
        return "so that each label keeps its share"
    return "within classes" if schema.is_classification else "within target deciles"
