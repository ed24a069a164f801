"""One picture, from a file, bytes or an array, to pixels of a wanted size: the same for training and for serving.

NumPy and Pillow only: a server that answers pictures imports this and no torch.

Shape legend: H height, W width, C channels (1 grey, 3 red-green-blue).
"""

from __future__ import annotations

import io
import math
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

import numpy as np
from pydantic import Field

from assay._imports import require
from assay.records import Record

if TYPE_CHECKING:
    from PIL.Image import Image

#: What Pillow may open. It knows forty more kinds, some of which start other programs.
KINDS: Final = ("PNG", "JPEG", "WEBP", "BMP", "TIFF", "GIF")
#: How files of these kinds begin: what starts so and cannot be opened is damaged, and not something else.
STARTS: Final = (b"\x89PNG", b"\xff\xd8\xff", b"RIFF", b"BM", b"II*\0", b"MM\0*", b"GIF8")
#: Pixels of a picture before it is resized, and bytes of a file, at most. A small file can claim to be a picture that
#: fills the memory; the claim is read before anything is decoded. Pillow itself warns from 89 million pixels on.
MOST_PIXELS: Final = 80_000_000
MOST_BYTES: Final = 512 << 20
_EXIF_ORIENTATION: Final = 274

Resize = Literal["squash", "crop"]
Ground = Literal["white", "black"]


class PictureFormat(Record):
    """What every picture becomes: uint8 (height, width, channels)."""

    height: int = Field(ge=1, le=4096, description="Rows of pixels.")
    width: int = Field(ge=1, le=4096, description="Columns of pixels.")
    channels: Literal[1, 3] = Field(3, description="1 for grey, 3 for red, green and blue.")
    resize: Resize = Field(
        "squash",
        description="How a picture of another shape fits: squashed, or cropped about its centre to the wanted shape.",
    )
    ground: Ground = Field("white", description="What shows where a picture is transparent.")

    @property
    def size(self) -> int:
        """Bytes of a picture."""
        return self.height * self.width * self.channels


class Fault(StrEnum):
    """Why there is no picture."""

    MISSING = "missing"
    EMPTY = "empty"
    NOT_A_PICTURE = "not a picture"
    DAMAGED = "damaged"
    TOO_LARGE = "too large"
    UNSUPPORTED = "unsupported"


@dataclass(frozen=True)
class Damaged:
    """What came instead of a picture, in words: `it is cut off (image file is truncated ...)`."""

    fault: Fault
    reason: str


@dataclass(frozen=True)
class Facts:
    """What a picture was before it was resized; of an array the kind is `array`.

    height, width: after a turn that its EXIF data asks for. notes: what was done that its owner may want to know.
    """

    kind: str
    height: int
    width: int
    channels: Literal[1, 3]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Picture:
    """pixels: uint8 (H, W, C) of the wanted format."""

    pixels: np.ndarray
    facts: Facts


def decode(source: bytes | Path | np.ndarray, form: PictureFormat) -> Picture | Damaged:
    """The picture in `form`, or why there is none; damaged input is an answer here and never an exception.

    PNG, JPEG, WebP, BMP, TIFF and GIF are read. Of several frames the first is taken. It is turned as its EXIF data
    says. 16-bit values are scaled to 8 bits (their high byte), CMYK and palettes become red, green and blue, and
    transparent pixels show the ground of `form`. Colour profiles are not applied. Resizing is bilinear with a support
    that grows as the picture shrinks, so that no pixel is left out; a large JPEG is first shrunk while it is decoded,
    to no less than twice the wanted size.

    Args:
        source: the bytes of a file, its path, or pixels: (H, W) or (H, W, C) of uint8 or uint16, C of 1, 3 or 4.
        form: what it becomes.
    """
    if isinstance(source, np.ndarray):
        return _from_array(source, form)
    data = read_file(source)
    return data if isinstance(data, Damaged) else _from_bytes(data, form)


def look(source: bytes | Path) -> Facts | Damaged:
    """What a picture is, from its header alone: its pixels may still turn out to be damaged."""
    data = read_file(source)
    if isinstance(data, Damaged):
        return data
    opened = _opened(data)
    if isinstance(opened, Damaged):
        return opened
    image, notes = opened
    width, height = image.size
    if _orientation(image, notes) >= 5:
        width, height = height, width
    return Facts(_kind(image), height, width, _channels(image), tuple(notes))


def read_file(source: bytes | Path) -> bytes | Damaged:
    """The bytes of a file (or bytes as they are), unless there are none or too many."""
    try:
        size = source.stat().st_size if isinstance(source, Path) else len(source)
        if size > MOST_BYTES:
            return Damaged(Fault.TOO_LARGE, f"it has {size:,} bytes, more than {MOST_BYTES:,}")
        if isinstance(source, Path) and not source.is_file():
            return Damaged(Fault.NOT_A_PICTURE, "it is no file")
        data = source.read_bytes() if isinstance(source, Path) else source
    except (OSError, ValueError) as error:  # ValueError: a path with a zero byte in it
        return Damaged(Fault.MISSING, f"it cannot be read ({getattr(error, 'strerror', None) or error})")
    return data or Damaged(Fault.EMPTY, "it has no bytes")


def _opened(data: bytes) -> tuple[Image, list[str]] | Damaged:
    """The picture with its header read and nothing decoded, and an empty list for notes."""
    pil = require("PIL.Image", "reading pictures")
    try:
        image: Image = pil.open(io.BytesIO(data), formats=KINDS)
    except (pil.DecompressionBombError, pil.DecompressionBombWarning) as error:
        return Damaged(Fault.TOO_LARGE, f"it claims more than {MOST_PIXELS:,} pixels ({error})")
    except pil.UnidentifiedImageError:
        if data.startswith(STARTS):
            return Damaged(Fault.DAMAGED, "it begins as a picture does and cannot be read")
        return Damaged(Fault.NOT_A_PICTURE, f"its bytes are none of {', '.join(KINDS)}")
    except Exception as error:  # noqa: BLE001  # Pillow raises whatever damaged bytes lead it to
        return Damaged(Fault.DAMAGED, f"its header is damaged ({error})")
    width, height = image.size
    if width * height > MOST_PIXELS:
        return Damaged(Fault.TOO_LARGE, f"it claims {width:,} x {height:,} pixels, more than {MOST_PIXELS:,}")
    if width * height == 0:
        return Damaged(Fault.EMPTY, f"it claims {width} x {height} pixels")
    return image, []


def _from_bytes(data: bytes, form: PictureFormat) -> Picture | Damaged:
    opened = _opened(data)
    if isinstance(opened, Damaged):
        return opened
    image, notes = opened
    try:
        kind, size, channels = _kind(image), image.size, _channels(image)
        turn = _orientation(image, notes)
        if kind == "JPEG":
            # A quarter turn is still to come, so both sides keep twice the longer one.
            image.draft(None, (2 * max(form.height, form.width),) * 2)
        if kind != "JPEG" and getattr(image, "is_animated", False):
            notes.append("the first of several frames was taken")
        image.load()
        plain = _turned(_eight_bits(image, form, notes), turn)
        pixels = _fitted(plain, form)
    except _UnsupportedError as error:
        return Damaged(Fault.UNSUPPORTED, str(error))
    except MemoryError:
        return Damaged(Fault.TOO_LARGE, "there is no memory for its pixels")
    except Exception as error:  # noqa: BLE001  # Pillow raises whatever damaged bytes lead it to
        text = str(error) or type(error).__name__
        return Damaged(Fault.DAMAGED, f"it is cut off ({text})" if "truncated" in text else f"it is damaged ({text})")
    width, height = size[::-1] if turn >= 5 else size
    return Picture(pixels, Facts(kind, height, width, channels, tuple(notes)))


def _from_array(array: np.ndarray, form: PictureFormat) -> Picture | Damaged:
    pil = require("PIL.Image", "reading pictures")
    shape = array.shape
    if array.ndim == 3 and shape[2] == 1:
        array = array[:, :, 0]
    if array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[2] not in (3, 4)):
        return Damaged(Fault.UNSUPPORTED, f"its shape is {shape}, not (height, width) with 1, 3 or 4 channels")
    if 0 in shape:
        return Damaged(Fault.EMPTY, f"its shape is {shape}")
    if shape[0] * shape[1] > MOST_PIXELS:
        return Damaged(Fault.TOO_LARGE, f"it has {shape[1]:,} x {shape[0]:,} pixels, more than {MOST_PIXELS:,}")
    if array.dtype not in (np.uint8, np.uint16):
        return Damaged(Fault.UNSUPPORTED, f"its values are {array.dtype}, neither uint8 nor uint16")
    notes = [_SCALED] if array.dtype == np.uint16 else []
    values = (array >> 8).astype(np.uint8) if array.dtype == np.uint16 else array
    image = pil.fromarray(np.ascontiguousarray(values))
    pixels = _fitted(_eight_bits(image, form, notes), form)
    channels: Literal[1, 3] = 1 if array.ndim == 2 else 3
    return Picture(pixels, Facts("array", shape[0], shape[1], channels, tuple(notes)))


class _UnsupportedError(Exception):
    """A picture of whole bytes that cannot be understood."""


_SCALED = "16-bit values were scaled to 8 bits"


def _kind(image: Image) -> str:
    # MPO is a JPEG that has a second one behind it, as many phones write them.
    return "JPEG" if image.format == "MPO" else str(image.format)


def _channels(image: Image) -> Literal[1, 3]:
    """Whether it has colour channels; a palette counts as colour though it may hold greys only."""
    return 1 if image.mode.startswith(("1", "L", "I", "F")) and image.mode != "LAB" else 3


def _orientation(image: Image, notes: list[str]) -> int:
    """The EXIF orientation, 1 to 8; from 5 on height and width change places."""
    try:
        turn = image.getexif().get(_EXIF_ORIENTATION, 1)
    except Exception:  # noqa: BLE001  # damaged EXIF data beside good pixels
        notes.append("its EXIF data is damaged, so that it may stand on its side")
        return 1
    return turn if isinstance(turn, int) and 1 <= turn <= 8 else 1


def _turned(image: Image, turn: int) -> Image:
    """The picture as its EXIF orientation says it should be seen."""
    method = require("PIL.Image", "reading pictures").Transpose
    turns = {
        2: method.FLIP_LEFT_RIGHT,
        3: method.ROTATE_180,
        4: method.FLIP_TOP_BOTTOM,
        5: method.TRANSPOSE,
        6: method.ROTATE_270,
        7: method.TRANSVERSE,
        8: method.ROTATE_90,
    }
    return image.transpose(turns[turn]) if turn in turns else image


def _eight_bits(image: Image, form: PictureFormat, notes: list[str]) -> Image:
    """The picture in mode L or RGB, as `form` wants."""
    pil = require("PIL.Image", "reading pictures")
    if image.mode.startswith("I;16"):
        # Not `convert`, which clips. The high byte is what Pillow itself takes of 16-bit colours.
        image = pil.fromarray((np.asarray(image) >> 8).astype(np.uint8))
        notes.append(_SCALED)
    if image.mode in ("I", "F"):
        raise _UnsupportedError("its values have 32 bits and no fixed range; convert it to 8 or 16 bits")
    wanted = "L" if form.channels == 1 else "RGB"
    if image.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in image.info:
        image = image.convert("RGBA")
        ground = pil.new("RGBA", image.size, form.ground)
        image = pil.alpha_composite(ground, image)
    elif image.mode not in ("L", "RGB"):
        image = image.convert("RGB" if image.mode not in ("1",) else "L")
    return image if image.mode == wanted else image.convert(wanted)


def _fitted(image: Image, form: PictureFormat) -> np.ndarray:
    """uint8 (H, W, C), resized as `form` says."""
    pil = require("PIL.Image", "reading pictures")
    box = _box(image.size, form)
    if image.size != (form.width, form.height):
        image = image.resize((form.width, form.height), pil.Resampling.BILINEAR, box=box)
    return np.asarray(image).reshape(form.height, form.width, form.channels)


def _box(size: tuple[int, int], form: PictureFormat) -> tuple[float, float, float, float]:
    """The part of a picture (width, height) that is kept: left, upper, right, lower."""
    width, height = size
    if form.resize == "squash":
        return 0.0, 0.0, float(width), float(height)
    scale = min(width / form.width, height / form.height)
    # Rounding may put the box a trifle outside of the picture, which Pillow refuses.
    kept_width, kept_height = min(scale * form.width, width), min(scale * form.height, height)
    left, upper = (width - kept_width) / 2, (height - kept_height) / 2
    return left, upper, min(left + kept_width, width), min(upper + kept_height, height)


def suggest(facts: list[Facts], longest: int = 128) -> PictureFormat:
    """The format that suits pictures like these: their median size, no side above `longest`, colour if any has it.

    Pictures of about one shape keep it and are squashed; others become squares cropped about their centre.
    """
    sizes = np.array([(fact.height, fact.width) for fact in facts], dtype=np.float64)
    shape = np.log(sizes[:, 0] / sizes[:, 1])
    alike = float(np.abs(shape - np.median(shape)).max()) < math.log(1.1)
    height, width = np.median(sizes, axis=0)
    if not alike:
        height = width = min(height, width)
    shrink = min(1.0, longest / max(height, width))
    return PictureFormat(
        height=max(1, round(height * shrink)),
        width=max(1, round(width * shrink)),
        channels=3 if any(fact.channels == 3 for fact in facts) else 1,
        resize="squash" if alike else "crop",
    )
