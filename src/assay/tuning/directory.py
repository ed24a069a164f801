"""A study's directory: what was asked for, what was tried, and what came of it; it is read without torch."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from itertools import count
from pathlib import Path
from typing import Any, Literal

import polars as pl

from assay.errors import BundleError, ConfigError
from assay.evaluate.fair.record import Gap
from assay.evaluate.intervals import quantile
from assay.evaluate.record import Selection
from assay.locking import is_locked, locked
from assay.records import Record
from assay.report.study_page import StudyPage
from assay.request import RequestFile
from assay.runs import Run, open_run
from assay.search.study.answered import whole_file
from assay.search.study.executors import Engine
from assay.search.study.findings import Importance, edges, importances
from assay.search.study.group_gap import in_words as gap_in_words
from assay.search.study.interactions import Interactions, interactions
from assay.search.study.mixture import Mixture
from assay.search.study.pareto import Taken, front_of, take
from assay.search.study.proposer import Proposer
from assay.search.study.pruners import Pruning
from assay.search.study.samplers import Kind
from assay.search.study.space import Setting, Space
from assay.search.study.store import Store, Tried, open_storage
from assay.search.study.study import TOLD, End
from assay.search.study.trial import Goal
from assay.workspace import missing_parents, remove_with_parents

STUDIES = Path("studies")
STUDY, TRIALS, PAGE, ANSWERS, RUN = "study.json", "trials.parquet", "report.html", "answers", "run"
BEST, ENSEMBLE = "best.yaml", "ensemble.yaml"


class Start(Record):
    """A setting to begin with, and where it is from."""

    setting: Setting
    origin: str


class StudyFile(Record):
    """`study.json`: all that another process needs to go on with a study.

    `metric` is an id, `label` its name for people. `listed` are the settings of the list that is gone through. `ended`
    is why the search is over, empty while it is not; `selection` is then the best score without what a choice among so
    many flatters it by. `fits` tells that the best setting is trained into `run`; where there are several `goals` it is
    the trial `picked`, or the knee of the front. `combines` tells that the best settings may be trained as parts of one
    model, and `mixture` what came of that. `engine` is where trials are judged, `address` that of a Ray cluster.
    `token` is drawn for each study, so that no other directory takes up its trials in a database.
    """

    format: int = 1
    name: str
    request: RequestFile
    space: Space
    sampler: Kind
    why: str
    pruning: Pruning
    trials: int | None
    budget: float | None
    folds: int
    metric: str
    label: str
    higher: bool
    jobs: int
    storage: str | None
    starts: tuple[Start, ...]
    listed: tuple[Setting, ...] = ()
    epochs: int
    notes: tuple[str, ...] = ()
    fits: bool = True
    selection: Selection | None = None
    ended: End | Literal[""] = ""
    goals: tuple[Goal, ...] = ("score",)
    picked: int | None = None
    combines: bool = False
    mixture: Mixture | None = None
    gaps: dict[int, Gap] = {}
    engine: Engine = "local"
    address: str | None = None
    token: str = ""

    @property
    def seed(self) -> int:
        """Of the study."""
        return self.request.config.seed

    @property
    def identity(self) -> str:
        """What the storage must have been begun with: data, configuration, space and way of searching."""
        config = self.request.config.model_copy(update={"budget": None})
        parts = [*self.request.identity(config).values(), self.space.to_json(), self.sampler, self.pruning]
        parts += [self.metric, str(self.folds), *self.request.versions.values(), *self.goals[1:]]
        parts += [self.token] if self.token else []
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()

    def proposer(self, own: Sequence[str] = ()) -> Proposer:
        """What proposes its settings, before it was told anything; `own` as in `Proposer`."""
        return Proposer(
            self.space, self.sampler, seed=self.seed, higher=self.higher,
            starts=[(start.setting, start.origin) for start in self.starts], listed=self.listed, pruning=self.pruning,
            epochs=self.epochs, own=own, goals=self.goals,
        )  # fmt: skip

    def store(self, directory: Path, *, begins: bool = False, mend: bool = False) -> Store:
        """Its trials in their storage; see `Store` and `open_storage`."""
        storage = open_storage(self.storage, directory, mend=mend)
        return Store(
            storage, self.name, self.space, higher=self.higher, identity=self.identity, begins=begins, goals=self.goals
        )


@dataclass(frozen=True)
class Tuned:
    """A study: its trials, the best of them, and the run that the best setting was trained into."""

    directory: Path
    file: StudyFile
    tried: tuple[Tried, ...]

    @property
    def best(self) -> Tried | None:
        """The completed trial that is taken: the best value, or of several goals the knee; None without any."""
        return None if self.taken is None else self.taken.tried

    @cached_property
    def taken(self) -> Taken | None:
        """The trial that is trained at the end, and why it; None without any."""
        file = self.file
        return take(
            self.tried, file.goals, file.label, higher=file.higher, default=self.default, pick=file.picked,
            error=self._error,
        )  # fmt: skip

    @property
    def _error(self) -> float:
        """The standard error of the best score, by the interval of what is left of it without the choice; 0 before."""
        found = self.file.selection
        if found is None or found.corrected.low is None or found.corrected.high is None:
            return 0.0
        return (found.corrected.high - found.corrected.low) / (
            2.0 * quantile(self.file.request.config.evaluate.confidence)
        )

    @cached_property
    def front(self) -> tuple[Tried, ...]:
        """The completed trials that no other equals in all goals, the best score first; of one goal the best."""
        return tuple(front_of(self.tried, self.file.goals, higher=self.file.higher))

    @property
    def default(self) -> Tried | None:
        """The first trial, which is what the first family does by itself, where it completed."""
        first = self.tried[0] if self.tried else None
        return first if first is not None and first.value is not None and first.origin.startswith("default") else None

    @property
    def options(self) -> dict[str, Any]:
        """The options of the best trial by their names; empty without any."""
        return {} if self.best is None else dict(self.best.trial.options)

    @property
    def trials(self) -> pl.DataFrame:
        """A row for each trial that is over, by number: state, value, cost, options, folds, and why it ended early."""
        several = len(self.file.goals) > 1
        return trials_table(self.tried, self.file.space, [each.number for each in self.front] if several else None)

    @property
    def run(self) -> Run | None:
        """The run of the best setting; None where it was not trained yet."""
        path = self.directory / RUN
        return open_run(path) if (path / "model").is_dir() else None

    @cached_property
    def importances(self) -> tuple[Importance, ...]:
        """How much each parameter mattered: an indication, by PED-ANOVA."""
        alone = {"sampler": "random", "listed": (), "goals": ("score",)}
        proposer = self.file.model_copy(update=alone).proposer()
        over = [each for each in self.tried if each.outcome is not None]
        proposer.remember([over])
        return importances(proposer.study, self.file.space, over)

    @cached_property
    def interactions(self) -> Interactions | None:
        """How pairs of parameters act together: an indication, by a forest; None for few trials.

        Raises:
            MissingExtraError: scikit-learn is not installed.
        """
        return interactions(self.file.space, self.tried, higher=self.file.higher, seed=self.file.seed)

    @property
    def edges(self) -> tuple[str, ...]:
        """Notes on values of the best trial that lie on the edge of their ranges."""
        return () if self.best is None else edges(self.file.space, dict(self.best.trial.options))

    @property
    def gap(self) -> str:
        """The gap between groups of the trial that is taken, in words; empty where that is no goal or not known."""
        gaps = self.file.gaps
        if self.best is None or self.best.number not in gaps:
            return ""
        return gap_in_words(gaps[self.best.number], None if self.default is None else gaps.get(self.default.number))

    @property
    def page(self) -> StudyPage:
        """What `report.html` is drawn from."""
        file, table = self.file, self.file.request.config.table
        return StudyPage(
            data=Path(table.data).name if table.data else "the table", target=table.target or "the target",
            space=file.space, label=file.label, higher=file.higher, folds=file.folds, sampler=file.sampler,
            why=file.why, pruning=file.pruning, ended=TOLD[file.ended] if file.ended else "", tried=self.tried,
            importances=self.importances, edges=self.edges,
            selection=file.selection, goals=file.goals, front=self.front, taken=self.taken, mixture=file.mixture,
            interactions=self.interactions, gap=self.gap,
        )  # fmt: skip

    @property
    def states(self) -> dict[str, int]:
        """How many trials completed, were pruned, and failed."""
        states = [each.outcome.state for each in self.tried if each.outcome is not None]
        return {state: states.count(state) for state in ("complete", "pruned", "failed")}


def open_study(path: str | os.PathLike[str]) -> Tuned:
    """The study in a directory, finished or not, even while it runs.

    Raises:
        BundleError: there is none, or it is damaged.
        MissingExtraError: Optuna is not installed.
    """
    directory = Path(path)
    file = read_study(directory)
    tried = file.store(directory).load()
    return Tuned(directory, file, tuple(tried))


def is_study(path: Path) -> bool:
    """Whether a directory is that of a study."""
    return (path / STUDY).is_file()


def read_study(directory: Path) -> StudyFile:
    """What the study in a directory was asked for.

    Raises:
        BundleError: there is none.
    """
    if not is_study(directory):
        came = "it has no study.json" if directory.is_dir() else "there is no such directory"
        raise BundleError(f"{str(directory)!r} must be the directory of a study", came, "Check the path.")
    return StudyFile.read(directory / STUDY)


@contextmanager
def begun(out: Path | None, name: str) -> Iterator[tuple[Path, list[str]]]:
    """The locked directory of a new study, `studies/<name>-<n>` by default, and notes; left empty it is removed.

    Raises:
        ConfigError: it is there already, or cannot be made.
    """
    if out is None:
        number = next(n for n in count(1) if not (STUDIES / f"{name}-{n}").exists())
        out = STUDIES / f"{name}-{number}"
    elif out.exists():
        do = (
            f"Go on with `assay tune --resume {out}`, or name another." if is_study(out) else "Name another with --out."
        )
        raise ConfigError("the directory of a study must not exist yet", f"{str(out)!r} is already there", do)
    made = missing_parents(out)
    try:
        with locked(out) as notes:
            yield out, notes
    finally:
        if out.is_dir() and not is_study(out):
            remove_with_parents(out, made)


@contextmanager
def taken_up(directory: Path) -> Iterator[tuple[StudyFile, list[str]]]:
    """The locked directory of a study to go on with, and notes.

    Raises:
        BundleError: there is none.
        ConfigError: another process is at it.
    """
    read_study(directory)
    if is_locked(directory):
        raise ConfigError("one process at a time must go on with a study", f"one is at {str(directory)!r} just now",
                          "Wait for its end; `assay show` tells how far it is.")  # fmt: skip
    with locked(directory) as notes:
        yield read_study(directory), notes


def write_whole(directory: Path, name: str, content: str | bytes) -> None:
    """Write a file whole and through to the disk, or leave it as it was.

    Raises:
        OSError: there is no room on the disk.
    """
    with whole_file(directory / name) as stream:
        stream.write(content.encode() if isinstance(content, str) else content)


def trials_table(tried: Sequence[Tried], space: Space, front: Collection[int] | None = None) -> pl.DataFrame:
    """A row for each trial that is over; of several goals also what it costs, and whether it is on the front."""
    over = [each for each in tried if each.outcome is not None]
    folds = max((len(each.outcome.folds) for each in over if each.outcome), default=0)
    kinds = {key: _column([each.trial.options.get(key) for each in over]) for key in space.keys}
    columns: dict[str, list[Any]] = {
        "number": [each.number for each in over],
        "state": [each.outcome.state for each in over if each.outcome],
        "value": [each.outcome.value for each in over if each.outcome],
        "epochs": [each.outcome.epochs for each in over if each.outcome],
        "seconds": [each.outcome.seconds for each in over if each.outcome],
        "parameters": [each.outcome.parameters for each in over if each.outcome],
        "origin": [each.origin for each in over],
    }
    if front is not None:
        columns["latency"] = [each.outcome.latency for each in over if each.outcome]
        columns["gap"] = [each.outcome.gap for each in over if each.outcome]
        columns["front"] = [each.number in front for each in over]
    columns |= kinds
    for fold in range(folds):
        columns[f"fold {fold + 1}"] = [_fold(each.outcome.folds, fold) for each in over if each.outcome]
    columns["reason"] = [each.outcome.reason for each in over if each.outcome]
    return pl.DataFrame(columns, infer_schema_length=None)


def _column(values: Sequence[Any]) -> list[Any]:
    """Values of one type: words where there are any, else numbers."""
    if any(isinstance(value, str) for value in values):
        return [None if value is None else str(value) for value in values]
    return [float(value) if isinstance(value, float) else value for value in values]


def _fold(folds: Sequence[float], at: int) -> float | None:
    return folds[at] if at < len(folds) else None
