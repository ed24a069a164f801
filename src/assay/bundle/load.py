"""Load a bundle and answer raw rows with onnxruntime alone: no torch, no training package."""

from __future__ import annotations

import math
import os
import warnings
from collections import Counter
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import onnxruntime
import polars as pl

from assay.bundle.carried import carried_columns, check_carried, set_separator
from assay.bundle.forecast import forecast_table
from assay.bundle.manifest import OUTLINE, PROBE, SCHEMA, TOKENIZER, Manifest, check_files, read_manifest
from assay.bundle.pictures import picture_rows
from assay.bundle.session import VALUES, check_signature, open_session
from assay.data import columns
from assay.data.decision import Rule
from assay.data.inputs import (
    RESERVED,
    Input,
    Readers,
    cells_of,
    check_columns,
    feed,
    is_numeric,
    matrices,
    views_of,
)
from assay.data.outline import Outline, Placed
from assay.data.outline import joined as joined_places
from assay.data.reading.arrays import series_rows
from assay.data.reading.frames import array_of, from_object, is_array, tidy
from assay.data.reading.read import read
from assay.data.schema import Kind, Schema, Task
from assay.data.series.folding import fold, unread
from assay.data.texts.tokens import Tokenizer
from assay.errors import BundleError, DataError, ParityError

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: Largest difference between an answer and the probe's: absolute on probabilities, relative on values.
TOLERANCE = 1e-5
#: Prefix of the columns of probe.parquet that hold the expected answers.
EXPECTED = f"{RESERVED}expected:"
#: The column of the probe with the largest difference that rounding explains, a row each (`bundle/rounding.py`).
ALLOWED = f"{RESERVED}allowed"
#: Rows that are answered at once, and of texts, whose arrays are many times larger.
_BLOCK, _TEXT_BLOCK = 16_384, 64


class UnreadCellsWarning(UserWarning):
    """Some cells were neither missing nor of their column's kind and were taken as missing."""


def load(path: str | os.PathLike[str], *, threads: int | None = None) -> Bundle:
    """The bundle in the directory `path`, or in the `model/` directory of a run, with every file checked.

    Args:
        path: a bundle or a run directory.
        threads: CPU threads of the model; by default all that this process may use.

    Raises:
        BundleError: it is not a bundle, or a file is missing, changed or of an unknown format.
    """
    directory = Path(path)
    inner = directory / "model"
    if not (directory / "manifest.json").is_file() and (inner / "manifest.json").is_file():
        directory = inner
    manifest = read_manifest(directory)
    check_files(directory, manifest)
    session = open_session(directory, threads)
    check_signature(session, manifest)
    tokenizer = Tokenizer(directory / TOKENIZER) if any(item.window for item in manifest.inputs) else None
    return Bundle(directory, manifest, Schema.read(directory / SCHEMA), session, tokenizer)


class Bundle:
    """A trained model as it is shipped: raw rows in, calibrated answers out.

    Attributes:
        directory: where it lies.
        manifest: inputs, outputs, classes, provenance, sums.
        schema: the columns of the training table.
    """

    def __init__(
        self,
        directory: Path,
        manifest: Manifest,
        schema: Schema,
        session: onnxruntime.InferenceSession,
        tokenizer: Tokenizer | None = None,
    ) -> None:
        self.directory = directory
        self.manifest = manifest
        self.schema = schema
        self._session = session
        self._readers = Readers(tokenizer)
        self._pictures = [item.name for item in manifest.inputs if item.kind is Kind.IMAGE]
        self._labels = _labels(manifest)
        outputs = (manifest.output_probability, manifest.output_prediction)
        self._outputs = [name for name in outputs if name is not None][:1]

    def __repr__(self) -> str:
        facts = f"{self.manifest.task.value} of {self.manifest.target!r} from {len(self.manifest.inputs)} columns"
        return f"Bundle({str(self.directory)!r}: {facts})"

    @property
    def size(self) -> int:
        """Bytes of its files, the manifest not counted."""
        return sum(each.bytes for each in self.manifest.files.values())

    @cached_property
    def outline(self) -> Outline | None:
        """What training rows look like, or None where the model does not carry it."""
        if OUTLINE not in self.manifest.files:
            return None
        return Outline.read(self.directory / OUTLINE)

    def predict(
        self,
        data: Any,  # noqa: ANN401  # whatever read() takes
        *,
        sets: bool = False,
        intervals: bool = False,
        unusual: bool = False,
    ) -> pl.DataFrame:
        """The answers for raw rows, in their order.

        Where the model was trained on series whose steps were columns or rows of their own, `data` is folded in the
        same way first, unless its cells are series already: of a table with a row for each step there is then one
        answer a case, in the order in which the cases first occur. A forecast takes the rows up to now and answers with
        the steps after the last known target of each series.

        Args:
            data: a path, a Polars, pandas or Arrow frame, a dict of columns, a list of dicts. Columns are found by
                name; others than the model's are ignored. Of pictures also a folder, an archive or a picture, bytes,
                pixels (H, W, C) or (n, H, W, C), or a list of these; cells may be paths, bytes or pixels. Where all
                columns are series, also these, (n, steps) of one channel or (n, channels, steps).
            sets: add `set`, for classes: a list of those that hold the truth at `evaluate.coverage`, likeliest first.
            intervals: add `lower` and `upper`, for values; a forecast has them in any case.
            unusual: add `unusual`, whether the row is unlike the training rows, `unusual_score`, its distance from them
                in units of the largest usual one, and `unusual_column`, where it differs most.

        Returns:
            `prediction`, and for classes one column `probability_<class>` each. Where a row has any number of labels,
            the prediction is a list of them; `joined` makes words of it. Of a forecast a row for each step ahead: the
            series, its time, `forecast`, `lower` and `upper`.

        Raises:
            DataError: the data cannot be read, lacks a column, or a column holds nothing of its kind.
            BundleError: the model does not carry what was asked for.
        """
        check_carried(self, sets=sets, intervals=intervals, unusual=unusual)
        if self.schema.windowing is not None:
            return forecast_table(self, _frame_of(data, []))
        frame = self.folded(self._raw(data))
        answers = self.answer(frame)
        more = carried_columns(self, frame, answers, sets=sets, intervals=intervals, unusual=unusual)
        return self._table(answers).hstack(more)

    def _raw(self, data: Any) -> pl.DataFrame:  # noqa: ANN401
        """The raw rows; an array of series has the columns that the model takes."""
        inputs = self.manifest.inputs
        if is_array(data) and self.schema.folding is None and all(item.kind is Kind.SEQUENCE for item in inputs):
            return series_rows(array_of(data, "series"), [column.name for column in self.schema.features])
        return _frame_of(data, self._pictures)

    def _table(self, answers: NDArray[Any]) -> pl.DataFrame:
        if self.manifest.task is Task.REGRESSION:
            return pl.DataFrame([pl.Series("prediction", answers)])
        probabilities = [
            pl.Series(f"probability_{name}", answers[:, at]) for at, name in enumerate(self.manifest.classes)
        ]
        has_labels = self.manifest.task is Task.MULTILABEL
        given = self._lists(answers) if has_labels else self._labels[self.decide(answers)]
        return pl.DataFrame([given, *probabilities])

    def _lists(self, probabilities: NDArray[np.float32]) -> pl.Series:
        """The labels that each row is given, in their order."""
        classes = np.array(self.manifest.classes, dtype=object)
        lists = [classes[row].tolist() for row in self.given(probabilities)]
        return pl.Series("prediction", lists, dtype=pl.List(pl.String))

    def joined(self, answers: pl.DataFrame) -> pl.DataFrame:
        """Answers whose lists of labels are words with a separator between them, which CSV can hold."""
        if "set" in answers.columns:
            words = pl.col("set").cast(pl.List(pl.String)).list.join(set_separator(self.manifest.classes))
            answers = answers.with_columns(words)
        separator = self.manifest.separator
        if separator is None:
            return answers
        return answers.with_columns(pl.col("prediction").list.join(separator))

    @property
    def labels(self) -> pl.Series:
        """The classes in the type they had in the training data, in the order of the probabilities."""
        return self._labels

    def place(self, frame: pl.DataFrame) -> Placed:
        """Where folded rows lie beside the training rows; the model must carry an outline."""
        outline, inputs = self.outline, self.manifest.inputs
        assert outline is not None
        block = _TEXT_BLOCK if views_of(inputs) else _BLOCK
        starts = range(0, max(frame.height, 1), block)
        read = (matrices(frame.slice(start, block), inputs, self._readers) for start in starts)
        return joined_places([outline.place(raw, inputs) for raw in read])

    def folded(self, frame: pl.DataFrame) -> pl.DataFrame:
        """Raw rows as rows with series, as they were folded for training; other tables as they are.

        Raises:
            DataError: a column of the steps is missing, or the cases contradict themselves.
        """
        if self.schema.folding is None:
            return frame
        if wrong := unread(frame, self.schema.folding):
            warnings.warn(
                f"{sum(wrong.values())} steps, first in column {next(iter(wrong))!r}, are no numbers and are missing",
                UnreadCellsWarning,
                stacklevel=3,
            )
        return fold(frame, self.schema.folding)

    def answer(self, frame: pl.DataFrame) -> NDArray[Any]:
        """Probabilities (n, classes) in float32, or in float64 values (n,), or forecasts (n, H) of windows.

        Raises:
            DataError: a column is missing, or holds nothing of its kind.
        """
        answers, unread = self._ask(frame)
        for item in self.manifest.inputs:
            if unread[item.name]:
                _judge_unread(cells_of(frame, item.name), unread[item.name], item, self.schema[item.name].unparsed)
        return answers

    def decide(self, probabilities: NDArray[np.float32]) -> NDArray[np.int64]:
        """Class positions (n,): the likeliest or the cheapest; of two the positive one from the threshold on."""
        return self.rule(probabilities)

    @property
    def rule(self) -> Rule:
        """How one class follows from the probabilities."""
        return Rule(self.manifest.thresholds, self.manifest.costs)

    def given(self, probabilities: NDArray[np.float32]) -> NDArray[np.bool_]:
        """Whether each label is given, bool (n, labels): from its own threshold on."""
        return np.asarray(probabilities >= np.array(self.manifest.thresholds, np.float32), np.bool_)

    def verify(self) -> float:
        """Check every file's sum again, answer the stored probe rows, and give the largest difference from the answers.

        Raises:
            ParityError: it is above the tolerance: this machine or its onnxruntime computes something else.
            BundleError: a file was changed, or the bundle has no probe.
        """
        check_files(self.directory, self.manifest)
        path = self.directory / PROBE
        if PROBE not in self.manifest.files:
            raise BundleError(f"a bundle that verifies itself holds {PROBE}", "this one does not", "Save it anew.")
        try:
            probe = pl.read_parquet(path)
        except (pl.exceptions.PolarsError, OSError) as error:
            raise BundleError(
                f"{PROBE} must be a Parquet file", f"it cannot be read: {error}", "Save it anew."
            ) from None
        expected = probe.select(pl.col(f"^{EXPECTED}.*$")).to_numpy()
        answers = self._ask(probe)[0]
        if answers.size != expected.size:
            raise BundleError(f"{PROBE} must hold an answer to each row", "it does not", "Fit the model anew.")
        apart = differences(answers.reshape(expected.shape), expected, self.manifest.task)
        difference = float(apart.max()) if apart.size else 0.0
        allowed = probe.get_column(ALLOWED).to_numpy() if ALLOWED in probe.columns else TOLERANCE
        if not np.all(apart <= allowed):
            raise ParityError(
                f"the probe rows must be answered as stored, to {np.max(allowed):.2g}",
                f"the largest difference is {difference:.3g}",
                f"Do not use this model here: onnxruntime {onnxruntime.__version__} gives other answers.",
            )
        return difference

    def _ask(self, frame: pl.DataFrame) -> tuple[NDArray[Any], Counter[str]]:
        """The answers, and how many cells of each numeric column were read as missing."""
        numeric = [item.name for item in self.manifest.inputs if is_numeric(item)]
        unread = Counter[str]()
        blocks = [] if frame.height else [self._no_answers(frame)]
        block = _TEXT_BLOCK if views_of(self.manifest.inputs) else _BLOCK
        for start in range(0, frame.height, block):
            arrays = feed(frame.slice(start, block), self.manifest.inputs, self._readers)
            unread.update({name: int(np.isnan(arrays[name]).sum()) for name in numeric})
            blocks.append(self._session.run(self._outputs, arrays)[0])
        answers = blocks[0] if len(blocks) == 1 else np.concatenate(blocks)
        return answers.reshape(-1) if self.manifest.task is Task.REGRESSION else answers, unread

    def _no_answers(self, frame: pl.DataFrame) -> NDArray[Any]:
        """The answers for no rows: onnxruntime's batched products fail on them."""
        check_columns(frame, self.manifest.inputs)
        if self.schema.windowing is not None:
            return np.empty((0, self.schema.windowing.horizon), np.float64)
        if self.manifest.task is Task.REGRESSION:
            return np.empty(0, np.float64)
        return np.empty((0, len(self.manifest.classes)), np.float32)


def _labels(manifest: Manifest) -> pl.Series:
    """The classes in the type they had in the training data."""
    labels = pl.Series("prediction", manifest.classes, dtype=pl.String)
    match manifest.class_dtype:
        case "integer":
            return labels.cast(pl.Int64)
        case "number":
            return labels.cast(pl.Float64)
        case "boolean":
            return labels == "true"
    return labels


def _frame_of(data: Any, names: list[str]) -> pl.DataFrame:  # noqa: ANN401
    """The raw rows in a path or an object; unlike `read`, no rows are allowed and nothing is hashed."""
    if names:
        return picture_rows(data, *names)
    if isinstance(data, str | os.PathLike):
        frame = read(data).frame
        assert isinstance(frame, pl.DataFrame)  # without a place to put it, a table is in memory
        return frame
    return tidy(from_object(data, [])[0], [])


def _judge_unread(series: pl.Series, unread: int, item: Input, in_training: int) -> None:
    """Cells that are neither missing nor of the column's kind: all of a column is an error, some are a warning.

    Where the training data had such cells too (`in_training`), it is a warning: a single row with one is no news.
    """
    written = len(series) - series.null_count()
    if series.dtype == pl.String:
        written -= sum(columns.missing_counts(series, numeric=item.kind is not Kind.BOOLEAN).values())
    elif series.dtype.is_float():
        written -= int(series.is_nan().sum() or 0)
    wrong = unread - (len(series) - written)
    if wrong <= 0:
        return
    if wrong == written and not in_training:
        shown = ", ".join(repr(cell) for cell in series.drop_nulls().head(3).to_list())
        raise DataError(
            f"column {item.name!r} must hold {item.kind.value} cells, as in training",
            f"none of its {written} cells is one ({shown})",
            "Check that the columns are not mixed up; leave cells empty where the value is missing.",
        )
    warnings.warn(
        f"column {item.name!r}: {wrong} of {written} cells are not of kind {item.kind.value} and count as missing",
        UnreadCellsWarning,
        stacklevel=4,
    )


def differences(answers: NDArray[Any], expected: NDArray[Any], task: Task) -> NDArray[np.float64]:
    """The largest difference in each row, (n,), of two answers (n, K): absolute for probabilities, relative for values.

    A value below the median one is measured by the median, so that values near zero do not blow up.
    """
    distance = np.abs(answers.astype(np.float64) - expected)
    if task in VALUES and distance.size:
        scale = np.abs(expected)
        distance = distance / np.maximum(scale, max(float(np.median(scale)), 1e-12))
    each = distance.reshape(len(distance), math.prod(distance.shape[1:]))
    return np.asarray(each.max(axis=1, initial=0.0), np.float64)
