"""A subject under examination: its rows as arrays, a few batches, and how much time is left."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from assay.doctor.forest_statistics import out_of_fold
from assay.doctor.sample import Sample, read
from assay.doctor.state import Snapshot
from assay.doctor.subject import Batch, Subject, answers, device_of
from assay.doctor.training import Trace, train
from assay.errors import ConfigError
from assay.train.budget import Budget

#: A rule's number and what it says in words, or why there is none.
Measured = tuple[float, str] | str
Check = Callable[["Case"], Measured]
#: Shares of the time for reading rows and for the short training.
_READING, _TRAINING = 0.15, 0.4
#: Rows that a forest learns from at most, and rows below which parts are not compared.
_FOREST_ROWS, FEW = 1200, 60
#: Rows of the batch that questions about single rows are asked with.
_FEW = 32


class Case:
    """A subject, and what was read of it once and is used by many rules."""

    def __init__(self, subject: Subject, budget: Budget, steps: int) -> None:
        self.brought_optimiser = subject.optimiser is not None
        self.device = device_of(subject.model)
        learning = [p for p in subject.model.parameters() if p.requires_grad]
        if not learning:
            raise ConfigError(
                "a model must have parameters that learn", "none has requires_grad", "Check what was frozen."
            )
        if subject.optimiser is None:
            subject = replace(subject, optimiser=torch.optim.Adam(learning, 1e-3))
        self.subject, self.model, self.budget, self.steps = subject, subject.model, budget, steps
        self.snapshot = Snapshot(subject)
        # What several rules ask for and one of them finds out: losses by rate, and a batch learned by heart.
        self.rates: dict[float, float] = {}
        self.learned: object = None

    @cached_property
    def train(self) -> Sample:
        """Rows of the training loader."""
        sample = read(self.subject.train, self.device, self.budget.part(_READING))
        if not len(sample):
            raise ConfigError("train must yield rows", "it yielded none", "Check the loader.")
        return sample

    @cached_property
    def valid(self) -> Sample | None:
        """Rows of the validation loader; None without one, or without rows."""
        return self._judging("valid")

    @cached_property
    def test(self) -> Sample | None:
        """Rows of the test loader; None without one, or without rows."""
        return self._judging("test")

    def _judging(self, name: str) -> Sample | None:
        loader = getattr(self.subject, name)
        sample = None if loader is None else read(loader, self.device, self.budget.part(_READING))
        return sample if sample is not None and len(sample) else None

    @cached_property
    def few(self) -> Batch:
        """The first rows of training: at most 32."""
        return self.train.kept[0].rows(slice(0, _FEW))

    @cached_property
    def others(self) -> Batch:
        """As many rows as `few`, others where there are, of the same form."""
        last = self.train.kept[-1]
        rows = last if len(last) >= len(self.few) else self.train.kept[0]
        return rows.rows(slice(len(rows) - len(self.few), len(rows)))

    @cached_property
    def first_answers(self) -> Tensor:
        """The untrained model's answers to `few`, in eval mode."""
        self.model.eval()
        with torch.no_grad():
            return answers(self.model, self.few)

    @cached_property
    def unseen(self) -> tuple[NDArray[Any], NDArray[np.float64]] | str:
        """Targets, and a forest's answers to rows it did not learn from; or why there are none."""
        sample = self.train
        if sample.targets is None or len(sample) < FEW:
            return "a row has several targets" if sample.targets is None else "too few rows to tell"
        inputs, targets = sample.narrow, sample.targets
        order = np.random.default_rng(0).permutation(len(inputs))[:_FOREST_ROWS]
        inputs, targets = inputs[order], targets[order]
        if not sample.classes:
            return out_of_fold(inputs, np.nan_to_num(targets.astype(np.float64)), classes=False)
        names, counts = np.unique(targets, return_counts=True)
        kept = np.isin(targets, names[counts >= 5])
        if (counts >= 5).sum() < 2:
            return "there are not two classes of five rows"
        return out_of_fold(inputs[kept], targets[kept], classes=True)

    @property
    def done(self) -> int:
        """Steps of the short training, if it was run."""
        return self.__dict__["trace"].steps if "trace" in self.__dict__ else 0

    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """The subject's loss."""
        return self.subject.loss(outputs, targets)

    @cached_property
    def trace(self) -> Trace:
        """The short training: run once, on first use, and undone."""
        self.snapshot.restore()
        traced = train(self.subject, self.train, self.valid, steps=self.steps, budget=self.budget.part(_TRAINING))
        self.snapshot.restore()
        return traced
