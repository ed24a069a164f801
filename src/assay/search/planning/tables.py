"""Which networks are trained for rows of numbers, categories and texts, how many of each, and in how many folds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

from assay.data.schema import Schema, Task
from assay.models.config import ModelConfig
from assay.search.planning.jobs import PASSES, Job, Plan, Wanted, has_texts, is_text, may_be_plain, useless_options
from assay.search.planning.media import network_of_words, suits_words

#: What a member costs beside the first, and what a row costs in one pass of one member, in seconds as measured on two
#: cores of a server: a guess that decides how many members there are, not how long they train.
_A_MEMBER_MORE = 0.7
_A_ROW: Mapping[str, float] = MappingProxyType(
    {"perceptron": 9e-6, "mlp": 22e-6, "resnet": 65e-6, "ft_transformer": 2200e-6, "realmlp": 62e-6, "tabm": 240e-6,
     "tabm_mini": 180e-6}
)  # fmt: skip
_A_ROW_OF_OTHERS = 1e-4
#: Passes over the rows from which folds are worth more than more passes.
_PASSES_OF_FOLDS = 25
#: Folds for small tables with the variants of each, the best first; variants of a single split; rows without folds.
_FOLDS, _MEMBERS, _NO_FOLDS_FROM = ((8, 4), (8, 2), (5, 2)), (8, 4, 3, 2, 1), 100_000
#: Shares of the time beside each other; for numbers and many classes the plain network is rarely the better one.
_SHARES: Mapping[str, float] = MappingProxyType({"tabm": 1.2, "tabm_mini": 1.1})
_SHARE_OF_MLP = 0.3
#: The time of the plain network on plain numbers beside its own; it is taken from all alike, and is mostly not needed.
_SHARE_OF_PLAIN = 0.5
#: Seconds of training from which a third network is worth its time.
_LONG = 150.0
#: Folds, the most first, that leave a network that reads words the time it needs.
_FEWER_FOLDS = (5, 3, 2, 1)
_WORDS_TAKE_IT = "a network that reads the words takes the time of the folds"
_TUNED = "a text encoder is trained further, which takes the time of the folds"
#: Members of the first network that come before another kind of network.
_ENOUGH = 4
#: Networks whose members have heads that answer each for itself.
_OF_HEADS = frozenset({"tabm", "tabm_mini"})


@dataclass(frozen=True)
class Folds:
    """How many folds, and how many variants of a network in each; None for as many members as there is the time for."""

    count: int
    variants: int | None
    why_none: str = ""


def plan_table(wanted: Wanted, *, has_encoder: bool, tunes: bool, words: float) -> Plan:
    """Networks of tables, each with and without the texts where there are any, and one that reads the words.

    Where rows have numbers and no texts, the plain network comes first, on widened and on plain numbers, and says which
    of them the others have.
    """
    schema, is_open = wanted.schema, wanted.named is None
    names, reason = _names(wanted, hears_little=not has_encoder and is_text(schema))
    twice = is_open and reads_twice(wanted.schema, wanted.model)
    times = _times(names, schema, wanted.seconds / (1 + twice))
    folds = Folds(1, None, _TUNED) if tunes else _folds(wanted, times)
    if folds.count == 1 and is_open and not has_texts(schema):
        names, folds, reason = _in_folds_rather(wanted, names, folds, reason)
        times = _times(names, schema, wanted.seconds)
    adds_words = words > 0.0 and is_open
    if adds_words and not has_encoder:
        folds = _fewer_for_words(folds, words, wanted)
    jobs = []
    for name in names:
        members = _variants(name, folds.variants) if folds.variants else _members(wanted.rows, name, times[name])
        jobs.append(wanted.job(name, times[name] / wanted.seconds, members))
        if twice:
            jobs.append(_without_texts(jobs[-1]))
    reason += ", each with and without the texts" * twice
    if _tries_plain(names, wanted):
        jobs = _led_by_mlp(jobs)
        reason += ", after the mlp has tried plain numbers"
    if adds_words and suits_words(wanted.rows * words * folds.count, schema, wanted.seconds):
        jobs.append(network_of_words(wanted))
        reason += ", and one that reads the texts word by word"
    return Plan(tuple(jobs), folds.count, reason, folds.why_none)


def cost(rows: int, name: str, members: int, passes: int) -> float:
    """Seconds of that many passes of a network with its members, as a guess."""
    return rows * _A_ROW.get(name, _A_ROW_OF_OTHERS) * passes * (1.0 + _A_MEMBER_MORE * (members - 1))


def _names(wanted: Wanted, *, hears_little: bool) -> tuple[Sequence[str], str]:
    """The recipes, and why these."""
    if wanted.named is not None:
        return wanted.named
    seconds = wanted.seconds
    if hears_little:  # a few hashed words: what can be learned from them is learned soon, and little it is
        return ("mlp",), "one kind of network for texts that no encoder reads"
    if seconds >= _LONG:
        kinds: tuple[str, ...] = ("realmlp", "mlp", "tabm")
    elif wanted.schema.task is not Task.BINARY and cost(wanted.rows, "realmlp", _ENOUGH, PASSES) > seconds:
        kinds = ("realmlp",)  # all of a short time for the network that is rarely the worse one
    else:
        kinds = ("realmlp", "mlp")
    suited = [name for name in kinds if not useless_options(name, wanted.model)] or ["mlp"]
    counted = "one kind" if len(suited) == 1 else f"{len(suited)} kinds"
    return suited, f"{counted} of network for {seconds:.0f} s of training"


def reads_twice(schema: Schema, model: ModelConfig) -> bool:
    """Whether networks are tried with and without the texts of rows that have other columns too."""
    has_both = has_texts(schema) and not is_text(schema)
    return has_both and "reads_texts" not in model.model_fields_set


def _without_texts(job: Job) -> Job:
    """The network on the rest of the row: what few rows say of long vectors of texts may drown what their table says.

    The weights of the ensemble join it with what reads the texts.
    """
    return replace(job, name=f"{job.name} without texts", model=job.model.model_copy(update={"reads_texts": False}))


def _tries_plain(names: Sequence[str], wanted: Wanted) -> bool:
    """Whether the plain network is tried on plain numbers, for itself and for the others."""
    is_open = wanted.named is None and not has_texts(wanted.schema)
    return is_open and "mlp" in names and may_be_plain(wanted.schema, wanted.model)


def _led_by_mlp(jobs: Sequence[Job]) -> list[Job]:
    """The jobs with the plain network, which is soon trained, on either numbers before the others."""
    (mlp,) = (job for job in jobs if job.name == "mlp")
    plain = replace(mlp.on_plain_numbers(), share=_SHARE_OF_PLAIN * mlp.share)
    others = [replace(job, follows="mlp") for job in jobs if job is not mlp]
    return [mlp, plain, *others]


def _times(names: Sequence[str], schema: Schema, seconds: float) -> dict[str, float]:
    """The seconds of each network."""
    shares = {name: _SHARES.get(name, 1.0) for name in names}
    if "mlp" in shares and schema.task is not Task.BINARY:
        shares["mlp"] = _SHARE_OF_MLP
    return {name: seconds * share / sum(shares.values()) for name, share in shares.items()}


def _folds(wanted: Wanted, times: Mapping[str, float], passes: int = _PASSES_OF_FOLDS) -> Folds:
    """Folds and variants of each for these rows and the times of the networks."""
    rows, asked_for = wanted.rows, wanted.ensemble.folds
    if asked_for:
        return Folds(asked_for, None if asked_for == 1 else 2, "ensemble.folds=1")
    if wanted.schema.time is not None:
        return Folds(1, None, "rows have a time, and the latest judge best")
    if rows < _NO_FOLDS_FROM:
        for count, variants in _FOLDS:
            needed = {name: cost(rows, name, count * _variants(name, variants), passes) for name in times}
            if all(needed[name] <= seconds for name, seconds in times.items()):
                return Folds(count, variants)
    return Folds(1, None, f"for folds of {rows:,} rows there is not the time")


def _in_folds_rather(
    wanted: Wanted, names: Sequence[str], folds: Folds, reason: str
) -> tuple[Sequence[str], Folds, str]:
    """Folds of many passes, which are worth more than a third kind of network that leaves no time for them."""
    quick = [name for name in names if name not in _OF_HEADS]
    found = _folds(wanted, _times(quick, wanted.schema, wanted.seconds), 2 * _PASSES_OF_FOLDS)
    if found.count == 1 or len(quick) == len(names):
        return names, folds, reason
    return quick, found, f"{len(quick)} kinds of network for {wanted.seconds:.0f} s of training, in folds"


def _fewer_for_words(folds: Folds, words: float, wanted: Wanted) -> Folds:
    """So many folds that a network that reads the words has its time: folds of what hears little are worth less.

    words: of a row.
    """
    if folds.count == 1 or wanted.ensemble.folds or not is_text(wanted.schema):
        return folds
    affordable = (
        count
        for count in _FEWER_FOLDS
        if count < folds.count and suits_words(wanted.rows * words * count, wanted.schema, wanted.seconds)
    )
    fewer = next(affordable, folds.count)
    if fewer == folds.count:
        return folds
    return Folds(fewer, 2) if fewer > 1 else Folds(1, None, _WORDS_TAKE_IT)


def _members(rows: int, name: str, seconds: float) -> int:
    """As many members as leave time for enough passes."""
    return next((count for count in _MEMBERS if cost(rows, name, count, PASSES) <= seconds), 1)


def _variants(name: str, most: int) -> int:
    """Variants of a network where others have so many: a member of TabM is an ensemble of heads already."""
    return 1 if name in _OF_HEADS else most
