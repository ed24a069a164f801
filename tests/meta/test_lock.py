"""The lock file pins every package by hash and names no host."""

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
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


def test_every_dependency_of_the_package_is_locked():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted = list(project["dependencies"])
    for extra in project["optional-dependencies"].values():
        wanted += [requirement for requirement in extra if not requirement.startswith("assay[")]
    names = {re.match(r"[A-Za-z0-9._-]+", requirement).group().lower() for requirement in wanted}
    assert names <= set(pins())
