"""From a trained network to one ONNX file: raw columns in, calibrated answer out, checked against the network."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import polars as pl
import torch
from numpy.typing import NDArray
from safetensors.torch import save
from torch import Tensor

from assay.bundle.core_graph import is_own
from assay.bundle.graph import output_names, whole_graph
from assay.bundle.load import ALLOWED, EXPECTED, differences
from assay.bundle.manifest import MODEL, PROBE, TOKENIZER, WEIGHTS
from assay.bundle.pictures import with_pictures
from assay.bundle.rounding import allowed_differences
from assay.data.encoding.encode import Encoder
from assay.data.inputs import Input, Matrices, Readers, feed, matrices
from assay.data.schema import Kind, Schema
from assay.errors import ParityError
from assay.evaluate.record import Parity
from assay.ledger import Ledger, Outcome
from assay.models.answer import Answer, Head
from assay.models.ensemble import Ensemble
from assay.models.reading import inputs_of

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
    names = output_names(inputs, schema)
    model = whole_graph(answer, inputs, schema, names, head)
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
            f"Nothing was saved. {_OWN_CAUSE if is_own(answer) else 'This is a defect of assay: please report it.'}",
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
