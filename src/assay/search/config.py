"""Options of what trains several networks."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, field_validator

from assay.models.config import Family
from assay.records import Record

Recipe = Literal["auto", Family]
Views = Literal["auto", "none", "mirror", "shifts"]


class EnsembleConfig(Record):
    """Which networks are trained and how their answers are combined."""

    recipes: tuple[Recipe, ...] = Field(
        ("auto",), description="Network families to train and combine; auto chooses by the data and the time."
    )
    folds: int = Field(
        0,
        ge=0,
        le=32,
        description="Folds of a cross-validation whose networks are averaged; 1 trains on one split, 0 is auto.",
    )
    settings: tuple[str, ...] = Field(
        (),
        description="Settings to train as parts of one model in place of recipes, each as one would type it: "
        "'model.name=mlp train.lr=0.002'; assay tune writes them.",
    )
    distill: bool = Field(
        False,
        description="Train one network on what the ensemble answers and export it instead; what it loses is stated.",
    )
    bagging: bool = Field(
        False, description="Train each member on its own bootstrap sample of the rows (Poisson weights)."
    )
    trees: bool = Field(
        False,
        description="Let boosted trees join the networks of the model; else they are only a baseline to be compared "
        "with.",
    )
    stacking: bool = Field(
        False,
        description="Weigh networks by a regularised, non-negative linear model of their answers (stacking) instead of "
        "greedily.",
    )
    backbone: str = Field(
        "auto",
        description="Network of pictures with pretrained weights whose features a linear head weighs: a name of timm, "
        "hf:NAME to allow its download from the hub, none, or auto for the one that a package brings.",
    )
    backbone_weights: str | None = Field(
        None, description="A .safetensors file of the weights of the network that ensemble.backbone names."
    )
    tuned_layers: Annotated[int, Field(ge=0)] | Literal["auto"] = Field(
        "auto",
        description="Last layers of a pretrained encoder of texts or pictures that are trained further; 0 keeps it as "
        "it is, auto takes as many as there is time for.",
    )
    views: Views = Field(
        "auto",
        description="Views of a picture that its answer is averaged over: none but itself, its mirror image, shifts "
        "(and mirror images where training mirrors), or auto for what validation gains by.",
    )
    text_linear: bool = Field(
        True, description="Let a linear model of TF-IDF n-grams join the networks where there are text columns."
    )
    ridge: bool = Field(
        True,
        description="Let a ridge regression of the window answer a forecast unless networks gain over it clearly on "
        "validation.",
    )

    @field_validator("backbone_weights", mode="after")
    @classmethod
    def _none_is_no_file(cls, value: str | None) -> str | None:
        return None if value is not None and value.casefold() == "none" else value
