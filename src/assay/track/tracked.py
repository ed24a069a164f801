"""The watch that logs a run to trackers: epochs go into a queue, a thread sends them, training never waits."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from queue import Empty, SimpleQueue
from types import TracebackType
from typing import Self

from assay._imports import require_installed
from assay.evaluate.record import Report
from assay.ledger import Ledger, Outcome
from assay.track.config import TrackConfig
from assay.track.link import Link, ProcessLink
from assay.track.tracker import PACKAGES, Epochs, Fail, Finish, Message, Point, Scalar, Start
from assay.track.values import numbers_of, results_of
from assay.track.writer import Reply
from assay.train.watch import Epoch, Watch

OpenLink = Callable[[TrackConfig, Path], Link]


class Tracked:
    """A watch that passes everything on and sends every epoch to the trackers of `config`; with none it only passes on.

    Entering the block loads the trackers in a process beside this one; `start` opens the run there, so that data with
    errors leaves no run behind; leaving the block closes it, as failed when an error or Ctrl-C leaves it. The end waits
    at most `config.wait` seconds in all, then the process is killed. What the trackers say against it is told to the
    watch by the thread that trains, for a watch is no place for two threads.
    """

    def __init__(
        self,
        watch: Watch,
        config: TrackConfig,
        directory: Path,
        options: dict[str, Scalar],
        log: Path,
        open_link: OpenLink = ProcessLink,
    ) -> None:
        for name in config.to:
            for package in PACKAGES[name]:
                require_installed(package, f"track.to={name}")
        self.watch, self.config = watch, config
        self._run = Start(run=config.run or directory.name, directory=str(directory.absolute()), options=options)
        self._log, self._open_link = log, open_link
        self._left = config.wait
        self._queue: SimpleQueue[Point | Message | threading.Event | None] = SimpleQueue()
        self._notes: deque[str] = deque()
        self._reply = Reply(written={}, places={}, failures={})
        self._failed: dict[str, str] = {}
        self._offered, self._dropped = 0, 0
        self._started, self._cut = False, False
        self._link: Link | None = None
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        if self.config.to:
            try:
                self._link = self._open_link(self.config, self._log)
            except OSError as error:  # such as no process left to have
                self._lose(f"the tracking process could not be started ({error})")
                return self
            self._thread = threading.Thread(target=self._send, args=(self._link,), name="tracking")
            self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._thread is None:
            return
        if kind is not None:
            self._queue.put(Fail(reason=f"{kind.__name__}: {error}".rstrip(": ")))
        self._queue.put(None)
        self._join(self._left if self._started else 0.0)
        self._tell()

    def start(self) -> None:
        """Training begins: open the run in the trackers."""
        self._started = True
        self._queue.put(self._run)

    def stage(self, name: str) -> None:
        """Pass on."""
        self._tell()
        self.watch.stage(name)

    def epoch(self, record: Epoch, of: int) -> None:
        """Put the numbers into the queue and pass on; with a full queue they are dropped and counted."""
        self._offered += 1
        if self._thread is not None:
            if self._queue.qsize() < self.config.queue:
                self._queue.put(Point(step=record.epoch, time=time.time(), values=numbers_of(record)))
            else:
                self._dropped += 1
        self._tell()
        self.watch.epoch(record, of)

    def steps(self, done: int, of: int, network: str = "") -> None:
        """Pass on."""
        self.watch.steps(done, of, network)

    def note(self, text: str) -> None:
        """Pass on."""
        self._tell()
        self.watch.note(text)

    def close(self) -> None:
        """Pass on."""
        self._tell()
        self.watch.close()

    def settle(self, ledger: Ledger) -> None:
        """Wait until every epoch is written, as long as may be waited, and say in the ledger what was."""
        if not self.config.to:
            reason = "no tracker was asked for with track.to; metrics.jsonl has every epoch"
            ledger.record("train.tracked", Outcome.SKIPPED, reason)
            return
        if self._thread is not None:
            reached = threading.Event()
            self._queue.put(reached)
            self._wait(reached)
        self._tell()
        self._write_verdict(ledger)

    def finish(self, report: Report) -> None:
        """The run has ended well: log its scores and close it there when the block is left."""
        if self._thread is not None:
            self._queue.put(Finish(scores=results_of(report)))

    def _write_verdict(self, ledger: Ledger) -> None:
        reply, names = self._reply, dict.fromkeys(self.config.to)
        written = {name: reply.written.get(name, 0) for name in names}
        places = {name: reply.places.get(name) for name in names}
        told = [f"{name} ({place or 'nowhere'})" for name, place in places.items()]
        if not self._failed and all(places.values()) and all(count == self._offered for count in written.values()):
            reason = f"all {self._offered:,} epochs went to {', '.join(told)}"
            ledger.record("train.tracked", Outcome.APPLIED, reason, value=self._offered)
            return
        counts = ", ".join(f"{written[name]:,} to {where}" for name, where in zip(names, told, strict=True))
        reason = f"of {self._offered:,} epochs {counts}"
        if self._dropped:
            full = f"{self._dropped:,} found the queue full (track.queue={self.config.queue})"
            self.watch.note(f"not all epochs were tracked: {full}; metrics.jsonl has every epoch")
            reason += f"; {full}"
        reason += "".join(f"; {name} failed at {failure}" for name, failure in self._failed.items())
        ledger.record("train.tracked", Outcome.WARNED, reason, value=min(written.values()))

    def _wait(self, reached: threading.Event) -> None:
        """Wait for the event; Ctrl-C here means not to wait for trackers, the run itself is done."""
        begun = time.monotonic()
        try:
            reached.wait(self._left)
            self._left = max(self._left - (time.monotonic() - begun), 0.0)
        except KeyboardInterrupt:
            self._left = 0.0

    def _join(self, seconds: float) -> None:
        """Let the thread end, or make it: with its process gone it has nothing to wait for."""
        assert self._thread is not None
        assert self._link is not None
        with suppress(KeyboardInterrupt):  # not to wait: what there is of the run must not be lost for its trackers
            self._thread.join(seconds)
        if self._thread.is_alive():
            self._cut = True
            self._link.cut()
            self._thread.join()
            if self._started:
                self._notes.append(f"the trackers had not written all within track.wait={self.config.wait:g} s")

    def _tell(self) -> None:
        while self._notes:
            self.watch.note(self._notes.popleft())

    def _send(self, link: Link) -> None:
        """What the thread does: send everything in the queue, in order, until the end is in it."""
        lost = False
        for item in self._batches():
            if isinstance(item, threading.Event):
                item.set()
            elif not lost:
                try:
                    self._hear(link.ask(item))
                except EOFError as error:
                    lost = True
                    self._lose(str(error))
        link.close()

    def _batches(self) -> Iterator[Message | threading.Event]:
        """What is in the queue; epochs that wait become one message."""
        points: list[Point] = []
        while True:
            try:
                item = self._queue.get(block=not points)
            except Empty:
                yield Epochs(points=tuple(points))
                points = []
                continue
            if isinstance(item, Point):
                points.append(item)
                continue
            if points:
                yield Epochs(points=tuple(points))
                points = []
            if item is None:
                return
            yield item

    def _hear(self, reply: Reply) -> None:
        self._reply = reply
        for name, failure in reply.failures.items():
            self._failed[name] = failure
            self._notes.append(f"{name} failed at {failure}; the run goes on, {self._log.name} has the details")

    def _lose(self, reason: str) -> None:
        self._failed |= dict.fromkeys(self.config.to, reason)
        if not self._cut:
            self._notes.append(f"{reason}; the run goes on without trackers, {self._log.name} has the details")
