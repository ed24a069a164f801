"""What a run is made from: the tables that were given, folded and labelled as they ask for, and their schema."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import polars as pl

from assay.data.audit.audit import Audit, examine
from assay.data.config import DataConfig, SplitConfig
from assay.data.findings import Checked
from assay.data.forecasts.forecasting import WindowTables, read_windows
from assay.data.infer import infer
from assay.data.labelled import check_labels, find_labels, with_label_column
from assay.data.picture_sources.held import hold_cells
from assay.data.picture_sources.tables import Pictures, is_pictures, open_pictures, read_picture_tables
from assay.data.pictures.reader import placed, placed_in_files
from assay.data.pictures.store import Progress
from assay.data.reading.arrays import Arrays, read_rows
from assay.data.reading.read import Table, read
from assay.data.schema import Hints, Kind, Schema
from assay.data.series.folding import Folding, find_folding, folded, step_columns, step_names, told, told_times
from assay.data.split.split import Split, seal
from assay.data.split.windows import seal_windows
from assay.data.stored import Spill, Stored
from assay.ledger import Ledger, Outcome


@dataclass(frozen=True)
class Tables:
    """What a run is made from: the main table and those beside it, series folded, and the schema of all of them.

    The `source` of a table tells of it as it was read, before it was folded. `checked` is what was found about the
    classes and files of pictures, or about the series of a forecast, of which the tables hold `windows`.
    """

    data: Table
    valid: Table | None
    test: Table | None
    schema: Schema
    checked: tuple[Checked, ...] = ()
    windows: WindowTables | None = None

    @property
    def given(self) -> dict[str, Table | None]:
        """The tables by their names in a request."""
        return {"data": self.data, "valid": self.valid, "test": self.test}

    @property
    def tables(self) -> dict[str, Table]:
        """Those that there are, the training table first."""
        return {name: table for name, table in self.given.items() if table is not None}

    def replaced(self, tables: Mapping[str, Table]) -> Tables:
        """The same with other tables in the places of those named."""
        data, valid, test = (tables.get(name, table) for name, table in self.given.items())
        assert data is not None
        return replace(self, data=data, valid=valid, test=test)


def read_tables(
    data: Any,  # noqa: ANN401  # whatever read() takes
    valid: Any,  # noqa: ANN401
    test: Any,  # noqa: ANN401
    hints: Hints,
    config: DataConfig,
    ledger: Ledger,
    spill: Spill | None = None,
) -> Tables:
    """Read the table and the files given beside it, fold their series as the table asks for, and infer the schema.

    A source of pictures may bring validation and test parts along.

    Raises:
        DataError: one of them cannot be used.
    """
    raw, parts, checked = _read_with_parts(data, spill)
    files = [read_if_given(source, spill) or parts.get(part) for part, source in (("valid", valid), ("test", test))]
    if config.horizon:
        made = read_windows(raw, files[0], files[1], hints, config, ledger)
        note_reading(made.schema, raw, ledger)
        return Tables(made.data, made.valid, made.test, made.schema, made.checked, made)
    single = [name for name in (hints.group, hints.time, hints.weight) if name is not None]
    folding = find_folding(raw.frame, config, hints.target, single=single, apart=(*hints.drop, *hints.kinds))
    table = folded_as(raw, folding)
    others = [None if file is None else folded_as(file, folding) for file in files]
    found = find_labels(table, _after_folding(hints, raw, table, folding), config)
    table = with_label_column(table, found.labelling, found.hints.target)
    others = [None if each is None else with_label_column(each, found.labelling, found.hints.target) for each in others]
    schema = infer(table, found.hints, found.labelling).model_copy(update={"folding": folding})
    checked = (*checked, *check_labels(table, schema))
    note_series(raw, folding, config, hints.target, ledger)
    note_reading(schema, table, ledger)
    return _with_places(Tables(table, others[0], others[1], schema, checked), (data, valid, test))


def decoded(
    sources: Tables, config: DataConfig, folder: Path, progress: Progress | None = None
) -> tuple[Tables, Pictures | None]:
    """The tables without the rows of damaged pictures, and the pictures in `folder`, or None where there are none.

    Raises:
        DataError: several columns have pictures, or not one can be read.
        OSError: there is no room on the disk.
    """
    pictures = open_pictures(
        sources.tables, sources.schema, folder, longest=config.encode.picture_side, progress=progress
    )
    if pictures is None:
        return sources, None
    whole = sources.replaced(pictures.tables)
    return replace(whole, checked=(*whole.checked, *pictures.checked)), pictures


def audit_tables(sources: Tables, config: DataConfig, ledger: Ledger) -> Audit:
    """What the audit finds in the tables, with what was found when they were read.

    Raises:
        DataError: the data cannot be used.
        AuditError: there are serious findings, and the configuration is strict.
    """
    share = config.split.limited(config.split.test, sources.data.frame.height)
    return examine(
        sources.data, sources.schema, config.audit, ledger, valid=sources.valid, test=sources.test, test_share=share,
        more=sources.checked,
    )  # fmt: skip


def seal_tables(tables: Tables, config: SplitConfig, *, seed: int, ledger: Ledger) -> Split:
    """Training, validation and sealed test rows; windows of a forecast were cut when they were made.

    Raises:
        DataError: see `seal`.
    """
    if tables.windows is not None:
        return seal_windows(tables.windows, ledger, seed=seed)
    valid, test = tables.valid, tables.test
    return seal(tables.data, tables.schema, config, seed=seed, ledger=ledger, valid=valid, test=test)


def _read_with_parts(data: Any, spill: Spill | None) -> tuple[Table, dict[str, Table], tuple[Checked, ...]]:  # noqa: ANN401
    """The training table, and the other parts and the findings that a source of pictures brings along."""
    if not is_pictures(data):
        return _read_table(data, spill), {}, ()
    parts, findings = read_picture_tables(data, None if spill is None else spill.folder)
    reason = "every class has pictures, in every part"
    checked = Checked("audit.picture-classes", reason, float(len(findings)), findings)
    return parts.get("train") or parts.get("data") or next(iter(parts.values())), parts, (checked,)


def _with_places(tables: Tables, given: tuple[Any, Any, Any]) -> Tables:
    """The tables with the paths of their pictures as seen from where each table lies."""
    paired = zip(tables.given.items(), given, strict=True)
    return tables.replaced(
        {name: placed_table(source, table, tables.schema) for (name, table), source in paired if table is not None}
    )


def placed_table(source: Any, table: Table, schema: Schema) -> Table:  # noqa: ANN401
    """The table with the paths of its pictures as seen from where it lies; those of a source of pictures are whole."""
    names = [column.name for column in schema.columns if column.kind is Kind.IMAGE]
    if not names or is_pictures(source):
        return table
    frame = table.frame
    place = placed_in_files(frame, names, source) if isinstance(frame, Stored) else placed(frame, names, source)
    return replace(table, frame=place)


def read_if_given(source: Any, spill: Spill | None = None) -> Table | None:  # noqa: ANN401
    """The table, or None where no source was given; of a source of pictures its first part."""
    if source is None:
        return None
    if not is_pictures(source):
        return _read_table(source, spill)
    parts, _ = read_picture_tables(source, None if spill is None else spill.folder)
    return parts.get("data") or parts.get("test") or next(iter(parts.values()))


def _read_table(source: Any, spill: Spill | None) -> Table:  # noqa: ANN401
    """The table of a source that is not one of pictures; pictures within its cells are put into files."""
    table = read_rows(source) if isinstance(source, Arrays) else read(source, spill=spill)
    return table if spill is None else hold_cells(table, spill.folder)


def folded_as(table: Table, folding: Folding | None) -> Table:
    """The table with its steps as series, where they are to be."""
    return table if folding is None else Table(folded(table.frame, folding), table.source)


def _after_folding(hints: Hints, raw: Table, table: Table, folding: Folding | None) -> Hints:
    """What is said of the columns that are left; a column of cases names its rows, whatever its cells look like."""
    if folding is None:
        return hints
    gone = set(raw.frame.columns) - set(table.frame.columns)
    kinds = {name: kind for name, kind in hints.kinds.items() if name not in gone}
    if folding.case is not None:
        kinds = {folding.case: Kind.ID, **kinds}
    return hints.model_copy(update={"kinds": kinds, "drop": tuple(name for name in hints.drop if name not in gone)})


def note_series(raw: Table, folding: Folding | None, config: DataConfig, target: str, ledger: Ledger) -> None:
    """The verdict on whether columns or rows are the steps of series."""
    if folding is not None:
        assert isinstance(raw.frame, pl.DataFrame)  # others are refused
        value = len(folding.columns) if folding.kind == "wide" else raw.frame[folding.case or ""].n_unique()
        ledger.record("data.series", Outcome.APPLIED, told(raw.frame, folding), value=value)
        _note_times(raw.frame, folding, config, ledger)
        return
    names = step_names(raw.frame.columns, (target,)) if config.case is None else ()
    if not names:
        ledger.record("data.series", Outcome.NOT_APPLICABLE, "neither columns nor rows are steps of a series")
    elif config.series == "none":
        ledger.record("data.series", Outcome.SKIPPED, f"{names[0]!r} to {names[-1]!r} stay apart: data.series is none")
    else:
        run = None if isinstance(raw.frame, Stored) else step_columns(raw.frame, names)
        why = "the table lies in files; raise data.memory to have them folded"
        if run is not None:
            worded = ", ".join(repr(name) for name in run.worded[:5])
            why = f"cells of {worded} are no numbers" if worded else "kinds were given for some of them"
        ledger.record("data.series", Outcome.WARNED, f"{names[0]!r} to {names[-1]!r} are not read as a series: {why}")


def _note_times(frame: pl.DataFrame, folding: Folding, config: DataConfig, ledger: Ledger) -> None:
    """The verdict on whether the times of a long table are even, and what was done where they are not."""
    if folding.grid is not None:
        words, filled = told_times(frame, folding)
        even = folding.grid.distance is None and not filled
        ledger.record("data.times", Outcome.PASSED if even else Outcome.APPLIED, words, value=filled)
    elif folding.step is not None:
        why = "data.every=rows takes each row as a step" if config.every == "rows" else "no case has two rows"
        ledger.record("data.times", Outcome.SKIPPED, f"{why}, whatever its time")


def note_reading(schema: Schema, table: Table, ledger: Ledger) -> None:
    """The verdicts on what reading found: kinds of columns and spellings of missing."""
    kinds = Counter(column.kind.value for column in schema.columns)
    counted = ", ".join(f"{count} {kind}" for kind, count in kinds.most_common())
    reason = f"{len(schema.columns)} columns of {table.frame.height:,} rows: {counted}"
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
