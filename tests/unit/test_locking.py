"""A lock keeps runs out, not those who only look whether it is held."""

import fcntl
import os

import pytest

from assay import locking
from assay.errors import ConfigError
from assay.locking import LOCK, is_locked, locked


def test_a_lock_is_seen_while_it_is_held(tmp_path):
    with locked(tmp_path / "run") as notes:
        assert notes == []
        assert is_locked(tmp_path / "run")
        assert (tmp_path / "run" / LOCK).read_text() == f"{os.getpid()}\n"
    assert not is_locked(tmp_path / "run")
    assert not is_locked(tmp_path / "nothing")


def test_a_second_run_is_kept_out(tmp_path):
    with (
        locked(tmp_path),
        pytest.raises(ConfigError, match=f"but process {os.getpid()} is writing to"),
        locked(tmp_path),
    ):
        pass


def test_a_look_at_the_lock_keeps_nobody_out(tmp_path, monkeypatch):
    with (tmp_path / LOCK).open("w") as looked_at:
        fcntl.flock(looked_at, fcntl.LOCK_SH)
        monkeypatch.setattr(locking.time, "sleep", lambda _: fcntl.flock(looked_at, fcntl.LOCK_UN))
        with locked(tmp_path):
            assert is_locked(tmp_path)
