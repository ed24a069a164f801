"""The groups that are learned from: of all sensitive columns crossed, small ones as one; and weights that part them.

Reweighing: Kamiran & Calders, Data preprocessing techniques for classification without discrimination (KAIS 2012),
section 5.3.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from assay.data.rows import Rows
from assay.data.schema import Schema
from assay.errors import ConfigError
from assay.evaluate.fair.groups import Grouping, finest, groupings, learn_cuts
from assay.evaluate.metrics import Floats, Ints

#: Rows to learn from below which a group is put together with the other small ones.
LEAST_LEARNED = 30
_OTHERS = "groups of few rows"


@dataclass(frozen=True)
class Learned:
    """The groups of rows that are learned from, and how the rows that judge are put into them.

    names: of the groups, the last for those of few rows where there are any. codes: of the rows that are learned from,
    (n,). judged: of those that judge, (m,).
    """

    names: tuple[str, ...]
    codes: Ints
    judged: Ints


def check_groups(schema: Schema, asks: str) -> None:
    """Refuse what is to lessen a gap where there are no groups, or where rows have more than one class or number.

    Args:
        schema: of the table.
        asks: what it is, in words.

    Raises:
        ConfigError: it is so.
    """
    if not schema.sensitive:
        raise ConfigError(
            f"{asks} needs to know whose groups it is about", "no column is named as sensitive",
            "Name them with --sensitive COL, and --drop COL what the model shall not read.",
        )  # fmt: skip
    if schema.is_multilabel or schema.windowing is not None:
        raise ConfigError(
            f"{asks} is about one class or number a row", f"the task is {schema.task.value}", "Leave it out."
        )


def learned_groups(learned: Rows, judged: Rows, schema: Schema) -> Learned:
    """The groups of all sensitive columns crossed, of which those of few rows are taken as one.

    Raises:
        ConfigError: there are fewer than two groups, or too many.
    """
    cuts = learn_cuts(learned, schema)
    found, other = (finest(groupings(rows.column, schema, cuts)) for rows in (learned, judged))
    if len(found.names) < 2:
        raise ConfigError(
            "sensitive columns must have two groups or more to lessen a gap between them",
            f"of {' and '.join(found.columns)}: {found.problem}", "Name other columns with --sensitive.",
        )  # fmt: skip
    rows = np.bincount(found.codes, minlength=len(found.names))
    kept = [place for place in range(len(rows)) if rows[place] >= LEAST_LEARNED]
    names = [found.names[place] for place in kept]
    place_of = {name: place for place, name in enumerate(names)}

    def coded(grouping: Grouping) -> Ints:
        places = np.array([place_of.get(name, len(names)) for name in grouping.names], np.int64)
        return places[grouping.codes] if len(places) else np.full(len(judged), len(names), np.int64)

    codes, judges = coded(found), coded(other)
    if max(codes.max(), judges.max()) == len(names):
        names.append(_OTHERS)
    if len(set(codes.tolist())) < 2:
        raise ConfigError(
            f"a gap is lessened between two groups or more of at least {LEAST_LEARNED} rows to learn from",
            f"the groups of {' and '.join(found.columns)} are smaller", "Name coarser columns, or leave it out.",
        )  # fmt: skip
    return Learned(tuple(names), codes, judges)


def reweighing(groups: Ints, classes: Ints, weight: Floats | None) -> Floats:
    """Factors of row weights, (n,), that make group and class independent: P(group) P(class) / P(group and class).

    Args:
        groups, classes: positions, (n,).
        weight: of the rows, (n,), or None.
    """
    count = int(classes.max()) + 1
    both = groups * count + classes
    table = np.bincount(both, weights=weight, minlength=(int(groups.max()) + 1) * count).reshape(-1, count)
    share = table / table.sum()
    expected = share.sum(axis=1, keepdims=True) * share.sum(axis=0, keepdims=True)
    factors = np.divide(expected, share, out=np.ones_like(share), where=share > 0)
    return np.asarray(factors.reshape(-1)[both], np.float64)
