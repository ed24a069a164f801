"""Groups of trials judged on a Ray cluster that runs already, through the same two methods as on this machine.

Ray is a guest here: it is never started, only connected to, and whatever keeps it from being reached is an error within
seconds. Trials are sent to actors, each of which reads the data once and keeps the objective; Ray Tune would cost 20
times the overhead (docs/decisions/search.md). What trials answered comes back with their outcomes, so that workers need
no folder in common with this process, but they must be able to read the data. Pruners stay here, where all trials are
known: a worker puts what it asks of one into a mailbox on the cluster, and waits for the word.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from types import ModuleType, TracebackType
from typing import Any, Self

import numpy as np

from assay._imports import require, require_installed
from assay.errors import ConfigError
from assay.search.study.answered import keep_answers, read_answer
from assay.search.study.trial import Objective, Outcome, Prune, Trial
from assay.train.budget import Budget
from assay.train.watch import Unwatched

#: Makes the objective on a node of the cluster, with answers in the folder it is given.
FarMaker = Callable[[Path], Objective]
#: Seconds that a node may take to answer a call, and times that a worker that died is begun again.
_REACH, _RESTARTS = 5.0, 2
_PURPOSE = "Sending trials to a cluster"
_START = "Start one with `ray start --head --num-cpus N`, and give --address HOST:6379"


class RayExecutor:
    """Judges on a Ray cluster, in `slots` actors of a core each."""

    def __init__(self, maker: FarMaker, address: str | None, jobs: int | None, answers: Path) -> None:
        """Connect to the cluster and begin the actors.

        Args:
            maker: makes the objective on a node.
            address: of the cluster's head; None takes RAY_ADDRESS.
            jobs: actors; None is one for each core of the cluster.
            answers: folder of what trials answer, on this machine.

        Raises:
            MissingExtraError: Ray is not installed.
            ConfigError: there is no cluster at the address.
        """
        self._ray, self._answers = connected(address), answers
        self.slots = jobs or cores_of(self._ray)
        actor = self._ray.remote(_Worker)
        options: dict[str, Any] = {"num_cpus": 1, "max_restarts": _RESTARTS, "max_task_retries": _RESTARTS}
        self._maker = self._ray.put(maker)  # held, for an actor that is begun again reads it again
        self._free = [actor.options(**options).remote(self._maker) for _ in range(self.slots)]
        self._running: dict[Any, Any] = {}
        self._prune: Prune | None = None
        self._mailbox: Any = None
        self._letter: Any = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        for actor in (*self._free, *self._running.values(), *([] if self._mailbox is None else [self._mailbox])):
            with suppress(ValueError):  # it is gone
                self._ray.kill(actor)
        self._ray.shutdown()

    def submit(self, group: Sequence[Trial], prune: Prune | None, budget: Budget) -> None:
        """Send a group to an actor that is free."""
        if prune is not None and self._mailbox is None:
            self._prune, self._mailbox = prune, self._ray.remote(_Mailbox).options(num_cpus=0).remote()
            self._letter = self._mailbox.next.remote()
        seconds = None if budget.seconds == float("inf") else budget.left
        actor = self._free.pop()
        self._running[actor.judge.remote(list(group), seconds, None if prune is None else self._mailbox)] = actor

    def wait(self) -> list[Outcome]:
        """The outcomes of the group that is done first; what its trials answered is kept.

        Until then pruners are asked for those that are judged.

        Raises:
            ConfigError: the worker could not read the data, or died again and again.
        """
        done = self._first_done()
        self._free.append(self._running.pop(done))
        try:
            outcomes, answers = self._ray.get(done)
        except self._ray.exceptions.RayError as error:
            raise ConfigError(
                "every node of the cluster must be able to read the data and hold a trial in memory",
                f"a worker did not ({_last_line(error)})",
                "Put the data where all nodes see it, and the same version of assay on them.",
            ) from error
        for number, answer in answers.items():
            keep_answers(self._answers, number, answer)
        found: list[Outcome] = outcomes
        return found

    def _first_done(self) -> Any:  # noqa: ANN401  # a reference of an optional package
        """The group that is done first; what workers ask meanwhile is answered."""
        while True:
            letters = [] if self._letter is None else [self._letter]
            (done, *_), _ = self._ray.wait([*letters, *self._running], num_returns=1)
            if done != self._letter:
                return done
            letter, number, step, value = self._ray.get(done)
            assert self._prune is not None
            self._mailbox.answer.remote(letter, self._prune(number, step, value))
            self._letter = self._mailbox.next.remote()


class _Mailbox:
    """On the cluster: what workers ask of pruners, one letter after another, each of which waits for its answer."""

    def __init__(self) -> None:
        self._letters: asyncio.Queue[tuple[int, int, int, float]] = asyncio.Queue()
        self._waiting: dict[int, asyncio.Future[bool]] = {}
        self._sent = 0

    async def ask(self, number: int, step: int, value: float) -> bool:
        """Whether the trial shall end, with this value at this step."""
        self._sent += 1
        answer = self._waiting[self._sent] = asyncio.get_running_loop().create_future()
        await self._letters.put((self._sent, number, step, value))
        ends: bool = await answer
        return ends

    async def next(self) -> tuple[int, int, int, float]:
        """The next letter, once there is one: its number, the trial, the step and the value."""
        return await self._letters.get()

    async def answer(self, letter: int, ends: bool) -> None:
        """Answer a letter."""
        self._waiting.pop(letter).set_result(ends)


class _Worker:
    """On a node: an objective, and what its trials answered."""

    def __init__(self, maker: FarMaker) -> None:
        import torch

        torch.set_num_threads(1)
        self._folder = TemporaryDirectory(prefix="assay-")
        self._answers = Path(self._folder.name)
        self._objective = maker(self._answers)

    def judge(
        self,
        group: Sequence[Trial],
        seconds: float | None,
        mailbox: Any,  # noqa: ANN401  # an actor's handle
    ) -> tuple[list[Outcome], dict[int, Any]]:
        """The outcomes of a group, and the answers of its completed trials; pruners are asked by the mailbox."""
        prune = None if mailbox is None else partial(_asked, mailbox)
        outcomes = self._objective.judge(group, prune, Budget(seconds), Unwatched())
        done = [outcome.number for outcome in outcomes if outcome.state == "complete"]
        return outcomes, {number: np.array(read_answer(self._answers, number)) for number in done}


def _asked(mailbox: Any, number: int, step: int, value: float) -> bool:  # noqa: ANN401
    ends: bool = require("ray", _PURPOSE).get(mailbox.ask.remote(number, step, float(value)))
    return ends


def check_engine(engine: str, address: str | None) -> None:
    """Refuse an engine that is none, and an address without Ray.

    Raises:
        ConfigError: it is so.
    """
    if engine not in ("local", "ray"):
        raise ConfigError("an engine must be local or ray", f"{engine!r} was given", "Leave --engine out for local.")
    if engine == "local" and address is not None:
        raise ConfigError("an address is that of a Ray cluster", f"{address} is given without --engine ray",
                          "Give --engine ray, or leave --address out.")  # fmt: skip


def connected(address: str | None) -> ModuleType:
    """Ray, connected to the cluster at HOST:PORT; it is never started here.

    Raises:
        MissingExtraError: Ray is not installed.
        ConfigError: nothing answers at the address within seconds, or no node of a cluster is on this machine.
    """
    require_installed("ray", _PURPOSE)
    named = address or os.environ.get("RAY_ADDRESS")
    if not named:
        raise ConfigError("a Ray cluster must be named", "neither --address nor RAY_ADDRESS is given", f"{_START}.")
    _reach(named)
    ray = require("ray", _PURPOSE)  # slow to import, and pointless where nothing listens
    try:
        # Its own log of workers would be mixed with ours; what fails is raised.
        ray.init(address=named, log_to_driver=False, configure_logging=False)
    except ray.exceptions.AuthenticationError:
        raise ConfigError(
            "a Ray cluster must let this process in",
            f"{named} asks for a token, as Ray does once one was made",
            "Set RAY_AUTH_MODE=token here, with the cluster's token in ~/.ray/auth_token or RAY_AUTH_TOKEN; or begin "
            "it with RAY_AUTH_MODE=disabled where nobody else can reach it.",
        ) from None
    except (ConnectionError, RuntimeError, ValueError, OSError, TimeoutError) as error:
        raise _unreachable(named, _last_line(error)) from error
    return ray


def cores_of(ray: ModuleType) -> int:
    """Cores of the cluster, at least one."""
    return max(int(ray.cluster_resources().get("CPU", 1)), 1)


def _reach(address: str) -> None:
    """See that something listens there: Ray itself would try for a minute and more, and may end the process."""
    host, _, port = address.rpartition("://")[2].rpartition(":")
    if not host or not port.isdecimal():
        raise ConfigError("the address of a Ray cluster is HOST:PORT", f"{address!r} was given", f"{_START}.")
    try:
        socket.create_connection((host, int(port)), timeout=_REACH).close()
    except (OSError, OverflowError) as error:
        raise _unreachable(address, str(error)) from None


def _unreachable(address: str, why: str) -> ConfigError:
    return ConfigError(
        "a Ray cluster must run at the address, with a node on this machine",
        f"{address} cannot be reached ({why.rstrip('.')})",
        f"{_START}; on another machine `ray start --address HOST:6379` makes it a node. Or leave --engine ray out.",
    )


def _last_line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1][:300] if lines else type(error).__name__
