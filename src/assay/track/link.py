"""The line to the tracking process: a message out, a reply back."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from assay.track.config import TrackConfig
from assay.track.tracker import Message
from assay.track.writer import Reply

#: What the trackers' packages would send home unless told otherwise; what the user has set stands.
TELEMETRY = {"MLFLOW_DISABLE_TELEMETRY": "true", "WANDB_ERROR_REPORTING": "false"}


class Link(Protocol):
    """A line to whoever writes to the trackers."""

    def ask(self, message: Message) -> Reply:
        """Send a message and wait for the reply.

        Raises:
            EOFError: nobody is there any more.
        """

    def close(self) -> None:
        """Say that nothing more comes, and wait until all is written."""

    def cut(self) -> None:
        """End the other side at once; whoever waits for a reply gets an EOFError."""


class ProcessLink:
    """A tracking process; what the packages print goes to the file `log`. It begins to load the packages at once."""

    def __init__(self, config: TrackConfig, log: Path) -> None:
        # -P and the path of this process: its imports are found just where they would be found here.
        command = [sys.executable, "-P", "-m", "assay.track.writer", config.model_dump_json()]
        environment = {
            **TELEMETRY,
            **os.environ,
            "PYTHONPATH": os.pathsep.join(entry or os.curdir for entry in sys.path),
        }
        with log.open("wb") as printed:
            self.process = subprocess.Popen(  # noqa: S603  # our own module
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=printed,
                env=environment,
                encoding="utf-8",
                start_new_session=True,  # Ctrl-C is for the run, which then tells the trackers
            )
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self._out, self._in = self.process.stdin, self.process.stdout

    def ask(self, message: Message) -> Reply:
        """Send a line and read one.

        Raises:
            EOFError: the process has ended.
        """
        self._send(message.model_dump_json())
        line = self._in.readline()
        if not line:
            raise EOFError(f"the tracking process ended with code {self.process.wait()}")
        return Reply.model_validate_json(line)

    def close(self) -> None:
        """End the process by ending its input, and wait for it."""
        with suppress(BrokenPipeError):  # it is gone already
            self._out.close()
        self.process.wait()
        self._in.close()

    def cut(self) -> None:
        """Kill the process."""
        self.process.kill()

    def _send(self, line: str) -> None:
        try:
            self._out.write(line + "\n")
            self._out.flush()
        except BrokenPipeError:
            raise EOFError(f"the tracking process ended with code {self.process.wait()}") from None
