"""What is trained beside the networks of a plan: trees, a linear model of texts, random convolutions and their like."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from assay.data.rows import Rows
from assay.errors import BudgetError, DivergenceError
from assay.search.ensemble.model_verdicts import (
    write_forecast_ridge,
    write_rocket,
    write_text_linear,
    write_trees,
    write_tuned_text,
)
from assay.search.fit.fitting import Fitting
from assay.search.fit.texts import SHARE_OF_TUNED
from assay.train.families.forecast_ridge import RIDGE, train_forecast_ridge
from assay.train.families.rocket_head import ROCKET, train_rocket
from assay.train.families.text_linear import TEXT_LINEAR, train_text_linear
from assay.train.families.text_tuned import TUNED_TEXT, tune_text
from assay.train.families.trees import TREES, train_trees
from assay.train.model import Model, TrainedNetwork
from assay.train.watch import Named

#: Share of the time left that trees, a linear model of texts and random convolutions of series get at most.
SHARE_OF_TREES, _SHARE_OF_TEXT, _SHARE_OF_ROCKET = 0.15, 0.25, 0.4


@dataclass(frozen=True)
class Beside:
    """What was trained, and by name why something that was wanted was not."""

    networks: tuple[TrainedNetwork, ...]
    lost: Mapping[str, str]


def train_beside(fitting: Fitting, history: Rows) -> Beside:
    """All that suits the rows, one after another. Networks come later, for they can use the time that is left over.

    history: the training rows; a linear forecast reads its windows from them.
    """
    networks: list[TrainedNetwork] = []
    lost: dict[str, str] = {}
    for name, train in _wanted(fitting, history):
        try:
            networks.append(train())
        except (BudgetError, DivergenceError) as error:
            lost[name] = error.came
    return Beside(tuple(networks), lost)


def _wanted(fitting: Fitting, history: Rows) -> Iterator[tuple[str, Callable[[], TrainedNetwork]]]:
    found, ensemble, schema = fitting.found, fitting.ensemble, fitting.schema
    if ensemble.trees:
        yield TREES, lambda: _trees(fitting)
    if ensemble.text_linear and found.places("grams"):
        yield TEXT_LINEAR, lambda: _text_linear(fitting)
    if found.places("windows"):
        yield TUNED_TEXT, lambda: _tuned_text(fitting)
    if schema.windowing is not None and ensemble.ridge:
        yield RIDGE, lambda: _ridge(fitting, history)
    if _has_series(fitting):
        yield ROCKET, lambda: _rocket(fitting)


def _has_series(fitting: Fitting) -> bool:
    """Whether rows hold series, other than the past of a forecast."""
    return fitting.schema.windowing is None and bool(fitting.found.places("series"))


def _trees(fitting: Fitting) -> TrainedNetwork:
    return train_trees(
        fitting.found, seed=fitting.seed, budget=fitting.budget.part(SHARE_OF_TREES), watch=Named(fitting.watch, TREES),
        threads=fitting.train.threads, checkpoints=fitting.within(TREES),
    )  # fmt: skip


def _text_linear(fitting: Fitting) -> TrainedNetwork:
    return train_text_linear(
        fitting.found, seed=fitting.seed, budget=fitting.budget.part(_SHARE_OF_TEXT),
        watch=Named(fitting.watch, TEXT_LINEAR), threads=fitting.train.threads, checkpoints=fitting.within(TEXT_LINEAR),
    )  # fmt: skip


def _tuned_text(fitting: Fitting) -> TrainedNetwork:
    return tune_text(
        fitting.found, seed=fitting.seed, budget=fitting.budget.part(SHARE_OF_TUNED),
        watch=Named(fitting.watch, TUNED_TEXT), threads=fitting.train.threads, checkpoints=fitting.within(TUNED_TEXT),
    )  # fmt: skip


def _ridge(fitting: Fitting, history: Rows) -> TrainedNetwork:
    return train_forecast_ridge(
        fitting.found, history, fitting.schema, seed=fitting.seed, budget=fitting.budget,
        watch=Named(fitting.watch, RIDGE), threads=fitting.train.threads,
    )  # fmt: skip


def _rocket(fitting: Fitting) -> TrainedNetwork:
    return train_rocket(
        fitting.found, seed=fitting.seed, budget=fitting.budget.part(_SHARE_OF_ROCKET),
        watch=Named(fitting.watch, ROCKET), threads=fitting.train.threads,
    )  # fmt: skip


def write_beside(fitting: Fitting, beside: Beside, whole: Model, networks: Sequence[TrainedNetwork]) -> None:
    """The verdicts on each of them that suits the rows. networks: all that were trained, with those of the plan."""
    found, ensemble, ledger, lost = fitting.found, fitting.ensemble, fitting.ledger, beside.lost
    write_trees(ledger, whole, ensemble, lost.get(TREES, ""))
    if found.places("grams"):
        write_text_linear(ledger, whole, ensemble, lost.get(TEXT_LINEAR, ""))
    if found.places("windows"):
        write_tuned_text(ledger, whole, networks, lost.get(TUNED_TEXT, ""))
    if _has_series(fitting):
        write_rocket(ledger, whole, lost.get(ROCKET, ""))
    if fitting.schema.windowing is not None:
        write_forecast_ridge(ledger, whole)
