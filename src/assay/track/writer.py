"""The tracking process: hears of the run in lines of JSON on its input, writes to the trackers, answers each line.

It is a process of its own because importing a tracker is seconds of pure Python, and MLflow's and W&B's are far more
work than an epoch of a small network: in a thread they would hold the interpreter's lock that every training step
needs. Here they also cannot prompt, print into the user's terminal, change the environment or hang the run.
"""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Annotated, TextIO

from pydantic import Field, TypeAdapter

from assay.records import Record
from assay.track.config import TrackConfig, TrackerName
from assay.track.tracker import Epochs, Fail, Finish, Message, Start, Tracker, make

#: Failures in a row after which a tracker is left alone.
_MOST_FAILURES = 3
_LONGEST_REASON = 300
_DOING = {
    "start": "opening a run",
    "epochs": "logging epochs",
    "finish": "logging the scores",
    "fail": "closing the run",
}
_MESSAGE: TypeAdapter[Message] = TypeAdapter(Annotated[Message, Field(discriminator="kind")])

Make = Callable[[TrackerName, TrackConfig], Tracker]


class Reply(Record):
    """The state of the trackers after a message: points written and where, and failures not told before."""

    written: dict[TrackerName, int]
    places: dict[TrackerName, str]
    failures: dict[TrackerName, str]


@dataclass
class _Post:
    """One tracker with what became of it; `failure` is its first error, and `told` whether it was passed on."""

    name: TrackerName
    tracker: Tracker | None = None
    started: bool = False
    written: int = 0
    in_a_row: int = 0
    failure: str = ""
    told: bool = False


class Writer:
    """All trackers of a run; one that fails does not disturb the others.

    One that cannot be loaded or started is left alone at once, any other after three failures in a row.
    """

    def __init__(self, config: TrackConfig, make: Make = make) -> None:
        self.posts = [_Post(name) for name in dict.fromkeys(config.to)]
        self.ended = False
        for post in self.posts:
            _guarded(post, "loading it", partial(_make, post, config, make))

    def take(self, message: Message) -> Reply:
        """Pass a message on to every tracker that works."""
        for post in self.posts:
            if post.tracker is not None and (post.started or isinstance(message, Start)):
                _guarded(post, _DOING[message.kind], partial(_deliver, post, message))
        self.ended = self.ended or isinstance(message, Finish | Fail)
        new = {post.name: post.failure for post in self.posts if post.failure and not post.told}
        for post in self.posts:
            post.told = bool(post.failure)
        return Reply(
            written={post.name: post.written for post in self.posts},
            places={post.name: post.tracker.place for post in self.posts if post.tracker is not None},
            failures=new,
        )


def _guarded(post: _Post, doing: str, work: Callable[[], None]) -> None:
    try:
        work()
    except Exception as error:  # noqa: BLE001  # it is others' code: whatever it raises must not end the tracking
        traceback.print_exc()  # into the log; people are told the sentence
        reason = " ".join(str(error).split()) or "no reason given"
        post.failure = post.failure or f"{doing} ({type(error).__name__}: {reason[:_LONGEST_REASON]})"
        post.in_a_row += 1
        if not post.started or post.in_a_row >= _MOST_FAILURES:
            post.tracker = None
    else:
        post.in_a_row = 0


def _make(post: _Post, config: TrackConfig, make: Make) -> None:
    post.tracker = make(post.name, config)


def _deliver(post: _Post, message: Message) -> None:
    assert post.tracker is not None
    match message:
        case Start():
            post.tracker.start(message)
            post.started = True
        case Epochs():
            post.tracker.epochs(message.points)
            post.written += len(message.points)
        case Finish():
            post.tracker.finish(message.scores)
        case Fail():
            post.tracker.fail(message.reason)


def serve(config: TrackConfig, heard: TextIO, said: TextIO, make: Make = make) -> None:
    """Answer every line until there are no more.

    When the lines end before the run was closed, the process that trained is gone, and the run has failed.
    """
    writer = Writer(config, make)
    for line in heard:
        reply = writer.take(_MESSAGE.validate_json(line))
        said.write(reply.model_dump_json() + "\n")
        said.flush()
    if not writer.ended:
        writer.take(Fail(reason="the process that trained is gone"))


def main() -> None:
    """Serve on standard input and output, after moving both out of reach of the trackers' packages."""
    heard, said = os.dup(0), os.dup(1)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)  # a package that would ask for a password finds no terminal
    os.dup2(2, 1)  # one that prints, prints into the log
    with os.fdopen(heard, encoding="utf-8") as lines, os.fdopen(said, "w", encoding="utf-8") as answers:
        serve(TrackConfig.model_validate_json(sys.argv[1]), lines, answers)
    # All is written and closed. Taking the packages apart, as an orderly exit would, is seconds of work for nothing.
    sys.stderr.flush()
    os._exit(0)


if __name__ == "__main__":
    main()
