"""Other names of options: what a group is set by, what others call an option, and which networks one belongs to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import get_args

from assay.models.config import Family
from assay.models.families import unused_options

#: Groups that a word may choose from: `model=tabm` is `model.name=tabm`.
CHOICE_OF: Mapping[str, str] = MappingProxyType(
    {"model": "model.name", "ensemble": "ensemble.recipes", "track": "track.to"}
)

#: What scikit-learn, Keras, Lightning, pytorch-tabular and the papers of the networks call our options.
CALLED_ELSEWHERE: Mapping[str, str] = MappingProxyType(
    {
        "k": "model.heads",
        "n_heads": "model.attention_heads",
        "num_heads": "model.attention_heads",
        "depth": "model.layers",
        "n_layers": "model.layers",
        "num_layers": "model.layers",
        "n_blocks": "model.layers",
        "hidden": "model.width",
        "hidden_size": "model.width",
        "hidden_dim": "model.width",
        "units": "model.width",
        "d_block": "model.width",
        "d_embedding": "model.number_embedding",
        "n_bins": "model.number_bins",
        "family": "model.name",
        "architecture": "model.name",
        "n_estimators": "model.members",
        "batch_size": "train.batch",
        "n_epochs": "train.epochs",
        "num_epochs": "train.epochs",
        "max_epochs": "train.epochs",
        "learning_rate": "train.lr",
        "optimizer": "train.optimiser",
        "scheduler": "train.schedule",
        "lr_scheduler": "train.schedule",
        "wd": "train.weight_decay",
        "grad_clip": "train.clip_norm",
        "gradient_clip_val": "train.clip_norm",
        "accumulate_grad_batches": "train.accumulate",
        "early_stopping": "train.patience",
        "accelerator": "train.device",
        "random_state": "seed",
        "time_limit": "budget",
        "timeout": "budget",
        "test_size": "data.split.test",
        "n_folds": "ensemble.folds",
        "n_splits": "ensemble.folds",
    }
)


def families_of(key: str) -> tuple[str, ...]:
    """The networks that an option of `model.*` means something to; empty where it does to all, or is of no network."""
    group, _, name = key.partition(".")
    every = get_args(Family)
    found = tuple(family for family in every if name not in unused_options(family)) if group == "model" else ()
    return () if len(found) == len(every) else found


def belonging(key: str) -> str:
    """Which networks an option belongs to, in words: `belongs to tabm and tabm_mini`; empty where to all of them."""
    found = families_of(key)
    others = [family for family in get_args(Family) if family not in found]
    if not found:
        return ""
    if len(others) < len(found):
        return f"belongs to every network but {listed(others)}"
    return f"belongs to {listed(found)}"


def listed(names: Sequence[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)
