"""From the options of a trial to a network and its training, and which of these can be members of one network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeVar

from pydantic import ValidationError

from assay.data.encoding.encode import Encoder
from assay.data.schema import Schema
from assay.errors import ConfigError
from assay.models.config import PICTURES, ModelConfig
from assay.records import Record
from assay.search.config import EnsembleConfig
from assay.search.planning.jobs import Job
from assay.search.planning.plan import plan
from assay.search.study.trial import Value
from assay.train.balance import SAMPLES
from assay.train.budget import Budget
from assay.train.config import TrainConfig
from assay.train.members import Member

Config = TypeVar("Config", bound=Record)
#: Options of the schedule, and of Adam.
_SCHEDULE = frozenset(
    {"train.cycles", "train.gamma", "train.milestones", "train.schedule", "train.step_share", "train.warmup"}
)
_BETAS = frozenset({"train.beta1", "train.beta2"})
_BALANCE = frozenset({"train.balance", "train.focal_gamma"})
#: Options in which members of one network may differ, those of the schedule if no rate waits for plateaus, betas with
#: Adam alone, the balance of classes if it leaves an epoch its rows; a difference in any other makes it another
#: network, or other batches.
OWN = _SCHEDULE | _BETAS | _BALANCE | {
    "model.dropout", "model.members", "train.clip_norm", "train.fairness_weight", "train.label_smoothing", "train.lr",
    "train.patience", "train.weight_decay",
}  # fmt: skip


def job_of(
    options: Mapping[str, Value], encoder: Encoder, rows: int, schema: Schema, model: ModelConfig, train: TrainConfig
) -> Job:
    """The network and the training that the options of a trial ask for, over what the study holds fixed.

    A network has one member where nothing else is said.

    Args:
        options: by dotted names, such as `train.lr`.
        encoder: of the rows.
        rows: how many there are to learn from.
        schema: of their table.
        model, train: what the study holds fixed.

    Raises:
        ConfigError: an option does not exist, has a value that it cannot have, or has no meaning for the network.
    """
    own_model, own_train = with_options(options, model, train)
    steps = max((item.length for item in encoder.inputs), default=0)
    planned = plan(
        rows, schema, own_model, own_train, EnsembleConfig(folds=1), Budget(None), steps=steps,
        has_encoder=encoder.frozen is not None, has_pictures=any(item.picture is not None for item in encoder.inputs),
    )  # fmt: skip
    job = planned.jobs[0]
    if "members" in own_model.model_fields_set:
        return job
    return replace(job, model=job.model.model_copy(update={"members": 1}))


def with_options(
    options: Mapping[str, Value], model: ModelConfig, train: TrainConfig
) -> tuple[ModelConfig, TrainConfig]:
    """The configurations with these options, by dotted names, over what is set in them.

    Raises:
        ConfigError: an option does not exist, or has a value that it cannot have.
    """
    parts: dict[str, dict[str, Any]] = {"model": _said(model), "train": _said(train)}
    for name, value in options.items():
        place, _, rest = name.partition(".")
        if place not in parts or not rest:
            raise ConfigError(
                "a trial can change options of the network and of its training", f"{name} was given",
                "Search options that begin with model. or train. only.",
            )  # fmt: skip
        _put(parts[place], rest.split("."), value)
    return _checked(ModelConfig, "model", parts), _checked(TrainConfig, "train", parts)


def _said(config: Record) -> dict[str, Any]:
    """The options that were set, those within others too."""
    given = {name: getattr(config, name) for name in config.model_fields_set}
    return {name: _said(value) if isinstance(value, Record) else value for name, value in given.items()}


def _put(content: dict[str, Any], path: list[str], value: Value) -> None:
    for name in path[:-1]:
        content = content.setdefault(name, {})
    content[path[-1]] = value


def _checked(config: type[Config], name: str, parts: Mapping[str, dict[str, Any]]) -> Config:
    try:
        return config.model_validate(parts[name])
    except ValidationError as error:
        first = error.errors()[0]
        option = ".".join([name, *map(str, first["loc"])])
        raise ConfigError(
            "a trial's options must be such as a fit takes", f"{option}={first['input']!r} is not ({first['msg']})",
            "Narrow the range of this option.",
        ) from None  # fmt: skip


def shape_of(job: Job) -> str:
    """What networks must have in common to be members of one, as text to compare."""
    own = OWN - _SCHEDULE if job.train.schedule == "plateau" else OWN
    own = own if job.train.optimiser in ("adam", "adamw") else own - _BETAS
    own = own - _BALANCE if job.train.balance in SAMPLES else own
    model = job.model.model_copy(update=_defaults(ModelConfig, "model", own))
    train = job.train.model_copy(update=_defaults(TrainConfig, "train", own))
    return model.model_dump_json() + train.model_dump_json()


def _defaults(config: type[Record], part: str, own: frozenset[str]) -> dict[str, Any]:
    names = [name.partition(".")[2] for name in own if name.startswith(f"{part}.")]
    return {name: config.model_fields[name].default for name in names}


def is_batched(job: Job) -> bool:
    """Whether several settings of the network gain by being trained as one; networks of pictures fill a core alone."""
    return job.model.name not in PICTURES


def members_of(job: Job, seeds: Sequence[int], scale: float) -> list[Member]:
    """Its members with these seeds; `scale` is that of the learning rate for the size of a batch."""
    config, smoothing = job.train, job.train.label_smoothing
    return [
        Member(seed, config.lr * scale, config.decay, job.model.dropout, smoothing, config.patience, config)
        for seed in seeds
    ]
