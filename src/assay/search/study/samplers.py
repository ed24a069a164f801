"""How settings are proposed: the kinds by name, the rule that picks one, and Optuna's samplers with pinned arguments.

Optuna's defaults change between versions (5.0 made TPE multivariate with a constant liar); a study names every
argument, so that the same seed proposes the same settings.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from types import MappingProxyType, ModuleType
from typing import TYPE_CHECKING, Literal, get_args

from assay._imports import require
from assay.errors import ConfigError, nearest
from assay.search.study.space import FAMILY, MOST_POINTS, Parameter, Space
from assay.search.study.trial import Value

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution
    from optuna.samplers import BaseSampler

Kind = Literal["grid", "list", "random", "quasi", "tpe", "gp", "cmaes", "nsga2"]
KINDS: tuple[Kind, ...] = get_args(Kind)
#: What each kind does, in words.
MEANING: Mapping[Kind, str] = MappingProxyType(
    {
        "grid": "every point of a grid",
        "list": "the settings of a list",
        "random": "at random",
        "quasi": "by Sobol's sequence, which leaves no gaps",
        "tpe": "by a tree of Parzen estimators, which goes where good settings were",
        "gp": "by a Gaussian process, which spends the most on each choice",
        "cmaes": "by CMA-ES, an evolution strategy",
        "nsga2": "by NSGA-II, a genetic algorithm",
    }
)
#: Kinds that go through a list of their own, and those of which a sampler remembers what it proposed.
LISTED: tuple[Kind, ...] = ("grid", "list")
REMEMBERING: tuple[Kind, ...] = ("quasi", "cmaes", "nsga2")
#: Settings up to which a space is gone through whole, trials and parameters up to which a Gaussian process is worth its
#: time, and seconds a trial from which it is.
_GRID, _GP_TRIALS, _GP_PARAMETERS, _GP_SECONDS = 100, 100, 8, 10.0
#: Trials at random before a model of them is made.
STARTUP = 10
_POPULATION, _GENERATIONS = 16, 10


@dataclass(frozen=True)
class Choice:
    """The kind of proposing, and why."""

    kind: Kind
    reason: str


def choose(asked: str, space: Space, *, trials: int | None, seconds: float, a_trial: float, goals: int = 1) -> Choice:
    """The kind that was asked for, or by a rule the one that suits the space and the time.

    Args:
        asked: a kind or `auto`.
        trials: that were asked for, None for as many as there is time for.
        seconds: for the whole search; infinite without a budget.
        a_trial: what one will take, as a guess.
        goals: how many things trials are to be good in.

    Raises:
        ConfigError: there is no such kind, or it cannot search this space.
    """
    kind = check_kind(asked)
    if kind is not None:
        _check_suits(kind, space)
        if goals > 1 and kind in ("gp", "cmaes"):
            raise ConfigError(f"{kind} searches for one thing", f"there are {goals} objectives",
                              "Take --sampler nsga2 or tpe.")  # fmt: skip
        return Choice(kind, "as asked")
    likely = min(math.inf if trials is None else trials, seconds / max(a_trial, 1e-9))
    if space.is_finite and space.points <= min(likely, _GRID):
        return Choice("grid", f"the space has {space.points} settings, and there is the time for all")
    if goals > 1:
        if likely >= _GENERATIONS * _POPULATION:
            return Choice("nsga2", f"about {likely:.0f} trials are enough generations to spread over a front")
        return Choice("tpe", "it models several objectives, and does with fewer trials than a genetic algorithm")
    numbers = not space.is_conditional and len(space.parameters) <= _GP_PARAMETERS
    if numbers and likely <= _GP_TRIALS and a_trial >= _GP_SECONDS and not _unordered(space):
        return Choice("gp", f"about {likely:.0f} trials of {a_trial:.0f} s are worth the time of a Gaussian process")
    return Choice("tpe", "it takes choices and conditions, and costs milliseconds a trial")


def check_kind(asked: str) -> Kind | None:
    """The kind that was asked for; None for `auto`.

    Raises:
        ConfigError: there is no such kind.
    """
    known = ("auto", *KINDS)
    if asked not in known:
        raise ConfigError(f"a sampler must be one of {', '.join(known)}", f"{asked!r} was given", nearest(asked, known))
    return next((kind for kind in KINDS if kind == asked), None)


def _unordered(space: Space) -> list[str]:
    return [each.key for each in space.parameters if each.choices and not each.ordered]


def _check_suits(kind: Kind, space: Space) -> None:
    """Refuse a kind that would draw a part of the settings at random without a word."""
    words = _unordered(space)
    if kind == "cmaes" and (words or len(space.parameters) < 2):
        what = f"{words[0]} is a choice of words" if words else "there is one parameter"
        raise ConfigError("CMA-ES searches two numbers or more", what, "Take --sampler tpe.")
    if kind in ("gp", "cmaes", "quasi") and space.is_conditional:
        name = next(each.name for each in space.parameters if each.conditions)
        raise ConfigError(f"{kind} searches a space whose parameters all have a meaning in every setting",
                          f"{name} has one only if {' and '.join(_condition(space, name))}",
                          f"Take --sampler tpe, or one family with {FAMILY}=...")  # fmt: skip


def _condition(space: Space, name: str) -> tuple[str, ...]:
    return next(each.conditions for each in space.parameters if each.name == name)


def check_grid(space: Space, *, trials: int | None, seconds: float, a_trial: float) -> str:
    """A note on the size of the grid.

    Raises:
        ConfigError: it has more points than the time allows, and no number of trials was given; or more than any time.
    """
    points = space.points
    told = f"the grid has {points:,} settings"
    if points >= MOST_POINTS:
        came = f"it has {points:,} settings or more"
        raise ConfigError(f"a grid must have fewer than {MOST_POINTS:,} settings", came, "Take --sampler quasi.")
    if trials is not None and trials < points:
        return f"{told}, of which {trials:,} are tried, in random order"
    if points * a_trial > seconds:
        raise ConfigError(
            "a grid must be small enough to be gone through in the time",
            f"its {points:,} settings at about {a_trial:.2g} s each take {_time(points * a_trial)}, and there are "
            f"{_time(seconds)} (a guess from the number of rows)",
            "Give fewer values, a longer --budget, some of them with --trials, or --sampler quasi.",
        )
    return told


def _time(seconds: float) -> str:
    if seconds >= 7200.0:
        return f"{seconds / 3600:.1f} h"
    return f"{seconds / 60:.0f} min" if seconds >= 120.0 else f"{seconds:.0f} s"


# Optuna ---------------------------------------------------------------------------------------------------------------


def distribution(parameter: Parameter, kind: Kind) -> BaseDistribution:
    """What Optuna draws for a parameter: the value, or of ordered choices the place."""
    made = require("optuna.distributions", "Searching settings")
    if parameter.choices:
        as_place = parameter.ordered or kind == "quasi"
        found: BaseDistribution = (
            made.IntDistribution(0, len(parameter.choices) - 1, log=False, step=1)
            if as_place
            else made.CategoricalDistribution(parameter.choices)
        )
        return found
    assert parameter.low is not None
    assert parameter.high is not None
    log = parameter.scale == "log"
    if parameter.whole:
        whole: BaseDistribution = made.IntDistribution(int(parameter.low), int(parameter.high), log=log, step=1)
        return whole
    real: BaseDistribution = made.FloatDistribution(parameter.low, parameter.high, log=log, step=None)
    return real


def drawn(parameter: Parameter, value: Value, kind: Kind) -> Value:
    """The value of a setting that Optuna's draw stands for."""
    if parameter.choices:
        as_place = parameter.ordered or kind == "quasi"
        return parameter.choices[int(value)] if as_place else value
    return value


def as_drawn(parameter: Parameter, value: Value, kind: Kind) -> Value:
    """Optuna's draw that stands for the value of a setting."""
    if parameter.choices and (parameter.ordered or kind == "quasi"):
        return parameter.choices.index(value)
    return value


@contextmanager
def quietly() -> Iterator[None]:
    """Optuna without its log and its warnings of what is experimental: what matters is said by the study itself."""
    optuna = require("optuna", "Searching settings")
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            yield
    finally:
        optuna.logging.set_verbosity(before)


def sampler_for(kind: Kind, space: Space, seed: int) -> BaseSampler:
    """Optuna's sampler with every argument pinned but those that are to go; its draws follow from what it was told.

    TPE: Bergstra et al. (NeurIPS 2011), multivariate as in Falkner et al. (ICML 2018), in groups where parameters are
    conditional. CMA-ES: Hansen (arXiv 1604.00772). NSGA-II: Deb et al. (IEEE TEC 2002).
    """
    made = require("optuna.samplers", "Searching settings")
    evenly = made.RandomSampler(seed=seed)
    makers: Mapping[Kind, Callable[[], BaseSampler]] = {
        "random": lambda: evenly,
        "grid": lambda: evenly,
        "list": lambda: evenly,
        "quasi": lambda: made.QMCSampler(
            qmc_type="sobol", scramble=True, seed=seed, independent_sampler=evenly, warn_asynchronous_seeding=False,
            warn_independent_sampling=False,
        ),
        "tpe": lambda: made.TPESampler(
            n_startup_trials=STARTUP, n_ei_candidates=24, seed=seed, multivariate=True, group=space.is_conditional,
            constant_liar=True,
        ),
        "gp": lambda: made.GPSampler(
            seed=seed, independent_sampler=evenly, n_startup_trials=STARTUP, deterministic_objective=False,
            warn_independent_sampling=False,
        ),
        "cmaes": lambda: _cmaes(made, evenly, seed),
        "nsga2": lambda: made.NSGAIISampler(
            population_size=_POPULATION, mutation_prob=None, crossover=made.nsgaii.UniformCrossover(swapping_prob=0.5),
            crossover_prob=0.9, swapping_prob=0.5, seed=seed, elite_population_selection_strategy=None,
            child_generation_strategy=None, after_trial_strategy=None,
        ),
    }  # fmt: skip
    return makers[kind]()


def _cmaes(made: ModuleType, evenly: BaseSampler, seed: int) -> BaseSampler:
    require("cmaes", "Searching with CMA-ES")
    found: BaseSampler = made.CmaEsSampler(
        n_startup_trials=1, independent_sampler=evenly, warn_independent_sampling=False, seed=seed,
        consider_pruned_trials=False, popsize=None, use_separable_cma=False, with_margin=False, lr_adapt=False,
    )  # fmt: skip
    return found
