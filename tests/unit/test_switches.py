"""Every practice is one that can be switched off, or says why not."""

import pytest

from assay.compose.run_config import options
from assay.practices import PRACTICES
from assay.switches import REASONS, STAGES, SWITCHES, Switch, why_not


@pytest.mark.parametrize("practice", PRACTICES.values(), ids=lambda practice: practice.id)
def test_a_practice_is_switched_off_or_says_why_not(practice):
    reason = why_not(practice.id, practice.stage)
    assert (practice.id in SWITCHES) != bool(reason)


def test_nothing_is_said_of_what_is_no_practice():
    assert SWITCHES.keys() | REASONS.keys() <= PRACTICES.keys()
    assert not SWITCHES.keys() & REASONS.keys()
    assert STAGES.keys() <= {practice.stage for practice in PRACTICES.values()}


@pytest.mark.parametrize("name", SWITCHES)
def test_a_switch_is_made_of_options_that_there_are_or_computes_anew(name):
    switch = SWITCHES[name]
    assert bool(switch.options) != bool(switch.recomputed)
    assert switch.options.keys() <= {option.key for option in options()}
    assert switch.without


def test_a_switch_says_what_is_asked_for():
    assert Switch({"train.clip_norm": 0.0, "model.prior_bias": False}).without == (
        "train.clip_norm=0, model.prior_bias=false"
    )
