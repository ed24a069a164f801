"""Arrays of pictures and of labels to tables with a place and a label for each picture: NumPy, safetensors, idx files.

Shape legend: n pictures, H height, W width, C channels (1, 3 or 4), L labels.
"""

from __future__ import annotations

import gzip
import json
import math
import struct
import zipfile
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import polars as pl

from assay._imports import require
from assay.errors import DataError

#: The columns of a table of pictures.
IMAGE, LABEL = "image", "label"
#: What parts are called as folders, as files and in arrays.
PARTS: Final = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("valid", "val", "validation", "dev"), "valid"),
    **dict.fromkeys(("test", "testing", "t10k"), "test"),
}
#: Between a container, what is in it, and the row.
BETWEEN: Final = "::"
#: Endings of files of arrays; those of several arrays by name.
ENDINGS: Final = (".npy", ".npz", ".safetensors")
_NAMED: Final = (".npz", ".safetensors")
#: What arrays of pictures and of labels are called.
_IMAGES: Final = ("images", "image", "x", "data", "pictures")
_LABELS: Final = ("labels", "label", "y", "targets", "target")
#: The types of idx files: LeCun, The MNIST database, "File formats".
_IDX_TYPES: Final = {8: ">u1", 9: ">i1", 11: ">i2", 12: ">i4", 13: ">f4", 14: ">f8"}
#: Whole numbers that are taken for classes, if there are no more of them; and numbers that are looked at in one go.
_CLASSES, _AT_ONCE = 20, 1 << 24
_CHANNELS = (1, 3, 4)
_NO_PIXELS = (
    "Scale it: images.round().astype('uint8') if its values run from 0 to 255. Series are lists of numbers in cells "
    "of a table, or in Python arrays with kinds={'x': 'sequence'}."
)
#: What NumPy raises on a file that is damaged, or that holds pickles.
_DAMAGED: Final = (ValueError, EOFError, zipfile.BadZipFile, zlib.error, struct.error, SyntaxError)


@dataclass(frozen=True)
class ArrayTables:
    """Tables of `train`, `valid` and `test`, or of `data` alone.

    has_classes: whether labels are classes, of which a row has one. notes: what pixels were brought to.
    """

    frames: dict[str, pl.DataFrame]
    kind: str
    has_classes: bool
    notes: tuple[str, ...] = ()


def of_arrays(path: Path) -> ArrayTables:
    """Tables of a .npy array, with labels in a file beside it if there is one, or of named arrays.

    Raises:
        DataError: it cannot be read, or holds something else.
    """
    if path.suffix.casefold() == ".npy":
        beside = [path.with_name(path.name.replace(one, other)) for one, other in zip(_IMAGES, _LABELS, strict=True)]
        labels = next((_loaded(other) for other in beside if other != path and other.is_file()), None)
        made = {"data": _Pair(_loaded(path), labels, path.name, f"{path}{BETWEEN}")}
        return _tables(made, "NumPy array", path.name)
    names = _names(path)
    roles = _roles(names)
    made = {}
    for part in ("data", "train", "valid", "test"):
        if (part, "images") in roles:
            key = roles[part, "images"]
            labels = array_at(path, roles[part, "labels"]) if (part, "labels") in roles else None
            made[part] = _Pair(
                array_at(path, key), labels, f"{key!r} of {path.name}", f"{path}{BETWEEN}{key}{BETWEEN}"
            )  # fmt: skip
    if not made or ("data" in made and len(made) > 1) or ("data" not in made and "train" not in made):
        raise DataError(
            f"{path.name} must hold images and labels, or train_images and train_labels and so on",
            f"it holds {', '.join(map(repr, names[:8])) or 'nothing'}",
            "Name the arrays so: images or x, labels or y, with train, valid and test before or behind.",
        )
    return _tables(made, "NumPy arrays" if path.suffix.casefold() == ".npz" else "safetensors", path.name)


def of_pair(images: np.ndarray, labels: np.ndarray, name: str, before: str, file: str) -> ArrayTables:
    """The table of an array of pictures and one of labels that are in memory, as those of a file are read.

    Args:
        images: pictures (n, ...). labels: (n,), or (n, L) of 0 and 1.
        name: of the pictures, for errors. before: what the places of the pictures begin with. file: what holds both.

    Raises:
        DataError: they are of another shape or type.
    """
    return _tables({"data": _Pair(images, labels, name, before)}, "NumPy arrays", file)


def array_at(path: Path, key: str) -> np.ndarray:
    """An array of a file, by its name where it has several.

    Raises:
        DataError: the file or the array cannot be read.
    """
    ending = path.suffix.casefold()
    if ending == ".npy":
        return np.asarray(_loaded(path))
    if ending == ".npz":
        with _loaded(path) as archive:
            return _member(archive, key, path.name)
    if ending == ".safetensors":
        return _tensor(path, key)
    return _read_idx(path)


def pixels_of(picture: np.ndarray) -> np.ndarray:
    """One picture of an array, (H, W) or (H, W, C): channels that come first are moved, 0 to 1 becomes uint8."""
    if _channels_first(picture.shape):
        picture = np.moveaxis(picture, 0, -1)
    if picture.dtype.kind != "f":
        return picture
    return np.asarray((255.0 * picture).round().clip(0, 255), np.uint8)


def _channels_first(shape: tuple[int, ...]) -> bool:
    return len(shape) == 3 and shape[0] in _CHANNELS and shape[2] not in _CHANNELS


# Tables


@dataclass(frozen=True)
class _Pair:
    """Pictures (n, ...) and their labels, with what they are called and what their places begin with."""

    images: np.ndarray
    labels: np.ndarray | None
    name: str
    before: str


def _tables(pairs: dict[str, _Pair], kind: str, file: str) -> ArrayTables:
    notes: list[str] = []
    for pair in pairs.values():
        notes += [note for note in _checked(pair.images, pair.name) if note not in notes]
    frames = {part: _table(pair, file) for part, pair in pairs.items()}
    has_classes = all(_are_classes(pair.labels) for pair in pairs.values() if pair.labels is not None)
    return ArrayTables(frames, kind, has_classes, tuple(notes))


def _checked(images: np.ndarray, name: str) -> list[str]:
    """What pictures are brought to, in words.

    Raises:
        DataError: they are of another shape or type.
    """
    shape = images.shape
    first = len(shape) == 4 and _channels_first(shape[1:])
    if len(shape) not in (3, 4) or not shape[0] or (len(shape) == 4 and shape[3] not in _CHANNELS and not first):
        raise DataError(
            f"{name} must have the shape (pictures, height, width), with 1, 3 or 4 channels at the end or behind the "
            "pictures",
            f"it has {shape}",
            "Move the axes with numpy.moveaxis, or take the channels apart.",
        )
    notes = ["channels that come first were moved to the end"] if first else []
    if images.dtype.kind == "f":
        low, high = _range(images)
        if low >= 0.0 and high <= 1.0:  # false for NaN
            return [*notes, "values of 0 to 1 were scaled to 8 bits"]
        is_nan = low != low
        raise DataError(
            f"{name} must hold uint8, uint16, or values of 0 to 1",
            "it holds NaN, which is no colour" if is_nan else f"it holds {images.dtype} from {low:g} to {high:g}",
            "Leave out the pictures with NaN, or fill it." if is_nan else _NO_PIXELS,
        )
    if images.dtype not in (np.uint8, np.uint16):
        raise DataError(
            f"{name} must hold uint8, uint16, or values of 0 to 1", f"it holds {images.dtype}",
            "Convert it: images.astype('uint8') if its values run from 0 to 255.",
        )  # fmt: skip
    return notes


def _range(images: np.ndarray) -> tuple[float, float]:
    """The least and the largest value, some pictures at a time; NaN where there is one."""
    step = max(1, _AT_ONCE // max(1, math.prod(images.shape[1:])))
    blocks = [images[start : start + step] for start in range(0, len(images), step)]
    return float(np.min([block.min() for block in blocks])), float(np.max([block.max() for block in blocks]))


def _table(pair: _Pair, file: str) -> pl.DataFrame:
    count = len(pair.images)
    frame = pl.DataFrame({IMAGE: [f"{pair.before}{row}" for row in range(count)]}, schema={IMAGE: pl.String})
    if pair.labels is None:
        return frame
    labels = pair.labels.reshape(-1) if pair.labels.ndim == 2 and pair.labels.shape[1] == 1 else pair.labels
    if len(labels) == count and labels.ndim == 2 and np.isin(labels, (0, 1)).all():
        lists = [json.dumps([str(place) for place in np.flatnonzero(row)]) for row in labels]
        return frame.with_columns(pl.Series(LABEL, lists, dtype=pl.String))
    if labels.shape != (count,):
        raise DataError(
            f"{file} must hold a label for each picture",
            f"there are {count:,} pictures and labels of shape {labels.shape}",
            "Give labels of shape (pictures,), or (pictures, labels) of 0 and 1 where a picture has several.",
        )
    return frame.with_columns(pl.Series(LABEL, np.ascontiguousarray(labels)).cast(pl.String))


def _are_classes(labels: np.ndarray) -> bool:
    """Words, and a few whole numbers, are classes; other numbers are values, and rows of 0 and 1 several labels."""
    if labels.ndim == 2 and labels.shape[1] > 1:
        return False
    if labels.dtype.kind not in "iuf":
        return True
    return len(np.unique(labels)) <= _CLASSES and bool((labels == np.trunc(labels)).all())


# Files of NumPy and safetensors


def _roles(names: Iterable[str]) -> dict[tuple[str, str], str]:
    """Which array is what: `x_train` and `train_images` are the images of the training part."""
    roles: dict[tuple[str, str], str] = {}
    for name in names:
        words = name.casefold().split("_")
        part = next((PARTS[word] for word in words if word in PARTS), "data")
        rest = [word for word in words if word not in PARTS]
        if len(rest) == 1:
            kind = "images" if rest[0] in _IMAGES else "labels" if rest[0] in _LABELS else None
            if kind is not None:
                roles.setdefault((part, kind), name)
    return roles


def _names(path: Path) -> list[str]:
    if path.suffix.casefold() == ".safetensors":
        return sorted(_open_tensors(path).keys())
    with _loaded(path) as archive:
        return list(archive.files)


def _loaded(path: Path) -> Any:  # noqa: ANN401  # an array, or an archive of them
    single = path.suffix.casefold() == ".npy"
    try:
        found = np.load(path, mmap_mode="r" if single else None, allow_pickle=False)
        if isinstance(found, np.ndarray) is not single:
            raise ValueError(f"its bytes are those of a {'.npz' if single else '.npy'} file")
        return found
    except _DAMAGED as error:
        raise DataError(
            f"{path.name} must be a whole file of NumPy arrays of numbers",
            f"it cannot be read ({error})",
            "Save it anew with numpy.save or numpy.savez; arrays of objects hold pickles, which are never opened.",
        ) from None


def _member(archive: Any, key: str, name: str) -> np.ndarray:  # noqa: ANN401  # NumPy's NpzFile
    try:
        return np.asarray(archive[key])
    except _DAMAGED as error:
        raise DataError(
            f"the array {key!r} of {name} must be whole and of numbers",
            f"it cannot be read ({error})",
            "Save it anew with numpy.savez; arrays of objects hold pickles, which are never opened.",
        ) from None


def _open_tensors(path: Path) -> Any:  # noqa: ANN401  # safetensors has no types
    safetensors = require("safetensors", "reading tensors")
    try:
        return safetensors.safe_open(path, framework="numpy")
    except safetensors.SafetensorError as error:
        raise DataError(
            f"{path.name} must be a whole .safetensors file", f"it cannot be read ({error})", "Save it anew."
        ) from None


def _tensor(path: Path, key: str) -> np.ndarray:
    opened, wrong = _open_tensors(path), require("safetensors", "reading tensors").SafetensorError
    try:
        return np.asarray(opened.get_tensor(key))
    except (TypeError, ValueError, AttributeError, KeyError, wrong) as error:  # NumPy has no bfloat16
        raise DataError(
            f"the tensor {key!r} of {path.name} must be of a type that NumPy has", f"it is not ({error})",
            "Save pictures as torch.uint8 and labels as torch.int64.",
        ) from None  # fmt: skip


# idx files


def is_idx(name: str) -> bool:
    """Whether a file is called as idx files are."""
    plain = name.casefold().removesuffix(".gz")
    return plain.endswith(("-ubyte", ".idx")) or "-idx" in plain


def of_idx_folder(folder: Path) -> ArrayTables | None:
    """The tables of a folder of idx files, None where there are none.

    Raises:
        DataError: they cannot be read, or none is of training pictures.
    """
    images = sorted(path for path in folder.iterdir() if is_idx(path.name) and "images" in path.name.casefold())
    parts: dict[str, Path] = {}
    for path in images:
        word = path.name.casefold().partition("-")[0]
        parts.setdefault(PARTS.get(word, "data"), path)
    if not parts:
        return None
    if "train" not in parts and len(parts) > 1:
        raise DataError(
            f"{folder.name} must hold training pictures",
            f"it holds {', '.join(path.name for path in images)}",
            "Give train-images and train-labels, and those of t10k if you like.",
        )
    order = [part for part in ("train", "valid", "test", "data") if part in parts]
    made: dict[str, _Pair] = {"data" if order == ["test"] else part: _idx_pair(parts[part]) for part in order}
    return _tables(made, "idx files", folder.name)


def of_idx(path: Path) -> ArrayTables:
    """The table of one idx file of pictures, with the labels that lie beside it.

    Raises:
        DataError: it cannot be read.
    """
    return _tables({"data": _idx_pair(path)}, "idx file", path.name)


def _idx_pair(path: Path) -> _Pair:
    name = path.name
    for one, other in (("images", "labels"), ("idx3", "idx1")):
        name = name.replace(one, other)
    beside = [path.with_name(name), path.with_name(name.removesuffix(".gz")), path.with_name(f"{name}.gz")]
    labels = next((_read_idx(other) for other in beside if other != path and other.is_file()), None)
    return _Pair(_read_idx(path), labels, path.name, f"{path}{BETWEEN}")


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
