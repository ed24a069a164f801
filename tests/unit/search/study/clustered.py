"""The study of `studies.py` on a Ray cluster and in this process, to be compared; run as a program."""

import sys
from functools import partial
from pathlib import Path

import numpy as np
import studies

from assay.search.study.answered import keep_answers, read_answer
from assay.search.study.proposer import Proposer
from assay.search.study.ray_executor import RayExecutor
from assay.search.study.starts import first_settings
from assay.search.study.store import Store, open_storage
from assay.search.study.study import Limits, Study
from assay.train.budget import Budget
from assay.train.watch import Unwatched


class Answering(studies.Formula):
    """Also keeps what its trials answer: their number, twice."""

    def __init__(self, answers, width=4, epochs=1):
        super().__init__(width, epochs=epochs)
        self._answers = answers

    def judge(self, group, prune, budget, watch):
        for trial in group:
            keep_answers(self._answers, trial.number, np.full(2, float(trial.number)))
        return super().judge(group, prune, budget, watch)


def clustered(directory, address, *, jobs=2, pruning="none", epochs=1, width=4):
    (directory / "answers").mkdir(parents=True)
    with RayExecutor(partial(Answering, epochs=epochs), address, jobs, directory / "answers") as executor:
        proposer = Proposer(
            studies.SPACE, "tpe", seed=3, higher=False, starts=first_settings(studies.SPACE), pruning=pruning, epochs=9
        )
        storage = open_storage(None, directory, mend=True)
        store = Store(storage, "formula", studies.SPACE, higher=False, identity="one", begins=True)
        own = Answering(directory / "own", width)
        made = Study(own, proposer, store, executor, seed=3, prunes=pruning != "none")
        made.run(Limits(16, Budget(None)), Unwatched())
    return made


def pruned_alike(folder, address):
    """Whether a pruner that is asked over the cluster ends the trials that it ends in this process.

    One worker, for which of several gets to a step first is a matter of time.
    """
    made = clustered(folder / "pruned", address, jobs=1, pruning="asha", epochs=9, width=8)
    (folder / "here").mkdir()
    alone = studies.study(folder / "here", studies.Formula(8, epochs=9), pruning="asha")
    alone.run(Limits(16, Budget(None)), Unwatched())
    states = [each[5] for each in studies.tried(made)]
    return studies.tried(made) == studies.tried(alone) and {"pruned", "complete"} == set(states)


def main(address, folder):
    made = clustered(folder / "ray", address)
    (folder / "alone").mkdir()
    alone = studies.study(folder / "alone", studies.Formula(8))
    alone.run(Limits(16, Budget(None)), Unwatched())
    answers = [read_answer(folder / "ray" / "answers", number).tolist() for number in range(16)]
    alike = studies.tried(made) == studies.tried(alone) and answers == [[float(n)] * 2 for n in range(16)]
    alike = alike and pruned_alike(folder, address)
    print("the same" if alike else f"{studies.tried(made)}\n{studies.tried(alone)}")


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
