"""What a network follows: numbers as they suited the one that tried both."""

from types import SimpleNamespace

import pytest

from assay.data.schema import Task
from assay.search.fit.fitting import Fitting, train_planned
from assay.search.planning.jobs import Job, Plan
from assay.train.budget import Budget
from assay.train.recipes import RECIPES


def job(name, follows=""):
    return Job(name, RECIPES[name].model, RECIPES[name].train(Task.REGRESSION), follows=follows)


PLAN = Plan((job("mlp"), job("mlp").on_plain_numbers(), job("realmlp", "mlp")), 1, "kinds, after a trial")


def trained(losses, plan=PLAN):
    """The plan as it was followed where networks with these losses were trained first, and the names of all."""

    def make(asked, share):
        return SimpleNamespace(part=SimpleNamespace(name=asked.name, trained=SimpleNamespace(interrupted=False)))

    fitting = SimpleNamespace(budget=Budget(100.0), trained=make, is_begun=lambda asked: False)
    fitting.loss = lambda network: losses[network.part.name]
    fitting.gain_of_plain = lambda name, networks: Fitting.gain_of_plain(fitting, name, networks)
    found, networks = train_planned(fitting, plan, has_others=False)
    assert [each.name for each in found.jobs] == [each.part.name for each in networks]
    return found


@pytest.mark.parametrize(
    ("widened", "plain", "numbers", "told"),
    [
        (2.0, 1.9, "plain", "5.0% lower"), (2.0, 1.99, "pbld", "0.5% lower"), (2.0, 2.0, "pbld", "0.0% higher"),
        (2.0, 2.5, "pbld", "25.0% higher"), (0.0, 0.1, "pbld", "0.0% higher"),
    ],
)  # fmt: skip
def test_numbers_are_plain_where_they_were_clearly_better(widened, plain, numbers, told):
    found = trained({"mlp": widened, "mlp on plain numbers": plain})
    assert found.jobs[2].model.numbers == numbers
    assert found.jobs[2].name == "realmlp" + " on plain numbers" * (numbers == "plain")
    assert found.reason == f"kinds, after a trial (loss {told} than on widened ones)"


@pytest.mark.parametrize("place", [0, 1])
def test_where_one_of_the_two_was_not_trained_numbers_stay(place):
    rest = Plan((PLAN.jobs[place], PLAN.jobs[2]), 1, "kinds")
    assert trained({}, rest) == rest


def test_who_follows_nobody_is_as_planned():
    alone = Plan((*PLAN.jobs[:2], job("realmlp")), 1, "kinds")
    assert trained({}, alone) == alone
