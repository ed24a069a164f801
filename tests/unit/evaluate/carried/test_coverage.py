"""Coverage on test rows: shares by hand, what is flagged, and what the ledger is told."""

import numpy as np
import pytest

from assay.data.regions import Limit, Regions, Tried
from assay.evaluate.carried.coverage import note_coverage, prove, sentence
from assay.evaluate.carried.record import CoverageReport
from assay.evaluate.carried.regions import Judged
from assay.ledger import Ledger, Outcome


def lac(limit=0.75, rows=999, **more):
    return Regions(kind="lac", coverage=0.9, limit=Limit(value=limit, rows=rows), **more)


def rows(truth, shares=(0.5, 0.3, 0.2)):
    return Judged(np.tile(np.array(shares), (len(truth), 1)), np.array(truth))


def test_the_share_held_by_hand():
    found = prove(lac(), rows([0] * 60 + [1] * 30 + [2] * 10), ("x", "y", "z"), 0.95)
    assert found.overall.held == pytest.approx(0.9)
    assert found.overall.size == 2.0
    assert found.sizes == (0, 0, 100)
    assert found.alone == 0.0
    assert not found.overall.is_below
    assert found.overall.low < 0.9 < found.overall.high
    by_class = {cell.name: cell.held for cell in found.cells if cell.family == "class"}
    assert by_class == {"x": 1.0, "y": 1.0, "z": 0.0}
    assert [cell.name for cell in found.cells if cell.is_below] == ["z"]
    assert [cell.name for cell in found.cells if cell.family == "size"] == ["2 classes"]


def test_too_little_is_flagged_and_warned_of():
    ledger = Ledger()
    found = prove(lac(), rows([0] * 80 + [2] * 20), ("x", "y", "z"), 0.95)
    assert found.overall.is_below
    note_coverage(found, [], ledger)
    assert ledger["evaluate.conformal"].outcome is Outcome.WARNED
    assert ledger["evaluate.conformal"].value == pytest.approx(0.8)


def test_a_class_that_is_held_less_is_told_of_without_a_warning():
    ledger = Ledger()
    note_coverage(prove(lac(), rows([0] * 93 + [2] * 12), ("x", "y", "z"), 0.95), ["a caveat"], ledger)
    verdict = ledger["evaluate.conformal"]
    assert verdict.outcome is Outcome.APPLIED
    assert "where no rate was promised: 0.0% of z (12 rows)" in verdict.reason
    assert verdict.reason.endswith("; a caveat")


def test_a_group_whose_limit_fails_is_warned_of():
    judged = rows([0] * 190 + [2] * 10)
    groups = tuple(["big"] * 170 + ["small"] * 30)
    own = {name: Limit(value=0.75, rows=400) for name in ("big", "small")}
    found = prove(lac(column="g", groups=own), Judged(judged.answers, judged.truth, groups), ("x", "y", "z"), 0.95)
    cells = {cell.name: cell for cell in found.cells if cell.family == "group"}
    assert cells["g = small"].held == pytest.approx(2 / 3)
    assert cells["g = small"].calibration == 400
    assert cells["g = small"].is_below
    assert not cells["g = big"].is_below
    ledger = Ledger()
    note_coverage(found, [], ledger)
    assert ledger["evaluate.conformal"].outcome is Outcome.WARNED
    assert "by 'g'" in ledger["evaluate.conformal"].reason


def test_other_columns_are_told_of_too():
    judged = rows([0] * 60 + [1] * 40)
    found = prove(lac(), judged, ("x", "y", "z"), 0.95, {"sex": ["f"] * 50 + [None] * 45 + ["m"] * 5})
    assert [cell.name for cell in found.cells if cell.family == "group"] == ["sex = f", "sex = missing"]


def test_intervals_by_hand():
    values = np.arange(100.0)
    off = np.where(np.arange(100) < 95, 1.0, 3.0)
    found = prove(
        Regions(kind="absolute", coverage=0.9, limit=Limit(value=2.0, rows=99)), Judged(values, values + off), (), 0.95
    )
    assert found.overall.held == 0.95
    assert found.overall.size == pytest.approx(4.0)
    assert found.widths == pytest.approx((4.0,) * 21)
    assert found.alone is None
    assert [cell.held for cell in found.cells] == [1.0, 1.0, 1.0, 1.0, 0.75]
    assert "intervals held 95.0% of 100 test rows (90.0% asked for" in sentence(found)


def test_the_share_of_false_alarms_among_many_cells_is_small():
    rng = np.random.default_rng(0)
    alarms = 0
    for _ in range(100):
        shares = rng.dirichlet(np.ones(3), 300)
        truth = (shares.cumsum(1) < rng.random((300, 1))).sum(1).clip(max=2)
        limit = np.sort(1 - shares[np.arange(300), truth])[270]
        more = {"g": np.array(list("abcdefgh"))[rng.integers(0, 8, 300)].tolist()}
        shares = rng.dirichlet(np.ones(3), 300)
        truth = (shares.cumsum(1) < rng.random((300, 1))).sum(1).clip(max=2)
        found = prove(lac(limit, 300), Judged(shares, truth), ("x", "y", "z"), 0.95, more)
        alarms += any(cell.is_below for cell in found.cells if cell.family == "group")
    assert alarms / 100 <= 0.07


def test_no_test_rows_prove_nothing():
    found = prove(lac(), Judged(np.empty((0, 3)), np.empty(0, np.int64)), ("x", "y", "z"), 0.95)
    assert (found.overall.rows, found.overall.low, found.overall.high) == (0, 0.0, 1.0)
    assert not found.overall.is_below
    assert found.cells == ()


def test_the_report_travels_as_json():
    found = prove(lac(tried=(Tried(kind="lac", size=1.0, covered=0.9, worst=0.0),)), rows([0, 1] * 20), ("x", "y", "z"),
                  0.95)  # fmt: skip
    assert CoverageReport.from_json(found.to_json(), "here") == found
