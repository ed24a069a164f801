"""A process that does one run of a comparison after another: requests come in as lines of JSON, answers go out so.

It is started fresh (`python -m assay.bench.worker`) with its share of the threads in the environment, imports the
training packages once, and ends when nobody listens any more. A run that fails is an answer; a fault that ends the
process is told first.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from queue import SimpleQueue
from types import TracebackType
from typing import NoReturn, TextIO

from assay._process import leave
from assay.bench.result import CellResult, result_of
from assay.compose.run_config import RunConfig
from assay.errors import AssayError, CheckpointError, ConfigError, TerminatedError
from assay.records import Record
from assay.run import fit
from assay.runs import Run, open_run
from assay.train.watch import Unwatched, Watch
from assay.workspace import has_checkpoints, partial_of


class Job(Record):
    """A run to do: what is asked for as a result to fill in, where it goes, and the metric that must be there."""

    asked: CellResult
    run: dict[str, object]
    directory: str
    metric: str | None


class Told(Unwatched):
    """Tells the stages of a run as lines of JSON."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def stage(self, name: str) -> None:
        """Tell it."""
        say(self._stream, {"stage": name})


def say(stream: TextIO, content: dict[str, object]) -> None:
    """One line of JSON, at once."""
    stream.write(json.dumps(content) + "\n")
    stream.flush()


def do(job: Job, watch: Watch) -> CellResult:
    """Do the run, or go on with what is left of it, and say how it ended."""
    directory = Path(job.directory)
    try:
        run = _run(RunConfig.model_validate(job.run), directory, watch)
    except TerminatedError:
        raise
    except AssayError as error:
        return job.asked.model_copy(update={"status": "failed", "reason": str(error)})
    return result_of(run.report(), run.directory, job.asked, job.metric)


def _run(config: RunConfig, directory: Path, watch: Watch) -> Run:
    """The finished run: the one that is there, the one that was ended taken up again, or a new one."""
    if (directory / "model" / "manifest.json").is_file():
        return open_run(directory)
    if has_checkpoints(partial_of(directory)):
        try:
            return fit(resume=directory, watch=watch)
        except (
            CheckpointError,
            ConfigError,
        ):  # of another version, or damaged
            shutil.rmtree(partial_of(directory), ignore_errors=True)
    table = config.table
    return fit(table.data, table.target, test=table.test, valid=table.valid, config=config, out=directory, watch=watch)


def main() -> NoReturn:
    """Answer requests until nobody listens."""
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # what packages print must not stand between the answers
    sys.excepthook = _last_words(answers)
    requests: SimpleQueue[str] = SimpleQueue()
    threading.Thread(target=_listen, args=(requests,), daemon=True).start()
    say(answers, {"ready": os.getpid()})
    while True:  # the listener ends the process
        done = do(Job.model_validate_json(requests.get()), Told(answers))
        say(answers, {"result": done.model_dump(mode="json")})


def _listen(requests: SimpleQueue[str]) -> None:
    """Pass requests on; when whoever sends them is gone, what is running is of no use to anybody."""
    for line in sys.stdin:
        requests.put(line)
    leave(1)


def _last_words(answers: TextIO) -> Callable[[type[BaseException], BaseException, TracebackType | None], None]:
    """A hook that tells what ended the process before it is gone."""

    def hook(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        first = (str(error).splitlines() or [""])[0]
        say(answers, {"fault": f"internal error: {kind.__name__}: {first}"})
        sys.__excepthook__(kind, error, trace)

    return hook


if __name__ == "__main__":
    main()
