"""The networks of an ablation, fold by fold: settings of one shape are members of one network, and pairs share a seed.

What is done is kept at once, each setting of each fold in a file of its own, so that an ablation that was ended can go
on.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from time import process_time

import numpy as np
from numpy.typing import NDArray

from assay.data.config import EncodeConfig, SplitConfig
from assay.data.encoding.encode import Encoder
from assay.data.rows import Rows
from assay.data.schema import Schema
from assay.data.split.folds import Folds, backtest, deal_folds
from assay.evaluate.forecast.judged import origins_of
from assay.evaluate.kept import read_arrays, write_arrays
from assay.search.ablation.design import Design
from assay.search.study.answered import read_answer
from assay.search.study.objective import LAST, TableObjective
from assay.search.study.trial import Outcome, Trial, Value
from assay.train.budget import Budget
from assay.train.watch import Watch

Floats = NDArray[np.float64]
#: Training rows and an encoding, to what encodes them.
Fit = Callable[[Rows, EncodeConfig], Encoder]
#: A setting of the folder of a fold: the encoding and the options.
Setting = tuple[EncodeConfig, str]


@dataclass(frozen=True)
class Piece:
    """One network: its answers to the rows of its fold at its best epoch and at its last, or why there are none.

    seconds: of processor time, which other work on the machine does not change. alone: whether it was trained by
        itself, so that its seconds can be compared with those of others that were.
    """

    answers: Floats | None
    last: Floats | None
    passes: int
    seconds: float
    alone: bool
    failed: str = ""


@dataclass
class Fold:
    """A fold of one seed: the rows that judge, and the networks that were trained by the others.

    block: its place where all seeds judge the same rows. steps, names: of windows of forecasts, the origins, (n,), and
    their series; None of rows that are none.
    """

    truth: NDArray[np.generic]
    weight: Floats | None
    learned: int
    pieces: dict[Setting, Piece] = field(default_factory=dict)
    block: int | None = None
    steps: NDArray[np.int64] | None = None
    names: tuple[str, ...] = ()


@dataclass(frozen=True)
class Dealt:
    """The fold at `place` of the dealing `repeat`, from 0 both: `learned` rows train, the rows of `judge` judge."""

    repeat: int
    place: int
    learned: Rows
    judge: Rows


def setting(encode: EncodeConfig, options: Mapping[str, Value]) -> Setting:
    """The key of a setting within its fold."""
    return encode, json.dumps(dict(options), sort_keys=True)


class Trials:
    """Trains the settings of a design on the folds of each seed, as far as the time allows.

    ended: whether the time was over before everything was trained.
    """

    def __init__(
        self,
        design: Design,
        rows: Rows,
        schema: Schema,
        dealing: SplitConfig,
        fit: Fit,
        metric: str,
        *,
        seed: int,
        folder: Path,
        identity: str,
        budget: Budget,
        watch: Watch,
    ) -> None:
        """rows: those of training and validation that are used. folder: of what is done. identity: of data and run."""
        self.design, self.schema, self.folder, self.budget, self.watch = design, schema, folder, budget, watch
        self._rows, self._dealing, self._fit, self._metric, self._seed = rows, dealing, fit, metric, seed
        self._identity, self.ended = identity, False
        self._took: dict[str, float] = {}

    def run(self) -> list[Fold]:
        """Every fold of every seed of which something is done."""
        found = []
        for repeat in range(self.design.seeds):
            dealt = self._dealt(self._seed + repeat)
            for place in range(len(dealt)):
                seeds = f", seed {repeat + 1} of {self.design.seeds}" if self.design.seeds > 1 else ""
                self.watch.stage(f"fold {place + 1} of {len(dealt)}{seeds}")
                learned = self._rows.at(np.flatnonzero(dealt.learns[place]), "train")
                judge = self._rows.at(np.flatnonzero(dealt.judged[place]), "valid")
                fold = Fold(judge.target, judge.weight, len(learned))
                if self.schema.windowing is not None:
                    fold.block = place
                    fold.steps, fold.names = origins_of(judge, self.schema)
                self._train(fold, Dealt(repeat, place, learned, judge))
                if fold.pieces:
                    found.append(fold)
                if self.ended:
                    return found
        return found

    def _dealt(self, seed: int) -> Folds:
        """The folds of a seed; those of forecasts are blocks in time, the same for every seed."""
        if self.schema.windowing is not None:
            return backtest(self._rows, self.schema, self.design.folds)
        return deal_folds(self._rows, self.schema, self._dealing, self.design.folds, seed)

    def _train(self, fold: Fold, dealt: Dealt) -> None:
        """Train what is not done yet, one encoding after another."""
        for number, (encode, options) in enumerate(self.design.settings.items()):
            wanted = {setting(encode, each): each for each in options}
            if dealt.repeat == dealt.place == number == 0:
                wanted[ALONE] = {}  # the one with everything by itself, once, for what it costs
            undone = {}
            for key, each in wanted.items():
                done = _read(self._path(dealt, encode, each, alone=key is ALONE))
                if done is None:
                    undone[key] = each
                else:
                    fold.pieces[key] = done
            if undone:
                self._train_encoded(fold, dealt, encode, undone)
            if self.ended:
                return

    def _train_encoded(
        self, fold: Fold, dealt: Dealt, encode: EncodeConfig, undone: Mapping[Setting, dict[str, Value]]
    ) -> None:
        """Train settings of one encoding, those of one shape at once, and keep what comes of each group."""
        if self.budget.left <= 0.0:
            self.ended = True
            return
        seed = self._seed + dealt.repeat
        with tempfile.TemporaryDirectory(prefix=".fold-", dir=self.folder) as answers:
            objective = TableObjective.open(
                self._fit(dealt.learned, encode), (dealt.learned, dealt.judge), self.schema, self.design.model,
                self.design.train, self._dealing, 1, self._metric, seed, Path(answers), keeps_last=True,
            )  # fmt: skip
            keys = list(undone)
            trials = [Trial(at, each, seed) for at, each in enumerate(undone.values())]
            groups = objective.groups([trial for trial in trials if keys[trial.number] is not ALONE])
            groups += [[trial] for trial in trials if keys[trial.number] is ALONE]
            for group in groups:
                kind = json.dumps([dict(each.options) for each in group]) + encode.model_dump_json()
                if self.budget.left <= self._took.get(kind, 0.0):
                    self.ended = True
                    return
                began, worked = self.budget.clock(), process_time()
                outcomes = objective.judge(group, None, Budget(None), self.watch)
                self._took[kind], worked = self.budget.clock() - began, process_time() - worked
                shares = sum(outcome.seconds for outcome in outcomes)
                for trial, outcome in zip(group, outcomes, strict=True):
                    key = keys[trial.number]
                    seconds = worked * (outcome.seconds / shares if shares else 1.0 / len(group))
                    piece = _piece(outcome, Path(answers), seconds, alone=len(group) == 1)
                    _write(self._path(dealt, encode, trial.options, alone=key is ALONE), piece)
                    fold.pieces[key] = piece

    def _path(self, dealt: Dealt, encode: EncodeConfig, options: Mapping[str, Value], *, alone: bool) -> Path:
        """The file of a setting, called after all that its answers follow from."""
        design = self.design
        parts = [
            self._identity, str(design.rows), str(design.folds), str(dealt.repeat), str(dealt.place), str(alone),
            encode.model_dump_json(), json.dumps(dict(options), sort_keys=True),
            design.model.model_dump_json(exclude_unset=True), design.train.model_dump_json(exclude_unset=True),
        ]  # fmt: skip
        return self.folder / f"{hashlib.sha256('|'.join(parts).encode()).hexdigest()[:24]}.npz"


#: The key of the setting with everything, trained alone.
ALONE: Setting = (EncodeConfig(), "alone")


def _piece(outcome: Outcome, answers: Path, seconds: float, *, alone: bool) -> Piece:
    if outcome.state != "complete":
        return Piece(None, None, outcome.epochs, seconds, alone, outcome.reason or outcome.state)
    best, last = (read_answer(folder, outcome.number).astype(np.float64) for folder in (answers, answers / LAST))
    return Piece(best, last, outcome.epochs, seconds, alone)


def _write(path: Path, piece: Piece) -> None:
    arrays = {
        "passes": np.array(piece.passes), "seconds": np.array(piece.seconds), "alone": np.array(piece.alone),
        "failed": np.array(piece.failed, dtype=str),
    }  # fmt: skip
    for name, each in (("answers", piece.answers), ("last", piece.last)):
        if each is not None:
            arrays[name] = each.astype(np.float32) if each.ndim > 1 else each
    write_arrays(path, arrays)


def _read(path: Path) -> Piece | None:
    found = read_arrays(path)
    if found is None:
        return None
    best, last = (None if name not in found else found[name].astype(np.float64) for name in ("answers", "last"))
    return Piece(
        best, last, int(found["passes"]), float(found["seconds"]), bool(found["alone"]), str(found["failed"])
    )  # fmt: skip
