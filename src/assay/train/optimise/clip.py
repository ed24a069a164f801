"""What is done to the gradient between the backward pass and the step."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from assay.train.config import TrainConfig
from assay.train.optimise.flat import Flat

#: Norm of a unit's weights below which the adaptive limit takes this instead (Brock et al., 2021).
_LEAST_NORM = 1e-3


class GradientGuard:
    """Penalties, checks and clipping of each member's gradient; counts what it did, without reading it in a step."""

    def __init__(self, flat: Flat, config: TrainConfig, decayed: Tensor, limits: Sequence[float] = ()) -> None:
        """`decayed`: 1 where a penalty applies, (1, P); `limits`: of each member's norm, 0 for none."""
        self.flat, self.config = flat, config
        self._limit: float | Tensor = limits[0] if limits else config.clip_norm
        if len(set(limits)) > 1:
            each = torch.tensor(limits, dtype=flat.weights.dtype, device=flat.weights.device)
            self._limit = torch.where(each > 0.0, each, torch.inf)
        self._decayed = decayed > 0 if config.l1 or config.l2 else None
        self.clipped = torch.zeros((), dtype=torch.float64, device=flat.weights.device)
        self.skipped = torch.zeros(flat.members, dtype=torch.int64, device=flat.weights.device)
        self._is_host, self._saw_bad = flat.weights.device.type == "cpu", False

    @property
    def gave_up(self) -> bool:
        """Whether every member has had more steps skipped than are allowed; on a device it is asked once an epoch."""
        return self._is_host and self._saw_bad and int(self.skipped.min()) > self.config.skip_limit

    def narrow(self, index: Tensor) -> None:
        """Keep these members alone, as `flat` has before this."""
        self.skipped = self.skipped[index]
        self._limit = self._limit[index] if isinstance(self._limit, Tensor) else self._limit

    def __call__(self, losses: Tensor) -> tuple[Tensor, bool]:
        """Treat the gathered gradient; `losses` (M,) are those it came from.

        Returns:
            Each member's norm before clipping, (M,), and whether any member may step. A member whose loss or gradient
            is not finite gets a zero gradient and is counted.
        """
        norms = self.flat.norms()
        # On the host a look is free, and a step without a fault needs no mask; elsewhere the mask is applied unseen.
        if self._is_host and math.isfinite(float((losses + norms).sum())):
            return self._treat(norms), True
        finite = losses.isfinite() & norms.isfinite()
        self._saw_bad = True
        self.skipped += ~finite
        self.flat.gradient.copy_(torch.where(finite.view(-1, 1), self.flat.gradient, 0.0))
        if self._is_host and not bool(finite.any()):
            return norms, False
        return self._treat(norms), True

    def _treat(self, norms: Tensor) -> Tensor:
        """Penalties and the limits that were asked for; the norms as they were."""
        self._penalise()
        if self.config.clip_value:
            self.flat.gradient.clamp_(-self.config.clip_value, self.config.clip_value)
        if self.config.clip_adaptive:
            self._clip_units()
        if isinstance(self._limit, Tensor) or self._limit:
            self._clip_members(norms)
        return norms

    def _penalise(self) -> None:
        """The gradients of the L2 and the L1 penalty (its subgradient 0 at 0)."""
        if self._decayed is None:
            return
        weights = self.flat.weights * self._decayed
        if self.config.l2:
            self.flat.gradient.add_(weights, alpha=self.config.l2)
        if self.config.l1:
            self.flat.gradient.add_(weights.sign(), alpha=self.config.l1)

    def _clip_members(self, norms: Tensor) -> None:
        """Scale each member's gradient to at most `clip_norm` (Pascanu et al., ICML 2013)."""
        over = norms > self._limit
        if self._is_host and not bool(over.any()):
            return
        self.clipped += over.sum() / len(norms)
        factors = (self._limit / (norms + 1e-6)).clamp(max=1.0).nan_to_num(nan=1.0)
        self.flat.gradient.mul_(factors.unsqueeze(1))

    def _clip_units(self) -> None:
        """Adaptive clipping of each unit of each matrix (Brock et al., NFNets, ICML 2021, eq. 3)."""
        for (_, parameter), columns in zip(self.flat.named, self.flat.columns, strict=True):
            if parameter.ndim < 3:
                continue
            gradient = self.flat.gradient[:, columns].view(parameter.shape)
            size = torch.linalg.vector_norm(parameter.detach(), dim=-2, keepdim=True).clamp_min(_LEAST_NORM)
            slope = torch.linalg.vector_norm(gradient, dim=-2, keepdim=True)
            gradient.mul_((self.config.clip_adaptive * size / slope.clamp_min(1e-6)).clamp(max=1.0))
