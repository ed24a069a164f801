import numpy as np
import pytest

from assay.data.schema import Task
from assay.errors import BundleError
from assay.evaluate.metrics import metric
from assay.search.study.answered import Judged, answers_of, keep_answers, keep_rows, selection_of_trials


def judged(weight=None):
    return Judged(np.array([0, 1, 1]), np.array([0, 1, 0], np.int16), weight)


@pytest.mark.parametrize("weight", [None, np.array([1.0, 2.0, 0.5])])
def test_answers_are_read_as_they_were_kept(tmp_path, weight):
    keep_rows(tmp_path / "a", judged(weight))
    answers = {3: np.array([[0.5, 0.5], [0.25, 0.75], [1.0, 0.0]], np.float32), 7: np.ones((3, 2), np.float32)}
    for number, each in answers.items():
        keep_answers(tmp_path / "a", number, each)
    found = answers_of(tmp_path / "a", [7, 3])
    assert list(found.predictions) == [7, 3]
    for number, each in answers.items():
        np.testing.assert_array_equal(found.predictions[number], each)
    np.testing.assert_array_equal(found.rows.truth, [0, 1, 1])
    np.testing.assert_array_equal(found.rows.fold, [0, 1, 0])
    assert (found.rows.weight is None) if weight is None else np.array_equal(found.rows.weight, weight)
    assert not list((tmp_path / "a").glob("*.partial"))


def test_a_folder_of_other_rows_is_refused(tmp_path):
    keep_rows(tmp_path, judged())
    keep_rows(tmp_path, judged())
    others = [
        judged(np.ones(3)),
        Judged(np.array([1, 1, 1]), judged().fold, None),
        Judged(judged().truth, np.zeros(3, np.int16), None),
    ]
    for other in others:
        with pytest.raises(BundleError, match="other rows or other folds"):
            keep_rows(tmp_path, other)


def test_answers_that_are_missing_or_damaged_are_told(tmp_path):
    keep_rows(tmp_path, judged())
    with pytest.raises(BundleError, match=r"4\.npy is not \(No such file"):
        answers_of(tmp_path, [4])
    keep_answers(tmp_path, 4, np.ones((2, 2)))
    with pytest.raises(BundleError, match="it has 2 rows, not 3"):
        answers_of(tmp_path, [4])
    (tmp_path / "4.npy").write_bytes(b"nothing of the kind")
    with pytest.raises(BundleError, match=r"4\.npy is not"):
        answers_of(tmp_path, [4])
    keep_answers(tmp_path, 5, np.ones((3, 2)))
    (tmp_path / "5.npy").write_bytes((tmp_path / "5.npy").read_bytes()[:-20])
    with pytest.raises(BundleError, match=r"5\.npy is not"):
        answers_of(tmp_path, [5])


def test_the_best_trial_is_told_without_what_the_choice_flatters_by(tmp_path):
    rng = np.random.default_rng(0)
    truth, fold = rng.integers(0, 2, 200), np.repeat([0, 1, -1], [80, 80, 40]).astype(np.int16)
    keep_rows(tmp_path, Judged(truth, fold, None))
    hits = []
    for number in range(30):
        chosen = np.where(rng.random(200) < 0.7, truth, 1 - truth)
        keep_answers(tmp_path, number, np.eye(2, dtype=np.float32)[chosen])
        hits.append((chosen == truth)[:160].mean())
    found = selection_of_trials(tmp_path, range(30), 4, Task.BINARY, metric(Task.BINARY, "accuracy"))
    assert (found.settings, found.left_out, found.rows) == (30, 4, 160)
    assert found.validation == pytest.approx(max(hits))
    assert found.validation - found.flattery == pytest.approx(found.corrected.value)
    assert found.corrected.value == pytest.approx(0.7, abs=0.03)
    assert found.validation > 0.76
