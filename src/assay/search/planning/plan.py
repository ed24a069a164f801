"""Which networks are trained, decided by the data, the time and what the user said."""

from __future__ import annotations

import math

from assay.data.schema import Schema
from assay.models.config import ModelConfig
from assay.search.config import EnsembleConfig
from assay.search.planning.asked import check_asked, reads_words
from assay.search.planning.jobs import Plan, Wanted
from assay.search.planning.media import plan_forecast, plan_pictures, plan_series, plan_words
from assay.search.planning.tables import plan_table
from assay.train.budget import Budget
from assay.train.config import TrainConfig

#: Seconds that are planned for where no time was given.
_UNLIMITED = 600.0


def plan(
    rows: int,
    schema: Schema,
    model: ModelConfig,
    train: TrainConfig,
    ensemble: EnsembleConfig,
    budget: Budget,
    *,
    has_encoder: bool = False,
    steps: int = 0,
    has_pictures: bool = False,
    tunes: bool = False,
    words: float = 0.0,
) -> Plan:
    """The plan for this many rows and this time; whatever the user set in `model` and `train` holds for every job.

    Args:
        has_encoder: whether texts come as the features of a pretrained encoder.
        steps: of the longest series; 0 where there are no series.
        has_pictures: whether rows have a picture.
        tunes: whether a text encoder is trained further, for which there is the time of one split.
        words: of a row's texts, where they are read word by word; 0 where they are not.

    Raises:
        ConfigError: options contradict each other, or a recipe has no use for one.
    """
    check_asked(schema, model, train, ensemble)
    seconds = _UNLIMITED if math.isinf(budget.left) else budget.left
    wanted = Wanted(rows, seconds, schema, model, train, ensemble)
    if schema.windowing is not None:
        return plan_forecast(wanted)
    if has_pictures:
        return plan_pictures(wanted)
    if steps:
        return plan_series(wanted, steps)
    if reads_words(model, ensemble):
        return plan_words(wanted)
    return plan_table(wanted, has_encoder=has_encoder, tunes=tunes, words=words)
