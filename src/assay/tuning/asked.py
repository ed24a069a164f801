"""What is asked of a study: how it searches, and what of that can be refused before any data is read, without torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from assay.compose.asking import Asked, asked_in, asked_over
from assay.compose.files import read_yaml
from assay.compose.run_config import RunConfig
from assay.compose.searching import check_words
from assay.data.schema import Task
from assay.errors import ConfigError, nearest
from assay.evaluate.metrics import metrics_of
from assay.search.study.pareto import goals_named
from assay.search.study.pruners import pruning_named
from assay.search.study.ray_executor import check_engine
from assay.search.study.samplers import check_kind
from assay.search.study.space import Setting
from assay.search.study.store import check_url


@dataclass(frozen=True)
class Search:
    """How a study searches; see `assay.tune`."""

    over: Sequence[str] = ()
    space: Path | None = None
    settings: Path | None = None
    sampler: str | None = None
    prune: str | None = None
    trials: int | None = None
    folds: int | None = None
    metric: str | None = None
    jobs: int | None = None
    storage: str | None = None
    fits: bool | None = None
    goals: Sequence[str] = ()
    pick: int | None = None
    ensemble: bool | None = None
    engine: str | None = None
    address: str | None = None

    @property
    def beside_resume(self) -> dict[str, object]:
        """What a study that goes on has already, by the names of its flags; see `changes`."""
        flags = ("over", "space", "settings", "sampler", "prune", "folds", "metric", "jobs", "storage", "engine")
        asked = {name: getattr(self, name) for name in flags}
        return asked | {"objective": ",".join(self.goals), "ensemble": _flag(self.ensemble)}


def _flag(given: bool | None) -> str | None:
    return None if given is None else "yes" if given else "no"


@dataclass(frozen=True)
class Words:
    """What was said of the options to search: each of them, expressions with their places, and a list of settings."""

    asked: tuple[Asked, ...]
    rules: tuple[tuple[str, str], ...] = ()
    listed: tuple[Setting, ...] = ()


def words_of(search: Search) -> Words:
    """The options to search, as they are named on the command line or in a file.

    Raises:
        ConfigError: they cannot be read.
    """
    if search.space is not None:
        asked, rules = asked_in(read_yaml(search.space))
        return Words(tuple(asked), tuple(rules))
    if search.settings is not None:
        listed = _listed(search.settings)
        keys = dict.fromkeys(key for setting in listed for key in setting)
        each = {key: tuple(dict.fromkeys(s[key] for s in listed if key in s)) for key in keys}
        found = [Asked(key, search.settings.name, choices=values, listed=True) for key, values in each.items()]
        return Words(tuple(found), listed=tuple(listed))
    return Words(tuple(asked_over(search.over)))


def _listed(path: Path) -> list[Setting]:
    """The settings in a YAML file: a list of mappings from options to values."""
    content = read_yaml(path).content
    settings = [each for each in content if isinstance(each, dict) and each] if isinstance(content, list) else []
    values = [value for each in settings for value in each.values()]
    if not settings or settings != content or not all(isinstance(value, str | int | float | bool) for value in values):
        raise ConfigError(
            f"{path.name} must be a list of settings",
            "it is not",
            "Example: [{train.lr: 0.001, model.width: 64}, {train.lr: 0.01}]",
        )
    return [dict(each) for each in settings]


def refuse_words(search: Search, config: RunConfig) -> None:
    """Refuse what can be seen to be a mistake without the data, so that nobody waits for it to be read.

    Raises:
        ConfigError: a number, a name, an option or a range cannot be; or two of them do not go together.
    """
    check_engine(search.engine or "local", search.address)
    for name, value, least in (("trials", search.trials, 1), ("folds", search.folds, 0), ("jobs", search.jobs, 1)):
        if value is not None and value < least:
            raise ConfigError(f"--{name} must be {least} or more", f"{value} was given", "Give a larger number.")
    spaces = {"--over": search.over, "--space": search.space, "--settings": search.settings}
    given = [name for name, value in spaces.items() if value]
    if len(given) > 1:
        raise ConfigError("a study has one space", f"{' and '.join(given)} are given", "Leave one of them.")
    if search.storage is not None:
        check_url(search.storage)
    if search.pick is not None:
        raise ConfigError("a trial can be picked when there are trials", f"--pick {search.pick} is for a new study",
                          "Search first, with --no-fit, then `assay tune --resume DIR --pick N`.")  # fmt: skip
    check_kind(search.sampler or "auto")
    pruning_named(search.prune or "none", search.folds or 2)
    _check_metric(search.metric)
    _check_together(search)
    words = words_of(search)
    _check_fairness(search, words, config)
    check_words(words.asked, words.rules, config)


def _check_together(search: Search) -> None:
    """Refuse ways of searching that do not go together.

    Raises:
        ConfigError: there are such.
    """
    goals, prunes = goals_named(search.goals), search.prune not in (None, "none")
    apart = f"--jobs is {search.jobs}" if (search.jobs or 1) > 1 else ""
    apart = "--engine is ray" if search.engine == "ray" else apart
    if apart and "latency" in goals:
        raise ConfigError("latency is measured while nothing else runs", apart, "Leave out that, or latency.")
    if len(goals) > 1 and prunes:
        raise ConfigError("a pruner compares trials by one number", f"--objective has {len(goals)}",
                          "Leave out --prune, or all but score.")  # fmt: skip
    if len(goals) > 1 and search.ensemble:
        raise ConfigError("an ensemble is for the score alone", f"--objective is {','.join(goals)}",
                          "Leave out --ensemble: it costs the time and the size of all its parts.")  # fmt: skip


def _check_fairness(search: Search, words: Words, config: RunConfig) -> None:
    """Refuse trials that lessen gaps between groups in a study that looks at the score alone.

    Raises:
        ConfigError: there are such.
    """
    if "fairness" in goals_named(search.goals):
        return
    said = [f"train.fairness={config.train.fairness}"] if config.train.fairness != "none" else []
    said += [each.place for each in words.asked if each.key.startswith("train.fairness")]
    if said:
        raise ConfigError(
            "a study for the score alone judges no gap between groups", f"{said[0]} trades the score for one",
            "Ask for --objective score,fairness, or leave it out.",
        )  # fmt: skip


def _check_metric(name: str | None) -> None:
    known = list(dict.fromkeys(each.id for task in Task for each in metrics_of(task)))
    if name is not None and name not in known:
        raise ConfigError("trials are judged by a metric of their task", f"{name!r} is one of no task",
                          nearest(name, known))  # fmt: skip
