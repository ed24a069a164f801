"""Rules about model, loss and optimiser as they stand before the first step."""

from __future__ import annotations

import math
from dataclasses import dataclass
from types import MappingProxyType

import torch
from torch import Tensor, nn

from assay.doctor import model_statistics as of
from assay.doctor.case import Case, Check, Measured
from assay.doctor.rules import RULES
from assay.doctor.run_statistics import ratio_log10
from assay.doctor.subject import Batch, answers
from assay.doctor.watching import signals, without_dropout

#: Steps and rate with which a single batch is learned by heart, and the share of the loss at which it is learned.
_STEPS, _RATE, _LEARNED = 300, 3e-3, 0.01
#: Parameters for each row, from which on a model should be able to.
_ENOUGH = 10


def _first_loss(case: Case) -> Measured:
    batches = case.train.kept[:8]
    case.model.eval()
    with torch.no_grad():
        given = [(answers(case.model, batch), batch.targets) for batch in batches]
        ours = float(torch.stack([case.loss(a, t).detach() for a, t in given]).mean())
        plain = float(torch.stack([case.loss(of.ignorant_answers(a), t) for a, t in given]).mean())
    if not math.isfinite(ours) or abs(plain) < 1e-9:
        return (math.inf, f"the first loss is {ours}") if not math.isfinite(ours) else "an ignorant answer has no loss"
    # A model may know the prior already; to begin below an ignorant answer is no fault.
    value = max(0.0, (ours - plain) / abs(plain))
    return value, f"the first loss is {ours:.3f}, that of an ignorant answer {plain:.3f}"


@dataclass(frozen=True)
class Learned:
    """A model that has learned one batch by heart.

    left: loss left as a share of the first; None where there was no time for all steps.
    spread: of its answers over the rows, as a share of their size.
    unreached: share of the changing input columns without a gradient; None where the inputs are codes.
    """

    left: float | None
    spread: float
    unreached: float | None


def _by_heart(case: Case) -> Learned:
    """Train the model on one batch until it knows it; done once for all rules that ask."""
    if case.learned is None:
        left = _train_on(case, case.few)
        case.model.eval()
        with torch.no_grad():
            spread = of.spread_over_rows(answers(case.model, case.few))
        case.learned = Learned(left, spread, _unreached(case))
    assert isinstance(case.learned, Learned)
    return case.learned


def _train_on(case: Case, batch: Batch) -> float | None:
    """Loss left after many steps on one batch, as a share of the first; None where time ran out."""
    model = case.model
    optimiser = torch.optim.Adam([p for p in model.parameters() if p.requires_grad], _RATE)
    model.train()
    first = best = math.inf
    limit = case.budget.part(0.15)
    with without_dropout(model):
        for step in range(_STEPS):
            loss = case.loss(answers(model, batch), batch.targets)
            value = float(loss.detach())
            first = value if step == 0 else first
            best = min(best, value)
            if value <= _LEARNED * first or not math.isfinite(value):
                break
            if limit.left <= 0:
                return None
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
    return best / first if first > 0 else 1.0


def _unreached(case: Case) -> float | None:
    asked = case.train.kept[0].mapped(lambda x: x.detach().clone().requires_grad_() if x.is_floating_point() else x)
    leaves = [each for each in asked.tensors if each.is_floating_point()]
    if not leaves:
        return None
    with torch.enable_grad(), torch.backends.cudnn.flags(enabled=False):
        outputs = answers(case.model, asked)
        if not outputs.requires_grad:
            return None
        # Weighted at random: the sum of a softmax has no gradient.
        mixed = (outputs * torch.randn_like(outputs)).sum()
        given = torch.autograd.grad(mixed, leaves, allow_unused=True)
    found = [torch.zeros_like(x) if g is None else g for g, x in zip(given, leaves, strict=True)]
    return of.unreached_share(found, leaves)


def _overfit_batch(case: Case) -> Measured:
    targets = case.few.targets.reshape(len(case.few), -1)
    if len(targets) < 4 or bool((targets == targets[:1]).all()):
        return "the first batch has one target"
    numbers = sum(p.numel() for p in case.model.parameters() if p.requires_grad)
    if numbers < _ENOUGH * len(targets):
        return f"the model is too small to learn {len(targets)} rows by heart"
    left = _by_heart(case).left
    if left is None:
        return "there was no time for 300 steps"
    return left, f"{left:.0%} of the first loss was left after {_STEPS} steps on {len(case.few)} rows"


def _input_ignored(case: Case) -> Measured:
    if len(case.few) < 4:
        return "the first batch has too few rows"
    value = _by_heart(case).spread
    return value, f"after learning a batch, answers to its rows differ by {value:.2g} of their size"


def _columns_ignored(case: Case) -> Measured:
    value = _by_heart(case).unreached
    if value is None:
        return "the inputs are codes, or the answers have no gradient"
    return value, f"{value:.1%} of the input columns that change have no influence on the answers"


def _batch_mixing(case: Case) -> Measured:
    few, others = case.few, case.others
    half = len(few) // 2
    if half < 1 or len(others) != len(few):
        return "the batches have too few rows"
    case.model.eval()
    pairs = list(zip(few.tensors, others.tensors, strict=True))
    if any(a.shape != b.shape for a, b in pairs):
        return "batches differ in form"
    exchanged = iter([torch.cat([b[:half], a[half:]]) for a, b in pairs])
    with torch.no_grad():
        before, again = answers(case.model, few), answers(case.model, few)
        after = answers(case.model, few.mapped(lambda _: next(exchanged)))
    if before.shape[0] != len(few):
        return math.inf, f"{len(few)} rows got {before.shape[0]} answers"
    if of.largest_change(before, again) > RULES["start.random-answers"].limit:
        return "equal rows get different answers"
    value = of.largest_change(before[half:], after[half:])
    return value, f"other rows of a batch change an answer by {value:.2g} of its size"


def _variance(case: Case) -> Measured:
    case.model.eval()
    with torch.no_grad(), signals(case.model) as found:
        answers(case.model, case.few)
    if len(found) < 3:
        return "there are fewer than three hidden layers"
    value = ratio_log10(found)
    return value, f"deviations of the layers' signals differ by a factor of 10^{value:.1f}"


def _no_gradient(case: Case) -> Measured:
    case.model.train()
    for parameter in case.model.parameters():
        parameter.grad = None
    with without_dropout(case.model):
        loss = torch.stack([case.loss(answers(case.model, b), b.targets) for b in case.train.kept[:4]]).sum()
    if not loss.requires_grad:
        return 1.0, "the loss has no gradient at all"
    loss.backward()
    # A last layer that begins at zero lets nothing through on the first step, and is no fault.
    last = of.layers(case.model)[-1:]
    if last and bool((torch.as_tensor(last[0][1].weight) == 0).all()):
        _train_on(case, case.few)
    named = [n for n, p in case.model.named_parameters() if p.requires_grad and _none(p)]
    value = of.without_gradient(case.model.parameters())
    shown = ", ".join(named[:4]) + (", ..." if len(named) > 4 else "")
    return value, f"{value:.1%} of what should learn gets no gradient" + (f" ({shown})" if named else "")


def _none(parameter: nn.Parameter) -> bool:
    return parameter.grad is None or not bool((parameter.grad != 0).any())


def _not_optimised(case: Case) -> Measured:
    if not case.brought_optimiser:
        return "no optimiser was given"
    assert case.subject.optimiser is not None
    value = of.not_optimised(case.model, case.subject.optimiser)
    return value, f"{value:.1%} of what should learn is in no group of the optimiser"


def _frozen(case: Case) -> Measured:
    sizes = [(p.numel(), p.requires_grad) for p in case.model.parameters()]
    value = sum(n for n, learns in sizes if not learns) / max(sum(n for n, _ in sizes), 1)
    return value, f"{value:.1%} of the parameters are frozen"


def _small_batch_norm(case: Case) -> Measured:
    if not of.has_batch_norm(case.model):
        return "there is no batch normalisation"
    return case.train.sizes[0], f"batches have {case.train.sizes[0]} rows"


def _double_softmax(case: Case) -> Measured:
    outputs = case.first_answers
    if not of.are_probabilities(outputs):
        return 0.0, "the answers are no probabilities"
    far = case.few.mapped(lambda x: x * 1000.0 if x.is_floating_point() else x)
    with torch.no_grad():
        bounded = of.are_probabilities(answers(case.model.eval(), far))
    twice = bounded and of.takes_softmax(case.loss, outputs, case.few.targets)
    return float(twice), "the answers are probabilities" + (", and the loss takes them for logits" if twice else "")


def _loss_mismatch(case: Case) -> Measured:
    outputs = case.first_answers
    if not of.is_negative_log(case.loss, outputs, case.few.targets):
        return "the loss does not take log probabilities as they are"
    value = of.log_sum_off(outputs)
    return value, f"exponentials of a row's answers sum to e^{value:.2f} where 1 is meant"


def _pairing(case: Case) -> Measured:
    value = of.ignores_pairing(case.loss, case.first_answers, case.few.targets)
    shapes = f"{tuple(case.first_answers.shape)} and {tuple(case.few.targets.shape)}"
    told = "does not change" if value else "changes"
    return float(value), f"the loss {told} when targets are exchanged between rows (shapes {shapes})"


def _loss_sign(case: Case) -> Measured:
    if len(case.few) < 4 or bool((case.few.targets == case.few.targets[:1]).all()):
        return "the first batch has one target"
    value = of.sign_gap(case.loss, case.first_answers, case.few.targets)
    return value, f"right answers have a loss {value:+.3g} beside exchanged ones"


def _random_answers(case: Case) -> Measured:
    case.model.eval()
    with torch.no_grad():
        first, again = answers(case.model, case.few), answers(case.model, case.few)
    value = of.largest_change(first, again)
    return value, f"the same rows got answers {value:.2g} of their size apart"


def _symmetry(case: Case) -> Measured:
    found = of.symmetric_layers(case.model)
    return len(found), f"{len(found)} hidden layers begin with equal units" + (f" ({found[0]})" if found else "")


def _linear(case: Case) -> Measured:
    if len(of.layers(case.model)) < 2:
        return "there are fewer than two layers"
    first, second = case.few, case.others
    leaves = [each for each in first.tensors if each.is_floating_point()]
    if len(leaves) != 1 or len(first.tensors) != 1 or second.tensors[0].shape != leaves[0].shape:
        return "the input is not one tensor of numbers"
    case.model.eval()

    def asked(x: Tensor) -> Tensor:
        return answers(case.model, _with(first, x))

    value = of.nonlinearity(asked, leaves[0], second.tensors[0])
    return value, f"answers differ from a linear function by {value:.2g} of their size"


def _with(batch: Batch, x: Tensor) -> Batch:
    return batch.mapped(lambda _: x)


def _decay(case: Case) -> Measured:
    if not case.brought_optimiser:
        return "no optimiser was given"
    assert case.subject.optimiser is not None
    value = of.decayed_vectors(case.subject.optimiser)
    return value, f"{value} biases or norms are pulled to zero by weight decay"


CHECKS: MappingProxyType[str, Check] = MappingProxyType(
    {
        "start.loss": _first_loss, "start.overfit-batch": _overfit_batch, "start.input-ignored": _input_ignored,
        "start.columns-ignored": _columns_ignored, "start.batch-mixing": _batch_mixing, "start.variance": _variance,
        "start.no-gradient": _no_gradient, "start.not-optimised": _not_optimised, "start.frozen": _frozen,
        "start.small-batch-norm": _small_batch_norm, "start.double-softmax": _double_softmax,
        "start.loss-mismatch": _loss_mismatch, "start.pairing": _pairing, "start.loss-sign": _loss_sign,
        "start.random-answers": _random_answers, "start.symmetry": _symmetry, "start.linear": _linear,
        "start.decay": _decay,
    }
)  # fmt: skip
