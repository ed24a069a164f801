"""Who watches a run: the stages, epochs and remarks of a fit, as they happen."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, Protocol

from assay.records import Record


class Epoch(Record):
    """One epoch of training.

    Losses are means over rows (and members) in nats, or in squared target deviations. The validation score is the
    accuracy, or R2, of the members' average (None where it is not defined). The gradient norm is the median over the
    epoch's steps, before clipping. The update ratio is the size of the epoch's last step as a share of the weights'
    size; memory is the most that was resident so far. `skipped` counts members' steps without a finite gradient since
    training began.
    """

    epoch: int
    step: int
    seconds: float
    train_loss: float
    valid_loss: float
    valid_score: float | None
    score_name: Literal["accuracy", "R2"]
    learning_rate: float
    gradient_norm: float
    update_ratio: float | None = None
    rows_per_second: float | None = None
    memory_mb: float | None = None
    skipped: int = 0
    network: str = ""


class Watch(Protocol):
    """An observer of a fit; methods are called in the order things happen and must not block."""

    def stage(self, name: str) -> None:
        """A stage such as `train` begins."""

    def epoch(self, record: Epoch, of: int) -> None:
        """An epoch of at most `of` has ended."""

    def note(self, text: str) -> None:
        """Something the user should know."""

    def close(self) -> None:
        """The run has ended, well or not."""


class Unwatched:
    """A watch that looks away."""

    def stage(self, name: str) -> None:
        """Do nothing."""

    def epoch(self, record: Epoch, of: int) -> None:
        """Do nothing."""

    def note(self, text: str) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Do nothing."""


class Named:
    """Writes the name of the network into each epoch, and passes everything on to another watch."""

    def __init__(self, watch: Watch, name: str) -> None:
        self.watch = watch
        self.name = name

    def stage(self, name: str) -> None:
        """Pass on."""
        self.watch.stage(name)

    def epoch(self, record: Epoch, of: int) -> None:
        """Pass on with the name."""
        self.watch.epoch(record.model_copy(update={"network": self.name}), of)

    def note(self, text: str) -> None:
        """Pass on."""
        self.watch.note(text)

    def close(self) -> None:
        """Pass on."""
        self.watch.close()


class Recorder:
    """Writes each epoch as a line of JSON to a file as it ends, and passes everything on to another watch."""

    def __init__(self, watch: Watch, path: Path) -> None:
        self.watch = watch
        self.path = path

    def stage(self, name: str) -> None:
        """Pass on."""
        self.watch.stage(name)

    def epoch(self, record: Epoch, of: int) -> None:
        """Write a line and pass on."""
        with self.path.open("a", encoding="utf-8") as stream:
            stream.write(record.model_dump_json() + "\n")
        self.watch.epoch(record, of)

    def note(self, text: str) -> None:
        """Pass on."""
        self.watch.note(text)

    def close(self) -> None:
        """Pass on."""
        self.watch.close()
