"""Options of the network."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, field_validator

from assay.records import Record, Searched

Family = Literal[
    "perceptron", "mlp", "resnet", "ft_transformer", "realmlp", "tabm", "tabm_mini",
    "inception", "fcn", "resnet1d", "gru", "lstm", "series_transformer", "cnn", "timm",
    "text_cnn", "text_gru", "text_lstm", "text_transformer",
    "dlinear", "patchtst",
]  # fmt: skip
Augment = Literal[
    "auto", "none", "shift", "flip", "strong", "trivial", "rand", "autoaugment", "noise", "warp", "permute",
]  # fmt: skip
AugmentText = Literal["auto", "none", "light", "synonyms", "typos", "full"]
#: Those that read tables alone.
TABULAR: tuple[Family, ...] = ("perceptron", "mlp", "resnet", "ft_transformer", "realmlp", "tabm", "tabm_mini")
#: Names of changes of series; of the others, all but auto and none are of pictures.
AUGMENT_SERIES: tuple[Augment, ...] = ("noise", "warp", "permute")
#: Those of the families that read pictures, and those that read series.
PICTURES: tuple[Family, ...] = ("cnn", "timm")
SERIES: tuple[Family, ...] = ("inception", "fcn", "resnet1d", "gru", "lstm", "series_transformer")
#: Those that read texts word by word.
TEXTS: tuple[Family, ...] = ("text_cnn", "text_gru", "text_lstm", "text_transformer")
#: Those of the families that forecast.
FORECASTING: tuple[Family, ...] = ("dlinear", "patchtst", "gru")
Activation = Literal["relu", "gelu", "silu", "mish", "selu", "elu", "tanh", "leaky_relu", "auto"]
Norm = Literal["none", "batch", "layer"]
Initialisation = Literal["he", "xavier", "lecun", "orthogonal"]
Numbers = Literal["plain", "piecewise", "piecewise_embedded", "piecewise_residual", "periodic", "pbld"]


class ModelConfig(Record):
    """The network: its family, its size and how its inputs are widened."""

    name: Literal["auto", Family, "own"] = Field(
        "auto",
        description="Network family; a perceptron has no hidden layer, auto leaves it to assay, and own is what "
        "assay.fit(model=...) is given.",
    )
    layers: Annotated[int, Searched(choices=(1, 2, 3, 4), main=True)] = Field(
        2, ge=1, le=16, description="Hidden layers, or blocks of a resnet or ft_transformer."
    )
    width: Annotated[int, Searched(choices=(64, 96, 128, 192, 256, 384, 512), main=True)] = Field(
        128, ge=4, le=4096, description="Units of each hidden layer, or length of a token."
    )
    expansion: Annotated[float, Searched(choices=(1.0, 4 / 3, 2.0, 3.0, 4.0))] = Field(
        2.0, gt=0.0, le=8.0, description="Units inside a block of a resnet or ft_transformer, as a multiple of width."
    )
    activation: Activation = Field(
        "auto", description="Activation; auto is selu (classes) or mish (numbers) in a realmlp and relu elsewhere."
    )
    dropout: Annotated[float, Searched(0.0, 0.5, main=True)] = Field(
        0.1, ge=0.0, lt=1.0, description="Share of hidden units dropped while training; attention drops twice it."
    )
    norm: Norm = Field("none", description="Normalisation of hidden units, over the batch or over the layer.")
    initialisation: Initialisation = Field("he", description="How initial weights are drawn.")
    embedding: Annotated[int, Searched(choices=(4, 8, 16, 32, 64))] = Field(
        8, ge=1, le=512, description="Longest vector of a category, or of a word."
    )
    numbers: Numbers = Field(
        "piecewise",
        description="How a number is widened: not at all, with bins beside it, or to a vector of bins or of waves.",
    )
    number_bins: Annotated[int, Searched(choices=(8, 16, 32, 48, 64, 96, 128))] = Field(
        48, ge=0, le=256, description="Piecewise-linear bins a number is widened to; 0 leaves numbers as they are."
    )
    number_embedding: Annotated[int, Searched(choices=(4, 8, 12, 16, 24, 32))] = Field(
        16, ge=2, le=256, description="Length of the vector of a number."
    )
    frequencies: Annotated[int, Searched(choices=(8, 16, 32, 64))] = Field(
        16, ge=1, le=256, description="Waves of a number, for periodic and pbld."
    )
    frequency_scale: Annotated[float, Searched(0.01, 10.0, "log")] = Field(
        0.1, gt=0.0, le=100.0, description="Deviation of the initial frequencies, for periodic and pbld."
    )
    frequency_spread: Annotated[float, Searched(1.0, 100.0, "log")] = Field(
        1.0, ge=1.0, le=1000.0, description="How many times the first the last of a number's frequency scales is."
    )
    heads: Annotated[int, Searched(choices=(4, 8, 16, 32))] = Field(
        8, ge=1, le=256, description="Answers of a tabm that share weights and are averaged."
    )
    attention_heads: Annotated[int, Searched(choices=(1, 2, 4, 8))] = Field(
        8, ge=1, le=64, description="Heads of attention; they must divide the width."
    )
    members: Annotated[int, Searched(choices=(1, 2, 4, 8))] = Field(
        4, ge=1, le=64, description="Networks trained at once with own seeds and averaged."
    )
    augment: Augment = Field(
        "auto",
        description="Changes of training pictures: none, shift (and turn a little), flip (and shift), strong (flip, "
        "shift and cutout), trivial, rand, autoaugment; of series: none, noise, warp, permute; auto leaves it to "
        "validation. train.pictures.* and train.series.* go on top.",
    )
    timm: str = Field(
        "resnet18",
        description="Network of timm to train from random weights, for model.name=timm: vgg11_bn, "
        "mobilenetv3_small_100, efficientnet_b0, convnext_atto, vit_tiny_patch16_224, ...",
    )
    augment_text: AugmentText = Field(
        "auto",
        description="Changes of training texts that are read word by word: none, light (words swapped, left out and "
        "hidden), synonyms (of WordNet), typos (letters left out), full (all of these, hidden spans and shuffled "
        "sentences), or auto for none.",
    )
    wordnet: str = Field(
        "auto", description="Folder of WordNet's files, for synonyms; auto is that of Debian's wordnet-base."
    )
    reads_texts: bool = Field(
        True, description="Whether a network of a table's columns takes what is said of its texts, too."
    )
    prior_bias: bool = Field(True, description="Start outputs at the prior of the training rows; else at zero.")
    module: str | None = Field(None, description="Class of a model of your own; assay.fit(model=...) records it.")
    parameters: int | None = Field(None, ge=1, description="Numbers that a model of your own learns; recorded too.")

    @field_validator("module", mode="before")
    @classmethod
    def _none_is_no_module(cls, value: object) -> object:
        return None if value == "none" else value
