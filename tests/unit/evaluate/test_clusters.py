"""Rows that belong together: their places, and intervals that are as wide as independent groups make them."""

import numpy as np
import polars as pl
import pytest

from assay.data.rows import Rows
from assay.data.schema import Column, Kind, Schema, Task
from assay.evaluate.assess import Output, assess
from assay.evaluate.clusters import clusters_of
from assay.evaluate.compare import paired_test
from assay.evaluate.config import EvaluateConfig
from assay.evaluate.intervals import cluster_resamples, estimates
from assay.ledger import Ledger, Outcome


def schema(group):
    columns = tuple(Column(name=name, kind=Kind.ID, dtype="String", reason="made") for name in ("who", "y"))
    return Schema(columns=columns, target="y", task=Task.REGRESSION, task_reason="made", group=group)


def rows(names):
    frame = pl.DataFrame({"who": pl.Series(names, dtype=pl.String)})
    return Rows("test", frame, np.zeros(len(names)), None, np.arange(len(names)))


def test_places_of_groups():
    assert clusters_of(rows(["b", "a", None, "b", None]), schema("who")).tolist() == [0, 1, 2, 0, 3]
    assert clusters_of(rows(["b", "a", None]), schema("who")) is None
    assert clusters_of(rows(["b", "b"]), schema(None)) is None


def test_rows_of_a_group_are_drawn_together():
    clusters = np.array([0, 1, 0, 2, 2])
    drawn = np.concatenate(list(cluster_resamples(clusters, 500, seed=0)))
    assert drawn.shape == (500, 5)
    assert (drawn[:, 0] == drawn[:, 2]).all()
    assert (drawn[:, 3] == drawn[:, 4]).all()
    assert (drawn[:, [0, 1, 3]].sum(1) == 3).all()


@pytest.mark.parametrize("grouped", [True, False])
def test_intervals_of_grouped_rows_hold_only_where_groups_are_drawn(grouped):
    held = 0
    for seed in range(80):
        rng = np.random.default_rng(seed)
        clusters = np.repeat(np.arange(40), 10)
        error = rng.normal(size=40)[clusters] + 0.3 * rng.normal(size=400)
        found = estimates(Task.REGRESSION, error, np.zeros(400), samples=400, seed=seed, only=("rmse",),
                          clusters=clusters if grouped else None)["rmse"]  # fmt: skip
        held += found.low <= np.sqrt(1.09) <= found.high
    assert held / 80 >= 0.86 if grouped else held / 80 < 0.7


def test_every_interval_names_its_groups():
    rng = np.random.default_rng(0)
    truth, score = rng.integers(0, 2, 200), rng.random(200)
    found = estimates(Task.BINARY, truth, np.stack([1 - score, score], 1), clusters=np.arange(200) // 4)
    assert {each.method.removesuffix(", reflected") for each in found.values()} == {"bootstrap (1,000) of 50 groups"}


def test_one_group_has_no_interval():
    found = estimates(Task.REGRESSION, np.arange(9.0), np.zeros(9), clusters=np.zeros(9, np.int64))
    assert found["rmse"].low is None
    assert found["rmse"].method == "no interval from one group"


def test_models_are_compared_on_groups():
    rng = np.random.default_rng(0)
    truth, clusters = rng.normal(size=300), np.arange(300) // 10
    found = paired_test(Task.REGRESSION, truth, truth + 0.1, truth + 0.5, clusters=clusters)
    assert found.test == "paired bootstrap (1,000) of 30 groups"
    assert found.p_value < 0.01


@pytest.mark.parametrize(("many", "outcome"), [(50, Outcome.APPLIED), (8, Outcome.WARNED)])
def test_few_groups_are_warned_of(many, outcome):
    rng, ledger = np.random.default_rng(0), Ledger()
    truth = rng.normal(size=200)
    output = Output("network", "network", "", truth + 0.1 * rng.normal(size=200), 0.0, 0.0)
    assess(schema("who"), truth, None, [output], EvaluateConfig(bootstrap=400), seed=0, ledger=ledger,
           clusters=np.arange(200) % many)  # fmt: skip
    assert ledger["evaluate.intervals"].outcome is outcome
    assert "rows of one 'who' are drawn together" in ledger["evaluate.intervals"].reason
