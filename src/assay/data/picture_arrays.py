"""Pictures in arrays (.npy, .npz and the idx files of MNIST) to tables with a place and a label for each picture."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Final

import numpy as np
import polars as pl

from assay.data.picture_places import BETWEEN, EXPECTED, IMAGE, LABEL, PARTS, array_of, opened_array, read_idx
from assay.errors import DataError

#: What arrays of pictures and of labels are called.
_IMAGES: Final = ("images", "image", "x", "data", "pictures")
_LABELS: Final = ("labels", "label", "y", "targets", "target")


def of_arrays(path: Path) -> dict[str, pl.DataFrame]:
    """Tables of a .npy array, with labels in a file beside it if there is one, or of the arrays of a .npz, by part.

    Raises:
        DataError: a file is damaged, or holds no pictures.
    """
    if path.suffix.casefold() == ".npy":
        images = opened_array(path)
        _check_images(images, path.name)
        beside = [path.with_name(path.name.replace(one, other)) for one, other in zip(_IMAGES, _LABELS, strict=True)]
        labels = next((opened_array(other) for other in beside if other != path and other.is_file()), None)
        return {"data": _table(f"{path}{BETWEEN}", len(images), labels, path.name)}
    archive = opened_array(path)
    roles = _roles(archive.files)
    frames: dict[str, pl.DataFrame] = {}
    for part in ("data", "train", "valid", "test"):
        if (part, "images") in roles:
            key = roles[part, "images"]
            images = array_of(archive, key, path.name)
            _check_images(images, f"{key!r} of {path.name}")
            labels = array_of(archive, roles[part, "labels"], path.name) if (part, "labels") in roles else None
            frames[part] = _table(f"{path}{BETWEEN}{key}{BETWEEN}", len(images), labels, path.name)
    if not frames or ("data" in frames and len(frames) > 1) or ("data" not in frames and "train" not in frames):
        raise DataError(
            f"{path.name} must hold images and labels, or train_images and train_labels and so on",
            f"it holds {', '.join(map(repr, archive.files[:8])) or 'nothing'}",
            "Name the arrays so: images or x, labels or y, with train, valid and test before or behind.",
        )
    return frames


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


def is_idx(name: str) -> bool:
    """Whether a file is called as idx files are."""
    plain = name.casefold().removesuffix(".gz")
    return plain.endswith(("-ubyte", ".idx")) or "-idx" in plain


def idx_folder(folder: Path) -> dict[str, pl.DataFrame] | None:
    """The tables of a folder of idx files by part, None where there are none.

    Raises:
        DataError: a file is damaged, or there are no training pictures.
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
            EXPECTED,
        )
    order = [part for part in ("train", "valid", "test", "data") if part in parts]
    frames: dict[str, pl.DataFrame] = {part: of_idx(parts[part]) for part in order}
    if list(frames) == ["test"]:
        return {"data": frames["test"]}
    return frames


def of_idx(path: Path) -> pl.DataFrame:
    """The table of an idx file, with the labels of a file beside it if there is one.

    Raises:
        DataError: a file is damaged, or holds no pictures.
    """
    images = read_idx(path)
    _check_images(images, path.name)
    name = path.name
    for one, other in (("images", "labels"), ("idx3", "idx1")):
        name = name.replace(one, other)
    beside = [path.with_name(name), path.with_name(name.removesuffix(".gz")), path.with_name(f"{name}.gz")]
    labels = next((read_idx(other) for other in beside if other != path and other.is_file()), None)
    return _table(f"{path}{BETWEEN}", len(images), labels, path.name)
