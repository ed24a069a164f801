"""Options of the training loop."""

from __future__ import annotations

from pydantic import Field

from assay.records import Record


class TrainConfig(Record):
    """The training loop: AdamW, cosine schedule with warm-up, clipping, early stopping."""

    epochs: int = Field(60, ge=1, le=10_000, description="Most passes over the training rows.")
    batch: int = Field(256, ge=1, description="Rows a step.")
    lr: float = Field(2e-3, gt=0.0, le=10.0, description="Highest learning rate.")
    warmup: float = Field(0.05, ge=0.0, lt=1.0, description="Share of the steps in which the learning rate rises.")
    weight_decay: float = Field(1e-2, ge=0.0, description="Decoupled weight decay (L2); biases and norms are exempt.")
    l1: float = Field(0.0, ge=0.0, description="L1 penalty on weights.")
    label_smoothing: float = Field(0.0, ge=0.0, lt=1.0, description="Label smoothing of classes.")
    clip_norm: float = Field(1.0, ge=0.0, description="Largest norm of a member's gradient; 0 switches clipping off.")
    patience: int = Field(10, ge=1, description="Epochs without a better validation loss before training stops.")
    threads: int = Field(0, ge=0, description="CPU threads; 0 lets assay choose.")
