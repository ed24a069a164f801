"""A plan of settings: networks whose options were found by a study, or written down, trained as parts of one model."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace

from assay.data.encoding.encode import Encoder
from assay.data.schema import Schema
from assay.errors import ConfigError
from assay.models.config import ModelConfig
from assay.search.config import EnsembleConfig
from assay.search.planning.jobs import Plan
from assay.search.planning.plan import plan
from assay.search.study.settings import with_options
from assay.search.study.space import Setting
from assay.search.study.trial import Value
from assay.train.budget import Budget
from assay.train.config import TrainConfig


def as_text(setting: Mapping[str, Value]) -> str:
    """A setting as `ensemble.settings` has it, with all digits: `model.name=mlp train.lr=0.0021`."""
    return " ".join(
        f"{key}={str(value).lower() if isinstance(value, bool) else value}" for key, value in setting.items()
    )


def setting_in(text: str) -> Setting:
    """The setting that a text stands for.

    Raises:
        ConfigError: a word of it is not KEY=VALUE, or there is none.
    """
    found: Setting = {}
    for word in text.split():
        key, equals, value = word.partition("=")
        if not equals or not key.startswith(("model.", "train.")) or not value:
            raise ConfigError(
                "a setting of ensemble.settings is options of model. and train., with a blank between them",
                f"{word!r} is none", "Example: ensemble.settings=['model.name=mlp train.lr=0.002']",
            )  # fmt: skip
        found[key] = _typed(value)
    if not found:
        raise ConfigError("a setting of ensemble.settings must have an option", "one is empty", "Leave it out.")
    return found


def _typed(text: str) -> Value:
    if text in ("true", "false"):
        return text == "true"
    with suppress(ValueError):
        return int(text)
    with suppress(ValueError):
        number = float(text)
        if math.isfinite(number):
            return number
    return text


def plan_settings(
    encoder: Encoder,
    rows: int,
    schema: Schema,
    model: ModelConfig,
    train: TrainConfig,
    ensemble: EnsembleConfig,
    seconds: float,
) -> Plan:
    """A job for each setting of `ensemble.settings`, in equal shares of the time, on the same folds.

    Raises:
        ConfigError: a setting asks for what cannot be.
    """
    asked = [with_options(setting_in(text), model, train) for text in ensemble.settings]

    def planned(folds: int) -> list[Plan]:
        own = ensemble.model_copy(update={"settings": (), "folds": folds})
        return [_alone(encoder, rows, schema, *each, own, seconds / len(asked)) for each in asked]

    plans = planned(ensemble.folds)
    folds = min(each.folds for each in plans)
    if any(each.folds != folds for each in plans):
        plans = planned(folds)
    jobs, seen = [], dict.fromkeys((each.jobs[0].name for each in plans), 0)
    for each in plans:
        job = each.jobs[0]
        seen[job.name] += 1
        name = job.name if seen[job.name] == 1 else f"{job.name} {seen[job.name]}"
        jobs.append(replace(job, name=name, share=1.0 / len(asked)))
    why = next((each.why_no_folds for each in plans if each.why_no_folds), "")
    return Plan(tuple(jobs), folds, "as ensemble.settings says", why)


def _alone(
    encoder: Encoder,
    rows: int,
    schema: Schema,
    model: ModelConfig,
    train: TrainConfig,
    ensemble: EnsembleConfig,
    seconds: float,
) -> Plan:
    return plan(
        rows, schema, model, train, ensemble, Budget(seconds), has_encoder=encoder.frozen is not None,
        steps=max((item.length for item in encoder.inputs), default=0),
        has_pictures=any(item.picture is not None for item in encoder.inputs),
        tunes=bool(encoder.layout.places("windows")),
    )  # fmt: skip


def check_settings(texts: Sequence[str]) -> None:
    """Refuse settings that cannot be read, before any work is done.

    Raises:
        ConfigError: there is one.
    """
    for text in texts:
        setting_in(text)
