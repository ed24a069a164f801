"""The model file of a bundle, opened by onnxruntime: nothing but what the manifest says, and nothing beside it."""

from __future__ import annotations

import os
from pathlib import Path

import onnxruntime

from assay.bundle.manifest import MODEL, Manifest
from assay.data.inputs import input_names
from assay.data.schema import Task
from assay.errors import BundleError

#: Tasks whose answers are numbers of the target.
VALUES = (Task.REGRESSION, Task.FORECASTING)

_STATE = onnxruntime.capi.onnxruntime_pybind11_state
_ORT_ERRORS = (
    _STATE.Fail, _STATE.InvalidProtobuf, _STATE.InvalidGraph, _STATE.InvalidArgument, _STATE.NotImplemented,
    _STATE.NoSuchFile, _STATE.RuntimeException,
)  # fmt: skip


def open_session(directory: Path, threads: int | None) -> onnxruntime.InferenceSession:
    """An onnxruntime session on the CPU; anything but a sound ONNX file is refused.

    Raises:
        BundleError: the file is not sound.
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads or len(os.sched_getaffinity(0))
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    # Idle threads must not spin: a server shares its cores.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    # Weights in other files are refused; onnxruntime would look for them in the working directory.
    options.add_session_config_entry("session.model_external_initializers_file_folder_path", os.devnull)
    model = (directory / MODEL).read_bytes()
    try:
        return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    except _ORT_ERRORS as error:
        raise BundleError(
            f"{MODEL} must be an ONNX model",
            f"onnxruntime refuses it ({str(error).splitlines()[0][:200]})",
            "Do not use this bundle: the file is not what assay saved.",
        ) from None


def check_signature(session: onnxruntime.InferenceSession, manifest: Manifest) -> None:
    """The model takes and gives what the manifest says.

    Raises:
        BundleError: it does not.
    """
    inputs = set(input_names(manifest.inputs))
    outputs = {name for name in (manifest.output_prediction, manifest.output_probability) if name is not None}
    found = {node.name: node.shape for node in session.get_outputs()}
    classes = found.get(manifest.output_probability or "", [0, 0])[-1]
    if (
        {node.name for node in session.get_inputs()} != inputs
        or found.keys() != outputs
        or (manifest.task not in VALUES) != (manifest.output_probability is not None)
        or classes != len(manifest.classes)
        or not _decides(manifest)
    ):
        raise BundleError(
            f"{MODEL} must take the inputs and give the outputs that manifest.json names",
            "they differ",
            "Do not use this bundle: its files do not belong together.",
        )


def _decides(manifest: Manifest) -> bool:
    """Whether thresholds and costs suit the classes."""
    classes = len(manifest.classes)
    allowed = {Task.MULTILABEL: (classes,), Task.BINARY: (0, 1)}.get(manifest.task, (0,))
    sides = {len(manifest.costs), *map(len, manifest.costs)}
    costly = manifest.task is Task.MULTICLASS and sides == {classes}
    return len(manifest.thresholds) in allowed and (costly or not manifest.costs)
