"""Finished runs and their data, without torch: open, show, score on new rows, audit."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from assay.bundle.load import Bundle, load
from assay.bundle.manifest import MANIFEST, REPORT, SPARED
from assay.bundle.new_rows import covered, decisions_of, groups_of, note_left_out, slices_of
from assay.compose.check import checked_table
from assay.compose.run_config import RunConfig
from assay.data.audit.audit import Audit
from assay.data.forecasts.forecasting import all_windows
from assay.data.labelled import as_in, with_label_column
from assay.data.reading.arrays import as_given, as_in_training
from assay.data.reading.read import Table
from assay.data.rows import complete, with_columns
from assay.data.schema import Hints, Schema
from assay.evaluate.assess import Assessment, Output, assess
from assay.evaluate.clusters import clusters_of
from assay.evaluate.config import EvaluateConfig
from assay.evaluate.forecast.exam import assess_forecasts
from assay.evaluate.forecast.judged import Judged
from assay.evaluate.forecast.slices import forecast_slices
from assay.evaluate.multilabel.exam import assess_labels
from assay.evaluate.record import ModelScores, Report
from assay.evaluate.slices.conditions import Condition
from assay.evaluate.slices.named import check_columns, check_slices
from assay.evaluate.unsealed import unsealed
from assay.ledger import Ledger
from assay.sources import audit_tables, decoded, folded_as, placed_table, read_if_given, read_tables
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

    def predict(
        self,
        data: Any,  # noqa: ANN401  # whatever read() takes
        *,
        sets: bool = False,
        intervals: bool = False,
        unusual: bool = False,
    ) -> pl.DataFrame:
        """The model's answers for raw rows; see `Bundle.predict`."""
        return self.bundle.predict(data, sets=sets, intervals=intervals, unusual=unusual)

    def save(self, directory: str | os.PathLike[str], *, lean: bool = False) -> Path:
        """Copy the bundle to `directory`, which must not exist yet.

        Args:
            directory: where to.
            lean: without the second copy of the weights and without the page, which are most of a small bundle; the
                copy answers as before, and is to be evaluated, shown and compared as before.

        Raises:
            ConfigError: it exists, or cannot be written.
        """
        final, bundle = Path(directory), self.bundle
        manifest = bundle.manifest.without(SPARED) if lean else bundle.manifest
        with staged(final) as staging:
            for name in manifest.files:
                shutil.copyfile(bundle.directory / name, staging / name)
            (staging / MANIFEST).write_text(manifest.to_json(), encoding="utf-8")
        return final


def audit(
    data: Any,  # noqa: ANN401
    target: Any = None,  # noqa: ANN401  # a name, or y
    *,
    test: Any = None,  # noqa: ANN401
    valid: Any = None,  # noqa: ANN401
    strict: bool = False,
    hints: Hints | None = None,
    config: RunConfig | None = None,
) -> tuple[Schema, Audit, Ledger]:
    """Read and examine data without training on it.

    Args:
        data, target, test, valid: as for `fit`.
        strict: stop when there are serious findings.
        hints: what is said of the columns, the target among it, in place of `target`.
        config: options of reading and of the audit.

    Raises:
        DataError: the data cannot be used.
        AuditError: `strict` and there are serious findings.
    """
    settings, ledger = (config or RunConfig()).data, Ledger()
    checks = settings.audit.model_copy(update={"strict": settings.audit.strict or strict})
    settings = settings.model_copy(update={"audit": checks})
    with scratch() as folder:
        spill = settings.spill(folder)
        given = as_given(data, target, test=test, valid=valid)
        said = hints or checked_table({"target": given.target}, "assay.audit").hints()
        read_in = read_tables(given.data, given.valid, given.test, said, settings, ledger, spill)
        read_in, _ = decoded(read_in, settings, folder)
        found = audit_tables(read_in, settings, ledger)
    return read_in.schema, found, ledger


def open_run(path: str | os.PathLike[str]) -> Run:
    """The run in a run directory, or in a bundle directory.

    Raises:
        BundleError: there is none, it is damaged, or the run is not finished.
    """
    refuse_unfinished(Path(path))
    bundle = load(path)
    return Run(Path(path), bundle, Report.read(bundle.directory / REPORT))


def evaluate(
    path: str | os.PathLike[str],
    data: Any,  # noqa: ANN401
    *,
    sealed: bool = False,
    slices: Sequence[str] = (),
    tell: Callable[[str], None] | None = None,
) -> Assessment:
    """Score a saved model on labelled rows that it was not trained on.

    Args:
        path: the run or the bundle. data: the rows, or a pair of arrays (X, y).
        slices: subgroups of the rows to score by themselves, as in `age >= 60 & sex = Female`.
        sealed: whether they may be test rows that the run sealed: that look is counted, and intervals are corrected.
        tell: is told what the user should know.

    Raises:
        BundleError: the model cannot be loaded, or its run is not finished.
        DataError: the data cannot be read, or lacks the target or a column of the model.
        ConfigError: they are rows that the run sealed, and `sealed` does not say that they may be; or a slice cannot
            be read.
    """
    refuse_unfinished(Path(path))
    bundle, settings = load(path), RunConfig()
    named = check_slices(slices, bundle.schema)
    with scratch() as folder:
        data = as_in_training(data, bundle.schema)
        raw = read_if_given(data, settings.data.spill(folder))
        assert raw is not None
        if bundle.schema.windowing is not None:
            return _evaluate_forecast(bundle, raw, named, settings.evaluate, sealed=sealed, tell=tell)
        schema = as_in(raw.source, bundle.schema)
        table = with_label_column(folded_as(raw, schema.folding), schema.labelling, schema.target)
        table = placed_table(data, table, schema)
        absent = tuple(name for name in schema.sensitive if name not in table.frame.columns)
        check_columns(named, table.frame.columns)
        rows = complete(with_columns(table, schema, "test", spares=absent), schema, "test")
        note_left_out(table, rows, schema, tell)
        options = unsealed(bundle.directory, rows, schema, settings.evaluate, allowed=sealed, tell=tell)
        begun = time.monotonic()
        answers = bundle.answer(rows.frame).astype(np.float64)
        seconds = time.monotonic() - begun
        within = slices_of(bundle, named, rows, answers, schema, options, folder, settings.data.encode.picture_side)
    described = f"the model in {bundle.directory.name} on {table.source.name}"
    network = Output("network", "network", described, answers, 0.0, seconds, bundle.rule)
    if schema.is_multilabel:
        cuts = np.array(bundle.manifest.thresholds)
        found = assess_labels(schema, rows.target, rows.weight, [network], [cuts], options, seed=0, ledger=Ledger())
    else:
        found = assess(
            schema, rows.target, rows.weight, [network], options, seed=0, ledger=Ledger(),
            clusters=clusters_of(rows, schema),
        )  # fmt: skip
    return replace(
        found,
        fairness=groups_of(bundle, rows, absent, answers, options),
        coverage=covered(bundle, rows, answers, schema, options.confidence),
        slices=within,
        decision=decisions_of(bundle, rows, answers, schema, options),
    )


def _evaluate_forecast(
    bundle: Bundle,
    raw: Table,
    named: Sequence[Condition],
    config: EvaluateConfig,
    *,
    sealed: bool,
    tell: Callable[[str], None] | None,
) -> Assessment:
    """Score forecasts from every origin that has enough steps before it and all steps to forecast after it."""
    table = all_windows(raw, bundle.schema)
    rows = complete(table, bundle.schema, "test")
    options = unsealed(bundle.directory, rows, bundle.schema, config, allowed=sealed, tell=tell)
    begun = time.monotonic()
    answers = bundle.answer(rows.frame)
    seconds = time.monotonic() - begun
    described = f"the model in {bundle.directory.name} on {table.source.name}"
    network = Output("network", "network", described, answers, 0.0, seconds)
    judged = Judged.of(rows, bundle.schema)
    found = assess_forecasts(
        bundle.schema, judged, [network], options, bands=bundle.manifest.bands, calibration=None, seed=0,
        ledger=Ledger(),
    )  # fmt: skip
    if not named:
        return found
    within = forecast_slices(
        rows, judged, answers, bundle.schema, named, doubted=None, confidence=options.confidence
    )  # fmt: skip
    return replace(found, slices=within)
