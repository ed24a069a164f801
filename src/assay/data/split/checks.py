"""What a table must hold to be cut into parts, and what the parts must hold."""

from __future__ import annotations

import numpy as np

from assay.data.rows import NAMES, Part, Rows, listed
from assay.data.schema import Schema
from assay.errors import DataError

#: Fewer rows than this cannot be trained on and tested with any meaning.
FEWEST_ROWS = 10


def check_rows(rows: Rows, schema: Schema) -> None:
    """Enough rows, a column to learn from, and a target that varies.

    Raises:
        DataError: one of these does not hold.
    """
    if not schema.features:
        raise DataError(
            "a table needs at least one column to learn from beside the target",
            "its columns are " + ", ".join(f"{column.name!r} ({column.kind})" for column in schema.columns[:12]),
            "Give more columns, or say what one is: --as COLUMN=category.",
        )
    if len(rows) < FEWEST_ROWS:
        raise DataError(
            f"a table needs at least {FEWEST_ROWS} rows with a target to be trained on and tested",
            f"there are {len(rows)}",
            "Add rows.",
        )
    if (rows.target == rows.target[0]).all():
        raise DataError(
            f"the target {schema.target!r} must have at least two different values",
            "all rows have the same",
            "Choose another target.",
        )


def check_class_units(target: np.ndarray, units: np.ndarray, schema: Schema, parts: int) -> None:
    """Every class needs a row for each part, and so many rows that need not stay together.

    Raises:
        DataError: names the class, its rows and how many are needed.
    """
    rows = np.bincount(target, minlength=len(schema.classes))
    pairs = np.unique(units * len(schema.classes) + target)
    apart = np.bincount(pairs % len(schema.classes), minlength=len(schema.classes))
    for position, name in enumerate(schema.classes):
        if rows[position] < parts:
            raise DataError(
                f"every class of {schema.target!r} needs at least {parts} rows, one for each part",
                f"class {name!r} has {rows[position]}",
                "Add rows of this class, join it with another class, or remove it.",
            )
        if apart[position] < parts:
            raise DataError(
                f"every class of {schema.target!r} needs at least {parts} rows that can go to different parts",
                f"the {rows[position]} rows of class {name!r} form {apart[position]} sets that must stay together "
                "(equal rows or one group)",
                "Add rows, join the class with another, or set data.split.keep_duplicates_together=false.",
            )


def check_classes(cut: dict[Part, Rows], given: dict[Part, Rows], schema: Schema) -> None:
    """Training knows every class; the parts cut from the table have them all, save where the cut is in time.

    A part cut in time or a given file needs two classes, the fewest that can be scored; classes it lacks are written to
    the ledger.

    Raises:
        DataError: a part is empty or lacks a class it must have.
    """
    for part, rows in cut.items():
        if len(rows) == 0:
            raise DataError(
                f"the {NAMES[part]} part must have rows",
                "it has none",
                "Give more rows, or change data.split.valid and data.split.test.",
            )
        if not schema.is_classification:
            continue
        present = np.bincount(rows.target, minlength=len(schema.classes)) > 0
        absent = [name for name, here in zip(schema.classes, present, strict=True) if not here]
        may_lack = part in given or (schema.time is not None and part != "train")
        if absent and not (may_lack and present.sum() >= 2):
            fewest = "at least two classes" if may_lack else "every class"
            raise DataError(
                f"the {NAMES[part]} part must have {fewest} of {schema.target!r}",
                f"{listed(absent)} {'is' if len(absent) == 1 else 'are'} not in it",
                _advice_on_absent_class(schema, part in given),
            )


def _advice_on_absent_class(schema: Schema, from_file: bool) -> str:
    if from_file:
        return "Give a file that has them."
    if schema.time is not None:
        return "These classes appear at other times only: leave --time out, or give the parts as files of their own."
    if schema.group is not None:
        return "Too few groups have these classes: add groups, or join classes."
    return "Set data.split.stratify=true, or add rows of these classes."
