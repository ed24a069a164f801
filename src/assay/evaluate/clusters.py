"""Rows that belong together, such as those of a patient: they are no independent witnesses of a score."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from assay.data.columns import as_category
from assay.data.rows import Rows
from assay.data.schema import Schema

#: Groups below which a bootstrap of them covers too seldom (Cameron, Gelbach & Miller 2008, section IV).
FEW_CLUSTERS = 20


def clusters_of(rows: Rows, schema: Schema) -> NDArray[np.int64] | None:
    """The place of each row's group, from 0 on, (n,), or None where no row has another to belong to.

    A row without a group is one of its own.
    """
    if schema.group is None:
        return None
    names = as_category(rows.column(schema.group)).to_list()
    keys = [(name, -1) if name is not None else ("", place) for place, name in enumerate(names)]
    known = {key: place for place, key in enumerate(dict.fromkeys(keys))}
    return None if len(known) == len(names) else np.array([known[key] for key in keys], np.int64)
