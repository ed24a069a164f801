"""Sets, intervals and unusual rows of a bundle: the columns, parity with the trained model, and what is refused."""

import shutil

import numpy as np
import polars as pl
import pytest

from assay.bundle.carried import set_separator
from assay.bundle.load import load
from assay.bundle.manifest import MANIFEST, OUTLINE, Manifest, sum_file
from assay.data.regions import Limit, Regions
from assay.data.rows import Rows
from assay.errors import BundleError, DataError
from assay.evaluate.carried.outline import fit_outline, place_frame, with_limit
from assay.evaluate.carried.regions import Judged, fit_regions
from assay.models.reading import inputs_of


def rows_of(made, part="train"):
    numbers = np.arange(made.frame.height)
    return Rows(part, made.frame, np.zeros(made.frame.height), None, numbers)


def outline_of(made):
    inputs = inputs_of(made.model.encoder, made.model.ensemble)
    found = fit_outline(rows_of(made), made.model.encoder, inputs, seed=0)
    return with_limit(found, place_frame(found, made.frame, made.model.encoder, inputs).distance, 0.05), inputs


@pytest.fixture
def carrying(tmp_path):
    """A copy of a bundle that carries regions and an outline."""

    def make(made, regions=None, outline=None):
        directory = shutil.copytree(made.directory, tmp_path / "carrying")
        manifest = Manifest.read(directory / MANIFEST)
        files = dict(manifest.files)
        if outline is not None:
            (directory / OUTLINE).write_text(outline.model_dump_json(), encoding="utf-8")
            files[OUTLINE] = sum_file(directory / OUTLINE)
        changed = manifest.model_copy(update={"regions": regions, "files": files})
        (directory / MANIFEST).write_text(changed.to_json(), encoding="utf-8")
        return load(directory, threads=1)

    return make


def sets_of(kind="aps", limit=0.6, **more):
    return Regions(kind=kind, coverage=0.9, limit=Limit(value=limit, rows=50), **more)


# Sets


def test_sets_are_lists_of_classes_in_their_type_likeliest_first(multiclass, carrying):
    top = multiclass.load().predict(multiclass.frame).select("^probability.*$").to_numpy().max(1)
    limit = float(np.median(top))  # half of the rows leave more than that to one class
    found = carrying(multiclass, sets_of(limit=limit)).predict(multiclass.frame, sets=True)
    assert found.columns == ["prediction", "probability_2", "probability_10", "probability_-1", "set"]
    assert found.schema["set"] == pl.List(pl.Int64)
    assert found["set"].list.len().n_unique() > 1
    assert (found["set"].list.first() == found["prediction"]).all()
    shares = found.select("^probability.*$").to_numpy()
    held = sets_of(limit=limit).sets(shares)
    for row, (names, own) in enumerate(zip(found["set"].to_list(), held, strict=True)):
        assert sorted(names) == sorted(np.array([2, 10, -1])[own].tolist())
        assert shares[row][[[2, 10, -1].index(name) for name in names]].tolist() == sorted(shares[row][own])[::-1]


def test_without_being_asked_nothing_is_added(multiclass, carrying):
    assert carrying(multiclass, sets_of()).predict(multiclass.frame).width == 4


def test_sets_are_words_in_csv(multiclass, carrying):
    bundle = carrying(multiclass, sets_of(limit=2.0))
    joined = bundle.joined(bundle.predict(multiclass.frame, sets=True))
    assert set(joined["set"][0].split("|")) == {"2", "10", "-1"}


def test_a_separator_that_no_class_has():
    assert set_separator(("a", "b")) == "|"
    assert set_separator(("a|b", "c;d")) == "/"


def test_groups_are_read_as_in_training(multiclass, carrying):
    own = {"1": Limit(value=0.0, rows=50), "2": Limit(value=2.0, rows=50)}
    bundle = carrying(multiclass, sets_of(limit=0.0, column="zip", groups=own))
    sizes = bundle.predict(multiclass.frame, sets=True)["set"].list.len()
    zips = multiclass.frame["zip"]
    assert (sizes.filter(zips == 2) == 3).all()
    assert (sizes.filter(zips != 2) == 1).all()
    retyped = multiclass.frame.with_columns(pl.col("zip").cast(pl.Float64))
    assert bundle.predict(retyped, sets=True)["set"].list.len().equals(sizes)


def test_a_missing_column_of_groups_is_named(multiclass, carrying):
    bundle = carrying(multiclass, sets_of(column="shop", groups={}))
    assert bundle.predict(multiclass.frame).height == 200  # nobody asked for sets
    with pytest.raises(DataError, match="must have the column 'shop'"):
        bundle.predict(multiclass.frame, sets=True)


# Intervals and unusual rows


def test_intervals_of_a_bundle_are_those_of_the_trained_model(regression, carrying):
    outline, inputs = outline_of(regression)
    encoder = regression.model.encoder
    values = regression.model.values(regression.frame)
    placed = place_frame(outline, regression.frame, encoder, inputs)
    truth = values + np.random.default_rng(0).normal(size=200)
    judged = Judged(values, truth, None, placed.distance, placed.coordinates)
    for kind in ("absolute", "normalised", "cqr"):
        regions = fit_regions(judged, 0.9, kind)
        low, high = regions.bounds(values, judged.features(regions.shape))
        bundle = carrying(regression, regions, outline)
        found = bundle.predict(regression.frame, intervals=True)
        assert found.columns == ["prediction", "lower", "upper"]
        np.testing.assert_allclose(found["lower"], low, rtol=1e-9, atol=1e-3)
        np.testing.assert_allclose(found["upper"], high, rtol=1e-9, atol=1e-3)
        assert (found["lower"] <= found["upper"]).all()
        shutil.rmtree(bundle.directory)


def test_unusual_rows_of_a_bundle_are_those_of_the_trained_model(made, carrying):
    outline, inputs = outline_of(made)
    bundle = carrying(made, None, outline)
    expected = place_frame(outline, made.frame, made.model.encoder, inputs)
    found = bundle.predict(made.frame, unusual=True)
    assert found.columns[-3:] == ["unusual", "unusual_score", "unusual_column"]
    np.testing.assert_allclose(found["unusual_score"], expected.distance / outline.limit, rtol=1e-9)
    assert (found["unusual"] == (found["unusual_score"] > 1.0)).all()
    assert found["unusual"].mean() <= 0.05
    single = bundle.predict(made.frame[7:8], unusual=True)
    np.testing.assert_allclose(single["unusual_score"], found["unusual_score"][7:8], rtol=1e-9)


def test_a_strange_row_is_flagged_and_its_column_named(binary, carrying):
    outline, _ = outline_of(binary)
    strange = binary.frame[:2].with_columns(pl.lit(1e9).alias("^odd"))
    found = carrying(binary, None, outline).predict(strange, unusual=True)
    assert found["unusual"].to_list() == [True, True]
    assert found["unusual_column"].to_list() == ["^odd", "^odd"]


def test_no_rows_get_no_sets_and_no_scores(binary, regression, carrying):
    outline, _ = outline_of(binary)
    found = carrying(binary, sets_of("lac"), outline).predict(binary.frame[:0], sets=True, unusual=True)
    assert found.height == 0
    assert found.columns[-4:] == ["set", "unusual", "unusual_score", "unusual_column"]


# What a model does not carry


def test_what_a_model_does_not_carry_is_refused_with_the_reason(binary, regression):
    with pytest.raises(BundleError, match=r"calibrated for sets.*this one was not.*evaluate\.conformal=none"):
        binary.load().predict(binary.frame, sets=True)
    with pytest.raises(BundleError, match=r"intervals are of numbers, but this is a model of binary\. Ask for sets"):
        binary.load().predict(binary.frame, intervals=True)
    with pytest.raises(BundleError, match=r"this is a model of regression\. Ask for intervals"):
        regression.load().predict(regression.frame, sets=True)
    with pytest.raises(BundleError, match="must carry an outline of its training rows"):
        regression.load().predict(regression.frame, unusual=True)
    assert regression.load().outline is None


def test_a_changed_outline_is_refused(binary, carrying):
    bundle = carrying(binary, None, outline_of(binary)[0])
    path = bundle.directory / OUTLINE
    path.write_text(path.read_text().replace('"limit":', '"limit": 9'), encoding="utf-8")
    with pytest.raises(BundleError, match=r"outline\.json must be the file that was saved"):
        load(bundle.directory)
