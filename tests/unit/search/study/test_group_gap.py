"""The gap between groups of a trial: by hand, as the report measures gaps, and where there is none to measure."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some

from assay.data.schema import Column, Kind, Schema, Task
from assay.errors import ConfigError
from assay.search.study.answered import Judged
from assay.search.study.group_gap import GroupGap, in_words

NAMES = ("a", "b", "c")


def schema_of(classes, **changes):
    columns = tuple(Column(name=name, kind=Kind.CATEGORY, dtype="String", reason="made") for name in ("sex", "y"))
    task = {0: Task.REGRESSION, 2: Task.BINARY}.get(classes, Task.MULTICLASS)
    return Schema(columns=columns, target="y", task=task, task_reason="", classes=tuple("uvw"[:classes]),
                  sensitive=("sex",)).model_copy(update=changes)  # fmt: skip


def drawn(classes, seed=0, rows=300, weight=False, groups=3):
    """Groups and rows that judge, and answers to them."""
    rng = np.random.default_rng(seed)
    codes = rng.integers(0, groups, rows)
    if classes:
        truth = rng.integers(0, classes, rows)
        answer = rng.dirichlet(np.ones(classes), rows).astype(np.float32)
    else:
        truth, answer = rng.normal(size=rows), rng.normal(size=rows) + 0.5 * codes
    return codes, Judged(truth, np.zeros(rows, np.int16), rng.uniform(0.2, 2, rows) if weight else None), answer


def gap_of(classes, codes, rows, least=30, clusters=None):
    return GroupGap(NAMES, codes, rows, schema_of(classes), least, clusters)


def test_of_classes_it_is_the_largest_difference_in_the_mean_probability_of_the_own_class():
    codes = np.repeat([0, 1], 40)
    truth = np.tile([0, 1], 40)
    own = np.where(codes == 0, np.where(truth == 0, 0.9, 0.6), np.where(truth == 0, 0.7, 0.65))
    answer = np.where(truth[:, None] == np.arange(2), own[:, None], 1 - own[:, None])
    found = GroupGap(("a", "b"), codes, Judged(truth, np.zeros(80, np.int16), None), schema_of(2), 30, None)
    assert found.value(answer) == pytest.approx(0.2)
    told = found.told(answer, confidence=0.95, seed=0)
    assert (told.value, told.lowest, told.highest) == (pytest.approx(0.2), "b", "a")
    assert told.measure == "the mean probability that rows of u get for it"


def test_of_numbers_it_is_the_largest_difference_in_mean_residuals():
    codes = np.repeat([0, 1, 2], 40)
    truth = np.random.default_rng(0).normal(size=120)
    answer = truth + np.array([0.5, -1.0, 3.0])[codes]
    found = gap_of(0, codes, Judged(truth, np.zeros(120, np.int16), None))
    assert found.value(answer) == pytest.approx(4.0)
    assert "in units of y" in found.told(answer, confidence=0.95, seed=0).measure


@pytest.mark.parametrize("weight", [False, True])
@pytest.mark.parametrize("classes", [0, 2, 3])
def test_it_is_the_gap_that_the_report_would_measure(classes, weight):
    for seed in range(5):
        codes, rows, answer = drawn(classes, seed, weight=weight)
        found = gap_of(classes, codes, rows)
        told = found.told(answer, confidence=0.95, seed=seed)
        assert found.value(answer) == pytest.approx(told.value, rel=1e-6)
        assert told.low <= told.value <= told.high


@given(some.integers(0, 10_000))
def test_the_order_of_rows_and_the_names_of_groups_change_nothing(seed):
    codes, rows, answer = drawn(3, seed)
    order = np.random.default_rng(seed).permutation(len(codes))
    turned = replace(rows, truth=rows.truth[order])
    value = gap_of(3, codes, rows).value(answer)
    assert gap_of(3, codes[order], turned).value(answer[order]) == pytest.approx(value, rel=1e-5)
    assert gap_of(3, (codes + 1) % 3, rows).value(answer) == pytest.approx(value, rel=1e-5)
    assert 0.0 <= value <= 1.0


def test_small_groups_do_not_count():
    codes, rows, answer = drawn(0, groups=2)
    more = np.concatenate([codes, np.full(5, 2)])
    wide = Judged(np.concatenate([rows.truth, np.zeros(5)]), np.zeros(305, np.int16), None)
    said = np.concatenate([answer, np.full(5, 100.0)])
    assert gap_of(0, more, wide).value(said) == gap_of(0, codes, rows).value(answer)
    with pytest.raises(ConfigError, match="of sex there are a with 150, b with 150, c with 0"):
        gap_of(0, np.repeat([0, 1], 150), rows, least=200)


def test_chance_is_what_groups_reach_that_do_not_differ():
    reached = 0
    for seed in range(200):
        codes, rows, answer = drawn(2, seed, rows=200)
        told = gap_of(2, codes, rows).told(answer, confidence=0.95, seed=seed)
        reached += told.value > told.by_chance
    assert 2 <= reached <= 22  # 10 are expected of 200


def test_what_is_said_of_a_gap_names_the_defaults_and_chance():
    codes, rows, answer = drawn(0, rows=600)
    gap = gap_of(0, codes, rows).told(answer, confidence=0.95, seed=0)
    told = in_words(gap, gap)
    assert told.startswith(
        f"{gap.value:.3g} ({gap.low:.3g} to {gap.high:.3g}) in the mean residual in units of y, from"
    )
    assert f"the defaults have {gap.value:.3g}" in told
    assert "by luck alone" not in told
    level = gap.model_copy(update={"by_chance": 2 * gap.value})
    assert in_words(gap, level).endswith("settings may differ in it by luck alone")
    assert "the defaults" not in in_words(gap, None)
