"""Variants of the best settings: as many as there is the time for, of each family."""

from types import SimpleNamespace

import pytest

from assay.compose.run_config import RunConfig
from assay.search.study.store import Tried
from assay.search.study.trial import Outcome, Trial
from assay.tuning.end import variants_of


def tried(number, value, seconds, **options):
    named = {key.replace("__", "."): option for key, option in options.items()}
    outcome = Outcome(number, "complete", value, (), 1, seconds)
    return Tried(Trial(number, named, number), 0, 1, 0, 0, "tpe", outcome)


def study_of(*trials):
    return SimpleNamespace(tried={each.number: each for each in trials})


def file_of(**model):
    config = RunConfig.model_validate({"model": model} if model else {})
    request, space = SimpleNamespace(config=config), SimpleNamespace(families=("mlp",))
    return SimpleNamespace(higher=False, request=request, space=space)


THREE = study_of(
    tried(0, 0.5, 2.0, model__name="mlp", train__lr=0.01),
    tried(1, 0.4, 1.0, model__name="mlp", train__lr=0.02),
    tried(2, 0.3, 30.0, model__name="tabm", train__lr=0.001),
    tried(3, 0.6, 6.0, model__name="realmlp", train__lr=0.04),
)


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (60.0, {"mlp": 8, "realmlp": 4}),  # a variant of TabM takes longer than what the others leave
        (100.0, {"mlp": 8, "realmlp": 7, "tabm": 1}),
        (3.0, {"mlp": 1}),
        (0.9, {}),
    ],
)
def test_the_best_setting_of_each_family_has_the_variants_there_is_time_for(seconds, expected):
    rates = {"mlp": "0.02", "realmlp": "0.04", "tabm": "0.001"}
    found = variants_of(THREE, file_of(), seconds)
    assert found == tuple(
        f"model.name={name} train.lr={rates[name]} model.members={count}" for name, count in expected.items()
    )


def test_a_single_family_is_named_and_what_takes_no_time_has_the_most():
    study = study_of(tried(0, 0.5, 0.0, train__lr=0.01))
    assert variants_of(study, file_of(), 30.0) == ("model.name=mlp train.lr=0.01 model.members=8",)
    assert variants_of(study_of(), file_of(), 30.0) == ()


def test_members_that_were_searched_or_given_are_not_overruled():
    assert variants_of(THREE, file_of(members=2), 60.0) == ()
    searched = study_of(tried(0, 0.5, 1.0, model__name="mlp", model__members=3))
    assert variants_of(searched, file_of(), 60.0) == ()
