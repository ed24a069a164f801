"""YAML files as plain values with the line of every key: YAML 1.2 scalars, no tags, no aliases, no surprises.

PyYAML alone speaks YAML 1.1, in which `no` is false, `3e-4` is a string and `1:30` is 90; column names and class
labels are all of these.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

from assay._imports import require
from assay.errors import ConfigError

LARGEST_FILE = 1_000_000
DEEPEST = 20

_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_./-]*", re.ASCII)
#: Words that some reader of YAML takes for something else than text.
_NOT_TEXT = frozenset({"null", "true", "false", "yes", "no", "on", "off", "y", "n", "none"})
_INT = re.compile(r"[-+]?[0-9]{1,300}", re.ASCII)
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?", re.ASCII)
_WORDS: dict[str, object] = {
    "": None, "~": None, "null": None, "Null": None, "NULL": None,
    "true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False,
}  # fmt: skip


@dataclass
class YamlFile:
    """What a YAML file holds. `lines` gives the line, from 1, of each key by its path: `train.lr`, `data.0.name`."""

    path: Path
    content: object
    lines: dict[str, int] = field(default_factory=dict)

    def place(self, key: str) -> str:
        """Where a key is, in words: `line 12 of exp.yaml`."""
        line = self.lines.get(key)
        return f"line {line} of {self.path.name}" if line else self.path.name


def read_yaml(path: Path, *, as_text: str | None = None) -> YamlFile:
    """Read a YAML (or JSON) file of at most 1 MB; scalars under the top key `as_text` stay as they are typed.

    Raises:
        ConfigError: the file cannot be read, is not YAML, repeats a key, or uses aliases or tags.
    """
    yaml = require("yaml", "Reading a config file")
    text = _read_text(path)
    try:
        _check_events(path, yaml, text)
        node = yaml.compose(text, Loader=_plain_loader())
        reader = _Reader(path, yaml, as_text)
        content = None if node is None else reader.value(node, "")
    except yaml.YAMLError as error:
        raise _not_yaml(path, error) from None
    return YamlFile(path, content, reader.lines)


def _check_events(path: Path, yaml: ModuleType, text: str) -> None:
    """Refuse aliases, which can grow without end, and nesting that would exhaust the stack."""
    depth = 0
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        if isinstance(event, yaml.AliasEvent):
            raise _refused(path, "it uses aliases (*name)", "Write the values out.")
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > DEEPEST:
            raise _refused(path, "it is nested too deeply", "Check that this is the file you meant.")


def as_scalar(text: str) -> str:
    """The text as a YAML scalar that reads back as the same text."""
    if _PLAIN.fullmatch(text) and text.casefold() not in _NOT_TEXT:
        return text
    escaped = (
        f"\\{letter}" if letter in '"\\' else letter if letter.isprintable() else f"\\U{ord(letter):08x}"
        for letter in text
    )
    return f'"{"".join(escaped)}"'


class _Reader:
    """Turns the node graph into plain values and notes the line of each key."""

    def __init__(self, path: Path, yaml: ModuleType, as_text: str | None) -> None:
        self.path = path
        self.lines: dict[str, int] = {}
        self._yaml = yaml
        self._as_text = as_text

    def value(self, node: Any, key: str) -> object:  # noqa: ANN401  # PyYAML has no types
        line = node.start_mark.line + 1
        if not node.tag.startswith("tag:yaml.org,2002:") or node.tag.startswith("tag:yaml.org,2002:python"):
            raise _refused(self.path, f"line {line} has the tag {node.tag!r}", "Tags are not allowed; remove it.")
        if isinstance(node, self._yaml.MappingNode):
            return self._mapping(node, key)
        if isinstance(node, self._yaml.SequenceNode):
            places = [f"{key}.{place}" for place in range(len(node.value))]
            self.lines |= {at: child.start_mark.line + 1 for at, child in zip(places, node.value, strict=True)}
            return [self.value(child, at) for at, child in zip(places, node.value, strict=True)]
        return self._scalar(node, key)

    def _mapping(self, node: Any, key: str) -> dict[str, object]:  # noqa: ANN401
        mapping: dict[str, object] = {}
        for name_node, child in node.value:
            line = name_node.start_mark.line + 1
            if not isinstance(name_node, self._yaml.ScalarNode):
                raise _refused(self.path, f"line {line} has a key that is not a word", "Quote the key.")
            name = str(name_node.value)
            path = f"{key}.{name}" if key else name
            if name in mapping:
                again = f"{path!r} is in line {self.lines[path]} and in line {line}"
                raise ConfigError(f"each key of {self.path.name} must be there once", again, "Remove one of them.")
            self.lines[path] = line
            mapping[name] = self.value(child, path)
        return mapping

    def _scalar(self, node: Any, key: str) -> object:  # noqa: ANN401
        text = str(node.value)
        if node.style is not None:
            return text
        if self._as_text is not None and key.partition(".")[0] == self._as_text:
            return None if text in _WORDS and _WORDS[text] is None else text
        if text in _WORDS:
            return _WORDS[text]
        readers: tuple[tuple[re.Pattern[str], Callable[[str], object]], ...] = ((_INT, int), (_FLOAT, float))
        for pattern, read in readers:
            if pattern.fullmatch(text):
                return read(text)
        return text


@cache
def _plain_loader() -> type:
    """A safe loader that guesses no types: the reader above does, by the rules of YAML 1.2."""
    yaml = require("yaml", "Reading a config file")
    return type("PlainLoader", (yaml.SafeLoader,), {"yaml_implicit_resolvers": {}})


def _read_text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            raw = file.read(LARGEST_FILE + 1)
    except OSError as error:
        raise ConfigError(
            f"{path} must be a file that can be read", f"{error.strerror or error}", "Check the path."
        ) from None
    if len(raw) > LARGEST_FILE:
        raise _refused(path, "it is larger than 1 MB", "Check that this is the file you meant.")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise _refused(path, f"byte {error.start} is not UTF-8", "Save the file as UTF-8.") from None


def _not_yaml(path: Path, error: Exception) -> ConfigError:
    mark = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None) or getattr(error, "reason", None) or str(error).splitlines()[0]
    place = f"line {mark.line + 1}, column {mark.column + 1}: " if mark is not None else ""
    return _refused(path, f"{place}{problem}", "Check the indentation, the colons and the quotes there.")


def _refused(path: Path, came: str, do: str) -> ConfigError:
    return ConfigError(f"{path.name} must be a plain YAML file", came, do)
