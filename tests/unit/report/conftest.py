"""One realistic report (Adult census) and the shapes it can take: other tasks, missing parts, hostile names."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

from assay.data.schema import Column, Kind, Task
from assay.evaluate.record import (
    Calibration,
    Comparison,
    Curve,
    Estimate,
    Leaderboard,
    LeaderboardRow,
    Report,
    ResidualPicture,
    Score,
    Selection,
    TrainedPart,
)
from assay.report.page import draw_page

FIXTURE = Path(__file__).parents[2] / "fixtures" / "report.json"
HOSTILE = "<script>alert('x')</script>\"&\n\x00\u202e😀 | `a` *b*"


def _classes(report: Report, names: tuple[str, ...]) -> Report:
    size = len(names)
    curves = tuple(Curve(name=n, label=n, x=(0.0, 0.1 + i / 100, 1.0), y=(0.0, 0.8, 1.0)) for i, n in enumerate(names))
    return report.model_copy(
        update={
            "table_schema": report.table_schema.model_copy(update={"task": Task.MULTICLASS, "classes": names}),
            "primary": "accuracy",
            "confusion": tuple(tuple(90 if i == j else (i + j) % 3 for j in range(size)) for i in range(size)),
            "roc": curves,
            "precision_recall": curves,
        }
    )


def _regression(report: Report) -> Report:
    def scores(shift: float) -> tuple[Score, ...]:
        rmse = Estimate(value=48_213.4 + shift, low=47_100.0 + shift, high=49_300.0 + shift, method="bootstrap")
        r2 = Estimate(value=0.81, low=0.79, high=0.83, method="bootstrap")
        return (
            Score(name="rmse", label="RMSE", higher_is_better=False, estimate=rmse),
            Score(name="r2", label="R²", higher_is_better=True, estimate=r2),
        )

    models = tuple(m.model_copy(update={"scores": scores(900.0 * i)}) for i, m in enumerate(report.scores))
    truth = tuple(float(v) for v in range(0, 500_000, 5_000))
    against = models[1].name
    difference = Estimate(value=900.0, low=-100.0, high=1900.0, method="paired bootstrap")
    return report.model_copy(
        update={
            "table_schema": report.table_schema.model_copy(update={"task": Task.REGRESSION, "classes": ()}),
            "primary": "rmse",
            "scores": models,
            "comparisons": (
                Comparison(
                    against=against,
                    metric="rmse",
                    difference=difference,
                    p_value=0.08,
                    test="paired bootstrap",
                    verdict="not distinguishable",
                ),
            ),
            "references": (),
            "confusion": (),
            "roc": (),
            "precision_recall": (),
            "calibration": None,
            "residuals": ResidualPicture(truth=truth, predicted=tuple(0.9 * v + 9_000 for v in truth)),
        }
    )


def _bare(report: Report) -> Report:
    """No test part, no baselines, no calibration, no curves, no findings, one epoch."""
    network = report.scores[0]
    undefined = tuple(
        score.model_copy(update={"estimate": Estimate(value=None, method="there are no test rows")})
        for score in network.scores
    )
    split = report.split.model_copy(update={"test_rows": 0, "sealed_sha256": None, "opened": 0, "files": {}})
    training = report.training.model_copy(update={"epochs": report.training.epochs[:1], "best_epoch": 1})
    return report.model_copy(
        update={
            "scores": (network.model_copy(update={"scores": undefined}),),
            "comparisons": (),
            "references": (),
            "findings": (),
            "split": split,
            "training": training,
            "confusion": (),
            "roc": (),
            "precision_recall": (),
            "calibration": None,
            "ledger": (),
        }
    )


def _wide(report: Report) -> Report:
    column = Column(name="x", kind=Kind.NUMBER, dtype="Float64", reason="decimal numbers", distinct=9)
    many = tuple(
        column.model_copy(update={"name": f"sensor_{i:05d}", "missing": int(i == 7777)}) for i in range(10_000)
    )
    schema = report.table_schema.model_copy(update={"columns": (*many, report.table_schema["income"])})
    findings = tuple(
        report.findings[-1].model_copy(update={"what": f"finding {i}", "columns": tuple(c.name for c in many)})
        for i in range(3_000)
    )
    return report.model_copy(update={"table_schema": schema, "findings": findings})


def _ensemble(report: Report) -> Report:
    """Two networks with a leaderboard, one of them dropped, beside a baseline."""

    def estimate(value: float) -> Estimate:
        return Estimate(value=value, low=value - 0.005, high=value + 0.004, method="BBC-CV (50 draws)")

    def row(name: str, kind: str, share: float | None, value: float, seconds: float, cost: float | None):
        size = None if cost is None or kind == "baseline" else 1_250_000
        return LeaderboardRow(
            name=name, kind=kind, share=share, validation=value + 0.001, validation_rows=8_140,
            corrected=estimate(value), test=None if cost is None else estimate(value - 0.002), fit_seconds=seconds,
            predict_microseconds=cost, bytes=size,
        )  # fmt: skip

    rows = (
        row("the model", "ensemble", 1.0, 0.915, 24.5, 31.0),
        row("realmlp", "network", 1.0, 0.912, 20.0, 30.0),
        row("trees", "baseline", None, 0.911, 1.5, 4.25),
        row("mlp", "network", 0.0, 0.905, 4.5, None),
    )
    part = TrainedPart(
        name="realmlp", share=1.0, members=2, parameters=9, epochs=2, best_epoch=1, valid_loss=0.3, seconds=20.0,
        stopped="all epochs", options={},
    )  # fmt: skip
    return report.model_copy(
        update={
            "training": report.training.model_copy(update={"parts": (part, part)}),
            "selection": Selection(
                metric="auroc", label="AUROC", higher_is_better=True, validation=0.916, corrected=estimate(0.915),
                flattery=0.001, settings=4, rows=8_140,
            ),
            "leaderboard": Leaderboard(
                metric="auroc", label="AUROC", higher_is_better=True, timed="16,281 raw test rows", rows=rows
            ),
        }
    )  # fmt: skip


def _hostile(report: Report) -> Report:
    columns = tuple(c.model_copy(update={"name": HOSTILE, "reason": HOSTILE}) for c in report.table_schema.columns)
    schema = report.table_schema.model_copy(
        update={"columns": columns, "target": HOSTILE, "classes": (HOSTILE, HOSTILE + "2"), "sensitive": (HOSTILE,)}
    )
    curves = tuple(curve.model_copy(update={"label": HOSTILE}) for curve in report.roc)
    finding = report.findings[0].model_copy(update={"what": HOSTILE, "do": HOSTILE, "columns": (HOSTILE,)})
    models = tuple(m.model_copy(update={"name": HOSTILE + m.name, "description": HOSTILE}) for m in report.scores)
    return report.model_copy(
        update={
            "name": HOSTILE,
            "command": f"assay fit {HOSTILE}",
            "table_schema": schema,
            "source": report.source.model_copy(update={"name": HOSTILE, "notes": (HOSTILE,)}),
            "config": {HOSTILE: HOSTILE},
            "findings": (finding,),
            "scores": models,
            "advice": HOSTILE,
            "roc": curves,
            "ledger": tuple(v.model_copy(update={"reason": HOSTILE}) for v in report.ledger),
        }
    )


def _broken_curves(report: Report) -> Report:
    nan = float("nan")
    epochs = tuple(
        e.model_copy(update={"train_loss": nan, "valid_loss": nan, "gradient_norm": nan})
        for e in report.training.epochs
    )
    calibration = Calibration(temperature=1.0, ece_before=0.0, ece_after=0.0, bins=())
    empty = (Curve(name="network", label="network", x=(), y=()),)
    return report.model_copy(
        update={
            "training": report.training.model_copy(update={"epochs": epochs}),
            "calibration": calibration,
            "roc": empty,
            "precision_recall": empty,
        }
    )


@pytest.fixture(scope="session")
def report() -> Report:
    return Report.read(FIXTURE)


@pytest.fixture(scope="session")
def reports(report) -> dict[str, Report]:
    letters = tuple("ABCDEFGHIJKLMNOPQRSTUVWXYZ")
    return {
        "binary": report,
        "three classes": _classes(report, ("setosa", "versicolor", "virginica")),
        "26 classes": _classes(report, letters),
        "40 classes": _classes(report, tuple(f"class {i}" for i in range(40))),
        "regression": _regression(report),
        "bare": _bare(report),
        "wide": _wide(report),
        "hostile": _hostile(report),
        "broken curves": _broken_curves(report),
        "ensemble": _ensemble(report),
    }


@pytest.fixture(
    params=[
        "binary",
        "three classes",
        "26 classes",
        "40 classes",
        "regression",
        "bare",
        "wide",
        "hostile",
        "broken curves",
        "ensemble",
    ]
)
def shape(request, reports) -> tuple[str, Report]:
    """Each shape in turn, with its name."""
    return request.param, reports[request.param]


@pytest.fixture(scope="session")
def pages(reports) -> Callable[[str], str]:
    """The page of a shape, drawn once."""
    return cache(lambda name: draw_page(reports[name]))


@pytest.fixture(scope="session")
def hostile_text() -> str:
    return HOSTILE
