"""What a study shows beside its best setting: which parameters mattered, and where the best lies on an edge."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import annotated_types

from assay._imports import require
from assay.models.config import ModelConfig
from assay.records import Record
from assay.search.study.samplers import quietly
from assay.search.study.space import Parameter, Setting, Space, shown
from assay.search.study.store import Tried
from assay.search.study.trial import Value
from assay.train.config import TrainConfig

#: Share of a range, on its scale, within which a value counts as lying on its edge.
_EDGE = 0.05
#: Completed trials from which importance is worked out.
FEWEST = 10
EVALUATOR = "PED-ANOVA"


class Importance(Record):
    """How much of what tells the best tenth of the trials from all others hangs on a parameter."""

    name: str
    share: float


def importances(study: Any, space: Space, tried: Sequence[Tried]) -> tuple[Importance, ...]:  # noqa: ANN401
    """The importance of each parameter that all completed trials have, the greatest first; nothing for few trials.

    PED-ANOVA (Watanabe et al., IJCAI 2023) on the best tenth. Evaluators disagree: this is an indication.

    Args:
        study: Optuna's, of the same trials.
    """
    done = [space.by_name(dict(each.trial.options)) for each in tried if each.value is not None]
    names = [each.name for each in space.parameters if all(each.name in named for named in done)]
    names = [name for name in names if len({named[name] for named in done}) > 1]
    if len(done) < FEWEST or len(names) < 2 or len({each.value for each in tried if each.value is not None}) < 2:
        return ()
    optuna = require("optuna", "Working out importance")
    with quietly():
        evaluator = optuna.importance.PedAnovaImportanceEvaluator(
            target_quantile=0.1, region_quantile=1.0, evaluate_on_local=True
        )
        found = optuna.importance.get_param_importances(study, evaluator=evaluator, params=names, normalize=True)
    each = [Importance(name=name, share=round(float(share), 4)) for name, share in found.items()]
    return tuple(sorted(each, key=lambda one: -one.share))


def edges(space: Space, best: Setting) -> tuple[str, ...]:
    """A note for each parameter whose best value lies on the edge of its range, with the range to try next."""
    notes = []
    for parameter in space.parameters:
        if parameter.key in best and space.means(parameter, best):
            beyond = _beyond(parameter, best[parameter.key])
            if beyond:
                notes.append(
                    f"{parameter.key} is best at {shown(best[parameter.key])}, on the edge of {parameter.told()}; "
                    f"try --over {parameter.key}={beyond} next"
                )
    return tuple(notes)


def _beyond(parameter: Parameter, value: Value) -> str:
    """The range to try next as one would type it; empty where the value lies well inside, or nothing lies beyond."""
    if isinstance(value, bool | str):
        return ""
    least, most = _limits(parameter.key)
    if parameter.choices:
        return _further(parameter, value, least, most) if parameter.ordered and len(parameter.choices) > 1 else ""
    low, high = float(parameter.low or 0.0), float(parameter.high or 0.0)
    # On its scale a range is low + share * span; the next one has the same span, around the edge.
    log = parameter.scale == "log"
    bottom, top, at = (math.log(each) if log else each for each in (low, high, value))
    share, half = (at - bottom) / (top - bottom), (top - bottom) / 2
    if _EDGE < share < 1.0 - _EDGE or (share <= _EDGE and low <= least) or (share >= 1.0 - _EDGE and high >= most):
        return ""
    edge = bottom if share <= _EDGE else top
    ends = [math.exp(each) if log else each for each in (edge - half, edge + half)]
    ends = [min(max(each, least), most) for each in ends]
    return "..".join(f"{round(each)}" if parameter.whole else f"{each:.2g}" for each in ends)


def _further(parameter: Parameter, value: float, least: float, most: float) -> str:
    """Choices beyond the first or the last, where the value is that."""
    if value not in (parameter.choices[0], parameter.choices[-1]):
        return ""
    factors = (0.5, 0.75) if value == parameter.choices[0] else (1.5, 2.0)
    kind = round if isinstance(value, int) else float
    beyond = {kind(value * factor) for factor in factors if least <= value * factor <= most} - {value}
    return "|".join(shown(each) for each in sorted([*beyond, value])) if beyond else ""


def _limits(key: str) -> tuple[float, float]:
    """The least and the most that an option may be."""
    section, _, name = key.partition(".")
    fields = (ModelConfig if section == "model" else TrainConfig).model_fields
    least, most = -math.inf, math.inf
    for limit in fields[name].metadata if name in fields else []:
        if isinstance(limit, annotated_types.Ge):
            least = float(limit.ge)  # type: ignore[arg-type]  # a number
        elif isinstance(limit, annotated_types.Gt):
            least = math.nextafter(float(limit.gt), math.inf)  # type: ignore[arg-type]
        elif isinstance(limit, annotated_types.Le):
            most = float(limit.le)  # type: ignore[arg-type]
        elif isinstance(limit, annotated_types.Lt):
            most = 0.99 * float(limit.lt)  # type: ignore[arg-type]
    return least, most
