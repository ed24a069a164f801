"""What a study has tried, kept in an Optuna storage: a journal beside the study, or a database by its URL.

A round of trials is written before any of it is judged, and the outcomes of a group that was judged at once in one
line: a process that is killed leaves each group whole or open. What was open is told as failed when the study goes on,
and written again under the same number, with the same setting and seed.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from assay._imports import require
from assay.errors import BundleError, ConfigError
from assay.records import Record
from assay.search.study.samplers import quietly
from assay.search.study.space import Parameter, Setting, Space
from assay.search.study.trial import Goal, Outcome, Trial

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution
    from optuna.storages import BaseStorage

JOURNAL = "journal.log"
_TRIAL, _OUTCOMES, _STUDY = "assay", "assay:outcomes", "assay:study"
_PURPOSE = "Keeping a study"


class _Asked(Record):
    """A trial as the storage keeps it; `lead` is the number of the first trial of its group."""

    number: int
    seed: int
    round: int
    of: int
    lead: int
    place: int
    origin: str
    options: Setting


class _Answer(Record):
    """An outcome as the storage keeps it."""

    number: int
    state: str
    value: float | None
    folds: tuple[float | None, ...]
    epochs: int
    seconds: float
    parameters: int
    reason: str
    curve: dict[int, float]
    rungs: dict[str, float]
    clock: float
    latency: float | None = None
    gap: float | None = None


@dataclass(frozen=True)
class Tried:
    """A trial of a study and what came of it, None while it is open.

    round: trials with the same one were proposed at once, `of` so many. lead: the first of those judged with it.
    place: where the proposer's memory has it.
    curve: what a pruner was told, by step. rungs: what the pruner remembers. clock: seconds of the study at its end.
    """

    trial: Trial
    round: int
    of: int
    lead: int
    place: int
    origin: str
    outcome: Outcome | None = None
    curve: Mapping[int, float] = field(default_factory=dict)
    rungs: Mapping[str, float] = field(default_factory=dict)
    clock: float = 0.0

    @property
    def number(self) -> int:
        """The number of the trial."""
        return self.trial.number

    @property
    def value(self) -> float | None:
        """Of a completed trial, the value."""
        return self.outcome.value if self.outcome is not None and self.outcome.state == "complete" else None


class Store:
    """The trials of one study, in an Optuna storage that one process at a time writes to."""

    def __init__(
        self, storage: BaseStorage, name: str, space: Space, *, higher: bool, identity: str, begins: bool = False,
        goals: Sequence[Goal] = ("score",),
    ) -> None:  # fmt: skip
        """Open the study `name` of these goals; begin it where there is none and it `begins`.

        Raises:
            BundleError: the storage has no study of this name, or one that is of something else.
        """
        optuna = require("optuna", _PURPOSE)
        self._storage, self._space, self._states, self._goals = storage, space, optuna.trial.TrialState, goals
        up, down = optuna.study.StudyDirection.MAXIMIZE, optuna.study.StudyDirection.MINIMIZE
        try:
            self._study = storage.get_study_id_from_name(name)
        except KeyError:
            if not begins:
                came = f"its storage has none of the name {name!r}"
                raise BundleError("a study must be in its storage", came, "Was the storage moved or emptied?") from None
            with quietly():
                self._study = storage.create_new_study([up if higher and g == "score" else down for g in goals], name)
            storage.set_study_user_attr(self._study, _STUDY, identity)
        known = storage.get_study_user_attrs(self._study).get(_STUDY)
        if known is None and begins and not storage.get_n_trials(self._study):  # killed before it was written down
            storage.set_study_user_attr(self._study, _STUDY, identity)
        elif known != identity:
            raise BundleError(
                "a study must go on with the data, the space and the version it began with",
                f"the storage has a study {name!r} of others, or of another directory",
                "Give the study another name with --out.",
            )
        self._ids: dict[int, int] = {}

    def load(self) -> list[Tried]:
        """What was tried, by number, without rounds that were not written to their end.

        Raises:
            BundleError: the storage holds what a study of this version does not write.
        """
        latest: dict[int, _Asked] = {}
        answers: dict[int, _Answer] = {}
        try:
            for frozen in self._storage.get_all_trials(self._study, deepcopy=False):
                asked = _Asked.model_validate(frozen.user_attrs.get(_TRIAL))
                latest[asked.number] = asked
                found = [_Answer.model_validate(each) for each in frozen.user_attrs.get(_OUTCOMES, [])]
                answers |= {each.number: each for each in found}
                if frozen.state == self._states.RUNNING:
                    self._ids[asked.number] = frozen._trial_id
        except (ValidationError, TypeError) as error:
            raise _damaged(str(error).splitlines()[0]) from None
        sizes: dict[int, int] = {}
        for asked in latest.values():
            sizes[asked.round] = sizes.get(asked.round, 0) + 1
        whole = [asked for asked in latest.values() if sizes[asked.round] == asked.of]
        return [_tried(asked, answers.get(asked.number)) for asked in sorted(whole, key=lambda each: each.number)]

    def settle(self, tried: Sequence[Tried]) -> None:
        """Tell what a killed process left running: the outcome where its group had one, else that it failed."""
        known = {each.number: each for each in tried if each.outcome is not None}
        for number in list(self._ids):
            self._close(number, known.get(number))

    def add(self, tried: Sequence[Tried]) -> None:
        """Write trials down that are about to be judged."""
        optuna = require("optuna", _PURPOSE)
        for each in tried:
            setting = dict(each.trial.options)
            named = self._space.by_name(setting)
            kept = _Asked(
                number=each.number, seed=each.trial.seed, round=each.round, of=each.of, lead=each.lead,
                place=each.place, origin=each.origin, options=setting,
            )  # fmt: skip
            template = optuna.trial.create_trial(
                state=self._states.RUNNING,
                params=named,
                distributions={p.name: _kept_as(p) for p in self._space.parameters if p.name in named},
                user_attrs={_TRIAL: kept.model_dump(mode="json")},
            )
            self._ids[each.number] = self._storage.create_new_trial(self._study, template_trial=template)

    def finish(self, group: Sequence[Tried]) -> None:
        """Write the outcomes of a group down: first all in one line, then each trial's end."""
        lead = self._ids[group[0].number]
        self._storage.set_trial_user_attr(lead, _OUTCOMES, [_answer(each).model_dump(mode="json") for each in group])
        for each in group[::-1]:
            self._close(each.number, each)

    def let_go(self) -> None:
        """Write no more: what was being written may have broken off, and is mended when the study goes on."""
        self._ids.clear()

    def release(self) -> None:
        """Tell trials that there was no time for as failed; they are tried again when the study goes on."""
        for number in list(self._ids):
            self._close(number, None)

    def _close(self, number: int, tried: Tried | None) -> None:
        outcome = None if tried is None else tried.outcome
        trial = self._ids.pop(number)
        if outcome is not None and outcome.state == "complete" and outcome.value is not None:
            self._storage.set_trial_state_values(trial, self._states.COMPLETE, outcome.values(self._goals))
        elif outcome is not None and outcome.state == "pruned":
            self._storage.set_trial_state_values(trial, self._states.PRUNED, None)
        else:
            self._storage.set_trial_state_values(trial, self._states.FAIL, None)


def open_storage(url: str | None, directory: Path, *, mend: bool) -> BaseStorage:
    """The journal in the study's directory, or the database at `url`.

    Args:
        url: of a database, or None for the journal.
        directory: of the study.
        mend: take away what a killed process left half written; the directory must be locked.

    Raises:
        BundleError: the journal is damaged.
        ConfigError: the URL is of no database that can be used.
        MissingExtraError: Optuna is not installed.
    """
    optuna = require("optuna", _PURPOSE)
    if url is None:
        path = directory / JOURNAL
        if mend:
            _mend(path)
        journal = optuna.storages.journal
        try:
            with quietly():
                found: BaseStorage = optuna.storages.JournalStorage(journal.JournalFileBackend(str(path)))
        except (ValueError, KeyError) as error:  # a line that is no JSON, or of something else
            raise _damaged(f"{path}: {error}") from None
        return found
    check_url(url)
    failures = require("sqlalchemy.exc", _PURPOSE)
    # A connection for each time: between two groups of trials it would lie idle for minutes, and servers end such.
    apart = {"poolclass": require("sqlalchemy.pool", _PURPOSE).NullPool}
    try:
        with quietly():
            database: BaseStorage = optuna.storages.RDBStorage(url, engine_kwargs=apart, heartbeat_interval=None)
    except (failures.SQLAlchemyError, ImportError, ValueError) as error:
        needs = "Install its driver with: pip install 'psycopg[binary]', and write postgresql+psycopg:// in the URL."
        raise ConfigError(
            "the database of a study must be reachable",
            f"{_bare(url)!r} is not: {str(error).splitlines()[0].rstrip('.')}",
            needs if isinstance(error.__cause__ or error, ImportError) else "Check the URL, and that the server runs.",
        ) from None
    return database


def check_free(url: str, name: str) -> None:
    """Refuse a name that a database has a study of: two directories would take up each other's trials.

    Raises:
        ConfigError: it has one, or it is no database that can be reached.
    """
    storage = open_storage(url, Path(), mend=False)
    with reachable(url):
        names = [each.study_name for each in storage.get_all_studies()]
    if name in names:
        raise ConfigError("a study must have a name of its own in its storage", f"{_bare(url)!r} has a study {name!r}",
                          "Go on with it by --resume and its directory, or name another with --out.")  # fmt: skip


@contextmanager
def reachable(url: str | None) -> Iterator[None]:
    """Say in words that a database went away; what was written before is kept there.

    Raises:
        ConfigError: it is so.
    """
    if url is None:
        yield
        return
    lost = require("optuna.exceptions", _PURPOSE).StorageInternalError
    refused = require("sqlalchemy.exc", _PURPOSE).SQLAlchemyError
    try:
        yield
    except (lost, refused) as error:
        why = str(error.__cause__ or error).splitlines()[0]
        raise ConfigError("the database of a study must stay reachable", f"{_bare(url)!r} is not any more: {why}",
                          "Trials that were finished are kept there.") from None  # fmt: skip


def check_url(url: str) -> None:
    """Refuse what is no URL of a database that can keep a study.

    Raises:
        ConfigError: it is none.
    """
    if not url.startswith(("sqlite:///", "postgresql://", "postgresql+psycopg://", "postgresql+psycopg2://")):
        raise ConfigError("a storage must be the URL of an SQLite or PostgreSQL database", f"{_bare(url)!r} was given",
                          "Examples: sqlite:///studies.db, postgresql://user@host/studies.")  # fmt: skip


def _damaged(why: str) -> BundleError:
    return BundleError("the trials of a study must be as a study writes them", f"they are not ({why})",
                       "The storage was changed or comes from another version; begin a new study.")  # fmt: skip


def _bare(url: str) -> str:
    """The URL without its password."""
    scheme, _, rest = url.partition("://")
    user, at, host = rest.rpartition("@")
    return f"{scheme}://{user.partition(':')[0]}{at}{host}"


def _mend(path: Path) -> None:
    """Cut off a line that was not written to its end, and a lock that its process left: nobody else writes here."""
    with suppress(FileNotFoundError):
        path.with_name(f"{path.name}.lock").unlink()
    if not path.is_file():
        return
    with path.open("r+b") as file:
        size = file.seek(0, 2)
        while size:
            start = max(size - 65_536, 0)
            file.seek(start)
            end = file.read(size - start).rfind(b"\n")
            if end >= 0:
                size = start + end + 1
                break
            size = start
        file.truncate(size)


def _kept_as(parameter: Parameter) -> BaseDistribution:
    """The distribution of the values themselves, so that other tools that read the storage show what was tried."""
    made = require("optuna.distributions", _PURPOSE)
    if parameter.choices:
        found: BaseDistribution = made.CategoricalDistribution(parameter.choices)
    elif parameter.whole:
        found = made.IntDistribution(int(parameter.low or 0), int(parameter.high or 0), log=parameter.scale == "log")
    else:
        found = made.FloatDistribution(parameter.low, parameter.high, log=parameter.scale == "log")
    return found


def _tried(asked: _Asked, answer: _Answer | None) -> Tried:
    trial = Trial(asked.number, asked.options, asked.seed)
    tried = Tried(trial, asked.round, asked.of, asked.lead, asked.place, asked.origin)
    if answer is None:
        return tried
    folds = tuple(math.nan if fold is None else fold for fold in answer.folds)
    outcome = Outcome(
        answer.number, _state(answer.state), answer.value, folds, answer.epochs, answer.seconds,
        answer.parameters, answer.reason, answer.latency, answer.gap,
    )  # fmt: skip
    return replace(tried, outcome=outcome, curve=answer.curve, rungs=answer.rungs, clock=answer.clock)


def _state(text: str) -> Any:  # noqa: ANN401  # one of three words
    return text if text in ("complete", "pruned") else "failed"


def _answer(tried: Tried) -> _Answer:
    outcome = tried.outcome
    assert outcome is not None
    value = outcome.value if outcome.value is not None and math.isfinite(outcome.value) else None
    folds = tuple(fold if math.isfinite(fold) else None for fold in outcome.folds)
    return _Answer(
        number=outcome.number, state=outcome.state, value=value, folds=folds, epochs=outcome.epochs,
        seconds=outcome.seconds, parameters=outcome.parameters, reason=outcome.reason, curve=dict(tried.curve),
        rungs=dict(tried.rungs), clock=tried.clock, latency=outcome.latency, gap=outcome.gap,
    )  # fmt: skip
