"""What the user asked of the networks, and whether the table has anything for it."""

from __future__ import annotations

from collections.abc import Sequence

from assay.data.schema import Kind, Schema
from assay.errors import ConfigError
from assay.models.config import FORECASTING, PICTURES, SERIES, TEXTS, ModelConfig
from assay.search.config import EnsembleConfig
from assay.train.config import TrainConfig


def asked(model: ModelConfig, ensemble: EnsembleConfig) -> tuple[Sequence[str], str] | None:
    """The recipes that the user named, and where; None where the choice was left open."""
    if model.name != "auto":
        return (model.name,), "as model.name says"
    if "auto" not in ensemble.recipes:
        return tuple(dict.fromkeys(ensemble.recipes)), "as ensemble.recipes says"
    return None


def reads_words(model: ModelConfig, ensemble: EnsembleConfig) -> bool | None:
    """Whether networks that read texts word by word were asked for; None where the choice was left open."""
    said = asked(model, ensemble)
    return None if said is None else any(name in TEXTS for name in said[0])


def reads_only_words(model: ModelConfig, ensemble: EnsembleConfig) -> bool:
    """Whether no other networks than such were asked for."""
    said = asked(model, ensemble)
    return said is not None and all(name in TEXTS for name in said[0])


def check_asked(schema: Schema, model: ModelConfig, train: TrainConfig, ensemble: EnsembleConfig) -> None:
    """Refuse what was asked for and what the table has nothing for.

    Raises:
        ConfigError: a network was named that reads nothing of the table, or an option was set that would do nothing.
    """
    _check_networks(schema, model, ensemble)
    _check_pretrained(schema, ensemble)
    if ensemble.distill:
        _check_student(train)
    if schema.windowing is not None:
        _check_forecast(model, train, ensemble)
    check_training(schema, train)


def check_training(schema: Schema, train: TrainConfig) -> None:
    """Refuse options of training that do nothing for the target.

    Raises:
        ConfigError: one was given.
    """
    if not schema.is_classification and train.balance not in ("auto", "none"):
        came = f"train.balance={train.balance} was given, and the target is a {schema.task.value}"
        raise ConfigError("classes can be balanced where a row has one", came, "Leave it out.")
    if schema.is_multilabel and train.select != "loss" and "select" in train.model_fields_set:
        raise ConfigError(
            "the epoch of a multilabel model is chosen by its loss",
            f"train.select={train.select} asks for another way",
            "Leave train.select out: until thresholds are chosen there is no share of right answers to go by.",
        )  # fmt: skip


def _check_student(train: TrainConfig) -> None:
    """A student learns from answers, which tell nothing of what its teacher owed to groups."""
    if train.fairness != "none":
        raise ConfigError(
            "a student learns from the answers of an ensemble alone",
            f"train.fairness={train.fairness} trains with an eye on groups, which the answers do not tell of",
            "Leave one of ensemble.distill and train.fairness out.",
        )


def _check_networks(schema: Schema, model: ModelConfig, ensemble: EnsembleConfig) -> None:
    said = asked(model, ensemble)
    kinds = {column.kind for column in schema.features}
    others = kinds - {Kind.SEQUENCE, Kind.IMAGE}
    for name in () if said is None else said[0]:
        if schema.windowing is not None:
            reads, has = "no windows of a forecast", name in FORECASTING
        elif name in FORECASTING and name not in SERIES:
            reads, has = "windows of a forecast, for which data.horizon is to be set", False
        elif name in SERIES:
            reads, has = "series", Kind.SEQUENCE in kinds
        elif name in TEXTS:
            reads, has = "texts", Kind.TEXT in kinds
        elif name in PICTURES:
            reads, has = "pictures", Kind.IMAGE in kinds
        else:
            reads, has = "numbers, categories or texts", bool(others)
        if not has:
            raise ConfigError(
                f"a table must have what its networks read, and {name} reads {reads}",
                f"its columns are of kind {', '.join(sorted(kinds))}",
                "Choose another network with model.name, or leave the choice to assay.",
            )


def _check_pretrained(schema: Schema, ensemble: EnsembleConfig) -> None:
    """Layers to train further need texts or pictures that a pretrained network reads, and views need pictures."""
    kinds = {column.kind for column in schema.features}
    has_pictures, has_texts = Kind.IMAGE in kinds, Kind.TEXT in kinds
    came = f"the columns are of kind {', '.join(sorted(kinds))}"
    if ensemble.tuned_layers not in ("auto", 0):
        said = f"ensemble.tuned_layers={ensemble.tuned_layers}"
        if not (has_texts or has_pictures):
            must = f"{said} trains an encoder of texts or pictures further, so there must be such a column"
            raise ConfigError(must, came, "Leave it out, or name a column of texts with --as COLUMN=text.")
        if has_pictures and not has_texts and ensemble.backbone == "none":
            must = f"{said} trains a pretrained network of pictures further, so there must be one"
            raise ConfigError(must, "ensemble.backbone=none leaves it out", "Leave one of the two out.")
    if ensemble.backbone not in ("auto", "none") and not has_pictures:
        must = f"ensemble.backbone={ensemble.backbone} reads pictures, so there must be some"
        raise ConfigError(must, came, "Leave it out.")
    if ensemble.views in ("mirror", "shifts") and not has_pictures:
        must = f"ensemble.views={ensemble.views} shows a network a picture in several ways, so there must be pictures"
        raise ConfigError(must, came, "Leave it out.")


def _check_forecast(model: ModelConfig, train: TrainConfig, ensemble: EnsembleConfig) -> None:
    """A forecast is of numbers in their order: no trees, no folds, no changed series."""
    if ensemble.trees:
        came = "ensemble.trees=true was given"
        raise ConfigError("boosted trees give one number, and a forecast has many", came, "Leave it out.")
    if ensemble.folds > 1:
        raise ConfigError(
            "a forecast is judged by what comes after its training part, not by folds",
            f"ensemble.folds={ensemble.folds} was given",
            "Leave it out.",
        )
    changes = [] if model.augment in ("auto", "none") else [f"model.augment={model.augment}"]
    changes += [f"train.series.{name}" for name in sorted(train.series.model_fields_set)]
    if changes:
        came = f"{' and '.join(changes)} {'was' if len(changes) == 1 else 'were'} given"
        raise ConfigError("what comes after a window does not change with it", came, "Leave it out.")
