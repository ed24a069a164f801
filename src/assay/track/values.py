"""Which numbers of a run are logged, and under which names."""

from __future__ import annotations

import math
import re
import time
from collections import Counter

from assay.evaluate.record import ModelScores, Report
from assay.track.tracker import Point
from assay.train.watch import Epoch


def numbers_of(record: Epoch) -> dict[str, float]:
    """Every field of an epoch that is a finite number, by its name; new fields are logged without a word here.

    Where a run trains several networks the name of the network comes before it: `recipe/train_loss`.
    """
    group = f"{_word(record.network)}/" if record.network else ""
    pairs = ((name, getattr(record, name)) for name in type(record).model_fields)
    return {
        group + name: float(value)
        for name, value in pairs
        if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    }


def results_of(report: Report) -> Point:
    """Test scores of the network and the baselines with low and high, the ledger's counts, and what it took.

    Names are `test/auroc`, `test/auroc_low`, `baseline/linear_model/auroc`, `ledger/applied`, `run/best_epoch`.
    """
    values: dict[str, float] = {}
    for model in report.scores:
        group = "test" if model.kind == "network" else f"baseline/{_word(model.name)}"
        values |= {f"{group}/{name}": value for name, value in _scores(model).items()}
    counts = Counter(verdict.outcome.value for verdict in report.ledger)
    values |= {f"ledger/{_word(outcome)}": float(count) for outcome, count in counts.items()}
    values |= {
        "run/best_epoch": float(report.training.best_epoch),
        "run/interrupted": float(report.training.interrupted),
        "run/parameters": float(report.training.parameters),
        "run/training_seconds": report.training.seconds,
        "run/peak_memory_mb": report.provenance.peak_memory_mb,
    }
    return Point(step=len(report.training.epochs), time=time.time(), values=values)


def _scores(model: ModelScores) -> dict[str, float]:
    found: dict[str, float] = {}
    for score in model.scores:
        estimate = score.estimate
        named = {"": estimate.value, "_low": estimate.low, "_high": estimate.high}
        found |= {f"{_word(score.name)}{end}": value for end, value in named.items() if value is not None}
    return found


def _word(name: str) -> str:
    """A name that every tracker takes."""
    return re.sub(r"[^\w.-]+", "_", name, flags=re.ASCII)
