"""Our options for Hydra apps of the user's own: structured configs in Hydra's store, made from the pydantic records.

    register()

    @hydra.main(version_base="1.3", config_path=None, config_name="assay")
    def main(config):
        run = assay.fit(config=run_config(config))

Hydra composes, overrides and sweeps them (`--multirun train.lr=1e-3,3e-3`, `model=tabm`); ranges, and what fits
together, are checked by `run_config`. Options that a preset or the recipe of a network decides when nobody sets them
are missing (`???`) until they are set.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field, make_dataclass
from enum import Enum
from functools import cache
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Optional, Union, get_args, get_origin

from assay._imports import require
from assay.compose.hydra_io import composed_of
from assay.compose.run_config import RunConfig
from assay.errors import ConfigError
from assay.models.config import Family
from assay.records import Record

_PURPOSE = "Registering options with Hydra"
_MISSING = "???"
#: Sections that a network's recipe fills in, and the option that a preset does.
_LEFT_OPEN = ("model", "train", "budget")
#: Types that OmegaConf takes side by side.
_PLAIN = (bool, int, float, str)


def register(name: str = "assay", *, choices: bool = True) -> None:
    """Put our options into Hydra's ConfigStore: the config `name`, and with `choices` the group `model`.

    As the config of an app it is `config_name=name`; within a config of your own it is `defaults: [assay@fit]`, and
    the options are under `fit`.

    Args:
        name: of the config in the store.
        choices: whether `model=tabm` chooses a network; not for an app with a group `model` of its own, where
            `model.name=tabm` does.

    Raises:
        MissingExtraError: Hydra is not installed.
    """
    store = require("hydra.core.config_store", _PURPOSE).ConfigStore.instance()
    store.store(name=name, node=structured(choices=choices), provider="assay")
    for family in ("auto", *get_args(Family)) if choices else ():
        store.store(group="model", name=family, node={"name": family}, provider="assay")


def run_config(config: Any) -> RunConfig:  # noqa: ANN401  # OmegaConf has no types
    """The checked configuration of a run from what Hydra composed; what is missing is left to preset and recipe.

    Raises:
        ConfigError: an option is unknown or out of range, or values do not fit together.
    """
    omegaconf = require("omegaconf", _PURPOSE)
    errors = require("omegaconf.errors", _PURPOSE)
    if not omegaconf.OmegaConf.is_dict(config):
        raise ConfigError(
            "run_config takes what Hydra composed",
            f"a {type(config).__name__} was given",
            "Pass the config of your function, or the part of it that holds our options: run_config(config.fit).",
        )
    try:
        content = omegaconf.OmegaConf.to_container(config, resolve=True, enum_to_str=True)
    except errors.OmegaConfBaseException as error:
        raise ConfigError(
            "every value of the configuration must be known", str(error).splitlines()[0], "Look at the '${' in it."
        ) from None
    return composed_of(_without_missing(content), "the Hydra configuration").config


@cache
def structured(*, choices: bool = False) -> type:
    """The whole RunConfig as a dataclass for OmegaConf; with `choices` it has a defaults list that names `model`."""
    return _dataclass(RunConfig, "AssayOptions", defaults=["_self_", {"model": "auto"}] if choices else None)


def _dataclass(record: type[Record], name: str, *, left_open: bool = False, defaults: list[Any] | None = None) -> type:
    """A dataclass with the fields of a record; all are missing where they are `left_open`."""
    fields: list[tuple[str, Any, Any]] = []
    if defaults is not None:
        fields.append(("defaults", list[Any], field(default_factory=lambda: list(defaults))))
    for key, info in record.model_fields.items():
        inner, is_open = info.annotation, left_open or key in _LEFT_OPEN
        named = f"{name.removesuffix('Options')}{key.title().replace('_', '')}"
        if isinstance(inner, type) and issubclass(inner, Record):
            made = _dataclass(inner, f"{named}Options", left_open=is_open)
            fields.append((key, made, field(default_factory=made)))
            continue
        kind = _type(inner, named)
        default = _MISSING if is_open else info.get_default(call_default_factory=True)
        fields.append((key, kind, field(default_factory=_always(_plain(default)))))
    found = make_dataclass(name, fields)
    found.__doc__ = record.__doc__
    return found


def _type(annotation: Any, name: str) -> Any:  # noqa: ANN401
    """The annotation in the types that OmegaConf knows; a choice of words becomes an enumeration of the name."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _type(arguments[0], name)
    if origin is Literal:
        return _choice(name, [str(each) for each in arguments])
    if isinstance(annotation, type) and issubclass(annotation, Enum):
        return _choice(name, [str(each.value) for each in annotation])
    if origin is tuple:
        return list[_type(arguments[0], name)]  # type: ignore[misc]
    if origin is dict:
        return dict[str, _type(arguments[1], name)]  # type: ignore[misc]
    if origin in (Union, UnionType):
        return _either(arguments, name)
    return annotation if annotation in _PLAIN else Any


def _either(parts: tuple[Any, ...], name: str) -> Any:  # noqa: ANN401
    """`int | Literal["auto"]` as `int | str`, `float | None` as a number or none: words and numbers side by side."""
    inner = [part for part in parts if part is not NoneType]
    is_optional = len(inner) < len(parts)
    if len(inner) == 1 and name != "AssayBudget":
        kind = _type(inner[0], name)
    else:
        plain = {get_args(part)[0] if get_origin(part) is Annotated else part for part in inner} & set(_PLAIN)
        kind = Union[tuple({*plain, int, str})] if int in plain else Union[tuple({*plain, int, float, str})]  # noqa: UP007
    return Optional[kind] if is_optional else kind  # noqa: UP045


def _choice(name: str, words: list[str]) -> type[Enum]:
    return Enum(name, {word: word for word in words})  # type: ignore[return-value]


def _plain(value: Any) -> Any:  # noqa: ANN401
    """A default as OmegaConf holds it."""
    return list(value) if isinstance(value, tuple) else value


def _always(value: Any) -> Any:  # noqa: ANN401
    """A factory of copies of the value."""
    return lambda: list(value) if isinstance(value, list) else dict(value) if isinstance(value, dict) else value


def _without_missing(content: Mapping[str, Any]) -> dict[str, object]:
    """The content without what is missing, and without groups that are empty then."""
    kept = {key: _without_missing(value) if isinstance(value, dict) else value for key, value in content.items()}
    return {key: value for key, value in kept.items() if value != _MISSING and value != {}}
