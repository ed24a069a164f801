"""Who watches a run: the stages, epochs and remarks of a fit, as they happen."""

from __future__ import annotations

from typing import Protocol

from assay.records import Record


class Epoch(Record):
    """One epoch of training.

    Losses are means over rows (and members) in nats, or in squared target deviations; the gradient norm is the median
    over the epoch's steps, before clipping.
    """

    epoch: int
    step: int
    seconds: float
    train_loss: float
    valid_loss: float
    learning_rate: float
    gradient_norm: float


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
