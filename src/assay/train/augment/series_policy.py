"""Which changes of series training sees."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from pydantic import Field

from assay.models.config import Augment
from assay.records import Record


class SeriesPolicy(Record):
    """Random changes of training series, each with a probability for each row of each batch; by default none.

    They come in this order: slices, warped windows, permutation, scaling, jitter. Strengths are those of Iwana &
    Uchida (PLOS ONE 2021), who compare them; mixing is `train.mixup`.
    """

    slicing: float = Field(0.0, ge=0.0, le=1.0, description="Probability of a slice stretched to the whole length.")
    warping: float = Field(0.0, ge=0.0, le=1.0, description="Probability of a window that is slower or faster.")
    permutation: float = Field(0.0, ge=0.0, le=1.0, description="Probability of four pieces in another order.")
    scaling: float = Field(0.0, ge=0.0, le=1.0, description="Probability of a random factor for each channel.")
    jitter: float = Field(0.0, ge=0.0, le=1.0, description="Probability of added noise.")
    slice_share: float = Field(0.9, gt=0.0, le=1.0, description="Share of the series that a slice keeps.")
    scaling_strength: float = Field(0.1, gt=0.0, le=1.0, description="Deviation of the factor around 1.")
    jitter_strength: float = Field(0.03, gt=0.0, le=1.0, description="Noise, in deviations of the series.")

    @property
    def is_idle(self) -> bool:
        """Whether nothing is changed."""
        return not any((self.slicing, self.warping, self.permutation, self.scaling, self.jitter))

    def told(self) -> str:
        """What is done, in words."""
        said = (
            (self.slicing, f"slices of {self.slice_share:.0%}"),
            (self.warping, "warped windows"),
            (self.permutation, "pieces in another order"),
            (self.scaling, f"factors of 1 +- {self.scaling_strength:g}"),
            (self.jitter, f"noise of {self.jitter_strength:g} deviations"),
        )
        return ", ".join(f"{what} ({chance:.0%} of the rows)" for chance, what in said if chance) or "nothing"


_NAMED: Mapping[str, SeriesPolicy] = MappingProxyType(
    {
        "none": SeriesPolicy(),
        "noise": SeriesPolicy(scaling=0.5, jitter=0.5),
        "warp": SeriesPolicy(slicing=0.5, warping=0.5),
        "permute": SeriesPolicy(permutation=0.5, scaling=0.5, jitter=0.5),
    }
)


def series_policy(name: Augment, said: SeriesPolicy) -> SeriesPolicy:
    """The policy of a name, with what the user said of it instead.

    Raises:
        ValueError: the name leaves it open, or is one of pictures.
    """
    if name not in _NAMED:
        raise ValueError(f"series are changed by one of {', '.join(_NAMED)}, not by {name!r}")
    return _NAMED[name].model_copy(update={option: getattr(said, option) for option in said.model_fields_set})
