"""What a study that goes on may be asked for anew, and what it was begun with; read without torch."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from assay.errors import ConfigError
from assay.tuning.directory import StudyFile

#: What may be given anew.
OPEN = ("--trials", "--budget", "--fit or --no-fit", "--pick", "--address")


def _space(file: StudyFile) -> str:
    if file.listed:
        return f"with a list of {len(file.listed)} settings"
    searched = "; ".join(f"{each.name} in {each.told()}" for each in file.space.parameters)
    return f"to search {searched}"


def _fixed(file: StudyFile) -> str:
    said = file.request.config.model_dump(mode="json", exclude_unset=True, exclude={"table", "budget", "seed"})
    named = [f"{section}.{key}={value}" for section, own in said.items() if isinstance(own, dict)
             for key, value in own.items()]  # fmt: skip
    return f"with {' '.join(named)}" if named else "without any"


#: What a study was begun with, in words, by the name of what may be given beside `resume`.
_BEGUN: Mapping[str, Callable[[StudyFile], str]] = MappingProxyType(
    {
        "sampler": lambda file: f"with --sampler {file.sampler} ({file.why})",
        "prune": lambda file: f"with --prune {file.pruning}",
        "jobs": lambda file: f"with --jobs {file.jobs}",
        "folds": lambda file: f"with --folds {file.folds}",
        "metric": lambda file: f"with --metric {file.metric}",
        "storage": lambda file: "with a journal in its folder" if file.storage is None else "with another --storage",
        "objective": lambda file: f"with --objective {','.join(file.goals)}",
        "engine": lambda file: f"with --engine {file.engine}",
        "ensemble": lambda file: f"with {'--ensemble' if file.combines else '--no-ensemble'}",
        "over": _space,
        "space": _space,
        "settings": _space,
        "seed": lambda file: f"with --seed {file.seed}",
        "KEY=VALUE": _fixed,
        "config": _fixed,
        "preset": _fixed,
    }
)
#: What is equal to what the study has, and so changes nothing.
_SAME: Mapping[str, Callable[[StudyFile], object]] = MappingProxyType(
    {
        "sampler": lambda file: file.sampler,
        "prune": lambda file: file.pruning,
        "jobs": lambda file: file.jobs,
        "folds": lambda file: file.folds,
        "metric": lambda file: file.metric,
        "storage": lambda file: file.storage,
        "objective": lambda file: ",".join(file.goals),
        "engine": lambda file: file.engine,
        "ensemble": lambda file: "yes" if file.combines else "no",
        "seed": lambda file: file.seed,
    }
)
_FLAGS: Mapping[str, str] = MappingProxyType({"data": "DATA", "kinds": "--as", "KEY=VALUE": "KEY=VALUE"})


def refuse_changes(file: StudyFile, asked: Mapping[str, object]) -> None:
    """Refuse what cannot change once a study has trials: they would not be those of one study.

    Args:
        file: of the study.
        asked: what is given beside `resume`, by the name of its flag; what is empty or as it was is no change.

    Raises:
        ConfigError: something would change; what the study was begun with is named.
    """
    given = {name: value for name, value in asked.items() if value not in (None, (), [], {}, "", False)}
    changed = [name for name, value in given.items() if name not in _SAME or _SAME[name](file) != value]
    if not changed:
        return
    named = ", ".join(_FLAGS.get(name, f"--{name.replace('_', '-')}") for name in changed)
    begun = dict.fromkeys(_BEGUN[name](file) for name in changed if name in _BEGUN)
    was = f"; it was begun {' and '.join(begun)}" if begun else ""
    raise ConfigError(
        "a study goes on the way it was begun",
        f"{named} {'is' if len(changed) == 1 else 'are'} given beside --resume{was}",
        f"Leave that out, or begin a new study; {', '.join(OPEN)} may be given anew.",
    )
