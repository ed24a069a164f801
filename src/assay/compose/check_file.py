"""A config file checked to its end: every fault it has, not only the first."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from assay.compose.check import groups, refuse_value
from assay.compose.files import YamlFile, read_yaml
from assay.compose.hydra_io import Composed, composed, file_layer, nested
from assay.compose.run_config import RunConfig
from assay.errors import ConfigError

_SIGNS_OF_A_PATTERN = frozenset("*?[")


@dataclass(frozen=True)
class CheckedFile:
    """What a config file holds, None where it has faults, and each fault with its line."""

    path: Path
    composed: Composed | None
    faults: tuple[ConfigError, ...]

    @property
    def options(self) -> int:
        """How many options the file sets, those of the table included."""
        return 0 if self.composed is None else sum(each.kind == "file" for each in self.composed.origins.values())

    @property
    def missing(self) -> tuple[str, ...]:
        """Files that the table section names and that are not there, seen from the working directory."""
        if self.composed is None:
            return ()
        table = self.composed.config.table
        named = [name for name in (table.data, table.test, table.valid) if name is not None]
        return tuple(name for name in named if not _SIGNS_OF_A_PATTERN & {*name} and not Path(name).exists())


def check_file(path: Path) -> CheckedFile:
    """Check every entry of the file by itself, and all of them together where each is right.

    Raises:
        ConfigError: the file cannot be read, or is not plain YAML.
    """
    file = read_yaml(path, as_text="table")
    faults: list[ConfigError] = []
    for entry in _entries(file.content, "") if isinstance(file.content, dict) else ():
        try:
            _check_alone(YamlFile(path, entry, file.lines))
        except ConfigError as error:
            faults.append(error)
    if faults:
        return CheckedFile(path, None, tuple(faults))
    try:
        return CheckedFile(path, composed(None, path), ())
    except ConfigError as error:
        return CheckedFile(path, None, (error,))


def _entries(content: Mapping[str, object], prefix: str) -> Iterator[dict[str, object]]:
    """Each option of the file as a file of its own."""
    for name, value in content.items():
        key = prefix + name
        if isinstance(value, dict) and key in groups():
            yield from _entries(value, f"{key}.")
        elif isinstance(value, dict) and key == "table":
            for inner, each in value.items():
                yield {key: {inner: each}}
        else:
            yield nested({key: value}) if prefix else {key: value}


def _check_alone(file: YamlFile) -> None:
    """Refuse an unknown name, and a value that is wrong whatever the others are."""
    layer = file_layer(file)
    try:
        RunConfig.model_validate(nested(layer.leaves))
    except ValidationError as error:
        refused = [(key, fault) for fault in error.errors() for key in layer.leaves if _is_about(key, fault["loc"])]
        for key, fault in refused:
            if "${" not in str(fault["input"]):  # what another option gives is known when all are together
                refuse_value(key, layer.leaves[key], layer.places[key])


def _is_about(key: str, place: tuple[int | str, ...]) -> bool:
    """Whether a fault is of the option itself or of something in it, not of a group that it is in."""
    parts = tuple(key.split("."))
    return place[: len(parts)] == parts
