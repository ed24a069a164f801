"""Sealed test rows that a saved model is to be scored on again: refused, or asked for by name and counted."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from assay.data.rows import Rows
from assay.data.schema import Schema
from assay.errors import ConfigError
from assay.evaluate.config import EvaluateConfig
from assay.evaluate.kept import kept_of
from assay.evaluate.looks import look_again, sealed_among, sealed_by, surer
from assay.evaluate.record import Report

_REPORT = "report.json"


def unsealed(
    bundle: Path,
    rows: Rows,
    schema: Schema,
    config: EvaluateConfig,
    *,
    allowed: bool,
    tell: Callable[[str], None] | None,
) -> EvaluateConfig:
    """The evaluation as sure as the looks at these rows ask for; rows that no run sealed change nothing.

    Args:
        bundle: directory of the model. rows: that it is to be scored on. schema: of the model.
        allowed: whether they may be the rows that its run sealed. tell: is told of the look.

    Raises:
        ConfigError: they are, and that was not asked for.
    """
    if not (bundle / _REPORT).is_file():
        return config
    report = Report.read(bundle / _REPORT)
    directory = bundle.parent if (bundle.parent / _REPORT).is_file() else None
    tested = None if directory is None else kept_of(directory).tested
    sealed = report.split.sealed_sha256
    count = report.split.test_rows
    found = sealed_among(rows, schema, sealed, count, None if tested is None else tested.rows)
    if not found or sealed is None:
        return config
    if not allowed:
        raise ConfigError(
            "test rows that a run sealed must be asked for by name",
            f"{found:,} of the {count:,} sealed rows of {report.name} are among these {len(rows):,}",
            "Score rows that the run has not seen, or add --sealed (in Python sealed=True): the look is counted, and "
            "intervals are corrected for it.",
        )
    if directory is None:
        seal = sealed_by([report.name] * max(report.split.opened, 1), config.confidence)
        counted = "it cannot be counted, for the model lies without its run"
    else:
        seal = look_again(directory, sealed, config.confidence, f"{len(rows):,} rows were evaluated")
        counted = "it is counted"
    if tell is not None:
        tell(
            f"look number {seal.looks} at the sealed rows of {report.name}, and {counted}; intervals are made at "
            f"{100 * seal.corrected:.3g} %, so that all hold together with {100 * seal.confidence:.3g} %"
        )
    return surer(config, seal)
