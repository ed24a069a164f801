"""Mitigation for groups: weights by hand, groups of training rows, what is refused, and the model beside it."""

from types import SimpleNamespace

import numpy as np
import polars as pl
import pytest
import torch

from assay.data.config import EncodeConfig
from assay.data.encoding.encode import Encoder
from assay.data.rows import Rows
from assay.data.schema import Column, Kind, Schema, Task
from assay.data.stored import Spill
from assay.errors import BudgetError, ConfigError
from assay.evaluate.config import EvaluateConfig
from assay.evaluate.fair.learned import reweighing
from assay.ledger import Ledger, Outcome
from assay.search.config import EnsembleConfig
from assay.search.fit.fair import check_fairness, with_and_without, with_groups
from assay.train.budget import Budget
from assay.train.config import TrainConfig
from assay.train.examples import examples


def column(name, kind):
    return Column(name=name, kind=kind, dtype="String", reason="", distinct=2)


SCHEMA = Schema(
    columns=(column("x", Kind.NUMBER), column("sex", Kind.CATEGORY), column("y", Kind.CATEGORY)),
    target="y", task=Task.BINARY, task_reason="", classes=("no", "yes"), sensitive=("sex",),
)  # fmt: skip


def rows_of(part="train", rows=400, seed=0, weight=None):
    rng = np.random.default_rng(seed)
    frame = pl.DataFrame({"x": rng.normal(size=rows), "sex": rng.choice(["a", "b"], rows, p=[0.7, 0.3])})
    target = (rng.random(rows) < np.where(frame["sex"].to_numpy() == "a", 0.5, 0.2)).astype(np.int64)
    return Rows(part, frame, target, weight, np.arange(rows))


@pytest.fixture(scope="module")
def parts():
    train, valid = rows_of(), rows_of("valid", 100, 1)
    return train, valid, Encoder.fit(train, SCHEMA, EncodeConfig(), Ledger())


def test_rows_to_learn_from_are_weighed_and_those_that_judge_are_not(parts):
    train, valid, encoder = parts
    found, ledger = examples(encoder, train, valid, SCHEMA), Ledger()
    made = with_groups(found, train, valid, SCHEMA, TrainConfig(fairness="reweigh"), ledger)
    sex = (train.frame["sex"] == "b").to_numpy().astype(np.int64)
    np.testing.assert_allclose(made.train.weight.numpy(), reweighing(sex, train.target, None), rtol=1e-6)
    assert made.valid.weight is None
    assert ledger["train.fairness"].outcome is Outcome.APPLIED
    assert "reweigh: rows of 2 groups of sex" in ledger["train.fairness"].reason


@pytest.mark.parametrize("how", ["group_dro", "equalised_odds"])
def test_losses_of_groups_come_with_the_groups_of_all_rows(parts, how):
    train, valid, encoder = parts
    made = with_groups(
        examples(encoder, train, valid, SCHEMA), train, valid, SCHEMA, TrainConfig(fairness=how), Ledger()
    )
    assert made.train.rows.groups.tolist() == (train.frame["sex"] == "b").cast(int).to_list()
    assert made.valid.groups.tolist() == (valid.frame["sex"] == "b").cast(int).to_list()
    assert made.judged(3).groups is made.valid.groups
    assert torch.equal(made.train.rows[:5].groups, made.train.rows.groups[:5])


def test_without_a_mitigation_the_ledger_says_that_nothing_was_done(parts):
    train, valid, encoder = parts
    found, ledger = examples(encoder, train, valid, SCHEMA), Ledger()
    assert with_groups(found, train, valid, SCHEMA, TrainConfig(), ledger) is found
    assert ledger["train.fairness"].outcome is Outcome.SKIPPED
    with_groups(found, train, valid, SCHEMA.model_copy(update={"sensitive": ()}), TrainConfig(), ledger)
    assert ledger["train.fairness"].outcome is Outcome.NOT_APPLICABLE


def test_rows_in_files_are_refused(parts, tmp_path):
    train, valid, encoder = parts
    found = examples(encoder, train, valid, SCHEMA, spill=Spill(tmp_path, 100), ledger=Ledger())
    with pytest.raises(ConfigError, match="rows in memory"):
        with_groups(found, train, valid, SCHEMA, TrainConfig(fairness="reweigh"), Ledger())


@pytest.mark.parametrize(
    ("change", "train", "ensemble", "is_own", "told"),
    [
        ({"sensitive": ()}, {"fairness": "reweigh"}, {}, False, "no column is named as sensitive"),
        ({"task": Task.REGRESSION}, {"fairness": "reweigh"}, {}, False, "the task is regression"),
        ({"task": Task.MULTILABEL}, {"fairness": "group_dro"}, {}, False, "the task is multilabel"),
        ({}, {"fairness": "group_dro"}, {"trees": True}, False, "boosted trees"),
        ({}, {"fairness": "reweigh"}, {}, True, "model of your own"),
        ({"columns": (*SCHEMA.columns, column("t", Kind.TEXT))}, {"fairness": "equalised_odds"}, {}, False,
         "columns of kind text"),
    ],
)  # fmt: skip
def test_what_a_mitigation_cannot_be_is_refused(change, train, ensemble, is_own, told):
    with pytest.raises(ConfigError, match=told):
        check_fairness(
            SCHEMA.model_copy(update=change), TrainConfig(**train), EnsembleConfig(**ensemble), EvaluateConfig(),
            is_own=is_own,
        )  # fmt: skip


def test_thresholds_of_groups_need_two_classes_and_groups():
    config = EvaluateConfig(group_thresholds="equal_opportunity")
    for change in ({"sensitive": ()}, {"task": Task.REGRESSION, "classes": ()}):
        with pytest.raises(ConfigError, match="part two classes, in groups"):
            check_fairness(SCHEMA.model_copy(update=change), TrainConfig(), EnsembleConfig(), config, is_own=False)
    check_fairness(SCHEMA, TrainConfig(), EnsembleConfig(), config, is_own=True)


def trained(calls, fails=False):
    """A search that notes what it was asked for."""

    def search(options, budget, ledger, checkpoints):
        calls.append((options.fairness, options.lr, budget.left))
        if fails and len(calls) > 1:
            raise BudgetError("must", "no time was left", "do")
        ledger.record("train.fairness", Outcome.APPLIED, options.fairness)
        return SimpleNamespace(parts=(SimpleNamespace(trained=SimpleNamespace(interrupted=False)),))

    return search


def test_the_same_is_trained_without_the_mitigation_in_the_other_half_of_the_time():
    calls, ledger = [], Ledger()
    budget = Budget(100.0, started=0.0, clock=lambda: 0.0)
    model, without = with_and_without(trained(calls), TrainConfig(fairness="reweigh", lr=0.5), budget, ledger, None)
    assert model is not without
    assert calls == [("reweigh", 0.5, 50.0), ("none", 0.5, 100.0)]
    assert ledger["train.fairness"].reason == "reweigh"


def test_nothing_is_trained_beside_where_nothing_is_to_be_compared():
    for options in (TrainConfig(), TrainConfig(fairness="reweigh", fairness_compare=False)):
        calls = []
        _, without = with_and_without(trained(calls), options, Budget(None), Ledger(), None)
        assert without is None
        assert len(calls) == 1


def test_without_time_for_the_other_the_ledger_says_that_the_cost_is_not_known():
    ledger = Ledger()
    _, without = with_and_without(trained([], fails=True), TrainConfig(fairness="reweigh"), Budget(9.0), ledger, None)
    assert without is None
    assert "what it costs is not known: no time was left" in ledger["train.fairness"].reason
