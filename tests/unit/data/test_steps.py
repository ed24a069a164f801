import warnings

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay.data.audit.audit import Severity, examine
from assay.data.columns import row_groups
from assay.data.config import AuditConfig, SplitConfig
from assay.data.infer import infer
from assay.data.inputs import Input
from assay.data.profile import profile
from assay.data.reading.frames import hash_of_cells
from assay.data.reading.read import read
from assay.data.rows import Rows, fingerprint
from assay.data.schema import Hints, Kind
from assay.data.split.split import seal
from assay.data.steps import SUMMARY, is_missing, is_series, steps_of, summaries
from assay.data.stored import Spill, Stored
from assay.errors import DataError
from assay.ledger import Ledger, Outcome

INF, NAN = float("inf"), float("nan")
ODD = pl.Series("s", [[1.0, 2.0, 4.0], [], None, [NAN, None, INF], [7.0], [None, 3.0, -INF, 5.0]])


def some(rows=60, seed=0):
    """Rows with a series of its own each, of 5 to 9 steps, and a class."""
    rng = np.random.default_rng(seed)
    cells = [rng.normal(size=int(rng.integers(5, 10))).tolist() for _ in range(rows)]
    return pl.DataFrame({"s": cells, "x": rng.normal(size=rows), "y": ["no", "yes"] * (rows // 2)})


def test_steps_lie_one_behind_the_other():
    steps = steps_of(ODD)
    assert steps.starts.tolist() == [0, 3, 3, 3, 6, 7, 11]
    assert steps.known.tolist() == [3, 0, 0, 0, 1, 2]
    assert steps.infinite == 2
    assert np.isnan(steps.values).sum() == 5
    assert is_missing(ODD).tolist() == [False, True, True, True, False, False]
    assert is_missing(pl.Series([None, None], dtype=pl.String)).all()


def test_words_are_no_steps():
    with pytest.raises(DataError, match="the column 's' must hold a list of numbers in each cell, but it is of type"):
        steps_of(pl.Series("s", ["a", None]))


@pytest.mark.parametrize(
    ("dtype", "answer"),
    [
        (pl.List(pl.Int8), True),
        (pl.Array(pl.Float32, 3), True),
        (pl.List(pl.Null), True),
        (pl.List(pl.String), False),
        (pl.List(pl.Boolean), False),
        (pl.List(pl.List(pl.Float64)), False),
        (pl.Array(pl.Float64, (2, 2)), False),
        (pl.Float64, False),
    ],
)
def test_which_types_are_series(dtype, answer):
    assert is_series(pl.Series([], dtype=dtype).dtype) is answer


def test_nine_numbers_of_a_series():
    found = dict(zip(SUMMARY, summaries(steps_of(ODD)).T.tolist(), strict=True))
    assert found["length"] == [3, 0, 0, 3, 1, 4]
    assert found["missing share"] == [0.0, 1.0, 1.0, 1.0, 0.0, 0.5]
    assert found["first"][0] == 1.0
    assert found["last"][5] == 5.0
    assert (found["min"][5], found["max"][5], found["slope"][5]) == (3.0, 5.0, 1.0)
    assert np.isnan(found["slope"][4])
    assert np.isnan(found["mean"][1:4]).all()


@given(st.lists(st.lists(st.none() | st.floats(), max_size=6) | st.none(), min_size=1, max_size=8))
def test_summaries_are_those_of_numpy_and_never_warn(cells):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = summaries(steps_of(pl.Series("s", cells, dtype=pl.List(pl.Float64))))
    for row, cell in zip(found, cells, strict=True):
        known = [step for step in cell or [] if step is not None and np.isfinite(step)]
        assert row[7] == len(cell or [])
        assert np.isinf(row).sum() == 0
        if known and max(map(abs, known)) < 1e90:
            assert row[0] == pytest.approx(np.mean(known), rel=1e-9, abs=1e-9 * np.abs(known).max())
            assert row[2:6].tolist() == [min(known), max(known), known[0], known[-1]]


@pytest.mark.parametrize(
    "cells",
    [
        [[1, 2], [3]],
        [[1, 2.5], (3,)],
        [np.array([1, 2]), np.array([1.5])],
        [[1, None], None],
        pl.Series([[1, 2], [3, 4]], dtype=pl.Array(pl.Int16, 2)),
    ],
)
def test_lists_of_numbers_are_kept_whatever_holds_them(cells):
    table = read({"s": cells})
    assert table.frame.schema["s"] == pl.List(pl.Float64)


@pytest.mark.parametrize("cells", [[["a"], ["b", "c"]], [[[1.0]], [[2.0], [3.0]]], [[True], [False]], [[1], "a"]])
def test_other_lists_are_words(cells):
    table = read({"s": cells * 20, "x": range(40), "y": [0, 1] * 20})
    assert table.frame.schema["s"] == pl.String
    assert infer(table, Hints(target="y"))["s"].kind is not Kind.SEQUENCE


def test_a_column_of_lists_is_a_sequence_and_says_why():
    found = infer(read(some()), Hints(target="y"))
    assert found["s"].kind is Kind.SEQUENCE
    assert found["s"].reason == "sequence because each cell is a list of numbers, 5 to 9 steps"
    assert [c.name for c in found.features] == ["s", "x"]


def test_equal_or_empty_lists_are_constant():
    frame = some().with_columns(same=pl.lit([1.0, 2.0]), none=pl.lit([], dtype=pl.List(pl.Float64)), gone=pl.lit([NAN]))
    found = infer(read(frame), Hints(target="y"))
    assert {found[name].kind for name in ("same", "none", "gone")} == {Kind.CONSTANT}
    assert (found["same"].missing, found["none"].missing, found["gone"].missing) == (0, 60, 60)


@pytest.mark.parametrize(
    ("kinds", "message"),
    [
        ({"x": Kind.SEQUENCE}, "the column 'x', given as sequence, must hold a list of numbers in each cell"),
        ({"s": Kind.NUMBER}, "the column 's' of lists of numbers must be a sequence"),
        ({"s": Kind.TEXT}, "it is given as text"),
        ({"x": Kind.IMAGE}, "given as image"),
    ],
)
def test_hints_that_do_not_suit(kinds, message):
    with pytest.raises(DataError, match=message):
        infer(read(some()), Hints(target="y", kinds=kinds))


def test_hints_that_do():
    assert infer(read(some()), Hints(target="y", kinds={"s": Kind.SEQUENCE}))["s"].reason.endswith("you say so")
    assert [c.name for c in infer(read(some()), Hints(target="y", kinds={"s": Kind.ID})).features] == ["x"]


@pytest.mark.parametrize("hints", [{"target": "s"}, {"target": "y", "time": "s"}, {"target": "y", "weight": "s"}])
def test_a_series_is_no_target_nor_time_nor_weight(hints):
    with pytest.raises(DataError, match=r"lists of numbers|list of numbers|must be finite numbers"):
        infer(read(some()), Hints(**hints))


def test_equal_series_are_equal_rows():
    frame = pl.DataFrame({"s": [[1.0, NAN], [1.0], [1.0, NAN], None, [], None]}, schema={"s": pl.List(pl.Float64)})
    assert row_groups(frame).tolist() == [0, 1, 0, 2, 3, 2]


def test_colliding_hashes_of_lists_are_undone(monkeypatch):
    monkeypatch.setattr("assay.data.columns.hashes_with", lambda hashes, columns: np.zeros(len(hashes), np.uint64))
    frame = pl.DataFrame({"s": [[1.0, NAN], [1.0], [1.0, NAN], None, [2.0]]}, schema={"s": pl.List(pl.Float64)})
    assert row_groups(frame).tolist() == [0, 1, 0, 2, 3]


def test_sums_tell_series_apart():
    cells = [[[1.0, 2.0], [3.0]], [[1.0], [2.0, 3.0]], [[1.0, None], [3.0]], [[1.0, 0.0], [3.0]], [None, [1.0]]]
    frames = [pl.DataFrame({"s": pair}, schema={"s": pl.List(pl.Float64)}) for pair in cells]
    assert len({hash_of_cells(frame) for frame in frames}) == len(cells)
    rows = [Rows("test", frame, np.zeros(2, np.int64), None, np.arange(2)) for frame in frames]
    assert len({fingerprint(one) for one in rows}) == len(cells)
    assert hash_of_cells(frames[0]) == hash_of_cells(frames[0].clone())


def test_series_may_lie_in_files(tmp_path):
    frame = some().with_columns(pl.when(pl.int_range(pl.len()) % 7 == 0).then(None).otherwise(pl.col("s")).alias("s"))
    frame.write_parquet(tmp_path / "some.parquet")
    table = read(tmp_path / "some.parquet", spill=Spill(tmp_path, 10))
    assert isinstance(table.frame, Stored)
    assert table.frame["s"].equals(frame["s"], null_equal=True)
    assert table.frame.gather(np.array([3, 7]))["s"].to_list() == frame["s"].gather([3, 7]).to_list()
    schema, ledger = infer(table, Hints(target="y")), Ledger()
    examine(table, schema, AuditConfig(), ledger)
    split = seal(table, schema, SplitConfig(), seed=0, ledger=ledger)
    assert split.test.sha256 == seal(read(frame), schema, SplitConfig(), seed=0, ledger=ledger).test.sha256


def audited(frame, **parts):
    table = read(frame)
    schema, ledger = infer(table, Hints(target="y")), Ledger()
    files = {part: read(file) for part, file in parts.items()}
    return examine(table, schema, AuditConfig(), ledger, **files), ledger


def test_the_audit_takes_series():
    frame = some()
    twice = pl.concat([frame, frame.head(6)])
    found, ledger = audited(twice, test=pl.concat([some(seed=1), frame.head(2)]))
    assert ledger["audit.duplicates"].value == 6
    assert ledger["audit.cross-file-duplicates"].value == 2
    assert ledger["audit.series"].outcome is Outcome.WARNED
    assert "differ in length" in found.findings[-1].what


def test_an_audit_of_series_alone():
    _, ledger = audited(some().drop("x"))
    assert ledger["audit.single-column-leak"].outcome is Outcome.NOT_APPLICABLE
    assert ledger["audit.near-duplicates"].outcome is Outcome.NOT_APPLICABLE


def test_rows_that_differ_in_their_series_alone_are_no_near_duplicates():
    frame = some().with_columns(a=pl.lit(1.0), b=pl.col("x").floor(), c=pl.col("x").ceil(), x=pl.col("x").round(0))
    _, ledger = audited(frame)
    assert ledger["audit.near-duplicates"].value in (0.0, None)


def test_a_file_with_words_for_series_is_told():
    found, _ = audited(some(), test=some(seed=1).with_columns(s=pl.lit("a")))
    (finding,) = [one for one in found.findings if one.check == "audit.column-match"]
    assert finding.severity is Severity.SERIOUS
    assert finding.columns == ("s",)


def test_what_is_wrong_with_series_is_found():
    frame = some().with_columns(
        gone=pl.lit(None, dtype=pl.List(pl.Float64)),
        flat=pl.Series([[float(at)] * 4 for at in range(60)]),
        single=pl.Series([[float(at)] for at in range(60)]),
        holes=pl.Series([[float(at), None, INF, -1.0] for at in range(60)]),
    )
    found, ledger = audited(frame)
    told = {one.columns: one for one in found.findings if one.check == "audit.series"}
    assert told[("gone",)].severity is Severity.WARNING
    assert "single step" in told[("single",)].what
    assert told[("flat",)].severity is Severity.WARNING
    assert "120 steps" in told[("holes",)].what
    assert "60 of them infinite" in told[("holes",)].what
    assert told[("s",)].what == "series differ in length: 5 to 9 steps, median 8"
    assert ledger["audit.series"].value == pytest.approx(120 / (240 + 60 + 240 + frame["s"].list.len().sum()))


def test_a_clean_channel_passes():
    frame = some().with_columns(s=pl.col("s").list.head(5))
    _, ledger = audited(frame)
    assert ledger["audit.series"].outcome is Outcome.PASSED
    assert ledger["audit.series"].reason == "1 channel of 5 steps; 0 % of the steps missing"


def test_the_profile_of_a_series_is_that_of_its_means_and_lengths():
    rows = Rows("train", pl.DataFrame({"s": ODD}), np.array([0, 1] * 3), None, np.arange(6))
    (found,) = profile(rows, (Input(name="s", kind=Kind.SEQUENCE),), classes=2).columns
    assert (found.missing, found.quantiles[0], found.quantiles[-1]) == (3, 7 / 3, 7.0)
    assert (found.lengths[0], found.lengths[-1], len(found.lengths)) == (1.0, 4.0, 21)
