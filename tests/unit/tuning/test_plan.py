"""Families of a study for a front: those of which there is the time for many trials."""

import math
from types import SimpleNamespace

import pytest

from assay.search.planning.tables import cost
from assay.tuning.plan import _guess, _quick

FAMILIES = ("realmlp", "mlp", "tabm")


def found_of(rows, families=FAMILIES):
    return SimpleNamespace(rows=rows, families=families)


def test_a_guess_is_the_mean_of_the_families_times_the_folds():
    one, both = (_guess(found_of(3_000), names, 1) for names in (("mlp",), ("mlp", "tabm")))
    assert _guess(found_of(3_000), ("mlp",), 3) == pytest.approx(3 * one)
    assert both / one == pytest.approx((1 + cost(3_000, "tabm", 1, 30) / cost(3_000, "mlp", 1, 30)) / 2)


def test_families_with_too_few_trials_in_the_time_are_left_out():
    guesses = {family: _guess(found_of(26_000), (family,), 1) for family in FAMILIES}
    assert guesses["mlp"] < guesses["realmlp"] < guesses["tabm"]
    assert _quick(found_of(26_000), 1, math.inf) == FAMILIES
    assert _quick(found_of(26_000), 1, 20.0 * guesses["realmlp"]) == ("realmlp", "mlp")
    assert _quick(found_of(26_000), 1, 20.0 * guesses["mlp"]) == ("mlp",)
    assert _quick(found_of(26_000), 1, 1.0) == ("mlp",)  # the quickest where there is no time for any
    assert _quick(found_of(26_000, ("tabm",)), 1, 1.0) == ("tabm",)
