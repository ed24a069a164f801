"""Rules about what the short training led to."""

from __future__ import annotations

from types import MappingProxyType
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from assay._imports import require
from assay.doctor import run_statistics as of
from assay.doctor.case import Case, Check, Measured
from assay.doctor.model_statistics import are_probabilities, has_batch_norm, log_sum_off
from assay.doctor.rows_statistics import Floats
from assay.doctor.sample import Sample
from assay.doctor.training import Judged

_NO_VALID = "no validation rows were given"
_NO_END = "training did not come to an end"
#: Passes over the rows before it makes sense to compare with a linear model.
_ENOUGH = 3.0
#: Loss as a share of that three looks before, below which it is still falling.
_STILL = 0.95


def _overfit(case: Case) -> Measured:
    trace = case.trace
    if not trace.valid or trace.error:
        return _NO_VALID if case.valid is None else _NO_END
    value = of.rise(trace.valid, trace.errors, trace.train)
    least = min(trace.valid)
    return value, f"the validation loss is {trace.valid[-1]:.4g} after {trace.steps} steps; its least was {least:.4g}"


def _gap(case: Case) -> Measured:
    trace = case.trace
    if not trace.valid or trace.error or trace.train[-1] <= 0:
        return _NO_VALID if case.valid is None else _NO_END
    value = trace.valid[-1] / trace.train[-1]
    return value, f"the validation loss is {value:.2f} times the training loss"


def _underfit(case: Case) -> Measured:
    trace = case.trace
    if trace.train_rows is None or trace.epochs < _ENOUGH:
        return _NO_END if trace.train_rows is None else "there was no time for three epochs"
    if len(trace.train) > 3 and trace.train[-1] < _STILL * trace.train[-4]:
        return "the training loss was still falling"
    pair = _beside_linear(case, trace.train_rows, case.train)
    if isinstance(pair, str):
        return pair
    value = of.upper_gap(*pair)
    return value, f"scores of training rows: {pair[0].mean():.3f}, of a linear model {pair[1].mean():.3f}"


def _linear_enough(case: Case) -> Measured:
    if case.trace.valid_rows is None or case.valid is None or case.trace.epochs < _ENOUGH:
        return _NO_VALID if case.valid is None else "there was no time for three epochs"
    pair = _beside_linear(case, case.trace.valid_rows, case.valid)
    if isinstance(pair, str):
        return pair
    value = of.gain_in_errors(-pair[0], -pair[1])
    return value, f"scores of validation rows: {pair[0].mean():.3f}, of a linear model {pair[1].mean():.3f}"


def _no_gain(case: Case) -> Measured:
    judged = case.trace.valid_rows if case.valid is not None else case.trace.train_rows
    if judged is None or case.trace.steps < 100:
        return _NO_END
    constant = _constant_losses(case, judged)
    if isinstance(constant, str):
        return constant
    value = of.gain_in_errors(judged.losses, constant)
    return value, f"mean loss {judged.losses.mean():.4g}, of a constant answer {constant.mean():.4g}"


def _evaluation_gap(case: Case) -> Measured:
    trace = case.trace
    if not has_batch_norm(case.model):
        return "there is no batch normalisation"
    if trace.batch_loss is None or trace.train_rows is None:
        return _NO_END
    # Nothing much is wrong with a loss that is small beside the first.
    floor = max(trace.batch_loss, 0.1 * abs(trace.train[0]))
    value = float(trace.train_rows.losses.mean()) / max(floor, 1e-12)
    told = f"training rows have a loss of {trace.train_rows.losses.mean():.4g} in eval mode and {trace.batch_loss:.4g} "
    return value, told + "in train mode without dropout"


def _calibration(case: Case) -> Measured:
    judged = case.trace.valid_rows
    if judged is None:
        return _NO_VALID
    probabilities = _probabilities(judged.outputs, judged.targets)
    if probabilities is None or not np.isfinite(probabilities).all():
        return "the answers are not of classes"
    value = of.calibration_excess(probabilities, judged.targets.cpu().numpy().reshape(-1).astype(np.int64))
    return value, f"the calibration error is {value:.3f} beyond that of a calibrated model"


def _memorised(case: Case) -> Measured:
    ours, theirs = case.trace.train_rows, case.trace.valid_rows
    if ours is None or theirs is None or len(theirs.losses) < 100:
        return "there are fewer than 100 validation rows"
    value = of.membership(ours.losses, theirs.losses)
    return value, f"at least {value:.1%} of training rows are known by their loss at 1 % false alarms"


def _probabilities(outputs: Tensor, targets: Tensor) -> Floats | None:
    """Probabilities (n, classes) of a classifier's answers, or None."""
    if targets.is_floating_point() and not bool(((targets == 0) | (targets == 1)).all()):
        return None
    flat = outputs.double().flatten(1) if outputs.ndim > 1 else outputs.double()[:, None]
    if targets.ndim > 1 and targets.numel() != len(targets):
        return None
    if flat.shape[1] == 1:
        positive = flat if are_probabilities(flat) else flat.sigmoid()
        flat = torch.cat([1 - positive, positive], dim=1)
    elif outputs.ndim != 2 or int(targets.max()) >= flat.shape[1]:
        return None
    elif not are_probabilities(flat):
        flat = flat.softmax(dim=1)
    return np.asarray(flat.cpu().numpy(), np.float64)


def _constant_losses(case: Case, judged: Judged) -> Floats | str:
    """The loss of each row for the best answer that is the same for all."""
    truth, outputs = case.train.targets, judged.outputs
    if truth is None:
        return "a row has several targets"
    several = outputs.ndim == 2 and outputs.shape[1] > 1
    if several and case.train.classes:
        if truth.min() < 0 or truth.max() >= outputs.shape[1]:
            return "labels do not fit the outputs"
        prior = np.bincount(truth.astype(np.int64), minlength=outputs.shape[1]).clip(min=0.5)
        row = torch.as_tensor(prior / prior.sum(), dtype=outputs.dtype, device=outputs.device)
        row = row if are_probabilities(outputs) else row.log()
    elif several:
        return "an answer has several numbers"
    else:
        mean = torch.as_tensor(float(truth.mean()), dtype=outputs.dtype, device=outputs.device)
        bounded = case.train.classes and not are_probabilities(outputs)
        row = (mean.clamp(1e-3, 1 - 1e-3).logit() if bounded else mean).reshape(outputs.shape[1:])
    if log_sum_off(outputs) < 1e-4 if several else False:
        row = row.log_softmax(dim=0)
    each = range(len(outputs))
    return np.array([float(case.loss(row[None], judged.targets[i : i + 1])) for i in each], np.float64)


def _beside_linear(case: Case, judged: Judged, part: Sample) -> tuple[Floats, Floats] | str:
    """Scores of the judged rows, of the model and of a linear one: hits, or negative squared errors."""
    truth = case.train.targets
    rows = len(judged.losses)
    if truth is None or part.targets is None or part.narrow.shape[1] != case.train.narrow.shape[1]:
        return "the rows are of another form"
    asked, known = part.targets[:rows], part.narrow[:rows]
    outputs = judged.outputs.double().cpu().numpy().reshape(rows, -1)
    if not case.train.classes:
        if outputs.shape[1] != 1:
            return "an answer has several numbers"
        answers = _linear(case.train.narrow, truth, known, classes=False)
        spread = max(float(truth.var()), 1e-12)
        return -((outputs[:, 0] - asked) ** 2) / spread, -((answers - asked) ** 2) / spread
    if outputs.shape[1] == 1:
        inside = are_probabilities(judged.outputs)
        ours = (outputs[:, 0] > (0.5 if inside else 0.0)).astype(np.int64)
    else:
        ours = outputs.argmax(axis=1)
    if len(np.unique(truth)) < 2:
        return "there is one class"
    theirs = _linear(case.train.narrow, truth, known, classes=True)
    return (ours == asked).astype(np.float64), (theirs == asked).astype(np.float64)


def _linear(inputs: Floats, truth: NDArray[Any], asked: Floats, *, classes: bool) -> NDArray[Any]:
    """Answers of a linear model with a ridge penalty."""
    linear = require("sklearn.linear_model", "a linear model")
    spread = inputs.std(axis=0)
    spread[spread < 1e-12] = 1.0
    mean = inputs.mean(axis=0)
    model = linear.RidgeClassifier(alpha=10.0) if classes else linear.Ridge(alpha=10.0)
    answers: NDArray[Any] = model.fit((inputs - mean) / spread, truth).predict((asked - mean) / spread)
    return answers


CHECKS: MappingProxyType[str, Check] = MappingProxyType(
    {
        "after.overfit": _overfit, "after.gap": _gap, "after.underfit": _underfit, "after.no-gain": _no_gain,
        "after.linear-enough": _linear_enough, "after.evaluation-gap": _evaluation_gap,
        "after.calibration": _calibration, "after.memorised": _memorised,
    }
)  # fmt: skip
