"""Checks of the rows of the main table: copies, contradictions, class counts, size, order."""

from __future__ import annotations

import numpy as np
import polars as pl

from assay.data.columns import as_category, groups_of_hashes, hashes_with, repeats_of, row_groups
from assay.data.findings import Checked, Finding, Severity, View, count_of, first_rows, numbers_of, said
from assay.data.schema import Kind
from assay.data.stored import gather
from assay.ledger import Outcome

#: Share of copies from which duplicates are a warning rather than a note, and from which the table is called coarse.
MANY_COPIES, COARSE = 0.01, 0.5
#: Near duplicates: largest relative difference in the one number that differs, and how many rows may agree in the rest.
NEAR, NEAR_GROUP = 1e-3, 3
#: Cells searched for near duplicates at most, on top of the limit of rows; every column is left out once.
NEAR_CELLS = 20_000_000
#: Fewer feature columns than this make near duplicates a matter of chance.
NEAR_COLUMNS = 4
#: Half width of the interval of accuracy (or, relative, of RMSE) from which a test part is called small.
WIDE_ACCURACY, WIDE_RMSE = 0.05, 0.1
#: Test rows of a class below which its recall says little.
FEW_OF_CLASS = 10
#: Agreement of neighbouring rows' targets (autocorrelation of ranks, or kappa) that is noted, its least z, the least
#: rows, and the agreement that only sorting by the target gives.
ALIKE, FAR_FROM_CHANCE, FEWEST_NEIGHBOURS, SORTED = 0.2, 5.0, 50, 0.9
#: Rows from the first on that are looked at for it at most.
MOST_NEIGHBOURS = 1_000_000
#: What classes and labels of very different sizes are to be judged by.
_FAIR_CLASSES = "balanced accuracy, AUPRC and the recall of each class rather than by accuracy"
_FAIR_LABELS = "the macro averages and the table of labels rather than by the micro averages"
Z95 = 1.959963984540054


def duplicates(view: View) -> Checked:
    """Rows that are equal to an earlier row in all feature columns and the target."""
    practice = "audit.duplicates"
    n = view.frame.height
    target = pl.Series(view.target)
    copies = repeats_of(groups_of_hashes(hashes_with(view.feature_hashes, [target]), view.features, target))
    if not len(copies):
        return Checked(practice, f"no copies among {n:,} rows", 0.0)
    share = len(copies) / n
    what = f"{count_of(len(copies), 'row')} of {n:,} ({100 * share:.3g} %) {said(len(copies), 'repeats', 'repeat')} an "
    what += "earlier row exactly"
    do = "Equal rows are kept in one part of the split. Remove them if they are copies by mistake."
    if share >= COARSE:
        do = (
            "With so few different rows the copies are probably cases of their own: then set "
            "data.split.keep_duplicates_together=false."
        )
    severity = Severity.WARNING if share >= MANY_COPIES else Severity.NOTE
    finding = Finding(check=practice, severity=severity, what=what, do=do, count=len(copies), rows=first_rows(copies))
    return Checked(practice, what, float(len(copies)), (finding,), rows=copies + 1)


def near_duplicates(view: View) -> Checked:
    """Rows that are equal to another but for a trifle.

    Two rows are near duplicates when they have the same target and agree in all feature columns - words compared
    without regard to case and blanks - except at most one number, which differs by at most 0.1 % of the larger. Where
    more than three rows agree in all the other columns, those are too coarse for the agreement to mean anything, and
    the rows are not counted. Exact copies count as one row. Rows are compared through hashes with one column left
    out at a time, so the cost is linear in the rows.
    """
    practice = "audit.near-duplicates"
    limit = min(view.config.near_duplicate_rows, view.frame.height)
    if limit == 0:
        return Checked(practice, "data.audit.near_duplicate_rows is 0", outcome=Outcome.SKIPPED)
    if len(view.feature_names) < NEAR_COLUMNS:
        reason = f"with fewer than {NEAR_COLUMNS} feature columns rows are nearly equal by chance"
        return Checked(practice, reason, outcome=Outcome.NOT_APPLICABLE)
    limit = min(limit, max(1, NEAR_CELLS // len(view.feature_names)))
    near = _near(view, limit)
    searched = f"{limit:,} rows" if limit == view.frame.height else f"the first {limit:,} of {view.frame.height:,} rows"
    if not len(near):
        return Checked(practice, f"none among {searched}", 0.0)
    what = (
        f"{count_of(len(near), 'row')} among {searched} {said(len(near), 'equals', 'equal')} another row but for case, "
        f"blanks or one number that differs by at most {100 * NEAR:.1f} %"
    )
    do = "If they are the same case measured twice, keep them in one part of the split with --group."
    severity = Severity.WARNING if len(near) >= MANY_COPIES * limit else Severity.NOTE
    finding = Finding(check=practice, severity=severity, what=what, do=do, count=len(near), rows=first_rows(near))
    return Checked(practice, what, float(len(near)), (finding,), rows=near + 1)


def _near(view: View, limit: int) -> np.ndarray:
    """Positions of the rows among the first `limit` that have a near duplicate, ascending."""
    head = gather(view.features, slice(0, limit))
    rows = np.setdiff1d(np.arange(limit), repeats_of(row_groups(head, pl.Series(view.target[:limit]))))
    numbers: list[np.ndarray] = []
    hashes: list[np.ndarray] = []
    total = pl.Series(view.target[rows]).hash(seed=0).to_numpy().copy()
    for seed, column in enumerate(view.schema.features, start=1):
        cells = head[column.name].gather(rows)
        if column.kind is Kind.NUMBER:
            numbers.append(numbers_of(cells, column))
            hashes.append(pl.Series(numbers[-1]).hash(seed=seed).to_numpy())
            total += hashes[-1]
        elif column.kind is Kind.SEQUENCE:  # a series is equal or it is not
            total += cells.hash(seed=seed).to_numpy()
        else:
            words = as_category(cells).str.to_lowercase().str.replace_all(r"\s+", " ")
            total += words.hash(seed=seed).to_numpy()
    near = _repeated(total)
    for values, own in zip(numbers, hashes, strict=True):
        near |= _close_within(total - own, values)
    return np.asarray(rows[near])


def _repeated(keys: np.ndarray) -> np.ndarray:
    """Which keys occur more than once."""
    ordered = np.sort(keys)
    twice = ordered[1:][ordered[1:] == ordered[:-1]]
    return np.isin(keys, twice) if len(twice) else np.zeros(len(keys), dtype=bool)


def _close_within(keys: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Rows that share the key with one or two others of nearly the same value."""
    near = np.zeros(len(keys), dtype=bool)
    at = np.flatnonzero(_repeated(keys) & np.isfinite(values))
    at = at[np.lexsort((values[at], keys[at]))]
    starts = np.flatnonzero(np.append(True, np.diff(keys[at]) != 0)) if len(at) else at
    sizes = np.diff(np.append(starts, len(at)))
    at = at[np.repeat((sizes > 1) & (sizes <= NEAR_GROUP), sizes)]
    key, value = keys[at], values[at]
    gap = np.abs(np.diff(value))
    close = (key[1:] == key[:-1]) & (gap > 0) & (gap <= NEAR * np.maximum(np.abs(value[1:]), np.abs(value[:-1])))
    near[at[1:][close]] = True
    near[at[:-1][close]] = True
    return near


def conflicting_labels(view: View) -> Checked:
    """Rows with equal features and different targets; they bound the score any model can reach on these columns."""
    practice = "audit.conflicting-labels"
    if not view.feature_names:
        return Checked(practice, "there is no feature column", outcome=Outcome.NOT_APPLICABLE)
    known = np.flatnonzero(view.known)
    groups = groups_of_hashes(view.feature_hashes, view.features)
    alike = np.flatnonzero(view.known & (np.bincount(groups) > 1)[groups])
    # Only rows that share their features with another can contradict it.
    shared, target = groups[alike], view.target[alike]
    order = np.lexsort((target, shared))
    new_pair = (np.diff(shared[order]) != 0) | (np.diff(target[order]) != 0)
    pairs = np.bincount(shared[order][np.append(True, new_pair)[: len(order)]], minlength=len(groups))
    conflict = alike[pairs[shared] > 1]
    if not len(conflict):
        return Checked(practice, f"no equal rows with different targets among {len(known):,}", 0.0)
    best, measure = _ceiling(groups[known], view.target[known], view.schema.has_probabilities)
    measure = "subset accuracy" if view.schema.is_multilabel else measure
    share = len(conflict) / len(known)
    what = (
        f"{count_of(len(conflict), 'row')} ({100 * share:.3g} %) {said(len(conflict), 'has', 'have')} the same "
        f"features as a row with another target; the best reachable {measure} on this table is {best:.6g}"
    )
    do = "Look whether labels are wrong or a column that tells these rows apart is missing."
    severity = Severity.WARNING if best < 1.0 - MANY_COPIES else Severity.NOTE
    finding = Finding(
        check=practice, severity=severity, what=what, do=do, count=len(conflict), rows=first_rows(conflict)
    )
    return Checked(practice, what, best, (finding,), rows=conflict + 1)


def _ceiling(groups: np.ndarray, target: np.ndarray, is_class: bool) -> tuple[float, str]:
    """The accuracy (R2) of the answer that is best for each set of equal rows."""
    if is_class:
        table = pl.DataFrame({"group": groups, "target": target}).group_by("group", "target").len()
        return float(table.group_by("group").agg(pl.col("len").max())["len"].sum() / max(len(target), 1)), "accuracy"
    sizes = np.maximum(np.bincount(groups), 1)
    means = np.bincount(groups, weights=target) / sizes
    spread = float(((target - target.mean()) ** 2).sum())
    return 1.0 - float(((target - means[groups]) ** 2).sum()) / spread if spread else 1.0, "R2"


def class_balance(view: View) -> Checked:
    """Rows of each class, and the smallest class over the largest."""
    practice = "audit.class-balance"
    if not view.schema.has_probabilities:
        return Checked(practice, "the target is a number", outcome=Outcome.NOT_APPLICABLE)
    counts = _rows_of_classes(view)
    ratio = float(counts.min() / max(counts.max(), 1))
    order = np.argsort(-counts, kind="stable")
    shown = order if len(order) <= 8 else np.concatenate([order[:4], order[-3:]])
    text = ", ".join(f"{view.schema.classes[i]!r} {counts[i]:,}" for i in shown)
    text += f" and {len(order) - len(shown)} more classes" if len(order) > len(shown) else ""
    named = "label" if view.schema.is_multilabel else "class"
    reason = f"smallest / largest {named} {ratio:.3g}: {text}"
    if ratio >= view.config.imbalance:
        return Checked(practice, reason, ratio)
    finding = Finding(
        check=practice,
        severity=Severity.WARNING,
        what=f"the {'labels' if view.schema.is_multilabel else 'classes'} are unbalanced, {reason}",
        do=f"Judge by {_FAIR_LABELS if view.schema.is_multilabel else _FAIR_CLASSES}.",
        count=int(counts.min()),
        columns=(view.schema.target,),
        rows=first_rows(np.flatnonzero(view.has(int(counts.argmin()), np.arange(len(view.target))))),
    )
    return Checked(practice, reason, ratio, (finding,))


def _rows_of_classes(view: View) -> np.ndarray:
    """Rows of each class, or of each label."""
    if view.labels is not None:
        return np.asarray(view.labels[view.known].sum(axis=0, dtype=np.int64))
    return np.bincount(view.target[view.known], minlength=len(view.schema.classes))


def wilson_half_width(share: float, n: int) -> float:
    """Half the width of Wilson's 95 % interval for a proportion (Wilson, JASA 1927)."""
    return float(Z95 / (1 + Z95**2 / n) * np.sqrt(share * (1 - share) / n + Z95**2 / (4 * n**2)))


def size_of_test(view: View) -> Checked:
    """How wide the interval of the main score will be on the test rows, and how few rows the rarest class has there.

    Classes: Wilson's interval at the share of the largest class, what a trivial model reaches. Numbers: the standard
    error of RMSE under normal errors is 1 / sqrt(2 n) of it.
    """
    practice = "audit.test-size"
    n = view.test_rows
    if n == 0:
        return Checked(practice, "no test part was asked for", outcome=Outcome.NOT_APPLICABLE)
    found: list[Finding] = []
    if view.schema.has_probabilities:
        shares = _rows_of_classes(view) / max(int(view.known.sum()), 1)
        # Of a label that half of the rows have the share of right answers is known least.
        width = wilson_half_width(0.5 if view.labels is not None else float(shares.max()), n)
        measure = "the accuracy of a label" if view.labels is not None else "accuracy"
        text = f"about {n:,} test rows give {measure} to within {100 * width:.1f} percentage points"
        wide = width > WIDE_ACCURACY
        rare = [name for name, share in zip(view.schema.classes, shares, strict=True) if share * n < FEW_OF_CLASS]
        if rare:
            least, many = float(shares.min()) * n, "labels" if view.labels is not None else "classes"
            what = (
                f"{len(rare)} of {len(shares)} {many} will have fewer than {FEW_OF_CLASS} test rows; "
                f"{view.schema.classes[int(shares.argmin())]!r} about {least:.0f}"
            )
            do = f"Do not rely on the scores of these {many} alone; give more rows of them, or join {many}."
            found.append(Finding(check=practice, severity=Severity.WARNING, what=what, do=do, count=len(rare)))
    else:
        width = Z95 / np.sqrt(2 * n)
        text = f"about {n:,} test rows give RMSE to within {100 * width:.1f} %"
        wide = width > WIDE_RMSE
    if wide:
        do = "Give more rows, or a larger data.split.test; differences smaller than this say nothing."
        found.insert(0, Finding(check=practice, severity=Severity.WARNING, what=text + " only", do=do, count=n))
    return Checked(practice, text, float(width), tuple(found))


def time_order(view: View) -> Checked:
    """Whether the rows stand in the order of a date column without the split knowing."""
    practice = "audit.time-order"
    dates = [column for column in view.schema.columns if column.kind is Kind.DATETIME]
    dates = [column for column in dates if column.name not in view.schema.dropped]
    if view.schema.time is not None:
        return Checked(practice, f"the split is in time by {view.schema.time!r}", 1.0)
    if not dates:
        return _order_of_targets(view, practice)
    ordered = [column.name for column in dates if _in_order(numbers_of(view.frame[column.name], column))]
    names = ", ".join(repr(name) for name in ordered or [column.name for column in dates])
    if ordered:
        what = f"the rows are in order of {names}, and the split would mix past and future"
        do = f"If the model is to predict later rows, split in time: --time {ordered[0]!r}."
        severity = Severity.WARNING
    else:
        what = f"the rows have dates ({names}), not in order, and the split does not look at them"
        do = f"If the model is to predict later rows, split in time: --time {dates[0].name!r}."
        severity = Severity.NOTE
    columns = tuple(ordered) or tuple(column.name for column in dates)
    finding = Finding(check=practice, severity=severity, what=what, do=do, count=len(columns), columns=columns)
    return Checked(practice, what, float(len(ordered)), (finding,))


def _order_of_targets(view: View, practice: str) -> Checked:
    """Without a date column: whether neighbouring rows have alike targets, a sign of rows in order of time."""
    target = view.target[view.known][:MOST_NEIGHBOURS]
    if len(target) < FEWEST_NEIGHBOURS:
        return Checked(practice, "there is no date column, and few rows", outcome=Outcome.NOT_APPLICABLE)
    if view.schema.has_probabilities:
        shares = np.bincount(target) / len(target)
        by_chance = float((shares**2).sum())
        alike = float((target[1:] == target[:-1]).mean() - by_chance) / max(1.0 - by_chance, 1e-12)
    else:
        ranks = pl.Series(target).rank().to_numpy()
        spread = float(ranks.var())
        alike = float(((ranks[1:] - ranks.mean()) * (ranks[:-1] - ranks.mean())).mean()) / max(spread, 1e-12)
    among = f" among the first {len(target):,}" if len(target) < view.known.sum() else ""
    reason = (
        f"there is no date column; neighbouring rows' targets agree {alike:.2f} beyond chance{among} (0 none, 1 all)"
    )
    if alike >= SORTED:
        return Checked(
            practice, f"there is no date column; the rows are sorted by the target (agreement {alike:.2f})", 0.0
        )
    if alike < ALIKE or alike * np.sqrt(len(target)) < FAR_FROM_CHANCE:
        return Checked(practice, reason, 0.0)
    finding = Finding(
        check=practice,
        severity=Severity.NOTE,
        what=f"{reason}, so the rows seem to be in order of time or of place",
        do="If they are, a split at random is too kind: name the column that orders them with --time or --group.",
        count=len(target),
        columns=(view.schema.target,),
    )
    return Checked(practice, reason, 0.0, (finding,))


def _in_order(times: np.ndarray) -> bool:
    """Rising or falling in all but one in a thousand steps, and not constant."""
    steps = np.diff(times[~np.isnan(times)])
    moving = steps[steps != 0]
    return len(moving) > 1 and max((moving > 0).mean(), (moving < 0).mean()) >= 0.999
