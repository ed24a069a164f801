"""`assay`: the verbs put together, and every way a command can end turned into an exit code.

0 done, 1 internal error, 2 the user's input is wrong, 3 a gate failed, 130 interrupted, 141 the reader of a pipe left,
143 asked to end while training.
"""

from __future__ import annotations

import errno
import importlib
import os
import signal
import sys
from collections.abc import Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Annotated, NamedTuple, NoReturn

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command

from assay._process import leave
from assay.errors import AssayError, nearest
from assay.version import __version__

if TYPE_CHECKING:
    from typer._click.core import Context, Parameter
    from typer._click.formatting import HelpFormatter

INPUT_ERROR = 2
INTERRUPTED = 130
PIPE_CLOSED = 141

#: How every verb reads its arguments and writes its help.
SETTINGS = {"help_option_names": ["--help", "-h"], "max_content_width": 110}
_DISK_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_NOT_ALLOWED = (errno.EACCES, errno.EPERM, errno.EROFS)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"assay {__version__}")
        raise typer.Exit


def _assay(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", callback=_print_version, is_eager=True)
    ] = False,
) -> None:
    """Deep networks, trained by the book, with proof: from a raw table to a tested, portable model."""


class _Verb(NamedTuple):
    """Where a verb is, and what `assay --help` says of it."""

    module: str
    help: str


_VERBS = {
    "fit": _Verb("fitting", "From a raw table to a tested, portable model."),
    "tune": _Verb("tuning", "Search settings, and train the best."),
    "lr-find": _Verb("rates", "Suggest learning rates by a range test; trains nothing."),
    "predict": _Verb("using", "Answer the rows of a table."),
    "evaluate": _Verb("using", "Score a model on new rows with known answers."),
    "audit": _Verb("inspecting", "Look for what would make the numbers wrong."),
    "show": _Verb("showing", "Show what a run found."),
    "mistakes": _Verb("mistaking", "List what a run got wrong, and labels to check."),
    "compare": _Verb("using", "Put several runs side by side."),
    "export": _Verb("exporting", "Copy a model without what it holds twice."),
    "ablate": _Verb("ablating", "Measure what each practice of a run earned."),
    "ui": _Verb("interface", "Show the runs of a folder in the browser."),
    "synthesise": _Verb("synthesising", "Make rows that look like those of a table, and test them."),
    "doctor": _Verb("doctoring", "Look for what is wrong with a training of your own."),
    "init": _Verb("inspecting", "Write a commented config for a table."),
    "config": _Verb("configuring", "Show, list and check the options of a run."),
    "bench": _Verb("benching", "Compare configurations over many tables and seeds."),
    "practices": _Verb("about", "List the practices a run is checked against."),
}


class _Verbs(TyperGroup):
    """The verbs by name; a verb's module is imported when the verb is asked for, which halves the cost of --help."""

    def list_commands(self, ctx: Context) -> list[str]:
        """The verbs in the order in which they are used."""
        return list(_VERBS)

    def get_command(self, ctx: Context, cmd_name: str) -> TyperCommand | TyperGroup | None:
        """The verb, or None when there is none of this name; a verb with verbs within it is a group."""
        if cmd_name not in _VERBS:
            return None
        module = importlib.import_module(f"assay.cli.{_VERBS[cmd_name].module}")
        if isinstance(within := getattr(module, cmd_name.replace("-", "_")), typer.Typer):
            group = get_command(within)
            assert isinstance(group, TyperGroup)
            return group
        single = _typer()
        single.command(cmd_name, cls=getattr(module, "COMMANDS", {}).get(cmd_name, TyperCommand))(
            getattr(module, cmd_name.replace("-", "_"))
        )
        command = get_command(single)
        assert isinstance(command, TyperCommand)
        return command

    def format_commands(self, ctx: Context, formatter: HelpFormatter) -> None:
        """Write the verbs without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, verb.help) for name, verb in _VERBS.items()])


def _typer() -> typer.Typer:
    return typer.Typer(
        name="assay",
        cls=_Verbs,
        rich_markup_mode=None,
        add_completion=False,
        pretty_exceptions_enable=False,
        context_settings=SETTINGS,
    )


def _command() -> TyperGroup:
    app = _typer()
    app.callback(epilog="`assay VERB --help` shows the options of a verb.")(_assay)
    command = get_command(app)
    assert isinstance(command, TyperGroup)
    return command


def command_line() -> NoReturn:
    """The program `assay`: one command, and an end without delay."""
    leave(main())


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code.

    What assay does not expect is left to `sys.excepthook`, which prints one sentence and lets Python exit with 1.
    """
    sys.excepthook = _internal_error
    if argv is None:
        # Whoever ends a job politely gets what Ctrl-C gives; while training, a checkpoint to go on from.
        signal.signal(signal.SIGTERM, signal.default_int_handler)
    arguments = list(sys.argv[1:] if argv is None else argv) or ["--help"]
    try:
        code = _run(arguments)
        sys.stdout.flush()
    except AssayError as error:
        return _say(_with_notes(str(error), error), error.exit_code)
    except KeyboardInterrupt as error:
        return _say(_with_notes("interrupted before the work was done.", error), INTERRUPTED)
    except BrokenPipeError:
        _let_go_of_stdout()
        return PIPE_CLOSED
    except OSError as error:
        return _say(_with_notes(_system_refusal(error), error), INPUT_ERROR)
    return code


def _run(arguments: list[str]) -> int:
    command = _command()
    try:
        with command.make_context("assay", arguments) as context:
            command.invoke(context)
    except typer.Exit as end:
        return end.exit_code
    except typer.TyperException as error:
        return _say(_usage(error), INPUT_ERROR)
    return 0


def _usage(error: typer.TyperException) -> str:
    """A usage error in one sentence, with the nearest valid name and where to read on."""
    context = getattr(error, "ctx", None)
    path = context.command_path if context is not None else "assay"
    text = error.format_message().rstrip().rstrip(".")
    option = getattr(error, "option_name", None)
    if context is not None and isinstance(option, str) and text.startswith("No such option"):
        text = f"there is no option {option}. {_option_meant(option, context.command.params)}"
    elif text.startswith("No such command"):
        known = _VERBS if context is None else context.command.list_commands(context)
        word = text.removeprefix("No such command ").partition(". ")[0].strip("'\"")
        text = f"there is no command {word!r}. {nearest(word, known)}"
    else:
        text = f"{text[:1].lower()}{text[1:]}."
    return f"{text} `{path} --help` shows what there is."


def _option_meant(option: str, parameters: Sequence[Parameter]) -> str:
    """The option most likely meant; where the verb takes KEY=VALUE, that may be one of a run: `train.lr` for `--lr`."""
    guess = nearest(option, [name for parameter in parameters for name in parameter.opts])
    if guess.startswith("Did you mean") or all(parameter.metavar != "KEY=VALUE" for parameter in parameters):
        return guess
    from assay.compose.check import nearest_option  # pydantic, which --help does without

    key = nearest_option(option.strip("-").replace("-", "_"))
    return f"Options of a run are KEY=VALUE, without dashes. {key}" if key.startswith("Did you mean") else guess


def _system_refusal(error: OSError) -> str:
    """What the operating system said no to; anything not known to be the user's to mend is raised again.

    Raises:
        OSError: the error is of another kind.
    """
    place = f" ({error.filename})" if error.filename else ""
    if error.errno in _DISK_FULL:
        return f"there must be room on the disk, but it is full{place}. Free some space and run this again."
    if error.errno in _NOT_ALLOWED:
        return f"the path must be open to you, but the system says: {error.strerror}{place}. Check its permissions."
    raise error


def _with_notes(text: str, error: BaseException) -> str:
    """The text and what was noted on the error on its way here, such as how to go on."""
    return " ".join([text, *getattr(error, "__notes__", ())])


def _say(text: str, code: int) -> int:
    sys.stderr.write(f"error: {text}\n")
    return code


def _let_go_of_stdout() -> None:
    """Send what is still buffered nowhere, so that Python does not complain at exit."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())


def _internal_error(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    if os.environ.get("ASSAY_TRACEBACK") == "1":
        sys.__excepthook__(kind, error, trace)
        return
    first = (str(error).splitlines() or [""])[0]
    sys.stderr.write(
        f"internal error: {kind.__name__}: {first}\n"
        "This is a fault in assay, not in what you gave. Run it again with ASSAY_TRACEBACK=1 in the environment and "
        "report what it prints.\n" + "".join(f"{note}\n" for note in getattr(error, "__notes__", ()))
    )
