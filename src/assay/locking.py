"""A lock on a directory that dies with its process."""

from __future__ import annotations

import errno
import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from assay.errors import ConfigError

LOCK = "lock"
#: How often, and for how many seconds, whoever takes a lock waits for somebody who only looks at it.
_LOOKS, _MOMENT = 10, 0.02
_NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)


@contextmanager
def locked(directory: Path) -> Iterator[list[str]]:
    """Keep other runs out of the directory, which is made if need be, until the block or the process ends.

    Yields:
        Notes for the user: one where the file system has no locks.

    Raises:
        ConfigError: another process has it.
        OSError: it cannot be made or written to.
    """
    lock, notes = _taken(directory)
    try:
        yield notes
    finally:
        os.close(lock)


def is_locked(directory: Path) -> bool:
    """Whether a run is writing to the directory just now."""
    try:
        with (directory / LOCK).open("rb") as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


def _taken(directory: Path) -> tuple[int, list[str]]:
    """The lock as an open file, and notes."""
    while True:
        try:
            directory.mkdir(parents=True, exist_ok=True)
            lock = os.open(directory / LOCK, os.O_RDWR | os.O_CREAT, 0o644)
        except FileNotFoundError:  # removed meanwhile by the run that was there
            continue
        try:
            _take(lock)
        except OSError as error:
            if error.errno in _NO_LOCKS:
                return lock, [f"{directory.parent} cannot be locked; see to it that no second run writes there"]
            owner = os.read(lock, 20).decode("ascii", "replace").strip()
            os.close(lock)
            raise ConfigError(
                "one run at a time must write to a directory",
                f"process {owner or 'of another run'} is writing to {directory}",
                "Wait for its end, or name another directory with --out.",
            ) from None
        if _is_still(directory / LOCK, lock):
            with suppress(OSError):  # the number is for people only
                os.truncate(lock, 0)
                os.write(lock, f"{os.getpid()}\n".encode())
            return lock, []
        os.close(lock)


def _take(lock: int) -> None:
    """Lock the open file; whoever only looks whether it is locked, as `is_locked` does, holds it for a moment.

    Raises:
        OSError: another process keeps it, or there are no locks.
    """
    for look in range(_LOOKS):
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if look == _LOOKS - 1:
                raise
            time.sleep(_MOMENT)
        else:
            return


def _is_still(path: Path, opened: int) -> bool:
    """Whether the open file is the one that has the name now."""
    try:
        return os.path.samestat(path.stat(), os.fstat(opened))
    except FileNotFoundError:
        return False
