"""What validation rows chose a model from, kept so that the choice can be made anew on draws of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from assay.train.part import Part

#: The level at which a mixture is taken for better than the simplest candidate.
LEVEL = 0.05


@dataclass(frozen=True)
class Lead:
    """What a mixture gains over the simplest of its candidates.

    simple: mean squared error of that one. gain: what the mixture's is lower by. p_value: of so large a gain by chance,
    one-sided; None where the windows are too few to say. test: which.
    """

    simple: float
    gain: float
    p_value: float | None
    test: str

    @property
    def is_clear(self) -> bool:
        """Whether it is too large for luck."""
        return self.gain > 0.0 and self.p_value is not None and self.p_value < LEVEL

    def told(self) -> str:
        """In words."""
        if self.p_value is None:
            return "validation is too short to tell networks from the ridge forecast"
        if self.gain == 0.0:
            return "validation gave networks no share beside the ridge forecast"
        share = self.gain / self.simple
        verb = "lower" if share >= 0.0 else "higher"
        return (
            f"with networks the squared error is {abs(share):.1%} {verb} than that of the ridge forecast alone on "
            f"validation (p = {self.p_value:.2g}, one-sided; {self.test})"
        )


@dataclass(frozen=True)
class Choice:
    """The candidates of a model, the shares that validation gave them, and those of bootstrap draws of its rows.

    Letters: M candidates (members, or all folds of a variant), n rows, m of them drawn from, b draws.

    parts: every network that was trained, in or out of the model. owner: the place of each candidate's network, (M,).
    answers: (M, n, classes), (M, n) or forecasts (M, n, H), float32, for rows that were not learned from.
    target, weight: of the rows, (n, ...) and (n,) or None.
    shares: (M,).
    rows: which were drawn from, (m,). left: whether a draw left them out, (b, m). drawn: shares by each draw, (b, M).
    units: rows, or groups of rows, that are drawn as one.
    way: how the shares were found, in words.
    lead: what the mixture gains over the simplest candidate, where there is one that has to be beaten.
    """

    parts: tuple[Part, ...]
    owner: NDArray[np.int64]
    answers: NDArray[np.float32]
    target: NDArray[Any]
    weight: NDArray[np.float64] | None
    shares: NDArray[np.float64]
    rows: NDArray[np.int64]
    left: NDArray[np.bool_]
    drawn: NDArray[np.float64]
    units: int
    way: str
    lead: Lead | None = None

    def mixed(self, shares: NDArray[np.float64], rows: NDArray[np.int64] | None = None) -> NDArray[np.float64]:
        """The answer of these shares, (M,), to all rows or to some."""
        used = np.flatnonzero(shares)
        answers = self.answers[used] if rows is None else self.answers[used][:, rows]
        return np.asarray(np.tensordot(shares[used], answers.astype(np.float64), axes=1), np.float64)

    def alone(self, place: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Shares (M,) and shares by draw (b, M) of one network without the others; alike where it had none."""
        own = self.owner == place

        def within(shares: NDArray[np.float64]) -> NDArray[np.float64]:
            kept = np.where(own, shares, 0.0)
            total = kept.sum(-1, keepdims=True)
            alike = own / own.sum()
            return np.where(total > 0.0, kept / np.where(total > 0.0, total, 1.0), alike)

        return within(self.shares), within(self.drawn)
