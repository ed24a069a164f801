"""The arguments that several verbs share, and the table section they amount to."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from assay.errors import ConfigError, nearest

if TYPE_CHECKING:
    from rich.console import Console

    from assay.compose.run_config import RunConfig, TableConfig

TARGET = "The column to predict."
_OVERRIDE = re.compile(r"[+~]*[A-Za-z_][\w.@-]*=", re.ASCII)
TARGETS = "The column to predict; or several of 0 and 1, one for each label, as in a,b,c."

Target = Annotated[str | None, typer.Option(metavar="COL", help=TARGETS, show_default="from --config")]
Test = Annotated[
    str | None, typer.Option(metavar="FILE", help="Test rows in a file of their own.", show_default="split off DATA")
]
Valid = Annotated[
    str | None,
    typer.Option(metavar="FILE", help="Validation rows in a file of their own.", show_default="split off DATA"),
]
As = Annotated[
    list[str] | None,
    typer.Option(
        "--as",
        metavar="COL=KIND",
        help="Say what a column holds: number, category, boolean, datetime, text, id or constant. Repeatable.",
        show_default="inferred",
    ),
]
Drop = Annotated[
    list[str] | None, typer.Option(metavar="COL", help="Leave a column out. Repeatable.", show_default="none")
]
Group = Annotated[
    str | None,
    typer.Option(metavar="COL", help="Rows with equal values here stay in one part.", show_default="none"),
]
Time = Annotated[
    str | None,
    typer.Option(metavar="COL", help="The time of a row; the split is then in time.", show_default="none"),
]
Horizon = Annotated[
    str | None,
    typer.Option(
        metavar="N", help="Forecast the target so many steps ahead: short for data.horizon=N.", show_default="0"
    ),
]
Weight = Annotated[str | None, typer.Option(metavar="COL", help="The weight of a row.", show_default="none")]
Sensitive = Annotated[
    list[str] | None,
    typer.Option(
        metavar="COL",
        help="A column whose groups the report compares; --drop it too and the model does not read it. Repeatable.",
        show_default="none",
    ),
]
Slice = Annotated[
    list[str] | None,
    typer.Option(
        "--slice",
        metavar="CONDITION",
        help="A subgroup of the test rows to score: 'age >= 60', 'sex = Female & hours < 20'. Repeatable.",
        show_default="none",
    ),
]
SliceOfRows = Annotated[
    list[str] | None,
    typer.Option(
        "--slice",
        metavar="CONDITION",
        help="A subgroup of DATA to score by itself: 'age >= 60', 'sex = Female & hours < 20'. Repeatable.",
        show_default="none",
    ),
]
Positive = Annotated[
    str | None,
    typer.Option(metavar="CLASS", help="The positive class of a binary target.", show_default="inferred"),
]
TaskName = Annotated[
    str | None,
    typer.Option(
        "--task",
        metavar="TASK",
        help="binary, multiclass, multilabel, regression or forecasting (which --horizon means).",
        show_default="inferred",
    ),
]
Strict = Annotated[
    bool,
    typer.Option("--strict", help="Stop with exit code 3 when the audit has serious findings.", show_default="off"),
]
Preset = Annotated[str | None, typer.Option(metavar="NAME", help="quick, standard or best.", show_default="quick")]
ConfigFile = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="Options in YAML, as `assay init` writes them.", show_default="none"),
]
Seed = Annotated[str | None, typer.Option(metavar="N", help="Every random choice follows from it.", show_default="0")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Show no progress.", show_default="off")]
Json = Annotated[
    bool,
    typer.Option("--json", help="Print one JSON object on standard output and nothing else there.", show_default="off"),
]
Model = Annotated[Path, typer.Argument(metavar="MODEL", help="A run directory or a bundle.")]


def kinds_from(pairs: list[str] | None) -> dict[str, str]:
    """`["age=number"]` as `{"age": "number"}`; a column's name may itself hold `=`.

    Raises:
        ConfigError: a pair is not COL=KIND, the kind is unknown, or a column is named twice.
    """
    from assay.data.schema import Kind  # pydantic, which --help does without

    kinds: dict[str, str] = {}
    for pair in pairs or ():
        column, _, kind = pair.rpartition("=")
        if not column:
            raise ConfigError("--as must be COL=KIND", f"{pair!r} was given", "Example: --as age=number")
        if kind not in set(Kind):
            raise ConfigError(f"the kind of {column!r} must be known", f"{kind!r} was given", nearest(kind, Kind))
        if kinds.setdefault(column, kind) != kind:
            raise ConfigError(
                "a column must have one kind", f"--as gives {column!r} two: {kinds[column]} and {kind}", "Remove one."
            )
    return kinds


def table_with(base: TableConfig, given: dict[str, object]) -> TableConfig:
    """The table section of the config file, overruled by the arguments that were given.

    Raises:
        ConfigError: an argument is not usable, such as an unknown task.
    """
    from assay.compose.check import checked_table  # pydantic, which --help does without

    said = {name: value for name, value in given.items() if value not in (None, [], {})}
    if isinstance(said.get("kinds"), dict):
        said["kinds"] = {**base.kinds, **kinds_from_dict(said["kinds"])}
    return checked_table({**base.model_dump(), **said}, "the command line")


def kinds_from_dict(kinds: object) -> dict[str, str]:
    """The mapping with its keys and values as text."""
    assert isinstance(kinds, dict)
    return {str(column): str(kind) for column, kind in kinds.items()}


def console() -> Console:
    """Standard output for tables: nothing in a name is taken for markup, and a pipe is 100 columns wide."""
    from rich.console import Console  # --help prints plain text

    width = None if sys.stdout.isatty() else 100
    return Console(file=sys.stdout, markup=False, highlight=False, emoji=False, width=width)


def print_json(content: object) -> None:
    """One JSON object on standard output."""
    sys.stdout.write(json.dumps(content, ensure_ascii=False, indent=1, allow_nan=False) + "\n")


def as_overrides(
    *, budget: str | None = None, seed: str | None = None, strict: bool = False, horizon: str | None = None
) -> list[str]:
    """Options of the command line that stand for keys of the configuration, as `key=value`."""
    flags = {
        "budget": budget,
        "seed": seed,
        "data.audit.strict": "true" if strict else None,
        "data.horizon": horizon,
    }
    return [f"{key}={value}" for key, value in flags.items() if value is not None]


def data_or_override(data: str | None) -> tuple[str | None, list[str]]:
    """DATA may be left out beside --config; what then stands in its place is the first KEY=VALUE."""
    if data is not None and _OVERRIDE.match(data) and not Path(data).exists():
        return None, [data]
    return data, []


def resolved(preset: str | None, config: Path | None, overrides: list[str], given: dict[str, object]) -> RunConfig:
    """The configuration with all that was said on the command line, the table included."""
    from assay.compose.hydra_io import compose  # Hydra comes with the train extra

    composed = compose(preset, config, overrides)
    return composed.model_copy(update={"table": table_with(composed.table, given)})


def refuse_beside_resume(given: Mapping[str, object], what: str) -> None:
    """Refuse what is given beside --resume, which `what`, a run or a study, has itself.

    Raises:
        ConfigError: something is.
    """
    flags = {"data": "DATA", "kinds": "--as", "KEY=VALUE": "KEY=VALUE"}
    named = [flags.get(name, f"--{name}") for name, value in given.items() if value not in (None, [], {}, False)]
    if named:
        raise ConfigError(
            f"{what} that goes on has all that was asked for in its own request",
            f"{', '.join(named)} {'is' if len(named) == 1 else 'are'} given beside --resume",
            f"Leave that out, or start {what.replace('a ', 'a new ')} without --resume.",
        )
