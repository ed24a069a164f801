"""Checkpoints: all that a training needs to go on with the same bits, written so that a crash cannot spoil them.

A checkpoint is a directory `step-<n>` with `tensors.safetensors` and `state.json`, which holds the sha256 of both. It
is written under another name, flushed to the disk and renamed; the one before it goes only then. No pickle.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load, save
from torch import Tensor

from assay.errors import CheckpointError
from assay.ledger import Ledger, Outcome
from assay.records import Record
from assay.version import __version__

CHECKPOINT_FORMAT = 1
_TENSORS, _STATE = "tensors.safetensors", "state.json"
_KEPT = 2


class Progress(Record):
    """Where a training stands: what `state.json` holds beside the sums."""

    step: int
    epoch: int
    place: int
    horizon: int
    seconds: float
    used: float
    """Seconds of the run's budget that were gone."""
    counters: dict[str, float]
    history: tuple[str, ...]
    """Finished epochs as JSON, one `Epoch` each."""
    stopped: str
    python_random: str
    threads: int


class _Header(Record):
    format: int
    assay: str
    identity: dict[str, str]
    sha256: str
    progress: Progress


@dataclass(frozen=True)
class Saved:
    """A checkpoint as read."""

    progress: Progress
    tensors: Mapping[str, Tensor]


@dataclass
class Tally:
    """Checkpoints of a run that could not be written, and why the last could not."""

    refused: int = 0
    reason: str = ""


def unheard(text: str) -> None:
    """Nobody listens."""


@dataclass
class Checkpoints:
    """The checkpoints of one training in `directory`.

    identity: what a checkpoint must share with the run that continues it, by name: the configuration, the data.
    every: seconds between two; 0 writes one after each step.
    tell: told in a sentence when a damaged checkpoint is passed over or one cannot be written.
    tally: shared by all networks of a run.
    """

    directory: Path
    identity: Mapping[str, str]
    every: float = 30.0
    tell: Callable[[str], None] = unheard
    tally: Tally = field(default_factory=Tally)
    _last: float = field(default_factory=time.monotonic)

    def within(self, name: str) -> Checkpoints:
        """The checkpoints of one of several networks of the same run."""
        identity = {**self.identity, "network": name}
        return Checkpoints(self.directory / name, identity, self.every, tell=self.tell, tally=self.tally)

    def is_due(self) -> bool:
        """Whether it is time for the next one."""
        return time.monotonic() - self._last >= self.every

    @property
    def newest(self) -> int | None:
        """The step of the newest one; None where there is none."""
        found = self._found()
        return int(found[0].name.removeprefix("step-")) if found else None

    def save(self, progress: Progress, tensors: Mapping[str, Tensor]) -> None:
        """Write a checkpoint; where that fails the training goes on, for it is worth more than its checkpoint.

        It is said once a run, counted each time, and tried again when the next one is due.
        """
        try:
            self.write(progress, tensors)
        except OSError as error:
            self._last = time.monotonic()
            self.tally.refused += 1
            self.tally.reason = error.strerror or str(error)
            if self.tally.refused == 1:
                self.tell(
                    f"a checkpoint could not be written ({self.tally.reason}: {self.directory}); training goes on, and "
                    "it is tried again"
                )

    def write(self, progress: Progress, tensors: Mapping[str, Tensor]) -> None:
        """Write a checkpoint; the one before the last is removed when this one is safe.

        Raises:
            OSError: the disk is full or the directory is gone; earlier checkpoints are untouched.
        """
        whole = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
        body = save(whole)
        header = _Header(
            format=CHECKPOINT_FORMAT,
            assay=__version__,
            identity=dict(self.identity),
            sha256=hashlib.sha256(body).hexdigest(),
            progress=progress,
        )
        text = header.model_dump_json()
        state = json.dumps({"sha256": hashlib.sha256(text.encode()).hexdigest(), "header": text})
        final = self.directory / f"step-{progress.step:012d}"
        partial = final.with_suffix(".partial")
        shutil.rmtree(partial, ignore_errors=True)
        try:
            partial.mkdir(parents=True)
            _write_through(partial / _TENSORS, body)
            _write_through(partial / _STATE, state.encode())
            shutil.rmtree(final, ignore_errors=True)
            partial.rename(final)
        except OSError:
            shutil.rmtree(partial, ignore_errors=True)
            raise
        _flush_directory(self.directory)
        for old in [*self._found()[_KEPT:], *self.directory.glob("step-*.partial")]:
            shutil.rmtree(old)
        self._last = time.monotonic()

    def latest(self) -> Saved | None:
        """The newest undamaged checkpoint, or None where there is none at all.

        Raises:
            CheckpointError: all are damaged, or they are of another version, configuration or data.
        """
        found = self._found()
        for place, path in enumerate(found):
            try:
                return self._read(path)
            except _DamagedError as damage:
                if place == len(found) - 1:
                    raise CheckpointError(
                        "a checkpoint must be whole to go on from",
                        f"{damage} ({path}), and there is no earlier one",
                        "Remove the directory and start the run again.",
                    ) from None
                self.tell(f"the checkpoint {path.name} is damaged ({damage}); the one before it was taken")
        return None

    def kept(self, name: str, value: float) -> float:
        """`value` the first time; whatever process asks again, what it was then."""
        found = self.remembered(name)
        if found is not None:
            return found
        path = self._number(name)
        self.directory.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix(".partial")
        _write_through(partial, json.dumps(str(value)).encode())
        partial.replace(path)
        return value

    def remembered(self, name: str) -> float | None:
        """What was kept under a name, or None."""
        try:
            return float(json.loads(self._number(name).read_text("utf-8")))
        except (OSError, ValueError, TypeError):  # not there, or not whole
            return None

    def _number(self, name: str) -> Path:
        return self.directory / f"{name}.json"

    def clear(self) -> None:
        """Remove them: the training is over and its model is safe."""
        shutil.rmtree(self.directory, ignore_errors=True)

    def _found(self) -> list[Path]:
        """The finished checkpoints, the newest first."""
        if not self.directory.is_dir():
            return []
        names = [path for path in self.directory.iterdir() if path.name.startswith("step-") and not path.suffix]
        return sorted(names, reverse=True)

    def _read(self, path: Path) -> Saved:
        header = self._read_header(path)
        self._check_identity(header, path)
        try:
            body = (path / _TENSORS).read_bytes()
        except OSError as error:
            raise _DamagedError(error.strerror or str(error)) from None
        if hashlib.sha256(body).hexdigest() != header.sha256:
            raise _DamagedError(f"{_TENSORS} is not as it was written")
        return Saved(header.progress, load(body))

    def _read_header(self, path: Path) -> _Header:
        try:
            outer = json.loads((path / _STATE).read_text("utf-8"))
            text, given = outer["header"], outer["sha256"]
        except (OSError, ValueError, KeyError, TypeError):
            raise _DamagedError(f"{_STATE} cannot be read") from None
        if not isinstance(text, str) or hashlib.sha256(text.encode()).hexdigest() != given:
            raise _DamagedError(f"{_STATE} is not as it was written")
        content = json.loads(text)
        if content.get("format") != CHECKPOINT_FORMAT or content.get("assay") != __version__:
            raise CheckpointError(
                f"a checkpoint must be of this version of assay ({__version__})",
                f"{path} was written by {content.get('assay')}",
                "Install that version to go on, or start the run again.",
            )
        return _Header.model_validate(content)

    def _check_identity(self, header: _Header, path: Path) -> None:
        for name, value in self.identity.items():
            if header.identity.get(name) != value:
                raise CheckpointError(
                    f"a checkpoint must be of the same {name} as the run that goes on from it",
                    f"{path} is of another one",
                    f"Resume with the {name} of then, or start a new run.",
                )


def copy_into(places: Mapping[str, Tensor], tensors: Mapping[str, Tensor]) -> None:
    """Put the tensors of a checkpoint into their places.

    Raises:
        CheckpointError: they are of another network.
    """
    for name, place in places.items():
        shape = tuple(tensors[name].shape) if name in tensors else None
        if shape != tuple(place.shape):
            raise CheckpointError(
                "a checkpoint must be of the network that goes on from it",
                f"{name!r} is {'not in it' if shape is None else f'of shape {shape}'}, and here {tuple(place.shape)}",
                "Give the same model again, or start a new run.",
            )
        place.copy_(tensors[name])


@dataclass(frozen=True)
class Standing:
    """Where the networks of a run stand by their newest checkpoints: steps in all, and seconds of the budget gone."""

    steps: int
    used: float


def standing(directory: Path) -> Standing:
    """How far the checkpoints in `directory` and below go; nothing at all where there is none that can be read."""
    steps, used = 0, 0.0
    for place in {path.parent for path in directory.rglob("step-*") if not path.suffix}:
        network = Checkpoints(place, {})
        for path in network._found():
            try:
                progress = network._read_header(path).progress
            except _DamagedError:
                continue
            steps, used = steps + progress.step, max(used, progress.used)
            break
    return Standing(steps, used)


def note_resumable(ledger: Ledger, checkpoints: Checkpoints, resumed: Sequence[int]) -> None:
    """The verdict on stopping and going on; `resumed` holds the step each time the run went on."""
    tally, outcome = checkpoints.tally, Outcome.APPLIED
    every = f"every {checkpoints.every:g} s" if checkpoints.every else "after every step"
    times = "once" if len(resumed) == 1 else f"{len(resumed)} times"
    places = f"step {', '.join(f'{step:,}' for step in resumed)}"
    reason = f"a checkpoint {every}; the run was {f'resumed {times}, from {places}' if resumed else 'never stopped'}"
    if tally.refused:
        reason += f"; {tally.refused:,} checkpoints could not be written ({tally.reason})"
        outcome = Outcome.WARNED
    ledger.record("run.resumable", outcome, reason, value=len(resumed))


class _DamagedError(Exception):
    """A checkpoint is not whole; the message says what. Never leaves this file."""


def _write_through(path: Path, content: bytes) -> None:
    """Write to the disk itself, not only to the system's memory."""
    with path.open("wb") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())


def _flush_directory(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def isolated_randomness() -> Iterator[None]:
    """Whatever is drawn or seeded inside the block, the caller's generators are left as they were."""
    python, tensors = random_state()
    try:
        yield
    finally:
        restore_random_state(python, tensors)


def seed_all(seed: int) -> None:
    """Seed every generator a module may draw from."""
    random.seed(seed)
    np.random.seed(seed % 2**32)  # the legacy generator is what users' modules draw from
    if torch.accelerator.is_available():
        torch.manual_seed(seed)
    else:  # which spares the walk over devices that are not there, several milliseconds
        torch.default_generator.manual_seed(seed)


def random_state() -> tuple[str, dict[str, Tensor]]:
    """The state of every generator a module may draw from: Python's as JSON, the others' as tensors."""
    name, keys, place, has_gauss, gauss = np.random.get_state(legacy=True)
    assert name == "MT19937"
    assert isinstance(keys, np.ndarray)
    tensors = {
        "random.torch": torch.get_rng_state(),
        "random.numpy": torch.from_numpy(keys.astype(np.int64)),
        "random.numpy_rest": torch.tensor([float(place), float(has_gauss), gauss], dtype=torch.float64),
    }
    if torch.cuda.is_available():
        tensors |= {f"random.cuda.{place}": state for place, state in enumerate(torch.cuda.get_rng_state_all())}
    return json.dumps(random.getstate()), tensors


def restore_random_state(python: str, tensors: Mapping[str, Tensor]) -> None:
    """Put every generator where it was."""
    version, internal, gauss_next = json.loads(python)
    random.setstate((version, tuple(internal), gauss_next))
    place, has_gauss, gauss = tensors["random.numpy_rest"].tolist()
    keys = tensors["random.numpy"].numpy().astype(np.uint32)
    np.random.set_state(("MT19937", keys, int(place), int(has_gauss), gauss))
    torch.set_rng_state(tensors["random.torch"])
    if torch.cuda.is_available():
        states = [tensors[name] for name in sorted(tensors) if name.startswith("random.cuda.")]
        torch.cuda.set_rng_state_all(states)
