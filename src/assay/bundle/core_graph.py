"""The part of a model file that torch exports: matrices in, answers out, with a free number of rows."""

from __future__ import annotations

import warnings
from collections.abc import Iterator

import onnx
import torch
from onnx import compose
from torch import Tensor, nn

from assay.bundle.trees import translations
from assay.data.inputs import RESERVED, Input, View, is_numeric, views_of
from assay.data.schema import Kind
from assay.errors import ConfigError
from assay.models.answer import Answer
from assay.models.foreign import ForeignNetwork
from assay.models.quoting import quoted

OPSET = 20
#: Inner names begin so, apart from the columns, which keep theirs; those of this part so.
INNER = RESERVED
CORE = f"{INNER}core:"
#: Lengths of the free axes of the example that is exported.
_EXAMPLE = (4, 7)


def core_graph(answer: Answer, inputs: tuple[Input, ...]) -> onnx.ModelProto:
    """The torch part, exported with a free number of rows; matrices that no column fills are not inputs of it."""
    columns = {
        "values": sum(is_numeric(item) for item in inputs),
        "codes": sum(item.kind is Kind.CATEGORY for item in inputs),
        "texts": sum(item.buckets for item in inputs),
    }
    types = {"values": torch.float64, "codes": torch.int64, "texts": torch.float32}
    present = [name for name in columns if columns[name]]
    views = views_of(inputs)
    media = [_example_of(view) for view in views]
    example = (*(torch.zeros((3, columns[name]), dtype=types[name]) for name in present), *media)
    rows = torch.export.Dim("rows", min=1, max=1 << 24)
    free = [
        {0: rows}
        | {
            axis: torch.export.Dim(f"{size}{place}", min=1)
            for axis, size in enumerate(view.shape, 1)
            if isinstance(size, str)
        }
        for place, view in enumerate(views)
    ]
    with warnings.catch_warnings():
        # One name for the rows of all matrices is what is meant.
        warnings.filterwarnings("ignore", message="# The axis name: rows will not be used", category=UserWarning)
        try:
            program = torch.onnx.export(
                _Present(answer, tuple(present)).eval(),
                example,
                dynamo=True,
                opset_version=OPSET,
                dynamic_shapes=((*({0: rows} for _ in present), *free),),
                input_names=[*present, *(view.name for view in views)],
                output_names=["answer"],
                custom_translation_table=translations(answer.ensemble),
                verbose=False,
            )
        except torch.onnx.OnnxExporterError as error:
            if not is_own(answer):
                raise
            raise ConfigError(
                "a model of your own must be of operations that ONNX has, so that it can be saved without its code",
                f"the exporter says: {quoted(error)}",
                "Nothing was saved. Use other operations in its forward.",
            ) from error
    if program is None:
        raise AssertionError("torch.onnx.export(dynamo=True) returns a program")
    return compose.add_prefix(_without_origin(program.model_proto), CORE)


def _without_origin(model: onnx.ModelProto) -> onnx.ModelProto:
    """The model without what the exporter notes of each node: the lines of source that it came from, with their paths.

    These are a fifth of a small file, and name folders of the machine that trained.
    """
    for node in _nodes(model.graph):
        del node.metadata_props[:]
    for value in (*model.graph.input, *model.graph.output, *model.graph.value_info, *model.graph.initializer):
        del value.metadata_props[:]
    del model.graph.metadata_props[:]
    del model.metadata_props[:]
    return model


def _nodes(graph: onnx.GraphProto) -> Iterator[onnx.NodeProto]:
    """Every node, those of loops and branches too."""
    for node in graph.node:
        yield node
        for attribute in node.attribute:
            for inner in (attribute.g, *attribute.graphs):
                yield from _nodes(inner)


def is_own(answer: Answer) -> bool:
    """Whether a module of the user's own is in it."""
    return any(isinstance(network, ForeignNetwork) for network in answer.ensemble.networks)


def _example_of(view: View) -> Tensor:
    sizes = [size if isinstance(size, int) else _EXAMPLE[axis] for axis, size in enumerate(view.shape)]
    if view.kind == "series":
        return torch.randn((3, *sizes))
    return torch.ones((3, *sizes), dtype=torch.uint8 if view.kind == "pictures" else torch.int32)


class _Present(nn.Module):
    """Answer with only the matrices that have columns; the others are empty."""

    def __init__(self, answer: Answer, present: tuple[str, ...]) -> None:
        super().__init__()
        self.answer = answer
        self.present = present

    def forward(self, *given: Tensor) -> Tensor:
        rows = given[0].shape[0]
        found = dict(zip(self.present, given, strict=False))
        media = given[len(self.present) :]
        values = found.get("values", torch.zeros((rows, 0), dtype=torch.float64))
        codes = found.get("codes", torch.zeros((rows, 0), dtype=torch.int64))
        texts = found.get("texts", torch.zeros((rows, 0)))
        out: Tensor = self.answer(values, codes, texts, *media)
        return out
