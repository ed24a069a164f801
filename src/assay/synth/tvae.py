"""TVAE: a variational autoencoder of rows.

Source: Xu et al., Modeling Tabular Data using Conditional GAN (NeurIPS 2019), section 4.4: numbers by their modes,
categories as they are; a normal latent, a decoder that says of each number where in which mode it lies (with a learned
deviation) and of each category how likely it is; the evidence lower bound as loss, its reconstruction counted more
than once. One-hot inputs are looked up instead of multiplied, which gives the same sums.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from assay.errors import DivergenceError
from assay.synth.block import Block, Floats, Ints, Layout
from assay.synth.modes import Modes

_HIDDEN, _LATENT = 128, 64
_BATCH, _RATE, _DECAY = 200, 1e-3, 1e-5
#: Passes over the rows, and steps that they may take at most and at least.
_EPOCHS, _MOST_STEPS, _LEAST_STEPS = 200, 12_000, 1500
#: How often the reconstruction counts in the loss. The authors' code takes 2, from which trees learned less.
_RECONSTRUCTION = 5.0
#: Categories of a column that are told apart; the others are drawn by their frequency.
_MOST_CATEGORIES = 1000
#: Rows that are decoded at once.
_AT_ONCE = 10_000


class _Network(nn.Module):
    """Rows to a latent (n, _LATENT) and back; `sizes` of the choices, of modes and of categories, in their order."""

    def __init__(self, numbers: int, sizes: tuple[int, ...]) -> None:
        super().__init__()
        self.sizes = sizes
        self.numbers = numbers
        self.looked_up = nn.EmbeddingBag(max(sum(sizes), 1), _HIDDEN, mode="sum")
        self.first = nn.Parameter(torch.empty(numbers, _HIDDEN).uniform_(-1, 1) / math.sqrt(max(numbers, 1)))
        self.encoder = nn.Sequential(nn.ReLU(), nn.Linear(_HIDDEN, _HIDDEN), nn.ReLU())
        self.mean, self.log_variance = nn.Linear(_HIDDEN, _LATENT), nn.Linear(_HIDDEN, _LATENT)
        self.decoder = nn.Sequential(
            nn.Linear(_LATENT, _HIDDEN), nn.ReLU(), nn.Linear(_HIDDEN, _HIDDEN), nn.ReLU(),
            nn.Linear(_HIDDEN, numbers + sum(sizes)),
        )  # fmt: skip
        self.log_deviation = nn.Parameter(torch.full((numbers,), math.log(0.1)))

    def deviation(self) -> Tensor:
        """How far a number lies from where it is said to lie within its mode, (V,)."""
        return self.log_deviation.clamp(-4.6, 0.0).exp()

    def encode(self, inside: Tensor, places: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log variance of the latent of rows given by (n, V) and by places of their choices, (n, V + C)."""
        hidden = inside @ self.first + self.looked_up(places)
        hidden = self.encoder(hidden)
        return self.mean(hidden), self.log_variance(hidden).clamp(-10.0, 10.0)

    def decode(self, latent: Tensor) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Where numbers lie in their modes, (n, V), and the logits of each choice."""
        out = self.decoder(latent)
        return torch.tanh(out[:, : self.numbers]), out[:, self.numbers :].split(self.sizes, dim=1)


@dataclass(frozen=True)
class _Rare:
    """The categories of a column beyond those told apart: their codes and shares among themselves."""

    codes: Ints
    shares: Floats


@dataclass(frozen=True)
class Tvae:
    """A trained TVAE. `rare` holds the columns with more categories than are told apart, by place."""

    network: _Network
    modes: tuple[Modes, ...]
    rare: dict[int, _Rare]
    told: str

    @classmethod
    def fit(
        cls, block: Block, layout: Layout, *, seed: int, seconds: float | None = None,
        tell: Callable[[int, int], None] = lambda done, of: None,
    ) -> Tvae:  # fmt: skip
        """Train on the rows of `block`.

        Args:
            block: the rows.
            layout: their columns.
            seed: of the weights, the order of rows and the noise.
            seconds: wall time for training; None for as long as all passes take.
            tell: is told of the steps done, and of how many.

        Raises:
            DivergenceError: the loss is not finite.
        """
        modes = tuple(Modes.of(column, seed) for column in block.numbers.T)
        rare = {at: _rare(block.codes[:, at], size) for at, size in enumerate(layout.sizes) if size > _MOST_CATEGORIES}
        sizes = (*map(len, modes), *(min(size, _MOST_CATEGORIES + 1) for size in layout.sizes))
        rows = _rows(block, modes, np.random.default_rng([seed, 1]))
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            network = _Network(len(modes), sizes)
            how = _train(network, rows, seconds, tell)
        learned = sum(parameter.numel() for parameter in network.parameters())
        return cls(network, modes, rare, f"TVAE with {learned:,} parameters, {how}")

    def sample(self, rows: int, rng: np.random.Generator) -> Block:
        """So many new rows."""
        parts = [self._sample(min(_AT_ONCE, rows - at), rng) for at in range(0, rows, _AT_ONCE)]
        return Block(np.concatenate([part.numbers for part in parts]), np.concatenate([part.codes for part in parts]))

    def _sample(self, rows: int, rng: np.random.Generator) -> Block:
        latent = torch.from_numpy(rng.standard_normal((rows, _LATENT)).astype(np.float32))
        with torch.no_grad():
            inside, logits = self.network.decode(latent)
            noise = torch.from_numpy(rng.standard_normal(inside.shape).astype(np.float32))
            inside = inside + noise * self.network.deviation()
        chosen = [_drawn(each.numpy(), rng) for each in logits]
        count = len(self.modes)
        numbers = np.empty((rows, count))
        for at, each in enumerate(self.modes):
            numbers[:, at] = each.write(inside[:, at].numpy().astype(np.float64), chosen[at])
        codes = np.empty((rows, len(chosen) - count), np.int64)
        for at, code in enumerate(chosen[count:]):
            codes[:, at] = code
        for at, rare in self.rare.items():
            pooled = codes[:, at] == _MOST_CATEGORIES
            codes[pooled, at] = rng.choice(rare.codes, int(pooled.sum()), p=rare.shares)
        return Block(numbers, codes)


@dataclass(frozen=True)
class _Rows:
    """Training rows: where in their modes, (n, V) float32; choices, (n, V + C) int64; whether the mode has a width."""

    inside: Tensor
    choices: Tensor
    wide: Tensor


def _rows(block: Block, modes: tuple[Modes, ...], rng: np.random.Generator) -> _Rows:
    inside, wide = np.zeros((2, len(block), len(modes)), np.float32)
    choices = np.empty((len(block), len(modes) + block.codes.shape[1]), np.int64)
    for at, (each, column) in enumerate(zip(modes, block.numbers.T, strict=True)):
        inside[:, at], choices[:, at] = each.read(column, rng)
        wide[:, at] = each.deviation[choices[:, at]] > 0
    choices[:, len(modes) :] = np.minimum(block.codes, _MOST_CATEGORIES)  # the most frequent come first
    return _Rows(torch.from_numpy(inside), torch.from_numpy(choices), torch.from_numpy(wide))


def _rare(codes: Ints, size: int) -> _Rare:
    counts = np.bincount(codes, minlength=size)[_MOST_CATEGORIES:]
    return _Rare(np.arange(_MOST_CATEGORIES, size), counts / counts.sum())


def _drawn(logits: np.ndarray, rng: np.random.Generator) -> Ints:
    """A choice for each row, by its probabilities."""
    gumbel = -np.log(-np.log(rng.uniform(1e-12, 1 - 1e-12, logits.shape)))
    return np.asarray(np.argmax(logits + gumbel, axis=1), np.int64)


def _train(network: _Network, rows: _Rows, seconds: float | None, tell: Callable[[int, int], None]) -> str:
    """Take the steps, the rate falling to 0 by a cosine; in words, what was done."""
    count = len(rows.choices)
    batch = min(_BATCH, count)
    each = max(count // batch, 1)
    steps = max(min(_EPOCHS * each, _MOST_STEPS), _LEAST_STEPS)
    first = torch.tensor(np.cumsum([0, *network.sizes[:-1]]), dtype=torch.int64)
    optimiser = torch.optim.Adam(network.parameters(), lr=_RATE, weight_decay=_DECAY)
    begun, order, done, loss = time.monotonic(), torch.empty(0, dtype=torch.int64), 0, torch.zeros(())
    while done < steps:
        used = time.monotonic() - begun
        if seconds is not None and done and used >= seconds:
            break
        # Under a time limit the rate falls with whatever is nearer to its end: steps or seconds.
        gone = done / steps if seconds is None else max(done / steps, min(used / seconds, 1.0))
        optimiser.param_groups[0]["lr"] = _RATE * 0.5 * (1 + math.cos(math.pi * gone))
        if done % each == 0:
            order = torch.randperm(count)
        taken = order[(done % each) * batch : (done % each + 1) * batch]
        loss = _loss(network, rows.inside[taken], rows.choices[taken], rows.wide[taken], first)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        done += 1
        tell(done, steps)
    if not math.isfinite(float(loss.detach())):
        raise DivergenceError(
            "a TVAE must have a finite loss",
            f"it had none after {done:,} steps",
            "Take --method copula, or look for numbers of absurd size in the table.",
        )
    short = "" if done == steps else f" of {steps:,}, stopped by the budget"
    return f"{done:,} steps of {batch:,} rows{short}, loss {float(loss.detach()):.3f}"


def _loss(network: _Network, inside: Tensor, choices: Tensor, wide: Tensor, first: Tensor) -> Tensor:
    """The negative evidence lower bound of the rows, a mean over them; its reconstruction counts more."""
    mean, log_variance = network.encode(inside, choices + first)
    latent = mean + torch.randn_like(mean) * torch.exp(0.5 * log_variance)
    told, logits = network.decode(latent)
    deviation = network.deviation()
    gaussian = 0.5 * ((inside - told) / deviation) ** 2 + deviation.log()
    reconstruction = (gaussian * wide).sum()
    for at, each in enumerate(logits):
        reconstruction = reconstruction + nn.functional.cross_entropy(each, choices[:, at], reduction="sum")
    divergence = 0.5 * (mean**2 + log_variance.exp() - 1 - log_variance).sum()
    return (_RECONSTRUCTION * reconstruction + divergence) / len(inside)
