"""What rows look like: scores by hand, distances, what stands out, and false alarms at the rate promised."""

import numpy as np
import pytest

from assay.data.inputs import Input, Matrices
from assay.data.outline import Outline, number_scores
from assay.data.pictures.picture import PictureFormat
from assay.data.schema import Kind
from assay.evaluate.carried.outline import _knots, _rarity, outline_of, with_limit
from assay.evaluate.carried.unusual import note_unusual, unusual_share
from assay.ledger import Ledger, Outcome

INPUTS = (
    Input(name="size", kind=Kind.NUMBER),
    Input(name="price", kind=Kind.NUMBER),
    Input(name="colour", kind=Kind.CATEGORY, categories=("blue", "red")),
)


def draw(rows, seed, shift=0.0):
    rng = np.random.default_rng(seed)
    size = rng.lognormal(size=rows)
    price = 3.0 * np.log(size) + 0.3 * rng.normal(size=rows) + shift
    price[rng.random(rows) < 0.05] = np.nan
    codes = 2 + (rng.random((rows, 1)) < 0.3).astype(np.int64)
    return Matrices(np.stack([size, price], 1), codes, np.empty((rows, 0), np.float32))


@pytest.fixture(scope="module")
def outline():
    found = outline_of(draw(3000, 0), INPUTS)
    return with_limit(found, found.place(draw(2000, 1), INPUTS).distance, 0.01)


# Scores


def test_numbers_are_scored_by_their_quantiles():
    cells = np.random.default_rng(0).normal(10.0, 2.0, 20_000)
    one = _knots("x", cells)
    assert number_scores(np.array([10.0, 12.0, 6.0]), one) == pytest.approx([0.0, 1.0, -2.0], abs=0.06)
    assert number_scores(np.array([1e9, -1e9]), one).tolist() == [8.0, -8.0]
    assert 3.5 < number_scores(np.array([18.0]), one)[0] < 4.8
    assert max(one.values) < cells.max()  # the largest cell is nobody's business
    assert min(one.values) > cells.min()


def test_a_gap_is_as_unusual_as_gaps_are_rare():
    often, never = (_knots("x", np.r_[np.full(gaps, np.nan), np.arange(1000.0)]) for gaps in (1000, 0))
    assert often.missing == 0.0
    assert never.missing == pytest.approx(3.09, abs=0.01)
    assert np.isnan(number_scores(np.array([np.nan]), never)[0])


def test_a_column_of_one_value_and_a_column_of_none():
    single = _knots("x", np.full(100, 7.0))
    assert number_scores(np.array([7.0, 7.5, -7.0]), single) == pytest.approx([0.0, 3.0 + 0.5 / 7, -3.0 - 2.0])
    empty = _knots("x", np.full(100, np.nan))
    assert number_scores(np.array([-1.0, 1.0]), empty).tolist() == [3.0, 3.0]


def test_categories_are_scored_by_how_rare_they_are():
    unknown, missing, common, other, rare = _rarity(np.array([0, 0, 900, 90, 10]))
    assert common == 0.0
    assert other == pytest.approx(1.2816, abs=1e-3)  # a tenth of the rows are it or rarer
    assert rare == pytest.approx(2.3263, abs=1e-3)
    assert unknown == missing == pytest.approx(3.0905, abs=0.01)


def test_even_categories_are_all_usual():
    assert _rarity(np.array([0, 0, 10, 10, 10]))[2:] == (0.0, 0.0, 0.0)


# Distances


def test_usual_rows_are_flagged_at_the_rate(outline):
    flagged = outline.place(draw(20_000, 2), INPUTS).distance > outline.limit
    assert flagged.mean() == pytest.approx(0.01, abs=0.006)


def test_what_breaks_the_relation_of_columns_stands_out(outline):
    size = np.exp(1.5)
    usual, broken = np.array([[size, 4.5]]), np.array([[size, -4.5]])  # each value alone is common
    places = [
        outline.place(Matrices(cells, np.array([[2]]), np.empty((1, 0), np.float32)), INPUTS)
        for cells in (usual, broken)
    ]
    assert places[0].distance[0] < outline.limit < places[1].distance[0]


def test_the_column_that_stands_out_is_named(outline):
    raw = draw(3, 3)
    raw.values[0] = [1.0, 0.0]
    raw.values[1] = [1e6, np.nan]
    raw.codes[2] = 0  # never seen
    found = outline.place(raw, INPUTS)
    assert [outline.names[place] for place in found.most][1:] == ["size", "colour"]


def test_a_gap_is_left_out_of_the_distance():
    rng = np.random.default_rng(0)
    inputs = tuple(Input(name=name, kind=Kind.NUMBER) for name in "abcd")
    cells = rng.normal(size=(4000, 4)) @ rng.normal(size=(4, 4))
    gaps = rng.random(cells.shape) < 0.3

    def raw(values):
        return Matrices(values, np.empty((len(values), 0), np.int64), np.empty((len(values), 0), np.float32))

    found = outline_of(raw(cells), inputs)
    covariance = np.linalg.inv(found._precision(np.eye(4)))
    scaled = rng.normal(size=(50, 4)) @ np.linalg.cholesky(covariance).T
    holes = np.where(gaps[:50], np.nan, scaled)
    filled = found.filled(holes)
    ours = (filled * found._precision(filled)).sum(1)
    for row, (values, missing) in enumerate(zip(scaled, gaps[:50], strict=True)):
        known = ~missing
        part = values[known] @ np.linalg.inv(covariance[np.ix_(known, known)]) @ values[known] if known.any() else 0.0
        assert ours[row] == pytest.approx(part, abs=1e-6)
    with_gaps = outline_of(raw(np.where(gaps, np.nan, cells)), inputs)
    assert np.linalg.inv(with_gaps._precision(np.eye(4))) == pytest.approx(covariance, abs=0.3)


def test_a_distance_is_that_of_mahalanobis():
    rng = np.random.default_rng(0)
    cells = rng.normal(size=(50_000, 3)) @ np.array([[1.0, 0.8, 0.0], [0.0, 0.6, 0.0], [0.0, 0.0, 1.0]])
    inputs = tuple(Input(name=name, kind=Kind.NUMBER) for name in "abc")

    def raw(values):
        return Matrices(values, np.empty((len(values), 0), np.int64), np.empty((len(values), 0), np.float32))

    found = outline_of(raw(cells), inputs).place(raw(cells[:200]), inputs)
    inverse = np.linalg.inv(np.cov(cells.T))
    expected = np.sqrt(np.einsum("ni,ij,nj->n", cells[:200], inverse, cells[:200]) / 3)
    assert found.distance == pytest.approx(expected, abs=0.12)


def test_many_columns_are_measured_along_a_few_axes():
    rng = np.random.default_rng(0)
    inputs = tuple(Input(name=f"c{place}", kind=Kind.NUMBER) for place in range(600))
    shared = rng.normal(size=(1500, 4)) @ rng.normal(size=(4, 600))

    def raw(values):
        return Matrices(values, np.empty((len(values), 0), np.int64), np.empty((len(values), 0), np.float32))

    found = outline_of(raw(shared + 0.5 * rng.normal(size=shared.shape)), inputs)
    assert len(found.axes) == 32
    fresh = rng.normal(size=(200, 4)) @ rng.normal(size=(4, 600)) + 0.5 * rng.normal(size=(200, 600))
    usual = found.place(raw(shared[:200] + 0.5 * rng.normal(size=(200, 600))), inputs).distance
    assert np.median(found.place(raw(fresh), inputs).distance) > 1.5 * np.quantile(usual, 0.99)


# Other kinds of cells


def test_texts_series_and_pictures_are_told_of():
    rng = np.random.default_rng(0)
    inputs = (
        Input(name="note", kind=Kind.TEXT, words=30),
        Input(name="pulse", kind=Kind.SEQUENCE, length=20),
        Input(name="photo", kind=Kind.IMAGE, picture=PictureFormat(channels=1, height=6, width=6)),
    )

    def raw(rows, low=16, high=40, brightness=128, scale=1.0):
        words = rng.integers(low, high, (rows, 12)).astype(np.int32)
        series = (scale * rng.normal(size=(rows, 1, 20))).astype(np.float32)
        pictures = np.clip(rng.normal(brightness, 20, (rows, 1, 6, 6)), 0, 255).astype(np.uint8)
        empty = np.empty((rows, 0))
        return Matrices(empty, empty.astype(np.int64), empty.astype(np.float32), (words, series, pictures))

    found = outline_of(raw(800), inputs)
    assert found.names[:6] == (
        "length of note", "words of note", "mean of pulse", "spread of pulse", "change of pulse", "gaps of pulse",
    )  # fmt: skip
    found = with_limit(found, found.place(raw(600), inputs).distance, 0.05)
    assert (found.place(raw(200), inputs).distance > found.limit).mean() < 0.15
    for odd, name in (
        (raw(50, low=500, high=900), "words of note"),
        (raw(50, brightness=20), "brightness 1 of photo"),
        (raw(50, scale=9.0), "pulse"),
    ):
        places = found.place(odd, inputs)
        assert (places.distance > found.limit).all()
        assert name in found.names[np.bincount(places.most).argmax()]


def test_empty_texts_and_series_without_a_step_are_borne():
    inputs = (Input(name="note", kind=Kind.TEXT, buckets=8), Input(name="pulse", kind=Kind.SEQUENCE, length=4))
    texts = np.zeros((40, 8), np.float32)
    texts[:30, 2] = 1.0
    series = np.full((40, 1, 4), np.nan, np.float32)
    series[:20] = np.arange(4.0)
    raw = Matrices(np.empty((40, 0)), np.empty((40, 0), np.int64), texts, (series,))
    assert np.isfinite(outline_of(raw, inputs).place(raw, inputs).distance).all()


# The limit, what is told, and the file


def test_too_few_rows_for_the_rate_have_the_rate_they_can():
    plain = outline_of(draw(500, 0), INPUTS)
    found = with_limit(plain, np.arange(49.0), 0.01)
    assert (found.limit, found.rate, found.calibration) == (48.0, 0.02, 49)
    assert with_limit(plain, np.arange(99.0), 0.01).limit == 98.0
    assert with_limit(plain, np.empty(0), 0.01).limit is None


def test_test_rows_of_another_kind_are_warned_of(outline):
    ledger = Ledger()
    usual = unusual_share(outline, outline.place(draw(2000, 5), INPUTS), 0.01, 0.95)
    assert not usual.is_above
    assert usual.low <= usual.flagged <= usual.high
    odd = unusual_share(outline, outline.place(draw(2000, 5, shift=4.0), INPUTS), 0.01, 0.95)
    assert odd.is_above
    assert odd.columns[0][0] in ("size", "price")
    note_unusual(odd, ledger)
    assert ledger["evaluate.unusual"].outcome is Outcome.WARNED
    assert "the test rows differ from the training rows; mostly for" in ledger["evaluate.unusual"].reason


def test_an_outline_holds_no_row_and_travels_as_json(outline):
    text = outline.model_dump_json()
    assert Outline.from_json(text, "here") == outline
    assert len(text) < 5_000
    cells = draw(3000, 0).values
    known = {repr(float(cell)) for cell in cells[np.isfinite(cells)]}
    kept = [repr(value) for one in outline.numbers for value in one.values]
    assert sum(value in known for value in kept) <= 1  # the middle one of an odd number of rows
