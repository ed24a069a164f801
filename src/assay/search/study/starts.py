"""The first trials of a study: what each family does by itself, and a few settings that do well on other tables.

`portfolio.csv` holds the latter. They were chosen from settings judged on public tables (`benchmarks/portfolio.py`,
after Feurer et al., Auto-Sklearn 2.0, JMLR 2022, section 3.1), each family's in the order in which they lowered the
mean regret; its first row of a family is what the family has by itself.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from itertools import chain, zip_longest
from types import MappingProxyType

from assay.search.study.space import FAMILY, Setting, Space, same
from assay.search.study.trial import Value

#: Settings of the portfolio that a study begins with, beside the families' own.
MOST = 3
#: Where this is searched, each family begins with and without the texts of rows; what the portfolio says was found on
#: tables that have none, and begins without them.
_TEXTS = "model.reads_texts"
#: Where this is searched, these families, which take seconds, begin with plain numbers too.
_NUMBERS, _PLAIN_TOO = "model.numbers", ("mlp", "tabm")
#: Where this is searched, the first of those families begins with every other way of training too, and with these
#: weights: they are members of one network, and show what a smaller gap costs.
_FAIRNESS, _WEIGHT, _WEIGHTS = "train.fairness", "train.fairness_weight", (0.3, 1.0, 3.0, 10.0)
#: Options by the columns of the file: those that are values, and those that are factors of the family's own.
_VALUES = {"width": "model.width", "layers": "model.layers", "batch": "train.batch", "dropout": "model.dropout"}
_FACTORS = {"rate": "train.lr", "decay": "train.weight_decay"}
#: Factors for families that no table has: faster, slower and longer, wider with more dropout. They are guesses from the
#: ranges of the families' papers.
_GUESSED: tuple[Mapping[str, float], ...] = (
    MappingProxyType({"train.lr": 3.0, "train.weight_decay": 3.0}),
    MappingProxyType({"train.lr": 1 / 3, "train.weight_decay": 1 / 3}),
    MappingProxyType({"model.width": 2.0, "model.dropout": 2.0, "train.lr": 0.5}),
)


def first_settings(space: Space) -> list[tuple[Setting, str]]:
    """The settings to begin with and where each is from: the families' own first, so that a study cannot end below.

    A setting is moved into the space where it lies outside, and left out where it breaks a constraint or was there.
    """
    own = {family: space.setting({FAMILY: family} if FAMILY in space.keys else {}) for family in space.families}
    asked = [(setting, f"default of {family}") for family, setting in own.items()]
    tables = {family: _without_texts(setting) for family, setting in own.items()}
    asked += [(setting, f"default of {family} without texts") for family, setting in tables.items()]
    asked += [
        ({**setting, _NUMBERS: "plain"}, f"default of {family} on plain numbers")
        for family, setting in tables.items() if family in _PLAIN_TOO and _NUMBERS in setting
    ]  # fmt: skip
    asked += _lessening(space, tables)
    defaults = len({same(setting) for setting, _ in asked})
    ranked = [[space.setting(changed) for changed in _changed(family, setting)] for family, setting in tables.items()]
    in_turn = chain.from_iterable(zip_longest(*ranked))  # the best of each family, then the next of each
    asked += [(setting, "portfolio") for setting in in_turn if setting is not None]
    seen: set[object] = set()
    found = []
    for setting, origin in asked:
        if same(setting) not in seen and not space.refusal(setting):
            seen.add(same(setting))
            found.append((setting, origin))
    return found[: defaults + MOST]


def _lessening(space: Space, own: Mapping[str, Setting]) -> list[tuple[Setting, str]]:
    """The own setting of a family that takes seconds with what lessens gaps between groups, where that is searched."""
    ways = next((each.choices for each in space.parameters if each.key == _FAIRNESS), ())
    family = next((family for family in _PLAIN_TOO if family in own), next(iter(own)))
    found = []
    for how in (way for way in ways if way != own[family].get(_FAIRNESS)):
        lessened, origin = space.setting({**own[family], _FAIRNESS: how}), f"default of {family} with {how}"
        if _WEIGHT in lessened:
            found += [
                (space.setting({**lessened, _WEIGHT: weight}), f"{origin}, weight {weight:g}") for weight in _WEIGHTS
            ]
        else:
            found.append((lessened, origin))
    return found


def _without_texts(setting: Setting) -> Setting:
    return {**setting, _TEXTS: False} if _TEXTS in setting else setting


def _changed(family: str, own: Setting) -> list[Setting]:
    """The settings of a family that do well elsewhere, or guesses, as changes of its own."""
    if family in _learned():
        return of_portfolio(family, own)
    return [
        own | {key: _times(own[key], factor) for key, factor in factors.items() if key in own} for factors in _GUESSED
    ]


def of_portfolio(family: str, own: Setting) -> list[Setting]:
    """The settings of a family in the portfolio, the best first, as changes of its own; of most there are none."""
    return [
        own
        | {key: value for key, value in values.items() if key in own}
        | {key: _times(own[key], factor) for key, factor in factors.items() if key in own}
        for values, factors in _learned().get(family, ())
    ]


@cache
def _learned() -> dict[str, list[tuple[Setting, dict[str, float]]]]:
    """By family the settings of `portfolio.csv`, the best first, without the families' own: values, and factors."""
    found: dict[str, list[tuple[Setting, dict[str, float]]]] = {}
    text = files("assay.search.study").joinpath("portfolio.csv").read_text(encoding="utf-8")
    for row in csv.DictReader(text.splitlines()):
        values = {option: _read(row[name]) for name, option in _VALUES.items() if row[name]}
        factors = {option: float(row[name]) for name, option in _FACTORS.items() if row[name]}
        settings = found.setdefault(row["family"], [])
        if values or factors:
            settings.append((values, factors))
    return found


def _read(cell: str) -> Value:
    """A whole number, a number, or a word."""
    try:
        number = float(cell)
    except ValueError:
        return cell
    return int(number) if number.is_integer() and "." not in cell else number


def _times(value: Value, factor: float) -> Value:
    return value * factor if isinstance(value, int | float) and not isinstance(value, bool) else value
