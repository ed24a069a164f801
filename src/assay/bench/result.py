"""How a run of a comparison ended: its scores, times and size, or why it failed."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal

from assay.errors import ConfigError
from assay.evaluate.record import Report, Score
from assay.records import Record
from assay.version import __version__

Status = Literal["running", "done", "failed"]


class CellResult(Record):
    """One line of the table of a comparison, kept as a file beside the run's directory.

    request: hash of what was asked for. seconds: wall time of the whole run, that of ended processes included.
    predict_us: microseconds that a test row took. bytes: of the bundle. scores: of the model on the test rows.
    """

    format: int = 1
    request: str
    data: str
    config: str
    seed: int
    status: Status
    reason: str = ""
    task: str = ""
    primary: str = ""
    scores: tuple[Score, ...] = ()
    rows: int = 0
    seconds: float | None = None
    predict_us: float | None = None
    bytes: int | None = None
    chosen: str = ""
    assay: str = __version__

    def score(self, metric: str | None) -> Score | None:
        """The score in the metric, or in the task's own; None where there is none."""
        name = metric or self.primary
        return next((score for score in self.scores if score.name == name and score.estimate.value is not None), None)

    def write(self, path: Path) -> None:
        """Write the file whole, or leave the one that is there."""
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(f".{path.name}.{os.getpid()}")
        partial.write_text(self.to_json(), encoding="utf-8")
        partial.replace(path)


def result_of(report: Report, directory: Path, asked: CellResult, metric: str | None) -> CellResult:
    """What a finished run in `directory` says; without the metric that was asked for it counts as failed."""
    model, rows, resumed = report.scores[0], report.split.test_rows, report.provenance.resumed
    found = asked.model_copy(
        update={
            "status": "done",
            "task": report.table_schema.task.value,
            "primary": report.primary,
            "scores": model.scores,
            "rows": rows,
            "seconds": sum(report.provenance.seconds.values()) + (resumed[-1].seconds if resumed else 0.0),
            "predict_us": 1e6 * model.predict_seconds / rows if rows else None,
            "bytes": sum(file.stat().st_size for file in (directory / "model").rglob("*") if file.is_file()),
            "chosen": model.description,
        }
    )
    if found.score(metric) is not None:
        return found
    known = ", ".join(score.name for score in model.scores)
    reason = f"{metric or report.primary} is not defined for it ({found.task}, which has {known})"
    return found.model_copy(update={"status": "failed", "reason": reason})


def read_result(path: Path) -> CellResult | None:
    """The result in a file; None where there is no file.

    Raises:
        ConfigError: the file is not one that a comparison wrote.
    """
    if not path.exists():
        return None
    try:
        return CellResult.read(path)
    except ValueError as error:
        raise ConfigError(
            "the results in the folder must be whole",
            str(error).partition(", but ")[2] or str(error),
            f"Remove {path}, or name another folder with --out.",
        ) from None
