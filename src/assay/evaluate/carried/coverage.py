"""Whether prediction sets and intervals hold what they promise: on the test rows, beside what chance allows.

Chance is beta-binomial: the coverage of a calibrated limit is itself random (Vovk 2012), and so are the test rows.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from assay.data.regions import CALLED, Regions
from assay.evaluate.carried.conformal import Chance
from assay.evaluate.carried.record import CoverageCell, CoverageReport, Family
from assay.evaluate.carried.regions import Judged, fifths, held_by
from assay.ledger import Ledger, Outcome

Floats = NDArray[np.float64]

#: Groups and classes that are told of, the largest first, and rows below which one is not.
_MOST_CELLS, _FEWEST = 20, 10
#: Sets larger than this are told of together.
_LARGE = 5
_LEVELS = np.linspace(0.0, 1.0, 21)


def prove(
    regions: Regions,
    judged: Judged,
    classes: Sequence[str],
    confidence: float,
    more: Mapping[str, Sequence[str | None]] | None = None,
) -> CoverageReport:
    """The coverage on rows that nothing was chosen by.

    Args:
        regions: the sets or intervals.
        judged: the test rows.
        classes: their names; none for intervals.
        confidence: of the bands.
        more: other columns whose groups are told of, such as sensitive ones, (n,) each.
    """
    inside, sizes = held_by(regions, judged)
    cells = list(_cells(regions, judged, classes, sizes, more or {}))
    overall = _cell(regions, "all", "all rows", np.ones(len(judged), bool), inside, sizes, regions.limit.rows, 1,
                    confidence)  # fmt: skip
    told = tuple(
        _cell(regions, family, name, rows, inside, sizes, calibration, len(cells), confidence)
        for family, name, rows, calibration in cells
    )
    many = judged.has_classes
    return CoverageReport(
        kind=regions.kind, asked=regions.coverage, confidence=confidence, calibration=regions.limit.rows,
        source=regions.source, column=regions.column, overall=overall, cells=told,
        alone=float((sizes == 1).sum()) / max(len(judged), 1) if many else None,
        sizes=tuple(np.bincount(sizes.astype(np.int64), minlength=2).tolist()) if many else (),
        widths=() if many or not len(judged) else tuple(np.quantile(sizes, _LEVELS).tolist()), tried=regions.tried,
    )  # fmt: skip


def _cells(
    regions: Regions,
    judged: Judged,
    classes: Sequence[str],
    sizes: Floats,
    more: Mapping[str, Sequence[str | None]],
) -> Iterator[tuple[Family, str, NDArray[np.bool_], int]]:
    """The rows that are looked at together, with their family, name and the rows of their limit."""
    whole = regions.limit.rows
    if judged.groups is not None and regions.asks_for is not None:
        rest = whole if regions.others is None else regions.others.rows
        for name, rows in _largest(judged.groups):
            limit = regions.groups.get(name)
            yield "group", f"{regions.column} = {name}", rows, rest if limit is None else limit.rows
    for column, groups in more.items():
        for name, rows in _largest(groups):
            yield "group", f"{column} = {name}", rows, whole
    if judged.has_classes:
        counts = np.bincount(judged.truth.astype(np.int64), minlength=len(classes))
        for place in sorted(np.argsort(-counts, kind="stable")[:_MOST_CELLS]):
            if counts[place] >= _FEWEST:
                own = regions.by_class[place].rows if regions.by_class else whole
                yield "class", classes[place], judged.truth == place, own
        for size in range(1, _LARGE):
            if (sizes == size).sum() >= _FEWEST:
                yield "size", "1 class" if size == 1 else f"{size} classes", sizes == size, whole
        if (sizes >= _LARGE).sum() >= _FEWEST:
            yield "size", f"{_LARGE} classes and more", sizes >= _LARGE, whole
        return
    if not len(judged):
        return
    fifth = fifths(judged.answers)
    for place, name in enumerate(("lowest", "low", "middle", "high", "highest")):
        if (fifth == place).sum() >= _FEWEST:
            yield "prediction", f"{name} fifth", fifth == place, whole


def _largest(groups: Sequence[str | None]) -> Iterator[tuple[str, NDArray[np.bool_]]]:
    """The groups with most rows, by name."""
    names = np.array(["missing" if name is None else name for name in groups], dtype=object)
    found, counts = np.unique(names.astype(str), return_counts=True)
    for place in sorted(np.argsort(-counts, kind="stable")[:_MOST_CELLS]):
        if counts[place] >= _FEWEST:
            yield str(found[place]), names == found[place]


def _cell(
    regions: Regions,
    family: Family,
    name: str,
    rows: NDArray[np.bool_],
    inside: NDArray[np.bool_],
    sizes: Floats,
    calibration: int,
    cells: int,
    confidence: float,
) -> CoverageCell:
    chance = Chance(calibration, regions.coverage, int(rows.sum()))
    low, high = chance.band(confidence)
    held = float(inside[rows].mean()) if rows.any() else 0.0
    return CoverageCell(
        family=family, name=name, rows=chance.rows, held=held, low=low, high=high,
        size=float(sizes[rows].mean()) if rows.any() else 0.0, calibration=calibration,
        is_below=chance.at_most(held) < (1.0 - confidence) / 2.0 / cells,
    )  # fmt: skip


# What is told ---------------------------------------------------------------------------------------------------------


def note_coverage(found: CoverageReport, caveats: Sequence[str], ledger: Ledger) -> None:
    """The verdict on `evaluate.conformal`; `caveats` are reasons why rows may not be alike."""
    short = [cell for cell in found.cells if cell.is_below]
    broken = [cell for cell in short if cell.family == "group"]
    told = f"{sentence(found)}; calibrated on {found.calibration:,} {found.source}"
    told += f", by {found.column!r}" if found.column is not None else ""
    if found.tried:
        told += "; tried on halves of them: " + ", ".join(
            f"{CALLED[each.kind]} {each.size:.4g} ({each.covered:.1%})" for each in found.tried
        )
    if short:
        named = ", ".join(f"{cell.held:.1%} of {cell.name} ({cell.rows:,} rows)" for cell in short[:5])
        told += f"; held less than chance allows, where no rate was promised: {named}" if not broken else (
            f"; held less than chance allows: {named}"
        )  # fmt: skip
    told += "".join(f"; {caveat}" for caveat in caveats)
    outcome = Outcome.WARNED if found.overall.is_below or broken else Outcome.APPLIED
    ledger.record("evaluate.conformal", outcome, told, value=found.overall.held)


def sentence(found: CoverageReport) -> str:
    """`LAC sets held 90.4% of 2,000 test rows (90.0% asked for, 88.1% to 91.7% by chance), 1.21 classes on average`."""
    what = "sets" if found.is_of_classes else "intervals"
    size = f"{found.overall.size:.3g} classes on average" if found.is_of_classes else f"width {found.overall.size:.4g}"
    return (
        f"{CALLED[found.kind]} {what} held {found.overall.held:.1%} of {found.overall.rows:,} test rows "
        f"({found.asked:.1%} asked for, {found.overall.low:.1%} to {found.overall.high:.1%} by chance), {size}"
    )
