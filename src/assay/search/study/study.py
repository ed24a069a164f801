"""A study: rounds of settings that are proposed, judged in groups, and learned from, until an end is reached."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from assay.errors import DivergenceError
from assay.search.study.executors import Executor
from assay.search.study.proposer import Proposer, seed_of
from assay.search.study.store import Store, Tried
from assay.search.study.trial import Goal, Objective, Outcome, Trial
from assay.train.budget import Budget
from assay.train.watch import Watch

#: Trials from which a study ends where more than half of them failed.
_ENOUGH = 10
End = Literal["trials", "budget", "exhausted"]
#: Takes the trials so far.
After = Callable[[Sequence[Tried]], None]
#: Why a study ended, in words.
TOLD: dict[End, str] = {
    "trials": "as many trials were made as were asked for",
    "budget": "the time for trials was over",
    "exhausted": "every setting was tried",
}


@dataclass(frozen=True)
class Limits:
    """Where a study ends: after so many trials, if any number was given, or when the budget has no time for more."""

    trials: int | None
    budget: Budget


class Study:
    """The trials so far, and what is needed to go on: proposer, store, objective and where it is judged."""

    def __init__(
        self, objective: Objective, proposer: Proposer, store: Store, executor: Executor, *, seed: int, prunes: bool,
        goals: Sequence[Goal] = ("score",), after: After | None = None,
    ) -> None:  # fmt: skip
        """Take up what the store has; `after` is called when the outcomes of a group are written down."""
        self._objective, self._proposer, self._store, self._executor = objective, proposer, store, executor
        self._seed, self._prunes, self._goals, self._after = seed, prunes, goals, after
        self.tried = {each.number: each for each in store.load()}
        store.settle(list(self.tried.values()))
        proposer.remember(self._rounds())

    def _rounds(self) -> list[list[Tried]]:
        rounds: dict[int, list[Tried]] = {}
        for each in self.tried.values():
            rounds.setdefault(each.round, []).append(each)
        return [rounds[number] for number in sorted(rounds)]

    @property
    def used(self) -> float:
        """Seconds of the study at the end of its last group."""
        return max((each.clock for each in self.tried.values()), default=0.0)

    def best(self) -> Tried | None:
        """The completed trial with the best value, the first of several; None without any."""
        return best_of(self.tried.values(), higher=self._objective.metric.higher_is_better)

    def run(self, limits: Limits, watch: Watch) -> End:
        """Go on until an end is reached.

        Raises:
            DivergenceError: most trials failed.
        """
        open_round = [each for each in self.tried.values() if each.outcome is None]
        if open_round:
            self._store.add(open_round)
        try:
            while True:
                if open_round:
                    last = open_round[0].round
                    if not self._judged(open_round, limits, watch):
                        return "budget"
                    self._proposer.learn([each for each in self.tried.values() if each.round == last])
                    self._check()
                if limits.trials is not None and len(self.tried) >= limits.trials:
                    return "trials"
                if limits.budget.left <= self._next_seconds():
                    return "budget"
                open_round = self._proposed(limits)
                if not open_round:
                    return "exhausted"
                self._store.add(open_round)
        except OSError:
            self._store.let_go()
            raise
        finally:
            self._store.release()

    def _proposed(self, limits: Limits) -> list[Tried]:
        """The next round, in groups."""
        first = len(self.tried)
        count = self._objective.width * self._executor.slots
        count = count if limits.trials is None else min(count, limits.trials - first)
        proposals = self._proposer.propose(first, count)
        trials = [
            Trial(first + at, setting, seed_of(self._seed, first + at)) for at, (setting, _) in enumerate(proposals)
        ]
        leads = {each.number: group[0].number for group in self._objective.groups(trials) for each in group}
        number = max((each.round for each in self.tried.values()), default=-1) + 1
        found = [
            Tried(trial, number, len(trials), leads[trial.number], self._proposer.place(trial.number), origin)
            for trial, (_, origin) in zip(trials, proposals, strict=True)
        ]
        self.tried |= {each.number: each for each in found}
        return found

    def _judged(self, trials: Sequence[Tried], limits: Limits, watch: Watch) -> bool:
        """Whether there was the time to judge all of them."""
        groups: dict[int, list[Tried]] = {}
        for each in trials:
            groups.setdefault(each.lead, []).append(each)
        waiting, running = list(groups.values()), 0
        # Where there is an end, a slow family that comes first may leave no time for the others.
        if not math.isinf(limits.budget.seconds):
            waiting.sort(key=lambda group: self._objective.cost([each.trial for each in group]))
        while waiting or running:
            while waiting and running < self._executor.slots and limits.budget.left > self._next_seconds():
                group = waiting.pop(0)
                self._executor.submit(
                    [each.trial for each in group], self._proposer.prune if self._prunes else None, limits.budget
                )
                running += 1
            if not running:
                return False
            outcomes = {each.number: each for each in self._executor.wait()}
            running -= 1
            done = [self._ended(self.tried[number], outcome, limits) for number, outcome in sorted(outcomes.items())]
            self.tried |= {each.number: each for each in done}
            self._store.finish(sorted(done, key=lambda each: each.number != each.lead))
            if self._after is not None:
                self._after(list(self.tried.values()))
            self._tell(limits, watch)
        return True

    def _ended(self, tried: Tried, outcome: Outcome, limits: Limits) -> Tried:
        """The trial with its outcome; a value that is no number is a failure."""
        if outcome.state == "complete":
            missing = [g for g, v in zip(self._goals, outcome.values(self._goals), strict=True) if not math.isfinite(v)]
            named = self._objective.metric.label if "score" in missing else " and ".join(missing)
            if missing:
                outcome = replace(outcome, state="failed", value=None, reason=f"its {named} is not a number")
        curve, rungs = self._proposer.curve(tried.number)
        return replace(tried, outcome=outcome, curve=curve, rungs=rungs, clock=limits.budget.used)

    def _next_seconds(self) -> float:
        """What a group will take at least, as a guess from those before: the shortest, for the others can be cut."""
        spent: dict[int, float] = {}
        for each in self.tried.values():
            if each.outcome is not None and each.outcome.state == "complete":
                spent[each.lead] = spent.get(each.lead, 0.0) + each.outcome.seconds
        return min(spent.values(), default=0.0)

    def _tell(self, limits: Limits, watch: Watch) -> None:
        done = sum(each.outcome is not None for each in self.tried.values())
        most = limits.trials
        if most is None:
            share = limits.budget.used / limits.budget.seconds
            most = max(done, round(done / share)) if 0.0 < share < math.inf else done
        best = self.best()
        metric = self._objective.metric.label.lower()
        watch.steps(done, most, "trials" if best is None else f"best {metric} {best.value:.4f} of trial {best.number}")

    def _check(self) -> None:
        outcomes = [each.outcome for each in self.tried.values() if each.outcome is not None]
        failed = [each for each in outcomes if each.state == "failed"]
        if len(outcomes) >= _ENOUGH and len(failed) > len(outcomes) / 2:
            reason, times = Counter(each.reason for each in failed).most_common(1)[0]
            raise DivergenceError(
                "most trials of a study must work",
                f"{len(failed)} of {len(outcomes)} failed, {times} of them because: {reason.rstrip('.')}",
                "Narrow the space to what can work, or look at the data with `assay audit`.",
            )


def best_of(tried: Iterable[Tried], *, higher: bool) -> Tried | None:
    """The completed trial with the best value, the first of several; None without any."""
    return next(iter(best_first(tried, higher=higher)), None)


def best_first(tried: Iterable[Tried], *, higher: bool) -> list[Tried]:
    """The completed trials, the best value first; of equal ones the first."""
    sign = -1.0 if higher else 1.0
    valued = [(sign * each.value, each.number, each) for each in tried if each.value is not None]
    return [each for _, _, each in sorted(valued, key=lambda each: each[:2])]
