"""What a run keeps of its answers, so that it can be compared and taken apart later without its model or its data.

`answers.npz` lies beside the bundle, not in it: arrays by name, no pickle. Of the test rows it has truth, weight and
the model's answers; of the rows that judged, those of every candidate that the model was weighted from.

Letters: n rows, K classes, M candidates, A answers of members and heads.
"""

from __future__ import annotations

import hashlib
import os
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from assay.data.decision import Rule
from assay.data.rows import Rows
from assay.data.schema import Schema
from assay.errors import BundleError
from assay.evaluate.clusters import clusters_of
from assay.evaluate.looks import row_hashes

Array = NDArray[Any]
Floats = NDArray[np.float64]
ANSWERS = "answers.npz"
#: Numbers that a part of the file may have at most: 64 MB.
MOST_NUMBERS = 16_000_000


@dataclass(frozen=True)
class KeptTest:
    """What the model answered for the test rows: probabilities (n, K) or (n, L), values (n,) or forecasts (n, H).

    truth: class positions or values, (n,), of labels 0 and 1 (n, L), of forecasts (n, H). weight: (n,) or None. rows: a
    hash of each, uint64 (n,). clusters: places of what rows belong to, (n,), of windows their series; None where rows
    stand alone. thresholds, costs: how a class is decided, or each label given, see `Rule`. steps: of the origins of
    windows, int64 (n,); None of rows that are none.
    """

    truth: Array
    answers: Floats
    weight: Floats | None
    rows: NDArray[np.uint64]
    clusters: NDArray[np.int64] | None = None
    thresholds: tuple[float, ...] = ()
    costs: tuple[tuple[float, ...], ...] = ()
    steps: NDArray[np.int64] | None = None

    @property
    def windows(self) -> str:
        """A hash of what was forecast: origins, series and the values that came, whatever it was forecast from."""
        if self.steps is None or self.clusters is None:
            return ""
        parts = (self.steps.astype(np.int64), self.clusters.astype(np.int64), self.truth.astype(np.float64))
        return hashlib.sha256(
            b"".join([repr(self.truth.shape).encode(), *(part.tobytes() for part in parts)])
        ).hexdigest()

    @property
    def rule(self) -> Rule:
        """How one class follows from the probabilities."""
        return Rule(self.thresholds, self.costs)


@dataclass(frozen=True)
class Judged:
    """What each candidate answered for the rows that the model was weighted by, which it had not learned from.

    answers: (M, n, K) or (M, n), float32. parts: the name of each candidate's part of the model.
    logits: of the members of the model before any temperature, (A, n, K), with their shares (A,); None of values.
    groups: the group of each row, (n,); None where rows stand alone.
    """

    truth: Array
    weight: Floats | None
    answers: NDArray[np.float32]
    parts: tuple[str, ...]
    logits: NDArray[np.float32] | None
    shares: Floats
    groups: Array | None = None


@dataclass(frozen=True)
class Kept:
    """The file: test rows and rows that judged, None where there are none, or too many to keep."""

    tested: KeptTest | None = None
    judged: Judged | None = None


def tested_of(
    rows: Rows,
    answers: Floats,
    schema: Schema,
    thresholds: Sequence[float],
    costs: tuple[tuple[float, ...], ...],
) -> KeptTest:
    """What is kept of the test rows; thresholds and costs are those that the model decides by."""
    together = clusters_of(rows, schema)
    return KeptTest(rows.target, answers, rows.weight, row_hashes(rows, schema), together, tuple(thresholds), costs)


def keep(directory: Path, kept: Kept) -> None:
    """Write the file into the directory of a run; answers that would be too large are left out."""
    arrays: dict[str, Array] = {}
    if kept.tested is not None and kept.tested.answers.size <= MOST_NUMBERS:
        test = kept.tested
        # An error may be far smaller than the value that is forecast: single precision would be a part of it.
        precision = np.float32 if test.steps is None else np.float64
        arrays |= _named("test", {"truth": test.truth, "weight": test.weight, "rows": test.rows,
                                  "answers": np.asarray(test.answers, precision), "clusters": test.clusters,
                                  "steps": test.steps,
                                  "thresholds": np.array(test.thresholds) if test.thresholds else None,
                                  "costs": np.array(test.costs) if test.costs else None})  # fmt: skip
    if kept.judged is not None:
        found = kept.judged
        arrays |= _named("valid", {"truth": found.truth, "weight": found.weight, "answers": found.answers,
                                   "parts": np.array(found.parts, dtype=str), "logits": found.logits,
                                   "shares": found.shares, "groups": found.groups})  # fmt: skip
    if arrays:
        write_arrays(directory / ANSWERS, arrays)


def _named(part: str, arrays: Mapping[str, Array | None]) -> dict[str, Array]:
    return {f"{part}.{name}": array for name, array in arrays.items() if array is not None}


def kept_of(directory: Path) -> Kept:
    """What the run in a directory kept; nothing where it has no such file.

    Raises:
        BundleError: the file is damaged.
    """
    arrays = read_arrays(directory / ANSWERS)
    if arrays is None:
        return Kept()
    tested = judged = None
    try:
        if "test.truth" in arrays:
            answers = np.asarray(arrays["test.answers"], np.float64)
            tested = KeptTest(
                arrays["test.truth"], answers, arrays.get("test.weight"), arrays["test.rows"],
                arrays.get("test.clusters"), tuple(arrays.get("test.thresholds", np.empty(0)).tolist()),
                tuple(map(tuple, arrays.get("test.costs", np.empty((0, 0))).tolist())), arrays.get("test.steps"),
            )  # fmt: skip
        if "valid.truth" in arrays:
            judged = Judged(
                arrays["valid.truth"], arrays.get("valid.weight"), arrays["valid.answers"],
                tuple(map(str, arrays["valid.parts"])), arrays.get("valid.logits"), arrays["valid.shares"],
                arrays.get("valid.groups"),
            )  # fmt: skip
    except KeyError as error:
        raise _damaged(directory / ANSWERS, f"it has no {error.args[0]}") from None
    return Kept(tested, judged)


def write_arrays(path: Path, arrays: Mapping[str, Array]) -> None:
    """Write arrays by name, whole and through to the disk, or leave the file as it was."""
    partial = path.with_name(f".{path.name}.partial")
    with partial.open("wb") as stream:
        np.savez(stream, **arrays)  # type: ignore[arg-type]  # its keyword for pickles is no array
        stream.flush()
        os.fsync(stream.fileno())
    partial.replace(path)


def read_arrays(path: Path) -> dict[str, Array] | None:
    """The arrays of a file by name; None where there is no such file.

    Raises:
        BundleError: it is damaged.
    """
    if not path.is_file():
        return None
    try:
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as found:
            return {name: found[name] for name in found.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise _damaged(path, str(error)) from None


def _damaged(path: Path, why: str) -> BundleError:
    return BundleError(
        "the answers that a run kept must be readable", f"{path.name} is not ({why}; {path})",
        "Take the file from a copy, or remove it to do without.",
    )  # fmt: skip
