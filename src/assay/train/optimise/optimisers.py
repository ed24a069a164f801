"""Optimisers on the matrix of all members' parameters: each member has a rate, a decay and a state of its own.

Written here rather than taken from `torch.optim`, because there a rate belongs to whole tensors, and because its fused
kernels round differently where a tensor ends, so that a member trained in company would not equal one trained alone.
Parity with `torch.optim` is tested.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Protocol

import torch
from torch import Tensor

from assay.train.config import TrainConfig
from assay.train.optimise.flat import Flat

Factors = Mapping[str, tuple[float, float]]
#: A number for all members, or float64 (M, 1) with one for each.
Each = float | Tensor

#: Coefficients and rounds of the Newton-Schulz iteration of Muon.
_QUINTIC, _ROUNDS = (3.4445, -4.7750, 2.0315), 5


class Optimiser(Protocol):
    """What turns the gradient into a step. `state` names every tensor that a resumed run needs."""

    steps: int

    def step(self, rate: Each, ease: float) -> None:
        """Step with the members' rates times `rate` and their decays times `ease`."""

    def state(self) -> dict[str, Tensor]:
        """The tensors to save; `restore` copies them back."""

    def restore(self, state: Mapping[str, Tensor], steps: int) -> None:
        """Go on from `state` after `steps` steps."""


class OnMatrix:
    """Rates and decays of each member and column, and the state of an optimiser."""

    def __init__(
        self, flat: Flat, factors: Factors, rates: Sequence[float], decays: Sequence[float], slots: Sequence[str]
    ) -> None:
        self.flat, self.steps = flat, 0
        self.slots = {slot: torch.zeros_like(flat.weights) for slot in slots}
        rate_factor, decay_factor = (
            flat.row(lambda name, _, place=place: factors.get(name, (1.0, 0.0))[place])  # type: ignore[misc]
            for place in (0, 1)
        )
        column = torch.tensor(rates, dtype=flat.weights.dtype, device=flat.weights.device).view(-1, 1)
        # Broadcast from a column where all parameters learn alike: one stream of memory less a step.
        plain = bool((rate_factor == 1.0).all())
        self.rate = column if plain else column * rate_factor
        decay = torch.tensor(decays, dtype=column.dtype, device=column.device).view(-1, 1)
        self.shrink = column * rate_factor * decay * decay_factor if any(decays) else None
        self._room = torch.empty_like(flat.weights)

    def step(self, rate: Each, ease: float) -> None:
        """See `Optimiser`."""
        self.steps += 1
        weights = self.flat.weights
        if self.shrink is not None:
            if isinstance(rate, Tensor):
                part = torch.mul(weights, self._cast(rate * ease), out=self._room)
                weights.addcmul_(part, self.shrink, value=-1.0)
            else:
                weights.addcmul_(weights, self.shrink, value=-rate * ease)
        self._move(rate)

    def _move(self, rate: Each) -> None:
        raise NotImplementedError

    def _along(self, direction: Tensor, times: Each) -> None:
        """Move the weights along `direction`, (M, P), by the members' rates times `times`."""
        if isinstance(times, Tensor):
            direction, times = torch.mul(direction, self._cast(times), out=self._room), 1.0
        self.flat.weights.addcmul_(direction, self.rate, value=-times)

    def _cast(self, each: Tensor) -> Tensor:
        return each.to(self.flat.weights)

    def narrow(self, index: Tensor) -> None:
        """Keep these members alone, as `flat` has before this."""
        self.slots = {slot: tensor[index] for slot, tensor in self.slots.items()}
        self.rate = self.rate[index]
        self.shrink = None if self.shrink is None else self.shrink[index]
        self._room = torch.empty_like(self.flat.weights)

    def state(self) -> dict[str, Tensor]:
        """See `Optimiser`."""
        return dict(self.slots)

    def restore(self, state: Mapping[str, Tensor], steps: int) -> None:
        """See `Optimiser`."""
        self.steps = steps
        for slot, tensor in self.slots.items():
            tensor.copy_(state[slot])


class Adam(OnMatrix):
    """Adam (Kingma & Ba, ICLR 2015), with decoupled decay AdamW (Loshchilov & Hutter, ICLR 2019, algorithm 2)."""

    def __init__(
        self,
        flat: Flat,
        factors: Factors,
        rates: Sequence[float],
        decays: Sequence[float],
        *,
        betas: tuple[Each, Each] = (0.9, 0.999),
        epsilon: float = 1e-8,
        slots: Sequence[str] = ("mean", "square"),
    ) -> None:
        super().__init__(flat, factors, rates, decays, slots)
        self.betas, self.epsilon = betas, epsilon

    def narrow(self, index: Tensor) -> None:
        """See `OnMatrix`."""
        super().narrow(index)
        first, second = (beta[index.cpu()] if isinstance(beta, Tensor) else beta for beta in self.betas)
        self.betas = first, second

    def _move(self, rate: Each) -> None:
        self._move_by(self._direction(), rate)

    def _direction(self) -> Tensor:
        """The mean gradient over its root mean square, bias-corrected but for a factor; in the work space."""
        gradient, mean, square = self.flat.gradient, self.slots["mean"], self.slots["square"]
        first, second = self.betas
        mean.lerp_(gradient, self._cast(1.0 - first) if isinstance(first, Tensor) else 1.0 - first)
        if isinstance(second, Tensor):
            part = torch.mul(gradient, self._cast(1.0 - second), out=self._room)
            square.mul_(self._cast(second)).addcmul_(part, gradient)
        else:
            square.mul_(second).addcmul_(gradient, gradient, value=1.0 - second)
        torch.sqrt(square, out=self._room)
        least = self.epsilon * _root(1.0 - second**self.steps)
        self._room.add_(self._cast(least) if isinstance(least, Tensor) else least)
        return torch.div(mean, self._room, out=self._room)

    def _move_by(self, direction: Tensor, rate: Each) -> None:
        first, second = self.betas
        self._along(direction, rate * (_root(1.0 - second**self.steps) / (1.0 - first**self.steps)))


class Sgd(OnMatrix):
    """Gradient descent, with momentum (Polyak, 1964) or Nesterov's (Sutskever et al., ICML 2013), as torch's SGD."""

    def __init__(
        self,
        flat: Flat,
        factors: Factors,
        rates: Sequence[float],
        decays: Sequence[float],
        *,
        momentum: float = 0.9,
        nesterov: bool = False,
    ) -> None:
        super().__init__(flat, factors, rates, decays, ("velocity",) if momentum else ())
        self.momentum, self.nesterov = momentum, nesterov

    def _move(self, rate: Each) -> None:
        direction = self.flat.gradient
        if self.momentum:
            velocity = self.slots["velocity"].mul_(self.momentum).add_(direction)
            direction = direction.add_(velocity, alpha=self.momentum) if self.nesterov else velocity
        self._along(direction, rate)


class RmsProp(OnMatrix):
    """RMSProp (Tieleman & Hinton, Coursera lecture 6.5, 2012), as torch's."""

    def __init__(
        self,
        flat: Flat,
        factors: Factors,
        rates: Sequence[float],
        decays: Sequence[float],
        *,
        alpha: float = 0.99,
        momentum: float = 0.0,
        epsilon: float = 1e-8,
    ) -> None:
        super().__init__(flat, factors, rates, decays, ("square", "velocity") if momentum else ("square",))
        self.alpha, self.momentum, self.epsilon = alpha, momentum, epsilon

    def _move(self, rate: Each) -> None:
        gradient, square = self.flat.gradient, self.slots["square"]
        square.mul_(self.alpha).addcmul_(gradient, gradient, value=1.0 - self.alpha)
        torch.sqrt(square, out=self._room).add_(self.epsilon)
        direction = torch.div(gradient, self._room, out=self._room)
        if self.momentum:
            direction = self.slots["velocity"].mul_(self.momentum).add_(direction)
        self._along(direction, rate)


class Muon(Adam):
    """Muon (Jordan et al., 2024) for the matrices of hidden layers, AdamW for everything else.

    A matrix steps along the orthogonal factor of its momentum, found by five Newton-Schulz iterations, scaled to the
    size of an AdamW step (Liu et al., Muon is Scalable for LLM Training, 2025, section 2.2), so that one rate serves
    both.
    `matrices` are the places of the parameters (M, a, b) that count as hidden.
    """

    def __init__(
        self,
        flat: Flat,
        factors: Factors,
        rates: Sequence[float],
        decays: Sequence[float],
        *,
        matrices: Sequence[int],
        momentum: float = 0.95,
        nesterov: bool = True,
        betas: tuple[float, float] = (0.9, 0.999),
        epsilon: float = 1e-8,
    ) -> None:
        super().__init__(
            flat, factors, rates, decays, betas=betas, epsilon=epsilon, slots=("mean", "square", "velocity")
        )
        self.momentum, self.nesterov, self.matrices = momentum, nesterov, matrices

    def _move(self, rate: Each) -> None:
        first, second = self.betas
        assert not isinstance(first, Tensor)
        assert not isinstance(second, Tensor)
        gradient = self.flat.gradient
        velocity = self.slots["velocity"].lerp_(gradient, 1.0 - self.momentum)
        looked_ahead = torch.lerp(gradient, velocity, self.momentum) if self.nesterov else velocity
        direction = self._direction()
        undone = (1.0 - first**self.steps) / math.sqrt(1.0 - second**self.steps)
        for place in self.matrices:
            columns, shape = self.flat.columns[place], self.flat.named[place][1].shape
            matrix = looked_ahead[:, columns].view(shape)
            scale = 0.2 * math.sqrt(max(shape[-2:])) * undone  # `_move_by` multiplies Adam's correction in again
            direction[:, columns] = (orthogonal(matrix) * scale).view(len(direction), -1)
        self._move_by(direction, rate)


def orthogonal(matrices: Tensor) -> Tensor:
    """The orthogonal factor of each matrix (..., a, b), nearly: singular values between 0.7 and 1.2 (Jordan, 2024)."""
    wide = matrices.shape[-2] <= matrices.shape[-1]
    found = matrices if wide else matrices.mT
    found = found / torch.linalg.matrix_norm(found, keepdim=True).clamp_min(1e-7)
    a, b, c = _QUINTIC
    for _ in range(_ROUNDS):
        gram = found @ found.mT
        found = a * found + (b * gram + c * gram @ gram) @ found
    turned: Tensor = found if wide else found.mT
    return turned


def _root(number: Each) -> Each:
    return number.sqrt() if isinstance(number, Tensor) else math.sqrt(number)


def each_of(numbers: Sequence[float]) -> Each:
    """The number that all members have, or those of each, float64 (M, 1)."""
    return numbers[0] if len(set(numbers)) == 1 else torch.tensor(numbers, dtype=torch.float64).view(-1, 1)


def build_optimiser(
    flat: Flat,
    config: TrainConfig,
    factors: Factors,
    rates: Sequence[float],
    decays: Sequence[float],
    own: Sequence[TrainConfig] = (),
) -> Optimiser:
    """The optimiser that `config` names.

    Args:
        flat: the parameters.
        config: names and constants.
        factors: of a parameter's rate and decay, by its name.
        rates: highest learning rate of each member.
        decays: decoupled weight decay of each member.
        own: options of each member, of which Adam takes the betas.
    """
    betas = _or(config.beta1, 0.9), _or(config.beta2, 0.999)
    epsilon = _or(config.epsilon, 1e-8)
    if config.optimiser == "sgd":
        momentum = _or(config.momentum, 0.9)
        return Sgd(flat, factors, rates, decays, momentum=momentum, nesterov=bool(config.nesterov))
    if config.optimiser == "rmsprop":
        alpha, momentum = _or(config.alpha, 0.99), _or(config.momentum, 0.0)
        return RmsProp(flat, factors, rates, decays, alpha=alpha, momentum=momentum, epsilon=epsilon)
    if config.optimiser == "muon":
        return Muon(
            flat, factors, rates, decays, matrices=_hidden(flat, factors), momentum=_or(config.momentum, 0.95),
            nesterov=config.nesterov is not False, betas=betas, epsilon=epsilon,
        )  # fmt: skip
    own = own or (config,)
    first, second = each_of([_or(one.beta1, 0.9) for one in own]), each_of([_or(one.beta2, 0.999) for one in own])
    return Adam(flat, factors, rates, decays, betas=(first, second), epsilon=epsilon)


def _or(value: float | None, otherwise: float) -> float:
    return otherwise if value is None else value


def _hidden(flat: Flat, factors: Factors) -> list[int]:
    """Places of the matrices (M, a, b) that Muon steps: neither embeddings nor the last layer."""
    decayed = [
        place
        for place, (name, parameter) in enumerate(flat.named)
        if parameter.ndim == 3 and factors.get(name, (1.0, 0.0))[1] and name.endswith("weight")
    ]
    return decayed[:-1]
