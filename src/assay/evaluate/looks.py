"""How often the same test rows were looked at, over all runs of a folder, and what that does to intervals.

Whoever fits again because of a test score, and looks again, has chosen by the test rows: the best of k scores is
flattered. From the second look on each interval is therefore made at 1 - (1 - confidence) / k, so that all k hold at
once with the confidence asked for (Bonferroni). It corrects intervals and not values: only fresh test rows mend those.
See Dwork et al., The reusable holdout (Science 2015), and Blum & Hardt, The Ladder (ICML 2015), for why looks count.

Nothing is counted in a place of its own: a run's report says that it opened its seal, and `looks.jsonl` beside it when
`assay evaluate --sealed` did. A run that is removed takes its looks along.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from assay.data.columns import hashes_with
from assay.data.pictures.reader import sums_of
from assay.data.rows import Rows, fingerprint
from assay.data.schema import Kind, Schema
from assay.data.steps import SERIES, is_series
from assay.evaluate.config import EvaluateConfig
from assay.evaluate.record import Seal
from assay.ledger import Ledger, Outcome

LOOKS, _REPORT = "looks.jsonl", "report.json"
#: The share of the sealed rows among some rows, or of these rows that are sealed, from which they count as sealed.
_ENOUGH = 0.5
#: Names of runs that a sentence has at most.
_MOST_NAMES = 3


def seal_of(
    final: Path,
    sealed: str | None,
    config: Mapping[str, object],
    source: str,
    confidence: float,
    *,
    is_exact: bool,
) -> Seal | None:
    """The looks at the test rows by the runs beside one that is about to look; None where it seals none.

    A run with the same table and the same options, neither of which was ended by the clock, is the same run: it asks
    nothing new, and is not counted.

    Args:
        final: the directory that the run will have.
        sealed: hash of its test rows. source: of its table. config: its options, flat.
        is_exact: whether a repeat of it would come to the same numbers.
    """
    if sealed is None:
        return None
    earlier: list[str] = []
    for directory in _runs_beside(final):
        found = _report_with(directory, sealed)
        if found is None:
            continue
        same = found.get("config") == dict(config) and found.get("source", {}).get("sha256") == source
        again = same and is_exact and not _was_limited(found)
        opened = 0 if again else int(found["split"].get("opened", 0))
        earlier += [directory.name] * (opened + len(_noted(directory)))
    return sealed_by(earlier, confidence)


def sealed_by(earlier: list[str], confidence: float) -> Seal:
    """The look that comes after those of these runs."""
    looks = len(earlier) + 1
    return Seal(
        looks=looks, runs=tuple(dict.fromkeys(earlier)), confidence=confidence,
        corrected=1.0 - (1.0 - confidence) / looks,
    )  # fmt: skip


def surer(config: EvaluateConfig, seal: Seal | None) -> EvaluateConfig:
    """The evaluation with intervals as sure as so many looks ask for."""
    return config if seal is None or seal.looks < 2 else config.model_copy(update={"confidence": seal.corrected})


def note_looks(seal: Seal | None, ledger: Ledger) -> None:
    """The verdict on the seal, from the second look on."""
    if seal is None or seal.looks < 2:
        return
    before = ledger["split.sealed-test"].reason
    ledger.record("split.sealed-test", Outcome.WARNED, f"{before}; {told(seal)}", value=seal.looks)


def told(seal: Seal) -> str:
    """The looks and the correction in words."""
    names = ", ".join(seal.runs[:_MOST_NAMES]) + (" and others" if len(seal.runs) > _MOST_NAMES else "")
    times = "once" if seal.looks == 2 else f"{seal.looks - 1} times"
    return (
        f"these test rows had been looked at {times} before by runs of this folder ({names}), so each interval is made "
        f"at {100 * seal.corrected:.3g} % for all {seal.looks} to hold together with {100 * seal.confidence:.3g} %"
    )


def _runs_beside(final: Path) -> list[Path]:
    """The other directories of a folder that hold a report; what may not be looked into has none."""
    try:
        there = sorted(final.parent.iterdir())
    except OSError:
        return []
    return [each for each in there if each.name != final.name and _has_report(each)]


def _has_report(directory: Path) -> bool:
    try:
        return (directory / _REPORT).is_file()
    except OSError:
        return False


def _report_with(directory: Path, sealed: str) -> dict[str, Any] | None:
    """The report of a run as it is written, if it has these test rows; of another version, or damaged, it has none."""
    try:
        text = (directory / _REPORT).read_bytes()
        found = json.loads(text) if sealed.encode() in text else None
    except (OSError, ValueError):
        return None
    if not isinstance(found, dict) or not isinstance(found.get("split"), dict):
        return None
    return found if found["split"].get("sealed_sha256") == sealed else None


def _was_limited(report: Mapping[str, Any]) -> bool:
    """Whether the clock ended the training of a run, so that a repeat would come to other numbers."""
    verdicts = {each.get("practice"): each.get("outcome") for each in report.get("ledger", ())}
    return verdicts.get("train.budget") == Outcome.APPLIED.value


# Rows that were sealed and come again ---------------------------------------------------------------------------------


def row_hashes(rows: Rows, schema: Schema) -> NDArray[np.uint64]:
    """A hash of each row's cells and target, (n,), that does not depend on how a file spelled its numbers."""
    columns = []
    for column in schema.features:
        cells = rows.column(column.name)
        cells = sums_of(cells) if column.kind is Kind.IMAGE else cells
        if cells.dtype.is_numeric() or cells.dtype == pl.Boolean:
            columns.append(cells.cast(pl.Float64))
        elif is_series(cells.dtype):
            columns.append(cells.cast(SERIES))
        elif not cells.dtype.is_nested():
            columns.append(cells.cast(pl.String))
    targets = np.asarray(rows.target, np.float64).reshape(len(rows), -1)
    columns += [pl.Series(each) for each in targets.T]
    return hashes_with(np.zeros(len(rows), np.uint64), columns)


def sealed_among(rows: Rows, schema: Schema, sealed: str | None, count: int, hashes: NDArray[np.uint64] | None) -> int:
    """How many of a run's sealed rows are among these, where they are enough to count as the sealed ones; else 0.

    Args:
        sealed: hash of all the sealed rows, and count: how many there are. hashes: of each, where the run kept them.
    """
    if sealed is None or not len(rows):
        return 0
    if len(rows) == count and fingerprint(rows, schema.pictures) == sealed:
        return len(rows)
    if hashes is None or not len(hashes):
        return 0
    own = row_hashes(rows, schema)
    found, given = int(np.isin(hashes, own).sum()), int(np.isin(own, hashes).sum())
    return found if found >= _ENOUGH * len(hashes) or given >= _ENOUGH * len(own) else 0


def look_again(directory: Path, sealed: str, confidence: float, why: str) -> Seal:
    """Count one more look at the sealed rows of the run in a directory, and say which it is.

    Raises:
        OSError: it cannot be written down.
    """
    earlier: list[str] = []
    for each in (directory, *_runs_beside(directory)):
        found = _report_with(each, sealed)
        if found is not None:
            earlier += [each.name] * (int(found["split"].get("opened", 0)) + len(_noted(each)))
    with (directory / LOOKS).open("a", encoding="utf-8") as stream:
        stream.write(json.dumps({"at": datetime.now(UTC).isoformat(timespec="seconds"), "why": why}) + "\n")
        stream.flush()
        os.fsync(stream.fileno())
    return sealed_by(earlier, confidence)


def _noted(directory: Path) -> list[str]:
    """The looks that were written down beside a run."""
    try:
        return [line for line in (directory / LOOKS).read_text("utf-8").splitlines() if line.strip()]
    except OSError:  # there were none
        return []
