"""The parts around the network: classes are decided in the file as by the scores."""

import numpy as np
import onnx
import onnxruntime

from assay.bundle import graph as graphs
from assay.data.decision import LIKELIEST
from assay.data.schema import Task


def test_one_half_is_the_positive_class_in_the_file_too():
    """The rule of the scores, in a graph of the epilogue alone."""
    graph = onnx.helper.make_graph(
        [], "made",
        [onnx.helper.make_tensor_value_info("p", onnx.TensorProto.FLOAT, ["rows", 2])],
        [onnx.helper.make_tensor_value_info("chosen", onnx.TensorProto.INT64, ["rows"])],
    )  # fmt: skip
    graph.node.extend(graphs._choose(graph, "p", "chosen", Task.BINARY, LIKELIEST))
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 20)], ir_version=10)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    probabilities = np.array([[0.5, 0.5], [0.51, 0.49], [0.2, 0.8]], np.float32)
    assert session.run(None, {"p": probabilities})[0].tolist() == [1, 0, 1]
