"""The whole choice judged in outer folds: nested cross-validation of a run."""

from __future__ import annotations

from assay.apportion import text_plan
from assay.data.encoding.encode import Encoder
from assay.data.picture_sources.tables import Pictures
from assay.data.schema import Schema
from assay.data.split.split import Split
from assay.data.stored import Spill
from assay.errors import ConfigError
from assay.evaluate.exam import calibrate
from assay.evaluate.metrics import PRIMARY, metric
from assay.evaluate.nested import nested
from assay.evaluate.record import Nested
from assay.ledger import Ledger, Outcome
from assay.request import Request
from assay.search.fit.portfolio import search
from assay.train.budget import Budget
from assay.train.model import Model
from assay.train.watch import Unwatched, Watch


def outer_folds(request: Request, schema: Schema) -> int:
    """How many times more the model is chosen, for an estimate of the choice; 0 without evaluate.protocol=nested.

    Raises:
        ConfigError: there is nothing that could be chosen anew.
    """
    config = request.config.evaluate
    if config.protocol != "nested":
        return 0
    if request.model is not None or schema.windowing is not None or schema.is_multilabel:
        came = "a model of your own was given" if request.model is not None else "windows of a forecast overlap"
        came = "rows have several labels, for which it is not made" if schema.is_multilabel else came
        raise ConfigError(
            "nested cross-validation chooses networks of assay for rows that stand alone", came,
            "Leave evaluate.protocol=nested out.",
        )  # fmt: skip
    return config.outer_folds


def outer_estimate(
    request: Request,
    split: Split,
    schema: Schema,
    pictures: Pictures | None,
    budget: Budget,
    spill: Spill,
    model: Model,
    ledger: Ledger,
    watch: Watch,
) -> Nested | None:
    """The estimate of the whole choice in outer folds, where it was asked for; each has an equal part of the time."""
    config, folds = request.config, outer_folds(request, schema)
    if not folds or model.trained.interrupted:
        why = "the run was interrupted" if folds else "evaluate.protocol=nested repeats the choice in outer folds"
        ledger.record("evaluate.nested", Outcome.SKIPPED, why)
        return None

    def choose(parts: Split, place: int) -> Model:
        watch.stage(f"outer fold {place + 1} of {folds}")
        own, quiet = budget.part(1.0 / (folds - place)), Ledger()
        texts = text_plan(request, parts, schema, own, quiet)
        encoder = Encoder.fit(
            parts.train, schema, texts.encode, quiet, frozen=texts.frozen, pictures=pictures, words=texts.words,
            tunes=texts.tunes,
        )  # fmt: skip
        found = search(
            encoder, parts, schema, config.model, config.train, config.ensemble, dealing=config.data.split,
            seed=config.seed + place, budget=own, watch=Unwatched(), ledger=quiet, spill=spill,
        )  # fmt: skip
        return calibrate(found, parts.valid, config.evaluate, schema, quiet)

    return nested(
        choose, split, schema, config.data.split, metric(schema.task, PRIMARY[schema.task]), folds=folds,
        seed=config.seed, confidence=config.evaluate.confidence, ledger=ledger,
    )  # fmt: skip
