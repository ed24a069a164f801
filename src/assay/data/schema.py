"""Which columns a table has, what each is, and what is to be predicted."""

from __future__ import annotations

from enum import StrEnum

from assay.data.labels import Labelling
from assay.data.series.folding import Folding
from assay.data.series.windowing import Windowing
from assay.records import Record


class Kind(StrEnum):
    """What a column holds."""

    NUMBER = "number"
    CATEGORY = "category"
    BOOLEAN = "boolean"
    DATETIME = "datetime"
    TEXT = "text"
    IMAGE = "image"
    SEQUENCE = "sequence"
    ID = "id"
    CONSTANT = "constant"


class Task(StrEnum):
    """What is to be predicted."""

    BINARY = "binary"
    MULTICLASS = "multiclass"
    MULTILABEL = "multilabel"
    REGRESSION = "regression"
    FORECASTING = "forecasting"


#: The kinds a network can take from a table, in the order their inputs are laid out.
FEATURE_KINDS = (
    Kind.NUMBER, Kind.BOOLEAN, Kind.DATETIME, Kind.CATEGORY, Kind.TEXT, Kind.IMAGE, Kind.SEQUENCE,
)  # fmt: skip


#: Those of which each cell is a sequence or a picture that networks of their own read.
MEDIA_KINDS = (Kind.TEXT, Kind.IMAGE, Kind.SEQUENCE)


class Column(Record):
    """One column of the source.

    `dtype` is the Polars name of the type as read. `format` tells how its strings are parsed: for numbers
    `1,234.5` (comma groups thousands) or `1.234,5` (decimal comma), for dates a strptime pattern; None where the
    column was read as that type. `missing` counts empty cells and `missing_spellings`, `unparsed` the cells that are
    neither missing nor of the column's kind (they become missing). `distinct` does not count missing cells; beyond a
    million rows and ten thousand distinct cells it is an estimate.
    """

    name: str
    kind: Kind
    dtype: str
    reason: str
    format: str | None = None
    distinct: int = 0
    missing: int = 0
    missing_spellings: dict[str, int] = {}
    unparsed: int = 0


class Schema(Record):
    """The columns of a table in their order, the target, the task, and the columns with a special part.

    `classes` are the class labels as strings in the order of the model's outputs (empty for regression); for a binary
    task the last is the positive one. `class_dtype` is the type predictions are given back in: `string`, `integer`,
    `number` or `boolean`. Of a multilabel task they are the labels, of which a row has any number; `labelling` tells
    how they are written. `dropped` are columns the user excluded. `folding` tells how raw rows become rows with series,
    `windowing` how they become windows of a forecast; the columns are those that come out.
    """

    columns: tuple[Column, ...]
    target: str
    task: Task
    task_reason: str
    classes: tuple[str, ...] = ()
    class_dtype: str = "string"
    group: str | None = None
    time: str | None = None
    weight: str | None = None
    sensitive: tuple[str, ...] = ()
    dropped: tuple[str, ...] = ()
    folding: Folding | None = None
    windowing: Windowing | None = None
    labelling: Labelling | None = None

    def __getitem__(self, name: str) -> Column:
        for column in self.columns:
            if column.name == name:
                return column
        raise KeyError(name)

    @property
    def features(self) -> tuple[Column, ...]:
        """The columns the network takes, in file order: of a feature kind and without another part."""
        apart = {self.target, self.group, self.weight, *self.dropped}
        return tuple(c for c in self.columns if c.kind in FEATURE_KINDS and c.name not in apart)

    @property
    def positive(self) -> str | None:
        """The positive class of a binary task, else None."""
        return self.classes[-1] if self.task is Task.BINARY else None

    @property
    def pictures(self) -> tuple[str, ...]:
        """The columns of pictures, also those that are left out."""
        return tuple(column.name for column in self.columns if column.kind is Kind.IMAGE)

    @property
    def is_classification(self) -> bool:
        """Whether the answer is one class of several."""
        return self.task in (Task.BINARY, Task.MULTICLASS)

    @property
    def is_multilabel(self) -> bool:
        """Whether the answer is any number of labels."""
        return self.task is Task.MULTILABEL

    @property
    def has_probabilities(self) -> bool:
        """Whether the answer comes with probabilities, of classes or of labels."""
        return self.is_classification or self.is_multilabel


class Hints(Record):
    """What the user says about the columns, over and above what is inferred.

    `kinds` maps a column to its kind (`--as age=number`), `positive` names the positive class of a binary target,
    `task` overrides the inferred task.
    """

    target: str
    kinds: dict[str, Kind] = {}
    task: Task | None = None
    positive: str | None = None
    drop: tuple[str, ...] = ()
    group: str | None = None
    time: str | None = None
    weight: str | None = None
    sensitive: tuple[str, ...] = ()
