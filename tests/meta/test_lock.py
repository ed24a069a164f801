"""The lock file pins every package by hash and names no host."""

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
LOCK = (ROOT / "requirements" / "lock.txt").read_text(encoding="utf-8")
PIN = re.compile(r"^([A-Za-z0-9][A-Za-z0-9._-]*)==([^\s;\\]+)", re.MULTILINE)


def pins() -> dict[str, str]:
    return dict(PIN.findall(LOCK))


def test_every_requirement_is_pinned_and_hashed():
    logical = LOCK.replace("\\\n", " ").splitlines()
    requirements = [line for line in logical if line.strip() and not line.lstrip().startswith("#")]
    assert len(requirements) == len(pins()) > 40
    for line in requirements:
        assert PIN.match(line), line[:60]
        assert re.search(r"--hash=sha256:[0-9a-f]{64}", line), line[:60]


@pytest.mark.parametrize(("package", "version"), [("torch", "2.14.1"), ("torchvision", "0.29.1")])
def test_the_pair_of_torch_and_torchvision(package, version):
    assert pins()[package] == version


def test_no_url_and_no_option_but_hashes():
    assert "://" not in LOCK
    assert " @ " not in LOCK
    assert set(re.findall(r"(?<![\w-])--?[a-z][a-z-]*", re.sub(r"#.*", "", LOCK))) == {"--hash"}


def declared() -> list[Requirement]:
    """What the base and every extra ask for; `all` only repeats."""
    extras = PROJECT["project"]["optional-dependencies"].values()
    wanted = [*PROJECT["project"]["dependencies"], *(one for extra in extras for one in extra)]
    return [one for one in map(Requirement, wanted) if one.name != "assay"]


def test_every_dependency_of_the_package_is_locked_at_a_version_it_admits():
    locked = {re.sub(r"[-_.]+", "-", name): version for name, version in pins().items()}
    for one in declared():
        assert locked[re.sub(r"[-_.]+", "-", one.name)] in one.specifier, one


@pytest.mark.parametrize("version", ["2.6.2", "2.6.3"])
def test_the_stolen_releases_of_lightning_are_not_admitted(version):
    (lightning,) = [one for one in declared() if one.name == "pytorch-lightning"]
    assert version not in lightning.specifier
    assert "lightning" not in pins()
    assert pins()["pytorch-lightning"] != version


def test_keras_brings_no_second_framework():
    assert not {"tensorflow", "tensorflow-cpu", "jax", "jaxlib"} & set(pins())
