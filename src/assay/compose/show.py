"""A resolved configuration with the origin of each value, as YAML that reads back and as plain values."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby

from assay.compose.files import as_scalar
from assay.compose.hydra_io import Composed
from assay.compose.naming import belonging, families_of
from assay.compose.run_config import Option, RunConfig, TableConfig, flat, options
from assay.data.schema import Task
from assay.records import Record
from assay.train.recipes import RECIPES, Recipe, network_options, training_options

#: Sections whose unset options a network's recipe fills in.
_OF_THE_RECIPE = ("model", "train")
_LEFT = "left to each network's recipe"
_TABLE_KINDS = "table.kinds"


class Setting(Record):
    """One option as a run would have it.

    origin: `default`, `preset`, `file` or `override`; `recipe` where it is not set and the network decides, whose value
        is then `value` (the plain default where the network is not chosen yet). place: the origin in words.
    """

    key: str
    value: object
    default: object
    origin: str
    place: str

    @property
    def is_set(self) -> bool:
        """Whether a file made of the settings has to set it."""
        return self.origin != "recipe"

    @property
    def is_changed(self) -> bool:
        """Whether a run has another value than the default."""
        return self.is_set and self.value != self.default


def settings(composed: Composed) -> tuple[Setting, ...]:
    """Every option in declared order, with its value and where that comes from; of the table what is said of it."""
    content = composed.config.model_dump(mode="json")
    said = {key for key in flat(composed.config) if key.partition(".")[0] in _OF_THE_RECIPE}
    found = [_setting(option, content, composed, option.key in said) for option in options()]
    place = next(place for place, each in enumerate(found) if "." in each.key)
    return (*found[:place], *_of_the_table(composed), *found[place:])


def changed(found: Sequence[Setting]) -> tuple[Setting, ...]:
    """Those that differ from the defaults."""
    return tuple(each for each in found if each.is_changed)


def as_yaml(found: Sequence[Setting]) -> str:
    """The settings as a file for `assay fit --config`, the origin of each as a comment.

    What a network's recipe decides is commented out, so that the file reads back as the same configuration.
    """
    lines: list[str] = []
    opened: tuple[str, ...] = ()
    for group, members in groupby(found, key=lambda each: each.key.rpartition(".")[0]):
        parts = tuple(group.split(".")) if group else ()
        shown = list(members)
        lines += _headings(parts, opened)
        opened = parts
        for each in shown:
            lines += _lines(each, "  " * len(parts))
    return "\n".join(lines) + "\n"


def _setting(option: Option, content: Mapping[str, object], composed: Composed, is_said: bool) -> Setting:
    value: object = content
    for part in option.key.split("."):
        assert isinstance(value, dict)
        value = value[part]
    default = list(option.default) if isinstance(option.default, tuple) else option.default
    if (origin := composed.origins.get(option.key)) is not None:
        return Setting(key=option.key, value=value, default=default, origin=origin.kind, place=origin.place)
    if is_said or option.key.partition(".")[0] not in _OF_THE_RECIPE:
        return Setting(key=option.key, value=value, default=default, origin="default", place="default")
    value, place = _of_the_recipe(option.key, value, composed.config)
    return Setting(key=option.key, value=value, default=default, origin="recipe", place=place)


def _of_the_recipe(key: str, default: object, config: RunConfig) -> tuple[object, str]:
    """What the recipe of the network that was chosen makes of an option that nobody set, and that in words."""
    recipe = RECIPES.get(config.model.name)
    if recipe is None:
        return default, _LEFT
    section, _, name = key.partition(".")
    place = f"recipe of {config.model.name}"
    if section == "model":
        if (owners := families_of(key)) and config.model.name not in owners:
            return default, belonging(key)
        return network_options(recipe.model, config.model).model_dump(mode="json")[name], place
    known = config.table.task
    tasks = [task for task in Task if task is not Task.FORECASTING] if known is None else [known]
    tasks = [task for task in tasks if task.value in Recipe.model_fields]  # others are trained as one of these
    if not tasks:
        return default, place
    by_task = {task.value: _trained(recipe, task, config, name) for task in tasks}
    first = next(iter(by_task.values()))
    if all(value == first for value in by_task.values()):
        return first, place
    return default, f"{place}: {', '.join(f'{task} {_typed(value)}' for task, value in by_task.items())}"


def _trained(recipe: Recipe, task: Task, config: RunConfig, name: str) -> object:
    """The option `name` of the training of a task; `pictures.flip` is one within one."""
    value: object = training_options(recipe.train(task), config.train).model_dump(mode="json")
    for part in name.split("."):
        assert isinstance(value, dict)
        value = value[part]
    return value


def _of_the_table(composed: Composed) -> Iterator[Setting]:
    content = composed.config.table.model_dump(mode="json")
    for name, field in TableConfig.model_fields.items():
        key = f"table.{name}"
        default = field.get_default(call_default_factory=True)
        default = list(default) if isinstance(default, tuple) else default
        if content[name] == default:
            continue
        origin = composed.origins.get(key)
        kind, place = ("override", "argument") if origin is None else (origin.kind, origin.place)
        yield Setting(key=key, value=content[name], default=default, origin=kind, place=place)


def _headings(parts: tuple[str, ...], opened: tuple[str, ...]) -> Iterator[str]:
    shared = next((i for i, (a, b) in enumerate(zip(parts, opened, strict=False)) if a != b), len(opened))
    for depth in range(min(shared, len(parts)), len(parts)):
        yield f"{'  ' * depth}{parts[depth]}:"


def _lines(each: Setting, indent: str) -> Iterator[str]:
    name = each.key.rpartition(".")[2]
    if each.key == _TABLE_KINDS and isinstance(each.value, dict):
        yield f"{indent}{name}:  # {each.place}"
        yield from (f"{indent}  {_typed(column)}: {kind}" for column, kind in each.value.items())
    else:
        yield f"{indent}{'' if each.is_set else '# '}{name}: {_typed(each.value)}  # {_one_line(each.place)}"


def _typed(value: object) -> str:
    """The value as YAML that reads back as the same value."""
    if isinstance(value, list):
        return f"[{', '.join(map(_typed, value))}]"
    return as_scalar(value) if isinstance(value, str) else json.dumps(value)


def _one_line(text: str) -> str:
    return " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())
