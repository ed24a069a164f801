"""The directory of a run: whole under its name, or not there at all.

While a run is made, `NAME` is `.NAME.partial` beside it: the request, checkpoints and epochs, at last the model and the
report. A lock that dies with its process keeps a second run out. A run that was ended can be gone on with from what it
left there; what cannot be gone on with is removed.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from assay.errors import BundleError, CheckpointError, ConfigError, GateError, nearest
from assay.locking import LOCK, is_locked, locked

RUNS = Path("runs")
REQUEST, METRICS = "request.json", "metrics.jsonl"
_CHECKPOINTS = "checkpoints"
#: What a run that goes on finds again; the rest of a half-finished end is made anew.
_TAKEN_UP = (REQUEST, METRICS, _CHECKPOINTS, LOCK)


@dataclass(frozen=True)
class Workspace:
    """Where a run writes until it is whole: `directory`, which becomes `final`; `notes` are for the user."""

    directory: Path
    final: Path
    resumed: bool = False
    notes: tuple[str, ...] = ()

    @property
    def checkpoints(self) -> Path:
        """Where the checkpoints of all networks are."""
        return self.directory / _CHECKPOINTS

    @property
    def metrics(self) -> Path:
        """The epochs, one a line."""
        return self.directory / METRICS

    def write(self, name: str, text: str) -> None:
        """Write a file whole and through to the disk, or leave it as it was."""
        partial = self.directory / f".{name}"
        partial.write_text(text, encoding="utf-8")
        _flush(partial)
        partial.replace(self.directory / name)
        _flush_names(self.directory)


@contextmanager
def staged(final: Path) -> Iterator[Path]:
    """A fresh directory beside `final`; it takes that name when the block ends well, else it is removed.

    Raises:
        ConfigError: the directory exists already, or cannot be made.
    """
    _refuse_taken(final)
    made = missing_parents(final)
    staging = final.with_name(f".{final.name}.partial-{os.getpid()}")
    try:
        try:
            staging.mkdir(parents=True)
        except OSError as error:
            raise _not_writable(final, error) from None
        yield staging
        _take_name(staging, final)
    except BaseException:
        remove_with_parents(staging, made)
        raise


@contextmanager
def opened(out: Path | None, name: str) -> Iterator[Workspace]:
    """The directory of a new run; it takes its final name when the block ends well.

    Ended otherwise, it stays where it holds a checkpoint and no gate said no, else it is removed.

    Args:
        out: the directory asked for, or None for the next free `runs/<name>-<n>`.
        name: of the data, for the default.

    Raises:
        ConfigError: the directory is there, is being written to, cannot be made, or holds a run to go on with.
    """
    final, made = _claimed(out, name)
    directory = partial_of(final)
    with locked(directory) as notes:
        if has_checkpoints(directory):
            raise ConfigError(
                "a new run must begin in a new directory",
                f"the run in {str(final)!r} was ended before it was finished, and its checkpoints are there",
                f"{_sentence(how_to_resume(final))}, or remove {directory}.",
            )
        if _clear(directory, keep=(LOCK,)):
            notes.append(f"what a run had left that was ended before its first checkpoint is removed ({directory})")
        if out is None:
            notes += _unfinished_before(name)
        with _held(Workspace(directory, final, notes=tuple(notes)), made) as workspace:
            yield workspace


@contextmanager
def reopened(path: Path) -> Iterator[Workspace]:
    """The directory of a run that was ended, to go on in.

    Raises:
        ConfigError: there is none, it is finished, or it is being written to.
    """
    final = unfinished(path)
    directory = partial_of(final)
    with locked(directory) as notes:
        _clear(directory, keep=_TAKEN_UP)
        with _held(Workspace(directory, final, resumed=True, notes=tuple(notes)), []) as workspace:
            yield workspace


def unfinished(path: Path) -> Path:
    """The final name of the unfinished run that `path` names, by that name or by the directory it has meanwhile.

    Raises:
        ConfigError: there is none, or it is finished.
    """
    final = _final_of(path)
    if partial_of(final).is_dir():
        if not final.exists():
            return final
        came = f"{str(final)!r} is there beside the unfinished run in {partial_of(final)}"
        raise ConfigError("the name a run is to have must be free", came, f"Move {final} away and resume again.")
    if (final / "model" / "manifest.json").is_file():
        if (final / REQUEST).is_file():  # its process was killed before it could clear up
            _forget(final)
        do = f"`assay show {shlex.quote(str(final))}` shows it."
        raise ConfigError("a run must be unfinished to go on", f"{str(final)!r} is finished", do)
    there = _unfinished_in(final.parent)
    raise ConfigError(
        "there must be an unfinished run to go on with",
        f"there is none at {str(final)!r}",
        nearest(str(final), map(str, there)) if there else "Check the path, or start a new run.",
    )


def refuse_unfinished(path: Path) -> None:
    """Say that a run is not finished, and how to go on, where somebody wants to look at it.

    Raises:
        BundleError: there is only an unfinished run at `path`.
    """
    final = _final_of(path)
    directory = partial_of(final)
    if not directory.is_dir() or (final.exists() and final == path):
        return
    done = _epochs(directory)
    trained = f"after {done:,} epoch{'' if done == 1 else 's'} of training" if done else "before it had trained"
    if is_locked(directory):
        came, do = f"{str(final)!r} is still running", "Wait for its end."
    else:
        came, do = f"{str(final)!r} was ended {trained}", f"{_sentence(how_to_resume(final))}."
    raise BundleError("a run must be finished to be looked at", came, do)


def has_checkpoints(directory: Path) -> bool:
    """Whether there is anything to go on from."""
    return any(not path.suffix for path in (directory / _CHECKPOINTS).rglob("step-*"))


def how_to_resume(final: Path) -> str:
    """In words: `go on with ...`."""
    try:
        content = json.loads((partial_of(final) / REQUEST).read_text("utf-8"))
        objects = content["objects"]
    except (OSError, ValueError, KeyError, TypeError):
        objects = None
    if objects:
        return f"go on in Python with `{call_to_resume(final, objects)}` and the same {' and '.join(objects)}"
    return f"go on with `assay fit --resume {shlex.quote(str(final))}`"


def call_to_resume(final: Path, objects: Sequence[str]) -> str:
    """The call in Python that gives a run again what only its caller has."""
    given = [name if name == "data" else f"{name}={name}" for name in objects]
    return f"assay.fit({', '.join([*given, f'resume={str(final)!r}'])})"


def partial_of(final: Path) -> Path:
    """Where the run that is to be `final` is made."""
    return final.parent / f".{final.name}.partial"


def next_run(name: str) -> Path:
    """The first free directory `runs/<name>-<n>`, n from 1; one that another run is about to fill is not free."""
    taken = {path.name for path in RUNS.iterdir()} if RUNS.is_dir() else set()
    number, word = 1, _word(name)
    while taken & {f"{word}-{number}", partial_of(Path(f"{word}-{number}")).name}:
        number += 1
    return RUNS / f"{word}-{number}"


# Names ----------------------------------------------------------------------------------------------------------------


def _word(name: str) -> str:
    return re.sub(r"[^\w.-]+", "-", name).strip("-.") or "run"


def _final_of(path: Path) -> Path:
    path = path if path.name else path.resolve()
    match = re.fullmatch(r"\.(.+)\.partial", path.name)
    return path.with_name(match[1]) if match else path


def _sentence(words: str) -> str:
    return f"{words[0].upper()}{words[1:]}"


def _unfinished_in(folder: Path) -> list[Path]:
    """The final names of the runs in a folder that can be gone on with."""
    if not folder.is_dir():
        return []
    partials = sorted(path for path in folder.glob(".*.partial") if has_checkpoints(path) and not is_locked(path))
    return [_final_of(path) for path in partials]


def _unfinished_before(name: str) -> list[str]:
    """A note on the runs of the same data that can be gone on with."""
    numbered = re.compile(re.escape(_word(name)) + r"-\d+")
    there = [str(final) for final in _unfinished_in(RUNS) if numbered.fullmatch(final.name)]
    if not there:
        return []
    return [f"{', '.join(there)} {'is' if len(there) == 1 else 'are'} unfinished: {how_to_resume(Path(there[-1]))}"]


def missing_parents(path: Path) -> list[Path]:
    """The directories above `path` that do not exist yet, the innermost first."""
    return [parent for parent in path.parents if not parent.exists()]


def _claimed(out: Path | None, name: str) -> tuple[Path, list[Path]]:
    """The final name of a new run, whose directory is there now, and the parents that were made for it.

    Raises:
        ConfigError: the name is taken, or the directory cannot be made.
    """
    while True:
        final = next_run(name) if out is None else out
        _refuse_taken(final)
        made = missing_parents(final)
        try:
            partial_of(final).mkdir(parents=True, exist_ok=out is not None)
        except OSError as error:
            if out is None and isinstance(error, FileExistsError) and partial_of(final).is_dir():
                continue  # another run took the number meanwhile
            remove_with_parents(partial_of(final), made)
            raise _not_writable(final, error) from None
        return final, made


def _refuse_taken(final: Path) -> None:
    try:
        taken = final.exists() or final.is_symlink()
    except OSError as error:  # such as a name that is too long
        raise _not_writable(final, error) from None
    if taken:
        raise ConfigError(
            "the output directory must not exist yet",
            f"{str(final)!r} is already there",
            "Name another one, or remove it first.",
        )


@contextmanager
def scratch(directory: Path | None = None) -> Iterator[Path]:
    """A folder for what is too large for memory, removed at the end whatever happens.

    It lies within `directory`, whose disk is to hold the run's files anyway - a system's temporary folder is memory on
    many machines; without one it lies there nevertheless.
    """
    with tempfile.TemporaryDirectory(prefix=".scratch-", dir=directory, ignore_cleanup_errors=True) as folder:
        yield Path(folder)


def _not_writable(final: Path, error: OSError) -> ConfigError:
    return ConfigError(
        "the output directory must be writable and stay free meanwhile",
        f"{error.strerror or error} ({str(final)!r})",
        "Name another place.",
    )


# How a run ends -------------------------------------------------------------------------------------------------------


@contextmanager
def _held(workspace: Workspace, made: list[Path]) -> Iterator[Workspace]:
    """Give the directory its name when the block ends well; else keep it where there is something to go on from."""
    directory, final = workspace.directory, workspace.final
    try:
        yield workspace
        _flush_tree(directory)
        _take_name(directory, final)
        _flush_names(final.parent)
        _forget(final)
    except BaseException as error:
        if has_checkpoints(directory) and not isinstance(error, GateError):
            if not isinstance(error, CheckpointError):  # there is nothing whole to go on from
                error.add_note(f"What was trained is kept: {how_to_resume(final)}.")
        else:
            remove_with_parents(directory, made)
        raise


def _take_name(directory: Path, final: Path) -> None:
    try:
        directory.rename(final)
    except OSError as error:
        raise _not_writable(final, error) from None


def _forget(final: Path) -> None:
    """Remove what a finished run has no more use for."""
    shutil.rmtree(final / _CHECKPOINTS, ignore_errors=True)
    for name in (REQUEST, LOCK):
        with suppress(OSError):
            (final / name).unlink()


def remove_with_parents(directory: Path, made: list[Path]) -> None:
    """Remove a directory, and those above it that were made for it and are empty."""
    shutil.rmtree(directory, ignore_errors=True)
    for parent in made:
        with suppress(OSError):  # not made, or another run uses it
            parent.rmdir()


def _clear(directory: Path, *, keep: tuple[str, ...]) -> bool:
    """Remove all but what is to be kept; whether there was anything."""
    found = [path for path in directory.iterdir() if path.name not in keep]
    for path in found:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()
    return bool(found)


def _epochs(directory: Path) -> int:
    try:
        return (directory / METRICS).read_bytes().count(b"\n")
    except OSError:
        return 0


def _flush_tree(directory: Path) -> None:
    """Write the files through to the disk: after a loss of power a name must not stand for empty files."""
    for path in directory.rglob("*"):
        if _CHECKPOINTS not in path.parts[len(directory.parts) :]:
            _flush_names(path) if path.is_dir() else _flush(path)
    _flush_names(directory)


def _flush(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())


def _flush_names(directory: Path) -> None:
    """Write a directory's list of names through to the disk, where its file system can."""
    with suppress(OSError):
        descriptor = os.open(directory, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
