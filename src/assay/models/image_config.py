"""Options of the network of pictures."""

from __future__ import annotations

from pydantic import Field

from assay.records import Record


class ImageConfig(Record):
    """The convolutional network of pictures."""

    width: int = Field(32, ge=4, le=1024, description="Channels of the first block.")
    growth: tuple[float, ...] = Field(
        (1.0, 2.0, 4.0), min_length=1, max_length=8, description="Channels of each block, as multiples of width."
    )
    patch: int = Field(2, ge=2, le=4, description="Side of the patches that the first layer whitens.")
    stride: int = Field(
        2, ge=1, le=4, description="Pixels between two patches; 1 sees more and costs four times as much."
    )
    shrink: int = Field(1, ge=1, le=32, description="Pixels in a row that are averaged to one before anything else.")
    embedding: int = Field(8, ge=1, le=512, description="Longest vector of a category beside the picture.")
