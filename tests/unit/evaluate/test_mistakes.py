"""Mistakes by hand: the surest errors, rows that no model gets right, doubted labels, and the list for relabelling."""

import numpy as np
import polars as pl
import pytest

from assay.data.config import DataConfig, EncodeConfig
from assay.data.encoding.encode import Encoder
from assay.data.infer import infer
from assay.data.labelled import find_labels
from assay.data.reading.read import read
from assay.data.rows import Rows
from assay.data.schema import Hints
from assay.evaluate.assess import Output
from assay.evaluate.judged import Judged
from assay.evaluate.mistakes import PRACTICE, mistakes
from assay.evaluate.row_losses import Deciding
from assay.ledger import Ledger

N = 60


def looked_at(frame, target, answers, others, *, kinds=None, part="test", unseen=None, learned=None):
    hints = Hints(target="y", kinds=kinds or {})
    schema = infer(read(frame), hints, find_labels(read(frame), hints, DataConfig()).labelling)
    cells = frame.drop("y")
    train = Rows("train", cells, target, None, np.arange(N))
    ledger = Ledger()
    encoder = Encoder.fit(train, schema, EncodeConfig(text_encoder="none"), Ledger())
    rows = Rows(part, cells, target, None, np.arange(N))
    outputs = [Output(name, "baseline", "", p, 0.0, 0.0) for name, p in [("network", answers), *others.items()]]
    found = mistakes(
        Judged(rows, answers), outputs, unseen or Judged(Rows("valid", cells, target, None, np.arange(N)), answers),
        learned, schema, encoder, files={"test": "t.csv"}, deciding=Deciding(), ledger=ledger,
    )  # fmt: skip
    return found, ledger[PRACTICE]


def classes():
    rng = np.random.default_rng(0)
    target = np.arange(N) % 2
    frame = pl.DataFrame(
        {"x": rng.normal(size=N), "z": np.repeat(["p", "q"], N // 2), "y": np.where(target, "up", "down")}
    )
    own = np.full(N, 0.8)
    own[[4, 7, 12]] = 0.3, 0.01, 0.2
    up = np.where(target == 1, own, 1 - own)
    return frame, target, np.stack([1 - up, up], 1)


def test_surest_errors_first_and_those_of_every_model_apart():
    frame, target, answers = classes()
    other = answers.copy()
    other[7] = other[7][::-1]  # another model has the surest error right
    found, verdict = looked_at(frame, target, answers, {"linear model": other, "majority class": answers[:, ::-1]})
    assert (found.judged, found.wrong) == (N, 3)
    assert [row.number for row in found.surest] == [8, 13, 5]
    first = found.surest[0]
    assert (first.given, first.predicted, first.part, first.file) == ("up", "down", "test", "t.csv")
    assert (first.probability, first.own) == (pytest.approx(0.99), pytest.approx(0.01))
    assert found.columns == ("x", "z")
    assert first.cells[1] == "p"
    assert found.hardest == ()  # both are among the surest, which are shown already
    assert [(pair.truth, pair.predicted, pair.rows) for pair in found.pairs] == [("down", "up", 2), ("up", "down", 1)]
    assert "3 of 60 test rows" in verdict.reason
    # Doubted labels come first, then the errors, those of every model before the others.
    rows = [(row.number, row.part, row.reason) for row in found.listed]
    assert rows[0] == (8, "valid", "label likely wrong")
    assert [row for row in rows if row[1] == "test"] == [
        (13, "test", "answered wrongly, as by every model"),
        (5, "test", "answered wrongly, as by every model"),
        (8, "test", "answered wrongly"),
    ]


def test_values_far_off_are_told():
    rng = np.random.default_rng(1)
    x = rng.normal(size=N)
    values = 3 * x + rng.normal(0, 0.1, N)
    values[20] += 50
    frame = pl.DataFrame({"x": x, "y": values})
    found, _ = looked_at(frame, values, 3 * x, {"linear model": 3 * x + 1})
    assert found.wrong is None
    assert found.surest[0].number == 21
    assert found.surest[0].missed == pytest.approx(3 * x[20] - values[20])
    assert found.doubted[0].number == 21
    assert found.doubted_count <= 3
    assert {row.reason for row in found.listed} == {"value far off"}


def test_labels_of_a_row_are_doubted_one_by_one():
    rng = np.random.default_rng(2)
    truth = rng.integers(0, 2, (N, 3))
    own = np.full((N, 3), 0.9)
    own[5, 1] = 0.05
    answers = np.where(truth == 1, own, 1 - own)
    names = np.array(["a", "b", "c"])
    frame = pl.DataFrame({"x": rng.normal(size=N), "y": [names[row > 0].tolist() for row in truth]})
    found, _ = looked_at(frame, truth, answers, {})
    assert found.wrong == 1
    assert found.doubted_count == 1
    doubted = found.doubted[0]
    assert doubted.number == 6
    assert {doubted.given, doubted.predicted} == {"b", "not b"}
    assert doubted.probability == pytest.approx(0.95)


def test_texts_and_series_are_shown_short():
    target = np.arange(N) % 2
    texts = [f"word{i} " * 100 for i in range(N)]
    series = [[float(i), 1.0, None, 2.0] for i in range(N)]
    frame = pl.DataFrame({"text": texts, "wave": series, "y": np.where(target, "up", "down")})
    up = np.where(target == 1, 0.9, 0.1)
    up[0] = 0.95
    found, _ = looked_at(frame, target, np.stack([1 - up, up], 1), {}, kinds={"text": "text"})
    (row,) = found.surest
    assert found.columns == ("text",)
    assert len(row.cells[0]) == 243
    assert row.series.before == (0.0, 1.0, None, 2.0)
