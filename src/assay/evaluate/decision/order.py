"""Whether classes have an order, so that a decision can be off by one of them or by many."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from assay.data.rows import listed
from assay.data.schema import Schema, Task
from assay.errors import ConfigError
from assay.evaluate.metrics import Ints


def is_ordered(schema: Schema) -> bool:
    """Whether the classes are more than two numbers, in rising order."""
    if schema.class_dtype not in ("integer", "number") or len(schema.classes) < 3:
        return False
    try:
        values = [float(name) for name in schema.classes]
    except ValueError:
        return False
    return bool(np.all(np.diff(values) > 0))


def check_order(order: Sequence[str], schema: Schema) -> None:
    """Refuse an order of the classes that is not one of all of them, before anything is trained.

    Raises:
        ConfigError: it names others, or the task has none.
    """
    if not order:
        return
    if schema.task is not Task.MULTICLASS:
        raise ConfigError(
            "evaluate.order is of three classes or more", f"the task is {schema.task.value}", "Leave it out."
        )  # fmt: skip
    if sorted(order) != sorted(schema.classes):
        odd = [name for name in order if name not in schema.classes]
        lacking = [name for name in schema.classes if name not in order]
        came = "; ".join(
            f"{what} {listed(names)}" for what, names in (("no class is", odd), ("it lacks", lacking)) if names
        )
        raise ConfigError(
            f"evaluate.order must name every class of {schema.target!r} once, from the lowest to the highest",
            came or "a class is named twice", f"The classes are {listed(schema.classes)}.",
        )  # fmt: skip


def order_of(schema: Schema, order: Sequence[str]) -> Ints | None:
    """The place of each class in their order, (K,): as it was given, or of classes that are rising numbers."""
    if order and sorted(order) == sorted(schema.classes):
        return np.array([list(order).index(name) for name in schema.classes], np.int64)
    return np.arange(len(schema.classes)) if is_ordered(schema) else None
