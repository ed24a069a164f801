"""A space of settings: parameters with their ranges, when each has a meaning, and what must hold between them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from functools import cached_property
from itertools import islice
from typing import Literal

from assay.errors import ConfigError
from assay.records import Record
from assay.search.study.expression import Expression, Operand, parsed
from assay.search.study.trial import Value

#: What is tried: an option and its value.
Setting = dict[str, Value]
FAMILY = "model.name"
#: Points that a grid may have, and those that a range is cut to.
MOST_POINTS, POINTS = 100_000, 5


class Parameter(Record):
    """An option to search: a range, or choices; `name` tells parameters apart that set the same option `key`.

    A range is of whole numbers where `whole`. Choices that are `ordered` are numbers, the least first. Where not all
    `conditions` hold the parameter has no meaning. `usual` is what each family has for it unasked, put into the range.
    """

    name: str
    key: str
    low: float | None = None
    high: float | None = None
    scale: Literal["linear", "log"] = "linear"
    whole: bool = False
    choices: tuple[Value, ...] = ()
    ordered: bool = False
    conditions: tuple[str, ...] = ()
    usual: dict[str, Value] = {}

    @cached_property
    def expressions(self) -> tuple[Expression, ...]:
        """The conditions, parsed."""
        return tuple(parsed(text, f"the condition of {self.name}") for text in self.conditions)

    @property
    def is_finite(self) -> bool:
        """Whether `points` are all its values."""
        return bool(self.choices) or (self.whole and (self.high or 0) - (self.low or 0) < POINTS)

    def points(self, most: int = POINTS) -> tuple[Value, ...]:
        """The choices, or values of the range at equal steps of its scale, both ends among them."""
        if self.choices:
            return self.choices
        assert self.low is not None
        assert self.high is not None
        if self.low == self.high:
            return (self._typed(self.low),)
        if self.whole and self.high - self.low < most:
            return tuple(range(int(self.low), int(self.high) + 1))
        steps = [step / (most - 1) for step in range(most)]
        if self.scale == "log":
            values = [self.low * (self.high / self.low) ** step for step in steps]
        else:
            values = [self.low + (self.high - self.low) * step for step in steps]
        return tuple(dict.fromkeys(self._typed(min(max(each, self.low), self.high)) for each in values))

    def inside(self, value: Value) -> Value:
        """The value, or the nearest that the parameter may have."""
        if self.choices:
            if self.ordered and not isinstance(value, str):
                return min(self.choices, key=lambda choice: abs(float(choice) - float(value)))
            return next((choice for choice in self.choices if choice == value), self.choices[0])
        assert self.low is not None
        assert self.high is not None
        number = (self.low + self.high) / 2 if isinstance(value, str) else float(value)
        return self._typed(min(max(number, self.low), self.high))

    def told(self) -> str:
        """The range or the choices in words."""
        if self.choices:
            return ", ".join(shown(choice) for choice in self.choices)
        ends = f"{shown(self.low or 0)}..{shown(self.high or 0)}"
        return f"{ends}, logarithmic" if self.scale == "log" else ends

    def _typed(self, number: float) -> Value:
        # Rounded to what one would type: a setting is copied into configurations and commands.
        return (
            round(number) if self.whole else min(max(float(f"{number:.12g}"), self.low or number), self.high or number)
        )


class Space(Record):
    """What is searched; `known` holds by family the values of options that are fixed and that conditions speak of."""

    parameters: tuple[Parameter, ...]
    constraints: tuple[str, ...] = ()
    families: tuple[str, ...]
    known: dict[str, dict[str, Operand]]

    @cached_property
    def rules(self) -> tuple[Expression, ...]:
        """The constraints, parsed."""
        return tuple(parsed(text, "a constraint") for text in self.constraints)

    @property
    def keys(self) -> tuple[str, ...]:
        """The options that are searched."""
        return tuple(dict.fromkeys(parameter.key for parameter in self.parameters))

    @property
    def is_conditional(self) -> bool:
        """Whether some parameters have a meaning in some settings only."""
        return any(parameter.conditions for parameter in self.parameters)

    def values(self, setting: Mapping[str, Value]) -> dict[str, Operand]:
        """Every option that an expression may name, with its value in a setting."""
        return {**self.known[self.family(setting)], **setting}

    def family(self, setting: Mapping[str, Value]) -> str:
        """The network family of a setting."""
        return str(setting.get(FAMILY, self.families[0]))

    def means(self, parameter: Parameter, setting: Mapping[str, Value]) -> bool:
        """Whether the parameter has a meaning beside the values that come before it."""
        if not parameter.conditions:
            return True
        values = self.values(setting)
        return all(expression.holds(values) for expression in parameter.expressions)

    def refusal(self, setting: Mapping[str, Value]) -> str:
        """Why a setting cannot be, in words; empty where it can."""
        values = self.values(setting)
        for rule in self.rules:
            if not rule.holds(values):
                return f"it breaks {rule.text}"
        heads, width = values.get("model.attention_heads"), values.get("model.width")
        if isinstance(heads, int) and isinstance(width, int) and width % heads:
            return f"{heads} heads of attention do not divide a width of {width}"
        return ""

    def setting(self, wanted: Mapping[str, Value]) -> Setting:
        """The setting of the space nearest to what is wanted; what is not named has the family's own value."""
        found: Setting = {}
        for parameter in self.parameters:
            if self.means(parameter, found):
                usual = parameter.usual.get(self.family(found), parameter.points()[0])
                found[parameter.key] = parameter.inside(wanted.get(parameter.key, usual))
        return found

    def by_name(self, setting: Mapping[str, Value]) -> dict[str, Value]:
        """The values of a setting by the names of the parameters."""
        named: dict[str, Value] = {}
        so_far: Setting = {}
        for parameter in self.parameters:
            if parameter.key in setting and self.means(parameter, so_far):
                named[parameter.name] = so_far[parameter.key] = setting[parameter.key]
        return named

    def grid(self) -> Iterator[Setting]:
        """Every setting of the grid that can be, the last parameter moving fastest."""
        for setting in self._filled({}, 0):
            if not self.refusal(setting):
                yield setting

    def _filled(self, setting: Setting, at: int) -> Iterator[Setting]:
        if at == len(self.parameters):
            yield setting
            return
        parameter = self.parameters[at]
        if not self.means(parameter, setting):
            yield from self._filled(setting, at + 1)
            return
        for value in parameter.points():
            yield from self._filled({**setting, parameter.key: value}, at + 1)

    @cached_property
    def points(self) -> int:
        """Settings of the grid; where conditions or constraints leave some out they are counted up to `MOST_POINTS`."""
        if self.is_conditional or self.constraints or "model.attention_heads" in self.known[self.families[0]]:
            return sum(1 for _ in islice(self.grid(), MOST_POINTS))
        return math.prod(len(parameter.points()) for parameter in self.parameters)

    @property
    def is_finite(self) -> bool:
        """Whether the grid holds all there is to try."""
        return all(parameter.is_finite for parameter in self.parameters)

    def check(self) -> None:
        """Refuse a space in which nothing can be tried.

        Raises:
            ConfigError: it is empty, or no setting keeps its constraints.
        """
        if not self.parameters:
            raise ConfigError(
                "a search must have something to search", "no parameter is left", "Name options with --over."
            )
        if self.constraints and not any(True for _ in islice(self.grid(), 1)):
            raise ConfigError(
                "some setting of the space must keep its constraints",
                f"none of its grid does: {'; '.join(self.constraints)}",
                "Widen a range or loosen a constraint.",
            )
        self._check_conditions()

    def _check_conditions(self) -> None:
        """Refuse a parameter that has no meaning in any setting, where conditions speak of choices alone."""
        ranges = {each.key for each in self.parameters if not each.is_finite}
        waiting = {
            each.name: each for each in self.parameters
            if each.conditions and not any(name in ranges for rule in each.expressions for name in rule.names)
        }  # fmt: skip
        for at, setting in enumerate(self.grid()):
            if not waiting or at == MOST_POINTS:
                return
            for name in self.by_name(setting):
                waiting.pop(name, None)
        for each in waiting.values():
            raise ConfigError(
                "each parameter must have a meaning in some setting",
                f"{each.name} has none in this space: it is there only if {' and '.join(each.conditions)}",
                "Widen what the condition speaks of, or leave the parameter out.",
            )


def same(setting: Mapping[str, Value]) -> tuple[tuple[str, Value], ...]:
    """What is equal for equal settings."""
    return tuple(sorted(setting.items()))


def shown(value: Value) -> str:
    """A value as one would type it."""
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:.4g}" if isinstance(value, float) and math.isfinite(value) else str(value)


def told(setting: Mapping[str, Value]) -> str:
    """A setting as one would type it: `train.lr=0.002 model.width=128`."""
    return " ".join(f"{key}={shown(value)}" for key, value in setting.items())
