"""From a trained network to one ONNX file: raw columns in, calibrated answer out, checked against the network.

The graph has three parts: a prologue built here (one input a column, vocabularies as LabelEncoder), the core exported
by torch (Preprocess, network, calibration), and an epilogue that names the class.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from io import BytesIO
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import polars as pl
import torch
from numpy.typing import NDArray
from onnx import TensorProto, compose, helper, numpy_helper
from safetensors.torch import save
from torch import Tensor, nn

from assay.bundle.load import ALLOWED, EXPECTED, differences
from assay.bundle.manifest import MODEL, PROBE, TOKENIZER, WEIGHTS
from assay.bundle.pictures import with_pictures
from assay.bundle.rounding import allowed_differences
from assay.bundle.trees import translations
from assay.data.decision import Rule
from assay.data.encode import Encoder
from assay.data.inputs import (
    FIRST_KNOWN,
    MISSING,
    RESERVED,
    Input,
    Matrices,
    Readers,
    View,
    feed,
    is_numeric,
    is_viewed,
    matrices,
    views_of,
)
from assay.data.schema import Kind, Schema, Task
from assay.errors import ConfigError, ParityError
from assay.evaluate.record import Parity
from assay.ledger import Ledger, Outcome
from assay.models.answer import Answer, Head
from assay.models.ensemble import Ensemble
from assay.models.foreign import ForeignNetwork
from assay.models.quoting import quoted
from assay.models.reading import inputs_of

_OPSET = 20
_ML = "ai.onnx.ml"
#: Types of the arrays that are no integers.
_TYPES = {"series": TensorProto.FLOAT, "pictures": TensorProto.UINT8}
#: Lengths of the free axes of the example that is exported.
_EXAMPLE = (4, 7)
#: Inner names begin so, apart from the columns, which keep theirs.
_INNER = RESERVED
_CORE = f"{_INNER}core:"
_OWN_CAUSE = "Look in the forward of your model for what depends on chance or on the other rows of a batch."


def export(
    encoder: Encoder, ensemble: Ensemble, head: Head, schema: Schema, probe: pl.DataFrame, directory: Path
) -> tuple[Parity, tuple[str, str | None]]:
    """Write model.onnx, weights.safetensors and probe.parquet into `directory`, checked.

    Args:
        probe: raw rows to compare on; rows with missing cells and unseen categories are added to them.

    Returns:
        The agreement with the trained network, and the names of the prediction and probability outputs.

    Raises:
        ParityError: the file does not give the network's answers.
    """
    inputs = inputs_of(encoder, ensemble)
    answer = Answer(encoder, ensemble, head).eval()
    names = _output_names(inputs, schema)
    model = _whole_graph(answer, inputs, schema, names, head)
    onnx.checker.check_model(model)
    (directory / MODEL).write_bytes(model.SerializeToString())
    # Libraries make bytes and Python writes them: a full disk is then an OSError, and permissions are the usual ones.
    weights = save(_state(answer))
    (directory / WEIGHTS).write_bytes(weights)
    if encoder.readers.tokenizer is not None:
        (directory / TOKENIZER).write_text(encoder.readers.tokenizer.text, encoding="utf-8")
    return _check_parity(answer, inputs, schema, probe, directory, names, encoder.readers), names


def _state(answer: Answer) -> dict[str, Tensor]:
    """Every tensor by its name; tied ones are copied, for safetensors takes no two names for one memory."""
    state = answer.state_dict().items()
    return {
        name: value.clone(memory_format=torch.contiguous_format) for name, value in state if isinstance(value, Tensor)
    }


def note_bundle(parity: Parity, directory: Path, ledger: Ledger) -> None:
    """The verdicts on the bundle in `directory`."""
    cases = ", ".join(parity.cases)
    reason = f"largest difference {parity.difference:.2g} ({parity.measure}) on {parity.rows} rows: {cases}"
    ledger.record("bundle.parity", Outcome.PASSED, reason, value=parity.difference)
    size = (directory / MODEL).stat().st_size
    reason = f"one ONNX file of {size:,} bytes takes raw columns and gives the calibrated answer"
    ledger.record("bundle.one-artefact", Outcome.APPLIED, reason, value=size)
    kinds = "ONNX, safetensors, Parquet, JSON, YAML, HTML and Markdown; loading it runs no code of its own"
    ledger.record("bundle.no-pickle", Outcome.PASSED, kinds)
    facts = "data hash, versions, seed, machine, seconds and configuration are in report.json and manifest.json"
    ledger.record("bundle.provenance", Outcome.APPLIED, facts)
    ledger.record("bundle.model-card", Outcome.APPLIED, "card.md, after Mitchell et al.; the owner's parts are marked")
    ledger.record("bundle.datasheet", Outcome.APPLIED, "datasheet.md, after Gebru et al.; the owner's parts are marked")


def _output_names(inputs: tuple[Input, ...], schema: Schema) -> tuple[str, str | None]:
    """`prediction` and `probability`, lengthened where a column has that name."""
    taken = {item.name for item in inputs}
    names = []
    for name in ("prediction", "probability"):
        while name in taken:
            name += "_out"
        names.append(name)
    return names[0], names[1] if schema.has_probabilities else None


def _whole_graph(
    answer: Answer,
    inputs: tuple[Input, ...],
    schema: Schema,
    names: tuple[str, str | None],
    head: Head,
) -> onnx.ModelProto:
    core = _core_graph(answer, inputs)
    prologue = _prologue(inputs, core)
    io_map = [(graph_input.name.removeprefix(_CORE), graph_input.name) for graph_input in core.graph.input]
    whole = compose.merge_models(prologue, core, io_map=[(_matrix_name(a), b) for a, b in io_map])
    if head.has_labels:
        _add_labels(whole, names, head.thresholds or ())
    else:
        _add_epilogue(whole, schema, names, head.rule)
    whole.producer_name = "assay"
    return whole


def _matrix_name(name: str) -> str:
    return f"{_INNER}matrix:{name}"


def _core_graph(answer: Answer, inputs: tuple[Input, ...]) -> onnx.ModelProto:
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
                opset_version=_OPSET,
                dynamic_shapes=((*({0: rows} for _ in present), *free),),
                input_names=[*present, *(view.name for view in views)],
                output_names=["answer"],
                custom_translation_table=translations(answer.ensemble),
                verbose=False,
            )
        except torch.onnx.OnnxExporterError as error:
            if not _is_own(answer):
                raise
            raise ConfigError(
                "a model of your own must be of operations that ONNX has, so that it can be saved without its code",
                f"the exporter says: {quoted(error)}",
                "Nothing was saved. Use other operations in its forward.",
            ) from error
    if program is None:
        raise AssertionError("torch.onnx.export(dynamo=True) returns a program")
    return compose.add_prefix(_without_origin(program.model_proto), _CORE)


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


def _is_own(answer: Answer) -> bool:
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


def _prologue(inputs: tuple[Input, ...], core: onnx.ModelProto) -> onnx.ModelProto:
    """One named input a column, joined to the matrices; categories are looked up (unknown 0, missing 1)."""
    nodes, graph_inputs = [], []
    parts: dict[str, list[str]] = {"values": [], "codes": [], "texts": []}
    for position, item in enumerate(inputs):
        if is_viewed(item):
            continue
        if item.kind is Kind.CATEGORY:
            graph_inputs.append(helper.make_tensor_value_info(item.name, TensorProto.STRING, ["rows", 1]))
            code = f"{_INNER}code:{position}"
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
    opsets = [helper.make_opsetid("", _OPSET), helper.make_opsetid(_ML, version)]
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
        graph.initializer.append(numpy_helper.from_array(np.array([1]), f"{_INNER}axis"))
        graph.node.append(helper.make_node("Squeeze", [answer, f"{_INNER}axis"], [prediction]))
        graph.output.append(helper.make_tensor_value_info(prediction, TensorProto.DOUBLE, ["rows"]))
        return
    chosen = f"{_INNER}class"
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
    answer, cuts, given = graph.output[0].name, f"{_INNER}thresholds", f"{_INNER}given"
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
        costs, expected = f"{_INNER}costs", f"{_INNER}expected costs"
        graph.initializer.append(numpy_helper.from_array(np.array(rule.costs, np.float32), costs))
        cheapest = helper.make_node("ArgMin", [expected], [chosen], axis=1, keepdims=0)
        return [helper.make_node("MatMul", [answer, costs], [expected]), cheapest]
    positive, cut, is_positive = f"{_INNER}positive", f"{_INNER}threshold", f"{_INNER}is positive"
    graph.initializer.append(numpy_helper.from_array(np.array(1), positive))
    graph.initializer.append(numpy_helper.from_array(np.array(rule.threshold, np.float32), cut))
    return [
        helper.make_node("Gather", [answer, positive], [f"{positive} probability"], axis=1),
        helper.make_node("GreaterOrEqual", [f"{positive} probability", cut], [is_positive]),
        helper.make_node("Cast", [is_positive], [chosen], to=TensorProto.INT64),
    ]


def _check_parity(
    answer: Answer,
    inputs: tuple[Input, ...],
    schema: Schema,
    probe: pl.DataFrame,
    directory: Path,
    names: tuple[str, str | None],
    readers: Readers,
) -> Parity:
    """Ask the file and the network the same rows: all at once, one by one, with holes and unseen categories."""
    rows = harden(pl.DataFrame([probe.get_column(item.name) for item in inputs]), inputs)
    rows = with_pictures(rows, inputs, readers)
    asked = _tensors(matrices(rows, inputs, readers))
    with torch.inference_mode():
        outputs = answer.outputs(*asked)
        expected: NDArray[np.float64] = answer.stated(outputs).double().numpy()
        allowed = allowed_differences(answer, outputs, expected)
    session = onnxruntime.InferenceSession((directory / MODEL).read_bytes(), providers=["CPUExecutionProvider"])
    output = [names[1] or names[0]]
    together = session.run(output, feed(rows, inputs, readers))[0].reshape(expected.shape)
    single = [
        session.run(output, feed(rows.slice(i, 1), inputs, readers))[0].reshape(1, -1)
        for i in range(min(8, rows.height))
    ]
    apart = differences(together, expected, schema.task)
    alone = differences(np.concatenate(single), expected[: len(single)], schema.task)
    difference, limit = max(float(apart.max()), float(alone.max())), float(allowed.max())
    if not (np.all(apart <= allowed) and np.all(alone <= allowed[: len(single)])):
        raise ParityError(
            f"the saved model must answer as the trained network, to {limit:.2g}",
            f"on {rows.height} stored rows the largest difference is {difference:.3g}",
            f"Nothing was saved. {_OWN_CAUSE if _is_own(answer) else 'This is a defect of assay: please report it.'}",
        )
    answers = {f"{EXPECTED}{place}": expected[:, place] for place in range(expected.shape[1])}
    stored = BytesIO()
    rows.with_columns(**answers, **{ALLOWED: allowed}).write_parquet(stored)
    (directory / PROBE).write_bytes(stored.getvalue())
    measure = "absolute, on probabilities" if schema.has_probabilities else "relative to the value"
    cases = ("many rows at once", "single rows", "every cell missing", "unseen categories")
    return Parity(rows=rows.height, difference=difference, limit=limit, measure=measure, cases=cases)


def _tensors(raw: Matrices) -> list[Tensor]:
    return [torch.from_numpy(array) for array in (raw.values, raw.codes, raw.texts, *raw.media)]


def harden(probe: pl.DataFrame, inputs: tuple[Input, ...]) -> pl.DataFrame:
    """The probe with what production brings: a row without any value, and rows with categories never seen."""
    empty = pl.DataFrame({name: [None] for name in probe.columns}, schema=probe.schema)
    # A picture that is not there has no answer, so the row without any other value has one.
    shown = [item.name for item in inputs if item.kind is Kind.IMAGE]
    empty = empty.with_columns([probe.get_column(name).head(1) for name in shown])
    strange = probe.head(2).with_columns(
        [
            pl.lit(" never seen ✓").alias(item.name)
            for item in inputs
            if item.kind is Kind.CATEGORY and probe.schema[item.name] == pl.String
        ]
    )
    return pl.concat([strange, empty, probe])
