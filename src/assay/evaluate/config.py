"""Options of the evaluation."""

from __future__ import annotations

import math
from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator

from assay.records import Record

Protocol = Literal["holdout", "nested"]
GroupAim = Literal["none", "demographic_parity", "equal_opportunity"]
Baseline = Literal["majority", "linear", "trees"]
CalibrationOption = Literal["none", "auto", "temperature", "vector", "isotonic", "beta"]
ThresholdOption = Literal["auto", "f1", "balanced_accuracy", "accuracy", "cost"]
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
    least_group: int = Field(
        30, ge=2, description="Rows of a sensitive group below which it is listed, and left out of gaps between groups."
    )
    group_thresholds: GroupAim = Field(
        "none",
        description="Report what thresholds of each sensitive group's own would give, chosen on validation rows for "
        "equal selection rates (demographic_parity) or equal TPR (equal_opportunity); the bundle does not use them.",
    )
    calibrate: bool | Literal["auto", "temperature", "vector", "isotonic", "beta"] | None = Field(
        "auto",
        description="How probabilities are calibrated on the validation rows: temperature, vector (or Platt) scaling, "
        "isotonic regression, beta calibration, or auto (true) for what cross-validation chooses.",
    )
    threshold: Annotated[float, Field(gt=0.0, lt=1.0)] | ThresholdOption = Field(
        "auto",
        description="Probability from which the positive class is decided, or what validation rows choose it for; auto "
        "is cost where costs are given, accuracy, or f1 or balanced_accuracy where a class has fewer than a fifth.",
    )
    costs: tuple[float, ...] = Field(
        (),
        description="Cost of a false positive and of a false negative, as 1,5; or of every decision (columns) by what "
        "is true (rows), row by row.",
    )
    order: tuple[str, ...] = Field(
        (),
        description="Order of the classes from the lowest to the highest, as low,medium,high: scores then count how "
        "many classes a decision is off. Classes that are numbers have one.",
    )
    slices: tuple[str, ...] = Field(
        (), description="Subgroups of the test rows to score, as in 'age >= 60 & sex = Female'; --slice names one."
    )
    learning_curve: bool | Literal["auto"] = Field(
        "auto",
        description="Train small networks on an eighth to all of the training rows, to say what more rows would bring; "
        "auto does where time is left over.",
    )
    capacity_curve: bool | Literal["auto"] = Field(
        "auto",
        description="Train small networks from very narrow to wide, to say whether a larger network would help; auto "
        "does where time is left over.",
    )

    @field_validator("calibrate", mode="after")
    @classmethod
    def _yes_is_auto_and_no_is_none(cls, value: object) -> object:
        return {True: "auto", False: None}[value] if isinstance(value, bool) else value

    @field_validator("conformal_groups", mode="after")
    @classmethod
    def _none_is_no_column(cls, value: str | None) -> str | None:
        return None if value is not None and value.casefold() == "none" else value

    @field_validator("costs", mode="after")
    @classmethod
    def _costs_fill_a_square(cls, value: tuple[float, ...]) -> tuple[float, ...]:
        side = math.isqrt(len(value))
        if value and len(value) != 2 and (side < 2 or side**2 != len(value)):
            raise ValueError(f"costs must be two numbers, or K times K of them for K classes (got {len(value)})")
        if not all(0.0 <= cost < math.inf for cost in value) or (value and not any(value)):
            raise ValueError("costs must be finite, at least 0, and not all 0")
        return value

    @model_validator(mode="after")
    def _cost_needs_costs(self) -> Self:
        if self.threshold == "cost" and not self.costs:
            raise ValueError("evaluate.threshold=cost needs evaluate.costs, such as evaluate.costs=1,5")
        return self

    @property
    def calibration(self) -> CalibrationOption:
        """How probabilities are calibrated, in one word."""
        if isinstance(self.calibrate, bool):
            return "auto" if self.calibrate else "none"
        return self.calibrate or "none"
