"""Options of the evaluation."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from assay.records import Record

Protocol = Literal["holdout", "nested"]
Baseline = Literal["majority", "linear", "trees"]


class EvaluateConfig(Record):
    """Scores, intervals, baselines and calibration."""

    confidence: float = Field(0.95, gt=0.5, lt=1.0, description="Confidence of the intervals.")
    bootstrap: int = Field(1000, ge=100, le=100_000, description="Bootstrap samples of an interval.")
    baselines: tuple[Baseline, ...] = Field(
        ("majority", "linear", "trees"),
        description="Models shown beside the network; 'majority' is the mean for numbers, the last value and the last "
        "season for forecasts.",
    )
    baseline_rows: int = Field(200_000, ge=100, description="Training rows a baseline learns from at most.")
    coverage: float = Field(
        0.9, gt=0.5, lt=1.0, description="Share of the steps ahead that intervals of forecasts are to hold."
    )
    protocol: Protocol = Field(
        "holdout",
        description="'nested' repeats the whole choice of the model in outer folds too, which takes their share of the "
        "time; 'holdout' has the sealed test part alone.",
    )
    outer_folds: int = Field(5, ge=2, le=20, description="Outer folds of evaluate.protocol=nested.")
    calibrate: bool = Field(True, description="Temperature scaling on the validation rows.")
    slices: tuple[str, ...] = Field(
        (), description="Subgroups of the test rows to score, as in 'age >= 60 & sex = Female'; --slice names one."
    )
    learning_curve: bool | Literal["auto"] = Field(
        "auto",
        description="Train small networks on an eighth to all of the training rows, to say what more rows would bring; "
        "auto does where time is left over.",
    )
