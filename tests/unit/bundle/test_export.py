import subprocess
import sys

import numpy as np
import onnx
import onnxruntime
import polars as pl
import pytest
import torch
from safetensors.numpy import load_file

from assay.bundle.export import export, harden
from assay.bundle.load import TOLERANCE, differences
from assay.bundle.manifest import MODEL, PROBE, WEIGHTS
from assay.data.inputs import feed, matrices
from assay.data.schema import Kind, Task
from assay.errors import ParityError
from assay.models.answer import Answer


def ask_torch(made, frame) -> np.ndarray:
    answer = Answer(made.model.encoder, made.model.ensemble, made.model.head).eval()
    raw = matrices(frame, made.model.encoder.inputs)
    with torch.inference_mode():
        out = answer(torch.from_numpy(raw.values), torch.from_numpy(raw.codes), torch.from_numpy(raw.texts))
    return out.numpy()


def session_of(made) -> onnxruntime.InferenceSession:
    return onnxruntime.InferenceSession(str(made.directory / MODEL), providers=["CPUExecutionProvider"])


def strange_rows(made) -> pl.DataFrame:
    """A row without any value, unseen categories, infinities, huge numbers."""
    base = made.frame.head(4)
    words = {name: ["never seen", " red ", "\n", "🙂"] for name, dtype in base.schema.items() if dtype == pl.String}
    words |= {name: ["yes", "NA", "", None] for name in words if name.startswith("emoji")}
    words |= {name: ["1900-01-01", "?", "9999-12-31", None] for name in words if name.startswith("new")}
    numbers = {name: [np.inf, -np.inf, np.nan, 1.7e308] for name, dtype in base.schema.items() if dtype == pl.Float64}
    large = {name: [0, -(2**62), 2**62, 5] for name, dtype in base.schema.items() if dtype == pl.Int64}
    strange = pl.DataFrame({**words, **numbers, **large})[base.columns]
    empty = pl.DataFrame({name: [None] for name in base.columns}, schema=base.schema)
    return pl.concat([empty, strange])


def test_the_file_is_sound_and_of_opset_20(made):
    model = onnx.load(made.directory / MODEL)
    onnx.checker.check_model(model, full_check=True)
    assert {opset.domain: opset.version for opset in model.opset_import}[""] == 20
    assert model.producer_name == "assay"
    assert {node.name for node in model.graph.input} == {item.name for item in made.model.encoder.inputs}
    assert not any(initializer.external_data for initializer in model.graph.initializer)


def test_the_file_answers_as_the_network(made):
    for frame in (made.frame, made.frame.head(1), strange_rows(made), pl.concat([made.frame] * 20)):
        expected = ask_torch(made, frame)
        found = made.load().answer(frame).reshape(expected.shape)
        assert np.isfinite(found).all()
        assert differences(found, expected.astype(np.float64), made.schema.task).max() < TOLERANCE


def test_every_row_is_answered_by_itself(made):
    bundle, frame = made.load(), pl.concat([strange_rows(made), made.frame.head(5)])
    together = bundle.answer(frame)
    for row in range(frame.height):
        arrays = feed(frame.slice(row, 1), bundle.manifest.inputs)
        alone = bundle._session.run(bundle._outputs, arrays)[0].reshape(together[row : row + 1].shape)
        np.testing.assert_allclose(alone, together[row : row + 1], rtol=1e-5, atol=1e-6)


def test_a_bare_session_with_raw_columns_gives_what_predict_gives(made):
    frame = made.frame
    arrays = {}
    for item in made.load().manifest.inputs:
        cells = frame[item.name].alias("cells")
        if item.kind is Kind.CATEGORY:
            arrays[item.name] = np.array([[str(cell or "")] for cell in cells], dtype=object)
        elif item.kind is Kind.BOOLEAN:
            values = [{"yes": 1.0, "no": 0.0, None: np.nan}[cell] for cell in cells]
            arrays[item.name] = np.array(values).reshape(-1, 1)
        elif item.kind is Kind.DATETIME:
            arrays[item.name] = cells.str.to_datetime().dt.epoch("s").to_numpy().astype(float).reshape(-1, 1)
        elif item.kind is Kind.TEXT:
            arrays[item.name] = feed(frame, (item,))[item.name]
        else:
            arrays[item.name] = cells.cast(pl.Float64).fill_null(np.nan).to_numpy().reshape(-1, 1)
    session, bundle = session_of(made), made.load()
    names = (bundle.manifest.output_prediction, bundle.manifest.output_probability)
    found = dict(zip(names, session.run([name for name in names if name], arrays), strict=False))
    predicted = bundle.predict(frame)
    if made.schema.task is Task.REGRESSION:
        np.testing.assert_array_equal(found[names[0]], predicted["prediction"].to_numpy())
        return
    np.testing.assert_array_equal(found[names[1]], predicted.to_numpy()[:, 1:].astype(np.float32))
    chosen = [bundle.manifest.classes.index(label) for label in found[names[0]]]
    np.testing.assert_array_equal(chosen, bundle.decide(bundle.answer(frame)))


def test_outputs_give_way_to_columns_of_their_name(binary, numbers_only, regression):
    taken, free, values = binary.load().manifest, numbers_only.load().manifest, regression.load().manifest
    assert (taken.output_prediction, taken.output_probability) == ("prediction_out", "probability_out")
    assert (free.output_prediction, free.output_probability) == ("prediction", "probability")
    assert (values.output_prediction, values.output_probability) == ("prediction_out", None)


def test_the_probe_holds_hard_rows_and_their_answers(made):
    probe = pl.read_parquet(made.directory / PROBE)
    names = [item.name for item in made.model.encoder.inputs]
    assert probe.columns[: len(names)] == names
    assert made.parity.rows == probe.height >= 50
    assert 0 <= made.parity.difference <= made.parity.limit == TOLERANCE
    assert (None,) * len(names) in pl.DataFrame([probe.get_column(name) for name in names]).rows()
    expected = ask_torch(made, probe)
    stored = probe.select(pl.col("^assay:expected:.*$")).to_numpy()
    assert stored.shape == expected.shape
    np.testing.assert_allclose(stored, expected, rtol=1e-6)


def test_hardening_adds_an_empty_row_and_unseen_categories(binary):
    inputs = binary.model.encoder.inputs
    probe = binary.frame.head(10)
    found = harden(probe, inputs)
    assert found.height == 13
    assert found['q"uote'][0] not in binary.frame['q"uote']
    assert found.row(2) == (None,) * found.width
    assert found.schema == probe.schema


def test_the_weights_are_all_there(made):
    tensors = load_file(made.directory / WEIGHTS)
    answer = Answer(made.model.encoder, made.model.ensemble, made.model.head)
    assert tensors.keys() == answer.state_dict().keys()
    for name, tensor in answer.state_dict().items():
        np.testing.assert_array_equal(tensors[name], tensor.numpy())


def test_a_large_target_keeps_its_digits(regression):
    found = regression.load().predict(regression.frame)["prediction"]
    assert found.dtype == pl.Float64
    expected = regression.model.values(regression.frame)
    assert np.abs(found.to_numpy() - expected).max() < 1e-3
    assert found.n_unique() > 150  # float32 would know a handful of values near 1.7e9


def test_a_file_that_answers_otherwise_is_not_saved_in_silence(numbers_only, tmp_path, monkeypatch):
    model = numbers_only.model
    saved = onnx.load(numbers_only.directory / MODEL)
    for initializer in saved.graph.initializer:
        values = onnx.numpy_helper.to_array(initializer)
        if initializer.name.endswith("head.bias"):
            initializer.CopyFrom(
                onnx.numpy_helper.from_array(values + np.array([0.0, 0.01], np.float32), initializer.name)
            )
            break
    else:
        raise AssertionError("the head's bias is in the file")
    monkeypatch.setattr("assay.bundle.export.whole_graph", lambda *arguments: saved)
    with pytest.raises(ParityError, match="must answer as the trained network"):
        export(model.encoder, model.ensemble, model.head, numbers_only.schema, numbers_only.frame, tmp_path)
    assert not (tmp_path / PROBE).exists()


def test_exporting_prints_nothing(text_only, tmp_path, capfd, caplog):
    model = text_only.model
    export(model.encoder, model.ensemble, model.head, text_only.schema, text_only.frame.head(5), tmp_path)
    assert capfd.readouterr() == ("", "")
    assert not [record for record in caplog.records if record.levelname != "DEBUG"]


def test_asking_the_file_needs_no_assay_at_all(text_only):
    """Another process, onnxruntime alone."""
    item = text_only.model.encoder.inputs[0]
    code = (
        "import sys, numpy, onnxruntime\n"
        "session = onnxruntime.InferenceSession(sys.argv[1], providers=['CPUExecutionProvider'])\n"
        f"print(session.run(None, {{{item.name!r}: numpy.zeros((2, {item.buckets}), numpy.float32)}})[0].tolist())\n"
    )
    found = subprocess.run(
        [sys.executable, "-c", code, str(text_only.directory / MODEL)], capture_output=True, text=True, check=True
    )
    expected = text_only.load().answer(pl.DataFrame({item.name: ["", None]})).tolist()
    assert eval(found.stdout) == expected
