"""What a run is asked for: sources, what is said of the columns, and one checked configuration.

A run keeps it in `request.json` while it is made, with the sums of what was read, so that another process can go on.
"""

from __future__ import annotations

import glob
import hashlib
import os
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from pydantic import field_serializer

from assay.compose.check import checked_table
from assay.compose.hydra_io import compose
from assay.compose.run_config import RunConfig
from assay.data.reading.arrays import Arrays
from assay.data.reading.read import Table
from assay.data.schema import Hints
from assay.errors import ConfigError, DataError
from assay.evaluate.record import Reference, Resumption
from assay.ledger import Verdict
from assay.records import Record
from assay.train.state import standing
from assay.version import __version__
from assay.workspace import REQUEST, Workspace, call_to_resume, partial_of, unfinished


@dataclass(frozen=True)
class Request:
    """Sources (paths or objects) and a configuration whose table section says what is known of the columns.

    model: a model of the user's own, or None. verdicts: what a search of settings before it tells the ledger.
    """

    data: Any
    test: Any
    valid: Any
    config: RunConfig
    references: tuple[Reference, ...]
    model: object = None
    verdicts: tuple[Verdict, ...] = ()

    @property
    def hints(self) -> Hints:
        """What is said of the columns."""
        return self.config.table.hints()

    @property
    def name(self) -> str:
        """What the run is called after: the file's stem, or `frame`, or `arrays`."""
        if isinstance(self.data, Arrays):
            return "arrays"
        is_path = isinstance(self.data, str | os.PathLike)
        return Path(self.data).name.split(".")[0] or "run" if is_path else "frame"

    @property
    def sources(self) -> dict[str, Any]:
        """What the run is made from, by the part it is for; None where nothing was given."""
        return {"data": self.data, "test": self.test, "valid": self.valid, "model": self.model}

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


def with_slices(config: RunConfig, slices: Sequence[str]) -> RunConfig:
    """The configuration with more subgroups to score; what they say is checked when the columns are known."""
    if not slices:
        return config
    every = tuple(dict.fromkeys((*config.evaluate.slices, *slices)))
    return config.model_copy(update={"evaluate": config.evaluate.model_copy(update={"slices": every})})


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
    hints, table = request.hints, request.config.table
    words = [_shown(request.data, table.data), "--target", shlex.quote(hints.target)]
    for flag, source, given in (("--test", request.test, table.test), ("--valid", request.valid, table.valid)):
        words += [flag, _shown(source, given)] if source is not None else []
    single = {"--group": hints.group, "--time": hints.time, "--weight": hints.weight, "--positive": hints.positive}
    for flag, value in single.items():
        words += [flag, shlex.quote(value)] if value is not None else []
    for flag, values in {"--drop": hints.drop, "--sensitive": hints.sensitive}.items():
        words += [word for value in values for word in (flag, shlex.quote(value))]
    words += [word for name, kind in hints.kinds.items() for word in ("--as", shlex.quote(f"{name}={kind}"))]
    words += [f"<model {type(request.model).__name__}>"] if request.model is not None else []
    words += [word for text in request.config.evaluate.slices for word in ("--slice", shlex.quote(text))]
    horizon = request.config.data.horizon
    words += ["--horizon", str(horizon)] if horizon else []
    return words + (["--task", hints.task.value] if hints.task else [])


def _shown(source: Any, given: str | None) -> str:  # noqa: ANN401
    """A path as it was given, which a run that goes on may read from another directory; an object by its type."""
    return shlex.quote(given or str(source)) if isinstance(source, str | os.PathLike) else f"<{type(source).__name__}>"


# A run that goes on ---------------------------------------------------------------------------------------------------


class SourceFile(Record):
    """A source as a run remembers it: where it is, how it was called, and what was in it when it was read.

    `path` is absolute, or None for an object that only its caller has; a model has no rows.
    """

    path: str | None
    given: str
    bytes: int | None
    rows: int | None = None
    sha256: str | None = None


class RequestFile(Record):
    """`request.json`: all that another process needs to go on with a run; `objects` names sources without a path."""

    format: int = 1
    versions: dict[str, str]
    started: str
    config: RunConfig
    references: tuple[Reference, ...]
    objects: tuple[str, ...]
    sources: dict[str, SourceFile]
    resumed: tuple[Resumption, ...] = ()
    verdicts: tuple[Verdict, ...] = ()

    @field_serializer("config")
    def _only_what_was_set(self, config: RunConfig) -> dict[str, Any]:
        """What was not set must not look as if it had been when it is read again: recipes fill it in."""
        return config.model_dump(mode="json", exclude_unset=True)

    @property
    def used(self) -> float:
        """Seconds of the run that were gone when it was last taken up."""
        return self.resumed[-1].seconds if self.resumed else 0.0

    def identity(self, config: RunConfig) -> dict[str, str]:
        """What a checkpoint must have in common with the run that goes on from it.

        `config` is the configuration with what a model of the user's own turned out to be.
        """
        sums = [f"{part} {source.sha256}" for part, source in self.sources.items()]
        named = {"configuration": config.model_dump_json(exclude_unset=True), "data": "\n".join(sums)}
        return {name: hashlib.sha256(text.encode()).hexdigest() for name, text in named.items()}


def remembered(resume: str | os.PathLike[str], sources: Mapping[str, Any], said: Mapping[str, object]) -> Request:
    """The request of an unfinished run; what only its caller has is taken from `sources`.

    Args:
        resume: the run.
        sources: objects given again, by part.
        said: what else was said beside it; only the same target may be.

    Raises:
        ConfigError: there is no such run, it is of another version, or something is given that it has itself.
        DataError: a file has another size now.
        BundleError: its request cannot be read.
    """
    final = unfinished(Path(resume))
    if not (partial_of(final) / REQUEST).is_file():
        came = f"{str(final)!r} was ended before it had written down what was asked for"
        raise ConfigError("there must be something to go on with", came, "Start the run again as before.")
    file = RequestFile.read(partial_of(final) / REQUEST)
    return recalled(file, final, sources, said, call_to_resume(final, file.objects))


def recalled(
    file: RequestFile, final: Path, sources: Mapping[str, Any], said: Mapping[str, object], call: str
) -> Request:
    """The request that a file remembers, with what only its caller has taken from `sources`.

    Args:
        file: the request as it was written down.
        final: the directory of the run or the study, for errors.
        sources: objects given again, by part.
        said: what else was said beside it; only the same target may be.
        call: the call in Python that gives the objects again.

    Raises:
        ConfigError: it is of another version, or something is given that it has itself, or not given that it lacks.
        DataError: a file has another size now.
    """
    _check_versions(file, final)
    _check_sizes(file)
    given = {name for name, value in said.items() if not (value is None or value is False or value in ((), [], {}))}
    target = said.get("target")
    if (",".join(target) if isinstance(target, tuple) else target) == file.config.table.target:
        given -= {"target"}
    given |= {part for part, source in sources.items() if source is not None and part not in file.objects}
    if given:
        raise ConfigError(
            "a run that goes on has all that was asked for in its own request",
            f"{', '.join(sorted(given))} {'is' if len(given) == 1 else 'are'} given beside resume",
            "Leave that out, or start a new run.",
        )
    for part in file.objects:
        if sources.get(part) is None or isinstance(sources[part], str | os.PathLike):
            raise ConfigError(
                f"{part} must be given again, for it was {file.sources[part].given} and no file",
                "it is not there" if sources.get(part) is None else "a path is given",
                f"In Python: {call}.",
            )
    found = {part: sources[part] if source.path is None else _path(source) for part, source in file.sources.items()}
    return Request(
        found["data"], found.get("test"), found.get("valid"), file.config, file.references, found.get("model"),
        file.verdicts,
    )  # fmt: skip


def begin(work: Workspace, request: Request) -> list[str]:
    """Write down what the run is asked for, or that it goes on; what the user should know of it.

    Raises:
        BundleError: the request of the run that goes on cannot be read.
    """
    if not work.resumed:
        work.write(REQUEST, written(request).to_json())
        return []
    file, stands = RequestFile.read(work.directory / REQUEST), standing(work.checkpoints)
    again = Resumption(at=_now(), step=stands.steps, seconds=stands.used)
    work.write(REQUEST, file.model_copy(update={"resumed": (*file.resumed, again)}).to_json())
    if not stands.steps:
        return ["the run begins anew, for it had written no checkpoint yet"]
    return [f"the run goes on from step {stands.steps:,}, after {stands.used:.0f} s"]


def written(request: Request) -> RequestFile:
    """The request as it is written down."""
    given = {part: source for part, source in request.sources.items() if source is not None}
    return RequestFile(
        versions=_versions(),
        started=_now(),
        config=request.config,
        references=request.references,
        objects=tuple(part for part, source in given.items() if not isinstance(source, str | os.PathLike)),
        sources={part: _source(source) for part, source in given.items()},
        verdicts=request.verdicts,
    )


def recognised(work: Workspace, tables: Mapping[str, Table | None]) -> RequestFile:
    """The request with the sums of what was read, which are written down the first time and compared afterwards.

    Raises:
        DataError: a source is not what it was.
    """
    file = summed(RequestFile.read(work.directory / REQUEST), tables)
    work.write(REQUEST, file.to_json())
    return file


def summed(file: RequestFile, tables: Mapping[str, Table | None]) -> RequestFile:
    """The request with the sums of what was read; those that it has already are compared.

    Raises:
        DataError: a source is not what it was.
    """
    sources = {}
    for part, source in file.sources.items():
        table = tables.get(part)
        if table is None:
            sources[part] = source
            continue
        if source.sha256 not in (None, table.source.sha256):
            raise DataError(
                "a run must go on with the data it began with",
                f"{source.path or part} has other contents now ({table.source.rows:,} rows, then {source.rows:,})",
                f"Put the {'file' if source.path else 'table'} back as it was, or start a new run.",
            )
        sources[part] = source.model_copy(update={"rows": table.source.rows, "sha256": table.source.sha256})
    return file.model_copy(update={"sources": sources})


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _check_versions(file: RequestFile, final: Path) -> None:
    for package, now in _versions().items():
        then = file.versions.get(package)
        if then != now:
            raise ConfigError(
                f"a run must go on with the {package} it began with",
                f"{str(final)!r} was begun with {package} {then}, and this is {now}",
                "Install that version to go on, or start a new run.",
            )


def _versions() -> dict[str, str]:
    """What the numbers of a training depend on to the last bit."""
    return {"assay": __version__, "torch": version("torch")}


def _check_sizes(file: RequestFile) -> None:
    """Refuse at once what reading would refuse later."""
    for source in file.sources.values():
        size = None if source.path is None else _size(source.path)
        if size is not None and size != source.bytes:
            raise DataError(
                "a run must go on with the data it began with",
                f"{source.path} has {size:,} bytes now, and had {source.bytes or 0:,}",
                "Put the file back as it was, or start a new run.",
            )


def _size(path: str) -> int | None:
    """Bytes of the file, or of the files of a pattern; None where there is none."""
    names = [path] if Path(path).exists() else glob.glob(path, recursive=True)  # noqa: PTH207  # takes absolute patterns
    return sum(Path(name).stat().st_size for name in names) if names else None


def _source(source: Any) -> SourceFile:  # noqa: ANN401
    if isinstance(source, Arrays):
        return SourceFile(path=None, given="a pair of arrays", bytes=None)
    if not isinstance(source, str | os.PathLike):
        kind = source if isinstance(source, type) else type(source)
        return SourceFile(path=None, given=f"a {kind.__module__.partition('.')[0]} {kind.__name__}", bytes=None)
    path = os.path.abspath(source)  # noqa: PTH100  # links stay links, and a pattern is no path
    return SourceFile(path=path, given=os.fspath(source), bytes=_size(path))


def _path(source: SourceFile) -> str:
    """The path as it was given where it still leads there, so that the report calls the file by the same name."""
    assert source.path is not None
    return source.given if os.path.abspath(source.given) == source.path else source.path  # noqa: PTH100
