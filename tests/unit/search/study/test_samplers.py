"""Which kind of proposing is chosen for which space and time, and what it may not search."""

import importlib.util
import math
from pathlib import Path

import pytest

pytest.importorskip("optuna")

from assay.errors import ConfigError
from assay.search.study.findings import importances
from assay.search.study.pruners import axis_of, pruning_named
from assay.search.study.samplers import check_grid, choose
from assay.search.study.space import Parameter, Space
from assay.search.study.study import Limits
from assay.train.budget import Budget
from assay.train.watch import Unwatched

_spec = importlib.util.spec_from_file_location("studies", Path(__file__).with_name("studies.py"))
made = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(made)
SMALL = Space(
    parameters=(Parameter(name="model.layers", key="model.layers", choices=(1, 2, 3), ordered=True, usual={"mlp": 2}),),
    families=("mlp",), known={"mlp": {}},
)  # fmt: skip


def chosen(space, *, asked="auto", trials=None, seconds=math.inf, a_trial=1.0):
    return choose(asked, space, trials=trials, seconds=seconds, a_trial=a_trial)


def test_a_small_space_is_gone_through_whole_where_there_is_the_time():
    assert chosen(SMALL).kind == "grid"
    assert chosen(SMALL, trials=2).kind == "tpe"
    assert chosen(SMALL, seconds=2.5).kind == "tpe"
    assert chosen(SMALL, seconds=3.5).reason == "the space has 3 settings, and there is the time for all"


def test_few_slow_trials_of_numbers_are_worth_a_gaussian_process():
    assert chosen(made.PLAIN, trials=30, a_trial=60.0).kind == "gp"
    assert chosen(made.PLAIN, trials=30, a_trial=1.0).kind == "tpe"
    assert chosen(made.PLAIN, trials=300, a_trial=60.0).kind == "tpe"
    assert chosen(made.SPACE, trials=30, a_trial=60.0).kind == "tpe"


@pytest.mark.parametrize(
    ("kind", "space", "said"),
    [
        ("cmaes", made.SPACE, "model.name is a choice of words"),
        ("cmaes", SMALL, "there is one parameter"),
        ("gp", made.SPACE, "model.heads has one only if model.name in ['tabm']"),
        ("quasi", made.SPACE, "model.heads has one only if"),
        ("tpee", made.SPACE, "Did you mean 'tpe'"),
    ],
)
def test_a_kind_that_would_leave_a_part_to_chance_is_refused(kind, space, said):
    with pytest.raises(ConfigError) as error:
        chosen(space, asked=kind)
    assert said in str(error.value)


def test_a_grid_that_is_too_large_is_said_with_the_time_it_takes():
    points = made.SPACE.points
    told = f"its {points:,} settings at about 20 s each take {points / 3:.0f} min, and there are 300 s"
    with pytest.raises(ConfigError, match="small enough") as error:
        check_grid(made.SPACE, trials=None, seconds=300.0, a_trial=20.0)
    assert told.replace("300 s", "5 min") in error.value.came
    assert check_grid(made.SPACE, trials=7, seconds=300.0, a_trial=20.0).endswith(
        "of which 7 are tried, in random order"
    )
    assert check_grid(SMALL, trials=None, seconds=300.0, a_trial=20.0) == "the grid has 3 settings"


def test_a_gaussian_process_proposes_alike_after_it_was_told_again(tmp_path):
    (tmp_path / "a").mkdir()
    whole = made.study(tmp_path / "a", made.Formula(2), kind="gp", space=made.PLAIN)
    whole.run(Limits(12, Budget(None)), Unwatched())
    again = made.study(tmp_path / "a", made.Formula(2), kind="gp", space=made.PLAIN)
    for study in (whole, again):
        study.run(Limits(14, Budget(None)), Unwatched())
    assert made.tried(again) == made.tried(whole)
    assert whole.tried[13].origin == "gp"


def test_importance_finds_what_matters(tmp_path):
    study = made.study(tmp_path, made.Formula(20, value=lambda trial: math.log10(trial.options["train.lr"]) ** 2),
                       kind="random", space=made.PLAIN)  # fmt: skip
    study.run(Limits(60, Budget(None)), Unwatched())
    tried = list(study.tried.values())
    found = importances(study._proposer.study, made.PLAIN, tried)
    assert [each.name for each in found] == ["train.lr", "model.dropout"]
    assert found[0].share > 0.8
    assert importances(study._proposer.study, made.PLAIN, tried[:9]) == ()


def test_a_study_has_one_axis_of_fidelity():
    assert axis_of(pruning_named("wilcoxon", 5)) == "folds"
    assert axis_of(pruning_named("asha", 5)) == "epochs"
    with pytest.raises(ConfigError, match="compares folds"):
        pruning_named("wilcoxon", 1)
    with pytest.raises(ConfigError, match="Did you mean 'hyperband'"):
        pruning_named("hyperbnd", 1)
