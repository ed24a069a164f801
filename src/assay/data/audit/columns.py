"""Checks of single columns of the main table: useless, leaking, missing by the target, far out, mixed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import numpy as np
import polars as pl

from assay._imports import require
from assay.data.columns import NUMERIC_MISSING_SPELLINGS, as_category
from assay.data.findings import (
    Checked,
    Finding,
    Severity,
    View,
    count_of,
    first_rows,
    is_measured,
    missing_of,
    named,
    numbers_of,
    said,
)
from assay.data.schema import Column, Kind
from assay.data.stored import gather
from assay.ledger import Outcome

#: Quantile bins of a number, folds and prior weight (rows) of the cross-validated encoding.
BINS, FOLDS, PRIOR = 50, 5, 1.0
#: Rows a class needs, on either side, before a column's AUROC for it is more than chance.
CLASS_ROWS = 5
#: Labels, the most frequent ones, that columns are held against.
LEAK_LABELS = 30
#: Level of the tests of missingness, and the least Cramer's V or rank-biserial correlation that matters (Cohen 1988:
#: 0.1 is small, 0.3 medium).
LEVEL, SMALL_EFFECT, MEDIUM_EFFECT = 0.01, 0.1, 0.3
#: Rows with and without a value that a column needs to be tested.
TESTED_ROWS = 5
#: Rows away from the common value that a column without spread in the middle needs for a fence of its own.
FENCE_ROWS = 20


#: How strongly a column speaks of a target, given its folds; None where there are too few rows.
_Strength = Callable[[Column, pl.Series, np.ndarray, np.ndarray], float | None]


def constant_columns(view: View) -> Checked:
    """Columns with one value; they are left out."""
    return _left_out(view, "audit.constant-columns", Kind.CONSTANT, "one value only")


def id_columns(view: View) -> Checked:
    """Columns that name the row; they are left out."""
    return _left_out(view, "audit.id-columns", Kind.ID, "a name for each row")


def _left_out(view: View, practice: str, kind: Kind, has: str) -> Checked:
    apart = {view.schema.target, view.schema.group, view.schema.weight, *view.schema.dropped}
    found = tuple(column for column in view.schema.columns if column.kind is kind and column.name not in apart)
    if not found:
        return Checked(practice, f"none among {len(view.schema.columns)} columns", 0.0)
    names = tuple(column.name for column in found)
    what = f"{count_of(len(found), 'column')} left out, having {has}: " + ", ".join(repr(name) for name in names[:12])
    do = f"Nothing, or say what it is if it is something else: --as {names[0]!r}=category."
    finding = Finding(check=practice, severity=Severity.NOTE, what=what, do=do, count=len(found), columns=names)
    return Checked(practice, what, float(len(found)), (finding,), outcome=Outcome.APPLIED)


def single_column_leak(view: View) -> Checked:
    """Each feature column alone against the target.

    Classes and labels: AUROC, of the values themselves (either direction) or of the class shares of their bins or
    categories, whichever is more; for several classes the mean of one against the rest, for labels the most of any.
    Numbers: R2 of the means of bins or categories, or the squared correlation of values or of ranks. Shares and means
    are out of fold (5 folds), so that a column of many categories does not win by chance (Micci-Barreca, SIGKDD 2001).
    Series are passed over.
    """
    practice = "audit.single-column-leak"
    target = view.target[view.sample]
    folds = np.random.default_rng(0).integers(0, FOLDS, len(target))
    strength: _Strength = _class_strength if view.schema.is_classification else _number_strength
    if view.labels is not None:
        strength, target = _label_strength, view.labels[view.sample]
    scores = {
        column.name: score
        for column, series in view.sampled_features()
        if column.kind is not Kind.SEQUENCE and (score := strength(column, series, target, folds)) is not None
    }
    if all(column.kind is Kind.SEQUENCE for column in view.schema.features):
        return Checked(practice, "every feature column is a series", outcome=Outcome.NOT_APPLICABLE)
    if not scores:
        reason = f"too few rows: a class needs {CLASS_ROWS}, and the table {4 * FOLDS}"
        return Checked(practice, reason, outcome=Outcome.NOT_APPLICABLE)
    measure = "AUROC" if view.schema.has_probabilities else "R2"
    measure += " of a label" if view.labels is not None else ""
    best = max(scores, key=lambda name: scores[name])
    reason = f"the strongest single column, {best!r}, reaches {measure} {scores[best]:.3f}{view.sampled}"
    found = tuple(
        Finding(
            check=practice,
            severity=Severity.SERIOUS,
            what=f"column {name!r} alone predicts {view.schema.target!r} with {measure} {score:.4f}{view.sampled}",
            do=f"If it is known only after the outcome, or made from it, leave it out: --drop {name!r}.",
            count=1,
            columns=(name,),
        )
        for name, score in sorted(scores.items(), key=lambda item: -item[1])
        if score >= view.config.leak_auroc
    )
    return Checked(practice, reason, scores[best], found)


def _codes(column: Column, series: pl.Series) -> np.ndarray:
    """Dense codes of a column: quantile bins of numbers, categories otherwise, one more for missing."""
    if not is_measured(column):
        return as_category(series).fill_null("\0").rank("dense").to_numpy().astype(np.int64) - 1
    values = numbers_of(series, column)
    present = ~np.isnan(values)
    # Order statistics rather than interpolated quantiles, which infinities would turn into NaN.
    ordered = np.sort(values[present])
    edges = np.unique(ordered[(np.arange(1, BINS) * len(ordered)) // BINS]) if len(ordered) else ordered
    return np.asarray(np.where(present, np.searchsorted(edges, values, side="right"), len(edges) + 1))


def _class_strength(column: Column, series: pl.Series, target: np.ndarray, folds: np.ndarray) -> float | None:
    """The mean over classes of the best AUROC that the column reaches for one against the rest."""
    areas = _areas(column, series, (target == position for position in np.unique(target)), folds)
    return float(np.mean(areas)) if areas else None


def _label_strength(column: Column, series: pl.Series, labels: np.ndarray, folds: np.ndarray) -> float | None:
    """The best AUROC that the column reaches for one of the most frequent labels."""
    frequent = np.argsort(-labels.sum(axis=0, dtype=np.int64), kind="stable")[:LEAK_LABELS]
    areas = _areas(column, series, (labels[:, label] == 1 for label in frequent), folds)
    return max(areas, default=None)


def _areas(column: Column, series: pl.Series, classes: Iterable[np.ndarray], folds: np.ndarray) -> list[float]:
    """The best AUROC that the column reaches for each class, given as the rows that are of it, with rows enough."""
    codes = _codes(column, series)
    k = int(codes.max(initial=0)) + 1
    cells = codes * FOLDS + folds
    rows = np.bincount(cells, minlength=k * FOLDS).reshape(k, FOLDS)
    ranks = np.unique(numbers_of(series, column), return_inverse=True)[1] if is_measured(column) else None
    areas = []
    for is_of_it in classes:
        positive = is_of_it.astype(np.float64)
        if min(positive.sum(), len(positive) - positive.sum()) < CLASS_ROWS:
            continue
        hits = np.bincount(cells, weights=positive, minlength=k * FOLDS).reshape(k, FOLDS)
        area = _auroc(_out_of_fold(hits, rows).ravel(), hits.ravel(), (rows - hits).ravel())
        if ranks is not None:
            ones = np.bincount(ranks, weights=positive)
            direct = _auroc(np.arange(len(ones), dtype=np.float64), ones, np.bincount(ranks) - ones)
            area = max(area, direct, 1.0 - direct)
        areas.append(area)
    return areas


def _out_of_fold(sums: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """The mean of each code in the other folds, drawn towards their overall mean, shape (codes, folds)."""
    other_sums, other_rows = sums.sum(axis=1, keepdims=True) - sums, rows.sum(axis=1, keepdims=True) - rows
    prior = other_sums.sum(axis=0) / np.maximum(other_rows.sum(axis=0), 1)
    return np.asarray((other_sums + PRIOR * prior) / (other_rows + PRIOR))


def _auroc(scores: np.ndarray, positives: np.ndarray, negatives: np.ndarray) -> float:
    """Area under the ROC curve of cells with a score and counts of either class; ties count half."""
    levels, level = np.unique(scores, return_inverse=True)
    pos = np.bincount(level, weights=positives, minlength=len(levels))
    neg = np.bincount(level, weights=negatives, minlength=len(levels))
    below = np.cumsum(neg) - neg
    return float((pos * (below + neg / 2.0)).sum() / (pos.sum() * neg.sum()))


def _number_strength(column: Column, series: pl.Series, target: np.ndarray, folds: np.ndarray) -> float | None:
    """The best R2 that the column reaches alone."""
    if len(target) < 4 * FOLDS or np.ptp(target) == 0:
        return None
    codes = _codes(column, series)
    k = int(codes.max()) + 1
    cells = codes * FOLDS + folds
    centred = target - target.mean()
    rows = np.bincount(cells, minlength=k * FOLDS).reshape(k, FOLDS)
    sums = np.bincount(cells, weights=centred, minlength=k * FOLDS).reshape(k, FOLDS)
    left = centred - _out_of_fold(sums, rows)[codes, folds]
    best = 1.0 - float((left**2).sum() / (centred**2).sum())
    if is_measured(column):
        values = numbers_of(series, column)
        finite = np.isfinite(values)
        best = max(best, _squared_correlation(values[finite], target[finite]))
        ranks = [pl.Series(array[finite]).rank().to_numpy() for array in (values, target)]
        best = max(best, _squared_correlation(*ranks))
    return best


def _squared_correlation(a: np.ndarray, b: np.ndarray) -> float:
    if len(a) < 4 * FOLDS or np.ptp(a) == 0 or np.ptp(b) == 0:
        return 0.0
    # Scaled first, so that huge values do not overflow when squared.
    a, b = (x / np.abs(x).max() for x in (a, b))
    a, b = a - a.mean(), b - b.mean()
    spread = float((a @ a) * (b @ b))
    return float((a @ b) ** 2 / spread) if spread > 0 else 0.0


def missingness(view: View) -> Checked:
    """Whether a value being missing depends on the target.

    Classes: chi-square test, effect Cramer's V, of labels for the one that shows it most; numbers: Mann-Whitney test,
    effect rank-biserial correlation. p-values are Holm-corrected over columns; a column is reported when p < 0.01 and
    the effect is at least 0.1, so that many rows do not raise an alarm over nothing.
    """
    practice = "audit.missingness"
    target = view.target[view.sample]
    tested: dict[str, tuple[float, float]] = {}
    for column, series in view.sampled_features():
        absent = missing_of(series, column)
        if min(absent.sum(), len(absent) - absent.sum()) >= TESTED_ROWS:
            tested[column.name] = (
                _dependence(absent, target, view.schema.is_classification)
                if view.labels is None
                else _dependence_on_labels(absent, view.labels[view.sample])
            )
    if not tested:
        return Checked(practice, f"no column has {TESTED_ROWS} missing values", outcome=Outcome.NOT_APPLICABLE)
    corrected = _holm({name: p for name, (p, _) in tested.items()})
    depends = {n: tested[n][1] for n, p in corrected.items() if p < LEVEL and tested[n][1] >= SMALL_EFFECT}
    least = min(corrected.values())
    if not depends:
        largest = max(effect for _, effect in tested.values())
        reason = (
            f"{count_of(len(tested), 'column')} with missing values; the strongest dependence on the target has effect "
            f"{largest:.2f}, least p {least:.2g}{view.sampled}"
        )
        return Checked(practice, reason, least)
    texts = [f"{name!r} (effect {effect:.2f})" for name, effect in sorted(depends.items(), key=lambda item: -item[1])]
    finding = Finding(
        check=practice,
        severity=Severity.WARNING if max(depends.values()) >= MEDIUM_EFFECT else Severity.NOTE,
        what=f"whether a value is missing depends on the target in {', '.join(texts[:8])}{view.sampled}",
        do="Missing flags let the network use this; make sure the value would be missing at prediction time, too.",
        count=len(depends),
        columns=tuple(depends),
    )
    return Checked(practice, finding.what, least, (finding,))


def _dependence(absent: np.ndarray, target: np.ndarray, is_class: bool) -> tuple[float, float]:
    """The p-value and the effect of missingness against the target."""
    stats = require("scipy.stats", "testing whether missing values depend on the target")
    if not is_class:
        here, there = target[absent], target[~absent]
        test = stats.mannwhitneyu(here, there, method="asymptotic")
        return float(test.pvalue), abs(2.0 * float(test.statistic) / (len(here) * len(there)) - 1.0)
    present = np.unique(target, return_inverse=True)[1]
    table = np.bincount(present * 2 + absent).astype(np.float64)
    table = np.pad(table, (0, len(table) % 2)).reshape(-1, 2)
    expected = table.sum(axis=1, keepdims=True) * table.sum(axis=0) / table.sum()
    chi2 = float(((table - expected) ** 2 / expected).sum())
    return float(stats.chi2.sf(chi2, len(table) - 1)), float(np.sqrt(chi2 / table.sum()))


def _dependence_on_labels(absent: np.ndarray, labels: np.ndarray) -> tuple[float, float]:
    """The least p-value over the frequent labels, times their number (Bonferroni), and the effect on that label."""
    frequent = np.argsort(-labels.sum(axis=0, dtype=np.int64), kind="stable")[:LEAK_LABELS]
    varying = [label for label in frequent if len(np.unique(labels[:, label])) > 1]
    if not varying:
        return 1.0, 0.0
    p_value, effect = min(_dependence(absent, labels[:, label].astype(np.int64), True) for label in varying)
    return min(1.0, p_value * len(varying)), effect


def _holm(p_values: dict[str, float]) -> dict[str, float]:
    """Holm's step-down correction (Scandinavian Journal of Statistics 1979)."""
    corrected: dict[str, float] = {}
    highest = 0.0
    for step, (name, p) in enumerate(sorted(p_values.items(), key=lambda item: item[1])):
        highest = max(highest, min(1.0, (len(p_values) - step) * p))
        corrected[name] = highest
    return corrected


def outliers(view: View) -> Checked:
    """Cells of number columns beyond Tukey's outer fence, and infinite cells.

    The fence is Q1 - 3 IQR to Q3 + 3 IQR. Where the middle half of a column is one value (a count that is mostly 0),
    the fence is that of the rows with other values, and there is none if these are few or have no spread either. Of a
    large table the fence is that of a sample; the cells beyond it are counted in all rows.
    """
    practice = "audit.outliers"
    far: dict[str, int] = {}
    endless: dict[str, int] = {}
    far_rows, endless_rows = np.zeros(view.frame.height, dtype=bool), np.zeros(view.frame.height, dtype=bool)
    columns = [column for column in view.schema.features if column.kind is Kind.NUMBER]
    if not columns:
        return Checked(practice, "there is no number column", outcome=Outcome.NOT_APPLICABLE)
    fence_of = f", the fence being that of {len(view.sample):,} random rows" if view.sampled else ""
    for column in columns:
        values = numbers_of(view.frame[column.name], column)
        infinite = np.isinf(values)
        low, high = _fence(values[view.sample] if fence_of else values)
        beyond = ((values < low) | (values > high)) & ~infinite
        if infinite.any():
            endless[column.name] = int(infinite.sum())
            endless_rows |= infinite
        if beyond.any():
            far[column.name] = int(beyond.sum())
            far_rows |= beyond
    total = sum(far.values())
    rows = np.flatnonzero(far_rows), np.flatnonzero(endless_rows)
    found = tuple(_outlier_findings(practice, far, endless, *rows, fence_of))
    reason = f"no cell of {count_of(len(columns), 'number column')} beyond the outer fence{fence_of}"
    return Checked(practice, reason, float(total), found, rows=np.flatnonzero(far_rows | endless_rows) + 1)


def _fence(values: np.ndarray) -> tuple[float, float]:
    """Tukey's outer fence; without limits where there is none."""
    finite = values[np.isfinite(values)]
    if len(finite) == 0:
        return -np.inf, np.inf
    low, middle, high = np.quantile(finite, [0.25, 0.5, 0.75])
    if low == high:
        others = finite[finite != middle]
        if len(others) < FENCE_ROWS:
            return -np.inf, np.inf
        low, high = np.quantile(others, [0.25, 0.75])
        low, high = min(low, middle), max(high, middle)
    reach = 3.0 * (high - low)
    return float(low - reach), float(high + reach)


def _outlier_findings(
    practice: str,
    far: dict[str, int],
    endless: dict[str, int],
    far_rows: np.ndarray,
    endless_rows: np.ndarray,
    fence_of: str,
) -> Iterator[Finding]:
    if endless:
        yield Finding(
            check=practice,
            severity=Severity.WARNING,
            what=f"{count_of(sum(endless.values()), 'cell')} {said(sum(endless.values()), 'is', 'are')} infinite: "
            f"{named(endless)}",
            do="Find where they come from (often a division by 0); correct them or make them empty.",
            count=sum(endless.values()),
            columns=tuple(endless),
            rows=first_rows(endless_rows),
        )
    if far:
        cells = sum(far.values())
        yield Finding(
            check=practice,
            severity=Severity.NOTE,
            what=f"{count_of(cells, 'cell')} {said(cells, 'lies', 'lie')} beyond the outer fence (3 IQR{fence_of}): "
            f"{named(far)}",
            do="Correct them if they are errors; true values may stay, the scaling and the smooth clip tame them.",
            count=sum(far.values()),
            columns=tuple(far),
            rows=first_rows(far_rows),
        )


def mixed_types(view: View) -> Checked:
    """Columns where some cells are neither missing nor of the column's kind; those cells count as missing."""
    practice = "audit.mixed-types"
    apart = set(view.schema.dropped)
    mixed = {c.name: c.unparsed for c in view.schema.columns if c.unparsed > 0 and c.name not in apart}
    if not mixed:
        return Checked(practice, f"every cell of {len(view.schema.columns)} columns is of its column's kind", 0.0)
    where = np.zeros(view.frame.height, dtype=bool)
    for name in mixed:
        where |= unreadable(view.frame[name], view.schema[name])
    rows = np.flatnonzero(where)
    examples = _examples(gather(view.frame.select(list(mixed)), rows[:1000]), mixed, view)
    kinds = ", ".join(f"{name!r} ({view.schema[name].kind})" for name in list(mixed)[:8])
    finding = Finding(
        check=practice,
        severity=Severity.WARNING,
        what=(
            f"{count_of(sum(mixed.values()), 'cell')} not of the column's kind, read as missing: {named(mixed)}; the "
            f"kinds are {kinds}; such as {examples}"
        ),
        do="Correct these cells, or name the right kind: --as COLUMN=category.",
        count=sum(mixed.values()),
        columns=tuple(mixed),
        rows=first_rows(rows),
    )
    return Checked(practice, finding.what, float(finding.count), (finding,), rows=rows + 1)


def unreadable(series: pl.Series, column: Column) -> np.ndarray:
    """Cells that are neither missing nor of the column's kind, bool, shape (n,)."""
    if not is_measured(column):
        return np.zeros(len(series), dtype=bool)
    words = as_category(series)
    spelt = words.str.to_lowercase().is_in(sorted(NUMERIC_MISSING_SPELLINGS)).fill_null(True)
    return np.asarray(np.isnan(numbers_of(series, column)) & ~spelt.to_numpy())


def _examples(frame: pl.DataFrame, mixed: dict[str, int], view: View) -> str:
    cells: list[str] = []
    for name in mixed:
        bad = as_category(frame[name]).filter(pl.Series(unreadable(frame[name], view.schema[name])))
        cells += [repr(cell[:20]) for cell in bad.unique(maintain_order=True).head(3).to_list()]
    return ", ".join(cells[:5])
