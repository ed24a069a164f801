"""Published numbers that the user wants to see beside the scores."""

from __future__ import annotations

from pathlib import Path

from pydantic import ValidationError

from assay.compose.files import read_yaml
from assay.errors import ConfigError, nearest
from assay.evaluate.record import Reference


def read_references(path: Path) -> tuple[Reference, ...]:
    """The published numbers in a YAML or JSON file: a list of `{model, metric, value, source}`.

    Raises:
        ConfigError: the file cannot be read or an entry is not of this shape.
    """
    content = read_yaml(path).content
    example = "Example: - {model: XGBoost, metric: accuracy, value: 0.873, source: 'Gorishniy et al. 2021'}"
    if not isinstance(content, list) or not content:
        raise ConfigError(f"{path.name} must be a list of published numbers", f"it holds {_kind_of(content)}", example)
    return tuple(_reference(entry, position, path, example) for position, entry in enumerate(content, start=1))


def _reference(entry: object, position: int, path: Path, example: str) -> Reference:
    try:
        return Reference.model_validate(entry)
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(str(part) for part in first["loc"])
        hint = nearest(name, Reference.model_fields) if first["type"] == "extra_forbidden" else example
        raise ConfigError(
            f"each entry of {path.name} must have model, metric, value and source",
            f"entry {position}: {name or 'the entry'}: {first['msg']}",
            hint,
        ) from None


def _kind_of(content: object) -> str:
    if isinstance(content, dict | list):
        return "a mapping" if isinstance(content, dict) else "an empty list"
    return "nothing" if content is None else f"the value {content!r}"
