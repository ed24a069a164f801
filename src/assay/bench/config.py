"""What a comparison is made of: data sets, configurations and seeds, read from a YAML file and checked as a whole."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated

from pydantic import Field, StringConstraints, ValidationError, field_validator

from assay.compose.files import YamlFile, read_yaml
from assay.compose.run_config import PRESETS, Preset, TableConfig
from assay.data.schema import Kind, Task
from assay.errors import ConfigError, nearest
from assay.records import Record

#: Names are parts of paths: one folder each.
_NAME = r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$"
Name = Annotated[str, StringConstraints(pattern=_NAME)]
Seed = Annotated[int, Field(ge=0, le=2**32 - 1)]
_MOST_RUNS = 100_000


class BenchTable(Record):
    """A data set: a table, its target, and what is said of its columns as in the table section of a config file."""

    name: Name = Field(description="What the data set is called: letters, digits, '_', '-' and '.'.")
    path: str = Field(min_length=1, description="The table: a file or a glob, seen from root.")
    target: str = Field(min_length=1, description="The column to predict.")
    test: str | None = Field(None, min_length=1, description="A file of test rows of its own.")
    valid: str | None = Field(None, min_length=1, description="A file of validation rows of its own.")
    task: Task | None = Field(None, description="What is predicted; inferred from the target when empty.")
    positive: str | None = Field(None, description="The class that counts as positive in a binary task.")
    group: str | None = Field(None, min_length=1, description="Rows with equal values here stay in one part.")
    time: str | None = Field(None, min_length=1, description="The column with the time of a row; splits are in time.")
    weight: str | None = Field(None, min_length=1, description="The column with the weight of a row.")
    drop: tuple[str, ...] = Field((), description="Columns that are left out.")
    kinds: dict[str, Kind] = Field({}, description="What a column holds, where the inferred kind is wrong.")

    def table(self, root: Path) -> TableConfig:
        """The table section of a run on it."""
        said = {name: getattr(self, name) for name in TableConfig.model_fields if name in type(self).model_fields}
        placed = {part: str(root / given) for part, given in self.files.items()}
        return TableConfig.model_validate({**said, **placed})

    @property
    def files(self) -> dict[str, str]:
        """What is read, by the part it is for."""
        named = {"data": self.path, "test": self.test, "valid": self.valid}
        return {part: given for part, given in named.items() if given is not None}


class BenchOptions(Record):
    """A configuration: a preset, a file and options, all optional, as of `assay fit`."""

    name: Name = Field(description="What the configuration is called: letters, digits, '_', '-' and '.'.")
    preset: Preset | None = Field(None, description="Starting values.")
    budget: str | float | None = Field(None, description="Time of one run: 60s, 10m, none; empty is the preset's.")
    config: str | None = Field(None, min_length=1, description="A config file, seen from the file of the comparison.")
    overrides: tuple[str, ...] = Field((), description="Options as KEY=VALUE.")

    @field_validator("overrides", mode="before")
    @classmethod
    def _one_is_a_list_of_one(cls, value: object) -> object:
        return (value,) if isinstance(value, str) else value


class BenchConfig(Record):
    """A whole comparison."""

    data: tuple[BenchTable, ...] = Field(min_length=1, description="The data sets.")
    configs: tuple[BenchOptions, ...] = Field(min_length=1, description="The configurations.")
    seeds: tuple[Seed, ...] = Field((0, 1, 2), min_length=1, description="A run of each configuration for each.")
    overrides: tuple[str, ...] = Field((), description="Options of every configuration, as KEY=VALUE.")
    metric: str | None = Field(None, min_length=1, description="Metric to compare in; empty is each task's own.")
    root: str | None = Field(None, min_length=1, description="Folder of the data; empty is that of this file.")
    out: str | None = Field(None, min_length=1, description="Folder of the results; empty is bench/<file's name>.")
    jobs: int = Field(1, ge=1, le=256, description="Runs at a time, each in a process with its share of the cores.")
    confidence: float = Field(0.95, gt=0.5, lt=1.0, description="Confidence of the intervals and the tests.")
    bootstrap: int = Field(2000, ge=100, le=100_000, description="Bootstrap samples of the data sets.")

    @property
    def runs(self) -> int:
        """How many runs the grid has."""
        return len(self.data) * len(self.configs) * len(self.seeds)


def read_bench(path: Path) -> BenchConfig:
    """The comparison that a YAML file describes.

    Raises:
        ConfigError: the file cannot be read, a key is unknown, a value is wrong, or a name is there twice.
    """
    file = read_yaml(path, as_text="data")
    if not isinstance(file.content, dict):
        raise ConfigError(
            f"{path.name} must describe a comparison",
            f"it holds {'nothing' if file.content is None else 'a list or a single value'}",
            "It needs `data:` with {name, path, target} and `configs:` with {name}: docs/guide/bench.md has one.",
        )
    content = {key: value for key, value in file.content.items() if value is not None}
    try:
        config = BenchConfig.model_validate(content)
    except ValidationError as error:
        raise _refused(file, error) from None
    for what, names in (
        ("data set", [each.name for each in config.data]),
        ("configuration", [each.name for each in config.configs]),
        ("seed", [str(each) for each in config.seeds]),
    ):
        _check_unique(path, what, names)
    if config.runs > _MOST_RUNS:
        raise ConfigError(
            f"a comparison must have at most {_MOST_RUNS:,} runs",
            f"{path.name} has {config.runs:,}",
            "Take fewer.",
        )
    return config


def _check_unique(path: Path, what: str, names: Sequence[str]) -> None:
    counts = Counter(name.casefold() for name in names)  # file systems may not tell Adult from adult
    twice = [name for name in names if counts[name.casefold()] > 1]
    if twice:
        raise ConfigError(
            f"each {what} of {path.name} must be there once", f"{twice[-1]!r} is there twice", "Rename one of them."
        )


def _refused(file: YamlFile, error: ValidationError) -> ConfigError:
    """The first fault with its line, and what may stand there; a key that is unknown before one that is missing."""
    first = min(error.errors(), key=lambda fault: fault["type"] != "extra_forbidden")
    place = first["loc"]
    record, name = _record_of(place)
    where = _where(file, ".".join(str(part) for part in place))
    if first["type"] == "extra_forbidden":
        must = f"every key of {file.path.name} must be known"
        return ConfigError(must, f"{where} has {name!r}", nearest(name, record.model_fields))
    described = record.model_fields[name].description or ""
    if first["type"] == "missing":
        what = f"{name}:" if len(place) == 1 else f"{name}: in each entry of {place[0]}:"
        return ConfigError(f"{file.path.name} must have {what}", f"{where} has none", described)
    said = first["msg"].removeprefix("Value error, ")
    must = f"{name}: in {file.path.name} must be right ({said[:1].lower()}{said[1:]})"
    return ConfigError(must, f"{where} gives {first['input']!r}"[:300], _guess(name, first["input"]) or described)


def _record_of(place: Sequence[int | str]) -> tuple[type[Record], str]:
    """The record that a place of the file is in, and the field's name."""
    records: Mapping[str, type[Record]] = {"data": BenchTable, "configs": BenchOptions}
    if len(place) >= 3 and place[0] in records:
        return records[str(place[0])], str(place[2])
    return BenchConfig, str(place[0])


def _where(file: YamlFile, key: str) -> str:
    """The line of the key, or of the nearest one above it."""
    while key and key not in file.lines:
        key = key.rpartition(".")[0]
    return file.place(key)


def _guess(name: str, given: object) -> str:
    """The choice most likely meant."""
    choices = {"preset": PRESETS, "task": tuple(Task), "kinds": tuple(Kind)}
    return nearest(str(given), choices[name]) if name in choices and isinstance(given, str) else ""
