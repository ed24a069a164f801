"""The first trials of a study: what each family does by itself, and a few settings that often do well."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from assay.search.space import FAMILY, Setting, Space, same
from assay.search.trial import Value

#: Factors on a family's own values: faster, slower and longer, wider with more dropout. They are guesses from the
#: ranges of the families' papers, not learned from a table of results.
PORTFOLIO: tuple[Mapping[str, float], ...] = (
    MappingProxyType({"train.lr": 3.0, "train.weight_decay": 3.0}),
    MappingProxyType({"train.lr": 1 / 3, "train.weight_decay": 1 / 3}),
    MappingProxyType({"model.width": 2.0, "model.dropout": 2.0, "train.lr": 0.5}),
)


def first_settings(space: Space) -> list[tuple[Setting, str]]:
    """The settings to begin with and where each is from: the families' own first, so that a study cannot end below.

    A setting is moved into the space where it lies outside, and left out where it breaks a constraint or was there.
    """
    asked: list[tuple[Setting, str]] = []
    for family in space.families:
        named: Setting = {FAMILY: family} if FAMILY in space.keys else {}
        asked.append((space.setting(named), f"default of {family}"))
    for factors in PORTFOLIO:
        own = asked[0][0]
        changed = {key: _times(own[key], factor) for key, factor in factors.items() if key in own}
        asked.append((space.setting({**own, **changed}), "portfolio"))
    seen: set[object] = set()
    found = []
    for setting, origin in asked:
        if same(setting) not in seen and not space.refusal(setting):
            seen.add(same(setting))
            found.append((setting, origin))
    return found


def _times(value: Value, factor: float) -> Value:
    return value * factor if isinstance(value, int | float) and not isinstance(value, bool) else value
