"""Finished runs and their data, without torch: open, show, score on new rows, audit."""

from __future__ import annotations

import os
import shutil
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from assay.bundle.load import Bundle, load
from assay.bundle.manifest import REPORT
from assay.compose.run_config import RunConfig
from assay.data.audit import Audit, examine
from assay.data.findings import Finding
from assay.data.infer import infer
from assay.data.picture_reader import placed
from assay.data.picture_tables import is_pictures, read_picture_tables
from assay.data.read import Table, read
from assay.data.rows import complete, with_columns
from assay.data.schema import Hints, Kind, Schema
from assay.data.stored import Spill, Stored
from assay.evaluate.assess import Assessment, Output, assess
from assay.evaluate.record import ModelScores, Report
from assay.ledger import Ledger, Outcome
from assay.workspace import refuse_unfinished, scratch, staged


@dataclass(frozen=True)
class Run:
    """A finished run: its directory holds the model, the report, the resolved configuration and the epochs.

    `interrupted` tells that training was cut short by Ctrl-C; the best model so far was kept.
    """

    directory: Path
    bundle: Bundle
    _report: Report = field(repr=False)

    def report(self) -> Report:
        """Everything the run has to say; `report.html` in the directory is drawn from it."""
        return self._report

    @property
    def interrupted(self) -> bool:
        """Whether Ctrl-C ended the training."""
        return self._report.training.interrupted

    @property
    def scores(self) -> tuple[ModelScores, ...]:
        """Scores on the test rows: the network first, then the baselines."""
        return self._report.scores

    def predict(self, data: Any) -> pl.DataFrame:  # noqa: ANN401  # whatever read() takes
        """The model's answers for raw rows; see `Bundle.predict`."""
        return self.bundle.predict(data)

    def save(self, directory: str | os.PathLike[str]) -> Path:
        """Copy the bundle to `directory`, which must not exist yet.

        Raises:
            ConfigError: it exists, or cannot be written.
        """
        final = Path(directory)
        with staged(final) as staging:
            shutil.copytree(self.bundle.directory, staging, dirs_exist_ok=True)
        return final


def audit(
    data: Any,  # noqa: ANN401
    target: str,
    *,
    test: Any = None,  # noqa: ANN401
    valid: Any = None,  # noqa: ANN401
    strict: bool = False,
    hints: Hints | None = None,
    config: RunConfig | None = None,
) -> tuple[Schema, Audit, Ledger]:
    """Read and examine data without training on it.

    Raises:
        DataError: the data cannot be used.
        AuditError: `strict` and there are serious findings.
    """
    settings = (config or RunConfig()).data
    with scratch() as folder:
        spill = settings.spill(folder)
        table = read(data, spill=spill)
        given_valid, given_test = read_if_given(valid, spill), read_if_given(test, spill)
        schema, ledger = infer(table, hints or Hints(target=target)), Ledger()
        note_reading(schema, table, ledger)
        checks = settings.audit.model_copy(update={"strict": settings.audit.strict or strict})
        share = settings.split.limited(settings.split.test, table.source.rows)
        found = examine(table, schema, checks, ledger, valid=given_valid, test=given_test, test_share=share)
    return schema, found, ledger


def open_run(path: str | os.PathLike[str]) -> Run:
    """The run in a run directory, or in a bundle directory.

    Raises:
        BundleError: there is none, it is damaged, or the run is not finished.
    """
    refuse_unfinished(Path(path))
    bundle = load(path)
    return Run(Path(path), bundle, Report.read(bundle.directory / REPORT))


def evaluate(path: str | os.PathLike[str], data: Any) -> Assessment:  # noqa: ANN401
    """Score a saved model on labelled rows that it was not trained on.

    Raises:
        BundleError: the model cannot be loaded, or its run is not finished.
        DataError: the data cannot be read, or lacks the target or a column of the model.
    """
    refuse_unfinished(Path(path))
    bundle, settings = load(path), RunConfig()
    with scratch() as folder:
        table = read(data, spill=settings.data.spill(folder))
        rows = complete(with_columns(table, bundle.schema, "test"), bundle.schema, "test")
        begun = time.monotonic()
        answers = bundle.answer(rows.frame).astype(np.float64)
        seconds = time.monotonic() - begun
    described = f"the model in {bundle.directory.name} on {table.source.name}"
    network = Output("network", "network", described, answers, 0.0, seconds)
    return assess(bundle.schema, rows.target, rows.weight, [network], settings.evaluate, seed=0, ledger=Ledger())


@dataclass(frozen=True)
class Sources:
    """The tables of a run; `findings` are about the classes of a source of pictures."""

    data: Table
    valid: Table | None
    test: Table | None
    findings: tuple[Finding, ...] = ()

    @property
    def given(self) -> dict[str, Table | None]:
        """The tables by their names in a request."""
        return {"data": self.data, "valid": self.valid, "test": self.test}

    @property
    def tables(self) -> dict[str, Table]:
        """Those that there are, the training table first."""
        return {name: table for name, table in self.given.items() if table is not None}

    def replaced(self, tables: Mapping[str, Table]) -> Sources:
        """The same with other tables in the places of those named."""
        data, valid, test = (tables.get(name, table) for name, table in self.given.items())
        assert data is not None
        return Sources(data, valid, test, self.findings)


def read_sources(data: Any, valid: Any, test: Any, spill: Spill | None = None) -> Sources:  # noqa: ANN401
    """The tables that were given; a source of pictures may bring validation and test parts along.

    Raises:
        DataError: one cannot be read.
    """
    if not is_pictures(data):
        return Sources(read(data, spill=spill), read_if_given(valid, spill), read_if_given(test, spill))
    parts, findings = read_picture_tables(data)
    own = parts.get("train") or parts.get("data") or next(iter(parts.values()))
    return Sources(
        own, read_if_given(valid, spill) or parts.get("valid"), read_if_given(test, spill) or parts.get("test"),
        findings,
    )  # fmt: skip


def with_places(sources: Sources, schema: Schema, given: Mapping[str, Any]) -> Sources:
    """The tables with the paths of their pictures as seen from where each table lies."""
    names = [column.name for column in schema.columns if column.kind is Kind.IMAGE]
    tables = {}
    for name, table in sources.tables.items():
        if names and not is_pictures(given.get(name)) and isinstance(table.frame, pl.DataFrame):
            tables[name] = replace(table, frame=placed(table.frame, names, given.get(name)))
    return sources.replaced(tables)


def read_if_given(source: Any, spill: Spill | None = None) -> Table | None:  # noqa: ANN401
    """The table, or None where no source was given."""
    if source is None:
        return None
    if is_pictures(source):
        parts, _ = read_picture_tables(source)
        return parts.get("data") or parts.get("test") or next(iter(parts.values()))
    return read(source, spill=spill)


def note_reading(schema: Schema, table: Table, ledger: Ledger) -> None:
    """The verdicts on what reading found: kinds of columns and spellings of missing."""
    kinds = Counter(column.kind.value for column in schema.columns)
    counted = ", ".join(f"{count} {kind}" for kind, count in kinds.most_common())
    reason = f"{len(schema.columns)} columns of {table.source.rows:,} rows: {counted}"
    ledger.record("data.types", Outcome.APPLIED, reason, value=len(schema.columns))
    spellings = Counter[str]()
    for column in schema.columns:
        spellings.update(column.missing_spellings)
    if spellings:
        told = ", ".join(f"{count:,} cells {spelling!r}" for spelling, count in spellings.items())
        reason, total = f"read as missing: {told}", sum(spellings.values())
        ledger.record("data.missing-spellings", Outcome.APPLIED, reason, value=total)
    else:
        ledger.record("data.missing-spellings", Outcome.PASSED, "missing cells are empty; no other spelling was found")
    if isinstance(table.frame, Stored):
        ledger.record(
            "data.memory", Outcome.APPLIED, "the table lies in files and is read a column or a block at a time"
        )
    else:
        ledger.record("data.memory", Outcome.NOT_APPLICABLE, "the table fits into the memory allowed (data.memory)")
