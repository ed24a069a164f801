"""`assay config`: what a run would be configured with, which options there are, and whether a file is right."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from typer.core import TyperGroup

from assay.cli import arguments as take
from assay.cli.app import SETTINGS
from assay.errors import ConfigError

if TYPE_CHECKING:
    from assay.compose.check_file import CheckedFile
    from assay.compose.run_config import Option

config = typer.Typer(cls=TyperGroup, rich_markup_mode=None, add_completion=False, context_settings=SETTINGS)

Overrides = Annotated[
    list[str] | None,
    typer.Argument(metavar="KEY=VALUE", help="Options as for fit: train.lr=3e-4 model=tabm.", show_default="none"),
]


@config.callback(invoke_without_command=True, epilog="`assay config VERB --help` shows the options of a verb.")
def _config(context: typer.Context) -> None:
    """Show how a run would be configured, list the options, check a config file; trains nothing."""
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


@config.command("show")
def show(
    data: Annotated[
        str | None, typer.Argument(metavar="DATA", help="The table: a file or a glob.", show_default="from --config")
    ] = None,
    overrides: Overrides = None,
    target: take.Target = None,
    budget: Annotated[
        str | None, typer.Option(metavar="TIME", help="60s, 10m, 1.5h or none.", show_default="the preset's")
    ] = None,
    preset: take.Preset = None,
    file: Annotated[
        Path | None,
        typer.Option("--config", metavar="FILE", help="Options in YAML, as for fit.", show_default="none"),
    ] = None,
    seed: take.Seed = None,
    changed: Annotated[
        bool, typer.Option("--changed", help="Only what differs from the defaults.", show_default="off")
    ] = False,
    as_json: take.Json = False,
) -> None:
    """Print the configuration that `assay fit` would have, as YAML for --config, with the origin of each value.

    Precedence: defaults < preset < --config < options and KEY=VALUE on the command line.
    """
    from assay.compose import show as shown
    from assay.compose.hydra_io import Composed, Origin, composed

    data, extra = take.data_or_override(data)
    given = [*take.as_overrides(budget=budget, seed=seed), *extra, *(overrides or ())]
    found = composed(preset, file, given)
    table: dict[str, object] = {"data": data, "target": target}
    arguments = {"table.data": "argument DATA", "table.target": "argument --target"}
    origins = {key: Origin("override", place) for key, place in arguments.items() if table[key[6:]] is not None}
    config = found.config.model_copy(update={"table": take.table_with(found.config.table, table)})
    settings = shown.settings(Composed(config, {**found.origins, **origins}))
    settings = shown.changed(settings) if changed else settings
    if as_json:
        take.print_json(
            {"settings": [each.model_dump(mode="json") | {"changed": each.is_changed} for each in settings]}
        )
    else:
        sys.stdout.write(shown.as_yaml(settings) if settings else "# nothing differs from the defaults\n")


@config.command("options")
def options(
    word: Annotated[
        str | None,
        typer.Argument(metavar="WORD", help="A group, or a word of a key or a description.", show_default="all"),
    ] = None,
    as_json: take.Json = False,
) -> None:
    """List the options with type, range, default and description."""
    from assay.compose.check import options_about
    from assay.compose.naming import families_of

    found = options_about(word)
    if as_json:
        rows = [_as_json(option) | {"networks": list(families_of(option.key))} for option in found]
        take.print_json({"options": rows})
        return
    console = take.console()
    for option in found:
        console.print(f"{option.key}={option.shown_default}", style="bold", soft_wrap=True)
        console.print(_indented(_told(option), console.width))


@config.command("schema")
def schema(
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", metavar="FILE", help="Where to write it.", show_default="standard output"),
    ] = None,
) -> None:
    """Print the JSON Schema of a config file, with which editors complete and check it."""
    from assay.compose.json_schema import HEADER, json_schema

    text = json.dumps(json_schema(), indent=1, ensure_ascii=False) + "\n"
    if out is None:
        sys.stdout.write(text)
        return
    if not out.parent.is_dir():
        raise ConfigError("the folder of the output must exist", f"{out.parent} does not", "Make it, or name another.")
    partial = out.with_name(f".{out.name}.{os.getpid()}")
    partial.write_text(text, encoding="utf-8")
    partial.replace(out)
    sys.stderr.write(f"{out} is written; begin your config file with the line: {HEADER}{out}\n")


@config.command("check")
def check(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A config file, as for `assay fit --config`.")],
    as_json: take.Json = False,
) -> None:
    """Check a config file and name every fault in it; exit code 2 when there is one."""
    from assay.compose.check_file import check_file

    found = check_file(file)
    if as_json:
        faults = [{"must": each.must, "came": each.came, "do": each.do} for each in found.faults]
        take.print_json({"file": str(file), "options": found.options, "faults": faults, "missing": list(found.missing)})
        raise typer.Exit(2 if found.faults else 0)
    if len(found.faults) == 1:
        raise found.faults[0]
    if found.faults:
        raise _all_of(found)
    sys.stdout.write(f"{file} is right: it sets {found.options} option{'' if found.options == 1 else 's'}\n")
    for name in found.missing:
        sys.stderr.write(f"note: {name}, which the table section names, is not there from here\n")


def _all_of(found: CheckedFile) -> ConfigError:
    """One error with a line for each fault."""
    lines = "".join(f"\n  {fault}" for fault in found.faults)
    return ConfigError(
        f"{found.path} must be right", f"it has {len(found.faults)} faults", f"Mend each of them:{lines}"
    )


def _as_json(option: Option) -> dict[str, object]:
    default = list(option.default) if isinstance(option.default, tuple) else option.default
    return {
        "key": option.key,
        "type": option.type,
        "allowed": option.allowed,
        "words": list(option.words),
        "default": default,
        "description": option.description,
    }


def _told(option: Option) -> str:
    from assay.compose.naming import belonging

    owner = f" It {words}." if (words := belonging(option.key)) else ""
    return f"{option.description}{owner} ({option.allowed_in_words})"


def _indented(text: str, width: int) -> str:
    import textwrap

    return textwrap.fill(text, width, initial_indent="    ", subsequent_indent="    ")
