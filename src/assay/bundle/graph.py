"""The graph of a model file: raw columns in, the answer and the class that is decided out.

It has three parts: a prologue built here (one input a column, vocabularies as LabelEncoder), the core exported by torch
(Preprocess, network, calibration), and an epilogue that names the class.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx
from onnx import TensorProto, compose, helper, numpy_helper

from assay.bundle.core_graph import CORE, INNER, OPSET, core_graph
from assay.data.decision import Rule
from assay.data.inputs import FIRST_KNOWN, MISSING, Input, is_viewed, views_of
from assay.data.schema import Kind, Schema, Task
from assay.models.answer import Answer, Head

_ML = "ai.onnx.ml"
#: Types of the arrays that are no integers.
_TYPES = {"series": TensorProto.FLOAT, "pictures": TensorProto.UINT8}


def whole_graph(
    answer: Answer,
    inputs: tuple[Input, ...],
    schema: Schema,
    names: tuple[str, str | None],
    head: Head,
) -> onnx.ModelProto:
    """The three parts as one model.

    names: of the outputs, see `output_names`.
    """
    core = core_graph(answer, inputs)
    prologue = _prologue(inputs, core)
    io_map = [(graph_input.name.removeprefix(CORE), graph_input.name) for graph_input in core.graph.input]
    whole = compose.merge_models(prologue, core, io_map=[(_matrix_name(a), b) for a, b in io_map])
    if head.has_labels:
        _add_labels(whole, names, head.thresholds or ())
    else:
        _add_epilogue(whole, schema, names, head.rule)
    whole.producer_name = "assay"
    return whole


def output_names(inputs: tuple[Input, ...], schema: Schema) -> tuple[str, str | None]:
    """`prediction` and `probability`, lengthened where a column has that name."""
    taken = {item.name for item in inputs}
    names = []
    for name in ("prediction", "probability"):
        while name in taken:
            name += "_out"
        names.append(name)
    return names[0], names[1] if schema.has_probabilities else None


def _matrix_name(name: str) -> str:
    return f"{INNER}matrix:{name}"


def _prologue(inputs: tuple[Input, ...], core: onnx.ModelProto) -> onnx.ModelProto:
    """One named input a column, joined to the matrices; categories are looked up (unknown 0, missing 1)."""
    nodes, graph_inputs = [], []
    parts: dict[str, list[str]] = {"values": [], "codes": [], "texts": []}
    for position, item in enumerate(inputs):
        if is_viewed(item):
            continue
        if item.kind is Kind.CATEGORY:
            graph_inputs.append(helper.make_tensor_value_info(item.name, TensorProto.STRING, ["rows", 1]))
            code = f"{INNER}code:{position}"
            nodes.append(_look_up_node(item, code))
            parts["codes"].append(code)
        elif item.kind is Kind.TEXT:
            shape = ["rows", item.buckets]
            graph_inputs.append(helper.make_tensor_value_info(item.name, TensorProto.FLOAT, shape))
            parts["texts"].append(item.name)
        else:
            graph_inputs.append(helper.make_tensor_value_info(item.name, TensorProto.DOUBLE, ["rows", 1]))
            parts["values"].append(item.name)
    types = {"values": TensorProto.DOUBLE, "codes": TensorProto.INT64, "texts": TensorProto.FLOAT}
    outputs = []
    for matrix, names in parts.items():
        if names:
            nodes.append(helper.make_node("Concat", names, [_matrix_name(matrix)], axis=1))
            outputs.append(helper.make_tensor_value_info(_matrix_name(matrix), types[matrix], ["rows", None]))
    for place, view in enumerate(views_of(inputs)):
        shape = ["rows", *(f"{size}{place}" if isinstance(size, str) else size for size in view.shape)]
        kind = _TYPES.get(view.kind, TensorProto.INT32)
        graph_inputs.append(helper.make_tensor_value_info(view.name, kind, shape))
        nodes.append(helper.make_node("Identity", [view.name], [_matrix_name(view.name)]))
        outputs.append(helper.make_tensor_value_info(_matrix_name(view.name), kind, shape))
    graph = helper.make_graph(nodes, "prologue", graph_inputs, outputs)
    version = next((opset.version for opset in core.opset_import if opset.domain == _ML), 3)
    opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid(_ML, version)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=core.ir_version)


def _look_up_node(item: Input, output: str) -> onnx.NodeProto:
    codes = [MISSING, *range(FIRST_KNOWN, FIRST_KNOWN + len(item.categories))]
    return helper.make_node(
        "LabelEncoder",
        [item.name],
        [output],
        domain=_ML,
        keys_strings=["", *item.categories],
        values_int64s=codes,
        default_int64=0,
    )


def _add_epilogue(whole: onnx.ModelProto, schema: Schema, names: tuple[str, str | None], rule: Rule) -> None:
    """Name the outputs; for classes add the label of the one that is decided."""
    graph, (prediction, probability) = whole.graph, names
    answer = graph.output[0].name
    del graph.output[:]
    if schema.windowing is not None:
        graph.node.append(helper.make_node("Identity", [answer], [prediction]))
        shape = ["rows", schema.windowing.horizon]
        graph.output.append(helper.make_tensor_value_info(prediction, TensorProto.DOUBLE, shape))
        return
    if probability is None:
        graph.initializer.append(numpy_helper.from_array(np.array([1]), f"{INNER}axis"))
        graph.node.append(helper.make_node("Squeeze", [answer, f"{INNER}axis"], [prediction]))
        graph.output.append(helper.make_tensor_value_info(prediction, TensorProto.DOUBLE, ["rows"]))
        return
    chosen = f"{INNER}class"
    graph.node.append(helper.make_node("Identity", [answer], [probability]))
    graph.node.extend(_choose(graph, answer, chosen, schema.task, rule))
    graph.node.append(
        helper.make_node(
            "LabelEncoder",
            [chosen],
            [prediction],
            domain=_ML,
            keys_int64s=list(range(len(schema.classes))),
            values_strings=list(schema.classes),
        )
    )
    if not any(opset.domain == _ML for opset in whole.opset_import):
        whole.opset_import.append(helper.make_opsetid(_ML, 3))
    shape = ["rows", len(schema.classes)]
    graph.output.append(helper.make_tensor_value_info(probability, TensorProto.FLOAT, shape))
    graph.output.append(helper.make_tensor_value_info(prediction, TensorProto.STRING, ["rows"]))


def _add_labels(whole: onnx.ModelProto, names: tuple[str, str | None], thresholds: Sequence[float]) -> None:
    """Name the outputs: the probability of each label, and whether it is given, 0 and 1, (rows, labels)."""
    graph, (prediction, probability) = whole.graph, names
    assert probability is not None
    answer, cuts, given = graph.output[0].name, f"{INNER}thresholds", f"{INNER}given"
    del graph.output[:]
    graph.initializer.append(numpy_helper.from_array(np.array([thresholds], np.float32), cuts))
    graph.node.extend(
        [
            helper.make_node("Identity", [answer], [probability]),
            helper.make_node("GreaterOrEqual", [answer, cuts], [given]),
            helper.make_node("Cast", [given], [prediction], to=TensorProto.INT64),
        ]
    )
    shape = ["rows", len(thresholds)]
    graph.output.append(helper.make_tensor_value_info(probability, TensorProto.FLOAT, shape))
    graph.output.append(helper.make_tensor_value_info(prediction, TensorProto.INT64, shape))


def _choose(graph: onnx.GraphProto, answer: str, chosen: str, task: Task, rule: Rule) -> list[onnx.NodeProto]:
    """Class positions as `Bundle.decide` and the scores choose them: see `Rule`."""
    if task is not Task.BINARY:
        if not rule.costs:
            return [helper.make_node("ArgMax", [answer], [chosen], axis=1, keepdims=0)]
        costs, expected = f"{INNER}costs", f"{INNER}expected costs"
        graph.initializer.append(numpy_helper.from_array(np.array(rule.costs, np.float32), costs))
        cheapest = helper.make_node("ArgMin", [expected], [chosen], axis=1, keepdims=0)
        return [helper.make_node("MatMul", [answer, costs], [expected]), cheapest]
    positive, cut, is_positive = f"{INNER}positive", f"{INNER}threshold", f"{INNER}is positive"
    graph.initializer.append(numpy_helper.from_array(np.array(1), positive))
    graph.initializer.append(numpy_helper.from_array(np.array(rule.threshold, np.float32), cut))
    return [
        helper.make_node("Gather", [answer, positive], [f"{positive} probability"], axis=1),
        helper.make_node("GreaterOrEqual", [f"{positive} probability", cut], [is_positive]),
        helper.make_node("Cast", [is_positive], [chosen], to=TensorProto.INT64),
    ]
