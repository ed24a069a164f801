"""What a user says of the options to search, on the command line or in a space file, before it is checked."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from assay.compose.files import YamlFile
from assay.errors import ConfigError, nearest
from assay.search.study.trial import Value

_EXAMPLE = "Examples: train.lr, train.lr=1e-4..1e-1, model.width=64|128|256, model.name=mlp|tabm."
_NUMBER = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?"
_RANGE = re.compile(rf"\s*({_NUMBER})\s*\.\.\s*({_NUMBER})\s*", re.ASCII)
_PARAMETER = ("low", "high", "scale", "choices", "if")
_SECTIONS = ("parameters", "constraints")
Scale = Literal["linear", "log"]


@dataclass(frozen=True)
class Asked:
    """An option to search: from `low` to `high`, or over `choices`, or over what its field says where neither is.

    `listed` choices are those of a list of settings, where one is enough; a value `beside` is tried beside that which a
    family has by itself.
    """

    key: str
    place: str
    low: float | None = None
    high: float | None = None
    scale: Scale | None = None
    choices: tuple[Value, ...] = ()
    conditions: tuple[str, ...] = ()
    listed: bool = False
    beside: Value | None = None


def asked_over(texts: Sequence[str]) -> list[Asked]:
    """The options in `--over train.lr=1e-4..1e-1,model.width`, each of which may be given several times.

    Raises:
        ConfigError: a part is no option, or one is named twice.
    """
    parts = [part.strip() for text in texts for part in text.split(",") if part.strip()]
    if texts and not parts:
        raise ConfigError("--over must name options to search", "it names none", _EXAMPLE)
    found = [_over(part) for part in parts]
    _once(found)
    return found


def asked_in(file: YamlFile) -> tuple[list[Asked], list[tuple[str, str]]]:
    """The options and constraints of a space file, with their places.

    Raises:
        ConfigError: it holds something else.
    """
    content = file.content
    if not isinstance(content, dict) or not content or not set(content) <= set(_SECTIONS):
        other = next((name for name in content if name not in _SECTIONS), None) if isinstance(content, dict) else None
        came = "it does not" if other is None else f"{file.place(str(other))} has {other!r}"
        raise ConfigError(f"{file.path.name} must hold `parameters:`, and may hold `constraints:`", came,
                          "Example: parameters: {train.lr: 1e-4..1e-1, model.width: [64, 128]}")  # fmt: skip
    parameters, rules = content.get("parameters") or {}, content.get("constraints") or []
    if not isinstance(parameters, dict) or not isinstance(rules, list):
        raise ConfigError(
            f"parameters of {file.path.name} must be a mapping and constraints a list",
            "one of them is not",
            "Example: constraints: ['model.width * model.layers <= 1024']",
        )
    if not parameters and not rules:
        raise ConfigError(f"the parameters of {file.path.name} must name options to search", "there are none", _EXAMPLE)
    found = [_from_file(key, said, file) for key, said in parameters.items()]
    return found, [(str(rule), f"a constraint in {file.place('constraints')}") for rule in rules]


def _once(found: Sequence[Asked]) -> None:
    seen: dict[str, Asked] = {}
    for each in found:
        if seen.setdefault(each.key, each) is not each:
            raise ConfigError("each option must be searched once", f"{each.key} is named twice", "Remove one of them.")


def _over(part: str) -> Asked:
    key, equals, text = part.partition("=")
    key = key.strip()
    if not key or (equals and not text.strip()):
        raise ConfigError("--over must name options to search", f"{part!r} is none", _EXAMPLE)
    return _spelled(key, text.strip(), part) if equals else Asked(key, part)


def _spelled(key: str, text: str, place: str, conditions: tuple[str, ...] = ()) -> Asked:
    """`1e-4..1e-1` or `64|128`."""
    if match := _RANGE.fullmatch(text):
        low, high = float(match[1]), float(match[2])
        if not (math.isfinite(low) and math.isfinite(high)):
            raise ConfigError("a range must have finite ends", f"{place!r} has not", _EXAMPLE)
        return Asked(key, place, low=low, high=high, conditions=conditions)
    if ".." in text:
        raise ConfigError("a range must be LOW..HIGH, two numbers", f"{place!r} was given", _EXAMPLE)
    return Asked(key, place, choices=tuple(_value(each.strip()) for each in text.split("|")), conditions=conditions)


def _value(text: str) -> Value:
    if text in ("true", "false"):
        return text == "true"
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def _from_file(key: str, said: object, file: YamlFile) -> Asked:
    place = file.place(f"parameters.{key}")
    if said is None:
        return Asked(key, place)
    if isinstance(said, str):
        return _spelled(key, said, place)
    if isinstance(said, list):
        return Asked(key, place, choices=_listed(said, place))
    if not isinstance(said, dict):
        raise ConfigError(f"{place} must give a range, a list or low, high, scale, choices and if",
                          f"it gives {said!r}", "Example: train.lr: {low: 1e-4, high: 1e-1, scale: log}")  # fmt: skip
    for name in said:
        if name not in _PARAMETER:
            raise ConfigError(f"{place} may have {', '.join(_PARAMETER)}", f"it has {name!r}",
                              nearest(name, _PARAMETER))  # fmt: skip
    return _from_mapping(key, said, place)


def _from_mapping(key: str, said: dict[str, object], place: str) -> Asked:
    low, high, scale = (said.get(name) for name in ("low", "high", "scale"))
    choices, condition = said.get("choices"), said.get("if")
    if scale not in (None, "linear", "log", "int"):
        raise ConfigError(f"the scale in {place} must be linear, log or int", f"it is {scale!r}", "Change it.")
    if (low is None) != (high is None) or (choices is not None and low is not None):
        raise ConfigError(f"{place} must have low and high, or choices", "it has not", "Give both ends, or a list.")
    if choices is not None and not isinstance(choices, list):
        raise ConfigError(f"the choices in {place} must be a list", f"they are {choices!r}", "Example: [64, 128]")
    ends = [end for end in (low, high) if end is not None]
    if not all(isinstance(end, int | float) and not isinstance(end, bool) and math.isfinite(end) for end in ends):
        raise ConfigError(f"low and high in {place} must be numbers", f"they are {low!r} and {high!r}", "Change them.")
    return Asked(
        key, place,
        low=None if low is None else float(str(low)), high=None if high is None else float(str(high)),
        scale="log" if scale == "log" else "linear" if scale is not None else None,
        choices=() if choices is None else _listed(choices, place),
        conditions=() if condition is None else (str(condition),),
    )  # fmt: skip


def _listed(values: Sequence[object], place: str) -> tuple[Value, ...]:
    if not values or not all(isinstance(value, str | int | float | bool) for value in values):
        raise ConfigError(f"the choices in {place} must be words, numbers, true or false", f"they are {values!r}",
                          "Example: [64, 128, 256]")  # fmt: skip
    return tuple(value for value in values if isinstance(value, str | int | float | bool))
