"""Statistics of a model, its loss and its answers: each a number from tensors or functions of tensors."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

Loss = Callable[[Tensor, Tensor], Tensor]
NORMS = (nn.modules.batchnorm._BatchNorm,)


def size_of(answers: Tensor) -> float:
    """Root mean square of finite answers, never 0."""
    return float(answers.double().square().mean().sqrt().clamp_min(1e-12))


def spread_over_rows(answers: Tensor) -> float:
    """Largest deviation of an output over the rows, as a share of the answers' size."""
    flat = answers.detach().double().reshape(len(answers), -1)
    return float(flat.std(dim=0).max()) / size_of(answers) if len(flat) > 1 else 1.0


def largest_change(before: Tensor, after: Tensor) -> float:
    """Largest difference of two answers, as a share of their size."""
    return float((before.double() - after.double()).abs().max()) / size_of(before)


def unreached_share(gradients: Sequence[Tensor], inputs: Sequence[Tensor]) -> float:
    """Share of the columns that change over rows and yet have no gradient in any row."""
    changing = unreached = 0
    for gradient, rows in zip(gradients, inputs, strict=True):
        flat = rows.detach().reshape(len(rows), -1)
        moves = (flat != flat[:1]).any(dim=0)
        none = (gradient.reshape(len(rows), -1) == 0).all(dim=0)
        changing += int(moves.sum())
        unreached += int((moves & none).sum())
    return unreached / changing if changing else 0.0


def without_gradient(parameters: Iterable[nn.Parameter]) -> float:
    """Share of the numbers of parameters that should learn and whose parameter has no gradient, or only zeros."""
    learning = [p for p in parameters if p.requires_grad]
    without = [p for p in learning if p.grad is None or not bool((p.grad != 0).any())]
    return sum(p.numel() for p in without) / max(sum(p.numel() for p in learning), 1)


def not_optimised(model: nn.Module, optimiser: Optimizer) -> float:
    """Share of the numbers of parameters that should learn and are in no group of the optimiser."""
    known = {id(p) for group in optimiser.param_groups for p in group["params"]}
    learning = [p for p in model.parameters() if p.requires_grad]
    return sum(p.numel() for p in learning if id(p) not in known) / max(sum(p.numel() for p in learning), 1)


def decayed_vectors(optimiser: Optimizer) -> int:
    """Parameters of one dimension (biases, norms) in a group with weight decay."""
    groups = (group for group in optimiser.param_groups if group.get("weight_decay", 0))
    return sum(p.ndim <= 1 for group in groups for p in group["params"])


def has_batch_norm(model: nn.Module) -> bool:
    """Whether a layer of it computes statistics of a batch."""
    return any(isinstance(module, NORMS) for module in model.modules())


def has_modes(model: nn.Module) -> bool:
    """Whether train and eval mode differ for it."""
    drops = (nn.modules.dropout._DropoutNd, nn.RReLU)
    recurrent = any(isinstance(m, nn.RNNBase) and m.dropout > 0 for m in model.modules())
    dropping = any(isinstance(m, drops) and getattr(m, "p", 1) > 0 for m in model.modules())
    return has_batch_norm(model) or dropping or recurrent


def layers(model: nn.Module) -> list[tuple[str, nn.Module]]:
    """Its linear and convolutional layers, in the order of definition."""
    kinds = (nn.Linear, nn.modules.conv._ConvNd)
    return [(name, module) for name, module in model.named_modules() if isinstance(module, kinds)]


def symmetric_layers(model: nn.Module) -> list[str]:
    """Hidden layers (all but the last) all of whose units begin with the same weights."""
    found = []
    for name, module in layers(model)[:-1]:
        weight = module.weight
        assert isinstance(weight, Tensor)
        if len(weight) > 1 and bool((weight == weight[:1]).all()):
            found.append(name)
    return found


def nonlinearity(function: Callable[[Tensor], Tensor], first: Tensor, second: Tensor) -> float:
    """How far f(a) + f(b) - f(a + b) is from f(0), as a share of the answers; near 0 for what is affine."""
    with torch.no_grad():
        a, b, both, none = (function(x) for x in (first, second, first + second, torch.zeros_like(first)))
    bent = (a + b - both - none).double()
    return float(bent.abs().max()) / max(size_of(a), size_of(b), size_of(both))


def are_probabilities(answers: Tensor) -> bool:
    """Whether all are between 0 and 1 and, for several outputs, a row's sum to 1."""
    if not answers.is_floating_point() or bool(((answers < 0) | (answers > 1)).any()):
        return False
    single = answers.ndim == 1 or answers.shape[1] == 1
    return single or bool(((answers.sum(dim=1) - 1).abs() < 1e-4).all())


def takes_softmax(loss: Loss, answers: Tensor, targets: Tensor) -> bool:
    """Whether the loss takes a softmax or sigmoid itself.

    A constant added to several logits then changes nothing, and a large one of the right sign has no loss.
    """
    several = answers.ndim > 1 and answers.shape[1] > 1
    drawn = torch.randn_like(answers) * 2
    try:
        if several:
            moved = float(loss(drawn + 3.0, targets)) - float(loss(drawn, targets))
            return abs(moved) < 1e-4 * max(1.0, abs(float(loss(drawn, targets))))
        sure = (targets.reshape(answers.shape).to(answers.dtype) * 2 - 1) * 30
        return abs(float(loss(sure, targets))) < 1e-4 and float(loss(-sure, targets)) > 5.0
    except (RuntimeError, ValueError):  # a loss of probabilities refuses other numbers
        return False


def is_negative_log(loss: Loss, answers: Tensor, targets: Tensor) -> bool:
    """Whether the loss takes log probabilities as they are: adding 1 to all of them lowers it by 1."""
    if answers.ndim < 2 or answers.shape[1] < 2 or targets.is_floating_point():
        return False
    drawn = torch.randn_like(answers)
    return abs(float(loss(drawn, targets)) - float(loss(drawn + 1.0, targets)) - 1.0) < 1e-4


def log_sum_off(answers: Tensor) -> float:
    """Median distance of the log of the summed exponentials of a row from 0, where log probabilities have it."""
    return float(answers.double().logsumexp(dim=1).abs().median())


def ignores_pairing(loss: Loss, answers: Tensor, targets: Tensor, *, tries: int = 4) -> bool:
    """Whether exchanging targets between rows never changes the loss of random answers."""
    if len(targets) < 4 or bool((targets == targets[:1]).all()):
        return False
    drawn = torch.randn_like(answers)
    if targets.is_floating_point():  # of the targets' size, or their differences are lost in a large loss
        drawn = drawn * targets.std() + targets.mean()
    if are_probabilities(answers):
        drawn = drawn.softmax(dim=1) if answers.ndim > 1 and answers.shape[1] > 1 else drawn.sigmoid()
    values = [float(loss(drawn, targets))]
    for _ in range(tries):
        values.append(float(loss(drawn, targets[torch.randperm(len(targets), device=targets.device)])))
    spread = max(values) - min(values)
    return spread <= 1e-5 * max(abs(values[0]), 1e-6)


def sign_gap(loss: Loss, answers: Tensor, targets: Tensor) -> float:
    """Loss of right answers less the loss of answers that are right for other rows; above 0 for a wrong sign."""
    right = right_answers(answers, targets)
    order = targets.reshape(len(targets), -1)[:, 0].argsort()
    other = torch.empty_like(order)
    other[order] = order.roll(len(order) // 2)
    return float(loss(right, targets)) - float(loss(right[other], targets))


def right_answers(answers: Tensor, targets: Tensor) -> Tensor:
    """Answers, of the form of `answers`, that are right for the targets."""
    classes = answers.shape[1] if answers.ndim > 1 else 1
    probable = are_probabilities(answers)
    if not targets.is_floating_point() and classes > 1 and targets.ndim == answers.ndim - 1:
        hot = nn.functional.one_hot(targets.clamp(0, classes - 1).long(), classes).movedim(-1, 1).to(answers.dtype)
        return hot * 0.98 + 0.02 / classes if probable else hot * 6.0 - 3.0
    right = targets.to(answers.dtype)
    is_binary = bool(((right == 0) | (right == 1)).all())
    if is_binary:
        right = right * 0.98 + 0.01 if probable else right * 6.0 - 3.0
    return right.reshape(answers.shape) if right.numel() == answers.numel() else right.expand_as(answers)


def ignorant_answers(answers: Tensor) -> Tensor:
    """Answers of a model that knows nothing: logits or values of 0, equal probabilities, or their logarithms."""
    several = answers.ndim > 1 and answers.shape[1] > 1
    if are_probabilities(answers):
        return torch.full_like(answers, 1.0 / answers.shape[1] if several else 0.5)
    if several and log_sum_off(answers) < 1e-4:
        return torch.zeros_like(answers).log_softmax(dim=1)
    return torch.zeros_like(answers)
