"""The directory of a run: whole or not there at all."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from assay.errors import ConfigError

RUNS = Path("runs")


@contextmanager
def staged(out: Path | None, name: str) -> Iterator[tuple[Path, Path]]:
    """A fresh directory beside the final one; it takes the final name when the block ends well, else it is removed.

    Args:
        out: the directory asked for, or None for the next free `runs/<name>-<n>`.
        name: of the data, for the default.

    Yields:
        The directory to write into, and the final one.

    Raises:
        ConfigError: the directory exists already, or cannot be made.
    """
    final = next_run(name) if out is None else out
    try:
        taken = final.exists() or final.is_symlink()
    except OSError as error:  # such as a name that is too long
        raise _not_writable(final, error) from None
    if taken:
        raise ConfigError(
            "the output directory must not exist yet",
            f"{str(final)!r} is already there",
            "Name another one with --out, or remove it first.",
        )
    missing = _missing_parents(final)
    staging = final.with_name(f"{_partial(final)}{os.getpid()}")
    try:
        try:
            staging.mkdir(parents=True)
        except OSError as error:
            raise _not_writable(final, error) from None
        yield staging, final
        try:
            staging.rename(final)
        except OSError as error:
            raise _not_writable(final, error) from None
    except BaseException:
        shutil.rmtree(staging, ignore_errors=True)
        for parent in missing:
            with suppress(OSError):  # not made, or another run uses it
                parent.rmdir()
        raise


@contextmanager
def scratch(directory: Path | None = None) -> Iterator[Path]:
    """A folder for what is too large for memory, removed at the end whatever happens.

    It lies within `directory`, whose disk is to hold the run's files anyway - a system's temporary folder is memory on
    many machines; without one it lies there nevertheless.
    """
    with tempfile.TemporaryDirectory(prefix=".scratch-", dir=directory, ignore_cleanup_errors=True) as folder:
        yield Path(folder)


def _partial(final: Path) -> str:
    """What the names of the fresh directories beside `final` begin with."""
    return f".{final.name}.partial-"


def _not_writable(final: Path, error: OSError) -> ConfigError:
    return ConfigError(
        "the output directory must be writable and stay free during the run",
        f"{error.strerror or error} ({str(final)!r})",
        "Name another place with --out.",
    )


def next_run(name: str) -> Path:
    """The first free directory `runs/<name>-<n>`, n from 1; one that another run is about to fill is not free."""
    word = re.sub(r"[^\w.-]+", "-", name).strip("-.") or "run"
    taken = [path.name for path in RUNS.iterdir()] if RUNS.is_dir() else []
    number = 1
    while any(entry == f"{word}-{number}" or entry.startswith(_partial(RUNS / f"{word}-{number}")) for entry in taken):
        number += 1
    return RUNS / f"{word}-{number}"


def _missing_parents(path: Path) -> list[Path]:
    """The directories above `path` that do not exist yet, the innermost first."""
    return [parent for parent in path.parents if not parent.exists()]
