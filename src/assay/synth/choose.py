"""Which generator learns a table, and why."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from assay.data.rows import Rows
from assay.data.schema import Schema
from assay.errors import ConfigError
from assay.synth.block import Block, Generator, Layout
from assay.synth.config import Method, SynthesisConfig
from assay.synth.copula import Copula
from assay.synth.smote import Smote

#: Methods whose rows are to be added to the real ones.
AUGMENTING: tuple[Method, ...] = ("smote", "borderline")
#: Rows learned from and seconds left below which `auto` takes the copula.
TVAE_ROWS, TVAE_SECONDS = 2000, 60.0


def chosen_method(config: SynthesisConfig, rows: int, left: float | None) -> tuple[Method, str]:
    """The method, and why.

    Args:
        config: what is asked for.
        rows: rows to learn from.
        left: seconds that are left, None for no limit.
    """
    if config.method != "auto":
        return config.method, "because you say so"
    if rows < TVAE_ROWS:
        return "copula", f"auto: fewer than {TVAE_ROWS:,} rows to learn from are too few for a network"
    if left is not None and left < TVAE_SECONDS:
        return "copula", f"auto: a network needs {TVAE_SECONDS:.0f} s, and {max(left, 0.0):.0f} s are left"
    return "tvae", f"auto: {TVAE_ROWS:,} rows to learn from or more, and the time for a network"


def fitted(
    method: Method, block: Block, layout: Layout, learned: Rows, schema: Schema, config: SynthesisConfig,
    seconds: float | None, tell: Callable[[int, int], None],
) -> Generator:  # fmt: skip
    """The generator of this name, trained on `block`.

    Args:
        method: which one.
        block, layout: the rows learned from and their columns.
        learned: the same rows, whose classes SMOTE goes by.
        schema: names the classes.
        config: the seed and the number of rows.
        seconds: that training may take, None for as long as it takes.
        tell: is told of the steps of a training.

    Raises:
        ConfigError: SMOTE is asked for numbers.
        DataError: a class is too small for SMOTE.
        DivergenceError: a training diverged.
    """
    if method == "copula":
        return Copula.fit(block, layout)
    if method == "tvae":
        from assay.synth.tvae import Tvae  # torch

        return Tvae.fit(block, layout, seed=config.seed, seconds=seconds, tell=tell)
    if not schema.is_classification:
        what = "holds several labels a row" if schema.is_multilabel else "is a number"
        raise ConfigError(
            f"{method} adds rows to small classes",
            f"the target {schema.target!r} {what} ({schema.task_reason})",
            "Take --method copula or tvae, or say --task multiclass if its values are classes.",
        )
    rng = np.random.default_rng([config.seed, 2])
    border = method == "borderline"
    return Smote.fit(block, learned.target, schema.classes, config.rows, rng, border=border)
