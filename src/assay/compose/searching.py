"""What may be searched, from the typed options: `--over`, a space file, or the main options of the families."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Annotated, Any, Literal, get_args, get_origin

import annotated_types
from pydantic import TypeAdapter, ValidationError
from pydantic.fields import FieldInfo

from assay.compose.asking import Asked
from assay.compose.check import known_options, option_called, refuse_value
from assay.compose.run_config import RunConfig
from assay.data.schema import Task
from assay.errors import ConfigError
from assay.models.config import Family, ModelConfig, Numbers
from assay.models.families import unused_options
from assay.records import Record, Searched
from assay.search.study.expression import Operand, parsed
from assay.search.study.space import FAMILY, Parameter, Space, shown
from assay.search.study.trial import Value
from assay.train.config import FAIRNESS_OF, OPTIMISERS_OF, SCHEDULES_OF, TrainConfig
from assay.train.recipes import RECIPES, network_options, training_options

_SECTIONS: Mapping[str, type[Record]] = {"model": ModelConfig, "train": TrainConfig}
#: What a study holds fixed: where and how training computes, and what only a record of a run has.
_FIXED = {
    "train.device", "train.threads", "train.precision", "train.checkpoint_every", "train.lr_find", "model.module",
    "model.parameters", "model.wordnet", "train.skip_limit",
}  # fmt: skip
#: Options that decide which others have a meaning come first.
_FIRST = (FAMILY, "model.numbers", "train.optimiser", "train.schedule", "train.fairness")
#: Options of training that decide which others have a meaning, and for which of their values those have one.
_OWNERS: Mapping[str, Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {"train.optimiser": OPTIMISERS_OF, "train.schedule": SCHEDULES_OF, "train.fairness": FAIRNESS_OF}
)
_HEADS = ("model.attention_heads", "model.width")


@dataclass(frozen=True)
class _Domain:
    """What a parameter may be: the fields of `Parameter` of the same names."""

    low: float | None = None
    high: float | None = None
    scale: Literal["linear", "log"] = "linear"
    whole: bool = False
    choices: tuple[Value, ...] = ()
    ordered: bool = False


@dataclass
class Derived:
    """A space and what the user should know of how it came about."""

    space: Space
    notes: list[str] = field(default_factory=list)


def derive_space(
    asked: Sequence[Asked], constraints: Sequence[tuple[str, str]], families: Sequence[Family], config: RunConfig,
    task: Task, also: Mapping[str, Value | None] = MappingProxyType({}),
) -> Derived:  # fmt: skip
    """The space of the options that were asked for; of the main ones of `families` where none were.

    Args:
        asked: what was said of each option.
        constraints: expressions with the places they were read at.
        families: that suit the data, the likeliest first.
        config: what is fixed.
        task: of the data.
        also: options that are searched beside the main ones for what the rows hold and the study is for, each with a
            value to try beside that which a family has by itself, or None for its whole range.

    Raises:
        ConfigError: an option is unknown, fixed, or means nothing here; a range or a constraint cannot be.
    """
    notes: list[str] = []
    chosen = _families(asked, families, config)
    wanted = list(asked) or _main(chosen, config, also)
    if len(chosen) > 1 and FAMILY not in {each.key for each in wanted}:
        wanted.insert(0, Asked(FAMILY, FAMILY, choices=tuple(chosen)))
    if not asked and len(chosen) == 1 and config.model.name == "auto":
        notes.append(f"the networks are of the family {chosen[0]}, which suits this data")
    elif asked and config.model.name == "auto" and FAMILY not in {each.key for each in asked}:
        notes.append(f"model.name is {chosen[0]} in all trials; search it too with --over model.name")
    builder = _Builder(wanted, chosen, config, task, notes)
    rules = tuple(parsed(text, place) for text, place in constraints)
    parameters = _ordered([parameter for each in wanted for parameter in builder.parameters(each)])
    spoken = [(name, rule.text) for rule in rules for name in rule.names]
    spoken += [(name, e.text) for each in parameters for e in each.expressions for name in e.names]
    known = {family: builder.known(family, spoken) for family in chosen}
    space = Space(
        parameters=parameters, constraints=tuple(rule.text for rule in rules), families=tuple(chosen), known=known
    )
    space.check()
    return Derived(space, notes)


def check_words(asked: Sequence[Asked], constraints: Sequence[tuple[str, str]], config: RunConfig) -> None:
    """Refuse what `derive_space` would refuse whatever the data: options, ranges, choices and expressions.

    Raises:
        ConfigError: an option is unknown, fixed or set; a range, a choice or an expression cannot be.
    """
    _families(asked, (), config)
    for each in asked:
        info = _info(each, config)
        if each.key != FAMILY:
            _domain(each, info, None)
        for text in each.conditions:
            parsed(text, each.place)
    for text, place in constraints:
        parsed(text, place)


def _info(asked: Asked, config: RunConfig) -> FieldInfo:
    """The field of an option that may be searched.

    Raises:
        ConfigError: there is none, or it is fixed or set.
    """
    option_called(asked.key, asked.place)
    section, _, name = asked.key.partition(".")
    record = _SECTIONS.get(section)
    while record is not None and "." in name:
        group, _, name = name.partition(".")
        inner = record.model_fields[group].annotation
        record = inner if isinstance(inner, type) and issubclass(inner, Record) else None
    if record is None or asked.key in _FIXED:
        raise ConfigError("a study searches options of the network and its training", f"{asked.place} is none",
                          f"A study holds {asked.key} fixed: set it as {asked.key}=VALUE.")  # fmt: skip
    said = getattr(config, section).model_fields_set
    if name in said and not (asked.key == FAMILY and config.model.name == "auto"):
        raise ConfigError("an option is either set or searched", f"{asked.key} is both ({asked.place})",
                          f"Leave out {asked.key}=... or the search over it.")  # fmt: skip
    return record.model_fields[name]


def _families(asked: Sequence[Asked], families: Sequence[Family], config: RunConfig) -> tuple[Family, ...]:
    """The families in the study: those asked for, the one that is fixed, or those that suit the data."""
    named = next((each for each in asked if each.key == FAMILY), None)
    if named is not None and config.model.name == "auto":
        if named.low is not None:
            raise ConfigError("families are chosen from a list", f"{named.place} is a range", "Example: mlp|tabm")
        for choice in named.choices:
            if choice not in RECIPES:
                refuse_value(FAMILY, choice, named.place)
        return tuple(dict.fromkeys(named.choices or families))  # type: ignore[arg-type]  # all are in RECIPES
    if config.model.name != "auto":
        if config.model.name == "own":
            raise ConfigError("a study searches families of assay", "model.name is own", "Leave it out.")
        return (config.model.name,)
    return tuple(families[:1]) if asked else tuple(families)


def _main(families: Sequence[Family], config: RunConfig, also: Mapping[str, Value | None]) -> list[Asked]:
    """The options that are searched where none are named, but for those that the user has set; `also`: see above."""
    keys = []
    for section, record in _SECTIONS.items():
        said = getattr(config, section).model_fields_set
        for name, info in record.model_fields.items():
            note = _note(info)
            used = section == "train" or any(name not in unused_options(family) for family in families)
            is_main = (note is not None and note.main) or f"{section}.{name}" in also
            if is_main and name not in said and used:
                keys.append(f"{section}.{name}")
    return [Asked(key, key, beside=also.get(key)) for key in keys]


class _Builder:
    """Makes the parameters of an option, one for each group of families that share a range."""

    def __init__(
        self, wanted: Sequence[Asked], families: tuple[Family, ...], config: RunConfig, task: Task, notes: list[str]
    ) -> None:
        self.searched = {each.key for each in wanted}
        self.families = families
        self.config = config
        self.notes = notes
        self.own = {family: _own(family, config, task) for family in families}

    def parameters(self, asked: Asked) -> list[Parameter]:
        """The parameters of one option.

        Raises:
            ConfigError: it cannot be searched, or no family has a use for it.
        """
        info = _info(asked, self.config)
        if asked.key == FAMILY:
            domain = _Domain(choices=tuple(self.families))
            return [_parameter(FAMILY, FAMILY, domain, (), {family: family for family in self.families})]
        uses = {family: self._use(asked.key, family) for family in self.families}
        if not any(means for means, _ in uses.values()):
            raise self._meaningless(asked, uses)
        groups: dict[tuple[_Domain, tuple[str, ...]], list[Family]] = {}
        for family, (means, conditions) in uses.items():
            if means:
                groups.setdefault((_domain(asked, info, self.own[family][asked.key]), conditions), []).append(family)
        return [self._made(asked, domain, conditions, group) for (domain, conditions), group in groups.items()]

    def known(self, family: Family, spoken: Iterable[tuple[str, str]]) -> dict[str, Operand]:
        """The values of the options that expressions speak of.

        Raises:
            ConfigError: an expression names what is no option of a network or its training.
        """
        found: dict[str, Operand] = {}
        for name, text in spoken:
            option_called(name, text)
            if name not in self.own[family]:
                raise ConfigError("an expression must speak of options of model and train", f"{text!r} names {name}",
                                  "Leave it out: a study holds it fixed.")  # fmt: skip
            found[name] = self.own[family][name]
        if all(key.partition(".")[2] not in unused_options(family) for key in _HEADS):
            found |= {key: self.own[family][key] for key in _HEADS}
        return found

    def _use(self, key: str, family: Family) -> tuple[bool, tuple[str, ...]]:
        """Whether a family has a use for an option, and under which conditions on others that are searched."""
        section, _, name = key.partition(".")
        own = self.own[family]
        if section == "model":
            if name in unused_options(family):
                return False, ()
            kinds: tuple[Numbers, ...] = get_args(Numbers)
            if "model.numbers" not in self.searched:
                numbers = next(kind for kind in kinds if kind == own["model.numbers"])
                return name not in unused_options(family, numbers), ()
            used = [kind for kind in kinds if name not in unused_options(family, kind)]
            return bool(used), () if len(used) == len(kinds) else (f"model.numbers in {used}",)
        for part, owners in _OWNERS.items():
            if name in owners:
                if part in self.searched:
                    return True, (f"{part} in {list(owners[name])}",)
                return own[part] in owners[name], ()
        return True, ()

    def _made(self, asked: Asked, domain: _Domain, conditions: tuple[str, ...], group: list[Family]) -> Parameter:
        every = len(group) == len(self.families)
        name = asked.key if every else f"{asked.key}[{'+'.join(group)}]"
        families = () if every else (f"{FAMILY} in {list(group)}",)
        bare = _parameter(name, asked.key, domain, (*families, *conditions, *asked.conditions), {})
        usual: dict[str, Value] = {}
        for family in group:
            own = self.own[family][asked.key]
            points = bare.points()
            usual[family] = points[len(points) // 2] if own is None else bare.inside(own)
            if own is not None and usual[family] != own:
                self.notes.append(f"{family} has {asked.key}={shown(own)} by itself, which is not in {bare.told()}; "
                                  f"its first trial has {shown(usual[family])}")  # fmt: skip
        return bare.model_copy(update={"usual": usual})

    def _meaningless(self, asked: Asked, uses: Mapping[Family, object]) -> ConfigError:
        section, _, name = asked.key.partition(".")
        part = next((part for part, owners in _OWNERS.items() if name in owners), None)
        if section == "train" and part is not None:
            has = ", ".join(dict.fromkeys(str(self.own[family][part]) for family in uses))
            what, owners = part.partition(".")[2], _OWNERS[part][name]
            return ConfigError(f"{asked.key} must mean something to what is trained", f"{asked.place} is an option of "
                               f"the {what} {', '.join(owners)}, and the {what} here is {has}",
                               f"Set {part}, search it too, or leave {asked.key} out.")  # fmt: skip
        numbers = ", ".join(dict.fromkeys(str(self.own[family]["model.numbers"]) for family in uses))
        having = f" with model.numbers={numbers}" if all(name not in unused_options(f) for f in uses) else ""
        return ConfigError(f"{asked.key} must mean something to what is trained",
                           f"{', '.join(uses)}{having} {'has' if len(uses) == 1 else 'have'} no use for it",
                           f"Leave it out, or name a family that has one with {FAMILY}=...")  # fmt: skip


def _parameter(name: str, key: str, domain: _Domain, conditions: tuple[str, ...], usual: dict[str, Value]) -> Parameter:
    return Parameter(
        name=name, key=key, low=domain.low, high=domain.high, scale=domain.scale, whole=domain.whole,
        choices=domain.choices, ordered=domain.ordered, conditions=conditions, usual=usual,
    )  # fmt: skip


def _own(family: Family, config: RunConfig, task: Task) -> dict[str, Operand]:
    """What a family has for every option of its network and training, with what the user set instead."""
    recipe = RECIPES[family]
    model = network_options(recipe.model, config.model.model_copy(update={"name": family}))
    records = {"model": model, "train": training_options(recipe.train(task), config.train)}
    own: dict[str, Operand] = {}
    for section, record in records.items():
        own |= _flat(f"{section}.", record.model_dump(mode="python"))
    return {**own, FAMILY: family}


def _flat(prefix: str, tree: Mapping[str, Any]) -> dict[str, Operand]:
    flat: dict[str, Operand] = {}
    for name, value in tree.items():
        flat |= _flat(f"{prefix}{name}.", value) if isinstance(value, dict) else {prefix + name: value}
    return flat


# Ranges ---------------------------------------------------------------------------------------------------------------


def _note(info: FieldInfo) -> Searched | None:
    return next((note for note in info.metadata if isinstance(note, Searched)), None)


def _domain(asked: Asked, info: FieldInfo, own: Operand) -> _Domain:
    """The range or the choices of an option: what the user gave, else what its field says."""
    kind = known_options()[asked.key].type
    whole = kind == "a whole number"
    if asked.choices:
        return _chosen(asked, info)
    if asked.beside is not None:
        assert isinstance(own, str | bool)
        return _Domain(choices=tuple(dict.fromkeys((own, asked.beside))))
    if asked.low is not None and asked.high is not None:
        return _ranged(asked, info, whole=whole)
    if kind in ("one of", "true or false"):
        return _Domain(choices=_words_of(info.annotation))
    note = _note(info)
    if note is None:
        raise ConfigError(f"{asked.key} needs a range to be searched in", f"{asked.place} gives none",
                          f"Write {asked.key}=LOW..HIGH or {asked.key}=A|B|C.")  # fmt: skip
    number = own if isinstance(own, int | float) and not isinstance(own, bool) else None
    if note.choices:
        numbers = all(isinstance(each, int | float) for each in note.choices)
        with_own = {*note.choices, number} if numbers and number is not None else set(note.choices)
        choices = tuple(sorted(with_own)) if numbers else note.choices
        return _Domain(choices=choices, ordered=numbers)
    assert note.low is not None
    assert note.high is not None
    low, high, scale = note.low, note.high, "log" if note.scale == "log" else "linear"
    if number is not None and note.around is not None and number > 0.0:
        low, high = _rounded(number / note.around), _rounded(number * note.around)
    elif number is not None and (number > 0.0 or scale == "linear"):
        low, high = min(low, number), max(high, number)
    return _Domain(low=low, high=high, scale="log" if scale == "log" else "linear", whole=whole)


def _rounded(number: float) -> float:
    return float(f"{number:.3g}")


def _words_of(annotation: object) -> tuple[Value, ...]:
    """The values of `Literal[...]`, of `bool`, or of either beside None."""
    if annotation is bool:
        return (False, True)
    if get_origin(annotation) is Literal:
        return get_args(annotation)
    parts = [part for part in get_args(annotation) if part is not type(None)]
    return tuple(value for part in parts for value in _words_of(part))


def _chosen(asked: Asked, info: FieldInfo) -> _Domain:
    for choice in asked.choices:
        _check_value(asked, info, choice)
    choices = tuple(dict.fromkeys(asked.choices))
    if len(choices) == 1 and not asked.listed:
        raise ConfigError("a search must have a choice", f"{asked.place} gives {asked.key} one value",
                          f"Set it instead: {asked.key}={shown(choices[0])}.")  # fmt: skip
    numbers = all(isinstance(each, int | float) and not isinstance(each, bool) for each in choices)
    return _Domain(choices=tuple(sorted(choices)) if numbers else choices, ordered=numbers)


def _ranged(asked: Asked, info: FieldInfo, *, whole: bool) -> _Domain:
    low, high = asked.low, asked.high
    assert low is not None
    assert high is not None
    if known_options()[asked.key].type not in ("a number", "a whole number"):
        raise ConfigError(f"{asked.key} is no number, and has no range", f"{asked.place} gives one",
                          f"List its values: {asked.key}=A|B.")  # fmt: skip
    if low >= high:
        what = "its ends are equal" if low == high else f"{shown(low)} is above {shown(high)}"
        raise ConfigError("a range must rise from its low end to its high end", f"in {asked.place} {what}",
                          "Write the lower number first, or set the option instead.")  # fmt: skip
    for end in (low, high):
        if whole and end != int(end):
            refuse_value(asked.key, end, asked.place)
        _check_value(asked, info, int(end) if whole else end)
    note = _note(info)
    scale = asked.scale or ("log" if low > 0.0 and note is not None and note.scale == "log" else "linear")
    if scale == "log" and low <= 0.0:
        raise ConfigError("a logarithmic range must lie above 0", f"{asked.place} begins at {shown(low)}",
                          "Begin above 0, or write scale: linear.")  # fmt: skip
    if not asked.scale and note is None and low > 0.0 and high / low >= 100.0:
        scale = "log"
    return _Domain(low=low, high=high, scale="log" if scale == "log" else "linear", whole=whole)


def _check_value(asked: Asked, info: FieldInfo, value: Value) -> None:
    """Refuse what the option itself would refuse."""
    if isinstance(value, bool) and known_options()[asked.key].type != "true or false":
        refuse_value(asked.key, value, asked.place)
    limits = [each for each in info.metadata if isinstance(each, annotated_types.BaseMetadata)]
    annotation: Any = info.annotation
    for limit in limits:
        annotation = Annotated[annotation, limit]
    try:
        TypeAdapter(annotation).validate_python(value)
    except ValidationError:
        refuse_value(asked.key, value, asked.place)


def _ordered(parameters: list[Parameter]) -> tuple[Parameter, ...]:
    """The parameters with those that a condition speaks of before those that hang on them.

    Raises:
        ConfigError: conditions go round in a circle.
    """
    waiting = sorted(parameters, key=lambda each: _FIRST.index(each.key) if each.key in _FIRST else len(_FIRST))
    placed: list[Parameter] = []
    while waiting:
        open_keys = {each.key for each in waiting}
        free = [each for each in waiting
                if not any(name in open_keys for e in each.expressions for name in e.names)]  # fmt: skip
        if not free:
            names = ", ".join(dict.fromkeys(each.key for each in waiting))
            raise ConfigError("conditions must not go round in a circle", f"those of {names} do",
                              "Take one of them out.")  # fmt: skip
        placed.append(free[0])
        waiting.remove(free[0])
    return tuple(placed)
