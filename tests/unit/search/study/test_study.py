"""Studies whose objective is a formula: ends, failures, and going on after a kill as if nothing had happened."""

import dataclasses
import importlib.util
import json
import math
import os
import signal
import subprocess
import sys
import time
import warnings
from pathlib import Path

import pytest

optuna = pytest.importorskip("optuna")

from assay.errors import BundleError, ConfigError, DivergenceError  # noqa: E402
from assay.search.study.pareto import front_of  # noqa: E402
from assay.search.study.store import JOURNAL, Store, open_storage  # noqa: E402
from assay.search.study.study import Limits  # noqa: E402
from assay.train.budget import Budget  # noqa: E402
from assay.train.watch import Unwatched  # noqa: E402

PROGRAM = Path(__file__).with_name("studies.py")
_spec = importlib.util.spec_from_file_location("studies", PROGRAM)
made = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(made)
SPACES = {"conditional": made.SPACE, "plain": made.PLAIN}


def run(study, trials=None, seconds=None, clock=time.monotonic):
    return study.run(Limits(trials, Budget(seconds, clock=clock)), Unwatched())


def test_a_study_begins_with_the_defaults_and_ends_better(tmp_path):
    study = made.study(tmp_path, made.Formula())
    assert run(study, 40) == "trials"
    first = [study.tried[at] for at in range(2)]
    assert [each.origin for each in first] == ["default of mlp", "default of tabm"]
    assert first[0].trial.options == {"model.name": "mlp", "train.lr": 0.002, "model.width": 128}
    assert first[1].trial.options["model.heads"] == 8
    assert study.tried[2].origin == "portfolio"
    assert sorted(study.tried) == list(range(40))
    assert study.best().value < 0.1 < first[0].value
    assert all(not made.SPACE.refusal(each.trial.options) for each in study.tried.values())


def killed(folder, kind, space, pruning, trials, kill):
    """Have a child process run the study until it kills itself before a judgement."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of forking beside threads, which the child does not use
        child = os.fork()
    if child == 0:
        made.main(folder, kind, SPACES[space], pruning, trials, kill)
        os._exit(1)
    assert os.waitpid(child, 0)[1] == signal.SIGKILL


@pytest.mark.parametrize(
    ("kind", "space", "pruning", "kills"),
    [
        ("tpe", "conditional", "none", (1, 7)),
        ("tpe", "conditional", "asha", (19,)),
        ("tpe", "plain", "hyperband", (5,)),
        ("random", "conditional", "median", (9,)),
        ("quasi", "plain", "none", (17,)),
        ("cmaes", "plain", "none", (21,)),
        ("nsga2", "plain", "none", (15,)),
        ("grid", "conditional", "none", (20,)),
    ],
)
def test_a_killed_study_goes_on_as_if_nothing_had_happened(tmp_path, kind, space, pruning, kills):
    if kind == "cmaes":
        pytest.importorskip("cmaes")
    epochs = 9 if pruning != "none" else 1
    (tmp_path / "whole").mkdir()
    whole = made.study(tmp_path / "whole", made.Formula(epochs=epochs), kind=kind, space=SPACES[space], pruning=pruning)
    run(whole, 36)
    for kill in kills:  # each time after so many more judgements
        killed(tmp_path / "killed", kind, space, pruning, 36, kill)
    objective = made.Formula(epochs=epochs)
    again = made.study(tmp_path / "killed", objective, kind=kind, space=SPACES[space], pruning=pruning)
    run(again, 36)
    assert made.tried(again) == made.tried(whole)
    assert len(objective.judged) < 36
    if pruning != "none":
        assert 0 < sum(each.outcome.state == "pruned" for each in again.tried.values()) < 36


@pytest.mark.parametrize("kind", ["tpe", "nsga2", "random"])
def test_a_study_of_several_goals_goes_on_alike_and_finds_a_front(tmp_path, kind):
    goals = ("score", "latency")
    for name in "ab":
        (tmp_path / name).mkdir()
    whole = made.study(tmp_path / "a", made.Formula(), kind=kind, goals=goals)
    run(whole, 40)
    run(made.study(tmp_path / "b", made.Formula(), kind=kind, goals=goals), 20)
    again = made.study(tmp_path / "b", made.Formula(), kind=kind, goals=goals)
    run(again, 40)
    assert made.tried(again) == made.tried(whole)
    front = front_of(list(again.tried.values()), goals, higher=False)
    widths = [each.outcome.latency for each in front]
    assert len(front) >= 3
    assert widths == sorted(widths, reverse=True)  # a better score costs a wider network here
    stored = open_storage(None, tmp_path / "b", mend=True).get_all_trials(0, deepcopy=False)
    assert {len(each.values) for each in stored if each.values} == {2}


def test_a_trial_without_a_latency_that_is_asked_for_fails(tmp_path):
    class Untimed(made.Formula):
        def _outcome(self, trial, prune):
            return dataclasses.replace(super()._outcome(trial, prune), latency=None)

    study = made.study(tmp_path, Untimed(), goals=("score", "latency"))
    run(study, 4)
    assert {each.outcome.reason for each in study.tried.values()} == {"its latency is not a number"}


def test_a_killed_program_goes_on_and_its_journal_says_what_failed(tmp_path):
    command = [sys.executable, str(PROGRAM), str(tmp_path / "a"), "tpe", "conditional", "none", "12", "7"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr
    study = made.study(tmp_path / "a", made.Formula())
    assert sum(each.outcome is None for each in study.tried.values()) > 0
    run(study, 12)
    stored = open_storage(None, tmp_path / "a", mend=True).get_all_trials(0, deepcopy=False)
    states = [each.state.name for each in stored]
    assert states.count("COMPLETE") == 12
    assert states.count("FAIL") == len(stored) - 12 > 0
    assert "RUNNING" not in states
    (tmp_path / "b").mkdir()
    whole = made.study(tmp_path / "b", made.Formula())
    run(whole, 12)
    assert made.tried(study) == made.tried(whole)


def test_processes_propose_and_judge_what_one_would_in_rounds_of_that_size(tmp_path):
    (tmp_path / "a").mkdir()
    done = subprocess.run(
        [sys.executable, str(PROGRAM), str(tmp_path / "a")], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    (tmp_path / "b").mkdir()
    alone = made.study(tmp_path / "b", made.Formula(8))
    run(alone, 16)
    assert made.tried(made.study(tmp_path / "a", made.Formula(8))) == made.tried(alone)


def test_a_line_that_was_cut_off_and_a_lock_that_was_left_do_not_matter(tmp_path):
    run(made.study(tmp_path, made.Formula()), 8)
    journal = tmp_path / JOURNAL
    whole = journal.read_bytes()
    journal.write_bytes(whole + b'{"op_code": 4, "worker')
    (tmp_path / f"{JOURNAL}.lock").write_text("")
    study = made.study(tmp_path, made.Formula())
    assert len(study.tried) == 8
    assert journal.read_bytes() == whole
    assert run(study, 9) == "trials"
    assert len(made.study(tmp_path, made.Formula()).tried) == 9


def test_a_round_that_was_not_written_to_its_end_is_proposed_again(tmp_path):
    study = made.study(tmp_path, made.Formula())
    run(study, 8)
    lines = (tmp_path / JOURNAL).read_bytes().splitlines(keepends=True)
    second = [at for at, line in enumerate(lines) if b'"round":1,' in line]
    assert len(second) == 4
    (tmp_path / JOURNAL).write_bytes(b"".join(lines[: second[2]]))
    again = made.study(tmp_path, made.Formula())
    assert len(again.tried) == 4
    run(again, 8)
    assert made.tried(again) == made.tried(study)


def test_a_database_keeps_a_study_too(tmp_path):
    url = f"sqlite:///{tmp_path}/studies.db"
    run(made.study(tmp_path, made.Formula(), url=url), 6)
    again = made.study(tmp_path, made.Formula(), url=url)
    run(again, 10)
    (tmp_path / "b").mkdir()
    whole = made.study(tmp_path / "b", made.Formula())
    run(whole, 6)
    run(whole, 10)
    assert made.tried(again) == made.tried(whole)
    assert not (tmp_path / JOURNAL).exists()


@pytest.mark.parametrize("url", ["mysql://me:secret@host/a", "studies.db", "sqlite:////nowhere/at/all.db"])
def test_a_database_that_cannot_be_is_said_without_its_password(tmp_path, url):
    with pytest.raises(ConfigError) as error:
        open_storage(url, tmp_path, mend=False)
    assert "secret" not in str(error.value)


@pytest.mark.parametrize(
    "change", [(b'"number":3', b'"nummer":3'), (b'"op_code"', b"op_code"), (b'"seed":', b'"seed":"x')]
)
def test_a_journal_that_was_changed_is_refused(tmp_path, change):
    run(made.study(tmp_path, made.Formula()), 4)
    journal = tmp_path / JOURNAL
    lines = journal.read_bytes().splitlines(keepends=True)
    journal.write_bytes(b"".join(line.replace(*change) for line in lines))
    with pytest.raises(BundleError, match="as a study writes them"):
        made.study(tmp_path, made.Formula())


def test_a_study_of_something_else_is_refused(tmp_path):
    made.study(tmp_path, made.Formula())
    storage = open_storage(None, tmp_path, mend=False)
    with pytest.raises(BundleError, match="the data, the space and the version"):
        Store(storage, "formula", made.SPACE, higher=False, identity="two")
    with pytest.raises(BundleError, match="none of the name 'other'"):
        Store(storage, "other", made.SPACE, higher=False, identity="one")


def test_a_study_ends_when_most_trials_fail_and_says_why(tmp_path):
    study = made.study(tmp_path, made.Formula(fails=lambda trial: trial.number % 3 != 0))
    with pytest.raises(DivergenceError, match="8 of 12 failed, 8 of them because: the loss was not finite"):
        run(study, 40)
    assert len(made.study(tmp_path, made.Formula()).tried) == 12


def test_a_value_that_is_no_number_is_a_failure(tmp_path):
    study = made.study(tmp_path, made.Formula(value=lambda t: math.nan if t.number == 1 else made.formula(t)))
    run(study, 6)
    assert study.tried[1].outcome.state == "failed"
    assert study.tried[1].outcome.reason == "its Log loss is not a number"
    again = made.study(tmp_path, made.Formula())
    assert again.tried[1].outcome == study.tried[1].outcome


def test_a_study_ends_with_its_budget_and_goes_on_with_more(tmp_path):
    now = [0.0]

    def second(judged):
        now[0] += 1.0

    study = made.study(tmp_path, made.Formula(after=second))
    assert run(study, seconds=10.5, clock=lambda: now[0]) == "budget"
    over = [each for each in study.tried.values() if each.outcome is not None]
    assert 10 <= len(over) <= 14
    states = [each.state.name for each in open_storage(None, tmp_path, mend=False).get_all_trials(0, deepcopy=False)]
    assert "RUNNING" not in states
    again = made.study(tmp_path, made.Formula())
    assert again.used == study.used > 10.0
    run(again, 20)
    (tmp_path / "b").mkdir()
    whole = made.study(tmp_path / "b", made.Formula())
    run(whole, 20)
    assert made.tried(again) == made.tried(whole)


def test_every_setting_of_a_grid_is_tried_once(tmp_path):
    study = made.study(tmp_path, made.Formula(), kind="grid")
    assert run(study) == "exhausted"
    settings = [tuple(sorted(each.trial.options.items())) for each in study.tried.values()]
    assert len(set(settings)) == len(settings)
    grid = {tuple(sorted(each.items())) for each in made.SPACE.grid()}
    assert grid <= set(settings)
    assert len(settings) - len(grid) <= 5  # the first trials lie between its points


def test_the_settings_of_a_list_are_tried_in_order(tmp_path):
    listed = [{"model.name": "mlp", "train.lr": lr, "model.width": 64} for lr in (0.01, 0.001, 0.0005)]
    study = made.study(tmp_path, made.Formula(), kind="list", listed=listed)
    assert run(study) == "exhausted"
    assert [each.trial.options for each in study.tried.values()] == listed


def test_settings_of_a_round_share_a_shape_where_they_can_be_members(tmp_path):
    study = made.study(tmp_path, made.Formula(8), own=("train.lr",))
    run(study, 40)
    rounds = {}
    for each in study.tried.values():
        rounds.setdefault(each.round, []).append((each.trial.options["model.width"], each.trial.options["model.name"]))
    halves = [half for at, shapes in rounds.items() if at > 0 for half in (shapes[:4], shapes[4:])]
    # A width of 512 has few rates that may be, so that those who follow it may have to leave its shape.
    free = [half for half in halves if half[0][0] < 512]
    assert len(free) >= 4
    assert all(len(set(half)) == 1 for half in free)


def shifted(line, by):
    """A line of a journal as it would be for trials that are `by` later."""
    log = json.loads(line)
    if "trial_id" in log:
        log["trial_id"] += by
    attributes = log.get("user_attrs", log.get("user_attr", {}))
    for each in [attributes.get("assay"), *attributes.get("assay:outcomes", [])]:
        if each:
            each |= {name: each[name] + by for name in ("number", "round", "lead") if name in each}
    return json.dumps(log).encode() + b"\n"


def test_a_study_of_many_trials_is_loaded_in_moments(tmp_path):
    run(made.study(tmp_path, made.Formula(20), kind="random"), 20)
    journal = tmp_path / JOURNAL
    lines = journal.read_bytes().splitlines()
    begun = next(at for at, line in enumerate(lines) if b'"round":0' in line)
    with journal.open("ab") as file:
        for times in range(1, 100):
            file.writelines(shifted(line, 20 * times) for line in lines[begun:])
    storage = open_storage(None, tmp_path, mend=True)
    began = time.process_time()
    tried = Store(storage, "formula", made.SPACE, higher=False, identity="one").load()
    seconds = time.process_time() - began
    assert [each.number for each in tried] == list(range(2000))
    assert all(each.outcome.state == "complete" for each in tried)
    assert seconds < 10.0  # it takes a half; a bound for what would be quadratic
