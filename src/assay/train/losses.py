"""Losses and scores of members on a batch.

Shape legend: M members, k heads of a member that share weights, n rows, C classes, labels, steps ahead or 1.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

from assay.data.encoding.batches import Batch
from assay.train.config import Select
from assay.train.watch import ScoreName

#: Temperatures that are tried, each the square root of two times the one before.
_TEMPERATURES = tuple(2.0 ** (step / 2.0) for step in range(-4, 7))


def are_labels(target: Tensor) -> bool:
    """Whether targets are labels of which a row has any number: 0 and 1 in uint8, (n, C)."""
    return target.dtype == torch.uint8


def member_losses(
    outputs: Tensor, rows: Batch, smoothing: Tensor | None = None, heads: int = 1, focus: Tensor | None = None
) -> Tensor:
    """Weighted mean loss of each member, (M,): cross-entropy of logits, or squared error of standardised values.

    Labels that do not exclude each other have a binary cross-entropy each, of which the mean is taken. Rows with aims
    have the cross-entropy with these, in the place of smoothing and focus.

    The loss of a member with several heads is the mean of its heads' losses, not the loss of their mean (Gorishniy et
    al., TabM, ICLR 2025, section 3).

    Args:
        outputs: (M * k, n, C), member by member.
        rows: with weights (n,), (M, n) or None.
        smoothing: label smoothing of each member, (M,), or None for none.
        heads: k.
        focus: exponent of the focal loss of each member, (M,), or None for none.
    """
    if rows.aims is not None:
        each = aimed_losses(outputs, rows.aims, labels=are_labels(rows.target))
    else:
        each = row_losses(
            outputs, rows.target, *(None if one is None else one.repeat_interleave(heads) for one in (smoothing, focus))
        )
    if rows.weight is None:
        means = each.mean(1)
    else:
        weight = rows.weight if rows.weight.ndim == 1 or heads == 1 else rows.weight.repeat_interleave(heads, 0)
        means = (each * weight).sum(1) / weight.sum(-1).clamp_min(1e-12)
    return means if heads == 1 else means.view(-1, heads).mean(1)


def row_losses(outputs: Tensor, target: Tensor, smoothing: Tensor | None = None, focus: Tensor | None = None) -> Tensor:
    """The loss of each row, (M, n); see `member_losses`.

    With a focus f the loss of classes is multiplied by (1 - p)^f, p being the share given to the right one, so that
    rows that are answered well count little (Lin et al., Focal loss, ICCV 2017, section 3).
    """
    if are_labels(target):
        return _label_losses(outputs, target, smoothing)
    if target.ndim == 2:  # the steps of a forecast count alike
        return (outputs - target).square().mean(2)
    if target.dtype != torch.int64:
        return (outputs.squeeze(2) - target).square()
    log_shares = functional.log_softmax(outputs, -1)
    every = target.expand(len(outputs), -1).reshape(-1)
    hit = functional.nll_loss(log_shares.flatten(0, 1), every, reduction="none").view(len(outputs), -1)
    found = hit
    if smoothing is not None:
        share = smoothing.view(-1, 1)
        found = (1.0 - share) * hit - share * log_shares.mean(-1)
    return found if focus is None else found * (-torch.expm1(-hit)).clamp_min(1e-12) ** focus.view(-1, 1)


def aimed_losses(outputs: Tensor, aims: Tensor, *, labels: bool) -> Tensor:
    """The cross-entropy of each row with probabilities, (M, n): of classes, or the mean of those of labels."""
    if labels:
        return _label_losses(outputs, aims, None)
    return -(aims * functional.log_softmax(outputs, -1)).sum(-1)


def _label_losses(outputs: Tensor, target: Tensor, smoothing: Tensor | None) -> Tensor:
    """Mean binary cross-entropy of the labels, (M, n); smoothed, each label is right with a share of s/2 less."""
    aims = target.to(outputs.dtype).expand_as(outputs)
    if smoothing is not None:
        share = smoothing.view(-1, 1, 1)
        aims = (1.0 - share) * aims + 0.5 * share
    return functional.binary_cross_entropy_with_logits(outputs, aims, reduction="none").mean(2)


def member_errors(outputs: Tensor, rows: Batch, heads: int = 1) -> Tensor:
    """Weighted error rate of each member's mean probabilities, (M,); for values and labels the loss."""
    if rows.target.dtype != torch.int64:
        return member_losses(outputs, rows, heads=heads)
    shares = outputs.softmax(-1).view(-1, heads, *outputs.shape[1:]).mean(1)
    miss = (shares.argmax(-1) != rows.target).float()
    if rows.weight is None:
        return miss.mean(1)
    return (miss * rows.weight).sum(1) / rows.weight.sum(-1).clamp_min(1e-12)


def refined_losses(outputs: Tensor, rows: Batch, heads: int = 1) -> Tensor:
    """Cross-entropy of each member's mean probabilities at the temperature that suits these rows, (M,).

    What is left of the loss when a network is as sure as it should be; for values and labels the loss (Berta,
    Holzmueller, Jordan & Bach, Rethinking Early Stopping: Refine, Then Calibrate, 2025, section 4). The temperature is
    the lowest point of a parabola through the best of a grid and its neighbours, at an end of the grid that end.
    """
    if rows.target.dtype != torch.int64:
        return member_losses(outputs, rows, heads=heads)
    own = outputs.gather(2, rows.target.expand(len(outputs), -1).unsqueeze(2)).squeeze(2)
    weight = torch.ones((), device=outputs.device) if rows.weight is None else rows.weight
    total = torch.full((), float(len(rows)), device=outputs.device) if rows.weight is None else weight.sum(-1)
    losses = []
    for temperature in _TEMPERATURES:
        hits = own / temperature - (outputs / temperature).logsumexp(2)
        together = hits.view(-1, heads, len(rows)).logsumexp(1) - math.log(heads)
        losses.append((-together * weight).sum(1) / total.clamp_min(1e-12))
    grid = torch.stack(losses, 1)
    best = grid.argmin(1, keepdim=True)
    middle = best.clamp(1, len(_TEMPERATURES) - 2)
    before, lowest, after = (grid.gather(1, middle + step).squeeze(1) for step in (-1, 0, 1))
    bend = (before - 2.0 * lowest + after).clamp_min(1e-12)
    vertex = lowest - (before - after).square() / (8.0 * bend)
    return torch.where((best == middle).squeeze(1), vertex, grid.gather(1, best).squeeze(1))


def selection_losses(
    select: Select, outputs: Tensor, rows: Batch, heads: int = 1, losses: Tensor | None = None
) -> Tensor:
    """What the kept epoch of each member is the best in, (M,), lower being better; `losses` where they are known."""
    if select == "refinement":
        return refined_losses(outputs, rows, heads)
    losses = member_losses(outputs, rows, heads=heads) if losses is None else losses
    if select == "metric":  # ties of the error rate go to the lower loss
        return member_errors(outputs, rows, heads) + 1e-6 * losses
    return losses


def average_score(outputs: Tensor, rows: Batch) -> float:
    """Accuracy of the members' mean probabilities, or R2 of their mean value; NaN where the target does not vary.

    Of labels it is the share of rows and labels that are right, a label being given from one half on.

    Where members are judged on rows of their own, each row counts with the member that did not learn from it.
    """
    target, weight = rows.target, torch.ones(len(rows), device=rows.target.device)
    answers = _probabilities(outputs, target)
    if rows.weight is not None and rows.weight.ndim == 2:
        weight = rows.weight.sum(0)
        share = rows.weight / weight.clamp_min(1e-12)
        answers = (answers * share.repeat_interleave(len(outputs) // len(share), 0).unsqueeze(2)).sum(0)
        answers = answers / (len(outputs) // len(share))
    else:
        weight = weight if rows.weight is None else rows.weight
        answers = answers.mean(0)
    if target.dtype == torch.int64:
        return float(((answers.argmax(1) == target) * weight).sum() / weight.sum())
    if are_labels(target):
        right = ((answers >= 0.5) == target.bool()).to(weight.dtype).mean(1)
        return float((right * weight).sum() / weight.sum())
    if target.ndim == 2:
        return _average_r2(answers, target, weight)
    spread = (target - (target * weight).sum() / weight.sum()).square()
    left = (answers.squeeze(1) - target).square()
    return float(1.0 - (left * weight).sum() / (spread * weight).sum()) if bool(spread.any()) else float("nan")


def score_name(target: Tensor) -> ScoreName:
    """What `average_score` is called for these targets."""
    if are_labels(target):
        return "label accuracy"
    return "accuracy" if target.dtype == torch.int64 else "R2"


def _probabilities(outputs: Tensor, target: Tensor) -> Tensor:
    """Outputs as probabilities of classes or of labels; values as they are."""
    if are_labels(target):
        return outputs.sigmoid()
    return outputs.softmax(-1) if target.dtype == torch.int64 else outputs


def _average_r2(answers: Tensor, target: Tensor, weight: Tensor) -> float:
    """R2 of forecasts (n, H), all steps together; NaN where the target does not vary."""
    share = (weight / weight.sum()).unsqueeze(1)
    spread = ((target - (target * share).sum(0)).square() * share).sum()
    left = ((answers - target).square() * share).sum()
    return float(1.0 - left / spread) if float(spread) > 0.0 else float("nan")
