"""The Makefile says what is wrong with the machine instead of failing in the middle."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
VERBS = ("demo", "test", "test-all", "check", "bench", "docs", "lock", "clean")

pytestmark = pytest.mark.skipif(shutil.which("make") is None, reason="needs make")


def make(*arguments, cwd=ROOT):
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
    return subprocess.run(
        ["make", "--no-print-directory", *arguments], cwd=cwd, env=clean, capture_output=True, text=True, check=False
    )


def python_that(tmp_path, body: str) -> str:
    fake = tmp_path / "python-of-the-test"
    fake.write_text(f"#!/bin/sh\n{body}\n")
    fake.chmod(0o755)
    return str(fake)


def test_help_is_the_default_and_lists_every_verb():
    done = make()
    assert done.returncode == 0
    assert [line.split()[1] for line in done.stdout.splitlines()] == list(VERBS)


def test_an_old_python_is_named(tmp_path):
    python = python_that(tmp_path, "exit 1")
    done = make("test", f"PYTHON={python}", f"VENV={tmp_path}/venv")
    assert done.returncode == 2
    assert f"needs Python 3.11 or newer, but PYTHON={python} is not" in done.stderr


def test_a_python_without_venv_is_named(tmp_path):
    python = python_that(tmp_path, 'case "$*" in *ensurepip*) exit 1;; esac')
    done = make("test", f"PYTHON={python}", f"VENV={tmp_path}/venv")
    assert done.returncode == 2
    assert "apt-get install python3-venv" in done.stderr


def test_set_up_is_done_once_and_again_when_the_lock_changes(tmp_path):
    (tmp_path / "requirements").mkdir()
    for name in ("Makefile", "requirements/lock.txt", "pyproject.toml"):
        shutil.copy(ROOT / name, tmp_path / name)
    calls = tmp_path / "calls"
    steps = f'echo "$*" >> {calls}; if [ "$2" = venv ]; then mkdir -p "$3/bin"; cp "$0" "$3/bin/python"; fi'
    python = python_that(tmp_path, steps)

    def install_lines() -> list[str]:
        done = make("test", f"PYTHON={python}", cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        text = calls.read_text()
        calls.unlink()
        return [line for line in text.splitlines() if " install " in line]

    first = install_lines()
    assert "--require-hashes -r requirements/lock.txt" in first[0]
    assert first[1].endswith("install --no-deps --no-build-isolation -e .")
    assert install_lines() == []
    stamp = (tmp_path / ".venv" / ".ready").stat().st_mtime
    os.utime(tmp_path / "requirements" / "lock.txt", (stamp + 5, stamp + 5))
    assert install_lines() == first


def test_continuous_integration_runs_make_test():
    script = ROOT / ".ci" / "run"
    assert os.access(script, os.X_OK)
    assert script.read_text().rstrip().endswith("exec make test")
