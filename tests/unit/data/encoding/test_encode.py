import math

import numpy as np
import polars as pl
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sklearn.preprocessing import MinMaxScaler, QuantileTransformer, RobustScaler, StandardScaler

from assay.data.config import EncodeConfig, SplitConfig
from assay.data.encoding.encode import Encoder
from assay.data.encoding.learn import CYCLES
from assay.data.inputs import MISSING, UNKNOWN
from assay.data.reading.read import Source, Table
from assay.data.rows import Rows
from assay.data.schema import Column, Kind, Schema, Task
from assay.data.split.split import seal
from assay.ledger import Ledger, Outcome
from assay.models.config import ModelConfig
from assay.models.features import Features

NAN, INF = math.nan, math.inf
SCALES = ("standard", "robust", "unit", "symmetric", "quantile", "none")


def schema_of(kinds, *, time=None, formats=None):
    columns = [
        Column(name=name, kind=kind, dtype="Float64", reason="made", format=(formats or {}).get(name))
        for name, kind in kinds.items()
    ]
    target = Column(name="y", kind=Kind.NUMBER, dtype="Float64", reason="made")
    return Schema(columns=(*columns, target), target="y", task=Task.REGRESSION, task_reason="", time=time)


def rows_of(frame, part="train"):
    return Rows(part, frame, np.zeros(frame.height), None, np.arange(frame.height))


def fitted(frame, kinds, *, ledger=None, time=None, formats=None, **config) -> Encoder:
    """An encoder without a clip unless asked, so that the scaling itself is seen."""
    schema = schema_of(kinds, time=time, formats=formats)
    config = EncodeConfig(**{"clip": 0.0} | config)
    return Encoder.fit(rows_of(frame), schema, config, Ledger() if ledger is None else ledger)


def numbers_of(columns, **config):
    """Columns of numbers, encoded by what was learned from themselves: numbers and extras as float64 arrays."""
    frame = pl.DataFrame({f"x{at}": values for at, values in enumerate(columns)})
    encoder = fitted(frame, dict.fromkeys(frame.columns, Kind.NUMBER), **config)
    encoded = encoder.encode(frame)
    return encoded.numbers.double().numpy(), encoded.extras.double().numpy()


# Scaling, against scikit-learn


@pytest.fixture(scope="module")
def skewed():
    rng = np.random.default_rng(0)
    return np.column_stack(
        [rng.normal(50.0, 5.0, 999), rng.lognormal(size=999), rng.integers(0, 40, 999).astype(float)]
    )


@pytest.mark.parametrize(
    ("scale", "reference"),
    [
        ("standard", StandardScaler()),
        ("robust", RobustScaler()),
        ("unit", MinMaxScaler()),
        ("symmetric", MinMaxScaler((-1, 1))),
    ],
)
def test_scaling_agrees_with_scikit_learn(skewed, scale, reference):
    found, _ = numbers_of(skewed.T, scale=scale)
    np.testing.assert_allclose(found, reference.fit_transform(skewed), rtol=1e-5, atol=1e-6)


def test_quantile_scaling_agrees_with_scikit_learn(skewed):
    reference = QuantileTransformer(n_quantiles=257, output_distribution="normal").fit_transform(skewed[:, :2])
    found, _ = numbers_of(skewed[:, :2].T, scale="quantile", quantiles=256)
    inside = np.abs(reference) < 2.0
    assert inside.mean() > 0.9
    np.testing.assert_allclose(found[inside], reference[inside], atol=0.02)
    assert np.abs(found - reference)[inside].mean() < 2e-3


def test_quantile_scaling_gives_ties_the_score_of_their_middle_rank():
    values = np.repeat([1.0, 2.0, 3.0], [300, 600, 300])
    found, _ = numbers_of([values], scale="quantile", quantiles=100)
    assert found[values == 2.0] == pytest.approx(0.0, abs=1e-6)
    assert found[0, 0] == pytest.approx(-found[-1, 0], abs=1e-6)


def test_quantile_scaling_is_monotone_and_bounded(skewed):
    frame = pl.DataFrame({"x": skewed[:, 1]})
    encoder = fitted(frame, {"x": Kind.NUMBER}, scale="quantile", quantiles=32)
    found = encoder.encode(pl.DataFrame({"x": np.linspace(-5, 50, 2000)})).numbers[:, 0].numpy()
    assert (np.diff(found) >= 0).all()
    assert found[0] == pytest.approx(-3.0902, abs=1e-3)
    assert found[-1] == pytest.approx(3.0902, abs=1e-3)


def test_a_spike_that_holds_both_quartiles_is_scaled_by_the_half_range():
    found, _ = numbers_of([np.array([0.0] * 9 + [10.0])], scale="robust")
    assert found[:, 0].tolist() == [0.0] * 9 + [2.0]


def test_soft_clip_is_the_published_formula():
    values = np.linspace(-30, 30, 61)
    plain, _ = numbers_of([values], scale="standard")
    clipped, _ = numbers_of([values], scale="standard", clip=0.5)
    np.testing.assert_allclose(clipped, plain / np.sqrt(1 + (plain / 0.5) ** 2), rtol=1e-5)
    assert np.abs(clipped).max() < 0.5


# Missing cells


def test_missing_numbers_get_the_median_and_a_flag():
    values = np.array([1.0, NAN, 3.0, INF, -INF, 100.0, 7.0])
    numbers, extras = numbers_of([values], scale="none")
    assert numbers[:, 0].tolist() == [1.0, 5.0, 3.0, 5.0, 5.0, 100.0, 7.0]
    assert extras[:, 0].tolist() == [0.0, 1.0, 0.0, 1.0, 1.0, 0.0, 0.0]


def test_flags_stand_for_columns_that_miss_cells_in_training_alone():
    frame = pl.DataFrame({"whole": [1.0, 2.0, 3.0], "holey": [1.0, None, 3.0]})
    encoder = fitted(frame, dict.fromkeys(frame.columns, Kind.NUMBER), scale="none")
    assert encoder.layout.extras == 1
    found = encoder.encode(pl.DataFrame({"whole": [None, 5.0], "holey": [9.0, None]}, schema=frame.schema))
    assert found.numbers.tolist() == [[2.0, 9.0], [5.0, 2.0]]
    assert found.extras.tolist() == [[0.0], [1.0]]
    assert fitted(frame, {"holey": Kind.NUMBER}, missing_flags=False).layout.extras == 0


@pytest.mark.parametrize("scale", SCALES)
def test_a_column_without_any_value_in_training_says_nothing_later(scale):
    frame = pl.DataFrame({"x": [None, None, None], "z": [1.0, 2.0, 4.0]}, schema={"x": pl.Float64, "z": pl.Float64})
    encoder = fitted(frame, {"x": Kind.NUMBER, "z": Kind.NUMBER}, scale=scale)
    later = pl.DataFrame({"x": [None, 1e6, -3.0], "z": [1.0, 1.0, 1.0]})
    found = encoder.encode(later)
    assert found.numbers[:, 0].tolist() == [0.0, 0.0, 0.0]
    assert found.extras.shape == (3, 0)


@pytest.mark.parametrize("scale", ["standard", "robust", "unit", "symmetric", "quantile"])
@pytest.mark.parametrize("value", [0.1, 1.7e9, -1e15, 1e308, 5e-324])
def test_a_constant_column_is_zero_everywhere(scale, value):
    frame = pl.DataFrame({"x": [value] * 10})
    encoder = fitted(frame, {"x": Kind.NUMBER}, scale=scale)
    assert encoder.encode(pl.DataFrame({"x": [value, 0.3, -1e300]})).numbers.tolist() == [[0.0], [0.0], [0.0]]


# Large and strange numbers


@pytest.mark.parametrize("offset", [1.7e9, 1e15])
@pytest.mark.parametrize("scale", ["standard", "robust", "unit", "symmetric"])
def test_large_offsets_keep_their_digits(offset, scale):
    small = np.arange(101.0)
    expected, _ = numbers_of([small], scale=scale)
    found, _ = numbers_of([offset + small], scale=scale)
    np.testing.assert_allclose(found, expected, atol=1e-6)


@pytest.mark.parametrize("clip", [0.0, 3.0])
@pytest.mark.parametrize("scale", SCALES)
@settings(max_examples=40)
@given(
    training=hnp.arrays(np.float64, st.tuples(st.integers(2, 12), st.just(2))),
    later=hnp.arrays(np.float64, st.tuples(st.integers(1, 6), st.just(2))),
)
def test_what_comes_out_is_finite_whatever_goes_in(scale, clip, training, later):
    kinds = {"x": Kind.NUMBER, "z": Kind.NUMBER}
    encoder = fitted(pl.DataFrame(training, schema=list(kinds)), kinds, scale=scale, clip=clip, quantiles=4)
    for values in (training, later):
        found = encoder.encode(pl.DataFrame(values, schema=list(kinds)))
        assert found.numbers.isfinite().all()
        assert found.extras.isfinite().all()
        widened = Features(1, encoder.layout, found.numbers, ModelConfig(name="mlp", number_bins=4))
        assert widened(found.numbers, found.extras, found.codes).shared.isfinite().all()


@pytest.mark.parametrize("scale", SCALES)
def test_the_largest_numbers_end_at_the_clip(scale):
    sentinel = np.finfo(np.float64).max
    found, _ = numbers_of([np.array([-sentinel, 1.0, 2.0, 3.0, 4.0, sentinel])], scale=scale, clip=3.0)
    assert np.isfinite(found).all()
    assert (np.diff(found[:, 0]) >= 0).all()
    assert found[-1, 0] > 0.4  # not washed out by a square that overflows
    later = fitted(pl.DataFrame({"x": [1.0, 2.0, 3.0]}), {"x": Kind.NUMBER}, clip=3.0)
    ends = later.encode(pl.DataFrame({"x": [1e25, sentinel, -sentinel]})).numbers[:, 0]
    assert ends.tolist() == pytest.approx([3.0, 3.0, -3.0])


# Booleans and dates


def test_booleans_are_standardised_whatever_the_scaling():
    frame = pl.DataFrame({"b": [True, False, False, False, None]})
    encoder = fitted(frame, {"b": Kind.BOOLEAN}, scale="none")
    found = encoder.encode(frame).extras
    mean, deviation = 0.25, math.sqrt(0.1875)
    assert encoder.layout.numbers == 0
    assert found[:, 0].tolist() == [0, 0, 0, 0, 1]
    expected = [(value - mean) / deviation for value in (1, 0, 0, 0, 0)]
    assert found[:, 1].tolist() == pytest.approx(expected, abs=1e-6)


def test_dates_are_laid_on_cycles_and_keep_a_trend():
    seconds = np.arange(0, 900 * 86_400, 86_400 * 0.37)
    frame = pl.DataFrame({"d": (seconds * 1000).astype("datetime64[ms]")})
    encoder = fitted(frame, {"d": Kind.DATETIME}, scale="unit")
    found = encoder.encode(frame)
    assert (encoder.layout.numbers, encoder.layout.extras) == (1, 6)
    angle = 2 * math.pi * seconds[:, None] / np.array(list(CYCLES.values()))
    np.testing.assert_allclose(found.extras.numpy(), np.hstack([np.sin(angle), np.cos(angle)]), atol=2e-5)
    np.testing.assert_allclose(found.numbers[:, 0].numpy(), seconds / seconds.max(), atol=1e-6)


def test_a_cycle_that_training_did_not_see_turn_is_left_out():
    days = pl.DataFrame({"d": np.arange("2024-01-01", "2024-01-20", dtype="datetime64[D]")})
    assert fitted(days, {"d": Kind.DATETIME}).preprocess.periods.tolist() == [CYCLES["week"]]
    hours = pl.DataFrame({"d": np.arange("2024-01-01", "2024-01-03", dtype="datetime64[h]").astype("datetime64[ms]")})
    assert fitted(hours, {"d": Kind.DATETIME}).preprocess.periods.tolist() == [CYCLES["day"]]


def test_a_missing_date_has_a_flag_and_no_place_on_a_cycle():
    cells = ["2024-01-01", "2024-02-07", None, "2026-05-05"]
    encoder = fitted(pl.DataFrame({"d": cells}), {"d": Kind.DATETIME})
    extras = encoder.encode(pl.DataFrame({"d": cells})).extras
    assert extras[:, 0].tolist() == [0, 0, 1, 0]
    assert extras[2, 1:].tolist() == [0.0, 0.0, 0.0, 0.0]
    week = extras[:, [1, 3]].square().sum(1)
    assert week.tolist() == pytest.approx([1, 1, 0, 1], abs=1e-5)


@pytest.mark.parametrize("kind", [Kind.DATETIME, Kind.NUMBER])
def test_the_time_that_orders_the_rows_has_no_trend(kind):
    dates = np.arange("2020-01-01", "2023-01-01", dtype="datetime64[D]")
    cells = dates if kind is Kind.DATETIME else np.arange(len(dates), dtype=float)
    frame = pl.DataFrame({"t": cells, "x": np.arange(len(dates), dtype=float)})
    encoder = fitted(frame, {"t": kind, "x": Kind.NUMBER}, time="t")
    assert encoder.layout.numbers == 1
    assert encoder.layout.extras == (4 if kind is Kind.DATETIME else 0)


# Categories and texts


def test_rare_categories_share_the_slot_for_unknown():
    frame = pl.DataFrame({"c": ["b"] * 3 + ["a"] * 2 + ["once", None, None]})
    encoder = fitted(frame, {"c": Kind.CATEGORY})
    assert encoder.inputs[0].categories == ("a", "b")
    assert encoder.layout.vocabularies == (4,)
    found = encoder.encode(pl.DataFrame({"c": ["a", "b", "once", "never seen", None, " a "]})).codes
    assert found.dtype == torch.int32
    assert found[:, 0].tolist() == [2, 3, UNKNOWN, UNKNOWN, MISSING, 2]


def test_the_vocabulary_keeps_the_most_frequent():
    cells = [word for word, count in {"d": 5, "c": 4, "b": 4, "a": 2}.items() for _ in range(count)]
    encoder = fitted(pl.DataFrame({"c": cells}), {"c": Kind.CATEGORY}, max_categories=2)
    assert encoder.inputs[0].categories == ("b", "d")
    everything = fitted(pl.DataFrame({"c": ["x", "y"]}), {"c": Kind.CATEGORY}, min_category_rows=1)
    assert everything.inputs[0].categories == ("x", "y")
    nothing = fitted(pl.DataFrame({"c": ["x", "y"]}), {"c": Kind.CATEGORY})
    assert (nothing.inputs[0].categories, nothing.layout.vocabularies) == ((), (2,))


def test_a_category_is_the_same_whatever_type_it_is_read_as():
    encoder = fitted(pl.DataFrame({"c": [1, 1, 2, 2]}), {"c": Kind.CATEGORY})
    for cells in ([1, 2], [1.0, 2.0], ["1", "2"], ["1.0", " 2"]):
        assert encoder.encode(pl.DataFrame({"c": cells})).codes[:, 0].tolist() == [2, 3]


def test_texts_become_vectors_of_unit_length():
    frame = pl.DataFrame({"s": ["good fast service", "slow", None], "t": ["a", "b", "c"]})
    encoder = fitted(frame, {"s": Kind.TEXT, "t": Kind.TEXT}, text_buckets=32)
    extras = encoder.encode(frame).extras
    assert extras.shape == (3, 64)
    lengths = torch.stack([part.norm(dim=1) for part in extras.split(32, dim=1)], 1)
    assert lengths.flatten().tolist() == pytest.approx([1, 1, 1, 1, 0, 1], abs=1e-5)


# Training rows only


@pytest.mark.parametrize("part", ["valid", "test"])
def test_other_rows_than_training_rows_are_refused(part):
    frame = pl.DataFrame({"x": [1.0, 2.0]})
    with pytest.raises(ValueError, match=f"not from {part} rows"):
        Encoder.fit(rows_of(frame, part), schema_of({"x": Kind.NUMBER}), EncodeConfig(), Ledger())


@settings(max_examples=15)
@given(seed=st.integers(0, 10_000), scale=st.sampled_from(SCALES))
def test_nothing_learned_depends_on_validation_or_test_rows(seed, scale):
    rng = np.random.default_rng(0)
    frame = pl.DataFrame({"x": rng.normal(size=60), "c": rng.choice(["a", "b", "c"], 60), "y": rng.normal(size=60)})
    kinds = {"x": Kind.NUMBER, "c": Kind.CATEGORY}
    schema = schema_of(kinds)

    def learned(table):
        source = Source(name="made", format="frame", rows=60, columns=3, sha256="0" * 64)
        split = seal(Table(table, source), schema, SplitConfig(stratify=False), seed=1, ledger=Ledger())
        encoder = Encoder.fit(split.train, schema, EncodeConfig(scale=scale, quantiles=8), Ledger())
        return split.train.positions, encoder

    positions, before = learned(frame)
    other = np.setdiff1d(np.arange(60), positions)
    noise = np.random.default_rng(seed)
    x, c = frame["x"].to_numpy().copy(), np.array(frame["c"].to_list(), dtype=object)
    x[other] = noise.normal(0, 10.0 ** noise.integers(0, 300), len(other))
    c[other] = "changed"
    again, after = learned(frame.with_columns(x=x, c=pl.Series(c.tolist())))
    np.testing.assert_array_equal(again, positions)
    assert before.inputs == after.inputs
    assert before.layout == after.layout
    for name, tensor in before.preprocess.state_dict().items():
        assert torch.equal(tensor, after.preprocess.state_dict()[name]), name


# The encoder as a whole

EVERY_KIND = {
    "x": Kind.NUMBER,
    "c": Kind.CATEGORY,
    "s": Kind.TEXT,
    "b": Kind.BOOLEAN,
    "d": Kind.DATETIME,
}
WHOLE = pl.DataFrame(
    {
        "x": [1.0, None, 3.0, 4.0],
        "c": ["a", "a", None, "b"],
        "s": ["one two", "two", None, "three"],
        "b": [True, False, None, True],
        "d": ["2020-01-01", "2021-06-06", "2023-03-03 12:00:00", None],
    }
)


@given(order=st.permutations(WHOLE.columns))
def test_the_order_of_columns_does_not_matter(order):
    encoder = fitted(WHOLE, EVERY_KIND, text_buckets=16)
    expected, found = encoder.encode(WHOLE), encoder.encode(WHOLE.select(order).with_columns(spare=1))
    assert torch.equal(found.numbers, expected.numbers)
    assert torch.equal(found.extras, expected.extras)
    assert torch.equal(found.codes, expected.codes)


def test_the_layout_counts_what_comes_out():
    encoder = fitted(WHOLE, EVERY_KIND, text_buckets=16)
    found = encoder.encode(WHOLE)
    assert found.numbers.shape == (4, encoder.layout.numbers)
    assert found.extras.shape == (4, encoder.layout.extras)
    assert found.codes.shape == (4, len(encoder.layout.vocabularies))
    assert len(encoder.encode(WHOLE.head(0))) == 0
    assert len(found[1:3]) == 2


@pytest.mark.parametrize("scale", ["robust", "quantile"])
def test_rows_are_encoded_in_blocks_without_a_seam(scale):
    rng = np.random.default_rng(0)
    frame = pl.DataFrame({"x": rng.normal(size=70_000), "c": rng.choice(["a", "b"], 70_000)})
    encoder = fitted(frame.head(1000), {"x": Kind.NUMBER, "c": Kind.CATEGORY}, scale=scale)
    assert encoder.preprocess.rows_at_once == 8_192
    whole, tail = encoder.encode(frame), encoder.encode(frame.tail(5000))
    assert torch.equal(whole.numbers[-5000:], tail.numbers)
    assert torch.equal(whole.codes[-5000:], tail.codes)


def test_quantile_scaling_takes_few_rows_at_once_where_columns_are_many():
    frame = pl.DataFrame(np.random.default_rng(0).normal(size=(50, 200)), schema=[f"x{at}" for at in range(200)])
    encoder = fitted(frame, dict.fromkeys(frame.columns, Kind.NUMBER), scale="quantile", quantiles=1024)
    assert encoder.preprocess.rows_at_once == (1 << 24) // (200 * 1024)


def test_the_ledger_says_what_was_done():
    ledger = Ledger()
    fitted(WHOLE, EVERY_KIND, ledger=ledger, clip=3.0, text_buckets=16)
    assert ledger["encode.train-only"].value == 4
    assert ledger["encode.impute"].outcome is Outcome.APPLIED
    assert ledger["encode.impute"].value == 3
    assert ledger["encode.clip"].value == 3.0
    assert ledger["encode.embeddings"].value == 1
    assert ledger["encode.rare-categories"].value == 1
    assert ledger["encode.dates"].value == 1
    assert ledger["encode.text"].value == 1
    complete = Ledger()
    fitted(pl.DataFrame({"x": [1.0, 2.0]}), {"x": Kind.NUMBER}, ledger=complete, scale="none")
    assert complete["encode.impute"].outcome is Outcome.NOT_APPLICABLE
    assert complete["encode.scale"].outcome is Outcome.SKIPPED
    assert complete["encode.clip"].outcome is Outcome.SKIPPED
    assert "encode.text" not in complete
