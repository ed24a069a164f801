"""Targets of several labels a row: a column of 0 and 1 for each of them while rows are made, one cell when written."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import polars as pl

from assay.data.labels import Labelling, label_cells
from assay.data.schema import Column, Kind, Schema


@dataclass(frozen=True)
class LabelForm:
    """How the labels of a row are taken apart and put together.

    names: of the columns of 0 and 1, in the order of `classes`.
    """

    target: str
    classes: tuple[str, ...]
    labelling: Labelling
    names: tuple[str, ...]

    @classmethod
    def of(cls, schema: Schema, taken: Iterable[str]) -> LabelForm | None:
        """The form of the schema's target, whose columns are called otherwise than those taken; None of other tasks."""
        if schema.labelling is None:
            return None
        others, names = set(taken), []
        for label in schema.classes:
            name = f"{schema.target}: {label}"
            while name in others:
                name += "_"
            names.append(name)
            others.add(name)
        return cls(schema.target, schema.classes, schema.labelling, tuple(names))

    @property
    def columns(self) -> dict[str, Column]:
        """The columns of 0 and 1 by name."""
        reason = f"one of the labels of {self.target!r}"
        return {
            name: Column(name=name, kind=Kind.CATEGORY, dtype="Int8", reason=reason, distinct=2) for name in self.names
        }

    def spread(self, frame: pl.DataFrame) -> pl.DataFrame:
        """The rows with a column for each label in the place of the target."""
        matrix = label_cells(frame[self.target], self.labelling).matrix(self.classes)
        made = [pl.Series(name, column, dtype=pl.Int8) for name, column in zip(self.names, matrix.T, strict=True)]
        return frame.drop(self.target).with_columns(made)

    def joined(self, frame: pl.DataFrame) -> pl.Series:
        """The cells of the target out of the columns of `spread`: JSON lists, or words with the sign between them."""
        matrix = frame.select(self.names).to_numpy() > 0
        labels = np.array(self.classes, dtype=object)
        cells = [labels[row].tolist() for row in matrix]
        if self.labelling.form == "joined":
            return pl.Series(self.target, [self.labelling.separator.join(cell) for cell in cells], dtype=pl.String)
        return pl.Series(self.target, [json.dumps(cell, ensure_ascii=False) for cell in cells], dtype=pl.String)

    def plain(self, frame: pl.DataFrame) -> pl.DataFrame:
        """The rows with the cells of the target as `joined` writes them, so that equal labels are equal cells."""
        return frame.with_columns(self.joined(self.spread(frame)))

    def as_given(self, frame: pl.DataFrame) -> pl.DataFrame:
        """The rows as the user's table has them: with columns of 0 and 1, where labels came so."""
        if self.labelling.form != "columns":
            return frame
        spread = self.spread(frame)
        return spread.rename(dict(zip(self.names, self.classes, strict=True)))
