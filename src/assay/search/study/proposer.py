"""What proposes the next settings: an Optuna study in memory that is told what every trial came to.

It is made anew from the store when a study goes on. For each round there is a fresh sampler whose seed follows from the
study's and from the number of the round's first trial, so that what is proposed is a function of the outcomes before
it; samplers that remember what they proposed are led through all rounds again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np

from assay._imports import require
from assay.errors import BundleError
from assay.search.study.pruners import Pruning, pruner_for
from assay.search.study.samplers import LISTED, REMEMBERING, Kind, as_drawn, distribution, drawn, quietly, sampler_for
from assay.search.study.space import MOST_POINTS, Parameter, Setting, Space, same
from assay.search.study.store import Tried
from assay.search.study.trial import Goal, Value

if TYPE_CHECKING:
    from optuna.trial import Trial as Asking

#: Proposals that were there already, or cannot be, before one is drawn evenly from the space; such draws at most.
_TRIES, _DRAWS = 20, 2000
#: Settings of a round, at least, that share the shape of one network, so that they are trained as its members.
_ALIKE = 4
_RUNGS = "completed_rung_"

Proposal = tuple[Setting, str]


def seed_of(seed: int, number: int) -> int:
    """The seed of a trial, or of a round by the number of its first trial, below 2**31."""
    return int.from_bytes(hashlib.sha256(f"{seed}:{number}".encode()).digest()[:4]) >> 1


class Proposer:
    """Proposes settings, and decides on what pruners are asked, by what it was told."""

    def __init__(
        self, space: Space, kind: Kind, *, seed: int, higher: bool, starts: Sequence[Proposal],
        listed: Sequence[Setting] = (), pruning: Pruning = "none", epochs: int = 1,
        own: Collection[str] = (), goals: Sequence[Goal] = ("score",),
    ) -> None:  # fmt: skip
        """Begin without a trial.

        Args:
            starts: settings to begin with, and where they are from.
            listed: settings to go through after them, for `list`.
            epochs: the most that a trial may have.
            own: options in which settings of one network may differ; with them, some of a round share all others.
            goals: what trials are to be good in; what is not the score is to be small.
        """
        self._space, self._kind, self._seed, self._own, self._goals = space, kind, seed, frozenset(own), goals
        self._fixed: list[Proposal] = [*starts, *self._listed(listed, starts)]
        self._distributions = {each.name: distribution(each, kind) for each in space.parameters}
        optuna = require("optuna", "Searching settings")
        self._states = optuna.trial.TrialState
        with quietly():
            self._study = optuna.create_study(
                storage=optuna.storages.InMemoryStorage(), study_name="assay",
                directions=["maximize" if higher and goal == "score" else "minimize" for goal in goals],
                pruner=pruner_for(pruning, epochs),
                sampler=optuna.samplers.RandomSampler(seed=seed),
            )  # fmt: skip
        self._open: dict[int, Asking] = {}
        self._curves: dict[int, dict[int, float]] = {}
        self._seen: set[object] = set()
        self._next_place = -1

    @property
    def study(self) -> Any:  # noqa: ANN401  # an optional package
        """The Optuna study of what was told, for what is computed from it."""
        return self._study

    def _listed(self, listed: Sequence[Setting], starts: Sequence[Proposal]) -> list[Proposal]:
        there = {same(setting) for setting, _ in starts}
        if self._kind == "grid":
            every = list(islice(self._space.grid(), MOST_POINTS))
            order = np.random.default_rng(self._seed).permutation(len(every))
            return [(every[at], "grid") for at in order if same(every[at]) not in there]
        return [(setting, "list") for setting in listed if same(setting) not in there]

    # Proposing --------------------------------------------------------------------------------------------------------

    def propose(self, first: int, count: int) -> list[Proposal]:
        """At most `count` settings for the trials from number `first` on, none of which was there; none at the end."""
        found = []
        with quietly():
            if self._kind not in REMEMBERING or not self._seen:
                seed = self._seed if self._kind in REMEMBERING else seed_of(self._seed, first)
                self._study.sampler = sampler_for(self._kind, self._space, seed)
            leader: Setting = {}
            each = max(_ALIKE, count // 2)
            for place in range(count):
                alike = leader if place % each and self._own and self._kind in ("tpe", "random") else {}
                proposal = self._next(first + place, alike)
                if proposal is None:
                    break
                leader = proposal[0] if place % each == 0 or proposal[1] != self._kind else leader
                found.append(proposal)
        return found

    def _next(self, number: int, alike: Mapping[str, Value]) -> Proposal | None:
        if number < len(self._fixed):
            setting, origin = self._fixed[number]
            self._take(number, self._asked(setting), setting)
            return setting, origin
        if self._kind in LISTED:
            return None
        shape = {key: value for key, value in alike.items() if key not in self._own}
        for turn in range(_TRIES):
            asking = self._asked(shape) if shape and turn < _TRIES // 2 else self._study.ask()
            setting = self._drawn(asking)
            if same(setting) not in self._seen and not self._space.refusal(setting):
                self._take(number, asking, setting)
                return setting, self._kind
            self._study.tell(asking, state=self._states.FAIL)
        return self._even(number)

    def _even(self, number: int) -> Proposal | None:
        """A setting drawn evenly from the space, where the sampler found none that is new and can be."""
        if self._space.is_finite and self._space.points <= len(self._seen):
            return None
        rng = np.random.default_rng(seed_of(self._seed, number))
        for _ in range(_DRAWS):
            setting: Setting = {}
            for parameter in self._space.parameters:
                if self._space.means(parameter, setting):
                    setting[parameter.key] = _evenly(parameter, rng)
            if same(setting) not in self._seen and not self._space.refusal(setting):
                self._take(number, self._asked(setting), setting)
                return setting, "random"
        return None

    def _asked(self, setting: Mapping[str, Value]) -> Asking:
        """An Optuna trial in which the values of a setting, of all parameters or of some, are what will be drawn."""
        fixed = {
            each.name: as_drawn(each, setting[each.key], self._kind)
            for each in self._space.parameters if each.key in setting and _can_be(each, setting[each.key])
        }  # fmt: skip
        self._study.enqueue_trial(fixed)
        asking: Asking = self._study.ask()
        return asking

    def _drawn(self, asking: Asking) -> Setting:
        """The setting that an Optuna trial stands for."""
        setting: Setting = {}
        for parameter in self._space.parameters:
            if self._space.means(parameter, setting):
                value = self._suggested(asking, parameter.name)
                setting[parameter.key] = drawn(parameter, value, self._kind)
        return setting

    def _suggested(self, asking: Asking, name: str) -> Value:
        found = self._distributions[name]
        made = require("optuna.distributions", "Searching settings")
        if isinstance(found, made.CategoricalDistribution):
            value: Value = asking.suggest_categorical(name, found.choices)
        elif isinstance(found, made.IntDistribution):
            value = asking.suggest_int(name, found.low, found.high, log=found.log)
        else:
            value = asking.suggest_float(name, found.low, found.high, log=found.log)
        return value

    def _take(self, number: int, asking: Asking, setting: Setting) -> None:
        self._drawn(asking)  # what is fixed counts as drawn only when it was asked for
        self._open[number] = asking
        self._seen.add(same(setting))

    # Learning ---------------------------------------------------------------------------------------------------------

    def prune(self, number: int, step: int, value: float) -> bool:
        """Whether the trial shall end, with this value at this step; see `trial.Prune`."""
        self._curves.setdefault(number, {})[step] = value
        with quietly():
            self._open[number].report(value, step)
            return bool(self._open[number].should_prune())

    def curve(self, number: int) -> tuple[dict[int, float], dict[str, float]]:
        """What was reported of an open trial by step, and what the pruner noted."""
        if number not in self._curves:
            return {}, {}
        attributes = self._study.get_trials(deepcopy=False)[self._open[number].number].system_attrs
        rungs = {name: float(value) for name, value in attributes.items() if name.startswith(_RUNGS)}
        return dict(self._curves[number]), rungs

    def place(self, number: int) -> int:
        """The place of an open trial in the memory, by which some pruners tell trials apart."""
        return int(self._open[number].number)

    def learn(self, done: Sequence[Tried]) -> None:
        """Be told the outcomes of a round, in the order of the trials' numbers."""
        with quietly():
            for tried in sorted(done, key=lambda each: each.number):
                asking = self._open.pop(tried.number)
                outcome = tried.outcome
                if outcome is not None and outcome.state == "complete":
                    self._study.tell(asking, outcome.values(self._goals))
                elif outcome is not None and outcome.state == "pruned":
                    self._study.tell(asking, state=self._states.PRUNED)
                else:
                    self._study.tell(asking, state=self._states.FAIL)

    # Going on ---------------------------------------------------------------------------------------------------------

    def remember(self, rounds: Sequence[Sequence[Tried]]) -> None:
        """Take in the rounds of a study that goes on; trials of the last one that are open stay open.

        Raises:
            BundleError: the sampler does not propose what the study's store has.
        """
        for trials in rounds:
            if self._kind in REMEMBERING:
                self._again(trials)
            elif all(each.outcome is not None for each in trials):
                self._add(trials)
                continue
            else:
                with quietly():
                    for each in trials:
                        self._fill(each.place)
                        setting = dict(each.trial.options)
                        self._take(each.number, self._asked(setting), setting)
            for each in trials:
                for step, value in each.curve.items():
                    self.prune(each.number, step, value)
            if all(each.outcome is not None for each in trials):
                self.learn(trials)

    def _again(self, trials: Sequence[Tried]) -> None:
        found = self.propose(trials[0].number, len(trials))
        if [same(setting) for setting, _ in found] != [same(each.trial.options) for each in trials]:
            raise BundleError("a study must go on with the sampler it began with",
                              f"for trial {trials[0].number} it proposes other settings now",
                              "Go on with the versions the study was begun with.")  # fmt: skip

    def _fill(self, place: int) -> None:
        """Stand in for proposals that were refused, so that the next trial has the place it had."""
        optuna = require("optuna", "Searching settings")
        if place == self._next_place:  # the rule; to count the trials of a large study each time would take its square
            return
        for _ in range(len(self._study.get_trials(deepcopy=False)), place):
            self._study.add_trial(optuna.trial.create_trial(state=self._states.FAIL))

    def _add(self, trials: Sequence[Tried]) -> None:
        """Finished trials as the memory would have them, had it seen them itself."""
        optuna = require("optuna", "Searching settings")
        by_name = {parameter.name: parameter for parameter in self._space.parameters}
        for each in trials:
            outcome, setting = each.outcome, dict(each.trial.options)
            assert outcome is not None
            state = {"complete": self._states.COMPLETE, "pruned": self._states.PRUNED}.get(
                outcome.state, self._states.FAIL
            )
            last = each.curve[max(each.curve)] if each.curve else None
            values = outcome.values(self._goals) if state == self._states.COMPLETE else None
            if state == self._states.PRUNED and last is not None:
                values = [last]
            named = self._space.by_name(setting)
            self._seen.add(same(setting))
            self._fill(each.place)
            self._study.add_trial(
                optuna.trial.create_trial(
                    state=state,
                    values=values,
                    params={name: as_drawn(by_name[name], named[name], self._kind) for name in named},
                    distributions={name: self._distributions[name] for name in named},
                    intermediate_values=dict(each.curve),
                    system_attrs=dict(each.rungs),
                )
            )
            self._next_place = each.place + 1


def _can_be(parameter: Parameter, value: Value) -> bool:
    if parameter.choices:
        return value in parameter.choices
    return not isinstance(value, str) and (parameter.low or 0.0) <= value <= (parameter.high or 0.0)


def _evenly(parameter: Parameter, rng: np.random.Generator) -> Value:
    """A value drawn evenly on the parameter's scale."""
    if parameter.choices:
        return parameter.choices[int(rng.integers(len(parameter.choices)))]
    assert parameter.low is not None
    assert parameter.high is not None
    share = float(rng.random())
    if parameter.scale == "log":
        return parameter.inside(parameter.low * (parameter.high / parameter.low) ** share)
    return parameter.inside(parameter.low + share * (parameter.high - parameter.low))
