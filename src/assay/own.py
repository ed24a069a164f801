"""Models of the user's own at the border: what may stand beside `model=`, and what such a model is given."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from assay.compose.hydra_io import compose
from assay.compose.run_config import RunConfig
from assay.data.encoding.encode import Encoder
from assay.data.encoding.names import encoded_names
from assay.data.reading.arrays import as_given
from assay.data.rows import Rows
from assay.data.schema import Kind, Schema, Task
from assay.data.split.split import seal
from assay.errors import ConfigError
from assay.ledger import Ledger
from assay.models.foreign import feature_names
from assay.models.opening import is_factory
from assay.request import Request, resolve, with_table
from assay.sources import decoded, read_tables
from assay.train.families.foreign import Own, check_options, open_own
from assay.workspace import scratch


@dataclass(frozen=True)
class ModelInputs:
    """What a model of your own is given, and what it has to return.

    features: names of the columns of the matrix, in their order.
    numbers, extras: names of the columns of these matrices, for a forward that asks for them by name.
    codes: of each category column the meaning of its codes, in order: unknown, missing, then the categories.
    classes: of the target, in the order of the logits; empty for values.
    pictures: channels, height and width of each row's picture, float32 of 0 to 1; empty where there is none. Rows of
        pictures alone have no matrix, and the model is given the pictures.
    has_labels: whether the classes are labels of which a row has any number.
    """

    features: tuple[str, ...]
    numbers: tuple[str, ...]
    extras: tuple[str, ...]
    codes: Mapping[str, tuple[str, ...]]
    classes: tuple[str, ...]
    pictures: tuple[int, ...] = ()
    has_labels: bool = False

    @property
    def inputs(self) -> int:
        """Columns of the matrix; of pictures alone their channels."""
        return len(self.features) or (self.pictures[0] if self.pictures else 0)

    @property
    def outputs(self) -> int:
        """Logits a row (of two classes one will do), one for each label, or 1 for values."""
        return len(self.classes) or 1

    def __str__(self) -> str:
        parts = [f"a float32 matrix of {self.inputs} features: {', '.join(self.features)}"] * bool(self.features)
        if self.pictures:
            named = " (by the name `pictures`)" if self.features else ""
            parts.append(f"float32 pictures of 0 to 1, (rows, {', '.join(map(str, self.pictures))}){named}")
        given = "; and ".join(parts)
        if not self.classes:
            return f"given {given}; to return: one standardised value a row, (rows, 1) or (rows,)"
        if self.has_labels:
            labels = ", ".join(self.classes)
            return f"given {given}; to return: a logit for each label, {labels}, (rows, {len(self.classes)})"
        single = ", or one logit for the second, (rows, 1) or (rows,)" if len(self.classes) == 2 else ""
        classes = ", ".join(self.classes)
        return f"given {given}; to return: logits of {classes}, (rows, {len(self.classes)}){single}"


def describe_inputs(
    data: Any,  # noqa: ANN401  # whatever read() takes
    target: Any = None,  # noqa: ANN401  # as for fit
    *,
    test: Any = None,  # noqa: ANN401
    valid: Any = None,  # noqa: ANN401
    kinds: dict[str, Kind] | None = None,
    task: Task | str | None = None,
    positive: str | None = None,
    drop: Sequence[str] = (),
    group: str | None = None,
    time: str | None = None,
    weight: str | None = None,
    preset: str | None = None,
    seed: int | None = None,
    config: str | os.PathLike[str] | RunConfig | None = None,
    overrides: Sequence[str] = (),
) -> ModelInputs:
    """What `fit` with the same arguments would give to a model of your own: read, split and encoded, nothing trained.

    Raises:
        InputError: something given cannot be used.
    """
    composed = resolve(config, preset, overrides, budget=None, seed=seed, strict=False)
    given = as_given(data, target, test=test, valid=valid, kinds=kinds)
    said: dict[str, object] = {
        "target": given.target, "kinds": given.kinds, "task": task, "positive": positive, "drop": tuple(drop),
        "group": group, "time": time, "weight": weight,
    }  # fmt: skip
    request = Request(given.data, given.test, given.valid, with_table(composed, said), ())
    options, ledger = request.config.data, Ledger()
    with scratch() as folder:
        sources = (request.data, request.valid, request.test)
        read_in = read_tables(*sources, request.hints, options, ledger, options.spill(folder))
        read_in, pictures = decoded(read_in, options, folder)
        schema, parts = read_in.schema, {"valid": read_in.valid, "test": read_in.test}
        split = seal(read_in.data, schema, options.split, seed=request.config.seed, ledger=ledger, **parts)
        encoder = Encoder.fit(split.train, schema, options.encode, ledger, pictures=pictures)
    names, layout = encoded_names(encoder), encoder.layout
    shape = tuple(int(size) for place in layout.places("pictures") for size in layout.media[place].shape)
    classes = tuple(schema.classes)
    return ModelInputs(
        feature_names(names), names.numbers, names.extras, dict(names.codes), classes, shape, schema.is_multilabel
    )


def open_given(
    model: object, encoder: Encoder, train: Rows, schema: Schema, config: RunConfig
) -> tuple[Own | None, RunConfig]:
    """The model of the user's own, examined, or None; and the configuration with what is recorded of it.

    Raises:
        ConfigError: it cannot be trained, tested or saved as it is, or an option has no effect on it.
    """
    if model is None:
        return None, config
    if encoder.layout.places("series"):
        raise ConfigError(
            "a model of your own is given numbers, categories, texts and a picture",
            "the table has series, which only the networks that assay brings read",
            "Leave the series out with --drop, or their steps as columns with data.series=none.",
        )
    members = members_of(config, from_factory=is_factory(model))
    own = open_own(model, encoder, train, schema, members=members, seed=config.seed, weighted=train.weight is not None)
    training = check_options(own, config.train, asked_by_hand(config, "train"), bagging=config.ensemble.bagging)
    return own, config.model_copy(update={"model": own.config, "train": training})


def asked_by_hand(config: RunConfig, section: str) -> dict[str, object]:
    """The options of `section` that were set, by name, without those that are as the preset has them."""
    ours, preset = getattr(config, section), getattr(compose(config.preset), section)
    return {
        name: getattr(ours, name)
        for name in sorted(ours.model_fields_set)
        if name not in preset.model_fields_set or getattr(preset, name) != getattr(ours, name)
    }


def check_model(config: RunConfig, model: object) -> None:
    """Refuse options that speak of a network of assay's beside a model of the user's own, and the other way round.

    Raises:
        ConfigError: `model` and the options contradict each other.
    """
    if model is None:
        if config.model.name == "own":
            raise ConfigError(
                "model.name=own stands for a model of your own",
                "none was given",
                "Pass it in Python: assay.fit(data, target, model=...); the command line takes none.",
            )
        return
    if config.data.horizon:
        came = f"data.horizon={config.data.horizon} was given beside one"
        raise ConfigError(
            "a model of your own gives a class or a number a row, and no forecast", came, "Leave one out."
        )
    said = {f"model.{name}": value for name, value in asked_by_hand(config, "model").items()}
    recorded = ("model.members", "model.module", "model.parameters") + ("model.name",) * (config.model.name == "own")
    network = [name for name in said if name not in recorded]
    several = asked_by_hand(config, "ensemble")
    network += ["ensemble.recipes"] * ("recipes" in several) + ["ensemble.folds"] * (config.ensemble.folds > 1)
    network += ["ensemble.trees"] * config.ensemble.trees + ["ensemble.distill"] * config.ensemble.distill
    network += [f"ensemble.{name}" for name in ("backbone", "tuned_layers", "views") if name in several]
    if network:
        raise ConfigError(
            "a model of your own is trained as it is",
            f"model= was given together with {', '.join(network)}, which choose or shape what assay trains",
            "Leave these options out, or leave model= out.",
        )


def members_of(config: RunConfig, *, from_factory: bool) -> int:
    """How many models of the user's own to train: what was asked, one where nothing was.

    What a preset says counts for a factory alone: of a model that is made already there is one.
    """
    if "members" not in config.model.model_fields_set:
        return 1
    if from_factory or "members" in asked_by_hand(config, "model"):
        return config.model.members
    return 1
