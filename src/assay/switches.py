"""How each practice is switched off, so that `assay ablate` can measure what it earned, or why it cannot be.

Every practice of the registry has an entry of its own here, or its stage has a reason for all others.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal

Value = str | int | float | bool
#: What is computed anew from answers that were kept, without training.
Recomputed = Literal["last epoch", "one candidate", "one member", "without part", "without calibration"]


@dataclass(frozen=True)
class Switch:
    """A way to do without a practice.

    options: of a run, by dotted names, with the values that switch it off; networks are trained anew with them.
    recomputed: what stands in place of training. part: the part of the model that is left out then.
    told: what was done instead, in words; by default the options.
    only_classes: whether the practice means something for classes and labels alone.
    metric: what it is judged by, where that is not the primary metric of the task.
    """

    options: Mapping[str, Value] = field(default_factory=dict)
    recomputed: Recomputed | None = None
    part: str = ""
    told: str = ""
    only_classes: bool = False
    metric: str = ""

    @property
    def without(self) -> str:
        """What a run without the practice is asked for: `train.clip_norm=0, train.clip_value=0`."""
        return self.told or ", ".join(f"{name}={_typed(value)}" for name, value in self.options.items())


def _typed(value: Value) -> str:
    return str(value).lower() if isinstance(value, bool) else f"{value:g}" if isinstance(value, float) else str(value)


def _without(part: str) -> Switch:
    return Switch(recomputed="without part", part=part, told=f"the other parts weighted anew without {part}")


#: More epochs than a training may have: nobody waits so long.
_FOR_EVER = 100_000

#: The practices that can be measured.
SWITCHES: Mapping[str, Switch] = MappingProxyType(
    {
        "encode.impute": Switch({"data.encode.missing_flags": False}),
        # The clip is in scaled units: on raw numbers it would flatten every column.
        "encode.scale": Switch({"data.encode.scale": "none", "data.encode.clip": 0.0}),
        "encode.clip": Switch({"data.encode.clip": 0.0}),
        "encode.rare-categories": Switch({"data.encode.min_category_rows": 1}),
        "encode.numeric-embeddings": Switch({"model.numbers": "plain"}),
        "model.prior-bias": Switch({"model.prior_bias": False}, only_classes=True),
        "model.members": Switch(recomputed="one member", told="one member of the network in place of their mean"),
        "train.adamw": Switch({"train.weight_decay": 0.0}),
        "train.schedule": Switch({"train.schedule": "constant", "train.warmup": 0.0}),
        "train.clipping": Switch({"train.clip_norm": 0.0, "train.clip_value": 0.0, "train.clip_adaptive": 0.0}),
        "train.early-stopping": Switch({"train.patience": _FOR_EVER}, told="train.patience without end"),
        "train.best-weights": Switch(recomputed="last epoch", told="the weights of the last epoch"),
        "train.regularisation": Switch(
            {"model.dropout": 0.0, "train.weight_decay": 0.0, "train.l1": 0.0, "train.l2": 0.0}
        ),
        "train.precision": Switch({"train.precision": "float32"}),
        "train.class-balance": Switch({"train.balance": "none", "train.focal_gamma": 2.0}, told="train.balance=none"),
        "train.label-smoothing": Switch({"train.label_smoothing": 0.0}, only_classes=True),
        "train.mixup": Switch({"train.mixup": 0.0, "train.cutmix": 0.0}),
        "train.averaging": Switch({"train.ema": 0.0, "train.swa": 0.0}),
        "train.augmentation": Switch({"model.augment": "none"}),
        "train.text-augmentation": Switch({"model.augment_text": "none"}),
        "search.ensemble": Switch(recomputed="one candidate", told="the one candidate that is best on validation rows"),
        "search.trees": _without("trees"),
        "search.text-linear": _without("text linear"),
        "search.text-tuning": _without("tuned text encoder"),
        "search.backbone": _without("backbone"),
        "search.backbone-tuning": _without("tuned backbone"),
        "search.rocket": _without("rocket"),
        "evaluate.calibration": Switch(
            recomputed="without calibration", told="probabilities as networks state them", only_classes=True,
            metric="log_loss",
        ),
    }
)  # fmt: skip

_TWO_RUNS = "fit twice, with and without it, and `assay compare` the runs"
#: Why practices of a stage cannot be measured so, where nothing else is said of them.
STAGES: Mapping[str, str] = MappingProxyType(
    {
        "read": "it says what the cells are; without it there is no table to learn from",
        "data": "it decides where rows lie, not what they are",
        "audit": "it looks at the data and changes no row",
        "split": "it decides who judges: without it there is no score to compare with",
        "encode": f"it has no option that does without it; where it has one, {_TWO_RUNS}",
        "train": f"it is more than an option of one network; {_TWO_RUNS}",
        "search": f"it is a choice among networks; {_TWO_RUNS}",
        "evaluate": "it measures the model and does not change it",
        "bundle": "it saves the model and does not change it",
        "synthesise": "it is of `assay synthesise`, not of a fit",
    }
)

#: Why single practices of the stages that make a model cannot be measured so.
REASONS: Mapping[str, str] = MappingProxyType(
    {
        "encode.train-only": "without it validation scores are wrong, not better or worse",
        "encode.embeddings": "networks have no other way to read a category",
        "encode.dates": "networks have no other way to read a date",
        "encode.text": "networks that read tables have no other way to read a text",
        "text.ngrams": "it is what `search.text-linear` weighs, and is measured there",
        "text.encoder": f"all rows would have to be read anew; {_TWO_RUNS}: data.encode.text_encoder=none",
        "text.words": "networks of words have no other way to read a text",
        "text.length": "it counts and changes nothing",
        "model.own": "it examines a model and changes nothing",
        "model.unused-parameters": "it is a check",
        "train.seeded": "without it the runs could not be paired",
        "train.lr-find": "it is a check: rates are tested on copies",
        "train.finite": "without it a step that is not finite is the end of the network",
        "train.batch-size": "some batch there must be; `assay tune` tries others",
        "train.threads": "it changes the time alone, not what is learned",
        "train.budget": "it changes the time that is allowed",
        "train.overfitting": "it is a check",
        "train.learns": "it is a check",
        "train.update-ratio": "it is a check",
        "train.dead-units": "it is a check",
        "train.tracked": "it writes down what happens",
        "run.resumable": "it changes nothing that is learned",
        "search.recipes": "it is the choice of networks itself; `assay tune` and `assay bench` compare others",
        "search.folds": f"its gain is in networks for all rows, which only an outer cross-validation sees; {_TWO_RUNS}",
        "search.bagging": f"members and weights change together; {_TWO_RUNS}",
        "search.distillation": f"its cost stands in the ledger with an interval; {_TWO_RUNS}",
        "train.mirroring": "it guards `train.augmentation`, and is measured there",
        "search.forecast-ridge": f"it is a choice between the ridge and networks; {_TWO_RUNS}: ensemble.ridge=false",
        "search.views": "it chooses by validation rows whether there is a gain, and tells of it",
    }
)


def why_not(practice: str, stage: str) -> str | None:
    """Why the practice cannot be switched off; None where it can, or where nobody has said.

    Args:
        practice: its id. stage: of the work.
    """
    if practice in SWITCHES:
        return None
    return REASONS.get(practice) or STAGES.get(stage)
