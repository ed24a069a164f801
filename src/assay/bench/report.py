"""The record of a whole comparison, and the files it is written to: a tidy table, JSON and a page."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import polars as pl

from assay.bench.compare import Standing, standing
from assay.bench.config import BenchConfig
from assay.bench.grid import Grid
from assay.bench.result import CellResult
from assay.compose.run_config import RunConfig, flat
from assay.records import Record
from assay.version import __version__

PARQUET, CSV, JSON, PAGE = "results.parquet", "results.csv", "results.json", "report.html"
_COLUMNS = {
    "data": pl.String,
    "config": pl.String,
    "seed": pl.Int64,
    "metric": pl.String,
    "score": pl.Float64,
    "low": pl.Float64,
    "high": pl.Float64,
    "seconds": pl.Float64,
    "predict_us": pl.Float64,
    "bytes": pl.Int64,
    "status": pl.String,
    "reason": pl.String,
}


class BenchReport(Record):
    """All that a comparison has to say. `options` has what each configuration sets, `planned` how many runs it has."""

    format: int = 1
    name: str
    metric: str | None
    confidence: float
    data: tuple[str, ...]
    configs: tuple[str, ...]
    seeds: tuple[int, ...]
    options: dict[str, dict[str, str | int | float | bool | None]]
    planned: int
    results: tuple[CellResult, ...]
    standing: Standing
    assay: str = __version__

    @property
    def failed(self) -> tuple[CellResult, ...]:
        """Runs without a score."""
        return tuple(result for result in self.results if result.status == "failed")

    @property
    def done(self) -> int:
        """How many runs have a score."""
        return sum(result.status == "done" for result in self.results)


def report_of(config: BenchConfig, made: Grid, results: Sequence[CellResult], name: str) -> BenchReport:
    """The record of the runs that there are."""
    names = tuple(made.configs)
    return BenchReport(
        name=name,
        metric=config.metric,
        confidence=config.confidence,
        data=tuple(each.name for each in config.data),
        configs=names,
        seeds=config.seeds,
        options={key: changed(run) for key, run in made.configs.items()},
        planned=len(made.cells),
        results=tuple(results),
        standing=standing(results, names, metric=config.metric, confidence=config.confidence, samples=config.bootstrap),
    )


def changed(run: RunConfig) -> dict[str, str | int | float | bool | None]:
    """What a configuration says that a run without options would not have."""
    plain = flat(RunConfig())
    return {key: value for key, value in flat(run).items() if key not in plain or plain[key] != value}


def tidy(report: BenchReport) -> pl.DataFrame:
    """One row a run: what was run, metric, score, interval, seconds, microseconds a row, bytes, status, reason."""
    rows = []
    for result in report.results:
        score = result.score(report.metric)
        interval = (None, None, None) if score is None else (
            score.estimate.value, score.estimate.low, score.estimate.high,
        )  # fmt: skip
        rows.append(
            (
                result.data,
                result.config,
                result.seed,
                None if score is None else score.name,
                *interval,
                result.seconds,
                result.predict_us,
                result.bytes,
                result.status,
                result.reason,
            )
        )
    return pl.DataFrame(rows, schema=_COLUMNS, orient="row")


def write(report: BenchReport, out: Path) -> None:
    """Write the table as Parquet and CSV, the record as JSON, and the page; each whole or not at all.

    Raises:
        MissingExtraError: jinja2 is not installed.
    """
    from assay.bench.page import draw_bench  # jinja2

    table = tidy(report)
    page = draw_bench(report)
    for name in (PARQUET, CSV, JSON, PAGE):
        partial = out / f".{name}.{os.getpid()}"
        if name == PARQUET:
            table.write_parquet(partial)
        elif name == CSV:
            table.write_csv(partial)
        else:
            partial.write_text(report.to_json() if name == JSON else page, encoding="utf-8")
        partial.replace(out / name)
