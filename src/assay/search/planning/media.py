"""Which networks are trained for pictures, texts that are read word by word, series, and windows to forecast from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType

from assay.data.schema import Schema
from assay.errors import ConfigError
from assay.models.config import SERIES, Augment
from assay.search.planning.jobs import PASSES, Job, Plan, Wanted, is_text

#: Networks of series in the order they are taken, what a step of a series costs in one pass of one member, folds of few
#: series, and the share of the time that is theirs.
_SERIES_KINDS = ("fcn", "inception")
_A_STEP: Mapping[str, float] = MappingProxyType({"fcn": 2.5e-5, "inception": 1.2e-4})
_CHANGES_OF_SERIES: Augment = "warp"
#: Passes of the networks of series from which one is trained a second time, on changed series.
_PASSES_TO_TRY = 60
_FOLDS_OF_SERIES, _FEW_SERIES, _SHARE_OF_SERIES = 5, 3000, 0.6
#: What a word costs in one pass of one member of the network of words that is taken unasked, from how many passes on it
#: is worth its time, and the share of the time that is at most its own.
_TEXT_NETWORK = "text_cnn"
_A_WORD, _PASSES_OF_TEXTS, _SHARE_OF_TEXTS = 3e-5, 10, 0.35
#: Networks that forecast in the order they are taken, what a window costs in one pass of all members and what each of
#: its steps does, and the share of the time that is theirs.
_FORECAST_KINDS = ("dlinear", "gru", "patchtst")
_A_WINDOW, _A_WINDOWS_STEP = 2e-5, MappingProxyType({"dlinear": 1e-7, "gru": 2e-6, "patchtst": 8e-6})
_SHARE_OF_FORECAST = 0.8


def plan_pictures(wanted: Wanted) -> Plan:
    """One network from scratch; a pretrained one stands beside it where there is any."""
    names, reason = wanted.named or (("cnn",), "one network of pictures from scratch")
    folds = wanted.ensemble.folds
    if "timm" in names and folds > 1:
        raise ConfigError(
            "a network of timm is trained alone", f"ensemble.folds={folds} asks for one a fold",
            "Leave ensemble.folds out.",
        )  # fmt: skip
    jobs = tuple(wanted.job(name, 1.0 / len(names), 1) for name in names)
    return Plan(jobs, folds or 1, reason, "networks of pictures take the time of one split")


def plan_words(wanted: Wanted) -> Plan:
    """The networks that were named, of which one at least reads words: one of each."""
    assert wanted.named is not None
    names, reason = wanted.named
    jobs = tuple(wanted.job(name, 1.0 / len(names), 1) for name in names)
    return Plan(jobs, wanted.ensemble.folds or 1, reason, "networks of words take the time of one split")


def suits_words(words: float, schema: Schema, seconds: float) -> bool:
    """Whether rows are texts alone and there is the time for enough passes over so many words, of all folds."""
    return is_text(schema) and words * _A_WORD * _PASSES_OF_TEXTS <= _SHARE_OF_TEXTS * seconds


def network_of_words(wanted: Wanted) -> Job:
    """The network that reads texts word by word beside those of tables."""
    return wanted.job(_TEXT_NETWORK, _SHARE_OF_TEXTS / (1.0 - _SHARE_OF_TEXTS), 1)


def plan_series(wanted: Wanted, steps: int) -> Plan:
    """Networks that read series, as many as there is the time for: random convolutions stand beside them anyway.

    steps: of the longest series.
    """
    rows, is_short = wanted.rows, wanted.rows < _FEW_SERIES and wanted.schema.time is None
    folds = wanted.ensemble.folds or (_FOLDS_OF_SERIES if is_short else 1)
    why = "" if folds > 1 else f"{rows:,} series are enough for one split"
    names, reason = wanted.named or _affordable(rows * steps * folds, wanted.seconds)
    members = 1 if folds > 1 else 2
    jobs = [_unchanged(wanted.job(name, 1.0 / len(names), members)) for name in names]
    if wanted.model.augment == "auto" and not wanted.train.series.model_fields_set and folds > 1:
        jobs += _again_changed(jobs, rows * steps * folds, wanted.seconds)
        reason += ", one of them on changed series too" * (len(jobs) > len(names))
    spare = () if jobs else (_unchanged(wanted.job(_SERIES_KINDS[0], 1.0, 1)),)
    return Plan(tuple(jobs), folds, reason, why, spare)


def _affordable(steps: int, seconds: float) -> tuple[Sequence[str], str]:
    """The networks for which there is the time, with so many steps of all series and folds in a pass, and why these."""
    left, names = seconds * _SHARE_OF_SERIES, []
    for name in _SERIES_KINDS:
        needed = steps * _A_STEP[name] * PASSES
        if needed <= left:
            names.append(name)
            left -= needed
    return names, f"networks of series for which {seconds:.0f} s of training are enough"


def _unchanged(job: Job) -> Job:
    """The job on series as they are, where nothing else was said."""
    is_open = job.model.name in SERIES and job.model.augment == "auto"
    return replace(job, model=job.model.model_copy(update={"augment": "none"})) if is_open else job


def _again_changed(jobs: Sequence[Job], steps: int, seconds: float) -> list[Job]:
    """The cheapest network once more, on changed series, where the time is long: the weights choose between both."""
    able = [job for job in jobs if job.name in _A_STEP]
    if not able or sum(steps * _A_STEP[job.name] for job in able) * _PASSES_TO_TRY > seconds * _SHARE_OF_SERIES:
        return []
    first = min(able, key=lambda job: _A_STEP[job.name])
    changed = first.model.model_copy(update={"augment": _CHANGES_OF_SERIES})
    return [replace(first, name=f"{first.name} on changed series", model=changed)]


def plan_forecast(wanted: Wanted) -> Plan:
    """Networks that forecast, the quickest first, as many as there is the time for; the latest windows judge."""
    assert wanted.schema.windowing is not None
    rows, steps = wanted.rows, wanted.rows * wanted.schema.windowing.length
    left, names = wanted.seconds * _SHARE_OF_FORECAST, []
    for name in _FORECAST_KINDS:
        needed = rows * _A_WINDOW * PASSES + steps * _A_WINDOWS_STEP[name] * PASSES
        if needed <= left or name == _FORECAST_KINDS[0]:
            names.append(name)
            left -= needed
    enough = names, f"networks that forecast for which {wanted.seconds:.0f} s of training are enough"
    chosen, reason = wanted.named or enough
    jobs = [wanted.job(name, 1.0 / len(chosen), 1 if name == "dlinear" else 2) for name in chosen]
    return Plan(tuple(map(_unchanged, jobs)), 1, reason, "the latest windows judge best")
