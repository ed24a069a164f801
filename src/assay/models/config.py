"""Options of the network."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from assay.records import Record

Activation = Literal["relu", "gelu", "silu", "mish", "selu", "tanh", "leaky_relu"]


class ModelConfig(Record):
    """The network: its family, its size and how its inputs are widened."""

    name: Literal["mlp", "perceptron"] = Field("mlp", description="Network family; a perceptron has no hidden layer.")
    layers: int = Field(2, ge=1, le=8, description="Hidden layers of the mlp.")
    width: int = Field(128, ge=4, le=4096, description="Units of each hidden layer.")
    activation: Activation = Field("relu", description="Activation of the hidden layers.")
    dropout: float = Field(0.1, ge=0.0, lt=1.0, description="Share of hidden units dropped while training.")
    batch_norm: bool = Field(False, description="Batch normalisation before each activation.")
    embedding: int = Field(8, ge=1, le=512, description="Longest vector of a category.")
    number_bins: int = Field(
        48, ge=0, le=256, description="Piecewise-linear bins a number is widened to; 0 leaves numbers as they are."
    )
    members: int = Field(4, ge=1, le=64, description="Networks trained at once with own seeds and averaged.")
