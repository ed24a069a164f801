"""The JSON Schema of a config file, for editors: names, types, ranges, choices and descriptions from the records."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from assay.compose.check import groups
from assay.compose.naming import CHOICE_OF, belonging
from assay.compose.run_config import Option, RunConfig, TableConfig, options
from assay.records import Record

DIALECT = "https://json-schema.org/draft/2020-12/schema"
#: What the language server for YAML reads in the first line of a file.
HEADER = "# yaml-language-server: $schema="

_TIME = r"^\s*(\d+(\.\d+)?|\.\d+)\s*(s|m|min|h)?\s*$"
_TEXT = {"type": "string"}


def json_schema() -> dict[str, Any]:
    """The schema of what `assay fit --config` reads: more than a RunConfig, for files may say `none` and `a,b`.

    A group may be empty, `model` and others may be one word, and an option may be named by its whole key at the top.
    """
    schema = RunConfig.model_json_schema()
    definitions = schema["$defs"]
    for option in options():
        holder, name = _holder(option.key, schema, definitions)
        holder["properties"][name] = _spelled(option, holder["properties"][name])
    for group, record in _records(RunConfig, ""):
        holder, name = _holder(group, schema, definitions)
        holder["properties"][name] = _group(group, holder["properties"][name], record, definitions)
    table = definitions[TableConfig.__name__]
    table["properties"] = {name: _of_the_table(each) for name, each in table["properties"].items()}
    whole_keys = "|".join(group for group in groups() if "." not in group)
    return {
        "$schema": DIALECT,
        "title": "Options of `assay fit --config FILE`",
        "description": "`assay config options` lists them, `assay config check FILE` checks a file.",
        **{key: value for key, value in schema.items() if key not in ("title", "description")},
        "patternProperties": {rf"^({whole_keys})\.": {}},
    }


def _records(record: type[Record], prefix: str) -> Iterator[tuple[str, type[Record]]]:
    """The groups with their records, `data` before `data.split`."""
    for name, field in record.model_fields.items():
        inner = field.annotation
        if isinstance(inner, type) and issubclass(inner, Record):
            yield prefix + name, inner
            yield from _records(inner, f"{prefix}{name}.")


def _holder(key: str, schema: dict[str, Any], definitions: dict[str, Any]) -> tuple[dict[str, Any], str]:
    """The object of the schema that has the key's last name among its properties, and that name."""
    *path, name = key.split(".")
    holder, record = schema, RunConfig
    for part in path:
        inner = record.model_fields[part].annotation
        assert isinstance(inner, type)
        assert issubclass(inner, Record)
        record = inner  # type: ignore[assignment]
        holder = definitions[record.__name__]
    return holder, name


def _spelled(option: Option, said: dict[str, Any]) -> dict[str, Any]:
    """The option as files may spell it; its description names the range, and the networks it belongs to."""
    owner = f" {words[:1].upper()}{words[1:]}." if (words := belonging(option.key)) else ""
    described = f"{option.description} ({option.allowed_in_words}; default: {option.shown_default}){owner}"
    outer = {key: value for key, value in said.items() if key == "default"}
    shape = {key: value for key, value in said.items() if key not in ("default", "description", "title")}
    shapes = shape.pop("anyOf", []) or [shape]
    if option.key == "budget":
        shapes = [*shapes, {**_TEXT, "pattern": _TIME}]
    if "none" in option.words:
        shapes = [*shapes, {"const": "none"}]
    if option.is_list:
        shapes = [*shapes, _TEXT]
    return {"description": described, **outer, **(shapes[0] if len(shapes) == 1 else {"anyOf": shapes})}


def _group(group: str, said: dict[str, Any], record: type[Record], definitions: dict[str, Any]) -> dict[str, Any]:
    """A group of options: its options, nothing, or the word that chooses (`model: tabm`)."""
    reference = {"$ref": said.get("$ref", f"#/$defs/{record.__name__}")}
    shapes: list[dict[str, Any]] = [reference, {"type": "null"}]
    if group in CHOICE_OF:
        chosen = definitions[record.__name__]["properties"][CHOICE_OF[group].rpartition(".")[2]]
        shapes += chosen.get("anyOf", [{key: chosen[key] for key in ("type", "enum") if key in chosen}])
    return {"description": (record.__doc__ or "").partition("\n")[0], "anyOf": shapes}


def _of_the_table(said: dict[str, Any]) -> dict[str, Any]:
    """What the table section says stays as it is typed, so that a class may be called 1."""
    shapes = said.pop("anyOf", None)
    if shapes is None:
        return {**said, "type": [said["type"], "string", "null"]} if "type" in said else said
    return {**said, "anyOf": [*shapes, {"type": ["number", "boolean"]}]}
