"""What a report says of calibration beside its bins: which kinds were compared, and tests against calibrated models."""

from __future__ import annotations

from assay.records import Record


class CalibrationLoss(Record):
    """The cross-validated log loss of a kind of calibration; `error` the standard error of its lag on the best."""

    kind: str
    loss: float
    error: float


class NullTest(Record):
    """A calibration error beside those of calibrated models: the same probabilities, outcomes drawn from them.

    null: the quantile that `confidence` of the draws stay below; null_mean: what a calibrated model has on average.
    p_value: share of draws at least as large.
    """

    name: str
    label: str
    value: float
    null: float
    null_mean: float
    p_value: float
    confidence: float
    draws: int
    rows: int

    @property
    def is_miscalibrated(self) -> bool:
        """Whether a calibrated model would seldom have so large an error."""
        return self.p_value < 1.0 - self.confidence
