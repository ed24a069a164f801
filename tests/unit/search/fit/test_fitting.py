"""What a network follows: numbers as they suited the one that tried both."""

from types import SimpleNamespace

import pytest

from assay.data.schema import Task
from assay.search.fit.fitting import Fitting
from assay.search.planning.jobs import Job
from assay.train.recipes import RECIPES


def follower(follows="mlp"):
    return Job("realmlp", RECIPES["realmlp"].model, RECIPES["realmlp"].train(Task.REGRESSION), follows=follows)


def numbers_after(losses, job):
    """How the job takes numbers after networks with these losses."""
    networks = [SimpleNamespace(part=SimpleNamespace(name=name)) for name in losses]
    fitting = SimpleNamespace(loss=lambda trained: losses[trained.part.name])
    return Fitting.following(fitting, job, networks).model.numbers


@pytest.mark.parametrize(
    ("widened", "plain", "expected"),
    [(1.0, 0.98, "plain"), (1.0, 0.995, "pbld"), (1.0, 1.0, "pbld"), (1.0, 1.2, "pbld"), (0.0, 0.0, "pbld")],
)
def test_numbers_are_plain_where_they_were_clearly_better(widened, plain, expected):
    assert numbers_after({"mlp": widened, "mlp on plain numbers": plain}, follower()) == expected


@pytest.mark.parametrize("losses", [{}, {"mlp": 1.0}, {"mlp on plain numbers": 0.1}, {"realmlp": 0.1}])
def test_where_one_of_the_two_was_not_trained_numbers_stay(losses):
    assert numbers_after(losses, follower()) == "pbld"


def test_who_follows_nobody_is_as_planned():
    job = follower("")
    assert numbers_after({"mlp": 1.0, "mlp on plain numbers": 0.1}, job) == "pbld"
