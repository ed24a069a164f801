"""The directory of a run: whole or not there at all."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
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
    if final.exists():
        raise ConfigError(
            "the output directory must not exist yet",
            f"{str(final)!r} is already there",
            "Name another one with --out, or remove it first.",
        )
    made = _first_missing(final.parent)
    staging = final.with_name(f".{final.name}.partial-{os.getpid()}")
    try:
        staging.mkdir(parents=True)
    except OSError as error:
        raise ConfigError(
            "the output directory must be writable",
            f"{error.strerror or error} ({str(final.parent)!r})",
            "Name another place with --out.",
        ) from None
    try:
        yield staging, final
        staging.rename(final)
    except BaseException:
        shutil.rmtree(staging, ignore_errors=True)
        if made is not None and made.is_dir() and not any(made.iterdir()):
            made.rmdir()
        raise


def next_run(name: str) -> Path:
    """The first free directory `runs/<name>-<n>`, n from 1."""
    word = re.sub(r"[^\w.-]+", "-", name).strip("-.") or "run"
    number = 1
    while (found := RUNS / f"{word}-{number}").exists():
        number += 1
    return found


def _first_missing(directory: Path) -> Path | None:
    """The topmost directory of the path that does not exist yet."""
    missing = None
    while not directory.exists() and directory != directory.parent:
        missing, directory = directory, directory.parent
    return missing
