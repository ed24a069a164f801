import os
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn.metrics import roc_auc_score

from assay.data.audit import columns as checks_columns
from assay.data.audit.audit import Severity, examine
from assay.data.audit.rows import wilson_half_width
from assay.data.config import AuditConfig
from assay.data.reading.read import Source, Table, read
from assay.data.schema import Column, Kind, Schema, Task
from assay.errors import AuditError
from assay.ledger import Ledger, Outcome
from assay.practices import PRACTICES

REAL = Path(os.environ.get("ASSAY_DATA", Path(__file__).parents[5] / "shared" / "data")) / "tabular"
#: Those of tables; pictures are examined where they are decoded.
AUDIT = {
    practice.id
    for practice in PRACTICES.values()
    if practice.stage == "audit" and not practice.id.startswith("audit.picture")
} - {"audit.time-steps", "audit.short-series", "audit.constant-series", "audit.label-errors"}  # asked elsewhere


def make_table(**columns):
    frame = pl.DataFrame(columns)
    source = Source(name="made", format="frame", rows=frame.height, columns=frame.width, sha256="0" * 64)
    return Table(frame, source)


def make_schema(table, target="y", kinds=(), **parts):
    kinds = dict(kinds)
    columns = []
    for series in table.frame:
        is_number = series.dtype.is_float() or (series.dtype.is_integer() and series.name != target)
        kind = Kind.DATETIME if series.dtype.is_temporal() else Kind.NUMBER if is_number else Kind.CATEGORY
        unparsed = parts.pop("unparsed", 0) if series.name in kinds else 0
        kind = kinds.get(series.name, kind)
        columns.append(Column(name=series.name, kind=kind, dtype=str(series.dtype), reason="made", unparsed=unparsed))
    values = table.frame[target].drop_nulls()
    if values.dtype.is_float():
        return Schema(columns=tuple(columns), target=target, task=Task.REGRESSION, task_reason="", **parts)
    classes = tuple(sorted(str(value) for value in values.unique()))
    task = Task.BINARY if len(classes) == 2 else Task.MULTICLASS
    return Schema(columns=tuple(columns), target=target, task=task, task_reason="", classes=classes, **parts)


def clean(n=1000, seed=0):
    rng = np.random.default_rng(seed)
    return {
        "a": rng.normal(size=n),
        "b": rng.normal(size=n),
        "c": rng.choice(["red", "green", "blue"], n),
        "d": rng.normal(size=n),
        "y": rng.choice(["no", "yes"], n),
    }


def audit(table, schema=None, *, valid=None, test=None, share=0.5, **config):
    """The findings by check, and the ledger."""
    ledger = Ledger()
    schema = schema if schema is not None else make_schema(table)
    result = examine(table, schema, AuditConfig(**config), ledger, valid=valid, test=test, test_share=share)
    by_check: dict[str, list] = {}
    for finding in result.findings:
        by_check.setdefault(finding.check, []).append(finding)
    return by_check, ledger


def test_clean_data_has_no_findings_and_a_verdict_for_each_practice():
    found, ledger = audit(make_table(**clean()))
    assert found == {}
    assert {verdict.practice for verdict in ledger} == AUDIT
    assert {verdict.outcome for verdict in ledger} == {Outcome.PASSED, Outcome.NOT_APPLICABLE}
    assert ledger["audit.duplicates"].value == 0
    assert ledger["audit.single-column-leak"].value < 0.6


@settings(max_examples=20, deadline=None)
@given(copies=st.lists(st.integers(0, 99), max_size=30))
def test_exact_duplicates_are_counted_with_their_rows(copies):
    data = {name: np.append(cells[:100], cells[copies]) for name, cells in clean().items()}
    found, ledger = audit(make_table(**data))
    assert ledger["audit.duplicates"].value == len(copies)
    assert ledger["audit.duplicates"].rows == tuple(range(101, 101 + len(copies)))
    assert len(found.get("audit.duplicates", [])) == (1 if copies else 0)


def test_mostly_equal_rows_are_called_coarse():
    found, _ = audit(make_table(x=["p", "q"] * 50, y=["a", "a", "b", "b"] * 25))
    (finding,) = found["audit.duplicates"]
    assert (finding.count, finding.severity) == (96, Severity.WARNING)
    assert "keep_duplicates_together=false" in finding.do


def test_near_duplicates_differ_by_a_trifle():
    data = clean()
    data["a"][:4] = 5.0
    for name in ("b", "c", "d", "y"):
        data[name] = np.array(data[name], dtype=object)
        data[name][1], data[name][3] = data[name][0], data[name][2]
    data["a"][1] = 5.004  # near row 1
    data["a"][3] = 5.006  # too far from row 3
    data["c"][2:4] = "red"
    data["c"][10], data["c"][11] = "red", " RED"
    for name in ("a", "b", "d", "y"):
        data[name][11] = data[name][10]
    found, _ = audit(make_table(**{name: list(cells) for name, cells in data.items()}))
    (finding,) = found["audit.near-duplicates"]
    assert finding.rows == (1, 2, 11, 12)


def test_near_duplicates_by_chance_do_not_flood():
    rng = np.random.default_rng(0)
    n = 20_000
    table = make_table(
        a=rng.uniform(size=n), b=rng.choice(["x", "z"], n), c=rng.choice(["x", "z"], n), d=rng.choice(["x", "z"], n),
        y=rng.choice(["no", "yes"], n),
    )  # fmt: skip
    assert "audit.near-duplicates" not in audit(table)[0]


def test_near_duplicates_say_how_far_they_looked():
    _, ledger = audit(make_table(**clean()), near_duplicate_rows=100)
    assert "the first 100 of 1,000 rows" in ledger["audit.near-duplicates"].reason
    _, ledger = audit(make_table(**clean()), near_duplicate_rows=0)
    assert ledger["audit.near-duplicates"].outcome is Outcome.SKIPPED


def test_conflicting_labels_bound_the_accuracy():
    found, ledger = audit(make_table(x=["p"] * 10 + ["q"] * 10, y=["a"] * 7 + ["b"] * 3 + ["b"] * 10))
    (finding,) = found["audit.conflicting-labels"]
    assert (finding.count, finding.rows) == (10, tuple(range(1, 11)))
    assert ledger["audit.conflicting-labels"].value == pytest.approx(17 / 20)


def test_conflicting_numbers_bound_r2():
    table = make_table(x=["p", "p", "q", "q"], y=[1.0, 3.0, 6.0, 6.0])
    _, ledger = audit(table)
    assert ledger["audit.conflicting-labels"].value == pytest.approx(1 - 2 / 18)


def test_constant_and_id_columns_are_left_out():
    table = make_table(one=["k"] * 1000, name=[f"n{i}" for i in range(1000)], **clean())
    found, ledger = audit(table, make_schema(table, kinds={"one": Kind.CONSTANT, "name": Kind.ID}))
    assert found["audit.constant-columns"][0].columns == ("one",)
    assert found["audit.id-columns"][0].columns == ("name",)
    assert ledger["audit.id-columns"].outcome is Outcome.APPLIED


def test_a_leak_in_numbers_words_and_without_order_is_serious():
    data = clean()
    yes = data["y"] == "yes"
    rng = np.random.default_rng(1)
    data["after"] = rng.uniform(size=1000) + 2.0 * yes
    data["middle"] = np.where(yes, rng.uniform(-1, 1, 1000), rng.choice([-1, 1], 1000) * rng.uniform(2, 3, 1000))
    data["status"] = np.where(yes, rng.choice(["p", "q"], 1000), rng.choice(["r", "s"], 1000))
    found, ledger = audit(make_table(**data))
    leaks = found["audit.single-column-leak"]
    assert {finding.columns[0] for finding in leaks} == {"after", "middle", "status"}
    assert {finding.severity for finding in leaks} == {Severity.SERIOUS}
    assert ledger["audit.single-column-leak"].outcome is Outcome.FAILED
    with pytest.raises(AuditError, match="are 3: column 'after' alone predicts 'y'"):
        audit(make_table(**data), strict=True)


def test_a_column_of_many_categories_does_not_leak_by_chance():
    data = clean()
    data["many"] = np.array([f"n{i}" for i in range(1000)])
    found, ledger = audit(make_table(**data))
    assert "audit.single-column-leak" not in found
    assert ledger["audit.single-column-leak"].value < 0.6


@pytest.mark.parametrize("shape", [np.exp, lambda y: (y - y.mean()) ** 2 * 3, lambda y: -5 * y])
def test_a_leak_of_a_number(shape):
    y = np.random.default_rng(0).normal(size=2000)
    table = make_table(x=shape(y), z=y[::-1], y=y)
    found, _ = audit(table, leak_auroc=0.95)
    leaks = found.get("audit.single-column-leak", [])
    # A square hides the sign, so it is no leak; what is monotone is.
    assert [finding.columns for finding in leaks] == ([] if shape(y).min() >= 0 and shape(0 * y)[0] == 0 else [("x",)])


def test_auroc_is_that_of_scikit_learn():
    rng = np.random.default_rng(0)
    scores, truth = rng.integers(0, 20, 500), rng.random(500) < 0.3
    ours = checks_columns._auroc(scores.astype(float), truth.astype(float), (~truth).astype(float))
    assert ours == pytest.approx(roc_auc_score(truth, scores))


def test_missingness_agrees_with_scipy():
    rng = np.random.default_rng(0)
    absent, classes, values = rng.random(500) < 0.3, rng.integers(0, 3, 500), rng.normal(size=500)
    p, effect = checks_columns._dependence(absent, classes, is_class=True)
    expected = stats.chi2_contingency(np.array([np.bincount(classes[absent]), np.bincount(classes[~absent])]))
    assert p == pytest.approx(expected.pvalue)
    assert effect == pytest.approx(np.sqrt(expected.statistic / 500))
    p, _ = checks_columns._dependence(absent, values, is_class=False)
    assert p == pytest.approx(stats.mannwhitneyu(values[absent], values[~absent], method="asymptotic").pvalue)


def test_holm_steps_down():
    corrected = checks_columns._holm({"a": 0.01, "b": 0.04, "c": 0.03})
    assert corrected == pytest.approx({"a": 0.03, "c": 0.06, "b": 0.06})


def test_missing_values_that_depend_on_the_target():
    data = clean(2000)
    rng = np.random.default_rng(1)
    data["b"][rng.random(2000) < 0.3] = np.nan
    data["a"][(data["y"] == "yes") & (rng.random(2000) < 0.5)] = np.nan
    found, ledger = audit(make_table(**data))
    (finding,) = found["audit.missingness"]
    assert finding.columns == ("a",)
    assert finding.severity is Severity.WARNING
    assert ledger["audit.missingness"].value < 1e-50


def test_many_rows_do_not_raise_an_alarm_over_nothing():
    rng = np.random.default_rng(0)
    y = rng.random(100_000) < 0.5
    x = np.where(rng.random(100_000) < 0.10 + 0.02 * y, np.nan, rng.normal(size=100_000))
    found, ledger = audit(make_table(x=x, y=np.where(y, "a", "b")))
    assert ledger["audit.missingness"].value < 1e-10
    assert "audit.missingness" not in found


def test_outliers_and_infinities_are_named_apart():
    data = clean()
    data["a"][[4, 9]] = 1e6
    data["b"][7] = -np.inf
    found, ledger = audit(make_table(**data))
    infinite, far = found["audit.outliers"]
    assert (infinite.columns, infinite.rows, infinite.severity) == (("b",), (8,), Severity.WARNING)
    assert (far.columns, far.rows, far.count) == (("a",), (5, 10), 2)
    assert ledger["audit.outliers"].rows == (5, 8, 10)


def test_a_column_that_is_mostly_zero_has_the_fence_of_its_other_values():
    values = np.zeros(1000)
    values[:100] = np.arange(100.0)
    values[0] = 9_999.0
    found, _ = audit(make_table(**(clean() | {"a": values})))
    assert [(f.columns, f.rows) for f in found["audit.outliers"]] == [(("a",), (1,))]


def test_the_outer_fence_is_tukeys():
    values = np.append(np.arange(1.0, 102.0), [251.0, 252.0, -149.0, -150.0])
    low, high = np.quantile(values, [0.25, 0.75])
    assert checks_columns._fence(values) == (low - 3 * (high - low), high + 3 * (high - low))


def test_imbalance_is_the_ratio_of_classes():
    data = clean()
    data["y"] = np.array(["no"] * 950 + ["yes"] * 50)
    found, ledger = audit(make_table(**data))
    assert ledger["audit.class-balance"].value == pytest.approx(50 / 950)
    assert found["audit.class-balance"][0].count == 50
    assert "audit.class-balance" not in audit(make_table(**data), imbalance=0.01)[0]


@pytest.mark.parametrize(("share", "n"), [(0.5, 100), (0.9, 30), (1.0, 10), (0.76, 16_281)])
def test_wilson_is_that_of_scipy(share, n):
    interval = stats.binomtest(round(share * n), n).proportion_ci(method="wilson")
    assert wilson_half_width(round(share * n) / n, n) == pytest.approx((interval.high - interval.low) / 2)


def test_a_small_test_part_is_said_to_be_small():
    found, ledger = audit(make_table(**clean()), share=0.1)
    (finding,) = found["audit.test-size"]
    assert "about 100 test rows give accuracy to within 9.6 percentage points only" in finding.what
    assert ledger["audit.test-size"].value == pytest.approx(0.096, abs=5e-4)
    assert audit(make_table(**clean()), share=0.0)[1]["audit.test-size"].outcome is Outcome.NOT_APPLICABLE


def test_dates_in_order_ask_for_a_split_in_time():
    data = clean()
    data["day"] = np.datetime64("2024-01-01") + np.arange(1000)
    table = make_table(**data)
    found, _ = audit(table)
    assert found["audit.time-order"][0].severity is Severity.WARNING
    assert "--time 'day'" in found["audit.time-order"][0].do
    assert "audit.time-order" not in audit(table, make_schema(table, time="day"))[0]
    data["day"] = np.random.default_rng(0).permutation(data["day"])
    assert audit(make_table(**data))[0]["audit.time-order"][0].severity is Severity.NOTE


def test_neighbours_with_alike_targets_are_noticed():
    y = np.cumsum(np.random.default_rng(0).normal(size=1000))
    y += 20 * np.random.default_rng(1).normal(size=1000)
    y[::2] -= 1e-3
    smooth = np.convolve(np.random.default_rng(2).normal(size=1009), np.ones(5) / 5, mode="valid")[:1000]
    found, _ = audit(make_table(x=np.random.default_rng(3).normal(size=1000), y=smooth))
    assert "order of time or of place" in found["audit.time-order"][0].what
    assert "audit.time-order" not in audit(make_table(x=y, y=np.sort(y)))[0]


def test_rows_in_two_files_are_serious_when_many():
    data, other = clean(), clean(seed=1)
    for name in data:
        other[name][:30] = data[name][:30]
    found, ledger = audit(make_table(**data), test=make_table(**other))
    (finding,) = found["audit.cross-file-duplicates"]
    assert (finding.part, finding.count, finding.severity) == ("test", 30, Severity.SERIOUS)
    assert finding.rows == tuple(range(1, 31))
    assert ledger["audit.cross-file-duplicates"].outcome is Outcome.FAILED
    few = {name: np.append(other[name][:5], other[name][30:]) for name in other}
    found, _ = audit(make_table(**data), test=make_table(**few))
    assert found["audit.cross-file-duplicates"][0].severity is Severity.WARNING


def test_rows_are_equal_across_files_whatever_their_types():
    main = make_table(k=[1, 2, 3] * 20, w=["a", "b", "c"] * 20, y=["p", "q", "p"] * 20)
    valid = make_table(k=["1.0", "9"], w=["a", "b"], y=["p", "q"])
    found, _ = audit(main, valid=valid)
    assert (found["audit.cross-file-duplicates"][0].rows, found["audit.cross-file-duplicates"][0].part) == (
        (1,),
        "valid",
    )


def test_unseen_categories_are_counted():
    other = clean(seed=1)
    other["c"] = other["c"].astype(object)
    other["c"][[2, 5]] = "violet"
    found, _ = audit(make_table(**clean()), test=make_table(**{k: list(v) for k, v in other.items()}))
    (finding,) = found["audit.unseen-categories"]
    assert (finding.count, finding.columns, finding.rows) == (2, ("c",), (3, 6))


def test_columns_that_do_not_match_are_serious():
    other = clean(seed=1)
    table = make_table(alpha=other["a"], b=["word"] * 1000, c=np.arange(1000), d=["1.5"] * 999 + ["oops"], y=other["y"])
    found, ledger = audit(make_table(**clean()), valid=table)
    lacking, retyped, partly, extra = found["audit.column-match"]
    assert (lacking.columns, lacking.severity) == (("a",), Severity.SERIOUS)
    assert (retyped.columns, retyped.severity) == (("b", "c"), Severity.SERIOUS)
    assert (partly.columns, partly.count) == (("d",), 1)
    assert (extra.columns, extra.severity) == (("alpha",), Severity.NOTE)
    assert ledger["audit.column-match"].outcome is Outcome.FAILED


def test_mixed_types_name_cells_and_rows():
    data = clean()
    data["a"] = ["1.5"] * 990 + ["oops"] * 9 + ["NA"]
    table = make_table(**data)
    found, _ = audit(table, make_schema(table, kinds={"a": Kind.NUMBER}, unparsed=9))
    (finding,) = found["audit.mixed-types"]
    assert (finding.count, finding.rows) == (9, tuple(range(991, 1000)))
    assert "'oops'" in finding.what


def test_large_tables_are_sampled_and_say_so():
    rng = np.random.default_rng(0)
    n = 250_000
    x = np.where(rng.random(n) < 0.1, np.nan, rng.normal(size=n))
    _, ledger = audit(make_table(x=x, y=rng.choice(["a", "b"], n)))
    for practice in ("audit.single-column-leak", "audit.missingness"):
        assert "on a random sample of 200,000 of 250,000 rows" in ledger[practice].reason


def test_rows_without_a_target_do_not_count_as_a_class():
    data = clean()
    data["y"] = [None if i < 100 else label for i, label in enumerate(data["y"])]
    _, ledger = audit(make_table(**data))
    counts = [data["y"].count(label) for label in ("no", "yes")]
    assert ledger["audit.class-balance"].value == pytest.approx(min(counts) / max(counts))


needs_real = pytest.mark.skipif(not REAL.exists(), reason="the shared data sets are not here")


@needs_real
def test_adult_has_its_known_duplicates():
    train, test = read(REAL / "adult_train.csv.gz"), read(REAL / "adult_test.csv.gz")
    found, ledger = audit(train, make_schema(train, "income"), test=test)
    assert ledger["audit.duplicates"].value == 24
    assert found["audit.cross-file-duplicates"][0].count == 23
    assert {f.severity for findings in found.values() for f in findings} <= {Severity.NOTE, Severity.WARNING}
    assert sum(len(findings) for findings in found.values()) <= 6
    assert ledger["audit.unseen-categories"].outcome is Outcome.PASSED
    assert ledger["audit.single-column-leak"].value == pytest.approx(0.775, abs=0.01)


@needs_real
def test_california_housing_is_ordered_by_place():
    table = read(REAL / "california_housing.csv.gz")
    table = Table(table.frame.with_columns(pl.col("median_house_value").cast(pl.Float64)), table.source)
    found, ledger = audit(table, make_schema(table, "median_house_value"))
    assert set(found) == {"audit.outliers", "audit.time-order"}
    assert ledger["audit.single-column-leak"].value == pytest.approx(0.49, abs=0.01)
