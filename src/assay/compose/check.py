"""Whether an option exists and takes a value, said in the user's words before Hydra sees it."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from typing import NoReturn

from pydantic import ValidationError

from assay.compose.naming import CALLED_ELSEWHERE, belonging
from assay.compose.run_config import Option, RunConfig, TableConfig, option_of, options
from assay.data.schema import Kind
from assay.errors import ConfigError, nearest
from assay.models.families import unused_options

EXAMPLE = "Example: train.lr=3e-4. `assay config options` lists every option."

#: The arguments of `assay fit` that say what the table section says.
ARGUMENT_OF = {"data": "DATA", "kinds": "--as COL=KIND"}

#: Options of a group that a message names at most.
_MOST_NAMES = 24


def known_options() -> dict[str, Option]:
    """Every option by its key, in declared order."""
    return {option.key: option for option in options()}


def groups() -> dict[str, tuple[str, ...]]:
    """Every group of options (`train`, `data.split`) with the keys in it."""
    found: dict[str, list[str]] = {}
    for key in known_options():
        parts = key.split(".")
        for depth in range(1, len(parts)):
            found.setdefault(".".join(parts[:depth]), []).append(key)
    return {group: tuple(keys) for group, keys in found.items()}


def options_about(word: str | None) -> tuple[Option, ...]:
    """The options of a group, or with the word in the key or the description; all without a word.

    Raises:
        ConfigError: there is none; the nearest is named.
    """
    every = options()
    if word is None:
        return every
    if (members := groups().get(word.rstrip("."))) is not None:
        return tuple(option for option in every if option.key in members)
    wanted = word.casefold()
    in_keys = [option for option in every if wanted in option.key.casefold()]
    found = in_keys or [o for o in every if wanted in f"{o.description} {o.allowed_in_words}".casefold()]
    if not found:
        raise ConfigError("a listed option must have the word in it", f"none has {word!r}", nearest_option(word))
    return tuple(found)


def option_called(key: str, place: str) -> Option:
    """The option `key`; `place` says where it was read, for the error.

    Raises:
        ConfigError: there is no such option; the nearest is named.
    """
    known = known_options()
    if key in known:
        return known[key]
    if key in (members := groups()):
        raise ConfigError(
            f"an option inside {key!r} must be named",
            f"{place} sets the whole group",
            f"Options of {key}: {_listed(members[key], key)}.",
        )
    section, _, name = key.partition(".")
    if section == "table":
        raise ConfigError(
            "the table is described by arguments or in the config file",
            f"{place} sets it as an option",
            f"Use {argument_of(name)} instead.",
        )
    where = "" if place.startswith(key) else f" ({place})"
    raise ConfigError(
        "only known options can be set", f"the unknown option {_shortened(key)!r} was given{where}", nearest_option(key)
    )


def argument_of(name: str) -> str:
    """The argument of `assay fit` for a field of the table section: `--target COL`."""
    if name not in TableConfig.model_fields:
        return "the arguments of `assay fit`, such as --target"
    return ARGUMENT_OF.get(name, f"--{name}")


def _listed(options: Iterable[str], group: str) -> str:
    """Options of a group, those of a group within it by its name alone: `train.lr, train.pictures.*`."""
    own = len(group) + 1
    names = dict.fromkeys(name if "." not in name[own:] else f"{name[: name.index('.', own)]}.*" for name in options)
    more = (
        f" and {len(names) - _MOST_NAMES} more, which `assay config options` lists" if len(names) > _MOST_NAMES else ""
    )
    return ", ".join(list(names)[:_MOST_NAMES]) + more


def nearest_option(key: str) -> str:
    """A sentence that names the option most likely meant.

    Looks for the same last word in another group, for what others call it (`k` is `model.heads`), then for a close
    spelling, then for the words in a description (`learning_rate` is `train.lr`), then lists the group.
    """
    known = known_options()
    last = key.rpartition(".")[2].casefold()
    if same := [name for name in known if name.rpartition(".")[2] == last]:
        return f"Did you mean {' or '.join(map(repr, same))}?"
    if (meant := CALLED_ELSEWHERE.get(last.replace("-", "_"))) is not None:
        owners = f" It {words}." if (words := belonging(meant)) else ""
        return f"Did you mean {meant!r} ({known[meant].description.rstrip('.')})?{owners}"
    members = {name.rpartition(".")[2]: name for name in groups().get(key.rpartition(".")[0], ())}
    if close := difflib.get_close_matches(last, members, n=1):
        return f"Did you mean {members[close[0]]!r}?"
    guess = nearest(key, known)
    if not members and guess.startswith("Did you mean"):
        return guess
    ends = {name.rpartition(".")[2]: name for name in reversed(known)}
    if "." not in key and (close := difflib.get_close_matches(last, ends, n=1, cutoff=0.75)):
        return f"Did you mean {ends[close[0]]!r}?"
    spoken = set(last.replace("-", "_").split("_"))
    described = [option for option in known.values() if len(last) > 2 and spoken <= set(_words(option.description))]
    if described:
        return f"Did you mean {described[0].key!r} ({described[0].description.rstrip('.')})?"
    if members:
        return f"Options there: {_listed(members.values(), key.rpartition('.')[0])}."
    top = dict.fromkeys(name if "." not in name else f"{name.partition('.')[0]}.*" for name in known)
    return f"There are: {', '.join(top)}. `assay config options` lists every option."


def refuse_value(key: str, given: object, place: str) -> NoReturn:
    """Say that `given` is not a value of the option `key`, with its type, range, meaning and default.

    Raises:
        ConfigError: always.
    """
    option = known_options()[key]
    guess = ""
    choices = option.allowed.split(", ") if option.type in ("one of", "a list of") else list(option.words)
    if choices and isinstance(given, str):
        close = nearest(given, choices)
        guess = f"{close} " if close.startswith("Did you mean") else ""
    shown = "an empty value" if given == "" else _shortened(repr(given))
    meaning = f"{option.description} Default: {option.shown_default}."
    raise ConfigError(f"{key} must be {option.allowed_in_words}", f"{_shortened(place)} gives {shown}", guess + meaning)


def check_leaves(leaves: Mapping[str, object], places: Mapping[str, str]) -> None:
    """Refuse what pydantic would quietly turn into something else: true for 1, infinity for a number.

    Raises:
        ConfigError: a value is of the wrong type.
    """
    for key, value in leaves.items():
        option = known_options()[key]
        number = option.type in ("a number", "a whole number")
        if value == "" or isinstance(value, dict) or (isinstance(value, bool) and option.type != "true or false"):
            refuse_value(key, value, places[key])
        if number and isinstance(value, float) and not abs(value) < float("inf"):
            refuse_value(key, value, places[key])


def validated(content: Mapping[str, object], places: Mapping[str, str]) -> RunConfig:
    """The composed values as a RunConfig; `places` says where each key was set.

    Raises:
        ConfigError: a value is of the wrong type or out of range, or values do not fit together.
    """
    try:
        return _with_fitting_patience(RunConfig.model_validate(content), places)
    except ValidationError as error:
        first = error.errors()[0]
        inner = first.get("ctx", {}).get("error")
        if isinstance(inner, ConfigError):
            raise inner from None
        parts = [str(part) for part in first["loc"]]
        for depth in range(len(parts), 0, -1):
            key = ".".join(parts[:depth])
            if key in known_options():
                refuse_value(key, first["input"], places.get(key, "the configuration"))
        group = ".".join(parts)
        set_here = ", ".join(place for key, place in places.items() if key.startswith(f"{group}."))
        raise ConfigError(
            f"the options of {group} must fit together",
            f"{set_here or 'the configuration'}: {inner or first['msg']}",
            "Change one of them.",
        ) from None


def _with_fitting_patience(config: RunConfig, places: Mapping[str, str]) -> RunConfig:
    """A preset's patience is cut to the epochs that were asked for; the user's own must fit them."""
    train = config.train
    if train.patience <= train.epochs or "train.epochs" not in places:
        return config
    if "train.patience" in places:
        raise ConfigError(
            "train.patience must not be longer than train.epochs",
            f"{places['train.patience']} and {places['train.epochs']} were given",
            "Change one of them.",
        )
    if "patience" not in train.model_fields_set:
        return config
    return config.model_copy(update={"train": train.model_copy(update={"patience": train.epochs})})


def check_belonging(config: RunConfig, places: Mapping[str, str]) -> None:
    """Refuse options of the network that mean nothing to a network that was chosen by name.

    Raises:
        ConfigError: there is one; the networks that it belongs to are named.
    """
    model = config.model
    named = [model.name] if model.name != "auto" else [name for name in config.ensemble.recipes if name != "auto"]
    for name in named:
        if name == "own":
            continue
        for option in sorted(unused_options(name) & model.model_fields_set):
            key = f"model.{option}"
            if key in places:
                chosen = places.get("model.name", places.get("ensemble.recipes", f"the network is {name}"))
                raise ConfigError(
                    f"{key} {belonging(key)}",
                    f"{places[key]} is given for {name} ({chosen})",
                    "Leave it out, or choose another network with model=NAME.",
                )


def checked_table(section: Mapping[str, object], origin: str) -> TableConfig:
    """The table section of a config file.

    Raises:
        ConfigError: a key or a kind is unknown, or a value is not text.
    """
    for name in section:
        if name not in TableConfig.model_fields:
            hint = nearest(name, TableConfig.model_fields)
            raise ConfigError("every key of the table section must be known", f"{origin} has {name!r}", hint)
    given = {name: value for name, value in section.items() if value is not None}
    try:
        return TableConfig.model_validate(given)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        field = str(first["loc"][0])
        guess = _nearest_choice(field, first["input"])
        raise ConfigError(
            f"{place} in the table section must be right ({_table_type(field)})",
            f"{origin} gives {first['input']!r}",
            guess or f"{TableConfig.model_fields[field].description}",
        ) from None


def _nearest_choice(field: str, given: object) -> str:
    if not isinstance(given, str):
        return ""
    if field == "kinds":
        return nearest(given, [kind.value for kind in Kind])
    option = option_of(field, TableConfig.model_fields[field])
    return nearest(given, option.allowed.split(", ")) if option.type == "one of" else ""


def _table_type(field: str) -> str:
    if field == "kinds":
        return f"a mapping of column: {'|'.join(Kind)}"
    option = option_of(field, TableConfig.model_fields[field])
    if option.type == "a list of":
        return "a list of column names"
    return option.allowed_in_words


def _words(text: str) -> list[str]:
    return "".join(letter if letter.isalnum() else " " for letter in text.casefold()).split()


def _shortened(text: str) -> str:
    return text if len(text) <= 80 else f"{text[:77]}..."
