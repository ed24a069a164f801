"""The optimiser: AdamW with decay on weights only, and clipping of each member's gradient."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from assay.train.config import TrainConfig


def build_optimiser(network: nn.Module, config: TrainConfig) -> torch.optim.AdamW:
    """Fused AdamW (Loshchilov & Hutter, ICLR 2019); biases, norms and other vectors are exempt from decay."""
    decayed: list[nn.Parameter] = []
    exempt: list[nn.Parameter] = []
    for name, parameter in network.named_parameters():
        (decayed if name.endswith(("weight", "table")) else exempt).append(parameter)
    groups = [{"params": decayed, "weight_decay": config.weight_decay}, {"params": exempt, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=config.lr, fused=True)


def member_norms(parameters: list[nn.Parameter], members: int) -> Tensor:
    """Norm of each member's gradient over all its parameters, (members,)."""
    squares = [p.grad.reshape(members, -1).square().sum(1) for p in parameters if p.grad is not None]
    return torch.stack(squares).sum(0).sqrt()


def clip_members(parameters: list[nn.Parameter], norms: Tensor, limit: float) -> None:
    """Scale each member's gradient to at most `limit` (Pascanu et al., ICML 2013); `norms` from `member_norms`."""
    factors = (limit / (norms + 1e-6)).clamp(max=1.0)
    for parameter in parameters:
        if parameter.grad is not None:
            parameter.grad.view(len(norms), -1).mul_(factors.unsqueeze(1))
