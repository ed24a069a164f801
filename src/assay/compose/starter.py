"""The commented starter config: every option with its default, its range and what it does, made from the records."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from itertools import groupby

from assay.compose.files import as_scalar
from assay.compose.hydra_io import preset_prices
from assay.compose.run_config import Option, RunConfig, TableConfig, options
from assay.data.schema import Schema
from assay.records import Record

_WIDTH = 118


def options_table() -> list[tuple[str, str, str, str, str]]:
    """Every `key=value` option as help shows it: key, type, default, range or choices, description."""
    return [(o.key, o.type, o.shown_default, o.allowed, o.description) for o in options()]


def starter(table: TableConfig | None = None, schema: Schema | None = None) -> str:
    """A YAML file in which every option stands as a comment with its default; remove the `# ` to set it.

    With a table section that is filled in, `assay fit --config FILE` runs on it; with a schema the section tells the
    inferred kind of every column and why.
    """
    table = table or TableConfig()
    lines = [
        "# Options of `assay fit --config FILE`. A line that begins with '#' sets nothing: remove the '# ' to set it.",
        "# What is set here stands above the preset; key=value on the command line stands above this file.",
        "# `assay config check FILE` checks it; `assay config schema` makes editors complete it.",
        "",
        "# The presets:",
        *(f"#   {name}: {price}" for name, price in preset_prices().items()),
        "",
    ]
    sections = groupby(options(), key=lambda option: option.key.rpartition(".")[0])
    top = next(sections)[1]
    lines += [line for option in top for line in _commented(option, "")]
    lines += ["", *_table_section(table, schema)]
    opened: tuple[str, ...] = ()
    for group, members in sections:
        parts = tuple(group.split("."))
        lines += _headings(parts, opened)
        opened = parts
        lines += [line for option in members for line in _commented(option, "  " * len(parts))]
    return "\n".join(lines) + "\n"


def _commented(option: Option, indent: str) -> Iterator[str]:
    head = f"{indent}# "
    yield from textwrap.wrap(
        f"{option.description} ({option.allowed_in_words})",
        _WIDTH,
        initial_indent=f"{head}  ",
        subsequent_indent=f"{head}  ",
    )
    default = option.shown_default
    value = f"[{default.replace(',', ', ')}]" if option.is_list else default
    yield f"{head}{option.key.rpartition('.')[2]}: {value}"


def _headings(parts: tuple[str, ...], opened: tuple[str, ...]) -> Iterator[str]:
    shared = next((i for i, (a, b) in enumerate(zip(parts, opened, strict=False)) if a != b), len(opened))
    for depth in range(min(shared, len(parts)), len(parts)):
        if depth == 0:
            yield ""
        group = _record_at(parts[: depth + 1])
        summary = (group.__doc__ or "").partition("\n")[0]
        yield f"{'  ' * depth}# {summary}"
        yield f"{'  ' * depth}{parts[depth]}:"


def _record_at(parts: tuple[str, ...]) -> type[Record]:
    record: type[Record] = RunConfig
    for part in parts:
        inner = record.model_fields[part].annotation
        assert isinstance(inner, type)
        assert issubclass(inner, Record)
        record = inner
    return record


def _table_section(table: TableConfig, schema: Schema | None) -> Iterator[str]:
    yield "# Which files and columns the run is about; paths are seen from where the command is run."
    yield "table:"
    for name, field in TableConfig.model_fields.items():
        if name == "kinds":
            continue
        value = getattr(table, name)
        yield f"  # {field.description}"
        if isinstance(value, tuple):
            shown = f"[{', '.join(map(as_scalar, value))}]"
        else:
            shown = "" if value is None else as_scalar(str(value))
        yield f"  {'# ' if value in (None, ()) else ''}{name}: {shown}".rstrip()
    yield from _kinds(table, schema)


def _kinds(table: TableConfig, schema: Schema | None) -> Iterator[str]:
    yield f"  # {TableConfig.model_fields['kinds'].description}"
    if schema is None:
        yield from ["  # kinds:", "  #   age: number"] if not table.kinds else ["  kinds:"]
        yield from (f"    {as_scalar(column)}: {kind.value}" for column, kind in table.kinds.items())
        return
    yield "  # Each column has the kind that was inferred, with the reason; change what is wrong."
    columns = [column for column in schema.columns if column.name not in (schema.target, *schema.dropped)]
    yield "  kinds:" if columns else "  # kinds: there is no column but the target"
    for column in columns:
        yield f"    {as_scalar(column.name)}: {column.kind.value}  # {_one_line(column.reason)}"
    task = f"{schema.task.value}: {_one_line(schema.task_reason)}"
    yield f"  # The target {as_scalar(schema.target)} makes the task {task}"


def _one_line(text: str) -> str:
    """The text without line breaks and control characters, so that it stays inside its comment."""
    return " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())
