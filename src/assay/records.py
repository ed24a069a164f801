"""The base of every record that is written to disk: frozen, strict, JSON in and out."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError

from assay.errors import BundleError


def _or_nan(value: object) -> object:
    return math.nan if value is None else value


#: A number that need not be finite, for which JSON has null.
Measured = Annotated[float, BeforeValidator(_or_nan)]


class Record(BaseModel):
    """A frozen value that refuses unknown fields and travels as JSON."""

    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="null")

    def to_json(self) -> str:
        """The record as indented JSON, fields in declared order, ending in a newline."""
        return self.model_dump_json(indent=1) + "\n"

    @classmethod
    def from_json(cls, text: str | bytes, origin: str) -> Self:
        """The record that `text` holds; `origin` names the file in the error.

        Raises:
            BundleError: the text is not JSON or not of this record's shape.
        """
        try:
            return cls.model_validate_json(text)
        except ValidationError as error:
            first = error.errors()[0]
            place = ".".join(str(part) for part in first["loc"]) or "the top"
            raise BundleError(
                f"{origin} must hold a valid {cls.__name__.lower()} record",
                f"at {place}: {first['msg']}",
                "The file was changed or comes from another version; make it anew with this version of assay.",
            ) from None

    @classmethod
    def read(cls, path: Path) -> Self:
        """The record in the file at `path`.

        Raises:
            BundleError: the file cannot be read or does not hold this record.
        """
        try:
            text = path.read_bytes()
        except OSError as error:
            raise BundleError(
                f"{path.name} must be readable",
                f"{error.strerror or error} ({path})",
                "Check the path, or make the directory anew.",
            ) from None
        return cls.from_json(text, str(path))


@dataclass(frozen=True)
class Searched:
    """How an option may be searched: a note in the annotation of its field.

    `low` and `high` are the ends of a range; with `around`, a range on a logarithmic scale reaches instead from what a
    network family has by itself, divided by so much, to it times so much, where that is above 0. `choices` stand in
    place of a range; where all are numbers, their order counts. `main` options are searched where none are named.
    """

    low: float | None = None
    high: float | None = None
    scale: Literal["linear", "log", "int"] = "linear"
    around: float | None = None
    choices: tuple[str | int | float | bool, ...] = ()
    main: bool = False
