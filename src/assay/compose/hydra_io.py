"""Hydra lives here and in `hydra_store`: presets, a file and `key=value` overrides become one validated RunConfig.

Hydra gives the grammar of the overrides and the merging; what an option is called and what it may be is decided by the
pydantic records, and said in their words. Precedence: defaults < preset < file < overrides.
"""

from __future__ import annotations

import copy
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any, Literal, NamedTuple

from assay._imports import require
from assay.compose.check import (
    EXAMPLE,
    check_belonging,
    check_leaves,
    checked_table,
    groups,
    option_called,
    refuse_value,
    validated,
)
from assay.compose.files import YamlFile, read_yaml
from assay.compose.naming import CHOICE_OF
from assay.compose.run_config import PRESETS, Option, RunConfig, TableConfig
from assay.errors import ConfigError, nearest

_PURPOSE = "Composing a configuration"

# Hydra keeps its state in process-wide singletons, and adds resolvers to OmegaConf's.
_ONE_AT_A_TIME = threading.Lock()
_RUN_STATE = frozenset({"GlobalHydra", "HydraConfig", "VersionBase", "JobRuntime"})
_RESOLVERS = ("now", "hydra", "python_version")


@dataclass
class Layer:
    """Values from one place: `leaves` by dotted key, and `places`, where each was set, for errors."""

    leaves: dict[str, object] = field(default_factory=dict)
    places: dict[str, str] = field(default_factory=dict)
    table: TableConfig = field(default_factory=TableConfig)
    table_places: dict[str, str] = field(default_factory=dict)


class Origin(NamedTuple):
    """Where a value was set: in a preset, a file or an override, and the place in words (`line 3 of exp.yaml`)."""

    kind: Literal["preset", "file", "override"]
    place: str


@dataclass(frozen=True)
class Composed:
    """A configuration, and the origin of every value that is not a default, by its key (`table.target` included)."""

    config: RunConfig
    origins: Mapping[str, Origin]


def compose(preset: str | None = None, file: Path | None = None, overrides: Sequence[str] = ()) -> RunConfig:
    """The configuration from a preset, a YAML file and overrides such as `train.lr=3e-4`; see `composed`."""
    return composed(preset, file, overrides).config


def composed(preset: str | None = None, file: Path | None = None, overrides: Sequence[str] = ()) -> Composed:
    """The configuration from a preset, a YAML file and overrides, with the origin of what was set.

    The preset is the one in the overrides, else `preset`, else the file's, else `quick`.

    Raises:
        ConfigError: an option or value is unknown, out of range, given twice, or the file is not usable.
        MissingExtraError: Hydra is not installed.
    """
    from_file = file_layer(read_yaml(file, as_text="table")) if file is not None else Layer()
    return _from_layers(preset, from_file, *_override_layer(overrides))


def composed_of(content: Mapping[str, object], name: str) -> Composed:
    """The configuration that a mapping of a program holds, as a file of this content would be read.

    name: what the mapping is called in errors.

    Raises:
        ConfigError: see `composed`.
    """
    return _from_layers(None, file_layer(YamlFile(Path(name), content)), Layer(), {})


def _from_layers(preset: str | None, file: Layer, overrides: Layer, grammar: Mapping[str, str]) -> Composed:
    """The layers above a preset; `grammar` holds the overrides as Hydra gets them."""
    name = _one_preset(preset, file, overrides)
    content = _merged(name, file, [f"{key}={text}" for key, text in grammar.items() if key != "preset"])
    places = {**file.places, **overrides.places}
    check_leaves({key: _leaf(content, key) for key in places}, places)
    # What nobody set stays unset in the records: a recipe has values of its own for it.
    said = nested({key: _leaf(content, key) for key in (*_preset_leaves(name), *places) if key != "preset"})
    # The file's text is only read once by people: column names never pass through Hydra's grammar.
    config = validated({**said, "preset": name, "table": file.table}, places)
    check_belonging(config, places)
    return Composed(config, _origins(name, file, overrides, is_asked=preset is not None))


def _origins(preset: str, file: Layer, overrides: Layer, *, is_asked: bool) -> dict[str, Origin]:
    """The origin of what each layer set, the later ones over the earlier."""
    found = {key: Origin("preset", f"preset {preset}") for key in _preset_leaves(preset)}
    found |= {key: Origin("file", place) for key, place in (file.places | file.table_places).items()}
    if is_asked:
        found["preset"] = Origin("override", f"--preset {preset}")
    return found | {key: Origin("override", place) for key, place in overrides.places.items()}


def preset_prices() -> dict[str, str]:
    """What each preset costs and does, from the first line of its file."""
    folder = resources.files("assay.compose") / "presets"
    first_lines = {name: (folder / f"{name}.yaml").read_text("utf-8").partition("\n")[0] for name in PRESETS}
    return {name: line.lstrip("# ") for name, line in first_lines.items()}


@cache
def _preset_leaves(name: str) -> tuple[str, ...]:
    """The keys that a preset sets."""
    with resources.as_file(resources.files("assay.compose") / "presets" / f"{name}.yaml") as path:
        return tuple(file_layer(read_yaml(path, as_text="table")).leaves)


def file_layer(file: YamlFile) -> Layer:
    """What a config file sets, every name and type checked.

    Raises:
        ConfigError: a name is unknown, a value is of another type, or the file is no mapping.
    """
    content = {} if file.content is None else file.content
    if not isinstance(content, dict):
        raise ConfigError(
            f"{file.path.name} must hold `key: value` lines",
            f"it holds {'a list' if isinstance(content, list) else f'the value {content!r}'}",
            "`assay init DATA --target COL` writes a file to start from.",
        )
    layer = Layer()
    for name, value in content.items():
        if name != "table":
            _collect(file, name, value, layer)
        elif isinstance(value, dict):
            layer.table = checked_table(value, file.path.name)
            said = [inner for inner, given in value.items() if given is not None]
            layer.table_places = {f"table.{inner}": file.place(f"table.{inner}") for inner in said}
        elif value is not None:
            raise ConfigError(
                "the table section must hold `key: value` lines",
                f"{file.place('table')} gives {value!r}",
                "Example: table: {data: data.csv, target: income}",
            )
    return layer


def _collect(file: YamlFile, key: str, value: object, layer: Layer) -> None:
    """Flatten one entry of a config file into the layer, checking every key on the way; empty groups set nothing."""
    place = file.place(key)
    if key in groups() and value is None:
        return
    if key in groups() and isinstance(value, dict):
        for name, inner in value.items():
            _collect(file, f"{key}.{name}", inner, layer)
        return
    key = CHOICE_OF.get(key, key)
    option_called(key, place)
    if key in layer.leaves:
        raise ConfigError(
            "each option must be set once", f"{key} is there twice, the second time in {place}", "Remove one of them."
        )
    layer.places[key] = place
    layer.leaves[key] = _meant(key, value) if isinstance(value, str) else value
    check_leaves({key: layer.leaves[key]}, layer.places)


def _override_layer(overrides: Sequence[str]) -> tuple[Layer, dict[str, str]]:
    """The overrides as values and as the text that Hydra gets, by key."""
    layer, grammar = Layer(), {}
    for override in overrides:
        key, text = _split(override)
        key = CHOICE_OF.get(key, key)
        option = option_called(key, override)
        if key in grammar:
            raise ConfigError(
                "each option must be given once", f"{key} is given as {layer.places[key]!r} and {override!r}",
                "Remove one of them.",
            )  # fmt: skip
        if not text:
            refuse_value(key, "", override)
        layer.places[key] = override
        grammar[key], layer.leaves[key] = _parsed(option, text, override)
    return layer, grammar


def _split(override: str) -> tuple[str, str]:
    key, equals, text = override.partition("=")
    key = key.strip()
    if key[:1] in "+~" and key:
        raise ConfigError(
            "options can be set, not added or deleted",
            f"{override!r} begins with {key[0]!r}",
            f"Hydra's '+' and '~' have no use here: every option exists and has a default. Write KEY=VALUE. {EXAMPLE}",
        )
    if not equals or not key:
        raise ConfigError("an override must be KEY=VALUE", f"{override!r} was given", EXAMPLE)
    return key, text.strip()


def _parsed(option: Option, text: str, override: str) -> tuple[str, object]:
    """The text in Hydra's grammar, and its value."""
    require("hydra", _PURPOSE)
    errors = require("hydra.errors", _PURPOSE)
    is_bare = text[0] not in "'\"" and ("{}" in text or not any(letter.isalnum() for letter in text))
    if option.type == "text" and is_bare:
        # A pattern of names, or a sign; bare braces are a dictionary in Hydra's grammar, a comma is a list.
        text = "'" + text.replace("'", "\\'") + "'"
    try:
        parsed = _parser().parse_override(f"{option.key}={text}")
        if option.is_list and not text.startswith("["):
            text = f"[{text}]"
            parsed = _parser().parse_override(f"{option.key}={text}")
        value = parsed.value()
        if _is_none(option, value):
            text, value = "null", None
    except (errors.HydraException, ValueError):
        refuse_value(option.key, text, override)
    if parsed.is_sweep_override():
        raise ConfigError(
            f"{option.key} must have one value",
            f"{override!r} gives several",
            "A run takes one value of each option; start one run for each.",
        )
    return text, value


@cache
def _parser() -> Any:  # noqa: ANN401  # Hydra has no types
    return require("hydra.core.override_parser.overrides_parser", _PURPOSE).OverridesParser.create()


def _meant(key: str, value: str) -> object:
    """`a,b` as a list where the option takes one, and `none` as no value where there may be none."""
    option = option_called(key, key)
    if _is_none(option, value):
        return None
    return [part.strip() for part in value.split(",")] if option.is_list else value


def _is_none(option: Option, value: object) -> bool:
    return "none" in option.words and isinstance(value, str) and value.casefold() == "none"


def _one_preset(given: str | None, from_file: Layer, from_overrides: Layer) -> str:
    named = from_overrides.leaves.get("preset")
    if given is not None and named is not None and given != named:
        raise ConfigError(
            "one preset must be chosen",
            f"--preset {given} and {from_overrides.places['preset']} were given",
            "Remove one of them.",
        )
    chosen = named or given or from_file.leaves.get("preset") or "quick"
    if chosen not in PRESETS:
        prices = "; ".join(f"{name}: {price}" for name, price in preset_prices().items())
        raise ConfigError(
            f"the preset must be one of {', '.join(PRESETS)}",
            f"{chosen!r} was given",
            f"{nearest(str(chosen), PRESETS)} ({prices})",
        )
    return str(chosen)


def _merged(preset: str, from_file: Layer, overrides: list[str]) -> dict[str, Any]:
    """Hydra's merge of the four layers as a plain nested dict."""
    hydra = require("hydra", _PURPOSE)
    omegaconf = require("omegaconf", _PURPOSE)
    errors = require("omegaconf.errors", _PURPOSE)
    hydra_errors = require("hydra.errors", _PURPOSE)
    defaults = RunConfig().model_dump(mode="json", exclude={"table", "preset"})
    file_leaves = {key: value for key, value in from_file.leaves.items() if key != "preset"}
    order = ["assay_defaults", {"presets@_global_": preset}, "assay_file", "_self_"]
    try:
        with _own_hydra() as store:
            store.store(name="assay_defaults", node=defaults, provider="assay")
            store.store(name="assay_file", node=nested(file_leaves), provider="the config file")
            store.store(name="assay_run", node={"defaults": order}, provider="assay")
            config = hydra.compose(config_name="assay_run", overrides=overrides)
            content: dict[str, Any] = omegaconf.OmegaConf.to_container(config, resolve=True)
    except (errors.OmegaConfBaseException, hydra_errors.HydraException) as error:
        raise ConfigError(
            "the options must compose to one configuration",
            f"{str(error).splitlines()[0]}",
            "Look at the values with '${': they must name another option, such as ${seed}.",
        ) from None
    return content


@contextmanager
def _own_hydra() -> Iterator[Any]:
    """Hydra with state and a store of our own; a host application's Hydra and resolvers come back untouched."""
    singleton = require("hydra.core.singleton", _PURPOSE).Singleton
    resolvers = require("omegaconf", _PURPOSE).OmegaConf
    plugins = require("hydra.core.plugins", _PURPOSE).Plugins
    config_store = require("hydra.core.config_store", _PURPOSE).ConfigStore
    initialize = require("hydra.initialize", _PURPOSE).initialize_config_module
    with _ONE_AT_A_TIME:
        plugins.instance()  # registers Hydra's own configs in the store, once a process
        host = singleton._instances
        store = copy.copy(host[config_store])
        store.repo = dict(store.repo)
        kept = {kind: instance for kind, instance in host.items() if kind.__name__ not in _RUN_STATE}
        added = [name for name in _RESOLVERS if not resolvers.has_resolver(name)]
        singleton._instances = {**kept, config_store: store}
        try:
            with initialize("assay.compose", version_base="1.3"):
                yield store
        finally:
            singleton._instances = host
            for name in added:
                resolvers.clear_resolver(name)


def nested(leaves: Mapping[str, object]) -> dict[str, Any]:
    """`{"train.lr": 1}` as `{"train": {"lr": 1}}`."""
    tree: dict[str, Any] = {}
    for key, value in leaves.items():
        *path, name = key.split(".")
        inner = tree
        for part in path:
            inner = inner.setdefault(part, {})
        inner[name] = value
    return tree


def _leaf(tree: Mapping[str, Any], key: str) -> object:
    value: Any = tree
    for part in key.split("."):
        if part not in value:
            return None
        value = value[part]
    return value
