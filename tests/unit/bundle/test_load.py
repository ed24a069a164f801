import os
import pickle
import warnings

import numpy as np
import onnx
import pandas as pd
import polars as pl
import pytest

from assay.bundle.load import UnreadCellsWarning, differences, load
from assay.bundle.manifest import MANIFEST, MODEL, PROBE, SCHEMA, Manifest
from assay.data.schema import Task
from assay.data.series.folding import Folding
from assay.errors import BundleError, DataError, ParityError


@pytest.fixture
def bundle(binary):
    return binary.load()


# Finding a bundle


def test_a_bundle_is_found_in_a_run_directory(copy, tmp_path):
    run = tmp_path / "run"
    run.mkdir()
    copy.rename(run / "model")
    assert load(run).directory == run / "model"
    assert load(str(run / "model")).manifest.task is Task.BINARY
    assert "binary of 'target' from 8 columns" in repr(load(run))


def test_a_place_without_a_bundle_is_refused(tmp_path):
    with pytest.raises(BundleError, match="a bundle is a directory with a manifest"):
        load(tmp_path)


# Predicting


def test_predictions_are_labels_and_probabilities_in_the_rows_order(bundle, binary):
    found = bundle.predict(binary.frame)
    assert found.columns == ["prediction", "probability_false", "probability_true"]
    assert found.schema["prediction"] == pl.Boolean
    assert found.height == binary.frame.height
    np.testing.assert_allclose(found["probability_false"] + found["probability_true"], 1.0, atol=1e-6)
    assert (found["prediction"] == (found["probability_true"] >= 0.5)).all()
    backwards = bundle.predict(binary.frame.reverse()).reverse()
    np.testing.assert_allclose(backwards["probability_true"], found["probability_true"], atol=1e-6)


def test_labels_come_back_in_the_type_they_had(multiclass, numbers_only, categories_only):
    integers = multiclass.load().predict(multiclass.frame)["prediction"]
    assert integers.dtype == pl.Int64
    assert set(integers) <= {2, 10, -1}
    assert integers.n_unique() > 1
    numbers = numbers_only.load().predict(numbers_only.frame)["prediction"]
    assert numbers.dtype == pl.Float64
    assert set(numbers) <= {0.5, 1.5}
    words = categories_only.load().predict(categories_only.frame)
    assert words["prediction"].dtype == pl.String
    assert set(words["prediction"]) <= {"no, never", "y\nes"}
    assert words.columns == ["prediction", "probability_no, never", "probability_y\nes"]


def test_the_likeliest_class_is_predicted(multiclass):
    found = multiclass.load().predict(multiclass.frame)
    shares = found.select("probability_2", "probability_10", "probability_-1").to_numpy()
    assert found["prediction"].to_list() == [(2, 10, -1)[place] for place in shares.argmax(1)]


def test_every_form_of_table_is_answered_alike(made, tmp_path):
    bundle, frame = made.load(), made.frame
    expected = bundle.predict(frame)
    path = tmp_path / "rows.csv"
    frame.write_csv(path)
    frame.write_parquet(tmp_path / "rows.parquet")
    forms = [frame.to_pandas(), frame.to_dict(as_series=False), frame.to_dicts(), path, str(path), frame.lazy()]
    forms += [frame.to_arrow(), tmp_path / "rows.parquet"]
    for form in forms:
        found = bundle.predict(form)
        assert found.schema == expected.schema
        numbers = [name for name, dtype in expected.schema.items() if dtype.is_float()]
        np.testing.assert_allclose(
            found.select(pl.col(numbers)).to_numpy(), expected.select(pl.col(numbers)).to_numpy(), rtol=1e-6
        )


def test_order_and_extra_columns_do_not_matter(made):
    bundle, expected = made.load(), made.load().predict(made.frame)
    names = sorted(made.frame.columns, reverse=True)
    turned = pl.DataFrame([made.frame.get_column(name) for name in names]).with_columns(
        pl.lit("x").alias("target"), pl.lit(1).alias("spare")
    )
    assert bundle.predict(turned).equals(expected)
    assert bundle.predict(turned.to_pandas()).equals(expected)


def test_retyped_columns_are_read_alike(bundle, binary):
    frame, expected = binary.frame, bundle.predict(binary.frame)
    retyped = frame.with_columns(
        pl.Series("zip", frame["zip"].cast(pl.Float64)),
        pl.Series("prediction", frame["prediction"].cast(pl.String)),
        pl.Series("emoji🙂", frame["emoji🙂"] == "yes"),
        pl.Series("new\nline", frame["new\nline"].str.to_datetime()),
        pl.Series('q"uote', frame['q"uote'].cast(pl.Categorical)),
    )
    assert bundle.predict(retyped).equals(expected)
    assert bundle.predict(frame.with_columns(pl.Series("zip", frame["zip"].cast(pl.String)))).equals(expected)


def test_no_rows_give_no_answers(made):
    found = made.load().predict(made.frame.head(0))
    assert found.height == 0
    assert found.schema == made.load().predict(made.frame.head(1)).schema


def test_many_blocks_are_answered_without_a_seam(binary, monkeypatch):
    bundle = binary.load()
    expected = bundle.answer(binary.frame)
    monkeypatch.setattr("assay.bundle.load._BLOCK", 7)
    np.testing.assert_allclose(bundle.answer(binary.frame), expected, atol=1e-6)


def test_an_all_missing_row_is_answered(made):
    empty = {name: [None] for name in made.frame.columns}
    found = made.load().predict(empty)
    assert found.height == 1
    assert all(np.isfinite(found[name][0]) for name, dtype in found.schema.items() if dtype.is_float())


# Cells and columns that do not fit


def test_a_missing_column_is_named(bundle, binary):
    frame = binary.frame.rename({"zip": "Zip"})
    with pytest.raises(DataError, match=r"the 8 columns the model was trained on, but 1 is missing: 'zip'"):
        bundle.predict(frame)
    with pytest.raises(DataError, match=r"Did you mean 'Zip'\?"):
        bundle.predict(frame.to_pandas())


@pytest.mark.parametrize(
    ("column", "cells", "kind"),
    [
        ("a b", ["x", "y", None], "number"),
        ("emoji🙂", ["maybe", "perhaps", ""], "boolean"),
        ("emoji🙂", [2, 3, None], "boolean"),
        ("new\nline", ["soon", "later", "?"], "datetime"),
        ("new\nline", [1, 2, 3], "datetime"),
    ],
)
def test_a_column_of_another_kind_is_refused(bundle, binary, column, cells, kind):
    frame = binary.frame.head(3).with_columns(pl.Series(column, cells))
    with pytest.raises(
        DataError, match=rf"must hold {kind} cells, as in training, but none of its \d cells is one"
    ) as error:
        bundle.predict(frame)
    assert repr(column) in str(error.value)


def test_some_cells_of_another_kind_are_warned_of_and_missing(bundle, binary):
    frame = binary.frame.head(4)
    spoiled = frame.with_columns(pl.Series("a b", ["1.5", "many", "NA", None]))
    with pytest.warns(UnreadCellsWarning, match=r"column 'a b': 1 of 2 cells are not of kind number") as caught:
        found = bundle.predict(spoiled)
    assert [warning.filename for warning in caught] == [__file__]
    assert found.equals(bundle.predict(frame.with_columns(pl.Series("a b", [1.5, None, None, None]))))


def test_unread_cells_are_counted_over_all_blocks(binary, monkeypatch):
    """A block of nothing but such cells is no error where other blocks hold numbers."""
    monkeypatch.setattr("assay.bundle.load._BLOCK", 2)
    frame = binary.frame.head(6).with_columns(pl.Series("a b", ["x", "y", "1", "z", "2", "3"]))
    with pytest.warns(UnreadCellsWarning, match="3 of 6 cells") as caught:
        binary.load().predict(frame)
    assert len(caught) == 1


def test_missing_cells_are_no_unread_cells(bundle, binary):
    frame = binary.frame.head(5).with_columns(
        pl.Series("a b", ["NA", "?", "", None, "nan"]),
        pl.Series("prediction", [np.nan, None, np.inf, 1.0, 2.0]),
        pl.Series("new\nline", ["none", None, "", "2024-01-01 00:00:00", "unknown"]),
    )
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert bundle.predict(frame).height == 5


def test_a_row_with_a_cell_such_as_training_had_is_answered(copy, rewrite):
    schema = (copy / SCHEMA).read_text(encoding="utf-8")
    (copy / SCHEMA).write_text(schema.replace('"unparsed": 0', '"unparsed": 3', 1), encoding="utf-8")
    rewrite(copy)
    bundle = load(copy)
    row = pl.read_parquet(copy / PROBE).tail(1).with_columns(pl.Series("a b", ["error"]))
    with pytest.warns(UnreadCellsWarning, match="1 of 1 cells"):
        assert bundle.predict(row).height == 1


# Verifying


def test_every_bundle_verifies_itself(made):
    assert made.load().verify() <= 1e-6


@pytest.mark.filterwarnings("error")
def test_verify_finds_other_answers(copy, rewrite):
    probe = pl.read_parquet(copy / PROBE)
    probe.with_columns(pl.col("assay:expected:1") + 1e-3).write_parquet(copy / PROBE)
    rewrite(copy)
    with pytest.raises(ParityError, match=r"must be answered as stored, to 1e-05, but the largest difference is 0.001"):
        load(copy).verify()


def test_verify_does_not_take_nan_for_agreement(copy, rewrite):
    probe = pl.read_parquet(copy / PROBE)
    probe.with_columns(pl.lit(np.nan).alias("assay:expected:1")).write_parquet(copy / PROBE)
    rewrite(copy)
    with pytest.raises(ParityError):
        load(copy).verify()


def test_verify_needs_a_probe_that_can_be_read(copy, rewrite):
    (copy / PROBE).write_bytes(b"PAR1 no more")
    rewrite(copy)
    with pytest.raises(BundleError, match="must be a Parquet file"):
        load(copy).verify()
    manifest = Manifest.read(copy / MANIFEST)
    rewrite(copy)
    files = {name: found for name, found in manifest.files.items() if name != PROBE}
    (copy / MANIFEST).write_text(manifest.model_copy(update={"files": files}).to_json(), encoding="utf-8")
    with pytest.raises(BundleError, match=f"holds {PROBE}"):
        load(copy).verify()


def test_differences_are_absolute_for_shares_and_relative_for_values():
    shares = differences(np.array([[0.5, 0.5], [0.2, 0.8]]), np.array([[0.4, 0.6], [0.2, 0.8]]), Task.BINARY)
    assert shares == pytest.approx([0.1, 0.0])
    expected = np.array([100.0, 100.0, 0.0])
    assert differences(np.array([101.0, 100.0, 0.5]), expected, Task.REGRESSION) == pytest.approx([0.01, 0.0, 0.005])
    assert differences(np.array([]), np.array([]), Task.REGRESSION).shape == (0,)
    assert np.isnan(differences(np.array([np.nan]), np.array([1.0]), Task.BINARY)).all()


# Files that are not what they say


class Payload:
    """Makes a directory when it is unpickled."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return os.mkdir, (self.path,)


def test_a_pickle_called_model_is_refused_and_never_run(copy, rewrite, tmp_path):
    proof = tmp_path / "it ran"
    (copy / MODEL).write_bytes(pickle.dumps(Payload(proof)))
    rewrite(copy)
    with pytest.raises(BundleError, match=f"{MODEL} must be an ONNX model"):
        load(copy)
    assert not proof.exists()
    pickle.loads((copy / MODEL).read_bytes())
    assert proof.exists()  # it would have


@pytest.mark.parametrize("content", [b"", b"garbage", b"\x08\x0a" * 50])
def test_another_file_called_model_is_refused(copy, rewrite, content):
    (copy / MODEL).write_bytes(content)
    rewrite(copy)
    with pytest.raises(BundleError, match="must be an ONNX model"):
        load(copy)


@pytest.mark.parametrize("inside", [True, False])
def test_weights_in_another_file_are_refused(copy, rewrite, tmp_path, monkeypatch, inside):
    model = onnx.load(copy / MODEL)
    place = copy if inside else tmp_path
    onnx.save(model, place / MODEL, save_as_external_data=True, location="weights.bin", size_threshold=0)
    (copy / MODEL).write_bytes((place / MODEL).read_bytes())
    rewrite(copy)
    monkeypatch.chdir(place)  # where onnxruntime would look for them
    with pytest.raises(BundleError, match="must be an ONNX model"):
        load(copy)


def test_a_model_of_another_bundle_is_refused(copy, numbers_only, rewrite):
    (copy / MODEL).write_bytes((numbers_only.directory / MODEL).read_bytes())
    rewrite(copy)
    with pytest.raises(BundleError, match=r"must take the inputs and give the outputs that manifest.json names"):
        load(copy)


def test_classes_that_the_model_does_not_have_are_refused(copy, rewrite):
    rewrite(copy, classes=("a", "b", "c"))
    with pytest.raises(BundleError, match="they differ"):
        load(copy)


def test_pandas_columns_with_missing_cells_are_read(bundle, binary):
    frame = pd.DataFrame({name: binary.frame[name].to_list() for name in binary.frame.columns})
    frame['q"uote'] = frame['q"uote'].astype("category")
    frame["a b"] = frame["a b"].astype("Float64")
    found = bundle.predict(frame.iloc[::-1])
    expected = bundle.predict(binary.frame.reverse())
    np.testing.assert_allclose(found["probability_true"], expected["probability_true"], atol=1e-6)


def test_verify_sees_a_file_changed_since_loading(copy):
    bundle = load(copy)
    assert bundle.verify() <= 1e-5
    (copy / SCHEMA).write_text("{}")
    with pytest.raises(BundleError, match=r"schema\.json must be the file that was saved"):
        bundle.verify()


# Series


def test_raw_rows_are_folded_as_for_training(bundle, binary):
    steps = tuple(f"t{at}" for at in range(16))
    bundle.schema = bundle.schema.model_copy(update={"folding": Folding(kind="wide", columns=steps, name="series")})
    raw = binary.frame.with_columns(pl.lit(1.0).alias(name) for name in steps)
    assert bundle.folded(raw).columns == [*binary.frame.columns, "series"]
    expected = bundle.predict(binary.frame.with_columns(series=pl.lit([1.0] * 16)))
    assert bundle.predict(raw).equals(expected)
    with pytest.warns(UnreadCellsWarning, match="steps, first in column 't3', are no numbers"):
        bundle.predict(raw.with_columns(t3=pl.lit("high")))
    with pytest.raises(DataError, match="16 are missing"):
        bundle.predict(binary.frame)


def test_a_long_table_has_one_answer_a_case(bundle, binary):
    kept = tuple(binary.frame.columns)
    folding = Folding(kind="long", columns=("x",), case="who", step="at", kept=kept)
    bundle.schema = bundle.schema.model_copy(update={"folding": folding})
    cases = binary.frame.with_row_index("who")
    raw = pl.concat([cases.with_columns(x=pl.lit(float(at)), at=pl.lit(at)) for at in (2, 0, 1)])
    assert bundle.folded(raw)["x"].to_list() == [[0.0, 1.0, 2.0]] * binary.frame.height
    assert bundle.predict(raw).equals(bundle.predict(bundle.folded(raw)))
    assert bundle.predict(raw).height == binary.frame.height
    with pytest.raises(DataError, match="the case 3 has the step 0 more than once"):
        bundle.predict(pl.concat([raw, raw.filter((pl.col("who") == 3) & (pl.col("at") == 0))]))
