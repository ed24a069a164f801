"""What every network is: M members trained side by side, each as if it were alone.

Shape legend: M members, h heads of a member, n rows, N numbers, X extras, C category columns.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

import torch
from torch import Tensor, nn

_LOWEST = -(1 << 63)
#: Rows that a network is asked at once at most, and numbers of one member's widest layer that are then worked on:
#: 2^17 are 512 kB, which a cache holds. It goes by one member, so that those beside it change not even rounding.
_MOST_ROWS, _NUMBERS_AT_ONCE = 8192, 1 << 17


class Noise:
    """Random bits of each member from a generator of its own.

    A member's bits depend on its seed and on the sizes it asked for, never on the members beside it, so that it ends
    with the same weights, bit for bit, whether it is trained alone or in company.

    strength: factor of all dropout shares, for schedules.
    """

    def __init__(self, members: int) -> None:
        self.strength = 1.0
        self._generators = [torch.Generator() for _ in range(members)]

    def __len__(self) -> int:
        return len(self._generators)

    @property
    def device(self) -> torch.device:
        """Where bits are drawn."""
        return self._generators[0].device

    def seed(self, seeds: Sequence[int]) -> None:
        """Start each member's bits anew from its seed."""
        for generator, seed in zip(self._generators, seeds, strict=True):
            generator.manual_seed(seed)

    def cut(self, places: Sequence[int]) -> None:
        """Keep these members alone, each with its own bits to come."""
        self._generators = [self._generators[place] for place in places]

    def bits(self, shape: Sequence[int]) -> Tensor:
        """16 random bits an entry: int16 of `shape`, whose first axis is M."""
        members, count = shape[0], math.prod(shape[1:])
        words = torch.empty(members, -(-count // 4), dtype=torch.int64, device=self.device)
        for member, generator in zip(words, self._generators, strict=True):
            member.random_(_LOWEST, None, generator=generator)
        return words.view(torch.int16)[:, :count].view(*shape)

    def state(self) -> Tensor:
        """The generators' states, uint8 (M, bytes), from which `restore` goes on with the same bits."""
        return torch.stack([generator.get_state() for generator in self._generators])

    def restore(self, state: Tensor) -> None:
        """Go on from what `state` gave, on the same kind of device."""
        for generator, one in zip(self._generators, state, strict=True):
            generator.set_state(one.clone())  # torch reads a view from the start of its storage, and crashes

    def to(self, device: torch.device | str) -> None:
        """Draw on `device` from now on, each member from the seed it was last given; nothing if it is there already."""
        if torch.device(device).type != self.device.type:
            seeds = [generator.initial_seed() for generator in self._generators]
            self._generators = [torch.Generator(device) for _ in seeds]
            self.seed(seeds)


class Dropout(nn.Module):
    """Dropout (Srivastava et al., JMLR 2014) from 16 random bits a unit, a fifth of the cost of a Bernoulli draw.

    Each member has its share. It is rounded to a 65,536th, and what is kept is scaled by exactly that share.

    factor: what `Network.set_dropout` multiplies shares by here, up to a share of 0.9.

    Shapes: (M * h, ...) to the same.
    """

    _LEVELS = 1 << 16
    _MOST = 0.9

    def __init__(self, share: float, noise: Noise, factor: float = 1.0) -> None:
        super().__init__()
        self.noise, self.factor = noise, factor
        self.shares: tuple[float, ...] = ()
        self.set([share] * len(noise))

    def set(self, shares: Sequence[float]) -> None:
        """Give each member its share, before the factor."""
        self.shares = tuple(min(share * self.factor, max(share, self._MOST)) for share in shares)

    @property
    def is_idle(self) -> bool:
        """Whether nothing is dropped: in evaluation, or where no member has a share."""
        return not self.training or not any(self.shares) or not self.noise.strength

    def forward(self, rows: Tensor) -> Tensor:
        """Drop units while training; the shape stays."""
        if self.is_idle:
            return rows
        members = len(self.shares)
        bits = self.noise.bits((members, rows.numel() // members))
        return rows * self._mask(bits, rows.dtype).view(rows.shape)

    def _mask(self, bits: Tensor, dtype: torch.dtype) -> Tensor:
        """0 where dropped, 1 / (1 - share) where kept, of the shape of `bits` (M, units).

        In floating-point arithmetic throughout: torch compares and multiplies across types several times slower.
        """
        kind = torch.float64 if dtype == torch.float64 else torch.float32
        most = self._LEVELS - 1
        dropped = [min(round(share * self.noise.strength * self._LEVELS), most) for share in self.shares]
        below = [count - self._LEVELS // 2 - 1 for count in dropped]  # the largest bits that are dropped
        scale = [self._LEVELS / (self._LEVELS - count) for count in dropped]
        each = torch.tensor([below, scale], dtype=kind).to(bits.device).unsqueeze(2)
        return bits.to(kind).sub_(each[0]).clamp_(0.0, 1.0).mul_(each[1]).to(dtype)


def rows_in_cache(numbers: int) -> int:
    """`Network.rows_at_once` where the widest layer of one member has so many numbers for a row, all heads together."""
    return rows_within(_NUMBERS_AT_ONCE, numbers)


def rows_within(bound: int, numbers: int, *, least: int = 1, most: int = _MOST_ROWS) -> int:
    """`Network.rows_at_once` with which a layer of `numbers` a row has at most `bound`, all rows together."""
    return max(least, min(most, bound // max(numbers, 1)))


class MemberModule(nn.Module):
    """Base of the parts of a network that learn: every parameter leads with the axis M."""

    def reset(self, generators: Sequence[torch.Generator]) -> None:
        """Initialise each member from its own generator."""
        raise NotImplementedError

    def cut(self, members: int) -> None:
        """Be a part of a network of so many members, fewer than before: what is neither learned nor counted follows."""


class Network(nn.Module):
    """Base of all networks: `members` of them at once, nothing shared between them.

    Every parameter and every learned running statistic leads with the axis M; other buffers are fixed when the network
    is built. A member may hold several heads that share weights and are averaged as further answers (TabM's k).

    starts_at_prior: whether outputs are the prior itself right after `reset`, on any rows, or only near it.
    starts_fitted: whether it starts as a model that was fitted already, which training has to be better than.
    rows_at_once: rows that bound the work space of one call without gradients.
    reads: places of the media (see `Encoded`) it is called with after the codes; most read none.
    shown: what the report says of it beside its name.

    Shapes:
        numbers (n, N) float32, extras (n, X) float32, codes (n, C) int32 or int64; media as their `View` says.
        returns (M * heads, n, outputs): logits or standardised values, member m's heads in rows m * heads and on.
    """

    heads: int = 1
    starts_at_prior: bool = True
    starts_fitted: bool = False
    rows_at_once: int = _MOST_ROWS
    reads: tuple[int, ...] = ()
    shown: str = ""

    def __init__(self, members: int) -> None:
        super().__init__()
        self.members = members
        self.noise = Noise(members)

    @property
    def parameter_count(self) -> int:
        """Learned numbers, all members together."""
        return sum(parameter.numel() for parameter in self.parameters() if parameter.requires_grad)

    def forward(self, numbers: Tensor, extras: Tensor, codes: Tensor) -> Tensor:
        """Compute; see the class for shapes."""
        raise NotImplementedError

    def reset(self, seeds: Sequence[int], prior: Tensor) -> None:
        """Initialise each member from a generator seeded with its seed, and start its noise from there.

        prior: where every member's output starts, (outputs,), or each member's own, (M, outputs).

        Raises:
            ValueError: not one seed a member.
        """
        if len(seeds) != self.members:
            raise ValueError(f"{self.members} members need a seed each, not {len(seeds)} seeds")
        generators = [torch.Generator().manual_seed(seed) for seed in seeds]
        with torch.no_grad():
            self.initialise(generators, prior)
        # Drawn, not reused: weights and dropout masks of one seed would otherwise be made of the same bits.
        self.noise.seed([int(torch.randint(1 << 62, (), generator=generator)) for generator in generators])

    def initialise(self, generators: Sequence[torch.Generator], prior: Tensor) -> None:
        """Draw each member's parameters from its generator, without gradients; `reset` calls it.

        This resets every `MemberModule` in it; a network extends it by what it starts its outputs with.
        """
        for module in self.modules():
            if isinstance(module, MemberModule):
                module.reset(generators)

    def set_dropout(self, shares: Sequence[float]) -> None:
        """Give each member its dropout share, in every Dropout that is not 0 for all."""
        for module in self.modules():
            if isinstance(module, Dropout) and any(module.shares):
                module.set(shares)

    def cut(self, places: Sequence[int]) -> None:
        """Keep the members at these places alone, with their numbers, their noise and their dropout.

        What was a view of other memory before is memory of its own afterwards.
        """
        for owner in self.modules():
            if isinstance(owner, Dropout):
                owner.shares = tuple(owner.shares[place] for place in places)
            elif isinstance(owner, MemberModule):
                owner.cut(len(places))
        for parameter in self.parameters():
            parameter.data = parameter.data[torch.tensor(places, device=parameter.device)]
        for name, statistic in self.statistics().items():
            owner_name, _, own = name.rpartition(".")
            setattr(self.get_submodule(owner_name), own, statistic[torch.tensor(places, device=statistic.device)])
        self.noise.cut(places)
        self.members = len(places)

    def factors(self) -> Mapping[str, tuple[float, float]]:
        """Factors of (learning rate, weight decay) of each parameter by name: matrices decay, vectors do not."""
        return {name: (1.0, float(name.endswith(("weight", "table")))) for name, _ in self.named_parameters()}

    def statistics(self) -> Mapping[str, Tensor]:
        """Learned running statistics by name: buffers called `mean` and `variance`, each leading with M."""
        return {name: buffer for name, buffer in self.named_buffers() if name.endswith((".mean", ".variance"))}

    def lasting_parameters(self) -> Iterator[tuple[str, nn.Parameter]]:
        """All parameters by names that are the same in every process, as checkpoints need them."""
        return self.named_parameters()

    def penalty(self) -> Tensor | None:
        """What the network itself adds to each member's training loss after a forward pass, (M,), or None."""
        return None
