"""Seeded bugs are noticed by a rule that should, and their healthy twins are not accused: the benchmark in small."""

import importlib.util
import sys
from pathlib import Path

import pytest

from assay.doctor import RULES, examine

BENCHMARKS = Path(__file__).parents[3] / "benchmarks"
#: Bugs that take hundreds of steps to show; the benchmark has them.
LONG = (
    "small set learned by heart",
    "batch norm without statistics",
    "rate 300 times too low",
    "nine layers of sigmoids",
)


def corpus():
    spec = importlib.util.spec_from_file_location("_seeded_bugs", BENCHMARKS / "_seeded_bugs.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


CORPUS = corpus()
SHORT = [bug for bug in CORPUS.BUGS if bug.name not in LONG]


@pytest.mark.parametrize("bug", SHORT, ids=lambda bug: bug.name)
def test_a_bug_is_noticed(bug):
    made = CORPUS.draw(bug.data[0], 0)
    bug.change(made)
    found = examine(CORPUS.subject(made), seconds=600, steps=60, only=bug.notices)
    assert found.alarms


@pytest.mark.parametrize("data", [*CORPUS.CLASSES, CORPUS.VALUES])
def test_a_healthy_training_is_not_blocked(data):
    made = CORPUS.draw(data, 1)
    made.own_step = True
    blocking = [rule.id for rule in RULES.values() if rule.level == "block"]
    found = examine(CORPUS.subject(made), seconds=600, steps=60, only=blocking)
    assert found.alarms == ()


def test_every_bug_names_rules_that_there_are():
    assert {rule for bug in CORPUS.BUGS for rule in bug.notices} <= set(RULES)
