"""A folder of runs, looked through anew each time it is asked; reports are read again only when they have changed."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from pathlib import Path

from assay.records import Record
from assay.ui.places import Place, final_name, find
from assay.ui.rows import (
    Entry,
    comparison_row,
    failed_rows,
    run_row,
    stamp,
    study_row,
    synthetic_row,
    unfinished_row,
)
from assay.workspace import METRICS, partial_of


class Listing(Record):
    """What a folder holds just now; `left_out` tells that it has more folders than are looked into."""

    folder: str
    left_out: bool
    entries: tuple[Entry, ...]


@dataclass
class Library:
    """The folder; safe to be asked by several threads."""

    root: Path
    _read: dict[Path, tuple[tuple[int, ...], Entry]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def listing(self) -> Listing:
        """Every row, the newest first."""
        with self._lock:
            places, left_out = find(self.root)
            rows = {row.id: row for place in places if (row := self._row(place)) is not None}
            for place in places:
                if place.mark == "comparison":
                    for row in failed_rows(place.path, self._name(place)):
                        if row.id not in rows or rows[row.id].state == "interrupted":
                            rows[row.id] = row
            there = {place.path for place in places}
            self._read = {path: kept for path, kept in self._read.items() if path in there}
        entries = sorted(rows.values(), key=lambda row: (row.date, row.id), reverse=True)
        return Listing(folder=str(self.root), left_out=left_out, entries=tuple(entries))

    def page(self, name: str, file: str) -> Path | None:
        """The file of a row by the names that a listing gives; None for every other name, whatever is on the disk."""
        row = self._named(name)
        if row is None or file not in {page.file for page in row.pages}:
            return None
        path = (self.root / name / file).resolve()
        return path if path.is_relative_to(self.root.resolve()) and path.is_file() else None

    def epochs(self, name: str) -> Path | None:
        """The epochs of a row by the name that a listing gives; None for every other name."""
        row = self._named(name)
        if row is None or not row.has_epochs:
            return None
        partial = partial_of(self.root / name) / METRICS
        return partial if partial.is_file() else self.root / name / METRICS

    def _named(self, name: str) -> Entry | None:
        return next((row for row in self.listing().entries if row.id == name), None)

    def _row(self, place: Place) -> Entry | None:
        name = self._name(place)
        if place.mark != "run":
            made = {
                "unfinished": unfinished_row, "study": study_row, "comparison": comparison_row,
                "synthetic rows": synthetic_row,
            }  # fmt: skip
            return made[place.mark](place.path, name)
        now, kept = stamp(place.path), self._read.get(place.path)
        if kept is None or kept[0] != now:
            kept = (now, run_row(place.path, name))
            self._read[place.path] = kept
        return kept[1]

    def _name(self, place: Place) -> str:
        """The path within the folder, by which a row is known; of a run that is not whole, the one it will have."""
        last = final_name(place.path) if place.mark == "unfinished" else place.path.name
        return (place.path.parent.relative_to(self.root) / last).as_posix()
