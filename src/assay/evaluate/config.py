"""Options of the evaluation."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from assay.records import Record

Protocol = Literal["holdout", "nested"]
GroupAim = Literal["none", "demographic_parity", "equal_opportunity"]
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
    least_group: int = Field(
        30, ge=2, description="Rows of a sensitive group below which it is listed, and left out of gaps between groups."
    )
    group_thresholds: GroupAim = Field(
        "none",
        description="Report what thresholds of each sensitive group's own would give, chosen on validation rows for "
        "equal selection rates (demographic_parity) or equal TPR (equal_opportunity); the bundle does not use them.",
    )
    calibrate: bool = Field(True, description="Temperature scaling on the validation rows.")
