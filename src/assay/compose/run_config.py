"""The configuration of a run: the options of every stage in one record, and what each option may be."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from types import UnionType
from typing import Annotated, Any, Literal, NamedTuple, Union, get_args, get_origin

import annotated_types
from pydantic import Field, field_validator
from pydantic.fields import FieldInfo

from assay._imports import require
from assay.data.config import DataConfig
from assay.data.schema import Hints, Kind, Task
from assay.errors import ConfigError
from assay.evaluate.config import EvaluateConfig
from assay.models.config import ModelConfig
from assay.records import Record
from assay.search.config import EnsembleConfig
from assay.track.config import TrackConfig
from assay.train.config import TrainConfig

Preset = Literal["quick", "standard", "best"]
Scalar = str | int | float | bool | None

PRESETS: tuple[Preset, ...] = get_args(Preset)

_BUDGET = re.compile(r"(\d+(?:\.\d+)?|\.\d+)\s*(s|m|min|h)?", re.ASCII)
_SECONDS = {None: 1.0, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0}


def parse_budget(text: str | float | None) -> float | None:
    """Seconds from `60s`, `10m`, `1.5h` or `90`; None (no limit) from `none`.

    Raises:
        ConfigError: it is none of these, or not above 0.
    """
    if text is None or (isinstance(text, str) and text.strip().casefold() == "none"):
        return None
    match = None if isinstance(text, bool) else _BUDGET.fullmatch(str(text).strip().casefold())
    seconds = float(match[1]) * _SECONDS[match[2]] if match else 0.0
    if not 0.0 < seconds < float("inf"):
        raise ConfigError(
            "a budget must be a time above 0",
            f"{str(text)!r} was given",
            "Examples: 60s, 10m, 1.5h, 90 (seconds), or none for no limit.",
        )
    return seconds


class TableConfig(Record):
    """Which files and columns a run is about: what `assay fit` takes as arguments, kept in the config file."""

    data: str | None = Field(None, min_length=1, description="The table: a file or a glob of files.")
    test: str | None = Field(None, min_length=1, description="A file of test rows of its own.")
    valid: str | None = Field(None, min_length=1, description="A file of validation rows of its own.")
    target: str | None = Field(
        None, min_length=1, description="The column to predict, or several of 0 and 1 with commas between."
    )
    task: Task | None = Field(None, description="What is predicted; inferred from the target when empty.")
    positive: str | None = Field(None, description="The class that counts as positive in a binary task.")
    group: str | None = Field(None, min_length=1, description="Rows with equal values here stay in one part.")
    time: str | None = Field(None, min_length=1, description="The column with the time of a row; splits are in time.")
    weight: str | None = Field(None, min_length=1, description="The column with the weight of a row.")
    sensitive: tuple[str, ...] = Field((), description="Columns whose groups the report compares; a dropped one, too.")
    drop: tuple[str, ...] = Field((), description="Columns that are left out.")
    kinds: dict[str, Kind] = Field({}, description="What a column holds, where the inferred kind is wrong.")

    @field_validator("target", mode="before")
    @classmethod
    def _several_targets_are_joined(cls, value: object) -> object:
        if not isinstance(value, list | tuple):
            return value
        names = [str(name) for name in value]
        if len(names) > 1 and any("," in name for name in names):
            raise ValueError(f"names of several target columns must be without a comma (got {names})")
        return ",".join(names)

    @field_validator("sensitive", "drop", mode="before")
    @classmethod
    def _one_name_is_a_list_of_one(cls, value: object) -> object:
        return (value,) if isinstance(value, str) else value

    def hints(self) -> Hints:
        """What the table section says about the columns; the target of a source of pictures is their label.

        Raises:
            ConfigError: no target is named.
        """
        target = self.target or (_label_of(self.data) if self.data is not None else None)
        if target is None:
            raise ConfigError(
                "the column to predict must be named",
                "no target was given",
                "Add --target COL, or `target:` in the table section of the config file.",
            )
        return Hints(
            target=target,
            kinds=self.kinds,
            task=self.task,
            positive=self.positive,
            drop=self.drop,
            group=self.group,
            time=self.time,
            weight=self.weight,
            sensitive=self.sensitive,
        )


def _label_of(source: str) -> str | None:
    """The column of labels where the source is one of pictures; folders and archives of pictures name their classes."""
    from assay.data.picture_sources.tables import is_pictures
    from assay.data.pictures.arrays import LABEL  # Polars and NumPy, which the help does without

    return LABEL if is_pictures(source) else None


class RunConfig(Record):
    """Every option of a run. `budget` is in seconds, None for no limit."""

    preset: Preset = Field("quick", description="Starting values, named by their price.")
    seed: int = Field(0, ge=0, le=2**32 - 1, description="Every random choice follows from it.")
    budget: float | None = Field(
        60.0, gt=0.0, description="Time allowed: 60s, 10m, 1.5h, 90 (seconds), or none for no limit."
    )
    table: TableConfig = TableConfig()
    data: DataConfig = DataConfig()
    model: ModelConfig = ModelConfig()
    train: TrainConfig = TrainConfig()
    ensemble: EnsembleConfig = EnsembleConfig()
    evaluate: EvaluateConfig = EvaluateConfig()
    track: TrackConfig = TrackConfig()

    @field_validator("budget", mode="before")
    @classmethod
    def _parse_budget(cls, value: object) -> float | None:
        return parse_budget(value if isinstance(value, (str, int, float)) or value is None else repr(value))


class Option(NamedTuple):
    """One option as help and errors speak of it: `train.lr`, `a number`, 0.002, `above 0, at most 10`, why it is there.

    `allowed` is the range or the choices in words, empty where every value of the type will do; `words` may stand in
    place of a value of the type (`auto`, or `none` for no value).
    """

    key: str
    type: str
    default: Scalar | tuple[str, ...]
    allowed: str
    description: str
    words: tuple[str, ...] = ()

    @property
    def shown_default(self) -> str:
        """The default as one would type it."""
        return _typed(self.default)

    @property
    def allowed_in_words(self) -> str:
        """Type and range or choices: `a number, above 0, at most 10`, `one of mlp, perceptron`."""
        between = " " if self.type in ("one of", "a list of") else ", "
        own = between.join(part for part in (self.type, self.allowed) if part)
        return own if not self.words else f"{own}, or {' or '.join(self.words)}"

    @property
    def is_list(self) -> bool:
        """Whether the option takes several values, separated by commas."""
        return isinstance(self.default, tuple)


def options() -> tuple[Option, ...]:
    """Every option that `key=value` can set, in declared order; the `table` section has arguments of its own."""
    return tuple(_options_of(RunConfig, ""))


def option_of(name: str, field: FieldInfo) -> Option:
    """What the pydantic field says of the option `name`."""
    default = field.get_default(call_default_factory=False)
    inner, words, limits = _parts(field.annotation)
    allowed = _allowed(inner, [*field.metadata, *limits])
    return Option(name, _type_in_words(inner), default, allowed, field.description or "", words)


def flat(config: RunConfig) -> dict[str, Scalar]:
    """The configuration as `{"train.lr": 0.002, ...}`; several values are joined by commas.

    Of the table section only what is set appears.
    """
    pairs = _leaves(_said(config), "")
    return {key: value for key, value in pairs if not (key.startswith("table.") and value in (None, ""))}


def to_yaml(config: RunConfig) -> str:
    """The resolved configuration as YAML that `assay fit --config` takes."""
    yaml = require("yaml", "Writing a config file")
    content = _said(config)
    # PyYAML writes some line ends as they are and reads them back as blanks; escaping all of Unicode keeps them.
    text: str = yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=120)
    if not any(end in text for end in "\x85\u2028\u2029"):
        return text
    escaped: str = yaml.safe_dump(content, sort_keys=False, width=120)
    return escaped


def _said(config: RunConfig) -> dict[str, Any]:
    """Every option with its value; of the network and its training only what was set, for a recipe decides the rest."""
    content = config.model_dump(mode="json")
    for section in ("model", "train"):
        content[section] = getattr(config, section).model_dump(mode="json", exclude_unset=True)
    return content


def _options_of(record: type[Record], prefix: str) -> Iterator[Option]:
    for name, field in record.model_fields.items():
        inner = field.annotation
        if isinstance(inner, type) and issubclass(inner, TableConfig):
            continue
        if isinstance(inner, type) and issubclass(inner, Record):
            yield from _options_of(inner, f"{prefix}{name}.")
        else:
            yield option_of(prefix + name, field)


def _parts(annotation: object) -> tuple[object, tuple[str, ...], list[object]]:
    """The type of `int | Literal["auto"]` or `float | None`, the words beside it, and the limits of the type itself."""
    if get_origin(annotation) not in (Union, UnionType):
        return annotation, (), []
    parts = [part for part in get_args(annotation) if part is not type(None)]
    inner = next((part for part in parts if get_origin(part) is not Literal), parts[0])
    words = [str(choice) for part in parts if part is not inner for choice in get_args(part)]
    limits: list[object] = []
    if get_origin(inner) is Annotated:
        inner, *annotations = get_args(inner)
        limits = [each for note in annotations for each in (note.metadata if isinstance(note, FieldInfo) else [note])]
    if type(None) in get_args(annotation) and inner is not str:  # a text may itself be called none
        words.append("none")
    return inner, tuple(words), limits


def _type_in_words(annotation: object) -> str:
    origin = get_origin(annotation)
    if origin is Literal:
        return "one of"
    if origin is tuple:
        return "a list of"
    if origin is dict:
        return "a mapping"
    if isinstance(annotation, type) and issubclass(annotation, Task):
        return "one of"
    named: dict[object, str] = {bool: "true or false", int: "a whole number", float: "a number", str: "text"}
    return named[annotation]


def _allowed(annotation: object, limits: Sequence[object]) -> str:
    if get_origin(annotation) is tuple:
        annotation = get_args(annotation)[0]
        if annotation is float:
            return "numbers"
    if get_origin(annotation) is Literal:
        return ", ".join(str(choice) for choice in get_args(annotation))
    if isinstance(annotation, type) and issubclass(annotation, Task):
        return ", ".join(annotation)
    return _range_in_words(limits)


def _range_in_words(limits: Sequence[object]) -> str:
    """`from 1 to 10000`, `above 0, at most 10`, `at least 0`: the bounds among the constraints."""
    words = []
    for limit in limits:
        match limit:
            case annotated_types.Ge(ge=bound):
                words.append(f"at least {_typed(bound)}")
            case annotated_types.Gt(gt=bound):
                words.append(f"above {_typed(bound)}")
            case annotated_types.Le(le=bound):
                words.append(f"at most {_typed(bound)}")
            case annotated_types.Lt(lt=bound):
                words.append(f"below {_typed(bound)}")
    return ", ".join(words)


def _typed(value: object) -> str:
    if value is None:
        return "none"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return ",".join(str(part) for part in value)
    return f"{value:g}" if isinstance(value, float) else str(value)


def _leaves(tree: dict[str, object], prefix: str) -> Iterator[tuple[str, Scalar]]:
    for name, value in tree.items():
        key = prefix + name
        if key == "table.kinds" and isinstance(value, dict):
            yield key, ",".join(f"{column}={kind}" for column, kind in value.items())
        elif isinstance(value, dict):
            yield from _leaves(value, f"{key}.")
        elif isinstance(value, list):
            yield key, ",".join(str(part) for part in value)
        else:
            assert value is None or isinstance(value, (str, int, float))
            yield key, value
