"""Where forecasts are weak: figures by hand, what overlaps, what is told, and how often it is luck."""

from datetime import date, timedelta

import numpy as np
import polars as pl
import pytest

from assay.data.config import DataConfig
from assay.data.rows import complete
from assay.data.schema import Hints
from assay.evaluate.forecast.judged import Judged
from assay.evaluate.forecast.slices import forecast_slices, note_slices, weak_series
from assay.evaluate.slices.named import check_slices
from assay.ledger import Ledger
from assay.sources import read_tables

HORIZON = 4


def table(steps, shops=1, seed=0):
    days = [date(2024, 1, 1) + timedelta(days=at) for at in range(steps)]
    rng = np.random.default_rng(seed)
    frames = [
        pl.DataFrame({"t": days, "shop": f"s{shop}", "y": 10.0**shop * (5.0 + rng.normal(size=steps))})
        for shop in range(shops)
    ]
    return pl.concat(frames)


def windows_of(frame, *, share=0.4):
    case = "shop" if frame["shop"].n_unique() > 1 else None
    config = DataConfig(horizon=HORIZON, window=8, case=case, season=1, split={"test": share})
    frame = frame if case else frame.drop("shop")
    tables = read_tables(frame, None, None, Hints(target="y", time="t"), config, Ledger())
    rows = complete(tables.windows.test, tables.schema, "test")
    return rows, Judged.of(rows, tables.schema), tables.schema


def sliced(windows, missed, *texts, doubted=()):
    rows, judged, schema = windows
    answers = judged.truth + missed
    named = check_slices(texts, schema)
    return forecast_slices(rows, judged, answers, schema, named, doubted=doubted, confidence=0.95)


@pytest.fixture(scope="module")
def daily():
    return windows_of(table(400))


@pytest.fixture(scope="module")
def noise(daily):
    """Errors of days, the same for every window that forecasts one."""
    _, judged, _ = daily
    of_day = np.random.default_rng(1).normal(size=judged.steps.max() + HORIZON + 1)
    return of_day[judged.steps[:, None] + np.arange(1, HORIZON + 1)]


def by_family(found):
    return {family.name: family.slices for family in found.families}


def test_figures_by_hand(daily, noise):
    found = sliced(daily, noise, "step > 3", "step > 3 & step < 2")
    last, nobody = found.named
    missed = np.abs(noise)
    assert (last.rows, last.share) == (len(noise), 0.25)
    assert last.loss == last.score.value == pytest.approx(missed[:, 3].mean())
    assert last.loss_rest == pytest.approx(missed[:, :3].mean())
    assert last.difference.value == pytest.approx(last.loss - last.loss_rest)
    assert last.difference.low < last.difference.value < last.difference.high
    assert last.score.low < last.score.value < last.score.high
    assert (nobody.rows, nobody.score, nobody.verdict) == (0, None, "too few rows")
    assert (found.loss, found.metric, found.tested_on) == ("absolute error", "MAE", noise.size)


def test_a_weak_day_and_later_steps_are_found(daily, noise):
    _, judged, _ = daily
    missed = noise * np.array([0.5, 1.0, 1.0, 1.5])
    day = (judged.steps[:, None] + np.arange(1, HORIZON + 1)) % 7
    missed = np.where(day == 5, 3.0 * missed, missed)  # the first of January 2024 was a Monday
    found = sliced(daily, missed)
    families = by_family(found)
    assert set(families) == {"steps ahead", "day of the week", "month", "level before"}
    verdicts = {each.condition: each.verdict for each in families["day of the week"]}
    assert verdicts["weekday = Saturday"] == "weaker"
    assert [each.verdict for each in families["steps ahead"]] == ["stronger", *["not distinguishable"] * 2, "weaker"]
    assert found.candidates == sum(len(each) for each in families.values())
    ledger = Ledger()
    note_slices(found, ledger)
    verdict = ledger["evaluate.slices"]
    assert (verdict.outcome, verdict.value) == ("warned", 1)
    assert "weekday = Saturday (absolute error" in verdict.reason
    assert "step > 3" not in verdict.reason


def test_luck_is_rarely_a_weakness(daily):
    _, judged, _ = daily
    rng, weak = np.random.default_rng(0), 0
    ahead = judged.steps[:, None] + np.arange(1, HORIZON + 1)
    for _ in range(40):
        missed = rng.normal(size=ahead.max() + 1)[ahead]
        found = sliced(daily, missed)
        weak += any(each.verdict != "not distinguishable" for one in found.families for each in one.slices
                    if each.p_value is not None)  # fmt: skip
    assert weak <= 6  # of 40, at a level of one in twenty over all parts together


def test_what_comes_in_one_stretch_is_not_judged(daily, noise):
    """The last days of August lie in windows that all share steps, and in a short test part so do all days."""
    missed = noise.copy()
    missed[:3] *= 20.0
    once = sliced(daily, missed, "month = 8").named[0]
    assert (0 < once.rows < 20, once.verdict, once.p_value) == (True, "too few rows", None)
    assert once.difference.value > 1.0
    assert "needs 2 stretches" in once.difference.method
    short = windows_of(table(40), share=0.2)
    found = sliced(short, np.ones_like(short[1].truth), "step > 2").named[0]
    assert (found.verdict, found.p_value) == ("too few rows", None)


def test_series_count_by_errors_in_their_own_units():
    windows = windows_of(table(200, shops=3))
    _, judged, _ = windows
    size = 10.0 ** np.array([int(name[1]) for name in judged.names])
    rng = np.random.default_rng(0)
    missed = rng.normal(size=judged.truth.shape) * size[:, None]
    missed[size == 1.0] *= 3.0  # the smallest shop is forecast worst for its size
    found = sliced(windows, missed, doubted=weak_series(judged, judged.truth + missed))
    assert found.loss == "scaled error"
    shops = by_family(found)["series"]
    assert (shops[0].condition, shops[0].verdict) == ("shop = s0", "weaker")
    assert shops[0].score.value < shops[1].score.value  # in units of the target its errors are the smallest


def test_halves_of_the_steps_are_one_test():
    windows = windows_of(table(200, shops=2))
    missed = np.random.default_rng(0).normal(size=windows[1].truth.shape)
    found = by_family(sliced(windows, missed, doubted=("s0", "s1")))
    assert len(found["series"]) == 1
    assert found["series"][0].loss >= found["series"][0].loss_rest
