"""Boosted trees in ONNX: each member is one TreeEnsemble node (ai.onnx.ml, version 5), in float64 as it was fitted.

That node knows leaves apart from nodes, and of a category whether it is in a list.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from onnx import numpy_helper

from assay._imports import require
from assay.models.ensemble import Ensemble
from assay.models.trees import Forest, Trees

#: The versions of ai.onnx.ml and of ONNX that the node, and what is added to it, are of.
_ML_OPSET, _OPSET = 5, 20
_AT_MOST, _IN_LIST, _SUM = 0, 6, 1


def translations(ensemble: Ensemble) -> dict[Callable[..., Any], Callable[..., Any]]:
    """What the exporter of torch is to write for the members of the trees in it; empty where there are none."""
    forests = [forest for network in ensemble.networks if isinstance(network, Trees) for forest in network.forests]
    if not forests:
        return {}
    values = require("onnxscript.values", "exporting boosted trees")
    domain = values.Opset("ai.onnx.ml", _ML_OPSET)
    plain = values.Opset("", _OPSET)

    def write(inputs: Any, place: int, outputs: int) -> Any:  # noqa: ANN401  # values of onnxscript
        forest = forests[place]
        start = plain.Constant(value=numpy_helper.from_array(forest.start.numpy().reshape(1, outputs)))
        return plain.Add(domain.TreeEnsemble(inputs, **attributes(forest)), start)

    return {torch.ops.assay.trees.default: write}


def attributes(forest: Forest) -> Mapping[str, Any]:
    """The attributes of the TreeEnsemble node that adds up what the trees say, without the start."""
    nodes = _numbered(forest)
    return {
        "aggregate_function": _SUM,
        "post_transform": 0,
        "n_targets": len(forest.start),
        "tree_roots": nodes.places[forest.roots.numpy().ravel()].tolist(),
        "nodes_featureids": nodes.feature.tolist(),
        "nodes_modes": numpy_helper.from_array(nodes.mode),
        "nodes_splits": numpy_helper.from_array(nodes.split),
        "nodes_truenodeids": nodes.below.tolist(),
        "nodes_trueleafs": nodes.below_is_leaf.tolist(),
        "nodes_falsenodeids": nodes.above.tolist(),
        "nodes_falseleafs": nodes.above_is_leaf.tolist(),
        "leaf_targetids": nodes.targets.tolist(),
        "leaf_weights": numpy_helper.from_array(nodes.weights),
        **({"membership_values": numpy_helper.from_array(nodes.members)} if len(nodes.members) else {}),
    }


@dataclass(frozen=True)
class _Nodes:
    """Nodes that ask, and leaves, each counted for itself.

    below, above: the node, or where `*_is_leaf` the leaf, for rows that are at most the split, or in the list, and for
    the others. members: the lists one after another, NaN after each. places: of every node of the forest.
    """

    feature: NDArray[np.int64]
    mode: NDArray[np.uint8]
    split: NDArray[np.float64]
    below: NDArray[np.int64]
    below_is_leaf: NDArray[np.int64]
    above: NDArray[np.int64]
    above_is_leaf: NDArray[np.int64]
    weights: NDArray[np.float64]
    targets: NDArray[np.int64]
    members: NDArray[np.float64]
    places: NDArray[np.int64]


def _numbered(forest: Forest) -> _Nodes:
    left, offset, roots = forest.left.numpy(), forest.offset.numpy(), forest.roots.numpy().ravel()
    every = np.arange(len(left))
    is_leaf = left == every
    # A tree that is a leaf alone is told as a node with that leaf on both sides.
    asking = ~is_leaf
    asking[roots] = True
    places, leaves = np.cumsum(asking) - 1, np.cumsum(is_leaf) - 1
    nodes = np.flatnonzero(asking)
    below, above = left[nodes].copy(), np.where(is_leaf[nodes], nodes, left[nodes] + 1)
    listed = offset[nodes] >= 0
    lists = []
    for place in np.flatnonzero(listed):
        right = _set_of(forest, int(offset[nodes[place]]))
        # The side that unknown, code 0, is not on: what is listed can then be told by single bits.
        if not right[0]:
            below[place], above[place] = above[place], below[place]
        lists.append(np.append(np.flatnonzero(right != right[0]), np.nan))
    trees = np.searchsorted(roots, every[is_leaf], side="right") - 1
    return _Nodes(
        feature=forest.feature.numpy()[nodes],
        mode=np.where(listed, _IN_LIST, _AT_MOST).astype(np.uint8),
        split=np.where(listed | is_leaf[nodes], 0.0, forest.threshold.numpy()[nodes].astype(np.float64)),
        below=np.where(is_leaf[below], leaves[below], places[below]),
        below_is_leaf=is_leaf[below].astype(np.int64),
        above=np.where(is_leaf[above], leaves[above], places[above]),
        above_is_leaf=is_leaf[above].astype(np.int64),
        weights=forest.value.numpy()[is_leaf],
        targets=forest.columns.numpy()[trees % len(forest.columns)],
        members=np.concatenate(lists) if lists else np.empty(0),
        places=places,
    )


def _set_of(forest: Forest, offset: int) -> NDArray[np.bool_]:
    """Whether each code goes right, of the set that begins at `offset`."""
    begins = np.unique(forest.offset.numpy())
    after = np.searchsorted(begins, offset, side="right")
    end = int(begins[after]) if after < len(begins) else len(forest.right)
    return forest.right.numpy()[offset:end]
