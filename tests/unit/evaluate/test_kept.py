"""What a run keeps of its answers: written and read back, left out where too large, refused where damaged."""

from dataclasses import replace

import numpy as np
import pytest

from assay.errors import BundleError
from assay.evaluate import kept
from assay.evaluate.kept import ANSWERS, Judged, Kept, KeptTest, keep, kept_of


@pytest.fixture
def answers():
    draw = np.random.default_rng(0)
    tested = KeptTest(
        draw.integers(0, 2, 30), draw.dirichlet([1, 1], 30), None, draw.integers(0, 99, 30).astype(np.uint64)
    )
    judged = Judged(
        draw.integers(0, 2, 20), draw.random(20), draw.random((3, 20, 2)).astype(np.float32), ("mlp", "mlp", "trees"),
        draw.random((3, 20, 2)).astype(np.float32), np.array([0.5, 0.25, 0.25]), None,
    )  # fmt: skip
    return Kept(tested, judged)


def test_what_was_kept_is_read_back(answers, tmp_path):
    keep(tmp_path, answers)
    back = kept_of(tmp_path)
    np.testing.assert_array_equal(back.tested.truth, answers.tested.truth)
    np.testing.assert_allclose(back.tested.answers, answers.tested.answers, atol=1e-7)
    assert back.tested.weight is None
    np.testing.assert_array_equal(back.tested.rows, answers.tested.rows)
    np.testing.assert_array_equal(back.judged.answers, answers.judged.answers)
    np.testing.assert_array_equal(back.judged.weight, answers.judged.weight)
    assert back.judged.parts == ("mlp", "mlp", "trees")
    assert back.judged.groups is None
    assert [path.name for path in tmp_path.iterdir()] == [ANSWERS]


def test_how_rows_belong_together_and_are_decided_is_kept_too(answers, tmp_path):
    costs = ((0.0, 5.0), (1.0, 0.0))
    tested = replace(answers.tested, clusters=np.arange(30) // 3, thresholds=(0.3, 0.7), costs=costs)
    keep(tmp_path, Kept(tested))
    back = kept_of(tmp_path).tested
    np.testing.assert_array_equal(back.clusters, np.arange(30) // 3)
    assert (back.thresholds, back.costs, back.rule.costs) == ((0.3, 0.7), costs, costs)
    keep(tmp_path, answers)
    plain = kept_of(tmp_path).tested
    assert (plain.clusters, plain.thresholds, plain.costs, plain.steps) == (None, (), (), None)
    assert plain.windows == ""


def test_windows_keep_their_origins_and_all_digits_of_a_forecast(tmp_path):
    truth = 1e6 + np.random.default_rng(0).normal(size=(20, 3))
    made = KeptTest(
        truth, truth + 0.01, None, np.arange(20, dtype=np.uint64), np.zeros(20, np.int64), steps=np.arange(20)
    )
    keep(tmp_path, Kept(made))
    back = kept_of(tmp_path).tested
    np.testing.assert_array_equal(back.answers, made.answers)
    np.testing.assert_array_equal(back.steps, np.arange(20))
    assert len(made.windows) == 64
    assert back.windows == made.windows == replace(made, answers=truth).windows
    for other in (replace(made, steps=made.steps + 1), replace(made, clusters=made.clusters + 1),
                  replace(made, truth=truth + 1e-9), replace(made, truth=truth.reshape(30, 2))):  # fmt: skip
        assert other.windows != made.windows


def test_nothing_kept_is_nothing_written(tmp_path):
    keep(tmp_path, Kept())
    assert list(tmp_path.iterdir()) == []
    assert kept_of(tmp_path) == Kept()


def test_answers_that_are_too_large_are_left_out(answers, tmp_path, monkeypatch):
    monkeypatch.setattr(kept, "MOST_NUMBERS", 50)
    keep(tmp_path, answers)
    assert kept_of(tmp_path).tested is None
    assert kept_of(tmp_path).judged is not None


def test_a_damaged_file_is_refused(answers, tmp_path):
    keep(tmp_path, answers)
    path = tmp_path / ANSWERS
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(BundleError, match="the answers that a run kept must be readable"):
        kept_of(tmp_path)
    np.savez(path, **{"test.truth": np.zeros(3)})
    with pytest.raises(BundleError, match=r"it has no test\.answers"):
        kept_of(tmp_path)
