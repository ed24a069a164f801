"""Changes of cells by hand, what they cost, and how many rows there is time for."""

import io

import numpy as np
import polars as pl
import pytest
from PIL import Image

from assay.data.config import EncodeConfig
from assay.data.encoding.encode import Encoder
from assay.data.infer import infer
from assay.data.reading.read import read
from assay.data.rows import Rows
from assay.data.schema import Hints
from assay.evaluate.config import EvaluateConfig
from assay.evaluate.corruptions import _LOOKS, UNSEEN, corruptions, misspelt
from assay.evaluate.robustness import PRACTICE, planned, robustness
from assay.evaluate.row_losses import Deciding
from assay.ledger import Ledger, Outcome

N = 400


@pytest.fixture(scope="module")
def made():
    rng = np.random.default_rng(0)
    x = rng.normal(size=N)
    frame = pl.DataFrame(
        {
            "x": x,
            "city": rng.choice(["a", "b", "c"], N),
            "note": [f"plain words about number {i}" for i in range(N)],
            "wave": [[float(i), 1.0, 2.0] for i in range(N)],
            "y": np.where(x > 0, "up", "down"),
        }
    )
    schema = infer(read(frame), Hints(target="y", kinds={"note": "text"}))
    target = (x > 0).astype(np.int64)
    if schema.classes != ("down", "up"):
        target = 1 - target
    rows = Rows("train", frame.drop("y"), target, None, np.arange(N))
    encoder = Encoder.fit(rows, schema, EncodeConfig(text_encoder="none"), Ledger())
    return rows, schema, encoder


def changed(made, kind, strength):
    rows, schema, encoder = made
    (found,) = [one for one in corruptions(schema, encoder) if (one.kind, one.strength) == (kind, strength)]
    return rows.frame, found.apply(rows.frame, np.random.default_rng(1))


def test_cells_are_missing_about_as_often_as_said(made):
    before, after = changed(made, "cells missing", "30% of them")
    assert [after[name].null_count() / N for name in before.columns] == pytest.approx([0.3] * 4, abs=0.08)
    assert before.null_count().sum_horizontal()[0] == 0


def test_noise_and_shifts_are_in_deviations(made):
    before, noisy = changed(made, "noise on numbers", "1 SD")
    deviation = before["x"].to_numpy().std()
    assert (noisy["x"] - before["x"]).std() == pytest.approx(deviation, rel=0.15)
    assert noisy.drop("x").equals(before.drop("x"))
    _, shifted = changed(made, "numbers shifted", "by 0.5 SD")
    assert (shifted["x"] - before["x"]).to_numpy() == pytest.approx(np.full(N, 0.5 * deviation))


def test_categories_that_no_row_has(made):
    before, after = changed(made, "unseen categories", "10% of cells")
    assert UNSEEN not in before["city"].to_list()
    assert (after["city"] == UNSEEN).mean() == pytest.approx(0.1, abs=0.05)
    kept = after["city"] != UNSEEN
    assert after["city"].filter(kept).equals(before["city"].filter(kept))


def test_typos_leave_one_letter_out():
    rng = np.random.default_rng(0)
    assert misspelt("an elephant", 1.0, rng).split()[0] == "an"  # too short
    assert len(misspelt("elephant", 1.0, rng)) == 7
    assert misspelt("elephant walks", 0.0, rng) == "elephant walks"


def test_series_lose_steps_and_gain_noise(made):
    _, after = changed(made, "steps missing", "30% of them")
    steps = after["wave"].explode()
    assert len(steps) == 3 * N
    assert steps.null_count() / (3 * N) == pytest.approx(0.3, abs=0.05)


@pytest.mark.parametrize("kind", list(_LOOKS))
def test_pictures_keep_their_shape_and_change_more_as_they_are_damaged_more(kind):
    rng = np.random.default_rng(0)
    ramp = np.linspace(40, 200, 32)[None, None, :, None] + rng.normal(0, 20, (3, 3, 32, 32))
    pixels = ramp.clip(0, 255).astype(np.uint8)
    change, (weak, strong) = _LOOKS[kind]
    away = []
    for strength, _ in (weak, strong):
        damaged = change(pixels, strength, np.random.default_rng(1))
        assert (damaged.shape, damaged.dtype) == (pixels.shape, np.uint8)
        away.append(np.abs(damaged.astype(float) - pixels).mean())
    assert away[0] > 0
    assert kind == "brightness" or away[1] > away[0]


def test_grey_pictures_are_compressed_too():
    pixels = np.full((2, 1, 8, 8), 100, np.uint8)
    assert _LOOKS["JPEG"][0](pixels, 40, np.random.default_rng(0)) == pytest.approx(pixels, abs=2)
    file = io.BytesIO()
    Image.fromarray(pixels[0, 0]).save(file, "PNG")
    assert Image.open(io.BytesIO(file.getvalue())).size == (8, 8)


def test_what_a_missing_column_costs_by_hand(made):
    rows, schema, encoder = made

    def answer(frame):
        x = frame["x"].fill_null(-1.0).to_numpy()
        up = np.where(x > 0, 0.9, 0.1)
        place = schema.classes.index("up")
        both = np.stack([1 - up, up], 1)
        return both if place else both[:, ::-1]

    ledger = Ledger()
    found = robustness(
        rows, schema, encoder, EvaluateConfig(), answer, a_row=1e-6, deciding=Deciding(), seed=0, ledger=ledger
    )
    assert (found.rows, found.loss) == (N, "log loss")
    first = found.columns[0]
    share = (rows.frame["x"] > 0).mean()
    assert (first.kind, first.strength) == ("x", "missing")
    assert first.loss.value == pytest.approx(share * (np.log(0.9) - np.log(0.1)))
    assert first.flipped == pytest.approx(share)
    assert first.score == pytest.approx(0.5)
    assert found.score == pytest.approx(1.0)
    assert all(column.loss.value == 0.0 for column in found.columns[1:])
    typos = next(harm for harm in found.harms if harm.kind == "typos")
    assert (typos.loss.value, typos.flipped, typos.score) == (0.0, 0.0, found.score)
    assert ledger[PRACTICE].outcome is Outcome.APPLIED


def test_slow_answers_are_asked_for_fewer_rows_and_columns():
    assert planned(100_000, 9, 14, 1e-6) == (1000, 14)
    rows, columns = planned(100_000, 9, 14, 1e-3)
    assert columns < 14
    assert rows * (1 + 9 + columns) * 1e-3 <= 2.0
    assert planned(100_000, 9, 14, 0.1)[0] < 50
    assert planned(30, 9, 14, 1e-6) == (30, 14)


def test_where_answers_take_too_long_that_is_said(made):
    rows, schema, encoder = made
    ledger = Ledger()
    found = robustness(
        rows,
        schema,
        encoder,
        EvaluateConfig(),
        lambda frame: frame,
        a_row=0.1,
        deciding=Deciding(),
        seed=0,
        ledger=ledger,
    )
    assert found is None
    assert ledger[PRACTICE].outcome is Outcome.SKIPPED
