"""What a tracker is, and what is said to it: the one interface behind which all of them stand."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, Protocol

from assay.records import Record
from assay.track.config import TrackConfig, TrackerName

#: What a tracker needs to be installed, by its name.
PACKAGES: dict[TrackerName, tuple[str, ...]] = {
    "tensorboard": ("tensorboard",),
    "wandb": ("wandb",),
    "mlflow": ("mlflow", "sqlalchemy", "alembic"),
}
PROJECT = "assay"
FOLDER = "runs"

Scalar = str | int | float | bool | None


class Point(Record):
    """Numbers of one moment: `step` is the epoch, `time` in seconds since 1970 when it happened, not when written."""

    step: int
    time: float
    values: dict[str, float]


class Start(Record):
    """A run begins: its name, the directory it will have, and its options, flat (`train.lr`)."""

    kind: Literal["start"] = "start"
    run: str
    directory: str
    options: dict[str, Scalar]


class Epochs(Record):
    """Epochs have ended, in order."""

    kind: Literal["epochs"] = "epochs"
    points: tuple[Point, ...]


class Finish(Record):
    """The run has ended well, with these scores."""

    kind: Literal["finish"] = "finish"
    scores: Point


class Fail(Record):
    """The run has ended otherwise."""

    kind: Literal["fail"] = "fail"
    reason: str


Message = Start | Epochs | Finish | Fail


class Tracker(Protocol):
    """A place where runs are logged. Methods are called in this order by one thread, and may raise what they like.

    Making one loads its package and writes nothing. `place` says where people find the run, once it is started.
    """

    place: str

    def start(self, run: Start) -> None:
        """Open a run with its options."""

    def epochs(self, points: Sequence[Point]) -> None:
        """Log the numbers of some epochs."""

    def finish(self, scores: Point) -> None:
        """Log the scores and close the run as one that ended well."""

    def fail(self, reason: str) -> None:
        """Close the run as one that failed."""


def make(name: TrackerName, config: TrackConfig) -> Tracker:
    """The tracker of this name; its package is imported here and not before.

    Raises:
        MissingExtraError: the package is not installed.
    """
    match name:
        case "tensorboard":
            from assay.track.tensorboard import TensorBoard

            return TensorBoard(config)
        case "wandb":
            from assay.track.wandb import WeightsAndBiases

            return WeightsAndBiases(config)
        case "mlflow":
            from assay.track.mlflow import MLflow

            return MLflow(config)


def shown(value: Scalar) -> str:
    """An option's value as one would type it, for trackers that take text alone."""
    if value is None:
        return "none"
    return str(value).lower() if isinstance(value, bool) else str(value)
