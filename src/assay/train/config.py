"""Options of the training loop."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from assay.records import Record, Searched
from assay.train.augment.image_policy import ImagePolicy
from assay.train.augment.series_policy import SeriesPolicy

OptimiserName = Literal["adamw", "adam", "sgd", "rmsprop", "muon"]
ScheduleName = Literal[
    "constant", "step", "multistep", "exponential", "cosine", "restarts", "one_cycle", "plateau", "coslog4",
    "flat_cosine",
]  # fmt: skip
DeviceName = Literal["auto", "cpu", "cuda", "mps"]
BalanceName = Literal[
    "auto", "none", "weights", "effective", "focal", "sample", "oversample", "undersample", "smote", "borderline"
]
FairnessName = Literal["none", "reweigh", "group_dro", "equalised_odds"]
Select = Literal["loss", "metric", "refinement"]
PrecisionName = Literal["auto", "float32", "bfloat16", "float16"]

#: Ways of training that look at the groups of rows step by step.
ON_GROUPS = ("group_dro", "equalised_odds")
#: Options that belong to some of them, to some optimisers or to some schedules only, and to which.
FAIRNESS_OF = {"fairness_weight": ON_GROUPS}
OPTIMISERS_OF = {
    "momentum": ("sgd", "rmsprop", "muon"),
    "nesterov": ("sgd", "muon"),
    "beta1": ("adamw", "adam", "muon"),
    "beta2": ("adamw", "adam", "muon"),
    "alpha": ("rmsprop",),
    "epsilon": ("adamw", "adam", "rmsprop", "muon"),
    "weight_decay": ("adamw", "sgd", "rmsprop", "muon"),
}
SCHEDULES_OF = {
    "gamma": ("step", "multistep", "exponential", "plateau"),
    "step_share": ("step",),
    "milestones": ("multistep",),
    "cycles": ("restarts",),
    "plateau_patience": ("plateau",),
}


class TrainConfig(Record):
    """The training loop: optimiser, schedule, stability, regularisation, and what is kept."""

    epochs: Annotated[int, Searched(choices=(10, 20, 40, 60, 100, 160, 256))] = Field(
        60, ge=1, le=100_000, description="Most passes over the training rows."
    )
    batch: Annotated[
        Annotated[int, Field(ge=1)] | Literal["auto", "full"], Searched(choices=("auto", 64, 128, 256, 512, 1024))
    ] = Field("auto", description="Rows a step: 1 takes them one by one, full takes all; auto fits rows and memory.")
    accumulate: int = Field(1, ge=1, le=4096, description="Batches whose gradients are added up for one step.")
    # Optimiser.
    optimiser: OptimiserName = Field("adamw", description="How gradients become steps.")
    lr: Annotated[float, Searched(1e-4, 1e-1, "log", around=16.0, main=True)] = Field(
        2e-3, gt=0.0, le=100.0, description="Highest learning rate."
    )
    lr_find: bool = Field(
        False, description="Test rates on a copy of each network first, and report what they suggest."
    )
    momentum: Annotated[float | None, Searched(choices=(0.0, 0.8, 0.9, 0.95, 0.98))] = Field(
        None, ge=0.0, lt=1.0, description="Momentum of sgd (none: 0.9), rmsprop, muon (0.95)."
    )
    nesterov: bool | None = Field(None, description="Nesterov's momentum of sgd (none: false), muon (none: true).")
    beta1: Annotated[float | None, Searched(choices=(0.8, 0.9, 0.95))] = Field(
        None, ge=0.0, lt=1.0, description="Decay of the mean gradient (Adam; none: 0.9)."
    )
    beta2: Annotated[float | None, Searched(choices=(0.9, 0.95, 0.98, 0.99, 0.999))] = Field(
        None, ge=0.0, lt=1.0, description="Decay of the mean square (Adam; none: 0.999)."
    )
    alpha: Annotated[float | None, Searched(choices=(0.9, 0.95, 0.99))] = Field(
        None, ge=0.0, lt=1.0, description="Decay of the mean square (rmsprop; none: 0.99)."
    )
    epsilon: Annotated[float | None, Searched(1e-9, 1e-3, "log")] = Field(
        None, gt=0.0, le=1.0, description="Added to the root of the mean square (none: 1e-8)."
    )
    # Schedule.
    schedule: ScheduleName = Field("cosine", description="How the learning rate moves after the warm-up.")
    warmup: Annotated[float, Searched(0.0, 0.3)] = Field(
        0.05, ge=0.0, lt=1.0, description="Share of the steps in which the learning rate rises."
    )
    gamma: Annotated[float, Searched(0.01, 0.9, "log")] = Field(
        0.1, gt=0.0, lt=1.0, description="Factor at a step, a milestone or a plateau; at the end of exponential."
    )
    step_share: Annotated[float, Searched(0.1, 0.5)] = Field(
        0.3, gt=0.0, lt=1.0, description="Share of the steps between two falls (step)."
    )
    milestones: tuple[float, ...] = Field(
        (0.5, 0.75), description="Shares of the steps at which the rate falls (multistep)."
    )
    cycles: Annotated[int, Searched(choices=(1, 2, 3, 4, 6))] = Field(
        3, ge=1, le=1000, description="Cosines one after another (restarts)."
    )
    plateau_patience: int = Field(5, ge=1, description="Epochs without a better loss before the rate falls (plateau).")
    # Stability.
    clip_norm: Annotated[float, Searched(choices=(0.0, 0.5, 1.0, 2.0, 5.0))] = Field(
        1.0, ge=0.0, description="Largest norm of a member's gradient; 0 switches clipping off."
    )
    clip_value: float = Field(0.0, ge=0.0, description="Largest size of one number of the gradient; 0 switches it off.")
    clip_adaptive: float = Field(
        0.0, ge=0.0, description="Largest norm of a unit's gradient as a share of its weights' norm; 0 switches it off."
    )
    skip_limit: int = Field(
        10, ge=0, description="Steps with a gradient that is not finite that are skipped before training stops."
    )
    precision: PrecisionName = Field("auto", description="Arithmetic of the products; auto takes what is fastest here.")
    # Regularisation.
    weight_decay: Annotated[float, Searched(1e-6, 1e-1, "log", around=100.0, main=True)] = Field(
        1e-2, ge=0.0, description="Decoupled weight decay; biases and norms are exempt."
    )
    l2: Annotated[float, Searched(1e-8, 1e-2, "log")] = Field(
        0.0, ge=0.0, description="L2 penalty on weights, half the square, within the gradient."
    )
    l1: Annotated[float, Searched(1e-8, 1e-2, "log")] = Field(0.0, ge=0.0, description="L1 penalty on weights.")
    easing: Literal["constant", "flat_cosine"] = Field(
        "constant", description="How weight decay and dropout move: constant, or to zero over the second half."
    )
    label_smoothing: Annotated[float, Searched(0.0, 0.2)] = Field(
        0.0, ge=0.0, lt=1.0, description="Label smoothing of classes."
    )
    balance: Annotated[BalanceName, Searched(choices=("none", "weights", "effective", "focal"))] = Field(
        "auto",
        description="What is done for rare classes: weights of classes or of their effective numbers; focal, a loss of "
        "hard rows; epochs with as many rows of each class, drawn, repeated or made between neighbours (smote; "
        "borderline, of rows near other classes alone); auto takes what folds gain by where a class is rare.",
    )
    focal_gamma: Annotated[float, Searched(0.5, 5.0)] = Field(
        2.0, gt=0.0, le=10.0, description="Exponent of the focal loss."
    )
    mixup: Annotated[float, Searched(0.0, 1.0)] = Field(
        0.0, ge=0.0, le=10.0, description="Alpha of mixup on rows, their pictures and series too; 0 switches it off."
    )
    cutmix: Annotated[float, Searched(0.0, 1.0)] = Field(
        0.0, ge=0.0, le=10.0, description="Alpha of CutMix on pictures; 0 switches it off."
    )
    ema: Annotated[float, Searched(choices=(0.0, 0.9, 0.99, 0.995, 0.999))] = Field(
        0.0, ge=0.0, lt=1.0, description="Decay of a running mean of the weights that is tested and kept; 0 is off."
    )
    swa: Annotated[float, Searched(choices=(0.0, 0.1, 0.25, 0.5))] = Field(
        0.0, ge=0.0, lt=1.0, description="Share of the training, at its end, whose weights are averaged; 0 is off."
    )
    patience: int = Field(10, ge=1, description="Epochs without a better validation loss before a member stops.")
    select: Select = Field(
        "loss",
        description="What the kept epoch is best in: the validation loss, or of classes the error rate (metric) or the "
        "loss at the temperature that suits them (refinement).",
    )
    # Groups of sensitive columns.
    fairness: FairnessName = Field(
        "none",
        description="What training does about sensitive groups: reweigh rows, the worst group's loss (group_dro), a "
        "penalty on gaps of TPR and FPR (equalised_odds).",
    )
    fairness_weight: Annotated[float, Searched(0.1, 10.0, "log")] = Field(
        1.0, gt=0.0, le=1000.0, description="Weight of the penalty of equalised_odds; pace of group_dro."
    )
    fairness_compare: bool = Field(
        True, description="Train the same without train.fairness, too, in half of the time, and report what it costs."
    )
    # Changes of training rows, on top of those that model.augment names.
    pictures: ImagePolicy = ImagePolicy()
    series: SeriesPolicy = SeriesPolicy()
    # Where and how often.
    device: DeviceName = Field(
        "auto", description="Where training computes; auto takes an accelerator where there is one."
    )
    threads: int = Field(
        0, ge=0, description="CPU threads; 0 times one against all, and looks again where steps become slow."
    )
    checkpoint_every: float = Field(
        30.0, ge=0.0, description="Seconds between checkpoints; 0 writes one after each step."
    )

    @model_validator(mode="after")
    def _options_fit_together(self) -> TrainConfig:
        # A value at its default asks for nothing: records with every value in them must load as well.
        asked = {name for name, field in type(self).model_fields.items() if getattr(self, name) != field.default}
        for name, owners in OPTIMISERS_OF.items():
            if name in asked and self.optimiser not in owners and getattr(self, name) != 0.0:
                raise ValueError(f"{name} is an option of {', '.join(owners)}, not of {self.optimiser}")
        for name, owners in SCHEDULES_OF.items():
            if name in asked and self.schedule not in owners:
                raise ValueError(f"{name} is an option of the schedule {', '.join(owners)}, not of {self.schedule}")
        if "focal_gamma" in asked and self.balance != "focal":
            raise ValueError(f"focal_gamma is an option of balance=focal, not of {self.balance}")
        if self.nesterov and self.momentum == 0.0:
            raise ValueError("nesterov needs a momentum above 0")
        if self.ema and self.swa:
            raise ValueError("ema and swa both average the weights; choose one")
        if list(self.milestones) != sorted(set(self.milestones)) or not all(0.0 < m < 1.0 for m in self.milestones):
            raise ValueError(f"milestones must rise between 0 and 1 (got {self.milestones})")
        if self.fairness not in ON_GROUPS and "fairness_weight" in asked:
            raise ValueError(f"fairness_weight is of {' and '.join(ON_GROUPS)}: set fairness to one of them")
        if self.fairness in ON_GROUPS and self.balance not in ("auto", "none"):
            raise ValueError(f"{self.fairness} has a loss of its own: leave balance={self.balance} out")
        if self.fairness in ON_GROUPS and self.mixes:
            raise ValueError(f"mixed rows have no group of their own: leave mixup and cutmix out of {self.fairness}")
        if self.batch == "full" and self.accumulate > 1:
            raise ValueError("a full batch leaves nothing to accumulate")
        return self

    @property
    def decay(self) -> float:
        """Decoupled weight decay as it is applied: plain Adam has none."""
        return 0.0 if self.optimiser == "adam" else self.weight_decay

    @property
    def mixes(self) -> bool:
        """Whether rows are mixed with each other."""
        return self.mixup > 0.0 or self.cutmix > 0.0
