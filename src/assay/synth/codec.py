"""A table to blocks of numbers and codes, and blocks back to tables that look like it.

What it knows, it knows from the rows that the generator learns from: ranges, decimals, spellings, vocabularies.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import polars as pl

from assay.data.columns import as_datetime, as_number
from assay.data.schema import MEDIA_KINDS, Column, Kind, Schema
from assay.errors import DataError
from assay.synth.block import Block, Layout
from assay.synth.forms import CodeForm, DateForm, NumberForm
from assay.synth.ids import IdForm, id_form
from assay.synth.labels import LabelForm


@dataclass(frozen=True)
class Codec:
    """The way of a table to blocks and back.

    columns: those that are written, in the order of the table, by name.
    left_out: columns that are not written, each with the reason.
    labels: how a target of several labels is taken apart, into coded columns of its own; None of other tasks.
    """

    columns: Mapping[str, Column]
    dtypes: Mapping[str, pl.DataType]
    values: Mapping[str, NumberForm | DateForm]
    coded: Mapping[str, CodeForm]
    ids: Mapping[str, IdForm]
    left_out: Mapping[str, str]
    layout: Layout
    labels: LabelForm | None = None

    @classmethod
    def fit(cls, frame: pl.DataFrame, schema: Schema, rows: int, rng: np.random.Generator) -> Codec:
        """Learn the forms of all columns from `frame`.

        Args:
            frame: rows with all columns of the schema but those that the user drops.
            schema: the kinds of the columns.
            rows: how many rows are to be written, for which ids are needed.
            rng: of the names of rows.

        Raises:
            DataError: a column holds texts, pictures or series.
        """
        kept = {column.name: column for column in schema.columns if column.name not in schema.dropped}
        _refuse(kept)
        labels = LabelForm.of(schema, frame.columns)
        values: dict[str, NumberForm | DateForm] = {}
        coded: dict[str, CodeForm] = {}
        ids: dict[str, IdForm] = {}
        left_out = dict.fromkeys(schema.dropped, "you drop it")
        for name, column in kept.items():
            if column.kind is Kind.ID and name != schema.target:
                made = id_form(frame[name], column, rows, rng)
                if isinstance(made, str):
                    left_out[name] = made
                else:
                    ids[name] = made
            elif labels is not None and name == schema.target:
                spread = labels.spread(frame.select(name))
                coded |= {label: CodeForm.of(spread[label]) for label in labels.names}
            elif (form := _form_of_values(frame[name], column)) is not None:
                values[name] = form
            else:
                coded[name] = CodeForm.of(frame[name])
        written = {name: column for name, column in kept.items() if name not in left_out}
        target = schema.target if labels is None else _most_even(labels, coded)
        kind, forms = ("number", list(values)) if target in values else ("code", list(coded))
        sizes = tuple(len(form.cells) for form in coded.values())
        dtypes = {name: frame[name].dtype for name in written}
        if labels is not None:
            dtypes |= {label: pl.Int8() for label in labels.names}
        layout = Layout(tuple(values), tuple(coded), sizes, (kind, forms.index(target)))
        return cls(written, dtypes, values, coded, ids, left_out, layout, labels)

    @property
    def described(self) -> list[str]:
        """The columns by which rows are alike or not: all that are written but names of rows."""
        return [name for name in self.columns if name not in self.ids]

    @property
    def shown(self) -> Mapping[str, Column]:
        """The columns that are written, each label of a target of several in the place of that target."""
        if self.labels is None:
            return self.columns
        found: dict[str, Column] = {}
        for name, column in self.columns.items():
            found |= self.labels.columns if name == self.labels.target else {name: column}
        return found

    def read(self, frame: pl.DataFrame) -> Block:
        """The rows of a table of the same columns as a block."""
        rows = frame.height
        if self.labels is not None:
            frame = self.labels.spread(frame)
        numbers = [form.read(frame[name], self.columns[name]) for name, form in self.values.items()]
        codes = [form.read(frame[name]) for name, form in self.coded.items()]
        return Block(
            np.stack(numbers, axis=1) if numbers else np.empty((rows, 0)),
            np.stack(codes, axis=1) if codes else np.empty((rows, 0), np.int64),
        )

    def write(self, block: Block, first: int, rng: np.random.Generator) -> pl.DataFrame:
        """The rows as a table: names of rows counted from `first`, spellings of missing drawn with `rng`."""
        made: dict[str, pl.Series] = {}
        for at, (name, form) in enumerate(self.values.items()):
            made[name] = form.write(name, block.numbers[:, at], rng)
        for at, (name, coded) in enumerate(self.coded.items()):
            made[name] = coded.write(name, block.codes[:, at], self.dtypes[name])
        for name, names in self.ids.items():
            made[name] = names.write(name, first, len(block))
        if self.labels is not None:
            parted = pl.DataFrame([made[name] for name in self.labels.names])
            made[self.labels.target] = self.labels.joined(parted)
        return pl.DataFrame([made[name] for name in self.columns])

    def as_given(self, frame: pl.DataFrame) -> pl.DataFrame:
        """The rows that `write` gave as the user's table has them."""
        return frame if self.labels is None else self.labels.as_given(frame)


def _most_even(labels: LabelForm, coded: Mapping[str, CodeForm]) -> str:
    """The label that the most even share of the rows has: it stands for the target where one column must."""
    return max(labels.names, key=lambda name: int(coded[name].rows.min()) if len(coded[name].rows) > 1 else 0)


def _form_of_values(cells: pl.Series, column: Column) -> NumberForm | DateForm | None:
    """The form of a column of numbers or dates; None where its cells are better taken as they are."""
    if column.kind is Kind.NUMBER:
        values = as_number(cells, column.format)
        values = np.where(np.isfinite(values), values, np.nan)
        many = len(np.unique(values[~np.isnan(values)])) > 2
        return NumberForm.of(cells, column, values) if many else None
    if column.kind is Kind.DATETIME:
        moments = as_datetime(cells, column.format)
        return DateForm.of(cells, column, moments) if np.isfinite(moments).any() else None
    return None


def _refuse(columns: Mapping[str, Column]) -> None:
    refused = [column for column in columns.values() if column.kind in MEDIA_KINDS]
    if refused:
        named = ", ".join(f"{column.name!r} ({column.kind})" for column in refused[:6])
        more = f" and {len(refused) - 6} more" if len(refused) > 6 else ""
        drops = " ".join(f"--drop {column.name!r}" for column in refused[:6])
        raise DataError(
            "texts, pictures and series are not made, for a made-up text is none and a real one gives its writer away",
            f"there {'is' if len(refused) == 1 else 'are'} {named}{more}",
            f"Leave them out with {drops}, or say what they are with --as NAME=category.",
        )
