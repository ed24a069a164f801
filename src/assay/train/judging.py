"""What validation rows say of the members of a network while it is trained.

Shape legend: M members, k heads of a member, n rows.
"""

from __future__ import annotations

import torch
from torch import Tensor

from assay.data.encoding.batches import BLOCK_ROWS, Batch, Source
from assay.data.encoding.encode import Encoded
from assay.models.network import Network
from assay.train.config import TrainConfig
from assay.train.device import Precision
from assay.train.fair_loss import GroupLoss
from assay.train.losses import member_losses, score_name, selection_losses
from assay.train.watch import ScoreName


def outputs_of(network: Network, inputs: Encoded) -> Tensor:
    """Outputs of all members, (M * k, n, outputs), float32 whatever they were computed in."""
    outputs: Tensor = network(inputs.numbers, inputs.extras, inputs.codes, *inputs.media)
    return outputs.float() if outputs.dtype in (torch.float16, torch.bfloat16) else outputs


class Judge:
    """Validation rows, and what members are judged by on them: their loss, their score, or how fair they are."""

    def __init__(
        self, network: Network, valid: Source, config: TrainConfig, precision: Precision, groups: GroupLoss | None
    ) -> None:
        self.network, self.valid, self.config = network, valid, config
        self.precision, self.groups = precision, groups

    @property
    def score_name(self) -> ScoreName:
        """What `Epoch.valid_score` is, by the targets of the rows."""
        return score_name(next(iter(self.valid.blocks(1))).target)

    def outputs(self) -> tuple[Tensor, Batch]:
        """Outputs of all members for all rows, (M * k, n, outputs) in float32, and those rows."""
        self.network.eval()
        outputs, targets, weights, groups = [], [], [], []
        with torch.inference_mode(), self.precision.autocast():
            for rows in self.valid.blocks(min(BLOCK_ROWS, self.network.rows_at_once)):
                outputs.append(outputs_of(self.network, rows.inputs))
                targets.append(rows.target)
                if rows.weight is not None:
                    weights.append(rows.weight)
                if rows.groups is not None:
                    groups.append(rows.groups)
        self.network.train()
        weight = torch.cat(weights, dim=-1) if weights else None
        found = Batch(rows.inputs, torch.cat(targets), weight, torch.cat(groups) if groups else None)
        return torch.cat(outputs, dim=1), found

    def losses(self, outputs: Tensor, rows: Batch) -> Tensor:
        """The validation loss of each member, (M,)."""
        return member_losses(outputs, rows, heads=self.network.heads)

    def judged(self, outputs: Tensor, rows: Batch, losses: Tensor) -> Tensor:
        """What the best epoch of each member is chosen by, (M,), lower being better."""
        if self.groups is not None:
            return self.groups.judged(outputs, rows)
        return selection_losses(self.config.select, outputs, rows, self.network.heads, losses)

    def judged_at(self, outputs: Tensor, rows: Batch, places: Tensor) -> Tensor:
        """The same by the rows at these places alone; infinite where it is not finite."""
        some = Batch(
            rows.inputs, rows.target[places], None if rows.weight is None else rows.weight[..., places],
            None if rows.groups is None else rows.groups[places],
        )  # fmt: skip
        own = outputs[:, places]
        found = self.judged(own, some, self.losses(own, some))
        return torch.where(found.isfinite(), found, torch.inf)
