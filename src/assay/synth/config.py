"""What is asked of a synthesis."""

from __future__ import annotations

from typing import Literal, get_args

from assay.errors import ConfigError, nearest
from assay.records import Record

Method = Literal["auto", "copula", "tvae", "smote", "borderline"]
FileFormat = Literal["csv", "parquet"]

METHODS: tuple[str, ...] = get_args(Method)
#: Rows of a table that is to be learned from.
FEWEST_ROWS = 20


class SynthesisConfig(Record):
    """How many rows are made, and how.

    `budget` is in seconds for the whole command, None for no limit. `held_back` is the share of the real rows that the
    generator does not see. `file` is the format of the rows.
    """

    rows: int
    method: Method = "auto"
    seed: int = 0
    budget: float | None = None
    held_back: float = 0.2
    file: FileFormat = "csv"


def checked(rows: int, method: str, seed: int, budget: float | None, file: str) -> SynthesisConfig:
    """The configuration, if it can be worked with.

    Raises:
        ConfigError: a value is out of range or unknown.
    """
    if rows < 1:
        raise ConfigError("at least one row must be asked for", f"-n is {rows:,}", "Give -n a number of rows above 0.")
    if seed < 0:
        raise ConfigError("a seed must be at least 0", f"{seed} was given", "Give another one.")
    for what, value, known in (("method", method, METHODS), ("format", file, get_args(FileFormat))):
        if value not in known:
            raise ConfigError(f"the {what} must be known", f"{value!r} was given", nearest(value, known))
    return SynthesisConfig.model_validate(
        {"rows": rows, "method": method, "seed": seed, "budget": budget, "file": file}
    )
