"""`assay.synthesise`: rows that look like those of a table, and an honest account of how good they are."""

from __future__ import annotations

import os
import time as clock
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from assay.compose.check import checked_table
from assay.compose.run_config import parse_budget
from assay.data.config import DataConfig
from assay.data.schema import Kind, Task
from assay.errors import ConfigError
from assay.ledger import Ledger
from assay.provenance import Stopwatch
from assay.report.synth_page import draw_quality
from assay.sources import read_tables
from assay.synth.config import checked
from assay.synth.make import make
from assay.synth.record import Quality
from assay.train.threads import free_cores, using_threads
from assay.train.watch import Unwatched, Watch
from assay.workspace import next_run, scratch, staged

QUALITY, PAGE = "quality.json", "quality.html"


@dataclass(frozen=True)
class Synthetic:
    """Synthetic rows in a directory, and what is known of them."""

    directory: Path
    quality: Quality

    @property
    def path(self) -> Path:
        """The file of the rows."""
        return self.directory / self.quality.made.file

    @property
    def frame(self) -> pl.DataFrame:
        """The rows, read from the file; a CSV does not know its types, so they are found anew."""
        if self.path.suffix == ".parquet":
            return pl.read_parquet(self.path)
        return pl.read_csv(self.path, infer_schema_length=None)

    def __str__(self) -> str:
        return f"{self.quality.rows:,} synthetic rows in {self.path}"


def synthesise(
    data: Any,  # noqa: ANN401  # whatever read() takes
    target: str,
    *,
    rows: int,
    method: str = "auto",
    out: str | os.PathLike[str] | None = None,
    format: str = "csv",  # noqa: A002  # the word of the command line
    kinds: dict[str, Kind] | None = None,
    task: Task | str | None = None,
    drop: Sequence[str] = (),
    budget: float | str | None = None,
    seed: int = 0,
    watch: Watch | None = None,
) -> Synthetic:
    """Make rows that look like those of `data`, and test them.

    A fifth of the rows is held back from the generator and judges it. The rows carry no privacy guarantee.

    Args:
        data: a path or a frame, as for `fit`.
        target: the column that a model of the rows is to predict.
        rows: how many to make; for SMOTE, how many to add to the small classes.
        method: `copula`, `tvae`, `smote`, `borderline` (SMOTE at the border of classes), or `auto`, which chooses
            between the first two and says why.
        out: a new directory; by default the next `runs/<name>-synthetic-<n>`.
        format: `csv` or `parquet`.
        kinds: kinds of columns, overruling what is inferred.
        task: `binary`, `multiclass`, `multilabel` or `regression`, overruling what is inferred.
        drop: columns to leave out.
        budget: seconds, or `60s`, `10m`, `none`; by default none.
        seed: every random choice follows from it.
        watch: an observer.

    Raises:
        InputError: something given cannot be used.
        DivergenceError: the training of a generator diverged.
    """
    begun = clock.monotonic()
    config = checked(rows, method, seed, parse_budget(budget), format)
    said: dict[str, object] = {"target": target, "kinds": kinds or {}, "task": task, "drop": tuple(drop)}
    hints = checked_table(said, "assay.synthesise").hints()
    stopwatch = Stopwatch(watch or Unwatched())
    final = _free(out, data)
    with staged(final) as folder, scratch(folder) as between, using_threads(0):
        with stopwatch.stage("read"):
            settings = DataConfig(series="none")
            table = read_tables(data, None, None, hints, settings, Ledger(), settings.spill(between))
        quality = make(
            table.data, table.schema, config, folder=folder, scratch=between, watch=stopwatch.watch,
            stage=stopwatch.stage, begun=begun, threads=free_cores(),
        )  # fmt: skip
        seconds = {name: round(value, 3) for name, value in stopwatch.seconds.items()}
        quality = quality.model_copy(update={"seconds": seconds})
        (folder / QUALITY).write_text(quality.to_json(), encoding="utf-8")
        (folder / PAGE).write_text(draw_quality(quality), encoding="utf-8")
    return Synthetic(final, quality)


def _free(out: str | os.PathLike[str] | None, data: Any) -> Path:  # noqa: ANN401
    """The directory to be made; refused before any work where it is there already.

    Raises:
        ConfigError: it is.
    """
    if out is None:
        is_path = isinstance(data, str | os.PathLike)
        return next_run(f"{Path(data).name.split('.')[0] if is_path else 'frame'}-synthetic")
    final = Path(out)
    if not final.name:
        raise ConfigError("the output must be a new directory", f"{os.fspath(out)!r} has no name", "Name one.")
    return final
