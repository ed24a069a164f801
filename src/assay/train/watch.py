"""Who watches a run: the stages, epochs and remarks of a fit, as they happen."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, Protocol

from assay.records import Measured, Record

#: What a validation score is: the share of right answers, of right labels, or of explained variance.
ScoreName = Literal["accuracy", "label accuracy", "R2"]


class Epoch(Record):
    """One epoch of training.

    Losses are means over rows (and members) in nats, or in squared target deviations. The validation score is the
    accuracy, or R2, of the members' average (None where it is not defined). The gradient norm is the median over the
    epoch's steps, before clipping. The training loss and the norm are of the members and steps where they were finite,
    not finite where none was. The update ratio is the size of the epoch's last step as a share of the weights' size;
    memory is the most that was resident so far. `skipped` counts members' steps without a finite gradient since
    training began. `logged` holds what a module of the user's own logged, as means over the epoch's steps. Boosted
    trees tell of stretches of rounds, which are their steps, and have no gradient norm (0).
    """

    epoch: int
    step: int
    seconds: float
    train_loss: Measured
    valid_loss: Measured
    valid_score: float | None
    score_name: ScoreName
    learning_rate: float
    gradient_norm: Measured
    update_ratio: float | None = None
    rows_per_second: float | None = None
    memory_mb: float | None = None
    skipped: int = 0
    network: str = ""
    logged: dict[str, float] = {}


class Watch(Protocol):
    """An observer of a fit; methods are called in the order things happen and must not block."""

    def stage(self, name: str) -> None:
        """A stage such as `train` begins."""

    def epoch(self, record: Epoch, of: int) -> None:
        """An epoch of at most `of` has ended, now or before the run was taken up again."""

    def steps(self, done: int, of: int, network: str = "") -> None:
        """So many of the steps of a training are done; told now and then, between epochs."""

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

    def steps(self, done: int, of: int, network: str = "") -> None:
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

    def steps(self, done: int, of: int, network: str = "") -> None:
        """Pass on with the name."""
        self.watch.steps(done, of, self.name)

    def note(self, text: str) -> None:
        """Pass on."""
        self.watch.note(text)

    def close(self) -> None:
        """Pass on."""
        self.watch.close()


class Recorder:
    """Writes each epoch as a line of JSON to a file as it ends, and passes everything on to another watch.

    The file is begun anew with the first epoch, for a run that goes on is told of the epochs before. What a full disk
    keeps back is said once and written with a later epoch.
    """

    def __init__(self, watch: Watch, path: Path) -> None:
        self.watch = watch
        self.path = path
        self._end = 0
        self._held = b""
        self._said = False

    def stage(self, name: str) -> None:
        """Pass on."""
        self.watch.stage(name)

    def epoch(self, record: Epoch, of: int) -> None:
        """Write a line and pass on."""
        self._held += f"{record.model_dump_json()}\n".encode()
        try:
            self.flush()
        except OSError as error:
            if not self._said:
                self.note(f"the epochs could not be written ({error.strerror}: {self.path}); it is tried again")
            self._said = True
        self.watch.epoch(record, of)

    def steps(self, done: int, of: int, network: str = "") -> None:
        """Pass on."""
        self.watch.steps(done, of, network)

    def flush(self) -> None:
        """Write what is still to be written.

        Raises:
            OSError: it cannot be.
        """
        if not self._held:
            return
        with self.path.open("r+b" if self._end else "wb") as stream:
            stream.seek(self._end)
            stream.truncate()
            stream.write(self._held)
        self._end += len(self._held)
        self._held = b""

    def note(self, text: str) -> None:
        """Pass on."""
        self.watch.note(text)

    def close(self) -> None:
        """Pass on."""
        self.watch.close()
