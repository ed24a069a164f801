"""What trials answered for rows that they had not learned from, as files of a folder.

`truth.npy`, `fold.npy` and, where rows are weighted, `weight.npy` are of the rows that are judged, in their order;
`<number>.npy` is what the trial of that number answered for them. No pickle.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, overload

import numpy as np
from numpy.typing import NDArray

from assay.data.schema import Task
from assay.errors import BundleError
from assay.evaluate.metrics import Metric
from assay.evaluate.record import Selection
from assay.evaluate.selection import best_of_answers

Array = NDArray[Any]
_TRUTH, _FOLD, _WEIGHT = "truth", "fold", "weight"


@dataclass(frozen=True)
class Judged:
    """The rows that trials are judged on.

    truth: class positions or values, (n,), of forecasts (n, H). fold: which fold judges a row, int16 (n,), 0 where
    there is one held-out part. weight: row weights, (n,), or None.
    """

    truth: Array
    fold: NDArray[np.int16]
    weight: NDArray[np.float64] | None

    def __len__(self) -> int:
        return len(self.truth)


@dataclass(frozen=True)
class Answered:
    """Rows that were judged, and for each trial what it answered.

    predictions: by the number of the trial probabilities (n, K), values (n,) or forecasts (n, H), in target units.
    """

    rows: Judged
    predictions: dict[int, Array]


def keep_rows(folder: Path, rows: Judged) -> None:
    """Write what is judged, or see that it is what the folder has.

    Raises:
        BundleError: the folder is of other rows, or of other folds.
    """
    folder.mkdir(parents=True, exist_ok=True)
    given = {_TRUTH: rows.truth, _FOLD: rows.fold} | ({} if rows.weight is None else {_WEIGHT: rows.weight})
    if not (folder / f"{_FOLD}.npy").exists():
        for name, array in given.items():  # the folds last, which say that all are there
            if name != _FOLD:
                _write(folder / f"{name}.npy", array)
        _write(folder / f"{_FOLD}.npy", rows.fold)
        return
    there = _read_rows(folder)
    same = np.array_equal(there.truth, rows.truth) and np.array_equal(there.fold, rows.fold)
    if rows.weight is None or there.weight is None:
        same = same and rows.weight is there.weight
    else:
        same = same and np.array_equal(there.weight, rows.weight)
    if not same:
        raise BundleError(
            "a study must go on with the rows that it was begun with",
            f"the answers in {folder} are of other rows or other folds",
            "Give the same data and options, or begin a new study.",
        )


def keep_answers(folder: Path, number: int, prediction: Array) -> None:
    """Write what a trial answered; a crash leaves the whole file or none."""
    _write(folder / f"{number}.npy", prediction)


def sweep(folder: Path) -> None:
    """Take away the files that killed processes left half written; nobody else may write there."""
    for partial in folder.glob("*.partial"):
        if partial.is_file():  # a run that was killed is a directory, and goes on
            partial.unlink(missing_ok=True)


def read_answer(folder: Path, number: int) -> Array:
    """What the trial of this number answered.

    Raises:
        BundleError: the file is missing or damaged.
    """
    return _read(folder / f"{number}.npy")


def answers_of(folder: Path, numbers: Sequence[int]) -> Answered:
    """What the trials of these numbers answered, read when it is used.

    Raises:
        BundleError: a file is missing or damaged.
    """
    rows = _read_rows(folder)
    return Answered(rows, {number: _answer(folder, number, rows) for number in numbers})


def _answer(folder: Path, number: int, rows: Judged) -> Array:
    path = folder / f"{number}.npy"
    prediction = _read(path, mapped=True)
    if len(prediction) != len(rows):
        raise _damaged(path, f"it has {len(prediction):,} rows, not {len(rows):,}")
    return prediction


class _OneAtATime(Sequence[Array]):
    """The answers of trials for some rows, each read when it is asked for: files that are mapped are open."""

    def __init__(self, folder: Path, numbers: Sequence[int], rows: Judged, places: NDArray[np.int64]) -> None:
        self._folder, self._numbers, self._rows, self._places = folder, numbers, rows, places

    def __len__(self) -> int:
        return len(self._numbers)

    @overload
    def __getitem__(self, at: int) -> Array: ...
    @overload
    def __getitem__(self, at: slice) -> _OneAtATime: ...
    def __getitem__(self, at: int | slice) -> Array | _OneAtATime:
        if isinstance(at, slice):
            return _OneAtATime(self._folder, self._numbers[at], self._rows, self._places)
        return np.asarray(_answer(self._folder, self._numbers[at], self._rows)[self._places])


def selection_of_trials(
    folder: Path,
    completed: Sequence[int],
    left_out: int,
    task: Task,
    measure: Metric,
    *,
    groups: Array | None = None,
    confidence: float = 0.95,
    seed: int = 0,
) -> Selection:
    """The best of the trials by what they answered, and that score without what a choice among them flatters by.

    Rows that no fold judges count nothing.

    Args:
        completed: numbers of the trials that have answers. left_out: how many failed or were pruned.
        measure: the metric of the study.
        groups: rows of one group are drawn together, (n,).

    Raises:
        BundleError: a file is missing or damaged.
        ValueError: no trial completed.
    """
    rows = _read_rows(folder)
    places = np.flatnonzero(rows.fold >= 0)
    made = best_of_answers(
        task, rows.truth[places], _OneAtATime(folder, completed, rows, places), measure,
        weight=None if rows.weight is None else rows.weight[places],
        groups=None if groups is None else groups[places], confidence=confidence, seed=seed,
    )  # fmt: skip
    return made.model_copy(update={"left_out": left_out})


def _read_rows(folder: Path) -> Judged:
    weight = folder / f"{_WEIGHT}.npy"
    return Judged(
        _read(folder / f"{_TRUTH}.npy"), _read(folder / f"{_FOLD}.npy"), _read(weight) if weight.exists() else None
    )


def _read(path: Path, *, mapped: bool = False) -> Array:
    try:
        return np.asanyarray(np.load(path, mmap_mode="r" if mapped else None, allow_pickle=False))
    except OSError as error:
        raise _damaged(path, error.strerror or str(error)) from None
    except ValueError as error:
        raise _damaged(path, str(error)) from None


def _damaged(path: Path, why: str) -> BundleError:
    return BundleError(
        "the answers of a study's trials must be readable", f"{path.name} is not ({why}; {path})",
        "Take the folder from a copy, or begin the study anew.",
    )  # fmt: skip


def _write(path: Path, array: Array) -> None:
    with whole_file(path) as stream:
        np.save(stream, array, allow_pickle=False)


@contextmanager
def whole_file(path: Path) -> Iterator[BinaryIO]:
    """A stream into a file that is there as a whole or not at all; workers of a study write into one folder.

    Raises:
        OSError: there is no room on the disk.
    """
    partial = path.with_suffix(f".{os.getpid()}.partial")
    try:
        with partial.open("wb") as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        partial.replace(path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
