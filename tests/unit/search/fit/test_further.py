"""Networks for the time that a plan leaves: which settings, in which order, and when no more are trained."""

from types import SimpleNamespace

import numpy as np
import pytest

import assay.search.fit.further as further
from assay.data.schema import Column, Kind, Schema, Task
from assay.models.config import ModelConfig
from assay.search.config import EnsembleConfig
from assay.search.fit.further import further_jobs, train_further
from assay.search.planning.jobs import Job, Plan
from assay.search.study.starts import of_portfolio
from assay.train.budget import Budget
from assay.train.config import TrainConfig
from assay.train.recipes import RECIPES


def schema(*kinds, task=Task.REGRESSION):
    columns = [Column(name=f"x{at}", kind=kind, dtype="", reason="") for at, kind in enumerate(kinds)]
    columns.append(Column(name="y", kind=Kind.NUMBER, dtype="", reason=""))
    return Schema(target="y", task=task, task_reason="said", classes=(), columns=tuple(columns))


def job(name):
    return Job(name, RECIPES[name].model, RECIPES[name].train(Task.REGRESSION))


PLAN = Plan((job("realmlp"), job("mlp"), job("tabm")), 8, "three kinds")


def jobs(plan=PLAN, rows=None, model=None, train=None, count=1000, seconds=1e6, **ensemble):
    fitted = SimpleNamespace(
        schema=rows or schema(Kind.NUMBER), model=ModelConfig(**(model or {})), train=TrainConfig(**(train or {})),
        ensemble=EnsembleConfig(**ensemble), judge=range(count), budget=Budget(seconds),
    )  # fmt: skip
    return further_jobs(plan, fitted)


def test_settings_of_the_portfolio_come_in_turn_of_the_families_that_have_some():
    found = jobs()
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


def test_without_folds_or_an_end_there_are_none():
    assert jobs(Plan(PLAN.jobs, 1, "")) == ()
    assert jobs(seconds=None) == ()


@pytest.mark.parametrize(
    "said",
    [
        {"model": {"name": "mlp"}}, {"model": {"width": 8}}, {"model": {"members": 2}}, {"train": {"lr": 0.1}},
        {"train": {"epochs": 3}}, {"recipes": ("mlp", "realmlp")}, {"settings": ("model.name=mlp",)},
        {"rows": schema(Kind.NUMBER, Kind.TEXT)}, {"rows": schema(Kind.IMAGE)},
    ],
)  # fmt: skip
def test_there_are_none_where_the_user_said_which_or_how_long_or_for_other_rows(said):
    assert jobs(**said) == ()


def test_batches_of_the_portfolio_are_not_for_the_smallest_tables():
    batches = {each.name: each.train.batch for each in jobs(count=127)}
    assert set(batches.values()) == {"auto"}
    assert {each.name: each.train.batch for each in jobs(count=128)}["realmlp 2"] == 64


def test_options_that_the_settings_leave_alone_may_be_set():
    assert len(jobs(train={"threads": 1, "clip_norm": 2.0}, distill=True)) == 10


# Training them --------------------------------------------------------------------------------------------------------

TRUTH = np.linspace(-1.0, 1.0, 50)


def network(name, answer, seconds=1.0, *, interrupted=False):
    """A network as far as it is looked at: its answers to validation rows, and its speed."""
    trained = SimpleNamespace(seconds=seconds, epochs=range(10), interrupted=interrupted)
    part = SimpleNamespace(
        name=name, model=SimpleNamespace(name=name.split()[0]), trained=trained, members=8, is_network=True
    )
    return SimpleNamespace(part=part, answer=answer)


def run(monkeypatch, answers, *, seconds=1e6, begun=(), interrupted=False):
    """Names of the jobs that were trained, where the job at a place answers so."""
    monkeypatch.setattr(further, "candidate_answers", lambda trained, *_: [trained.answer])
    monkeypatch.setattr(further, "judged_weight", lambda *_: None)
    made = {each.name: answer for each, answer in zip(jobs(), answers, strict=False)}
    asked = []

    def train(own):
        asked.append(own.name)
        if isinstance(made[own.name], Exception):
            raise made[own.name]
        return made[own.name] if isinstance(made[own.name], SimpleNamespace) else network(own.name, made[own.name])

    fitted = SimpleNamespace(
        found=SimpleNamespace(folds=8), judge=SimpleNamespace(target=TRUTH), schema=schema(Kind.NUMBER),
        budget=Budget(seconds), trained=train, is_begun=lambda own: own.name in begun,
    )  # fmt: skip
    before = [network("realmlp", TRUTH + 1.0, interrupted=interrupted), network("mlp", TRUTH + 1.1)]
    found = train_further(fitted, before, jobs()[: len(answers)])
    return asked, [each.part.name for each in found]


def test_they_are_trained_while_they_help(monkeypatch):
    helps = [TRUTH + 0.5 / (at + 1) for at in range(10)]
    asked, found = run(monkeypatch, helps)
    assert asked == found == [each.name for each in jobs()]


def test_three_in_vain_are_the_end(monkeypatch):
    answers = [TRUTH + 5.0, TRUTH + 0.5, *[TRUTH + 5.0] * 8]
    asked, found = run(monkeypatch, answers)
    assert asked == found == ["realmlp 2", "mlp 2", "realmlp 3", "mlp 3", "realmlp 4"]


def test_those_that_there_is_no_time_for_are_passed_over_but_not_those_that_were_begun(monkeypatch):
    # 0.1 s a pass of eight members, so that 25 passes need 2.5 s
    helps = [TRUTH + 0.5 / (at + 1) for at in range(4)]
    assert run(monkeypatch, helps, seconds=2.0) == ([], [])
    assert run(monkeypatch, helps, seconds=2.0, begun={"mlp 2"}) == (["mlp 2"], ["mlp 2"])
    assert run(monkeypatch, helps, seconds=3.0)[1] == ["realmlp 2", "mlp 2", "realmlp 3", "mlp 3"]


def test_one_that_diverges_is_passed_over_and_ctrl_c_is_the_end(monkeypatch):
    from assay.errors import DivergenceError

    lost = DivergenceError("numbers must be finite", "they were not", "Lower the rate.")
    ended = network("mlp 2", TRUTH, interrupted=True)
    assert run(monkeypatch, [lost, ended, TRUTH]) == (["realmlp 2", "mlp 2"], ["mlp 2"])
    assert run(monkeypatch, [TRUTH], interrupted=True) == ([], [])
