"""Groups of rows that are learned from, and weights that make group and class independent, by hand."""

import numpy as np
import polars as pl
import pytest

from assay.data.rows import Rows
from assay.data.schema import Column, Kind, Schema, Task
from assay.errors import ConfigError
from assay.evaluate.fair.learned import check_groups, learned_groups, reweighing


def column(name, kind):
    return Column(name=name, kind=kind, dtype="String", reason="", distinct=2)


SCHEMA = Schema(
    columns=tuple(column(name, Kind.CATEGORY) for name in ("sex", "race", "y")),
    target="y", task=Task.BINARY, task_reason="", classes=("no", "yes"), sensitive=("sex",),
)  # fmt: skip


def rows_of(part="train", rows=400, seed=0):
    rng = np.random.default_rng(seed)
    frame = pl.DataFrame({
        "sex": rng.choice(["a", "b"], rows, p=[0.7, 0.3]),
        "race": rng.choice(["u", "v", "rare"], rows, p=[0.6, 0.38, 0.02]),
    })  # fmt: skip
    target = (rng.random(rows) < np.where(frame["sex"].to_numpy() == "a", 0.5, 0.2)).astype(np.int64)
    return Rows(part, frame, target, None, np.arange(rows))


def test_the_weights_are_those_of_kamiran_and_calders():
    # Their example: 10 people, 5 of each sex; of 6 positives 4 are men.
    groups = np.array([0] * 5 + [1] * 5)
    classes = np.array([1, 1, 1, 1, 0, 1, 1, 0, 0, 0])
    found = reweighing(groups, classes, None)
    assert found[0] == pytest.approx(0.75)
    assert found[4] == pytest.approx(2.0)
    assert found[5] == pytest.approx(1.5)
    assert found[9] == pytest.approx(0.5 * 0.4 / 0.3)


def test_weighed_anew_group_and_class_are_independent():
    rng = np.random.default_rng(0)
    groups, classes, own = rng.integers(0, 3, 500), rng.integers(0, 4, 500), rng.uniform(0.1, 2, 500)
    weight = own * reweighing(groups, classes, own)
    table = np.zeros((3, 4))
    np.add.at(table, (groups, classes), weight)
    share = table / table.sum()
    np.testing.assert_allclose(share, np.outer(share.sum(1), share.sum(0)))
    assert weight.sum() == pytest.approx(own.sum())


def test_groups_of_few_rows_are_taken_as_one_and_strangers_belong_to_them():
    schema = SCHEMA.model_copy(update={"sensitive": ("sex", "race")})
    train = rows_of()
    valid = rows_of("valid", 50, 5)
    frame = valid.frame.with_columns(race=pl.lit("new"))
    found = learned_groups(train, Rows("valid", frame, valid.target, None, valid.positions), schema)
    assert found.names == ("a, u", "a, v", "b, u", "b, v", "groups of few rows")
    assert set(found.judged) == {4}
    assert (found.codes == 4).sum() == train.frame.filter(race="rare").height


def test_one_group_is_refused():
    train, valid = rows_of(), rows_of("valid", 100, 1)
    alike = Rows("train", train.frame.with_columns(sex=pl.lit("a")), train.target, None, train.positions)
    with pytest.raises(ConfigError, match="two groups or more"):
        learned_groups(alike, valid, SCHEMA)


def test_groups_that_are_all_small_are_refused():
    few = rows_of(rows=40, seed=2)
    few = Rows("train", few.frame.with_columns(sex=pl.Series([str(at % 5) for at in range(40)])), few.target, None,
               few.positions)  # fmt: skip
    with pytest.raises(ConfigError, match="groups of sex are smaller"):
        learned_groups(few, few, SCHEMA)


@pytest.mark.parametrize(
    ("change", "told"),
    [({"sensitive": ()}, "no column is named as sensitive"), ({"task": Task.MULTILABEL}, "the task is multilabel")],
)
def test_what_lessens_a_gap_needs_groups_and_one_answer_a_row(change, told):
    with pytest.raises(ConfigError, match=told):
        check_groups(SCHEMA.model_copy(update=change), "a study")
    check_groups(SCHEMA, "a study")
