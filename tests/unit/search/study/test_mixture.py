"""Mixtures of trials: taken where errors cancel, not where one is as good as all."""

import numpy as np
import pytest

from assay.data.schema import Task
from assay.evaluate.metrics import metric
from assay.search.study.answered import Judged, keep_answers, keep_rows
from assay.search.study.mixture import Mixture, as_judged, candidates, in_words, mixture_of
from assay.search.study.store import Tried
from assay.search.study.trial import Trial


def kept(folder, truth, answers, weight=None):
    keep_rows(folder, Judged(truth, np.zeros(len(truth), np.int16), weight))
    for number, each in answers.items():
        keep_answers(folder, number, each)


@pytest.fixture
def noisy(tmp_path):
    """Four regressions whose errors are independent, and a fifth that is far off."""
    rng = np.random.default_rng(0)
    truth = rng.normal(size=400)
    answers = {number: truth + rng.normal(size=400) for number in range(4)}
    kept(tmp_path, truth, answers | {9: truth + 30.0})
    return tmp_path


def test_errors_that_are_independent_are_averaged(noisy):
    found = mixture_of(noisy, [0, 1, 2, 3, 9], Task.REGRESSION, metric(Task.REGRESSION, "rmse"))
    assert found.is_taken
    assert sorted(found.numbers) == [0, 1, 2, 3]
    assert found.shares == (0.25, 0.25, 0.25, 0.25)
    assert found.score == pytest.approx(0.5, abs=0.05)  # a standard deviation of 1 over the root of 4
    assert found.gain == pytest.approx(0.5, abs=0.1)
    assert found.gain > 5 * found.error > 0.0
    assert "are parts of one model" in in_words(found)
    again = mixture_of(noisy, [0, 1, 2, 3, 9], Task.REGRESSION, metric(Task.REGRESSION, "rmse"))
    assert again == found


def test_one_that_is_right_stands_alone(tmp_path):
    rng = np.random.default_rng(0)
    truth = rng.normal(size=200)
    kept(tmp_path, truth, {0: truth + 0.01 * rng.normal(size=200), 1: truth + rng.normal(size=200)})
    found = mixture_of(tmp_path, [0, 1], Task.REGRESSION, metric(Task.REGRESSION, "rmse"))
    assert not found.is_taken
    assert found.numbers == (0,)
    assert in_words(found) == "the best setting stands alone: the weights gave the best setting the whole answer"


def test_what_chance_gives_is_not_taken(tmp_path):
    """Twelve copies of one answer with a breath of noise: no mixture is clearly better than the best."""
    rng = np.random.default_rng(1)
    truth = rng.integers(0, 2, 300)
    base = np.clip(0.5 + 0.2 * (truth - 0.5) + 0.2 * rng.normal(size=300), 0.01, 0.99)
    probability = {n: np.clip(base + 1e-4 * rng.normal(size=300), 0.01, 0.99) for n in range(12)}
    kept(tmp_path, truth, {n: np.stack([1 - p, p], 1) for n, p in probability.items()})
    found = mixture_of(tmp_path, list(range(12)), Task.BINARY, metric(Task.BINARY, "auroc"))
    assert not found.is_taken
    assert "no more than chance gives" in found.why or len(found.numbers) == 1


def test_what_costs_no_training_is_taken_if_it_gains_anything():
    said = {"score": 0.5, "error": 0.1, "is_taken": False, "why": "so it is"}
    small = Mixture(numbers=(3, 1), shares=(0.5, 0.5), gain=0.05, **said)
    taken = as_judged(small)
    assert taken.is_taken
    assert in_words(taken).endswith("so it is, but the networks are there and cost no training")
    alone, worse = small.model_copy(update={"numbers": (3,)}), small.model_copy(update={"gain": -0.01})
    undefined, clear = (small.model_copy(update=each) for each in ({"gain": float("nan")}, {"is_taken": True}))
    for each in (alone, worse, undefined, clear):
        assert as_judged(each) is each


def test_the_best_of_each_family_are_weighted_whatever_their_rank():
    def tried(number, family):
        return Tried(Trial(number, {} if family is None else {"model.name": family}, number), 0, 1, 0, 0, "tpe")

    ranked = [tried(number, "tabm") for number in range(20)] + [tried(number, "mlp") for number in range(20, 25)]
    assert candidates(ranked) == [*range(13), 20, 21, 22]
    assert candidates([tried(number, None) for number in range(20)]) == list(range(16))
    assert candidates(ranked[18:21]) == [18, 19, 20]


def test_settings_that_are_trained_in_the_end_are_few(tmp_path):
    rng = np.random.default_rng(0)
    truth = rng.normal(size=400)
    kept(tmp_path, truth, {number: truth + rng.normal(size=400) for number in range(9)})
    measure = metric(Task.REGRESSION, "rmse")
    few = mixture_of(tmp_path, range(9), Task.REGRESSION, measure)
    many = mixture_of(tmp_path, range(9), Task.REGRESSION, measure, trained_anew=False)
    assert (len(few.numbers), len(many.numbers)) == (4, 9)
    assert many.score < few.score


def test_few_trials_or_rows_have_no_mixture(tmp_path):
    truth = np.arange(60.0)
    kept(tmp_path / "a", truth, {0: truth})
    assert mixture_of(tmp_path / "a", [0], Task.REGRESSION, metric(Task.REGRESSION, "rmse")) is None
    kept(tmp_path / "b", truth[:40], {0: truth[:40], 1: truth[:40] + 1.0})
    assert mixture_of(tmp_path / "b", [0, 1], Task.REGRESSION, metric(Task.REGRESSION, "rmse")) is None


def test_labels_and_weights_and_groups_are_heeded(tmp_path):
    rng = np.random.default_rng(2)
    truth = rng.integers(0, 2, (200, 3))
    answers = {n: np.clip(0.5 + 0.4 * (truth - 0.5) + 0.2 * rng.normal(size=(200, 3)), 0.01, 0.99) for n in range(3)}
    kept(tmp_path, truth, answers, np.where(np.arange(200) < 150, 1.0, 0.0))
    groups = np.arange(200) // 2
    found = mixture_of(tmp_path, [0, 1, 2], Task.MULTILABEL, metric(Task.MULTILABEL, "log_loss"), groups=groups)
    assert found.is_taken
    assert sum(found.shares) == pytest.approx(1.0)
