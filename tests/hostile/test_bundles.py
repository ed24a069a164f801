"""Damaged, foreign and hostile bundles, and rows that are not what the model was trained on."""

from __future__ import annotations

import json
import pickle
import shutil
from hashlib import sha256
from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal

import assay
from assay.bundle.load import UnreadCellsWarning
from assay.bundle.manifest import FILES
from assay.cli import main
from assay.errors import BundleError, DataError


class Trap:
    """What runs when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


@pytest.fixture
def bundle(small_run, tmp_path) -> Path:
    """A copy of the small run's bundle that a test may damage."""
    return Path(shutil.copytree(small_run.bundle.directory, tmp_path / "model"))


def change_manifest(bundle: Path, **fields: object) -> None:
    path = bundle / "manifest.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **fields}))


def forge(bundle: Path, name: str, content: bytes) -> None:
    """Replace a file and its sum, as one who may write the whole bundle can."""
    (bundle / name).write_bytes(content)
    files = json.loads((bundle / "manifest.json").read_text())["files"]
    change_manifest(bundle, files={**files, name: {"bytes": len(content), "sha256": sha256(content).hexdigest()}})


def refused(path: Path, message: str) -> None:
    with pytest.raises(BundleError, match=message) as caught:
        assay.load(path)
    assert caught.value.exit_code == 2
    assert caught.value.do


@pytest.mark.parametrize("name", FILES)
def test_a_changed_byte_is_seen(bundle, name):
    content = bytearray((bundle / name).read_bytes())
    content[len(content) // 2] ^= 1
    (bundle / name).write_bytes(content)
    refused(bundle, f"{name} must be the file that was saved, but its bytes differ from the sha256")


@pytest.mark.parametrize("name", [*FILES, "manifest.json"])
def test_a_missing_file_is_seen(bundle, name):
    (bundle / name).unlink()
    refused(
        bundle, "manifest.json, but .* has none" if name == "manifest.json" else f"must hold {name}, but it is miss"
    )


def test_a_link_in_place_of_a_file_is_refused(bundle, tmp_path):
    shutil.move(bundle / "model.onnx", tmp_path / "elsewhere.onnx")
    (bundle / "model.onnx").symlink_to(tmp_path / "elsewhere.onnx")
    refused(bundle, "must hold model.onnx")


@pytest.mark.parametrize("number", [0, 2, 99])
def test_an_unknown_format_is_refused(bundle, number):
    change_manifest(bundle, format=number, fields_of_tomorrow=True)
    refused(bundle, f"reads bundles of format 1, but this one has format {number}")


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"null", b"\xff\xfe", b'{"format": 1}', b'{"format": "one"}'])
def test_a_manifest_that_is_none_is_refused(bundle, content):
    (bundle / "manifest.json").write_bytes(content)
    refused(bundle, "manifest.json must hold a valid")


@pytest.mark.parametrize("name", ["../outside", "/etc/hostname", "a/../../b", ".."])
def test_a_manifest_reaches_no_file_outside(bundle, name):
    files = json.loads((bundle / "manifest.json").read_text())["files"]
    change_manifest(bundle, files={**files, name: {"bytes": 1, "sha256": "0" * 64}})
    refused(bundle, "files of a bundle lie in its directory, but the manifest names")


def test_a_pickle_is_refused_and_not_run(bundle, tmp_path):
    forge(bundle, "model.onnx", pickle.dumps(Trap(tmp_path / "ran")))
    refused(bundle, "model.onnx must be an ONNX model, but onnxruntime refuses it")
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("content", [b"", b"\x00" * 1000, b"\x08\x07\x12\x04abcd", bytes(range(256))])
def test_bytes_that_are_no_model_are_refused(bundle, content):
    forge(bundle, "model.onnx", content)
    refused(bundle, "model.onnx must be an ONNX model")


def test_a_forged_schema_is_refused(bundle):
    forge(bundle, "schema.json", b'{"columns": []}')
    refused(bundle, "schema.json must hold a valid schema record")


def test_what_is_no_bundle_is_refused(tmp_path, adult_train):
    refused(tmp_path, "a bundle is a directory with a manifest.json, but .* has none")
    refused(tmp_path / "nowhere", "is not a directory")
    refused(adult_train, "is not a directory")


def test_the_command_line_says_it_in_one_line(bundle, adult_small, tmp_path, capsys):
    (bundle / "weights.safetensors").unlink()
    adult_small.write_csv(tmp_path / "rows.csv")
    assert main(["predict", str(bundle), str(tmp_path / "rows.csv"), "-o", str(tmp_path / "answers.csv")]) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert err.startswith("error: the bundle must hold weights.safetensors, but it is missing")
    assert not (tmp_path / "answers.csv").exists()


# Rows -----------------------------------------------------------------------------------------------------------------


def test_reordered_and_extra_columns_change_nothing(small_run, adult_small):
    expected = small_run.predict(adult_small)
    turned = adult_small.select(reversed(adult_small.columns)).with_columns(extra=pl.lit("x"))
    assert_frame_equal(small_run.predict(turned), expected)
    assert_frame_equal(small_run.predict(adult_small.drop("income")), expected)


def test_missing_columns_are_named(small_run, adult_small):
    message = r"must have the 1[34] columns the model was trained on, but 1 is missing: 'sex'.*empty cells are allowed"
    with pytest.raises(DataError, match=message):
        small_run.predict(adult_small.drop("sex"))
    with pytest.raises(DataError, match=r"2 are missing: 'age', 'sex'.* Did you mean 'Age'\?"):
        small_run.predict(adult_small.rename({"sex": "Sex", "age": "Age"}))


def test_retyped_columns_with_the_same_values_change_nothing(small_run, adult_small):
    expected = small_run.predict(adult_small)
    texts = adult_small.with_columns(pl.col("age", "hours_per_week").cast(pl.String))
    assert_frame_equal(small_run.predict(texts), expected)
    floats = adult_small.with_columns(pl.col("age").cast(pl.Float32), pl.col("education_num").cast(pl.Int8))
    assert_frame_equal(small_run.predict(floats), expected)
    assert_frame_equal(small_run.predict(adult_small.with_columns(pl.col("sex").cast(pl.Categorical))), expected)


def test_a_column_of_another_kind_is_refused(small_run, adult_small):
    with pytest.raises(
        DataError, match="'age' must hold number cells, as in training, but none of its 600 cells is one"
    ):
        small_run.predict(adult_small.with_columns(age=pl.col("sex")))


def test_some_cells_of_another_kind_are_missing_and_counted(small_run, adult_small):
    mixed = adult_small.head(10).with_columns(age=pl.Series(["old", *[str(age) for age in adult_small["age"][1:10]]]))
    with pytest.warns(UnreadCellsWarning, match="'age': 1 of 10 cells"):
        answers = small_run.predict(mixed)
    empty = adult_small.head(10).with_columns(age=pl.when(pl.int_range(10) > 0).then("age"))
    assert_frame_equal(answers, small_run.predict(empty))


def test_rows_without_any_value_and_no_rows_are_answered(small_run, adult_small):
    nothing = adult_small.head(3).with_columns(pl.lit(None).alias(name) for name in adult_small.columns)
    answers = small_run.predict(nothing)
    assert answers.height == 3
    assert answers["probability_>50K"].is_between(0, 1).all()
    none = small_run.predict(adult_small.head(0))
    assert (none.height, none.columns) == (0, answers.columns)


@pytest.mark.parametrize("cell", [float("inf"), float("-inf"), float("nan"), 1e308, -1e308, 5e-324])
def test_extreme_numbers_give_finite_answers(small_run, adult_small, cell):
    answers = small_run.predict(adult_small.head(5).with_columns(pl.lit(cell).alias("capital_gain")))
    assert answers["probability_>50K"].is_finite().all()


@pytest.mark.parametrize("cell", ["", "\x00", "😀" * 1000, "'; DROP TABLE rows; --", "NaN", "-" * 100_000])
def test_strange_words_are_categories_like_any_unknown(small_run, adult_small, cell):
    answers = small_run.predict(adult_small.head(5).with_columns(pl.lit(cell).alias("occupation")))
    assert answers["probability_>50K"].is_between(0, 1).all()
