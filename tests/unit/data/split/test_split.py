import os
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assay.data.columns import row_groups
from assay.data.config import SplitConfig
from assay.data.reading.read import Source, Table, read
from assay.data.schema import Column, Kind, Schema, Task
from assay.data.split.deal import connected, cut_at_random, cut_in_time, largest_remainder
from assay.data.split.split import Split, seal
from assay.ledger import Ledger, Outcome

REAL = Path(os.environ.get("ASSAY_DATA", Path(__file__).parents[5] / "shared" / "data")) / "tabular"
SHARES = np.array([0.7, 0.2, 0.1])


def make_table(**columns):
    frame = pl.DataFrame(columns)
    source = Source(name="made", format="frame", rows=frame.height, columns=frame.width, sha256="0" * 64)
    return Table(frame, source)


def make_schema(table, target="y", *, group=None, time=None, weight=None, number=()):
    """A schema that takes floats for numbers, integers and strings for categories unless they are in `number`."""
    columns = []
    for series in table.frame:
        is_number = series.dtype.is_float() or series.name in number
        kind = Kind.DATETIME if series.dtype.is_temporal() else Kind.NUMBER if is_number else Kind.CATEGORY
        columns.append(Column(name=series.name, kind=kind, dtype=str(series.dtype), reason="made"))
    values = table.frame[target].drop_nulls()
    if values.dtype.is_float():
        return Schema(
            columns=tuple(columns), target=target, task=Task.REGRESSION, task_reason="", group=group, time=time,
            weight=weight,
        )  # fmt: skip
    classes = tuple(sorted(str(value) for value in values.unique()))
    task = Task.BINARY if len(classes) == 2 else Task.MULTICLASS
    return Schema(
        columns=tuple(columns), target=target, task=task, task_reason="", classes=classes, group=group, time=time,
        weight=weight,
    )  # fmt: skip


def cut(table, schema, *, seed=0, ledger=None, valid=None, test=None, **config) -> Split:
    ledger = ledger if ledger is not None else Ledger()
    return seal(
        table, schema, SplitConfig(**({"valid": 0.2} | config)), seed=seed, ledger=ledger, valid=valid, test=test
    )


def positions(split: Split):
    test = np.empty(0, dtype=np.int64) if split.test is None else split.test.open("the tests look").positions
    return split.train.positions, split.valid.positions, test


def two_classes(n=200, seed=0):
    rng = np.random.default_rng(seed)
    return make_table(x=rng.normal(size=n), y=np.where(rng.random(n) < 0.3, "yes", "no"))


# Dealing


@given(total=st.integers(0, 10_000), weights=st.lists(st.floats(0.01, 1.0), min_size=1, max_size=5))
def test_largest_remainder_sums_up_and_is_within_one(total, weights):
    shares = np.array(weights) / sum(weights)
    counts = largest_remainder(total, shares, at_least=0)
    assert counts.sum() == total
    assert (np.abs(counts - total * shares) < 1.0 + 1e-6).all()


def test_largest_remainder_leaves_no_part_empty_when_it_can():
    assert largest_remainder(5, SHARES).tolist() == [3, 1, 1]
    assert largest_remainder(3, SHARES).tolist() == [1, 1, 1]
    assert largest_remainder(2, SHARES).tolist() == [1, 1, 0]


@given(first=st.lists(st.integers(0, 12), min_size=1, max_size=60), data=st.data())
def test_connected_agrees_with_a_plain_union(first, data):
    second = data.draw(st.lists(st.integers(0, 12), min_size=len(first), max_size=len(first)))
    first, second = (np.unique(ids, return_inverse=True)[1] for ids in (first, second))
    found = connected(first, second)
    plain = list(range(len(first)))
    for _ in plain:
        plain = [
            min(plain[j] for j in range(len(plain)) if first[i] == first[j] or second[i] == second[j])
            for i in range(len(plain))
        ]
    assert (found[:, None] == found[None]).tolist() == (np.array(plain)[:, None] == np.array(plain)[None]).tolist()


def test_connected_follows_a_long_chain():
    first = np.arange(10_000) // 2
    second = (np.arange(10_000) + 1) // 2
    assert connected(first, second).max() == 0


@given(sizes=st.lists(st.integers(1, 4), min_size=3, max_size=200), seed=st.integers(0, 5))
def test_whole_units_are_dealt_and_single_rows_make_the_proportions_exact(sizes, seed):
    units = np.repeat(np.arange(len(sizes)), sizes)
    parts = cut_at_random(units, np.zeros(len(sizes), dtype=np.int64), SHARES, np.random.default_rng(seed))
    assert all(len(np.unique(parts[units == unit])) == 1 for unit in range(len(sizes)))
    assert set(parts) == {0, 1, 2}
    if all(size == 1 for size in sizes) and len(sizes) >= 10:
        assert (np.abs(np.bincount(parts) - len(sizes) * SHARES) <= 1.0).all()


@given(times=st.lists(st.integers(0, 30), min_size=10, max_size=200).filter(lambda t: len(set(t)) >= 3))
def test_a_cut_in_time_keeps_order_and_ties(times):
    times = np.array(times, dtype=np.float64)
    parts = cut_in_time(np.arange(len(times)), times, SHARES)
    assert set(parts) == {0, 1, 2}
    for early, late in ((0, 1), (1, 2)):
        assert times[parts == early].max() < times[parts == late].min()


def test_a_cut_in_time_without_ties_is_exact():
    times = np.random.default_rng(0).permutation(100).astype(np.float64)
    parts = cut_in_time(np.arange(100), times, SHARES)
    assert np.bincount(parts).tolist() == [70, 20, 10]
    assert set(times[parts == 2]) == set(range(90, 100))


# The split


@settings(max_examples=30, deadline=None)
@given(
    cells=st.lists(st.tuples(st.integers(0, 40), st.sampled_from("abc")), min_size=60, max_size=200),
    seed=st.integers(0, 3),
)
def test_parts_are_disjoint_and_complete_and_equal_rows_stay_together(cells, seed):
    # Every class has rows of its own, so that the cut is possible whatever is drawn.
    cells = cells + [(100 + i, label) for i in range(5) for label in "abc"]
    table = make_table(x=[float(x) for x, _ in cells], y=[label for _, label in cells])
    train, valid, test = positions(cut(table, make_schema(table), seed=seed))
    assert sorted(np.concatenate([train, valid, test])) == list(range(len(cells)))
    rows = row_groups(table.frame)
    assert not set(rows[train]) & set(rows[valid])
    assert not set(rows[train]) & set(rows[test])
    assert not set(rows[valid]) & set(rows[test])


@settings(max_examples=30, deadline=None)
@given(counts=st.lists(st.integers(3, 80), min_size=2, max_size=6), seed=st.integers(0, 3))
def test_classes_are_in_exact_proportion(counts, seed):
    labels = np.repeat([f"c{i}" for i in range(len(counts))], counts)
    labels = np.append(labels, ["c0"] * 10)
    table = make_table(x=np.arange(len(labels), dtype=float), y=labels)
    split = cut(table, make_schema(table), seed=seed)
    parts = [split.train.target, split.valid.target, split.test.open("the tests look").target]
    for position, count in enumerate(np.unique(labels, return_counts=True)[1]):
        of_class = np.array([(target == position).sum() for target in parts])
        assert of_class.sum() == count
        assert of_class.min() >= 1
        if count >= 10:
            assert (np.abs(of_class - count * SHARES) < 1.0 + 1e-9).all()


@settings(max_examples=20, deadline=None)
@given(
    groups=st.lists(st.integers(0, 15), min_size=80, max_size=200).filter(lambda g: len(set(g)) >= 8),
    seed=st.integers(0, 3),
)
def test_groups_never_straddle(groups, seed):
    rng = np.random.default_rng(seed)
    n = len(groups)
    # Two groups of each class, so that each part can have both.
    names = [f"g{g}" for g in groups] + [f"extra{i}" for i in range(12)]
    labels = np.append(np.where(rng.random(n) < 0.5, "a", "b"), ["a", "b"] * 6)
    table = make_table(x=rng.normal(size=n + 12), who=names, y=labels)
    split = cut(table, make_schema(table, group="who"), seed=seed)
    parts = [set(np.array(names)[p]) for p in positions(split)]
    assert not parts[0] & parts[1]
    assert not parts[0] & parts[2]
    assert not parts[1] & parts[2]


def test_groups_and_equal_rows_are_joined():
    rng = np.random.default_rng(0)
    x = rng.normal(size=60)
    x[[0, 59]] = 7.0  # equal rows in two groups join these groups
    table = make_table(x=x, who=np.repeat([f"g{i}" for i in range(20)], 3), y=["a", "b", "a"] * 20)
    schema = make_schema(table, group="who")
    for seed in range(5):
        parts = positions(cut(table, schema, seed=seed))
        assert sum({0, 1, 2, 57, 58, 59} <= set(p) for p in parts) == 1


def test_rows_without_a_group_stand_alone():
    table = make_table(x=np.arange(40.0), who=[None] * 36 + ["one"] * 4, y=["a", "b"] * 20)
    ledger = Ledger()
    train, valid, test = positions(cut(table, make_schema(table, group="who"), ledger=ledger))
    assert abs(len(train) - 28) <= 2
    assert len(valid) + len(test) == 40 - len(train)
    assert ledger["split.groups"].value == 1


def test_mixed_groups_keep_the_classes_in_balance():
    rng = np.random.default_rng(1)
    who = rng.integers(0, 60, 1200)
    rate = rng.random(60)
    table = make_table(x=rng.normal(size=1200), who=who, y=np.where(rng.random(1200) < rate[who], "a", "b"))
    ledger = Ledger()
    split = cut(table, make_schema(table, group="who"), ledger=ledger)
    assert ledger["split.stratified"].value < 0.06
    assert len(split.test) == pytest.approx(120, abs=40)


def test_numeric_targets_are_cut_within_deciles():
    rng = np.random.default_rng(0)
    table = make_table(x=rng.normal(size=1000), y=np.exp(rng.normal(size=1000)))
    split = cut(table, make_schema(table))
    deciles = np.quantile(table.frame["y"].to_numpy(), np.arange(1, 10) / 10)
    for part, size in ((split.train.target, 70), (split.valid.target, 20), (split.test.open("look").target, 10)):
        assert np.bincount(np.searchsorted(deciles, part), minlength=10).tolist() == [size] * 10


def test_the_same_seed_gives_the_same_rows_and_another_seed_others():
    table = two_classes()
    schema = make_schema(table)
    first, again, other = (positions(cut(table, schema, seed=seed)) for seed in (3, 3, 4))
    assert [p.tolist() for p in first] == [p.tolist() for p in again]
    assert first[2].tolist() != other[2].tolist()


def test_other_columns_and_their_order_change_nothing():
    table = two_classes()
    wide = make_table(z=np.arange(200.0), y=table.frame["y"], x=table.frame["x"])
    a, b = (positions(cut(t, make_schema(t))) for t in (table, wide))
    assert [p.tolist() for p in a] == [p.tolist() for p in b]


def test_time_goes_from_train_to_test():
    rng = np.random.default_rng(0)
    day = np.datetime64("2024-01-01") + rng.permutation(300)
    table = make_table(x=rng.normal(size=300), day=day, y=["a", "b", "c"] * 100)
    ledger = Ledger()
    split = cut(table, make_schema(table, time="day"), ledger=ledger)
    train, valid, test = positions(split)
    assert (len(train), len(valid), len(test)) == (210, 60, 30)
    assert day[train].max() < day[valid].min()
    assert day[valid].max() < day[test].min()
    assert ledger["split.time"].outcome is Outcome.APPLIED
    assert "2024-07-28" in ledger["split.time"].reason
    assert split.record.train_until == (np.datetime64("2024-07-28") - np.datetime64("1970-01-01")).astype(int) * 86_400


def test_groups_in_time_go_by_their_last_row():
    who = np.repeat(np.arange(30), 10)
    when = np.concatenate([np.arange(10.0) * 5 + 7 * g for g in range(30)])
    table = make_table(x=np.random.default_rng(0).normal(size=300), who=who, when=when, y=["a", "b"] * 150)
    ledger = Ledger()
    split = cut(table, make_schema(table, group="who", time="when"), ledger=ledger)
    train, valid, test = positions(split)
    assert sorted(set(who[train])) == list(range(21))
    assert sorted(set(who[valid])) == list(range(21, 27))
    assert sorted(set(who[test])) == [27, 28, 29]
    early = (when[np.concatenate([valid, test])] <= when[train].max()).sum()
    assert ledger["split.time"].outcome is Outcome.WARNED
    assert ledger["split.time"].value == early > 0


def test_given_files_are_parts_and_the_rest_keeps_its_ratio():
    table, test = two_classes(900), two_classes(50, seed=9)
    schema = make_schema(table)
    split = cut(table, schema, test=test)
    assert (split.record.train_rows, split.record.valid_rows, split.record.test_rows) == (700, 200, 50)
    assert split.record.files == {"test": "made"}
    split = cut(table, schema, valid=test)
    assert (split.record.valid_rows, split.record.test_rows) == (50, round(900 / 8))
    split = cut(table, schema, valid=test, test=two_classes(60, seed=8))
    assert (split.record.train_rows, split.record.valid_rows, split.record.test_rows) == (900, 50, 60)


def test_columns_nothing_uses_may_be_absent_from_a_given_file():
    table = two_classes()
    table = make_table(name=[f"n{i}" for i in range(200)], **table.frame.to_dict())
    schema = make_schema(table)
    schema = schema.model_copy(update={"dropped": ("name",)})
    rows = cut(table, schema, test=two_classes(50, seed=9)).test.open("look")
    assert rows.frame.columns == ["name", "x"]
    assert rows.frame["name"].null_count() == 50


def test_rows_without_a_target_are_left_out_and_counted():
    table = two_classes()
    labels = table.frame["y"].to_list()
    labels[4] = labels[17] = None
    table = make_table(x=table.frame["x"], y=labels)
    ledger = Ledger()
    split = cut(table, make_schema(table), ledger=ledger)
    assert split.record.left_out == 2
    assert sorted(np.concatenate(positions(split))) == [i for i in range(200) if i not in (4, 17)]
    assert ledger["data.target-complete"].rows == (5, 18)
    assert ledger["data.target-complete"].value == 2


def test_weights_travel_with_their_rows():
    table = two_classes()
    table = make_table(w=np.arange(200) + 0.5, **table.frame.to_dict())
    split = cut(table, make_schema(table, weight="w"))
    assert split.train.weight.tolist() == (split.train.positions + 0.5).tolist()
    assert [column.name for column in make_schema(table, weight="w").features] == ["x"]


def test_no_test_part_when_none_is_wanted():
    table = two_classes()
    ledger = Ledger()
    split = seal(table, make_schema(table), SplitConfig(valid=0.2, test=0.0), seed=0, ledger=ledger)
    assert split.test is None
    assert (split.record.train_rows, split.record.valid_rows, split.record.sealed_sha256) == (160, 40, None)
    assert ledger["split.sealed-test"].outcome is Outcome.SKIPPED


def test_every_practice_of_the_split_has_a_verdict():
    ledger = Ledger()
    table = two_classes()
    cut(table, make_schema(table), ledger=ledger)
    told = {verdict.practice for verdict in ledger}
    assert told == {
        "data.target-complete", "split.three-parts", "split.stratified", "split.groups", "split.time",
        "split.sealed-test",
    }  # fmt: skip


# The seal


def test_the_seal_counts_every_look():
    ledger = Ledger()
    table = two_classes()
    split = cut(table, make_schema(table), ledger=ledger)
    assert (split.record.opened, ledger["split.sealed-test"].value) == (0, 0)
    rows = split.test.open("the final assessment")
    assert (rows.part, len(rows)) == ("test", 20)
    assert ledger["split.sealed-test"].outcome is Outcome.APPLIED
    split.test.open("once more")
    assert split.record.opened == 2
    assert split.record.reasons == ("the final assessment", "once more")
    assert ledger["split.sealed-test"].outcome is Outcome.WARNED
    with pytest.raises(ValueError, match="reason"):
        split.test.open(" ")


def test_the_seal_hides_the_rows():
    table = two_classes()
    test = cut(table, make_schema(table)).test
    public = {name for name in dir(test) if not name.startswith("_")}
    assert public == {"open", "opened", "reasons", "sha256"}
    assert "20 rows" in repr(test)
    assert not hasattr(test, "__dict__")


@pytest.mark.parametrize("column", ["x", "word", "y"])
def test_the_hash_changes_with_a_cell_and_not_between_runs(column):
    base = {"x": np.arange(20.0), "word": [None, "ab", "c"] + ["d"] * 17, "y": ["a", "b"] * 10}
    main = two_classes(100)
    main = make_table(x=main.frame["x"], word=["ab", "c"] * 50, y=["a", "b"] * 50)
    schema = make_schema(main)
    before = cut(main, schema, test=make_table(**base)).test.sha256
    assert before == cut(main, schema, test=make_table(**base), seed=5).test.sha256
    changed = {name: list(cells) for name, cells in base.items()}
    changed[column][2] = {"x": 2.0000001, "word": "b", "y": "b"}[column]
    assert before != cut(main, schema, test=make_table(**changed)).test.sha256


def test_the_hash_tells_cell_borders_apart():
    main = make_table(p=["ab", "a"] * 50, y=["a", "b"] * 50)
    schema = make_schema(main)
    one, two = (
        cut(main, schema, keep_duplicates_together=False, test=make_table(p=cells, y=["a", "b", "a"])).test.sha256
        for cells in (["ab", "c", None], ["a", "bc", None])
    )
    assert one != two


@pytest.mark.skipif(not REAL.exists(), reason="the shared data sets are not here")
def test_letter_keeps_its_copies_together():
    table = read(REAL / "letter.csv.gz")
    schema = make_schema(table, "class", number=set(table.frame.columns) - {"class"})
    ledger = Ledger()
    train, valid, test = positions(cut(table, schema, ledger=ledger))
    rows = row_groups(table.frame)
    assert not set(rows[train]) & set(rows[np.concatenate([valid, test])])
    assert ledger["split.groups"].value == 845
    assert ledger["split.stratified"].value < 0.001
    assert abs(len(train) - 14_000) <= 13
