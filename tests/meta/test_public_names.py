"""The public names are these, each is there, and each is documented."""

import inspect

import pytest

import assay

PUBLIC = [
    "AssayClassifier",
    "AssayError",
    "AssayRegressor",
    "Bundle",
    "Report",
    "Run",
    "__version__",
    "ablate",
    "describe_inputs",
    "fit",
    "load",
    "lr_find",
    "synthesise",
    "tune",
]


def test_the_names_are_pinned():
    assert sorted(assay.__all__) == PUBLIC
    assert dir(assay) == PUBLIC


@pytest.mark.parametrize("name", [name for name in PUBLIC if name != "__version__"])
def test_a_name_resolves_and_is_documented(name):
    value = getattr(assay, name)
    assert value.__name__ == name
    assert inspect.getdoc(value)


@pytest.mark.parametrize(
    "name", ["Bundle", "Run", "fit", "load", "lr_find", "synthesise", "tune", "AssayClassifier", "AssayRegressor"]
)
def test_what_can_be_called_is_documented(name):
    value = getattr(assay, name)
    callables = [value] if inspect.isfunction(value) else vars(value).values()
    for member in callables:
        member = getattr(member, "fget", member) or member
        if inspect.isfunction(member) and not member.__name__.startswith("_"):
            assert member.__doc__, f"{name}.{member.__name__} has no docstring"


def test_an_unknown_name_is_refused():
    with pytest.raises(AttributeError, match="module 'assay' has no attribute 'fitt'"):
        _ = assay.fitt
