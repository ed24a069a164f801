"""Networks for the time that a plan leaves: which settings, in which order, and when no more are trained."""

from types import SimpleNamespace

import numpy as np
import pytest

import assay.search.fit.further as further
from assay.data.schema import Column, Kind, Schema, Task
from assay.errors import DivergenceError
from assay.models.config import ModelConfig
from assay.search.config import EnsembleConfig
from assay.search.fit.further import of_portfolio_in_turn, with_further
from assay.search.planning.jobs import Job, Plan
from assay.search.study.starts import of_portfolio
from assay.train.budget import Budget
from assay.train.config import TrainConfig
from assay.train.recipes import RECIPES

TRUTH = np.linspace(-1.0, 1.0, 50)


def schema(*kinds, task=Task.REGRESSION):
    columns = [Column(name=f"x{at}", kind=kind, dtype="", reason="") for at, kind in enumerate(kinds)]
    columns.append(Column(name="y", kind=Kind.NUMBER, dtype="", reason=""))
    return Schema(target="y", task=task, task_reason="said", classes=(), columns=tuple(columns))


def job(name):
    return Job(name, RECIPES[name].model, RECIPES[name].train(Task.REGRESSION))


BEFORE = {"realmlp": TRUTH + 1.0, "mlp": TRUTH + 1.1}
PLAN = Plan((job("realmlp"), job("mlp"), job("tabm")), 8, "three kinds")


# Which there are ------------------------------------------------------------------------------------------------------


def test_settings_of_the_portfolio_come_in_turn_of_the_families_that_have_some():
    found = of_portfolio_in_turn(PLAN.jobs, 1000)
    assert [each.name for each in found[:5]] == ["realmlp 2", "mlp 2", "realmlp 3", "mlp 3", "realmlp 4"]
    assert {each.model.name for each in found} == {"realmlp", "mlp"}
    assert len({each.name for each in found}) == len(found) == 10
    own = RECIPES["realmlp"].train(Task.REGRESSION)
    first, second = of_portfolio("realmlp", {"model.width": 1, "train.lr": own.lr, "train.batch": 1})[:2]
    assert (found[0].model.width, found[0].train.batch) == (first["model.width"], first["train.batch"])
    assert found[0].train.lr == own.lr  # the first of the family changes its width and its batch alone
    assert found[2].train.lr == pytest.approx(second["train.lr"]) != own.lr
    assert all(each.model.members == 1 for each in found)
    assert found[0].train.epochs == own.epochs


def test_batches_of_the_portfolio_are_not_for_the_smallest_tables():
    batches = {each.name: each.train.batch for each in of_portfolio_in_turn(PLAN.jobs, 127)}
    assert set(batches.values()) == {"auto"}
    assert {each.name: each.train.batch for each in of_portfolio_in_turn(PLAN.jobs, 128)}["realmlp 2"] == 64


# Training them --------------------------------------------------------------------------------------------------------


def network(name, answer, seconds=1.0, *, interrupted=False):
    """A network as far as it is looked at: its answers to validation rows, and its speed."""
    trained = SimpleNamespace(seconds=seconds, epochs=range(10), interrupted=interrupted)
    part = SimpleNamespace(
        name=name, model=SimpleNamespace(name=name.split()[0]), trained=trained, members=8, is_network=True
    )
    return SimpleNamespace(part=part, answer=answer)


@pytest.fixture
def run(monkeypatch):
    """Asks for further networks: the jobs that were trained, the names of their networks, and the plan.

    before: what was trained by then, and answers.
    answers: by the name of a job, what its network says, or the network, or the error; of others it is far off.
    """
    monkeypatch.setattr(further, "candidate_answers", lambda trained, *_: [trained.answer])
    monkeypatch.setattr(further, "judged_weight", lambda *_: None)

    def asked(
        answers=None, *, before=BEFORE, plan=PLAN, rows=None, model=None, train=None, seconds=1e6, begun=(), count=1000,
        interrupted=False, **ensemble,
    ):  # fmt: skip
        trained = []

        def make(own):
            trained.append(own)
            answer = (answers or {}).get(own.name, TRUTH + 5.0)
            if isinstance(answer, Exception):
                raise answer
            return answer if isinstance(answer, SimpleNamespace) else network(own.name, answer)

        fitted = SimpleNamespace(
            found=SimpleNamespace(folds=8), judge=Judge(count), schema=rows or schema(Kind.NUMBER),
            model=ModelConfig(**(model or {})), train=TrainConfig(**(train or {})), trained=make,
            ensemble=EnsembleConfig(**ensemble), budget=Budget(seconds), is_begun=lambda own: own.name in begun,
        )  # fmt: skip
        networks = [network(name, answer, interrupted=interrupted) for name, answer in before.items()]
        planned, found = with_further(plan, fitted, networks)
        return SimpleNamespace(asked=trained, found=[each.part.name for each in found], plan=planned)

    return asked


class Judge:
    """So many rows of validation, of which fifty are enough to tell how far off answers are."""

    target = TRUTH

    def __init__(self, count):
        self.count = count

    def __len__(self):
        return self.count


PLAIN = ["realmlp on plain numbers", "mlp on plain numbers"]
SETTINGS = [each.name for each in of_portfolio_in_turn(PLAN.jobs, 1000)]
HELPS = {name: TRUTH + 0.5 / (at + 1) for at, name in enumerate(SETTINGS)}


def names(jobs):
    return [each.name for each in jobs]


def test_plain_numbers_come_first_and_settings_are_trained_while_they_help(run):
    done = run(HELPS)
    assert (
        names(done.asked) == done.found == PLAIN + SETTINGS
    )  # TabM was not trained, so nobody knows how long it takes
    assert names(done.plan.jobs) == [*names(PLAN.jobs), *PLAIN, *SETTINGS]
    assert done.plan.reason == "three kinds, and for the time left further networks on the same folds"


def test_three_in_vain_are_the_end_and_plain_numbers_are_none_of_them(run):
    assert run({"mlp 2": TRUTH + 0.5}).found == [*PLAIN, "realmlp 2", "mlp 2", "realmlp 3", "mlp 3", "realmlp 4"]
    assert run().found == [*PLAIN, "realmlp 2", "mlp 2", "realmlp 3"]


def test_settings_of_a_family_are_on_plain_numbers_where_these_suited_it_better(run):
    done = run({"mlp on plain numbers": TRUTH + 1.05})  # its own was off by 1.1
    assert done.found == [*PLAIN, "realmlp 2", "mlp on plain numbers 2", "realmlp 3"]
    assert [each.model.numbers for each in done.asked] == ["plain", "plain", "pbld", "plain", "pbld"]


def test_what_the_plan_had_on_plain_numbers_is_tried_on_widened_ones(run):
    plain = Plan((job("mlp"), job("mlp").on_plain_numbers(), job("realmlp").on_plain_numbers()), 8, "")
    before = dict(zip(names(plain.jobs), (TRUTH + 1.1, TRUTH + 1.0, TRUTH + 0.9), strict=True))
    done = run(before=before, plan=plain)
    assert done.found == ["realmlp", "mlp on plain numbers 2", "realmlp on plain numbers 2", "mlp on plain numbers 3"]
    assert run({"realmlp": TRUTH + 0.5}, before=before, plan=plain).found[2] == "realmlp 2"


def test_numbers_stay_as_they_were_asked_for_and_where_there_are_none(run):
    assert not {"plain"} & {each.model.numbers for each in run(model={"number_bins": 20}).asked}
    assert run(rows=schema(Kind.CATEGORY)).found == SETTINGS[:3]


def test_where_few_rows_judge_or_there_is_no_end_there_are_none(run):
    one_split = Plan(PLAN.jobs, 1, "")
    assert run(plan=one_split, count=1999).asked == []
    assert run(plan=one_split, count=2000).found == [*PLAIN, *SETTINGS[:3]]
    assert run(seconds=None).asked == []


@pytest.mark.parametrize(
    "said",
    [
        {"model": {"name": "mlp"}}, {"model": {"width": 8}}, {"model": {"members": 2}}, {"train": {"lr": 0.1}},
        {"train": {"epochs": 3}}, {"recipes": ("mlp", "realmlp")}, {"settings": ("model.name=mlp",)},
        {"rows": schema(Kind.NUMBER, Kind.TEXT)}, {"rows": schema(Kind.IMAGE)},
    ],
)  # fmt: skip
def test_there_are_none_where_the_user_said_which_or_how_long_or_for_other_rows(run, said):
    done = run(HELPS, **said)
    assert (done.asked, done.found) == ([], [])
    assert done.plan is PLAN


def test_options_that_the_settings_leave_alone_may_be_set(run):
    assert len(run(HELPS, train={"threads": 1, "clip_norm": 2.0}, distill=True).found) == 12


def test_those_that_there_is_no_time_for_are_passed_over_but_not_those_that_were_begun(run):
    # 0.1 s a pass of eight members, so that 25 passes need 2.5 s
    assert run(HELPS, seconds=2.0).asked == []
    assert run(HELPS, seconds=2.0, begun={"mlp 2"}).found == ["mlp 2"]
    assert run(HELPS, seconds=3.0).found == PLAIN + SETTINGS


def test_one_that_diverges_is_passed_over_and_ctrl_c_is_the_end(run):
    lost = DivergenceError("numbers must be finite", "they were not", "Lower the rate.")
    ended = network("mlp 2", TRUTH, interrupted=True)
    done = run({"realmlp 2": lost, "mlp 2": ended})
    assert names(done.asked) == [*PLAIN, "realmlp 2", "mlp 2"]
    assert done.found == [*PLAIN, "mlp 2"]
    assert run(interrupted=True).asked == []
