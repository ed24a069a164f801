"""The manifest of a bundle: what is in it, with the sha256 of every file, and how it is asked."""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from pathlib import Path, PurePath

from assay.data.bands import Bands
from assay.data.inputs import Input
from assay.data.regions import Regions
from assay.data.schema import Task
from assay.errors import BundleError
from assay.records import Record

FORMAT = 1
MANIFEST = "manifest.json"
MODEL = "model.onnx"
WEIGHTS = "weights.safetensors"
SCHEMA = "schema.json"
CONFIG = "config.yaml"
REFERENCE = "reference.json"
PROBE = "probe.parquet"
REPORT = "report.json"
PAGE = "report.html"
CARD = "card.md"
DATASHEET = "datasheet.md"
TOKENIZER = "tokenizer.json"
OUTLINE = "outline.json"

#: The parts of every bundle in the order people read them; one that reads texts with an encoder has its tokenizer too,
#: and most have an outline of the training rows.
FILES = (MODEL, WEIGHTS, CONFIG, SCHEMA, REFERENCE, PROBE, REPORT, PAGE, CARD, DATASHEET)
#: What a lean copy does without: the weights are in the model too, and the page is drawn from the report.
SPARED = (WEIGHTS, PAGE)


class FileSum(Record):
    """Size and sha256 of one file."""

    bytes: int
    sha256: str


class Manifest(Record):
    """What a bundle holds and how its model is asked.

    `inputs` are the raw columns; `output_prediction` and `output_probability` name the ONNX outputs (the second is None
    for a regression). `classes` are in the order of the probabilities, `bands` the intervals around forecasts,
    `thresholds` the probability from which each label is given, where a row has any number of them, or from which the
    positive one of two classes is decided (none: one half); `costs` those of decisions (columns) by what is true (rows)
    where the cheapest of more classes is decided. `separator` joins labels where no list can be written. `regions` are
    the sets of classes or intervals of values that hold the truth at a promised rate.
    """

    format: int
    assay: str
    created: str
    task: Task
    target: str
    classes: tuple[str, ...]
    class_dtype: str
    inputs: tuple[Input, ...]
    output_prediction: str
    output_probability: str | None
    provenance: dict[str, str]
    files: dict[str, FileSum]
    bands: Bands | None = None
    thresholds: tuple[float, ...] = ()
    costs: tuple[tuple[float, ...], ...] = ()
    separator: str | None = None
    regions: Regions | None = None

    def without(self, names: Collection[str]) -> Manifest:
        """The manifest of the same bundle without these files."""
        return self.model_copy(update={"files": {name: each for name, each in self.files.items() if name not in names}})


def sum_file(path: Path) -> FileSum:
    """Size and sha256 of the file at `path`.

    Raises:
        BundleError: it cannot be read.
    """
    digest = hashlib.sha256()
    try:
        with path.open("rb") as stream:
            while block := stream.read(1 << 20):
                digest.update(block)
    except OSError as error:
        raise BundleError(
            "every file of a bundle must be readable", f"{error.strerror or error} ({path})", "Check its permissions."
        ) from None
    return FileSum(bytes=path.stat().st_size, sha256=digest.hexdigest())


def read_manifest(directory: Path) -> Manifest:
    """The manifest of the bundle in `directory`, its format known and its file names safe.

    Raises:
        BundleError: there is no manifest, it is damaged, of an unknown format, or names a file outside the bundle.
    """
    path = directory / MANIFEST
    if not path.is_file():
        raise BundleError(
            "a bundle is a directory with a manifest.json",
            f"{str(directory)!r} {'has none' if directory.is_dir() else 'is not a directory'}",
            "Name the directory of a run or the model/ directory inside it.",
        )
    manifest = _known_format(path)
    for name in manifest.files:
        if PurePath(name).name != name or name in ("", ".", ".."):
            raise BundleError(
                "the files of a bundle lie in its directory",
                f"the manifest names {name!r}",
                "Do not use this bundle: it was not written by assay.",
            )
    return manifest


def _known_format(path: Path) -> Manifest:
    """Read the format number first: the fields of another format may be different."""
    found = _Format.read(path).format
    if found != FORMAT:
        raise BundleError(
            f"this version of assay reads bundles of format {FORMAT}",
            f"this one has format {found}",
            "Load it with the version of assay that wrote it (see 'assay' in manifest.json), or fit the model anew.",
        )
    return Manifest.read(path)


class _Format(Record):
    model_config = {"extra": "ignore"}

    format: int


def check_files(directory: Path, manifest: Manifest) -> None:
    """Compare every file with its sum.

    Raises:
        BundleError: a file is missing or was changed, or the bundle lacks its model or schema.
    """
    for name in (MODEL, SCHEMA):
        if name not in manifest.files:
            raise BundleError(f"a bundle lists {name}", "this one does not", "Fit the model anew.")
    for name, expected in manifest.files.items():
        path = directory / name
        if path.is_symlink() or not path.is_file():
            raise BundleError(
                f"the bundle must hold {name}",
                f"it is missing in {str(directory)!r}",
                "Copy the whole directory again.",
            )
        if sum_file(path) != expected:
            raise BundleError(
                f"{name} must be the file that was saved",
                "its bytes differ from the sha256 in manifest.json",
                "Copy the bundle again; if it still differs, someone changed it: do not use it.",
            )
