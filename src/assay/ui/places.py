"""Where the runs, studies and comparisons of a folder are, found by the files that mark them; nothing is read here."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from assay.bundle.manifest import MANIFEST, REPORT

Mark = Literal["run", "unfinished", "study", "comparison", "synthetic rows"]

#: Files that mark a directory. The modules that write them have the same names, but load torch; a test compares them.
STUDY, BENCH, CELLS, QUALITY, QUALITY_PAGE = "study.json", "bench.json", "cells", "quality.json", "quality.html"
#: Folders that are looked into, and how deep, before the page says that there are more.
MOST_FOLDERS, DEEPEST = 20_000, 8
_SKIPPED = {"node_modules", "__pycache__", "site-packages"}


@dataclass(frozen=True)
class Place:
    """A directory that is worth a row, and why."""

    path: Path
    mark: Mark


def find(root: Path) -> tuple[list[Place], bool]:
    """The directories below `root` that are worth a row, and whether there were too many to look into all."""
    places: list[Place] = []
    folders, looked = [(root, 0)], 0
    while folders:
        folder, depth = folders.pop()
        looked += 1
        if looked > MOST_FOLDERS:
            return places, True
        within, mark = _look(folder)
        if folder != root:
            places += [] if mark is None else [Place(folder, mark)]
            if mark in ("run", "unfinished"):
                continue
        if depth < DEEPEST:
            folders += [(each, depth + 1) for each in within]
    return places, False


def is_run(path: Path) -> bool:
    """Whether a directory is that of a finished run, or a bundle."""
    return (path / REPORT).is_file() or (path / "model" / MANIFEST).is_file()


def is_unfinished(path: Path) -> bool:
    """Whether a directory has the name of a run that is not whole."""
    return path.name.startswith(".") and path.name.endswith(".partial")


def final_name(path: Path) -> str:
    """The name that a run which is not whole will have."""
    return path.name[1 : -len(".partial")]


def _look(folder: Path) -> tuple[list[Path], Mark | None]:
    """The folders in a folder, links and hidden ones left out, and what the folder itself is."""
    within, files = [], set()
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                path = Path(entry.path)
                if not entry.is_dir(follow_symlinks=False):
                    files.add(entry.name)
                elif entry.name not in _SKIPPED and (not entry.name.startswith(".") or is_unfinished(path)):
                    within.append(path)
    except OSError:  # gone meanwhile, or not ours to read
        return [], None
    return within, _mark(folder, files)


def _mark(folder: Path, files: set[str]) -> Mark | None:
    if is_unfinished(folder):
        return "unfinished"
    if STUDY in files:
        return "study"
    if BENCH in files:
        return "comparison"
    if {QUALITY, QUALITY_PAGE} <= files:
        return "synthetic rows"
    return "run" if is_run(folder) else None
