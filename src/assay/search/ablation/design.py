"""What an ablation trains: which practices of a run, of which network, on how many rows, folds and seeds.

All of it follows from the run, the options and constants: with the same of these, the same networks are trained on any
machine. The time allowed decides how many rows they learn from; the clock only ends what takes longer than planned.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from assay.data.config import EncodeConfig
from assay.data.encoding.encode import Encoder
from assay.data.schema import Schema
from assay.errors import ConfigError, MissingExtraError, nearest
from assay.evaluate.record import TrainedPart
from assay.ledger import Outcome, Verdict
from assay.models.config import Family, ModelConfig
from assay.practices import PRACTICES
from assay.search.planning.jobs import Job
from assay.search.planning.tables import cost
from assay.search.study.settings import is_batched, job_of, shape_of
from assay.switches import SWITCHES, Switch, Value, why_not
from assay.train.config import TrainConfig
from assay.train.recipes import RECIPES

_ENCODE = "data.encode."
#: Folds; the rows that are used at least, where there are so many; passes at least; seeds at most where none is asked.
FOLDS, _FEWEST_ROWS, _FEWEST_PASSES, _MOST_SEEDS = 5, 2_000, 5, 3
#: Share of the time that is planned for, and what a member costs beside the first of its batch.
_PLANNED, _A_MEMBER_MORE = 0.6, 0.7
#: Why weights are not fitted anew to answers of windows, and how windows are dealt to folds.
_WINDOWS = "weights fitted anew to some windows would be judged by others that share their steps"
_BACKTEST = "folds are those of a backtest: blocks in time, judged by networks of windows that were over before"
#: How a training says that the clock ended it.
_BY_TIME = "the time budget was used up"


@dataclass(frozen=True)
class Off:
    """A practice that is switched off by options, and those of them that are of the network and its training."""

    practice: str
    switch: Switch

    @property
    def options(self) -> dict[str, Value]:
        """Options of the network and of its training."""
        return {name: value for name, value in self.switch.options.items() if not name.startswith(_ENCODE)}

    def encode(self, config: EncodeConfig) -> EncodeConfig:
        """The encoding without the practice."""
        named = self.switch.options.items()
        own = {name.removeprefix(_ENCODE): value for name, value in named if name.startswith(_ENCODE)}
        return config.model_copy(update=own)


@dataclass(frozen=True)
class Design:
    """The networks to train: one with everything, and one without each of `offs`, on every fold of every seed.

    family: None where no network can be trained anew. rows: used of those of training and validation. passes: over
    them at most. computed: practices that kept answers are asked about. unmeasured: why nothing is measured of others.
    """

    family: Family | None
    model: ModelConfig
    train: TrainConfig
    encode: EncodeConfig
    rows: int
    passes: int
    folds: int
    seeds: int
    offs: tuple[Off, ...] = ()
    computed: tuple[str, ...] = ()
    unmeasured: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @property
    def settings(self) -> dict[EncodeConfig, list[dict[str, Value]]]:
        """The options to train with under each encoding, the one with everything first."""
        found: dict[EncodeConfig, list[dict[str, Value]]] = {self.encode: [{}]}
        for off in self.offs:
            some = found.setdefault(off.encode(self.encode), [])
            if off.options not in some:
                some.append(off.options)
        return found


def asked_practices(asked: Sequence[str]) -> tuple[str, ...]:
    """The practices that were asked for, checked.

    Raises:
        ConfigError: there is no such practice, or it cannot be switched off.
    """
    for name in asked:
        if name not in PRACTICES:
            raise ConfigError("a practice must be in the registry", f"{name!r} is not", nearest(name, SWITCHES))
        reason = why_not(name, PRACTICES[name].stage)
        if name not in SWITCHES:
            came = f"{name} cannot: {reason or 'no way is known to do without it'}"
            raise ConfigError("a practice must be one that can be switched off", came,
                              "`assay practices` lists those that can.")  # fmt: skip
    return tuple(dict.fromkeys(asked))


def leading(parts: Iterable[TrainedPart]) -> tuple[Family, TrainedPart] | None:
    """The network with the largest share that a recipe can train anew, or None."""
    able = [(family, part) for part in parts if part.is_network and (family := _family(part.name)) is not None]
    return max(able, key=lambda each: each[1].share, default=None)


def _family(name: str) -> Family | None:
    """The family of a part: parts of changed pictures or series are called after it, with more words."""
    found: list[Family] = [family for family in RECIPES if name == family or name.startswith(f"{family} ")]  # type: ignore[misc]  # families all
    return max(found, key=len, default=None)


def designed(
    ledger: Sequence[Verdict],
    parts: Sequence[TrainedPart],
    encoder: Encoder,
    rows: int,
    schema: Schema,
    model: ModelConfig,
    train: TrainConfig,
    encode: EncodeConfig,
    *,
    asked: Sequence[str] = (),
    seeds: int = 0,
    seconds: float,
) -> Design:
    """The design for a run.

    Args:
        ledger, parts: of the run.
        encoder: of its training rows. rows: of training and validation. schema: of their table.
        model, train, encode: that it was configured with.
        asked: practices; all that it applied where there are none.
        seeds: 0 for as many as there is time for.
        seconds: of the whole; infinite takes all rows.
    """
    wanted, unmeasured = _wanted(ledger, asked, schema)
    computed = tuple(name for name in wanted if SWITCHES[name].recomputed not in (None, "last epoch"))
    if schema.windowing is not None:
        unmeasured |= dict.fromkeys(computed, _WINDOWS)
        wanted, computed = [name for name in wanted if name not in computed], ()
    found = leading(parts)
    if found is None:
        why = "no network of the model has a recipe to train it anew by"
        unmeasured |= {name: why for name in wanted if name not in computed}
        return Design(None, model, train, encode, rows, 0, 0, 0, (), computed, unmeasured)
    family, part = found
    model = network_of(part, family, model)
    train = train.model_copy(update=_found_by_the_run(part))
    base = job_of({}, encoder, rows, schema, model, train)
    offs = []
    for name in wanted:
        if name in computed:
            continue
        reason = _without_meaning(Off(name, SWITCHES[name]), base, encoder, rows, schema, model, train, encode)
        if reason:
            unmeasured[name] = reason
        else:
            offs.append(Off(name, SWITCHES[name]))
    design = Design(
        family, model, train, encode, rows, base.train.epochs, FOLDS, seeds or 1, tuple(offs), computed, unmeasured,
        (*_notes_of(part, family), *((_BACKTEST,) if schema.windowing is not None else ())),
    )  # fmt: skip
    expected = min(part.epochs, base.train.epochs)
    return _within(design, base, encoder, schema, seconds, expected, may_repeat=not seeds) if offs else design


def network_of(part: TrainedPart, family: Family, model: ModelConfig) -> ModelConfig:
    """What was said of the network of the part, and the numbers that the run found to suit it."""
    said = model.model_dump(exclude_unset=True, exclude={"members"})
    found = {"numbers": part.options["model.numbers"]} if "model.numbers" in part.options else {}
    return ModelConfig.model_validate({**said, **found, "name": family})


def _found_by_the_run(part: TrainedPart) -> dict[str, object]:
    """Options of training that the run left open and settled itself."""
    found: dict[str, object] = {"epochs": part.epochs} if part.stopped == _BY_TIME else {}
    balance = part.options.get("train.balance")
    return found | ({} if balance is None else {"balance": balance})


def _wanted(ledger: Sequence[Verdict], asked: Sequence[str], schema: Schema) -> tuple[list[str], dict[str, str]]:
    """The practices to measure, in the registry's order, and why others that the run applied are not."""
    outcomes = {verdict.practice: verdict.outcome for verdict in ledger}
    wanted: list[str] = []
    unmeasured: dict[str, str] = {}
    for name, practice in PRACTICES.items():
        if asked and name not in asked:
            continue
        outcome = outcomes.get(name)
        if outcome is not Outcome.APPLIED:
            if asked:
                unmeasured[name] = "the run did not apply it" + (f" ({outcome.value})" if outcome else "")
        elif name not in SWITCHES:
            unmeasured[name] = why_not(name, practice.stage) or "no way is known to do without it"
        elif SWITCHES[name].only_classes and not schema.has_probabilities:
            unmeasured[name] = "it means something for classes and labels alone"
        else:
            wanted.append(name)
    return wanted, unmeasured


def _without_meaning(
    off: Off,
    base: Job,
    encoder: Encoder,
    rows: int,
    schema: Schema,
    model: ModelConfig,
    train: TrainConfig,
    encode: EncodeConfig,
) -> str:
    """Why the practice cannot be switched off in this network; empty where it can."""
    if off.switch.recomputed == "last epoch":
        return ""
    try:
        job = job_of(off.options, encoder, rows, schema, model, train)
    except (ConfigError, MissingExtraError) as error:
        return f"{base.model.name} cannot do without it ({error.came})"
    if job == base and off.encode(encode) == encode:
        return f"{base.model.name} alone is trained without it already"
    return ""


def _notes_of(part: TrainedPart, family: str) -> tuple[str, ...]:
    notes = [f"networks trained anew are single networks of {family}, the one with the largest share of the answer"]
    if part.stopped == _BY_TIME:
        notes.append(f"they have the {part.epochs} passes that the run had time for")
    return tuple(notes)


def _within(
    design: Design, base: Job, encoder: Encoder, schema: Schema, seconds: float, expected: int, *, may_repeat: bool
) -> Design:
    """The design with as many rows, passes and seeds as the time allows.

    expected: passes that a network is likely to take.
    """
    if math.isinf(seconds):
        return design
    allowed, every = _PLANNED * seconds, design.rows
    a_row = _a_row(design, base, encoder, schema) * (1.0 - 1.0 / design.folds) * design.folds
    fitting = int(allowed / (a_row * expected * design.seeds))
    rows = min(every, max(fitting, min(_FEWEST_ROWS, every)))
    if rows < every:
        note = f"{rows:,} of {every:,} rows are used, drawn at random, to keep to the time"
        design = replace(design, rows=rows, notes=(*design.notes, note))
    needed = a_row * rows * expected * design.seeds
    if needed > allowed:
        passes = max(_FEWEST_PASSES, int(expected * allowed / needed))
        if passes < expected:
            note = f"networks have {passes} passes in place of about {expected}, to keep to the time"
            train = design.train.model_copy(update={"epochs": passes})
            return replace(design, train=train, passes=passes, notes=(*design.notes, note))
    elif may_repeat:
        return replace(design, seeds=min(_MOST_SEEDS, max(1, int(allowed / needed))))
    return design


def _a_row(design: Design, base: Job, encoder: Encoder, schema: Schema) -> float:
    """Seconds that a row costs in one pass of all settings, as a guess: those of one shape are members of a batch."""
    single = cost(1, base.model.name, 1, 1)
    total = 0.0
    for settings in design.settings.values():
        jobs = [job_of(each, encoder, design.rows, schema, design.model, design.train) for each in settings]
        shapes = [shape_of(job) if is_batched(job) else str(place) for place, job in enumerate(jobs)]
        total += sum(1.0 + _A_MEMBER_MORE * (shapes.count(shape) - 1) for shape in dict.fromkeys(shapes))
    return single * total
