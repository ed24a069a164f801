"""A row for each run, study and comparison: whole, half-finished or damaged.

Nothing here raises for what lies in the folder: what cannot be read is a row that says so.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from pydantic import ConfigDict

from assay.bench.result import CellResult
from assay.bundle.manifest import CARD, DATASHEET, MODEL, PAGE, REPORT
from assay.errors import AssayError
from assay.evaluate.record import Report
from assay.locking import is_locked
from assay.records import Record
from assay.report.batch_page import BATCH
from assay.report.story import best_baseline, label_of, places, score_of
from assay.ui.places import BENCH, CELLS, QUALITY, QUALITY_PAGE, STUDY, is_run
from assay.workspace import METRICS, REQUEST, has_checkpoints

Kind = Literal["run", "study", "comparison", "synthetic rows"]
State = Literal["running", "done", "interrupted", "failed", "damaged"]

#: What a run may show, by the files in its directory, and what each is called.
PAGES = {PAGE: "report", BATCH: "batch", QUALITY_PAGE: "quality", CARD: "model card", DATASHEET: "datasheet"}


class Page(Record):
    """A file of an entry that can be looked at, by its path within the entry."""

    file: str
    title: str


class Entry(Record):
    """One row. `id` is its path within the folder; numbers are None where they are not known.

    score, low, high: of the primary metric on test rows. baseline: the best one's score. fit_seconds: of the model.
    predict_us: microseconds a row. bytes: of the model's file. reason: why it failed, or what is wrong with it.
    has_epochs: whether there are curves to ask for. digits: decimals of its scores.
    """

    id: str
    kind: Kind
    state: State
    name: str
    data: str = ""
    task: str = ""
    metric: str = ""
    higher: bool = True
    digits: int = 4
    score: float | None = None
    low: float | None = None
    high: float | None = None
    baseline: float | None = None
    baseline_name: str = ""
    fit_seconds: float | None = None
    predict_us: float | None = None
    bytes: int | None = None
    date: str = ""
    reason: str = ""
    pages: tuple[Page, ...] = ()
    has_epochs: bool = False


def run_row(path: Path, name: str) -> Entry:
    """The row of a finished run or a bundle."""
    try:
        report = Report.read(_report_path(path))
    except AssayError as error:
        return _damaged(path, name, "run", f"{error.must}, but {error.came}")
    if not report.scores or _bytes(path) is None:
        return _damaged(path, name, "run", "its model is gone" if report.scores else "its report has no scores")
    model, rival = report.scores[0], best_baseline(report)
    score = score_of(model, report.primary)
    theirs = None if rival is None else score_of(rival, report.primary)
    rows = () if report.leaderboard is None else report.leaderboard.rows
    whole = next((row for row in rows if row.kind == "ensemble"), None)
    tested = report.split.test_rows or report.split.valid_rows
    predict = 1e6 * model.predict_seconds / tested if tested else None
    return Entry(
        id=name,
        kind="run",
        state="done",
        name=name,
        data=Path(report.source.name).name,
        task=report.table_schema.task.value,
        metric=label_of(report, report.primary),
        higher=score is None or score.higher_is_better,
        digits=places(report, report.primary),
        score=None if score is None else score.estimate.value,
        low=None if score is None else score.estimate.low,
        high=None if score is None else score.estimate.high,
        baseline=None if theirs is None else theirs.estimate.value,
        baseline_name="" if rival is None else rival.name,
        fit_seconds=model.fit_seconds if whole is None else whole.fit_seconds,
        predict_us=predict if whole is None or whole.predict_microseconds is None else whole.predict_microseconds,
        bytes=_bytes(path),
        date=report.provenance.started,
        reason="cut short by Ctrl-C; the best model so far was kept" if report.training.interrupted else "",
        pages=_pages(path),
        has_epochs=(path / METRICS).is_file(),
    )


def _damaged(path: Path, name: str, kind: Kind, reason: str) -> Entry:
    return Entry(
        id=name, kind=kind, state="damaged", name=name, reason=reason, date=_changed(path), pages=_pages(path),
        has_epochs=(path / METRICS).is_file(),
    )  # fmt: skip


class _Loose(Record):
    """Reads what it needs of a file, and lets the rest be: half-finished runs may be of another version."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class _Source(_Loose):
    given: str


class _Asked(_Loose):
    started: str
    sources: dict[str, _Source]

    @property
    def data(self) -> str:
        """The table's name, as a report would have it."""
        given = self.sources.get("data")
        return "" if given is None else Path(given.given).name


class _StudyHead(_Loose):
    label: str
    higher: bool
    ended: str = ""
    request: _Asked


def unfinished_row(path: Path, name: str) -> Entry | None:
    """The row of a run that is being made, or was ended before it was whole; None where it became whole meanwhile."""
    running = is_locked(path)
    if not running and (not path.is_dir() or is_run(path.with_name(name.rpartition("/")[2]))):
        return None
    asked, reason = None, ""
    try:
        asked = _Asked.read(path / REQUEST)
    except AssayError as error:
        if (path / REQUEST).is_file():
            reason = error.came
    if not running and not reason:
        kept = has_checkpoints(path)
        reason = "ended before it was finished; --resume goes on" if kept else "ended before its first checkpoint"
    return Entry(
        id=name,
        kind="run",
        state="running" if running else "interrupted",
        name=name,
        data="" if asked is None else asked.data,
        date=asked.started if asked is not None else _changed(path),
        reason=reason,
        has_epochs=(path / METRICS).is_file(),
    )


def study_row(path: Path, name: str) -> Entry:
    """The row of a study; its score is left to the run of its best setting, which has one on sealed rows."""
    try:
        head = _StudyHead.read(path / STUDY)
    except AssayError as error:
        return _damaged(path, name, "study", f"{error.must}, but {error.came}")
    running = is_locked(path)
    state: State = "running" if running else "done" if head.ended else "interrupted"
    return Entry(
        id=name, kind="study", state=state, name=name, data=head.request.data, metric=head.label,
        higher=head.higher, date=head.request.started, pages=_pages(path),
        reason="" if running else f"ended: {head.ended}" if head.ended else "not over; assay tune --resume goes on",
    )  # fmt: skip


def comparison_row(path: Path, name: str) -> Entry:
    """The row of a comparison, whose runs have rows of their own."""
    is_whole = (path / PAGE).is_file()
    try:
        sets = [str(each["name"]) for each in json.loads((path / BENCH).read_bytes())["data"]]
    except (OSError, ValueError, KeyError, TypeError):
        return _damaged(path, name, "comparison", f"{BENCH} cannot be read")
    state: State = "running" if is_locked(path) else "done" if is_whole else "interrupted"
    data = sets[0] if len(sets) == 1 else f"{len(sets)} data sets"
    return Entry(
        id=name, kind="comparison", state=state, name=name, data=data, date=_changed(path / BENCH), pages=_pages(path)
    )


def synthetic_row(path: Path, name: str) -> Entry:
    """The row of a folder of synthetic rows."""
    return Entry(
        id=name, kind="synthetic rows", state="done", name=name, date=_changed(path / QUALITY), pages=_pages(path)
    )


def failed_rows(comparison: Path, name: str) -> Iterator[Entry]:
    """The runs of a comparison that failed: only the file beside their directory is left of them."""
    for path in sorted((comparison / CELLS).glob("*/*/seed-*.json")):
        own = f"{name}/{path.with_suffix('').relative_to(comparison).as_posix()}"
        try:
            result = CellResult.read(path)
        except AssayError as error:
            yield Entry(id=own, kind="run", state="damaged", name=own, reason=f"{path.name}: {error.came}")
            continue
        if result.status == "failed":
            yield Entry(
                id=own, kind="run", state="failed", name=own, data=result.data, task=result.task,
                reason=result.reason, date=_changed(path), fit_seconds=result.seconds,
            )  # fmt: skip


# Files ----------------------------------------------------------------------------------------------------------------


def _pages(path: Path) -> tuple[Page, ...]:
    """What can be looked at of a directory; the documents of a run are in its bundle."""
    found = {}
    for file, title in PAGES.items():
        for place in (file, f"model/{file}"):
            if title not in found and (path / place).is_file():
                found[title] = Page(file=place, title=title)
    return tuple(found.values())


def stamp(path: Path) -> tuple[int, ...]:
    """What changes when the files of a run do: its report, and which files there are; a run may be copied just now."""
    found = []
    for each in (_report_path(path), path, path / "model"):
        try:
            found.append(each.stat().st_mtime_ns)
        except OSError:
            found.append(0)
    return tuple(found)


def _report_path(path: Path) -> Path:
    own = path / REPORT
    return own if own.is_file() else path / "model" / REPORT


def _changed(path: Path) -> str:
    """When a file was written, in UTC as reports write it; nothing where it is gone."""
    try:
        return datetime.fromtimestamp(path.stat().st_mtime, UTC).isoformat(timespec="seconds")
    except OSError:
        return ""


def _bytes(path: Path) -> int | None:
    for file in (path / "model" / MODEL, path / MODEL):
        if file.is_file():
            return file.stat().st_size
    return None
