"""Everything an examination may change, put back afterwards: weights, statistics, modes, optimiser, random numbers."""

from __future__ import annotations

import copy
import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch

from assay.doctor.subject import Subject


class Snapshot:
    """The state of a subject at one moment; `restore` brings it back as often as needed."""

    def __init__(self, subject: Subject) -> None:
        self._subject = subject
        model, optimiser = subject.model, subject.optimiser
        self._tensors = [(tensor, tensor.detach().clone()) for tensor in (*model.parameters(), *model.buffers())]
        self._gradients = [(p, None if p.grad is None else p.grad.clone(), p.requires_grad) for p in model.parameters()]
        self._modes = [(module, module.training) for module in model.modules()]
        self._optimiser = None if optimiser is None else copy.deepcopy(optimiser.state_dict())
        self._torch = torch.get_rng_state()
        self._cuda = torch.cuda.get_rng_state_all() if torch.cuda.is_available() else []
        self._numpy, self._python = np.random.get_state(), random.getstate()
        self._generators = [(each, each.get_state()) for each in _generators(subject)]

    def restore(self) -> None:
        """Put everything back as it was."""
        with torch.no_grad():
            for tensor, kept in self._tensors:
                tensor.copy_(kept)
        for parameter, gradient, learns in self._gradients:
            parameter.requires_grad_(learns)
            parameter.grad = None if gradient is None else gradient.clone()
        for module, mode in self._modes:
            module.training = mode
        if self._subject.optimiser is not None and self._optimiser is not None:
            self._subject.optimiser.load_state_dict(copy.deepcopy(self._optimiser))
        torch.set_rng_state(self._torch)
        if self._cuda:
            torch.cuda.set_rng_state_all(self._cuda)
        np.random.set_state(self._numpy)
        random.setstate(self._python)
        for generator, state in self._generators:
            generator.set_state(state)


def _generators(subject: Subject) -> list[torch.Generator]:
    """Generators of the loaders and their samplers, each once."""
    found: dict[int, torch.Generator] = {}
    for loader in (subject.train, subject.valid, subject.test):
        for owner in (loader, getattr(loader, "sampler", None)):
            each: Any = getattr(owner, "generator", None)
            if isinstance(each, torch.Generator):
                found[id(each)] = each
    return list(found.values())


@contextmanager
def unchanged(subject: Subject) -> Iterator[Snapshot]:
    """Whatever happens inside is undone at the end."""
    snapshot = Snapshot(subject)
    try:
        yield snapshot
    finally:
        snapshot.restore()
