"""A small study whose objective is a formula; run as a program it is what tests kill."""

import math
import os
import signal
import sys
from pathlib import Path

from assay.evaluate.metrics import Metric
from assay.locking import locked
from assay.search.study.executors import LocalExecutor, PoolExecutor
from assay.search.study.proposer import Proposer
from assay.search.study.space import Parameter, Space
from assay.search.study.starts import first_settings
from assay.search.study.store import Store, open_storage
from assay.search.study.study import Limits, Study
from assay.search.study.trial import Outcome
from assay.train.budget import Budget
from assay.train.watch import Unwatched

OWN = {"mlp": {"train.lr": 0.002, "model.width": 128}, "tabm": {"train.lr": 0.01, "model.width": 256}}
SPACE = Space(
    parameters=(
        Parameter(name="model.name", key="model.name", choices=("mlp", "tabm"), usual={"mlp": "mlp", "tabm": "tabm"}),
        Parameter(name="train.lr", key="train.lr", low=1e-4, high=1e-1, scale="log",
                  usual={name: own["train.lr"] for name, own in OWN.items()}),
        Parameter(name="model.width", key="model.width", choices=(32, 64, 128, 256, 512), ordered=True,
                  usual={name: own["model.width"] for name, own in OWN.items()}),
        Parameter(name="model.heads", key="model.heads", choices=(4, 8, 16), ordered=True,
                  conditions=("model.name in ['tabm']",), usual={"tabm": 8}),
    ),
    constraints=("model.width <= 256 or train.lr < 0.01",),
    families=("mlp", "tabm"),
    known={name: {"model.name": name, **own} for name, own in OWN.items()},
)  # fmt: skip
PLAIN = Space(
    parameters=(
        Parameter(name="train.lr", key="train.lr", low=1e-4, high=1e-1, scale="log", usual={"mlp": 0.002}),
        Parameter(name="model.dropout", key="model.dropout", low=0.0, high=0.5, usual={"mlp": 0.1}),
    ),
    families=("mlp",),
    known={"mlp": {}},
)


class Formula:
    """Least at a rate of 0.02, a width of 256 and no dropout; groups of equal width; reports epochs where pruned."""

    metric = Metric("log_loss", "Log loss", False)
    folds = 1

    def __init__(self, width=4, *, after=None, fails=lambda trial: False, value=None, epochs=1):
        self.width, self._after, self._fails, self._value, self._epochs = width, after, fails, value, epochs
        self.judged = []

    def groups(self, trials):
        found = {}
        for trial in trials:
            found.setdefault(trial.options.get("model.width"), []).append(trial)
        return list(found.values())

    def cost(self, group):
        return float(group[0].options.get("model.width", 256))

    def judge(self, group, prune, budget, watch):
        found = []
        for trial in group:
            self.judged.append(trial.number)
            if self._after is not None:
                self._after(len(self.judged))
            found.append(self._outcome(trial, prune))
        return found

    def _outcome(self, trial, prune):
        if self._fails(trial):
            return Outcome(trial.number, "failed", reason="the loss was not finite")
        value = formula(trial) if self._value is None else self._value(trial)
        for epoch in range(1, self._epochs + 1):
            if prune is not None and prune(trial.number, epoch, value + 1.0 / epoch):
                return Outcome(trial.number, "pruned", value, epochs=epoch, reason=f"behind at {epoch}")
        latency = float(trial.options.get("model.width", 256))
        return Outcome(trial.number, "complete", value, (value,), self._epochs, 0.001, 10, latency=latency)


def formula(trial):
    options = trial.options
    rate = math.log10(options["train.lr"] / 0.02)
    width = math.log2(options.get("model.width", 256) / 256)
    noise = (trial.seed % 1000) * 1e-6  # a study that derives seeds otherwise would not go on alike
    return rate**2 + 0.3 * width**2 + options.get("model.dropout", 0.0) + noise


def study(directory, objective, *, kind="tpe", space=SPACE, seed=3, pruning="none", listed=(), url=None, own=(),
          goals=("score",), name="formula"):  # fmt: skip
    starts = [] if kind == "list" else first_settings(space)
    proposer = Proposer(
        space, kind, seed=seed, higher=False, starts=starts, listed=listed, pruning=pruning, epochs=9, own=own,
        goals=goals,
    )  # fmt: skip
    storage = open_storage(url, directory, mend=True)
    store = Store(storage, name, space, higher=False, identity="one", begins=True, goals=goals)
    executor = LocalExecutor(objective)
    return Study(objective, proposer, store, executor, seed=seed, prunes=pruning != "none", goals=goals)


def tried(made):
    """All that must be the same, however often the study was killed."""
    return [
        (each.number, each.round, each.origin, dict(each.trial.options), each.trial.seed, each.outcome.state,
         each.outcome.value, dict(each.curve))
        for _, each in sorted(made.tried.items())
    ]  # fmt: skip


def pooled(directory):
    """Run the study in two processes beside this one."""
    objective = Formula()
    with PoolExecutor(Formula, 2, 2) as pool:
        starts = first_settings(SPACE)
        proposer = Proposer(SPACE, "tpe", seed=3, higher=False, starts=starts)
        storage = open_storage(None, Path(directory), mend=True)
        store = Store(storage, "formula", SPACE, higher=False, identity="one", begins=True)
        made = Study(objective, proposer, store, pool, seed=3, prunes=False)
        made.run(Limits(16, Budget(None)), Unwatched())


def main(directory, kind, space, pruning, trials, kill, **where):
    def after(judged):
        if judged == kill:
            os.kill(os.getpid(), signal.SIGKILL)

    with locked(Path(directory)):
        objective = Formula(after=after, epochs=9 if pruning != "none" else 1)
        made = study(Path(directory), objective, kind=kind, space=space, pruning=pruning, **where)
        made.run(Limits(trials, Budget(None)), Unwatched())


if __name__ == "__main__" and len(sys.argv) == 2:
    pooled(sys.argv[1])
elif __name__ == "__main__":
    folder, of, which, by, count, last, *at = sys.argv[1:]
    where = dict(zip(("url", "name"), at, strict=False))
    main(folder, of, SPACE if which == "conditional" else PLAIN, by, int(count), int(last), **where)
