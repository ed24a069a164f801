"""What a run is asked for: sources, what is said of the columns, and one checked configuration."""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from assay.compose.check import checked_table
from assay.compose.hydra_io import compose
from assay.compose.run_config import RunConfig
from assay.data.schema import Hints
from assay.errors import ConfigError
from assay.evaluate.record import Reference


@dataclass(frozen=True)
class Request:
    """Sources (paths or objects) and a configuration whose table section says what is known of the columns.

    model: a model of the user's own, or None.
    """

    data: Any
    test: Any
    valid: Any
    config: RunConfig
    references: tuple[Reference, ...]
    model: object = None

    @property
    def hints(self) -> Hints:
        """What is said of the columns."""
        return self.config.table.hints()

    @property
    def name(self) -> str:
        """What the run is called after: the file's stem, or `frame`."""
        is_path = isinstance(self.data, str | os.PathLike)
        return Path(self.data).name.split(".")[0] or "run" if is_path else "frame"

    @property
    def command(self) -> str:
        """The request as a command line (objects are shown by their type)."""
        return " ".join(["assay", "fit", *_words(self)])


def resolve(
    config: str | os.PathLike[str] | RunConfig | None,
    preset: str | None,
    overrides: Sequence[str],
    *,
    budget: float | str | None,
    seed: int | None,
    strict: bool,
) -> RunConfig:
    """One checked configuration from a preset, a file and `key=value`; a RunConfig is taken as it is.

    Raises:
        ConfigError: an option is unknown or out of range, or something is given beside a RunConfig.
    """
    named = {"budget": budget, "seed": seed, "data.audit.strict": "true" if strict else None}
    flags = [f"{key}={value}" for key, value in named.items() if value is not None]
    if not isinstance(config, RunConfig):
        return compose(preset, None if config is None else Path(config), [*flags, *overrides])
    if preset is not None or flags or overrides:
        raise ConfigError(
            "a RunConfig is complete",
            "a preset, budget, seed, strict or overrides were given beside it",
            "Put them into the RunConfig, or pass config as a file.",
        )
    return config


def with_table(config: RunConfig, said: Mapping[str, object]) -> RunConfig:
    """The configuration with what was said of the table laid over its table section.

    Raises:
        ConfigError: a kind, a task or a name is not valid, or there is no target.
    """
    given = {name: value for name, value in said.items() if value not in (None, (), {})}
    checked = checked_table(given, "assay.fit")
    table = config.table.model_copy(update={name: getattr(checked, name) for name in given})
    table.hints()  # refuses a missing target before anything is read
    return config.model_copy(update={"table": table})


def _words(request: Request) -> list[str]:
    """The request as words of a command line."""
    hints, sources = request.hints, {"--test": request.test, "--valid": request.valid}
    words = [_shown(request.data), "--target", shlex.quote(hints.target)]
    for flag, source in sources.items():
        words += [flag, _shown(source)] if source is not None else []
    single = {"--group": hints.group, "--time": hints.time, "--weight": hints.weight, "--positive": hints.positive}
    for flag, value in single.items():
        words += [flag, shlex.quote(value)] if value is not None else []
    for flag, values in {"--drop": hints.drop, "--sensitive": hints.sensitive}.items():
        words += [word for value in values for word in (flag, shlex.quote(value))]
    words += [word for name, kind in hints.kinds.items() for word in ("--as", shlex.quote(f"{name}={kind}"))]
    words += [f"<model {type(request.model).__name__}>"] if request.model is not None else []
    return words + (["--task", hints.task.value] if hints.task else [])


def _shown(source: Any) -> str:  # noqa: ANN401
    return shlex.quote(str(source)) if isinstance(source, str | os.PathLike) else f"<{type(source).__name__}>"
