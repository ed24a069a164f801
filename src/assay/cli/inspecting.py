"""`assay audit` and `assay init`: looks at a table before anything is trained."""

from __future__ import annotations

import os
import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from assay.cli import arguments as take
from assay.errors import AuditError, ConfigError

if TYPE_CHECKING:
    from assay.compose.run_config import TableConfig
    from assay.data.audit.audit import Finding
    from assay.data.schema import Schema

Data = Annotated[str, typer.Argument(metavar="DATA", help="The table: a file or a glob.")]
Target = Annotated[str, typer.Option(metavar="COL", help=take.TARGET)]

_ROWS_SHOWN = 10


def audit(
    data: Data,
    overrides: Annotated[
        list[str] | None,
        typer.Argument(metavar="KEY=VALUE", help="Options of data.* as for fit: data.case=COL.", show_default="none"),
    ] = None,
    target: Annotated[
        str | None, typer.Option(metavar="COL", help=take.TARGET, show_default="of pictures, their label")
    ] = None,
    test: take.Test = None,
    valid: take.Valid = None,
    kinds: take.As = None,
    drop: take.Drop = None,
    group: take.Group = None,
    time: take.Time = None,
    weight: take.Weight = None,
    sensitive: take.Sensitive = None,
    positive: take.Positive = None,
    task: take.TaskName = None,
    strict: take.Strict = False,
    as_json: take.Json = False,
) -> None:
    """Look for what would make a model's numbers wrong: duplicates, leaks, missing values; trains nothing."""
    table = _table(
        data=data, target=target, test=test, valid=valid, kinds=take.kinds_from(kinds), drop=drop, group=group,
        time=time, weight=weight, sensitive=sensitive, positive=positive, task=task,
    )  # fmt: skip
    from assay.compose.hydra_io import compose
    from assay.runs import audit as run_audit  # polars and the training packages

    config, hints = compose(None, None, overrides) if overrides else None, table.hints()
    schema, found, ledger = run_audit(
        data, hints.target, test=table.test, valid=table.valid, hints=hints, config=config
    )
    if as_json:
        take.print_json(
            {
                "schema": schema.model_dump(mode="json"),
                "findings": [finding.model_dump(mode="json") for finding in found.findings],
                "ledger": [verdict.model_dump(mode="json") for verdict in ledger],
            }
        )
    else:
        _print_schema(schema)
        _print_findings(found.findings)
    # The gate closes after the findings are shown: they are what it is about.
    if strict and found.serious:
        raise AuditError(
            "under --strict the data must have no serious findings",
            f"there {'is one' if len(found.serious) == 1 else f'are {len(found.serious)}'}, listed above",
            "Mend the data, or leave out the columns that are named.",
        )


def init(
    data: Data,
    target: Target,
    out: Annotated[
        str, typer.Option("--out", "-o", metavar="FILE", help="Where to write; - for standard output.")
    ] = "assay.yaml",
    kinds: take.As = None,
    drop: take.Drop = None,
    group: take.Group = None,
    time: take.Time = None,
    weight: take.Weight = None,
    sensitive: take.Sensitive = None,
    positive: take.Positive = None,
    task: take.TaskName = None,
) -> None:
    """Write a commented config with every option and the inferred kind of every column, for `assay fit --config`."""
    table = _table(
        data=data, target=target, kinds=take.kinds_from(kinds), drop=drop, group=group, time=time, weight=weight,
        sensitive=sensitive, positive=positive, task=task,
    )  # fmt: skip
    if out != "-" and Path(out).exists():
        raise ConfigError(
            "init writes a new file", f"{out} is already there", "Name another with -o FILE, or remove it."
        )
    from assay.compose.starter import starter
    from assay.data.config import DataConfig
    from assay.ledger import Ledger
    from assay.sources import read_tables
    from assay.workspace import scratch

    options = DataConfig()
    with scratch() as folder:
        found = read_tables(data, None, None, table.hints(), options, Ledger(), options.spill(folder))
        text = starter(table, found.schema)
    if out == "-":
        sys.stdout.write(text)
        return
    _write_new(Path(out), text)
    sys.stderr.write(f"{out} is written; edit it, then run: assay fit --config {out}\n")


def _table(
    *,
    data: str,
    target: str | None,
    kinds: dict[str, str],
    drop: list[str] | None,
    group: str | None,
    time: str | None,
    weight: str | None,
    sensitive: list[str] | None,
    positive: str | None,
    task: str | None,
    test: str | None = None,
    valid: str | None = None,
) -> TableConfig:
    from assay.compose.run_config import TableConfig  # pydantic, which --help does without

    given: dict[str, object] = {
        "data": data, "target": target, "kinds": kinds, "drop": drop, "group": group, "time": time, "weight": weight,
        "sensitive": sensitive, "positive": positive, "task": task, "test": test, "valid": valid,
    }  # fmt: skip
    return take.table_with(TableConfig(), given)


def _write_new(path: Path, text: str) -> None:
    """Write a file that must not exist, whole or not at all."""
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
    except FileNotFoundError:
        raise ConfigError(
            "the folder of the output must exist", f"{path.parent} does not", "Make it, or name another file with -o."
        ) from None
    except OSError:
        if path.is_file() and path.stat().st_size < len(text.encode()):
            path.unlink()
        raise


def _print_schema(schema: Schema) -> None:
    kinds = Counter(column.kind.value for column in schema.columns)
    console = take.console()
    names_it = schema.task_reason.startswith(schema.task.value)
    console.print(f"task: {schema.task_reason if names_it else f'{schema.task.value}, {schema.task_reason}'}")
    console.print(f"columns: {', '.join(f'{count} {kind}' for kind, count in kinds.items())}")


def _print_findings(findings: tuple[Finding, ...]) -> None:
    console = take.console()
    if not findings:
        console.print("findings: none")
        return
    counts = Counter(finding.severity.value for finding in findings)
    console.print(f"findings: {', '.join(f'{number} {severity}' for severity, number in counts.items())}\n")
    for finding in findings:
        console.print(
            f"{finding.severity.value}  {finding.what}", style="bold" if finding.severity == "serious" else ""
        )
        if finding.rows:
            shown = ", ".join(map(str, finding.rows[:_ROWS_SHOWN]))
            more = ", ..." if len(finding.rows) > _ROWS_SHOWN else ""
            part = "" if finding.part == "data" else f" of the {finding.part} file"
            console.print(f"    rows{part}: {shown}{more}")
        console.print(f"    {finding.do}  [{finding.check}]")
