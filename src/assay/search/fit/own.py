"""A model of the user's own in the place of a plan: members are trained one after another and combined as any."""

from __future__ import annotations

from dataclasses import replace

from assay.data.encoding.encode import Encoder
from assay.data.schema import Schema
from assay.data.split.split import Split
from assay.data.stored import Spill
from assay.errors import BudgetError, DivergenceError
from assay.ledger import Ledger, Outcome
from assay.models.foreign import ONE_HOT_CODES
from assay.search.fit.assembly import combine
from assay.train.budget import Budget
from assay.train.config import TrainConfig
from assay.train.examples import Examples, examples
from assay.train.families.foreign import Own, train_own
from assay.train.lightning import OwnSteps
from assay.train.model import Model, TrainedNetwork
from assay.train.part_verdicts import write_budget, write_verdicts
from assay.train.state import Checkpoints
from assay.train.watch import Named, Watch

#: Share of the time left below which no further member is begun.
_LEAST_SHARE = 0.08


def search_own(
    own: Own,
    encoder: Encoder,
    split: Split,
    schema: Schema,
    train: TrainConfig,
    *,
    bagging: bool,
    stacking: bool = False,
    seed: int,
    budget: Budget,
    watch: Watch,
    ledger: Ledger,
    checkpoints: Checkpoints | None = None,
    spill: Spill | None = None,
) -> Model:
    """The trained model; several members are weighted greedily on validation rows.

    bagging: whether each learns from a bootstrap sample of its own. stacking: see `combine`. spill: see `examples`.

    Raises:
        DivergenceError: no member kept finite numbers.
        BudgetError: no time is left to train.
        ConfigError: the module raised, or its answer turned out to be of a wrong form.
    """
    found = examples(encoder, split.train, split.valid, schema, seed=seed, spill=spill, ledger=ledger)
    found = replace(found, bagged=bagging)
    networks, lost = _train_all(own, found, train, seed, budget, watch, checkpoints)
    whole = combine(networks, found, split.valid, schema, encoder, stacking=stacking, seed=seed)
    leading = max(whole.parts, key=lambda part: part.share)
    first = next(each for each in networks if each.part.name == leading.name)
    write_verdicts(ledger, leading, encoder.layout.numbers, first.first_loss, seed)
    write_budget(ledger, leading.trained, budget)
    _write(ledger, own, whole, first, train, lost)
    return whole


def _train_all(
    own: Own,
    found: Examples,
    train: TrainConfig,
    seed: int,
    budget: Budget,
    watch: Watch,
    checkpoints: Checkpoints | None,
) -> tuple[list[TrainedNetwork], list[str]]:
    """The members one after another, each in its share of the time that is left, and those that were not trained."""
    networks: list[TrainedNetwork] = []
    lost: list[str] = []
    allowed, count = budget.left, len(own.networks)
    for place in range(count):
        name = "own" if count == 1 else f"own-{place + 1}"
        kept = None if checkpoints is None else checkpoints.within(name)
        is_begun = kept is not None and kept.newest is not None
        if networks and not is_begun and budget.left < _LEAST_SHARE * allowed:
            lost.append(f"member {place + 1} (no time was left)")
            continue
        until = budget.part(1.0 / (count - place))
        try:
            trained = train_own(
                own, place, found, train, seed=seed, budget=until, watch=Named(watch, name), checkpoints=kept
            )
        except (DivergenceError, BudgetError) as error:
            if not networks and place == count - 1:
                raise
            lost.append(f"member {place + 1} ({error.came})")
            continue
        networks.append(trained)
        if trained.part.trained.interrupted:
            lost += [f"member {left + 1} (the run was interrupted)" for left in range(place + 1, count)]
            break
    return networks, lost


def _write(ledger: Ledger, own: Own, whole: Model, first: TrainedNetwork, asked: TrainConfig, lost: list[str]) -> None:
    """The verdicts that are other than for a network of assay's."""
    part, found = first.part, own.opened
    notes = list(found.notes)
    if found.kind == "lightning" and (passed := OwnSteps(own.networks[0]).passed_over):
        notes.append(f"methods that are not called here: {', '.join(passed)}")
    if isinstance(asked.batch, int) and asked.batch != part.train.batch:
        notes.append(f"batches of {part.train.batch} rows, so that no row is alone in one")
    told = "".join(f"; {note}" for note in notes)
    reason = f"{found.name} answers real rows with finite logits, each row for itself, and can be saved{told}"
    ledger.record("model.own", Outcome.PASSED, reason, value=own.parameters)
    _write_start(ledger, first)
    _write_members(ledger, own, whole, lost)
    ledger.record("encode.numeric-embeddings", Outcome.NOT_APPLICABLE, "the model is the user's own")
    _write_categories(ledger, own)
    if part.brings:
        ledger.record("train.adamw", Outcome.NOT_APPLICABLE, f"the module brings its own optimiser: {part.brings}")
        ledger.record("train.schedule", Outcome.NOT_APPLICABLE, f"the module brings its own: {part.brings}")
    decay = 0.0 if part.brings else part.train.decay
    held = f"weight decay {decay:g}, L1 {part.train.l1:g}, and what the module does itself"
    ledger.record(
        "train.regularisation", Outcome.APPLIED if decay or part.train.l1 else Outcome.SKIPPED, held, value=decay
    )
    ledger.record("train.lr-find", Outcome.NOT_APPLICABLE, "a model of the user's own has no copy to test rates on")
    ledger.record("search.recipes", Outcome.SKIPPED, "the model was given with model=", value=len(own.networks))
    ledger.record("search.folds", Outcome.SKIPPED, "one split: a model of the user's own is trained on one", value=1)


def _write_categories(ledger: Ledger, own: Own) -> None:
    sizes = own.networks[0].layout.vocabularies
    if own.opened.takes or not sizes:
        return
    wide = sum(size > ONE_HOT_CODES for size in sizes)
    reason = f"{len(sizes) - wide} columns are one-hot, {wide} with more than {ONE_HOT_CODES} codes are learned vectors"
    ledger.record("encode.embeddings", Outcome.APPLIED if wide else Outcome.NOT_APPLICABLE, reason, value=wide)


def _write_start(ledger: Ledger, first: TrainedNetwork) -> None:
    reason = f"the module starts as it was made: its first validation loss is {first.first_loss:.4f}"
    ledger.record("model.prior-bias", Outcome.SKIPPED, reason, value=first.first_loss)


def _write_members(ledger: Ledger, own: Own, whole: Model, lost: list[str]) -> None:
    count = len(own.networks)
    if count == 1:
        reason = "one model; a class or a function as model and model.members=4 train four and average them"
        ledger.record("model.members", Outcome.SKIPPED, reason, value=1)
        return
    shares = ", ".join(f"{part.name} {part.share:.0%}" for part in whole.parts)
    reason = f"{count} models of the user's factory, not batched but trained one after another; weights: {shares}"
    if lost:
        reason += f"; not trained: {', '.join(lost)}"
    ledger.record("model.members", Outcome.WARNED if lost else Outcome.APPLIED, reason, value=count - len(lost))
    way = "greedy weights" if whole.choice is None else whole.choice.way
    ledger.record("search.ensemble", Outcome.APPLIED, f"{shares}: {way}", value=len(whole.parts))
