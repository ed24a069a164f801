"""Watches of a run for people: a live bar on a terminal, plain lines elsewhere, or nothing but what must be said."""

from __future__ import annotations

import time
from typing import TextIO

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Column

from assay.train.watch import Epoch

_SECONDS_BETWEEN_LINES = 1.0
#: Seconds without a line after which the steps of a long epoch get one.
_SECONDS_OF_SILENCE = 10.0


def progress_to(stream: TextIO, *, quiet: bool) -> TerminalWatch | LineWatch | QuietWatch:
    """The watch that fits the stream: a live bar where it is a terminal, lines where it is not."""
    if quiet:
        return QuietWatch(stream)
    return TerminalWatch(stream) if stream.isatty() else LineWatch(stream)


class QuietWatch:
    """Shows no progress; notes are still printed, for nothing is silent."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def stage(self, name: str) -> None:
        """Say nothing."""

    def epoch(self, record: Epoch, of: int) -> None:
        """Say nothing."""

    def steps(self, done: int, of: int, network: str = "") -> None:
        """Say nothing."""

    def note(self, text: str) -> None:
        """Print the note."""
        _print(self._stream, f"note: {text}")

    def close(self) -> None:
        """Nothing is open."""


class LineWatch:
    """Prints a line for each stage, and for epochs at most one a second; the first and the last one always."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._started = time.monotonic()
        self._last_line = -_SECONDS_BETWEEN_LINES
        self._held: str | None = None
        self._stage_began = self._started

    def stage(self, name: str) -> None:
        """Print the stage with the seconds since the start."""
        self._release()
        self._stage_began = time.monotonic()
        self._last_line = -_SECONDS_BETWEEN_LINES
        _print(self._stream, f"[{time.monotonic() - self._started:6.1f} s] {name}")

    def epoch(self, record: Epoch, of: int) -> None:
        """Print the epoch, or hold it back when the last line is less than a second old."""
        self._held = f"  epoch {record.epoch} of at most {of}: {_scores(record)}, {record.seconds:.1f} s"
        now = time.monotonic()
        if now - self._last_line >= _SECONDS_BETWEEN_LINES:
            self._last_line = now
            self._release()

    def steps(self, done: int, of: int, network: str = "") -> None:
        """Print a line where nothing was printed for long."""
        now = time.monotonic()
        if now - max(self._last_line, self._stage_began) >= _SECONDS_OF_SILENCE:
            self._last_line = now
            self._release()
            _print(self._stream, f"  {network + ': ' if network else ''}step {done:,} of at most {of:,}")

    def note(self, text: str) -> None:
        """Print the note."""
        self._release()
        _print(self._stream, f"note: {text}")

    def close(self) -> None:
        """Print the last epoch if it was held back."""
        self._release()

    def _release(self) -> None:
        held, self._held = self._held, None  # at once, for Ctrl-C may come while it is printed
        if held is not None:
            _print(self._stream, held)


class TerminalWatch:
    """One live line: the stage, the epochs as a bar, losses and metric, the seconds; finished stages stay above it."""

    def __init__(self, stream: TextIO) -> None:
        console = Console(file=stream, markup=False, highlight=False, emoji=False)
        self._progress = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=16),
            TextColumn("{task.fields[state]}", markup=False, table_column=Column(no_wrap=False)),  # the first to yield
            TimeElapsedColumn(table_column=Column(min_width=7, no_wrap=True)),
            console=console,
            transient=True,
        )
        self._task: TaskID | None = None
        self._stage = self._state = self._place = self._network = ""
        self._numbers: tuple[str, ...] = ()
        self._stage_started = 0.0
        self._closed = False

    def stage(self, name: str) -> None:
        """Finish the stage before with its seconds and begin this one."""
        self._finish_stage()
        self._stage, self._stage_started = name, time.monotonic()
        self._task = self._progress.add_task(name, total=None, state="")
        self._progress.start()

    def epoch(self, record: Epoch, of: int) -> None:
        """Move the bar."""
        if self._task is None:
            self.stage("train")
        assert self._task is not None
        self._network = record.network
        self._place, self._numbers = _at(f"epoch {record.epoch}/{of}", self._network), _numbers(record)
        self._state = f"{self._place}  {_scores(record)}"
        self._show(record.epoch, of, self._place)

    def steps(self, done: int, of: int, network: str = "") -> None:
        """Move the bar within an epoch."""
        step = f"step {done:,}/{of:,}"
        if network != self._network:  # another one begins
            self._network, self._place, self._numbers = network, "", ()
        self._show(done, of, f"{self._place}, {step}" if self._place else _at(step, network))

    def _show(self, done: int, of: int, place: str) -> None:
        """Where it is, and below it what the last epoch showed."""
        if self._task is not None:
            state = "\n".join([place, *self._numbers])
            self._progress.update(self._task, completed=done, total=of, state=state)

    def note(self, text: str) -> None:
        """Print the note above the bar."""
        self._progress.console.print(f"note: {text}")

    def close(self) -> None:
        """Finish the last stage and give the terminal back."""
        if not self._closed:
            self._closed = True
            self._finish_stage()
            self._progress.stop()

    def _finish_stage(self) -> None:
        if self._task is None:
            return
        seconds = time.monotonic() - self._stage_started
        self._progress.remove_task(self._task)
        self._task = None
        self._progress.console.print(f"✓ {self._stage}  {seconds:.1f} s  {self._state}".rstrip())
        self._state, self._place, self._numbers = "", "", ()


def _at(place: str, network: str) -> str:
    return f"{network}, {place}" if network else place


def _numbers(record: Epoch) -> tuple[str, ...]:
    """What an epoch showed, in two lines."""
    how = [f"rate {record.learning_rate:.2g}", f"gradient norm {record.gradient_norm:.2g}"]
    if record.update_ratio is not None:
        how.append(f"update {record.update_ratio:.1e} of the weights")
    if record.rows_per_second is not None:
        how.append(f"{record.rows_per_second:,.0f} rows/s")
    if record.memory_mb is not None:
        how.append(f"{record.memory_mb:,.0f} MB")
    return _scores(record), ", ".join(how)


def _scores(record: Epoch) -> str:
    losses = f"training loss {record.train_loss:.4f}, validation loss {record.valid_loss:.4f}"
    return losses if record.valid_score is None else f"{losses}, {record.score_name} {record.valid_score:.4f}"


def _print(stream: TextIO, line: str) -> None:
    stream.write(f"{line}\n")
    stream.flush()
