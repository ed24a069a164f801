"""What is trained beside the networks of a plan: trees, a linear model of texts, random convolutions and their like."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from assay.data.rows import Rows
from assay.data.schema import Schema
from assay.errors import BudgetError, DivergenceError
from assay.ledger import Ledger
from assay.search.config import EnsembleConfig
from assay.search.ensemble.model_verdicts import (
    write_forecast_ridge,
    write_rocket,
    write_text_linear,
    write_trees,
    write_tuned_text,
)
from assay.search.fit.texts import SHARE_OF_TUNED
from assay.train.budget import Budget
from assay.train.config import TrainConfig
from assay.train.examples import Examples
from assay.train.forecast_ridge import RIDGE, train_forecast_ridge
from assay.train.model import Model, TrainedNetwork
from assay.train.rocket_head import ROCKET, train_rocket
from assay.train.state import Checkpoints
from assay.train.text_linear import TEXT_LINEAR, train_text_linear
from assay.train.text_tuned import TUNED_TEXT, tune_text
from assay.train.trees import TREES, train_trees
from assay.train.watch import Named, Watch

#: Share of the time left that trees, a linear model of texts and random convolutions of series get at most.
SHARE_OF_TREES, _SHARE_OF_TEXT, _SHARE_OF_ROCKET = 0.15, 0.25, 0.4


@dataclass(frozen=True)
class Lesson:
    """What each of them learns from, and within what."""

    found: Examples
    schema: Schema
    train: TrainConfig
    ensemble: EnsembleConfig
    seed: int
    budget: Budget
    watch: Watch
    checkpoints: Checkpoints | None

    def within(self, name: str) -> Checkpoints | None:
        """Where one of them goes on."""
        return None if self.checkpoints is None else self.checkpoints.within(name)


@dataclass(frozen=True)
class Beside:
    """What was trained, and by name why something that was wanted was not."""

    networks: tuple[TrainedNetwork, ...]
    lost: Mapping[str, str]


def train_beside(lesson: Lesson, history: Rows) -> Beside:
    """All that suits the rows, one after another. Networks come later, for they can use the time that is left over.

    history: the training rows; a linear forecast reads its windows from them.
    """
    networks: list[TrainedNetwork] = []
    lost: dict[str, str] = {}
    for name, train in _wanted(lesson, history):
        try:
            networks.append(train())
        except (BudgetError, DivergenceError) as error:
            lost[name] = error.came
    return Beside(tuple(networks), lost)


def _wanted(lesson: Lesson, history: Rows) -> Iterator[tuple[str, Callable[[], TrainedNetwork]]]:
    found, ensemble, schema = lesson.found, lesson.ensemble, lesson.schema
    if ensemble.trees:
        yield TREES, lambda: _trees(lesson)
    if ensemble.text_linear and found.places("grams"):
        yield TEXT_LINEAR, lambda: _text_linear(lesson)
    if found.places("windows"):
        yield TUNED_TEXT, lambda: _tuned_text(lesson)
    if schema.windowing is not None and ensemble.ridge:
        yield RIDGE, lambda: _ridge(lesson, history)
    if _has_series(lesson):
        yield ROCKET, lambda: _rocket(lesson)


def _has_series(lesson: Lesson) -> bool:
    """Whether rows hold series, other than the past of a forecast."""
    return lesson.schema.windowing is None and bool(lesson.found.places("series"))


def _trees(lesson: Lesson) -> TrainedNetwork:
    return train_trees(
        lesson.found, seed=lesson.seed, budget=lesson.budget.part(SHARE_OF_TREES), watch=Named(lesson.watch, TREES),
        threads=lesson.train.threads, checkpoints=lesson.within(TREES),
    )  # fmt: skip


def _text_linear(lesson: Lesson) -> TrainedNetwork:
    return train_text_linear(
        lesson.found, seed=lesson.seed, budget=lesson.budget.part(_SHARE_OF_TEXT),
        watch=Named(lesson.watch, TEXT_LINEAR), threads=lesson.train.threads, checkpoints=lesson.within(TEXT_LINEAR),
    )  # fmt: skip


def _tuned_text(lesson: Lesson) -> TrainedNetwork:
    return tune_text(
        lesson.found, seed=lesson.seed, budget=lesson.budget.part(SHARE_OF_TUNED),
        watch=Named(lesson.watch, TUNED_TEXT), threads=lesson.train.threads, checkpoints=lesson.within(TUNED_TEXT),
    )  # fmt: skip


def _ridge(lesson: Lesson, history: Rows) -> TrainedNetwork:
    return train_forecast_ridge(
        lesson.found, history, lesson.schema, seed=lesson.seed, budget=lesson.budget, watch=Named(lesson.watch, RIDGE),
        threads=lesson.train.threads,
    )  # fmt: skip


def _rocket(lesson: Lesson) -> TrainedNetwork:
    return train_rocket(
        lesson.found, seed=lesson.seed, budget=lesson.budget.part(_SHARE_OF_ROCKET), watch=Named(lesson.watch, ROCKET),
        threads=lesson.train.threads,
    )  # fmt: skip


def write_beside(
    ledger: Ledger, lesson: Lesson, beside: Beside, whole: Model, networks: Sequence[TrainedNetwork]
) -> None:
    """The verdicts on each of them that suits the rows. networks: all that were trained, with those of the plan."""
    found, ensemble, lost = lesson.found, lesson.ensemble, beside.lost
    write_trees(ledger, whole, ensemble, lost.get(TREES, ""))
    if found.places("grams"):
        write_text_linear(ledger, whole, ensemble, lost.get(TEXT_LINEAR, ""))
    if found.places("windows"):
        write_tuned_text(ledger, whole, networks, lost.get(TUNED_TEXT, ""))
    if _has_series(lesson):
        write_rocket(ledger, whole, lost.get(ROCKET, ""))
    if lesson.schema.windowing is not None:
        write_forecast_ridge(ledger, whole)
