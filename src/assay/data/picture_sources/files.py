"""Folders, zip archives and arrays of pictures to tables with a place and a label for each picture.

Nothing is unpacked to disk.
"""

from __future__ import annotations

import os
import struct
import zipfile
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final

import polars as pl

from assay.data.findings import Finding, Severity, count_of, named
from assay.data.pictures.arrays import (
    BETWEEN,
    IMAGE,
    LABEL,
    PARTS,
    ArrayTables,
    is_idx,
    of_arrays,
    of_idx,
    of_idx_folder,
)
from assay.data.pictures.arrays import ENDINGS as ARRAYS
from assay.errors import DataError

#: Endings of the files that are taken for pictures.
ENDINGS: Final = frozenset({".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".webp", ".bmp", ".tif", ".tiff", ".gif"})
_CLUTTER: Final = frozenset({"thumbs.db", "desktop.ini", "__macosx"})
_EXPECTED = (
    "Give a folder (or a .zip) with a folder of pictures for each class, if you like within train, valid and test; "
    "or a table with a column of paths and one of labels."
)


@dataclass(frozen=True)
class PictureTables:
    """The pictures of a source.

    parts: `train`, `valid` and `test` where the source has them, else `data` alone; each with the columns `image`
        (places) and, where there are labels, `label`.
    kind: what the source is, in words. notes and findings: what was left out, and what is odd about the classes.
    """

    parts: dict[str, pl.DataFrame]
    kind: str
    notes: tuple[str, ...] = ()
    findings: tuple[Finding, ...] = ()


def read_pictures(source: str | Path) -> PictureTables:
    """The tables of a folder, a .zip of one, .npy or .npz arrays, or idx files (as of MNIST), one or a folder of them.

    Raises:
        DataError: there is nothing there, it is damaged, or it is laid out in another way.
    """
    path = Path(source)
    if not path.exists():
        raise DataError(f"{path} must exist", "there is no such file or folder", "Check the path.")
    try:
        if path.is_dir():
            made = of_idx_folder(path)
            if made is not None:
                return of_array_tables(made, path.name)
            return _laid_out(_files_of(path), path.name, lambda name: str(path / name), "folder")
        ending = path.suffix.casefold()
        if ending == ".zip":
            return _laid_out(
                _members_of(path), path.name, lambda name: f"{path}{BETWEEN}{name}", "zip archive of folders"
            )
        if ending in ARRAYS:
            return of_array_tables(of_arrays(path), path.name)
        if is_idx(path.name):
            return of_array_tables(of_idx(path), path.name)
    except OSError as error:
        raise DataError(f"{path} must be readable", str(error.strerror or error), "Check its permissions.") from None
    raise DataError(
        "pictures must come as a folder, a .zip, .npy, .npz, .safetensors or idx files",
        f"this is {path.name!r}",
        _EXPECTED,
    )


def of_array_tables(made: ArrayTables, name: str) -> PictureTables:
    """The tables of arrays, with what is odd about their classes.

    Raises:
        DataError: there is but one class.
    """
    findings = _class_findings(made.frames, name) if made.has_classes else ()
    return PictureTables(made.frames, made.kind, made.notes, findings)


# Folders and archives


@dataclass(frozen=True)
class _Listed:
    """Files by their names below the root, with / between; `folders` are all folders, even empty ones."""

    files: Sequence[str]
    folders: Sequence[str]


def _files_of(root: Path) -> _Listed:
    files: list[str] = []
    folders: list[str] = []
    for folder, inner, names in os.walk(root):
        below = Path(folder).relative_to(root)
        files += [(below / name).as_posix() for name in names]
        folders += [(below / name).as_posix() for name in inner]
    return _Listed(files, folders)


def _members_of(path: Path) -> _Listed:
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
    except (zipfile.BadZipFile, EOFError, struct.error, ValueError) as error:
        raise DataError(
            f"{path.name} must be a whole .zip file", f"it is damaged ({error})", "Copy or download it anew."
        ) from None
    for member in members:
        parts = PurePosixPath(member.filename).parts
        if member.filename.startswith(("/", "\\")) or ".." in parts or "\\" in member.filename:
            raise DataError(
                f"every file of {path.name} must lie within it",
                f"{member.filename!r} would lead out of it",
                "Such archives are made to overwrite files. Pack the folder anew with a program you trust.",
            )
        if member.flag_bits & 1:
            raise DataError(
                f"{path.name} must be readable", f"its file {member.filename!r} is encrypted", "Pack it without."
            )
    plain = [member.filename for member in members if not member.is_dir()]
    folders = {member.filename.rstrip("/") for member in members if member.is_dir()}
    folders |= {parent.as_posix() for name in plain for parent in PurePosixPath(name).parents if parent.name}
    return _Listed(plain, sorted(folders))


def _laid_out(listed: _Listed, name: str, place: Callable[[str], str], kind: str) -> PictureTables:
    """The tables of files in folders."""
    pictures, notes = _sorted_out(sorted(listed.files), name)
    if not pictures:
        endings = Counter(PurePosixPath(file).suffix.casefold() or "none" for file in listed.files)
        came = f"it holds {count_of(len(listed.files), 'file')}" + (f": {named(endings)}" if endings else "")
        raise DataError(f"{name} must hold pictures ({', '.join(sorted(ENDINGS))})", came, _EXPECTED)
    folders = [PurePosixPath(folder).parts for folder in listed.folders if not _is_hidden(folder)]
    paths = [PurePosixPath(picture).parts for picture in pictures]
    root = _root(paths)
    depth = len(root)
    if any(len(path) == depth + 1 for path in paths):
        loose = sum(len(path) == depth + 1 for path in paths)
        raise DataError(
            f"every picture of {name} must lie in the folder of its class",
            f"{count_of(loose, 'picture')} of {len(paths):,} lie beside no class, such as {paths[0][-1]!r}"
            if loose == len(paths)
            else f"{count_of(loose, 'picture')} of {len(paths):,} lie beside the folders of classes",
            _EXPECTED,
        )
    parts = _parts_of(paths, depth, name)
    labels_at = depth if parts is None else depth + 1
    kept = [
        (path[depth] if parts else "", path[labels_at], picture) for path, picture in zip(paths, pictures, strict=True)
    ]
    frames: dict[str, pl.DataFrame] = {}
    for part in dict.fromkeys(parts.values()) if parts else ("data",):
        rows = sorted((label, file) for top, label, file in kept if parts is None or parts[top] == part)
        frames[part] = pl.DataFrame(
            {IMAGE: [place(file) for _, file in rows], LABEL: [label for label, _ in rows]},
            schema={IMAGE: pl.String, LABEL: pl.String},
        )
    empty = _empty_classes(folders, paths, root, labels_at, parts)
    return PictureTables(frames, kind, tuple(notes), _class_findings(frames, name, empty))


def _sorted_out(files: Iterable[str], name: str) -> tuple[list[str], list[str]]:
    """The pictures among the files, and notes on the others."""
    pictures, others, hidden = [], Counter[str](), 0
    for file in files:
        ending = PurePosixPath(file).suffix.casefold()
        if _is_hidden(file):
            hidden += 1
        elif ending in ENDINGS:
            pictures.append(file)
        else:
            others[ending or "none"] += 1
    for picture in pictures:
        if not picture.isprintable() and any("\ud800" <= letter <= "\udfff" for letter in picture):
            raise DataError(
                "names of files must be UTF-8",
                f"one of {name} is {os.fsencode(picture)!r}",
                "Rename it: a table cannot hold such a name.",
            )
    notes = []
    if others:
        notes.append(f"{count_of(sum(others.values()), 'file')} of other endings left out: {named(others)}")
    if hidden:
        notes.append(f"{count_of(hidden, 'hidden file')} left out")
    return pictures, notes


def _is_hidden(file: str) -> bool:
    return any(part.startswith(".") or part.casefold() in _CLUTTER for part in PurePosixPath(file).parts)


def _root(paths: Sequence[tuple[str, ...]]) -> tuple[str, ...]:
    """The folder that holds the parts or the classes: archives often hold one folder with all others in it."""
    depth = 0
    while True:
        tops = {path[depth] for path in paths}
        inner = all(len(path) > depth + 2 for path in paths)
        if len(tops) > 1 or not inner or _part(next(iter(tops))) == "train":
            return paths[0][:depth]
        depth += 1


def _part(folder: str) -> str | None:
    return PARTS.get(folder.casefold())


def _parts_of(paths: Sequence[tuple[str, ...]], depth: int, name: str) -> dict[str, str] | None:
    """The part that each folder below the root is, or None where these are classes.

    A folder `train` that holds pictures itself is the class of trains.
    """
    deep = {path[depth] for path in paths if len(path) > depth + 2}
    tops = {path[depth] for path in paths}
    found = {top: part for top in sorted(tops) if (part := _part(top))}
    if not any(part == "train" and top in deep for top, part in found.items()):
        return None
    others = sorted(tops - found.keys())
    if others:
        raise DataError(
            f"beside the folder of training pictures, {name} must hold validation and test ones only",
            f"there is also {', '.join(map(repr, others[:5]))}",
            f"Move it away. {_EXPECTED}",
        )
    flat = sorted({path[depth] for path in paths if len(path) == depth + 2})
    if flat:
        raise DataError(
            "every picture of a part must lie in the folder of its class",
            f"some lie in {flat[0]!r} itself",
            _EXPECTED,
        )
    if len(set(found.values())) < len(found):
        raise DataError(f"{name} must hold each part once", f"there are {', '.join(found)}", "Join these folders.")
    order = ("train", "valid", "test")
    return dict(sorted(found.items(), key=lambda item: order.index(item[1])))


def _empty_classes(
    folders: Iterable[tuple[str, ...]],
    paths: Sequence[tuple[str, ...]],
    root: tuple[str, ...],
    labels_at: int,
    parts: dict[str, str] | None,
) -> list[str]:
    """Folders of classes that hold no picture."""
    full = {path[: labels_at + 1] for path in paths}
    of_classes = [f for f in folders if len(f) == labels_at + 1 and f[: len(root)] == root]
    if parts is not None:
        of_classes = [f for f in of_classes if f[len(root)] in parts]
    return sorted("/".join(folder[len(root) :]) for folder in of_classes if folder not in full)


def _class_findings(frames: dict[str, pl.DataFrame], name: str, empty: Sequence[str] = ()) -> tuple[Finding, ...]:
    """What is odd about the classes.

    Raises:
        DataError: there is but one.
    """
    check = "audit.picture-classes"
    found: list[Finding] = []
    if empty:
        what = f"{count_of(len(empty), 'folder')} of classes without a picture: {', '.join(map(repr, empty[:8]))}"
        do = "These classes cannot be learned or tested. Remove the folders, or look where their pictures are."
        found.append(Finding(check=check, severity=Severity.WARNING, what=what, do=do, count=len(empty)))
    counts = {part: dict(frame[LABEL].value_counts().iter_rows()) for part, frame in frames.items() if LABEL in frame}
    if not counts:
        return tuple(found)
    learned = next(iter(counts))
    if len(counts[learned]) == 1:
        raise DataError(
            f"{name} must hold two classes or more",
            f"all {len(frames[learned]):,} pictures are of {next(iter(counts[learned]))!r}",
            "Give pictures of another class, too: a folder of pictures for each class, or labels that differ.",
        )
    single = sorted(str(label) for label, count in counts[learned].items() if count == 1)
    if single:
        what = f"{count_of(len(single), 'class') if len(single) == 1 else f'{len(single)} classes'} of one picture: "
        what += ", ".join(map(repr, single[:8]))
        do = "One picture can be learned or tested, not both. Give more, or join classes."
        found.append(Finding(check=check, severity=Severity.WARNING, what=what, do=do, count=len(single)))
    for part, own in list(counts.items())[1:]:
        unknown = sorted(str(label) for label in own.keys() - counts[learned].keys())
        if unknown:
            rows = sum(own[label] for label in own.keys() - counts[learned].keys())
            what = f"{count_of(rows, 'picture')} of the {part} part are of classes without training pictures: "
            what += ", ".join(map(repr, unknown[:8]))
            do = "No model can answer with these classes. Check the spelling of the folders."
            found.append(Finding(check=check, severity=Severity.SERIOUS, what=what, do=do, count=rows, part=part))
    return tuple(found)
