"""Folders, zip archives and arrays of pictures to tables with a place and a label for each picture.

A place is a path, or within a container `file.zip::member`, `file.npy::7` or `file.npz::images::7`; `Places` gets what
is there. Nothing is unpacked to disk.
"""

from __future__ import annotations

import gzip
import math
import os
import struct
import threading
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Final, TypeAlias

import numpy as np
import polars as pl

from assay.data.findings import Finding, Severity, count_of, named
from assay.data.pictures import MOST_BYTES, Damaged, Fault
from assay.errors import DataError

#: Endings of the files that are taken for pictures.
ENDINGS: Final = frozenset({".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".webp", ".bmp", ".tif", ".tiff", ".gif"})
#: The columns of a table of pictures.
IMAGE, LABEL = "image", "label"
#: What parts are called as folders, as files and in arrays.
_PARTS: Final = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("valid", "val", "validation", "dev"), "valid"),
    **dict.fromkeys(("test", "testing", "t10k"), "test"),
}
_BETWEEN: Final = "::"
_CLUTTER: Final = frozenset({"thumbs.db", "desktop.ini", "__macosx"})
#: What arrays of pictures and of labels are called.
_IMAGES: Final = ("images", "image", "x", "data", "pictures")
_LABELS: Final = ("labels", "label", "y", "targets", "target")
#: The types of idx files: LeCun, The MNIST database, "File formats".
_IDX_TYPES: Final = {8: ">u1", 9: ">i1", 11: ">i2", 12: ">i4", 13: ">f4", 14: ">f8"}
_EXPECTED = (
    "Give a folder (or a .zip) with a folder of pictures for each class, if you like within train, valid and test; "
    "or a table with a column of paths and one of labels."
)

Fetched: TypeAlias = "bytes | Path | np.ndarray | Damaged"


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
            return _idx_folder(path) or _laid_out(_files_of(path), path.name, lambda name: str(path / name), "folder")
        ending = path.suffix.casefold()
        if ending == ".zip":
            return _laid_out(
                _members_of(path), path.name, lambda name: f"{path}{_BETWEEN}{name}", "zip archive of folders"
            )
        if ending in (".npy", ".npz"):
            return _of_arrays(path)
        if _is_idx(path.name):
            return _of_idx(path)
    except OSError as error:
        raise DataError(f"{path} must be readable", str(error.strerror or error), "Check its permissions.") from None
    raise DataError(
        "pictures must come as a folder, a .zip, .npy, .npz or idx files", f"this is {path.name!r}", _EXPECTED
    )


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
    return _PARTS.get(folder.casefold())


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
            _EXPECTED,
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


# Arrays


def _of_arrays(path: Path) -> PictureTables:
    """Tables of a .npy array, with labels in a file beside it if there is one, or of the arrays of a .npz."""
    if path.suffix.casefold() == ".npy":
        images = _loaded(path)
        _check_images(images, path.name)
        beside = [path.with_name(path.name.replace(one, other)) for one, other in zip(_IMAGES, _LABELS, strict=True)]
        labels = next((_loaded(other) for other in beside if other != path and other.is_file()), None)
        frames = {"data": _table(f"{path}{_BETWEEN}", len(images), labels, path.name)}
        return PictureTables(frames, "NumPy array", (), _class_findings(frames, path.name))
    archive = _loaded(path)
    roles = _roles(archive.files)
    frames = {}
    for part in ("data", "train", "valid", "test"):
        if (part, "images") in roles:
            key = roles[part, "images"]
            images = _member(archive, key, path.name)
            _check_images(images, f"{key!r} of {path.name}")
            labels = _member(archive, roles[part, "labels"], path.name) if (part, "labels") in roles else None
            frames[part] = _table(f"{path}{_BETWEEN}{key}{_BETWEEN}", len(images), labels, path.name)
    if not frames or ("data" in frames and len(frames) > 1) or ("data" not in frames and "train" not in frames):
        raise DataError(
            f"{path.name} must hold images and labels, or train_images and train_labels and so on",
            f"it holds {', '.join(map(repr, archive.files[:8])) or 'nothing'}",
            "Name the arrays so: images or x, labels or y, with train, valid and test before or behind.",
        )
    return PictureTables(frames, "NumPy arrays", (), _class_findings(frames, path.name))


def _roles(names: Iterable[str]) -> dict[tuple[str, str], str]:
    """Which array is what: `x_train` and `train_images` are the images of the training part."""
    roles: dict[tuple[str, str], str] = {}
    for name in names:
        words = name.casefold().split("_")
        part = next((_PARTS[word] for word in words if word in _PARTS), "data")
        rest = [word for word in words if word not in _PARTS]
        if len(rest) == 1:
            kind = "images" if rest[0] in _IMAGES else "labels" if rest[0] in _LABELS else None
            if kind is not None:
                roles.setdefault((part, kind), name)
    return roles


def _loaded(path: Path) -> Any:  # noqa: ANN401  # an array, or an archive of them
    try:
        return np.load(path, mmap_mode="r" if path.suffix.casefold() == ".npy" else None, allow_pickle=False)
    except (ValueError, EOFError, zipfile.BadZipFile, zlib.error, struct.error, SyntaxError) as error:
        raise DataError(
            f"{path.name} must be a whole file of NumPy arrays of numbers",
            f"it cannot be read ({error})",
            "Save it anew with numpy.save or numpy.savez; arrays of objects hold pickles, which are never opened.",
        ) from None


def _member(archive: Any, key: str, name: str) -> np.ndarray:  # noqa: ANN401  # NumPy's NpzFile
    try:
        return np.asarray(archive[key])
    except (ValueError, EOFError, zipfile.BadZipFile, zlib.error, struct.error, SyntaxError) as error:
        raise DataError(
            f"the array {key!r} of {name} must be whole and of numbers",
            f"it cannot be read ({error})",
            "Save it anew with numpy.savez; arrays of objects hold pickles, which are never opened.",
        ) from None


def _check_images(images: np.ndarray, name: str) -> None:
    if images.ndim not in (3, 4) or len(images) == 0 or (images.ndim == 4 and images.shape[3] not in (1, 3, 4)):
        raise DataError(
            f"{name} must have the shape (pictures, height, width) or (pictures, height, width, 1, 3 or 4 channels)",
            f"it has {images.shape}",
            "If channels come first, move them: numpy.moveaxis(images, 1, -1).",
        )
    if images.dtype not in (np.uint8, np.uint16):
        raise DataError(
            f"{name} must hold uint8 or uint16",
            f"it holds {images.dtype}",
            "Scale it: (255 * images).round().astype('uint8') if its values run from 0 to 1.",
        )


def _table(before: str, count: int, labels: np.ndarray | None, name: str) -> pl.DataFrame:
    frame = pl.DataFrame({IMAGE: [f"{before}{row}" for row in range(count)]}, schema={IMAGE: pl.String})
    if labels is None:
        return frame
    labels = labels.reshape(-1) if labels.ndim == 2 and labels.shape[1] == 1 else labels
    if labels.shape != (count,):
        raise DataError(
            f"{name} must hold a label for each picture",
            f"it has {count:,} pictures and labels of shape {labels.shape}",
            "Give labels of shape (pictures,).",
        )
    return frame.with_columns(pl.Series(LABEL, np.ascontiguousarray(labels)).cast(pl.String))


# idx files


def _is_idx(name: str) -> bool:
    plain = name.casefold().removesuffix(".gz")
    return plain.endswith(("-ubyte", ".idx")) or "-idx" in plain


def _idx_folder(folder: Path) -> PictureTables | None:
    """The tables of a folder of idx files, None where there are none."""
    images = sorted(path for path in folder.iterdir() if _is_idx(path.name) and "images" in path.name.casefold())
    parts: dict[str, Path] = {}
    for path in images:
        word = path.name.casefold().partition("-")[0]
        parts.setdefault(_PARTS.get(word, "data"), path)
    if not parts:
        return None
    if "train" not in parts and len(parts) > 1:
        raise DataError(
            f"{folder.name} must hold training pictures",
            f"it holds {', '.join(path.name for path in images)}",
            _EXPECTED,
        )
    order = [part for part in ("train", "valid", "test", "data") if part in parts]
    frames: dict[str, pl.DataFrame] = {part: _idx_table(parts[part]) for part in order}
    if list(frames) == ["test"]:
        frames = {"data": frames["test"]}
    return PictureTables(frames, "idx files", (), _class_findings(frames, folder.name))


def _of_idx(path: Path) -> PictureTables:
    frames = {"data": _idx_table(path)}
    return PictureTables(frames, "idx file", (), _class_findings(frames, path.name))


def _idx_table(path: Path) -> pl.DataFrame:
    images = _read_idx(path)
    _check_images(images, path.name)
    name = path.name
    for one, other in (("images", "labels"), ("idx3", "idx1")):
        name = name.replace(one, other)
    beside = [path.with_name(name), path.with_name(name.removesuffix(".gz")), path.with_name(f"{name}.gz")]
    labels = next((_read_idx(other) for other in beside if other != path and other.is_file()), None)
    return _table(f"{path}{_BETWEEN}", len(images), labels, path.name)


def _read_idx(path: Path) -> np.ndarray:
    """The array of an idx file, plain or within .gz; no more is read than its header says."""
    try:
        with gzip.open(path) if path.suffix.casefold() == ".gz" else path.open("rb") as file:
            zero, kind, axes = struct.unpack(">HBB", file.read(4))
            if zero != 0 or kind not in _IDX_TYPES or not 1 <= axes <= 4:
                raise ValueError("it does not begin as an idx file")
            shape = struct.unpack(f">{axes}I", file.read(4 * axes))
            dtype = np.dtype(_IDX_TYPES[kind])
            size = math.prod(shape) * dtype.itemsize
            plain = path.suffix.casefold() != ".gz"
            if plain and path.stat().st_size - 4 - 4 * axes != size:
                raise ValueError(f"its header says {size:,} bytes and {path.stat().st_size - 4 - 4 * axes:,} follow")
            if plain:
                return np.memmap(path, dtype, "r", offset=4 + 4 * axes, shape=shape)
            # The header may claim any size, so room is made as data comes.
            data = bytearray()
            while len(data) < size and (piece := file.read(min(1 << 22, size - len(data)))):
                data += piece
            if len(data) != size or file.read(1):
                raise ValueError(
                    f"its header says {size:,} bytes and {'more' if len(data) == size else len(data)} follow"
                )
            return np.frombuffer(data, dtype).reshape(shape)
    except (ValueError, EOFError, struct.error, zlib.error, gzip.BadGzipFile) as error:
        raise DataError(
            f"{path.name} must be a whole idx file", f"it cannot be read ({error})", "Download it anew."
        ) from None


# Places


def seen_from(folder: Path, places: pl.Series) -> pl.Series:
    """Relative places as seen from `folder`, such as that of the table they stand in; absolute ones as they are."""
    joined = [None if place is None else str(folder / place) for place in places]
    return pl.Series(places.name, joined, dtype=pl.String)


class Places:
    """Gets what lies at places; containers stay open until `close`. May be used from several threads."""

    def __init__(self) -> None:
        self._archives: dict[str, zipfile.ZipFile] = {}
        self._arrays: dict[str, np.ndarray] = {}
        self._lock = threading.Lock()

    def __enter__(self) -> Places:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close all containers."""
        for archive in self._archives.values():
            archive.close()
        self._archives.clear()
        self._arrays.clear()

    def get(self, place: str) -> Fetched:
        """What `pictures.decode` takes: the bytes, path or pixels at a place, or why there is nothing."""
        container, between, member = place.partition(_BETWEEN)
        try:
            if not between or Path(place).exists():
                return Path(place)
            if container.casefold().endswith(".zip"):
                return self._unpacked(container, member)
            return self._array(container, member)
        except DataError as error:
            return Damaged(Fault.DAMAGED, error.came)
        except (OSError, KeyError, ValueError, IndexError) as error:
            return Damaged(Fault.MISSING, f"it cannot be read ({error})")

    def stamp(self, place: str) -> str:
        """What changes when the file at a place does: size and time of change, of a zip member its checksum."""
        container, between, member = place.partition(_BETWEEN)
        try:
            if between and container.casefold().endswith(".zip") and not Path(place).exists():
                info = self._archive(container).getinfo(member)
                return f"{info.file_size} {info.CRC}"
            status = Path(container if between and not Path(place).exists() else place).stat()
        except (OSError, KeyError, ValueError, DataError):
            return "missing"
        return f"{status.st_size} {status.st_mtime_ns}"

    def _unpacked(self, container: str, member: str) -> bytes | Damaged:
        archive = self._archive(container)
        info = archive.getinfo(member)
        if info.file_size > MOST_BYTES:
            return Damaged(Fault.TOO_LARGE, f"it unpacks to {info.file_size:,} bytes, more than {MOST_BYTES:,}")
        try:
            return archive.read(info)  # which stops at the size that was just looked at
        except (zipfile.BadZipFile, EOFError, zlib.error, NotImplementedError, RuntimeError) as error:
            return Damaged(Fault.DAMAGED, f"it is damaged within the archive ({error})")

    def _archive(self, container: str) -> zipfile.ZipFile:
        with self._lock:
            if container not in self._archives:
                try:
                    self._archives[container] = zipfile.ZipFile(container)
                except zipfile.BadZipFile as error:
                    raise ValueError(f"{container} is no .zip file: {error}") from None
            return self._archives[container]

    def _array(self, container: str, member: str) -> np.ndarray:
        key, _, row = member.rpartition(_BETWEEN)
        name = f"{container}{_BETWEEN}{key}"
        with self._lock:
            if name not in self._arrays:
                path = Path(container)
                if path.suffix.casefold() == ".npy":
                    self._arrays[name] = _loaded(path)
                elif path.suffix.casefold() == ".npz":
                    with _loaded(path) as archive:
                        self._arrays[name] = _member(archive, key, path.name)
                else:
                    self._arrays[name] = _read_idx(path)
            return np.asarray(self._arrays[name][int(row)])
