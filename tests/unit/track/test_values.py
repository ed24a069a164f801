from pathlib import Path

import pytest

from assay.evaluate.record import Report
from assay.track.values import numbers_of, results_of
from assay.train.watch import Epoch

FIXTURE = Path(__file__).parents[2] / "fixtures" / "report.json"


class LaterEpoch(Epoch):
    """What an epoch may hold some day."""

    rows_per_second: float = 1e5
    broken: float = float("nan")
    best: bool = True
    device: str = "cpu"
    per_layer: tuple[float, ...] = (1.0, 2.0)


def test_every_finite_number_of_an_epoch_has_its_own_name():
    record = LaterEpoch(
        epoch=3, step=30, seconds=0.5, train_loss=0.4, valid_loss=0.6, valid_score=None, score_name="accuracy",
        learning_rate=0.01, gradient_norm=float("inf"),
    )  # fmt: skip
    assert numbers_of(record) == {
        "epoch": 3.0,
        "step": 30.0,
        "seconds": 0.5,
        "train_loss": 0.4,
        "valid_loss": 0.6,
        "learning_rate": 0.01,
        "rows_per_second": 1e5,
        "skipped": 0.0,
    }


def test_results_are_those_of_the_report():
    report = Report.read(FIXTURE)
    point = results_of(report)
    assert point.step == len(report.training.epochs)
    network = {score.name: score.estimate for score in report.scores[0].scores}
    assert point.values["test/auroc"] == network["auroc"].value
    assert point.values["test/auroc_low"] == network["auroc"].low
    assert point.values["test/auroc_high"] == network["auroc"].high
    assert [model.name for model in report.scores] == ["network", "majority", "linear", "trees"]
    assert point.values["baseline/trees/accuracy"] == report.scores[3].scores[0].estimate.value
    counted = {name: value for name, value in point.values.items() if name.startswith("ledger/")}
    assert sum(counted.values()) == len(report.ledger)
    assert counted["ledger/applied"] == sum(verdict.outcome == "applied" for verdict in report.ledger)
    assert point.values["run/best_epoch"] == report.training.best_epoch


def test_a_score_that_is_not_defined_is_left_out():
    report = Report.read(FIXTURE)
    first = report.scores[0].scores[0]
    nothing = first.model_copy(
        update={"name": "f1@50 %", "estimate": first.estimate.model_copy(update={"low": None, "high": None})}
    )
    model = report.scores[0].model_copy(update={"scores": (nothing,)})
    values = results_of(report.model_copy(update={"scores": (model,)})).values
    assert {name for name in values if name.startswith("test/")} == {"test/f1_50_"}
    assert values["test/f1_50_"] == pytest.approx(first.estimate.value)
