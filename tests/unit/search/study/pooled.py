"""Studies of the formula of `studies.py` in two worker processes; run as a program, so that workers can import it."""

import os
import sys
import time
from functools import partial
from pathlib import Path

import studies

from assay.errors import AssayError, DataError
from assay.search.study.executors import PoolExecutor
from assay.search.study.proposer import Proposer
from assay.search.study.starts import first_settings
from assay.search.study.store import Store, open_storage
from assay.search.study.study import Limits, Study
from assay.search.study.trial import Trial
from assay.train.budget import Budget
from assay.train.watch import Unwatched


class Noting(studies.Formula):
    """Leaves the number of its process in a folder."""

    def __init__(self, folder, **options):
        super().__init__(**options)
        self._folder = folder

    def judge(self, group, prune, budget, watch):
        (self._folder / f"worker-{os.getpid()}").touch()
        time.sleep(0.05)  # so that both have something to do
        return super().judge(group, prune, budget, watch)


class Dying(studies.Formula):
    """Kills its process at the trial of number 5, and does not come to the other of its group either."""

    def judge(self, group, prune, budget, watch):
        if any(trial.number == 5 for trial in group):
            os.kill(os.getpid(), 9)
        return super().judge(group, prune, budget, watch)

    def groups(self, trials):
        return [trials[at : at + 2] for at in range(0, len(trials), 2)]


class Waiting(studies.Formula):
    """Never comes to an end."""

    def judge(self, group, prune, budget, watch):
        time.sleep(600)
        return []


def refusing():
    raise DataError("the table must be there", "it is gone", "Bring it back.")


def bursting():
    os._exit(3)


def searched(folder, maker, objective, trials, pruning="none"):
    starts = first_settings(studies.SPACE)
    proposer = Proposer(studies.SPACE, "tpe", seed=3, higher=False, starts=starts, pruning=pruning, epochs=16)
    store = Store(open_storage(None, folder, mend=True), "formula", studies.SPACE, higher=False, identity="one",
                  begins=True)  # fmt: skip
    with PoolExecutor(maker, 2, 2) as pool:
        made = Study(objective, proposer, store, pool, seed=3, prunes=pruning != "none")
        made.run(Limits(trials, Budget(None)), Unwatched())
    return made, store


def states(made):
    found = [each.outcome.state for each in made.tried.values()]
    return {state: found.count(state) for state in ("complete", "pruned", "failed")}


def main(what, folder):
    if what == "prune":
        options = {"epochs": 16}
        made, store = searched(folder, partial(Noting, folder, **options), studies.Formula(8), 24, "asha")
        tell({**states(made), "trials": len(made.tried), "processes": len([*folder.glob("worker-*")])})
        again = {each.number: each for each in store.load()}
        ended = [each for each in again.values() if each.outcome.state == "pruned"]
        told = all(each.outcome.reason == f"behind at {each.outcome.epochs}" for each in ended)
        curves = all(max(each.curve) == each.outcome.epochs for each in again.values())
        tell({"kept": told and again == made.tried, "curves": curves})
    elif what == "die":
        made, _ = searched(folder, Dying, Dying(), 16)
        reasons = {each.outcome.reason for each in made.tried.values() if each.outcome.state == "failed"}
        tell({**states(made), "reason": " and ".join(reasons)})
    elif what in ("refuse", "burst"):
        try:
            searched(folder, refusing if what == "refuse" else bursting, studies.Formula(8), 4)
        except AssayError as error:
            print(error)
    else:
        pool = PoolExecutor(Waiting, 2, 2)
        for number in range(2):
            pool.submit([Trial(number, {}, number)], None, Budget(None))
        for worker in pool._busy:
            worker.line.recv()  # it is open
        print(*(worker.process.pid for worker in pool._busy), flush=True)
        pool.wait()


def tell(said):
    for name, value in said.items():
        print(name, value)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
