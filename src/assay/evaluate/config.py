"""Options of the evaluation."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from assay.records import Record

Protocol = Literal["holdout", "nested"]
Baseline = Literal["majority", "linear", "trees"]
Conformal = Literal["auto", "none", "lac", "aps", "raps", "absolute", "normalised", "cqr"]


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
        0.9,
        gt=0.5,
        lt=1.0,
        description="Probability that a set of classes, an interval of a value or one of a step ahead is to hold the "
        "truth.",
    )
    conformal: Conformal = Field(
        "auto",
        description="Kind of the sets (lac, aps, raps) or intervals (absolute, normalised, cqr); 'auto' takes the "
        "smallest on validation rows, 'none' makes none.",
    )
    conformal_groups: str | None = Field(
        None,
        description="Column whose groups are each to be held at evaluate.coverage; the target for each class.",
    )
    false_alarms: float = Field(
        0.01,
        ge=0.0,
        lt=0.5,
        description="Share of usual rows that are flagged as unusual; 0 leaves out the outline of the training rows.",
    )
    protocol: Protocol = Field(
        "holdout",
        description="'nested' repeats the whole choice of the model in outer folds too, which takes their share of the "
        "time; 'holdout' has the sealed test part alone.",
    )
    outer_folds: int = Field(5, ge=2, le=20, description="Outer folds of evaluate.protocol=nested.")
    calibrate: bool = Field(True, description="Temperature scaling on the validation rows.")
