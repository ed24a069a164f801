"""Conditions on rows as people write them: `age >= 60`, `sex = Female & hours < 20`, `words(comment) > 40`.

A condition is clauses with `&` between. A clause is a column, a sign and a value, or `COLUMN is missing`; names and
values with signs in them stand in quotes. `aspect(column)` reads a number off a text, a picture or a series. Nothing
is evaluated: a clause is one comparison of a list of six.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Literal

import polars as pl

from assay.data.columns import as_boolean, as_category, as_datetime, as_number
from assay.data.schema import Column, Kind, Schema
from assay.errors import ConfigError, nearest

Sign = Literal["=", "!=", "<", "<=", ">", ">=", "is missing", "is not missing"]

#: What can be read off cells that are no numbers, and of which kind they must be.
ASPECTS: Mapping[str, Kind] = MappingProxyType(
    {
        "words": Kind.TEXT,
        "letters": Kind.TEXT,
        "brightness": Kind.IMAGE,
        "contrast": Kind.IMAGE,
        "pixels": Kind.IMAGE,
        "steps": Kind.SEQUENCE,
        "mean": Kind.SEQUENCE,
        "deviation": Kind.SEQUENCE,
    }
)
ORDERED: tuple[Sign, ...] = ("<", "<=", ">", ">=")
_SIGNS: Mapping[str, Sign] = MappingProxyType(
    {"=": "=", "==": "=", "!=": "!=", "<": "<", "<=": "<=", ">": ">", ">=": ">="}
)
#: Kinds whose cells are numbers by themselves.
NUMERIC = (Kind.NUMBER, Kind.BOOLEAN, Kind.DATETIME)
_LONGEST, _MOST = 500, 8
_EXAMPLE = "Examples: 'age >= 60', 'sex = Female & hours < 20', 'words(comment) > 40', '\"my column\" is missing'."

_QUOTED = r'"[^"]*"|' + r"'[^']*'"
_CLAUSE = re.compile(
    rf"(?:(?P<aspect>[a-z]+)\(\s*(?P<inner>{_QUOTED}|[^()\"'<>=!]+?)\s*\)|(?P<name>{_QUOTED}|[^()\"'<>=!]+?))\s*"
    rf"(?:(?P<sign><=|>=|!=|==|=|<|>)\s*(?P<value>{_QUOTED}|[^\"'<>=!]+)|(?P<missing>is\s+(?:not\s+)?missing))"
)
_PIECES = re.compile(rf"(?:{_QUOTED}|[^&\"'])+")
_PLAIN = re.compile(r"[^\W\d][\w.\-/ ]*", re.ASCII)


@dataclass(frozen=True)
class Clause:
    """One comparison: of a cell, or of what an `aspect` of it is; `value` is None where it asks what is missing."""

    name: str
    sign: Sign
    value: float | str | None = None
    aspect: str = ""

    @property
    def asks_number(self) -> bool:
        """Whether it compares numbers."""
        return isinstance(self.value, float)


Condition = tuple[Clause, ...]


def parse(text: str, schema: Schema) -> Condition:
    """The condition that `text` writes, checked against the columns.

    Raises:
        ConfigError: it is no condition, or it names a column, an aspect or a value that cannot be.
    """
    pieces = _PIECES.findall(text) if len(text) <= _LONGEST else []
    if not pieces or len(pieces) > _MOST or "&".join(pieces) != text:
        raise _refused(text, f"at most {_MOST} comparisons with & between are read")
    return tuple(_clause(piece.strip(), text, schema) for piece in pieces)


def _clause(piece: str, text: str, schema: Schema) -> Clause:
    match = _CLAUSE.fullmatch(piece)
    if match is None:
        raise _refused(text, f"{piece!r} is not a column, a sign and a value")
    aspect, name = match["aspect"] or "", _bare(match["inner"] or match["name"])
    column = _column(name, aspect, text, schema)
    if match["missing"]:
        return Clause(name, "is not missing" if "not" in match["missing"].split() else "is missing", None, aspect)
    sign = _SIGNS[match["sign"]]
    value = _value(_bare(match["value"]), aspect, column, text)
    if isinstance(value, str) and sign in ORDERED:
        raise _refused(text, f"{name!r} holds words ({column.kind.value}), which have no order")
    return Clause(name, sign, value, aspect)


def _bare(text: str) -> str:
    text = text.strip()
    return text[1:-1] if text[:1] in ("'", '"') else text


def _column(name: str, aspect: str, text: str, schema: Schema) -> Column:
    """The column that a clause names.

    Raises:
        ConfigError: there is none, or it is not one that slices can be of.
    """
    names = [column.name for column in schema.columns if column.name != schema.target]
    if name == schema.target:
        raise _refused(text, f"{name!r} is what is predicted; scores by class are in the report anyway")
    if name not in names:
        raise ConfigError("a slice must name columns of the table", f"{name!r} is none of them", nearest(name, names))
    column = schema[name]
    if aspect and ASPECTS.get(aspect) is not column.kind:
        known = [known for known, kind in ASPECTS.items() if kind is column.kind]
        told = f"of a column of kind {column.kind.value} it may be {', '.join(known) or 'nothing'}"
        raise _refused(text, f"{aspect}({name}) cannot be read: {told}")
    return column


def _value(text: str, aspect: str, column: Column, whole: str) -> float | str:
    """What cells are compared with, read as the cells of its column are.

    Raises:
        ConfigError: it is nothing that such cells can be.
    """
    cell = pl.Series([text], dtype=pl.String)
    if not aspect and column.kind not in NUMERIC:
        if column.kind in ASPECTS.values():
            known = ", ".join(f"{name}({column.name})" for name, kind in ASPECTS.items() if kind is column.kind)
            raise _refused(whole, f"{column.name!r} holds {column.kind.value} cells; slices can be of {known}")
        word = as_category(cell)[0]
        return text if word is None else str(word)
    if aspect or column.kind is Kind.NUMBER:
        found = as_number(cell, None if aspect else column.format)[0]
        found = as_number(cell, None)[0] if math.isnan(found) else found
    elif column.kind is Kind.BOOLEAN:
        found = as_boolean(cell)[0]
    else:
        found = as_datetime(cell, column.format)[0]
        found = as_datetime(cell, None)[0] if math.isnan(found) else found
    if math.isnan(found):
        raise _refused(whole, f"{text!r} is no {'number' if aspect else column.kind.value} to compare with")
    return float(found)


def _refused(text: str, came: str) -> ConfigError:
    shown = text if len(text) <= 80 else f"{text[:80]}..."
    return ConfigError(f"the slice {shown!r} must be comparisons of columns", came, _EXAMPLE)


def written(condition: Sequence[Clause], schema: Schema) -> str:
    """The condition as one would type it."""
    return " & ".join(_clause_text(clause, schema[clause.name]) for clause in condition)


def _clause_text(clause: Clause, column: Column) -> str:
    name = _quoted(clause.name)
    name = f"{clause.aspect}({name})" if clause.aspect else name
    if clause.value is None:
        return f"{name} {clause.sign}"
    return f"{name} {clause.sign} {_value_text(clause, column)}"


def _value_text(clause: Clause, column: Column) -> str:
    value = clause.value
    if isinstance(value, float) and not clause.aspect:
        if column.kind is Kind.DATETIME:
            return _moment(value)
        if column.kind is Kind.BOOLEAN:
            return "true" if value else "false"
    return f"{value:.12g}" if isinstance(value, float) else _quoted(str(value), of_value=True)


def _moment(seconds: float) -> str:
    moment = datetime.fromtimestamp(seconds, UTC)
    at_midnight = not (moment.hour or moment.minute or moment.second)
    return f"{moment:%Y-%m-%d}" if at_midnight else f"{moment:%Y-%m-%d %H:%M:%S}"


def _quoted(text: str, *, of_value: bool = False) -> str:
    """The text, in quotes where signs in it would be taken for the grammar's."""
    if of_value and not re.search(r"[&\"'<>=!]", text) and text == text.strip() and text:
        return text
    if not of_value and _PLAIN.fullmatch(text) and text == text.strip() and " is " not in text:
        return text
    return f"'{text}'" if '"' in text else f'"{text}"'


def rounded(value: float) -> float:
    """The value to five digits, so that a border that was found can be written and typed again."""
    return float(f"{value:.5g}")
