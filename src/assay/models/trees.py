"""Boosted trees as a network: fitted elsewhere, they stand here as plain tensors and answer beside the others.

A node of a tree asks one column of (numbers, extras, codes): whether it is above a threshold, or whether its category
is in a set. Siblings lie side by side, so that a step down is `left + goes right`, and leaves are their own left child:
all rows and trees take the same number of steps (Nakandala et al., Hummingbird, OSDI 2020, section 4.1).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields

import torch
from torch import Tensor, nn

from assay.models.network import Network


@dataclass(frozen=True)
class Forest:
    """The trees of one member, r rounds of t trees with k nodes in all.

    feature: column that a node asks, int64 (k,); 0 for leaves.
    threshold: rows above it go right, float32 (k,); infinite for leaves and for nodes that ask a set.
    left: the left child, int64 (k,), its sibling is the next one; a leaf is its own.
    value: what a leaf adds, float64 (k,); 0 for other nodes.
    offset: where in `right` the codes of the node's set begin, int64 (k,); -1 for nodes without one.
    right: whether a code goes right, bool, all sets one after another; the first entry is no code's and false.
    roots: int64 (r, t). columns: the output that each of the t trees adds to, int64 (t,).
    start: outputs before the first round, float64 (outputs,).
    depth: steps from a root to the deepest leaf, int64 ().
    """

    feature: Tensor
    threshold: Tensor
    left: Tensor
    value: Tensor
    offset: Tensor
    right: Tensor
    roots: Tensor
    columns: Tensor
    start: Tensor
    depth: Tensor

    @property
    def rounds(self) -> int:
        """Rounds of boosting."""
        return len(self.roots)

    @property
    def learned(self) -> int:
        """Learned numbers: a threshold or set for each node, a value for each leaf, and the start."""
        return len(self.feature) + len(self.start)

    def tensors(self) -> Mapping[str, Tensor]:
        """The fields by name, from which `Forest` is made again."""
        return {field.name: getattr(self, field.name) for field in fields(self)}


class Trees(Network):
    """One forest a member; nothing in it is a parameter, for no gradient changes it.

    Shapes are those of every network. Numbers and extras must be finite, as `Preprocess` makes them.
    """

    def __init__(self, forests: Sequence[Forest]) -> None:
        super().__init__(len(forests))
        self.forests = tuple(forests)
        self.parts = nn.ModuleList(_Member(forest) for forest in forests)

    @property
    def parameter_count(self) -> int:
        """Learned numbers, all members together."""
        return sum(forest.learned for forest in self.forests)

    def forward(self, numbers: Tensor, extras: Tensor, codes: Tensor) -> Tensor:
        """Compute; see `Network` for shapes."""
        inputs = torch.cat([numbers, extras, codes.to(numbers.dtype)], 1)
        if torch.compiler.is_exporting():
            answers = [_exported(inputs.double(), place, len(f.start)) for place, f in enumerate(self.forests)]
        else:
            answers = [part(inputs) for part in self.parts]
        return torch.stack(answers).to(numbers.dtype)


@torch.library.custom_op("assay::trees", mutates_args=())
def _exported(inputs: Tensor, place: int, outputs: int) -> Tensor:
    """What the exporter sees of a member: one operation, for which ONNX has one too (a step down would be a dozen).

    inputs: (n, columns) float64. place: of the member. outputs: how many. Gives (n, outputs) float64.
    """
    raise NotImplementedError("it stands for a member while a model is exported, and is never computed")


@_exported.register_fake
def _shape(inputs: Tensor, place: int, outputs: int) -> Tensor:
    return inputs.new_empty((inputs.shape[0], outputs))


class _Member(nn.Module):
    """One forest: (n, columns) to (n, outputs) in float64, as many digits as the trees were fitted with."""

    feature: Tensor
    threshold: Tensor
    left: Tensor
    value: Tensor
    offset: Tensor
    right: Tensor
    roots: Tensor
    placing: Tensor
    start: Tensor

    def __init__(self, forest: Forest) -> None:
        super().__init__()
        self.depth, self.rounds, self.trees = int(forest.depth), forest.rounds, len(forest.columns)
        self.asks_sets = bool((forest.offset >= 0).any())
        for name in ("feature", "threshold", "left", "value", "offset", "right", "start"):
            self.register_buffer(name, getattr(forest, name))
        self.register_buffer("roots", forest.roots.flatten())
        placing = torch.zeros(self.trees, len(forest.start), dtype=torch.float64)
        placing[torch.arange(self.trees), forest.columns] = 1.0
        self.register_buffer("placing", placing)

    def forward(self, inputs: Tensor) -> Tensor:
        rows = len(inputs)
        node = self.roots.expand(rows, -1)
        for _ in range(self.depth):
            node = _look_up(self.left, node) + self._goes_right(inputs, node).long()
        added = _look_up(self.value, node).view(rows, self.rounds, self.trees).sum(1)
        return self.start + added @ self.placing

    def _goes_right(self, inputs: Tensor, node: Tensor) -> Tensor:
        """Whether each row goes right at its node of each tree, bool (n, trees)."""
        asked = inputs.gather(1, _look_up(self.feature, node))
        above = asked > _look_up(self.threshold, node)
        if not self.asks_sets:
            return above
        offset = _look_up(self.offset, node)
        return above | _look_up(self.right, torch.where(offset >= 0, offset + asked.long(), 0))


def _look_up(table: Tensor, places: Tensor) -> Tensor:
    """Entries of a vector at places of any shape, faster than by indexing."""
    return table.index_select(0, places.flatten()).view(places.shape)
