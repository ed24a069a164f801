"""The grid of a comparison: every run with its whole configuration, checked before anything starts."""

from __future__ import annotations

import glob
import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from assay.bench.config import BenchConfig, BenchOptions, BenchTable
from assay.compose.check import argument_of
from assay.compose.hydra_io import composed
from assay.compose.run_config import RunConfig
from assay.data.reading.read import read
from assay.errors import AssayError, ConfigError, DataError, nearest
from assay.evaluate.metrics import FORECAST_METRICS, METRICS

#: Parts of the path that are the same for all runs of a comparison.
CELLS = "cells"
_BLOCK = 1 << 20
#: Endings of tables, and bytes up to which one is looked into before its runs begin.
_TABLES = frozenset({".csv", ".tsv", ".parquet", ".jsonl", ".arrow", ".feather"})
_LOOKED_INTO = 64_000_000
#: Seconds that a process needs before its first run.
_START = 6.0


@dataclass(frozen=True)
class Cell:
    """One run: of a configuration on a data set with a seed.

    request: hash of all that its result depends on: the options, what is said of the columns, and the contents of the
        files, wherever they are.
    """

    data: str
    config: str
    seed: int
    run: RunConfig
    request: str

    @property
    def name(self) -> str:
        """The cell in words."""
        return f"{self.data}, {self.config}, seed {self.seed}"

    def directory(self, out: Path) -> Path:
        """The run's directory in the folder of the comparison."""
        return out / CELLS / self.data / self.config / f"seed-{self.seed}"

    def result(self, out: Path) -> Path:
        """The file that says how the run ended."""
        return self.directory(out).with_name(f"seed-{self.seed}.json")


@dataclass(frozen=True)
class Grid:
    """Every run of a comparison, seeds innermost last so that all data sets are seen early, and its configurations."""

    cells: tuple[Cell, ...]
    configs: Mapping[str, RunConfig]

    def seconds(self, cells: tuple[Cell, ...], jobs: int) -> float | None:
        """At most how long these runs take: their budgets, shared by the jobs; None where one has no limit."""
        budgets = [cell.run.budget for cell in cells]
        if None in budgets:
            return None
        return sum(budget for budget in budgets if budget is not None) / jobs + (_START if budgets else 0.0)


def grid(bench: BenchConfig, origin: Path, root: Path) -> Grid:
    """The grid of a comparison that was read from `origin`, with data seen from `root`.

    Raises:
        ConfigError: an option of a configuration is wrong, or the metric is unknown.
        DataError: a file is not there, or a table has no column of its target's name.
    """
    check_metric(bench.metric)
    configs = {each.name: _composed(each, bench, origin) for each in bench.configs}
    tables = {each.name: each.table(root) for each in bench.data}
    sums = {each.name: _sums(each, root) for each in bench.data}
    for each in bench.data:
        _check_target(each, root / each.path)
    runs = [
        (data.name, config, seed, _for(configs[config], tables[data.name], seed))
        for seed in bench.seeds
        for config in configs
        for data in bench.data
    ]
    cells = [Cell(data, config, seed, run, _request(run, sums[data])) for data, config, seed, run in runs]
    return Grid(tuple(cells), configs)


def check_metric(name: str | None) -> None:
    """Refuse a metric that no task has.

    Raises:
        ConfigError: there is none of this name.
    """
    known = [metric.id for metrics in (*METRICS.values(), FORECAST_METRICS) for metric in metrics]
    if name is not None and name not in known:
        raise ConfigError(
            "the metric must be one of a task", f"metric: gives {name!r}", nearest(name, dict.fromkeys(known))
        )


def _check_target(table: BenchTable, path: Path) -> None:
    """Refuse a target that a table does not have, before any run would learn of it; large tables are not read for it.

    Raises:
        DataError: the table cannot be read, or does not have the column.
    """
    is_small = path.is_file() and path.stat().st_size <= _LOOKED_INTO
    if not is_small or not _TABLES & set(path.suffixes) or "," in table.target:
        return
    names = read(path).frame.columns
    if table.target not in names:
        raise DataError(
            f"the target of the data set {table.name!r} must be a column of {path.name}", f"{table.target!r} is none",
            nearest(table.target, names),
        )  # fmt: skip


def _composed(options: BenchOptions, bench: BenchConfig, origin: Path) -> RunConfig:
    """The configuration of an entry of `configs:`; what is wrong is said with its name."""
    file = None if options.config is None else origin.parent / options.config
    budget = [] if options.budget is None else [f"budget={options.budget}"]
    try:
        found = composed(
            options.preset, file, [*_not_in(bench.overrides, options.overrides), *options.overrides, *budget]
        )
    except AssayError as error:
        error.add_note(f"It is in the configuration {options.name!r} of {origin.name}.")
        raise
    config = found.config
    where = f"the configuration {options.name!r} sets it"
    if "seed" in found.origins:
        raise ConfigError("seeds are listed under seeds:", where, "Remove it there.")
    if said := [key for key in found.origins if key.startswith("table.")]:
        name = said[0].partition(".")[2]
        do = f"Say it in the entry of data: (as {name}: there), as {argument_of(name)} does for one run."
        raise ConfigError("what is said of a table belongs to data:", f"{where}: {said[0]}", do)
    if config.model.name == "own":
        raise ConfigError(
            "a model of your own needs Python", where, "Compare it with assay.fit(model=...) in a script."
        )
    return config


def _not_in(common: tuple[str, ...], own: tuple[str, ...]) -> Iterator[str]:
    """Those options of all configurations that this one does not set itself."""
    set_here = {override.partition("=")[0].strip() for override in own}
    return (override for override in common if override.partition("=")[0].strip() not in set_here)


def _for(config: RunConfig, table: object, seed: int) -> RunConfig:
    return config.model_copy(update={"table": table, "seed": seed})


# What a result depends on ---------------------------------------------------------------------------------------------


def _request(run: RunConfig, sums: Mapping[str, str]) -> str:
    """The hash of a run's options, seed and columns, and of the contents of its files, without their paths."""
    content = run.model_dump(mode="json", exclude_unset=True)
    content["table"] = run.table.model_dump(mode="json", exclude={"data", "test", "valid"})
    text = json.dumps({"run": content, "files": dict(sums)}, sort_keys=True, ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _sums(table: BenchTable, root: Path) -> dict[str, str]:
    """The hash of each file of a data set, of several that a pattern names, or of a folder.

    Raises:
        DataError: there is none.
    """
    return {part: _sum(table.name, root / given) for part, given in table.files.items()}


def _sum(name: str, path: Path) -> str:
    found = [path] if path.exists() else sorted(map(Path, glob.glob(str(path), recursive=True)))  # noqa: PTH207
    if not found:
        raise DataError(
            f"the files of the data set {name!r} must be there",
            f"{path} is not",
            "Check the path, or name the folder of the data with --data.",
        )
    files = [
        file for each in found for file in (sorted(each.rglob("*")) if each.is_dir() else [each]) if file.is_file()
    ]
    digest = hashlib.sha256()
    for file in files:
        digest.update(f"{file.name}\0{file.stat().st_size}\0".encode())
        with file.open("rb") as opened:
            while block := opened.read(_BLOCK):
                digest.update(block)
    return digest.hexdigest()
