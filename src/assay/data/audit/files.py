"""Checks between the main table and given validation and test files."""

from __future__ import annotations

import numpy as np
import polars as pl

from assay.data.audit.columns import unreadable
from assay.data.columns import as_category, row_groups
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
from assay.data.rows import Part
from assay.data.schema import Column, Kind
from assay.data.split.deal_labels import set_codes
from assay.data.steps import is_series
from assay.data.stored import Frame
from assay.data.target import target_values
from assay.errors import nearest
from assay.ledger import Outcome

#: Share of a file's rows that may be training rows, of its cells that may be unseen, before it is more than a note.
SHARED, UNSEEN = 0.01, 0.01
#: Share of a file's cells that must be readable as the column's kind; below, the column is of another type.
READABLE = 0.5

_ALONE = "no validation or test file was given"


def shared_rows(view: View) -> Checked:
    """Rows of a given file that equal a row of the main table, or of the other file, in all features and the target.

    Cells are compared as they are understood (3 and 3.0 are one number), since files are often typed differently.
    """
    practice = "audit.cross-file-duplicates"
    if not view.files:
        return Checked(practice, _ALONE, outcome=Outcome.NOT_APPLICABLE)
    tables: dict[str, Frame] = {"data": view.frame} | {part: t.frame for part, t in view.files.items()}
    # `columns` of a frame is built anew at each call, which counts for wide tables.
    common = set.intersection(*(set(frame.columns) for frame in tables.values()))
    columns = [column for column in view.schema.features if column.name in common]
    labelled = view.schema.target in common
    if not columns:
        return Checked(practice, "the files share no feature column", outcome=Outcome.NOT_APPLICABLE)
    groups = _groups_across(tables, columns, view, labelled)
    by = "all features and the target" if labelled else "all features"
    found = []
    names = list(tables)
    for i, part in enumerate(names[1:], start=1):
        for other in names[:i]:
            shared = np.flatnonzero(np.isin(groups[part], groups[other]))
            if len(shared):
                found.append(_shared_finding(practice, part, other, shared, len(groups[part]), by))
    sizes = ", ".join(f"{len(groups[part]):,} {part}" for part in names[1:])
    total = float(sum(finding.count for finding in found))
    return Checked(practice, f"none of {sizes} rows are in another file", total, tuple(found))


def _shared_finding(practice: str, part: str, other: str, shared: np.ndarray, n: int, by: str) -> Finding:
    share = len(shared) / n
    source = "training" if other == "data" else other
    return Finding(
        check=practice,
        severity=Severity.SERIOUS if share > SHARED else Severity.WARNING,
        what=(
            f"{count_of(len(shared), 'row')} of {n:,} in the {part} file ({100 * share:.3g} %) "
            f"{said(len(shared), 'equals', 'equal')} {source} rows "
            f"in {by}"
        ),
        do=f"Remove them from the {part} file: the scores on it are too good by what these rows give.",
        count=len(shared),
        rows=first_rows(shared),
        part=part,
    )


def _groups_across(
    tables: dict[str, Frame], columns: list[Column], view: View, labelled: bool
) -> dict[str, np.ndarray]:
    """`row_groups` over all files at once, cut back into the files."""
    frames = list(tables.values())
    more = []
    if labelled:
        targets = np.concatenate([target_values(frame[view.schema.target], view.schema) for frame in frames])
        more.append(pl.Series(set_codes(targets) if view.schema.is_multilabel else targets))
    groups = row_groups(_Joined(frames, columns), *more)
    ends = np.cumsum([frame.height for frame in frames])[:-1]
    return dict(zip(tables, np.split(groups, ends), strict=True))


class _Joined:
    """The columns of several files below each other, made when asked for."""

    def __init__(self, frames: list[Frame], columns: list[Column]) -> None:
        self._frames = frames
        self._columns = {column.name: column for column in columns}

    @property
    def height(self) -> int:
        """Rows of all files."""
        return sum(frame.height for frame in self._frames)

    @property
    def columns(self) -> list[str]:
        """The names that the files share."""
        return list(self._columns)

    def __getitem__(self, name: str) -> pl.Series:
        parts = [frame[name] for frame in self._frames]
        if len({part.dtype for part in parts}) > 1:
            parts = [_understood(part, self._columns[name]) for part in parts]
        return pl.concat([part.alias("cells") for part in parts])


def _understood(series: pl.Series, column: Column) -> pl.Series:
    """The column in the one form of its kind, missing as null."""
    return pl.Series(numbers_of(series, column)) if is_measured(column) else as_category(series)


def unseen_categories(view: View) -> Checked:
    """Cells of given files whose category no row of the main table has."""
    practice = "audit.unseen-categories"
    if not view.files:
        return Checked(practice, _ALONE, outcome=Outcome.NOT_APPLICABLE)
    columns = [column for column in view.schema.features if column.kind is Kind.CATEGORY]
    if not columns:
        return Checked(practice, "there is no category column", outcome=Outcome.NOT_APPLICABLE)
    known = {column.name: as_category(view.frame[column.name]).unique().drop_nulls() for column in columns}
    found = [finding for part in view.files if (finding := _unseen(practice, part, known, view)) is not None]
    total = float(sum(finding.count for finding in found))
    reason = f"every category of {count_of(len(columns), 'column')} in the given files is known from training"
    return Checked(practice, reason, total, tuple(found))


def _unseen(practice: str, part: Part, known: dict[str, pl.Series], view: View) -> Finding | None:
    frame = view.files[part].frame
    where = np.zeros(frame.height, dtype=bool)
    have = set(frame.columns)
    counts: dict[str, int] = {}
    for name, categories in known.items():
        if name not in have:
            continue
        cells = as_category(frame[name])
        new = (cells.is_not_null() & ~cells.is_in(categories.implode())).fill_null(False).to_numpy()
        if new.any():
            counts[name] = int(new.sum())
            where |= new
    if not counts:
        return None
    much = max(counts.values()) > UNSEEN * frame.height
    total = sum(counts.values())
    return Finding(
        check=practice,
        severity=Severity.WARNING if much else Severity.NOTE,
        what=f"{count_of(total, 'cell')} of the {part} file {said(total, 'has a category', 'have categories')} that "
        f"training rows lack: {named(counts)}",
        do="The model treats them as unknown; check the spelling if that is not meant.",
        count=total,
        columns=tuple(counts),
        rows=first_rows(np.flatnonzero(where)),
        part=part,
    )


def column_match(view: View) -> Checked:
    """Columns that a given file lacks, has besides, or has of another type."""
    practice = "audit.column-match"
    if not view.files:
        return Checked(practice, _ALONE, outcome=Outcome.NOT_APPLICABLE)
    found = [finding for part in view.files for finding in _differences(practice, part, view)]
    columns = float(sum(len(finding.columns) for finding in found))
    reason = f"{len(view.schema.columns)} columns are the same in {count_of(1 + len(view.files), 'file')}"
    return Checked(practice, reason, columns, tuple(found))


def _differences(practice: str, part: Part, view: View) -> list[Finding]:
    frame = view.files[part].frame
    schema = view.schema
    used = {schema.target, schema.group, schema.time, schema.weight, *view.feature_names}
    have = set(frame.columns)
    lacking = [c.name for c in schema.columns if c.name not in have and c.name in used]
    known = {column.name for column in schema.columns}
    extra = [name for name in frame.columns if name not in known]
    retyped, partly = _retyped(frame, view)
    found = []
    if lacking:
        hint = f" {nearest(lacking[0], extra)}" if extra else ""
        found.append(
            Finding(
                check=practice,
                severity=Severity.SERIOUS,
                what=f"the {part} file lacks {count_of(len(lacking), 'column')}: {_names(lacking)}",
                do=f"Add or rename them.{hint}",
                count=len(lacking),
                columns=tuple(lacking),
                part=part,
            )
        )
    if retyped:
        found.append(
            Finding(
                check=practice,
                severity=Severity.SERIOUS,
                what=f"{count_of(len(retyped), 'column')} of the {part} file cannot be read as in training: "
                + ", ".join(f"{name!r} is {frame[name].dtype}, not {schema[name].kind}" for name in retyped[:8]),
                do="Write these columns as in the training file, or check that the files belong together.",
                count=len(retyped),
                columns=tuple(retyped),
                part=part,
            )
        )
    if partly:
        found.append(
            Finding(
                check=practice,
                severity=Severity.WARNING,
                what=f"{count_of(sum(partly.values()), 'cell')} of the {part} file not of the column's kind, read as "
                f"missing: {named(partly)}",
                do="Correct these cells.",
                count=sum(partly.values()),
                columns=tuple(partly),
                part=part,
            )
        )
    if extra:
        found.append(
            Finding(
                check=practice,
                severity=Severity.NOTE,
                what=f"the {part} file has {count_of(len(extra), 'column')} besides: {_names(extra)}",
                do="Nothing; they are not used.",
                count=len(extra),
                columns=tuple(extra),
                part=part,
            )
        )
    return found


def _retyped(frame: Frame, view: View) -> tuple[list[str], dict[str, int]]:
    """Feature columns of another type, and the unreadable cells of the others."""
    retyped: list[str] = []
    partly: dict[str, int] = {}
    have = set(frame.columns)
    for column in view.schema.features:
        if column.name not in have:
            continue
        series = frame[column.name]
        bad = int(unreadable(series, column).sum())
        present = int((~missing_of(series, column)).sum())
        is_list = is_series(series.dtype) or series.null_count() == len(series)
        if (
            (column.kind is Kind.SEQUENCE and not is_list)
            or bad > (1.0 - READABLE) * (present + bad)
            or _other_words(series, column, view)
        ):
            retyped.append(column.name)
        elif bad:
            partly[column.name] = bad
    return retyped, partly


def _other_words(series: pl.Series, column: Column, view: View) -> bool:
    """A category column that is words in one file and numbers in the other, without one category in common."""
    training = view.frame[column.name]
    if column.kind is not Kind.CATEGORY or training.dtype.is_numeric() == series.dtype.is_numeric():
        return False
    here, there = as_category(series).drop_nulls().unique(), as_category(training).drop_nulls().unique()
    return len(here) > 0 and not here.is_in(there.implode()).any()


def _names(names: list[str]) -> str:
    return ", ".join(repr(name) for name in names[:12]) + (f" and {len(names) - 12} more" if len(names) > 12 else "")
