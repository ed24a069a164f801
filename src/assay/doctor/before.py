"""Rules about the rows, before anything is asked of the model."""

from __future__ import annotations

from types import MappingProxyType
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from assay.doctor import forest_statistics as forest
from assay.doctor import rows_statistics as rows
from assay.doctor.case import FEW, Case, Check, Measured
from assay.doctor.model_statistics import has_batch_norm
from assay.doctor.sample import MOST_ROWS
from assay.doctor.subject import answers, taken_apart

_NO_VALID = "no validation rows were given"
_NO_CLASSES = "the targets are not classes"
_SEVERAL = "a row has several targets"


def _finite(case: Case) -> Measured:
    parts = [part for part in (case.train, case.valid, case.test) if part is not None]
    bad = 0 if _bears(case) else sum(rows.non_finite(part.inputs) for part in parts)
    targets = sum(rows.non_finite(p.targets) for p in parts if p.targets is not None and p.targets.dtype.kind == "f")
    return bad + targets, f"{bad:,} numbers of the inputs and {targets:,} targets are not finite"


def _bears(case: Case) -> bool:
    """Whether the model answers training rows with NaN by finite numbers, as one does that fills them itself."""
    bad = [batch for batch in case.train.kept if not all(bool(each.isfinite().all()) for each in batch.tensors)]
    case.model.eval()
    with torch.no_grad():
        return bool(bad) and all(bool(answers(case.model, batch).isfinite().all()) for batch in bad)


def _scale(case: Case) -> Measured:
    if not case.train.floating:
        return "the inputs are codes"
    value = rows.scale(_clean(case.train.inputs))
    return value, f"columns are up to 10^{value:.1f} times as large, or small, as standardised ones"


def _target_scale(case: Case) -> Measured:
    targets = case.train.targets
    if targets is None or case.train.classes:
        return "the targets are classes" if targets is not None else _SEVERAL
    value = rows.target_scale(_clean(targets))
    return value, f"the target's mean is {_clean(targets).mean():.3g} and its deviation {_clean(targets).std():.3g}"


def _outliers(case: Case) -> Measured:
    if not case.train.floating:
        return "the inputs are codes"
    value = rows.farthest(_clean(case.train.inputs))
    return value, f"a value is {value:.1f} deviations from its column's mean"


def _constant(case: Case) -> Measured:
    value = rows.constant_share(case.train.inputs)
    return value, f"{value:.0%} of the columns have one value"


def _duplicates(case: Case) -> Measured:
    value = rows.duplicate_share(case.train.hashes)
    return value, f"{value:.1%} of {len(case.train):,} training rows repeat another"


def _overlap(case: Case) -> Measured:
    parts = {"validation": case.valid, "test": case.test}
    shares = {name: rows.overlap_share(case.train.hashes, p.hashes) for name, p in parts.items() if p is not None}
    if case.valid is not None and case.test is not None:
        shares["test rows that are validation"] = rows.overlap_share(case.valid.hashes, case.test.hashes)
    if not shares:
        return _NO_VALID
    name = max(shares, key=lambda each: shares[each])
    where = "training rows" if name in parts else "too"
    return shares[name], f"{shares[name]:.1%} of the {name} rows are {where}"


def _near_overlap(case: Case) -> Measured:
    if case.valid is None or case.valid.narrow.shape[1] != case.train.narrow.shape[1]:
        return _NO_VALID
    if not case.train.floating:
        return "the inputs are codes"
    value = rows.near_overlap(case.train.narrow, case.valid.narrow)
    return value, f"{value:.1%} of the validation rows are next to a training row (1 % would be usual)"


def _conflicts(case: Case) -> Measured:
    if case.train.targets is None:
        return _SEVERAL
    value = rows.conflict_share(case.train.hashes, case.train.targets)
    return value, f"{value:.1%} of the training rows have the inputs of another and not its target"


def _leak(case: Case) -> Measured:
    if case.train.targets is None or len(case.train) < FEW:
        return "too few rows to tell" if case.train.targets is not None else _SEVERAL
    value, column = rows.best_column(case.train.narrow, case.train.targets, classes=case.train.classes)
    return value, f"input column {column} alone reaches {value:.3f} of 1"


def _no_signal(case: Case) -> Measured:
    if isinstance(case.unseen, str):
        return case.unseen
    value = forest.signal(*case.unseen, classes=case.train.classes)
    return value, f"a forest beats a constant answer by {value:.1f} standard errors on rows it did not see"


def _label_noise(case: Case) -> Measured:
    if isinstance(case.unseen, str) or not case.train.classes:
        return case.unseen if isinstance(case.unseen, str) else _NO_CLASSES
    value = forest.contradicted(*case.unseen)
    return value, f"{value:.1%} of the labels contradict what rows like theirs have"


def _imbalance(case: Case) -> Measured:
    if case.train.targets is None or not case.train.classes:
        return _NO_CLASSES
    if (
        getattr(case.subject.loss, "weight", None) is not None
        or getattr(case.subject.loss, "pos_weight", None) is not None
    ):
        return "the loss weighs the classes"
    value = rows.imbalance(case.train.targets)
    return value, f"the smallest class has {value:.3f} of the rows of the largest"


def _prevalence(case: Case) -> Measured:
    if case.valid is None or case.valid.targets is None or case.train.targets is None:
        return _NO_VALID
    value = rows.prevalence_gap(case.train.targets, case.valid.targets, classes=case.train.classes)
    return value, f"targets of training and validation rows are {value:.2f} apart (0 alike, 1 nothing in common)"


def _drift(case: Case) -> Measured:
    if case.valid is None or min(len(case.valid), len(case.train)) < FEW:
        return _NO_VALID if case.valid is None else "too few validation rows"
    if case.valid.narrow.shape[1] != case.train.narrow.shape[1]:
        return "the parts have inputs of different size"
    value = forest.apartness(case.train.narrow, case.valid.narrow)
    return value, f"a forest tells training and validation rows apart with a Gini index of {value:.2f} or more"


def _labels(case: Case) -> Measured:
    targets, given = case.train.targets, case.first_answers
    if targets is None or not case.train.classes or given.ndim != 2 or given.shape[1] < 2:
        return "there is not one output a class"
    if targets.dtype.kind == "f":
        return _NO_CLASSES
    value = rows.misfits(targets, given.shape[1])
    told = f"labels are {targets.min()} to {targets.max()} and there are {given.shape[1]} outputs"
    # Of a part of an epoch it is not known whether a label 0 is still to come.
    return (value if case.train.whole else value - int(not (targets == 0).any())), told


def _valid_size(case: Case) -> Measured:
    if case.valid is None:
        return _NO_VALID
    return len(case.valid), f"there are {len(case.valid):,} validation rows" + (" or more" * (not case.valid.whole))


def _sorted(case: Case) -> Measured:
    if case.train.targets is None or len(case.train.sizes) < 2:
        return _SEVERAL if case.train.targets is None else "there is one batch"
    value = rows.order_of(case.train.batches, case.train.targets, classes=case.train.classes)
    return value, f"batch and target go together with {value:.2f} (0 not at all, 1 wholly)"


def _same_order(case: Case) -> Measured:
    if len(case.train.sizes) < 3:
        return "there are fewer than three batches"
    first, again = _marks(case), _marks(case)
    same = float(np.mean([a == b for a, b in zip(first, again, strict=False)]))
    return same, f"{same:.0%} of the first batches were the same in the next epoch"


def _marks(case: Case) -> list[bytes]:
    """A mark of each of the first batches of a pass."""
    found = []
    for raw in case.subject.train:
        batch = taken_apart(raw, case.device)
        found.append(b"".join(rows.keys(batch.targets.detach().cpu().numpy())) + _bytes(batch.tensors))
        if len(found) == 8:
            break
    return found


def _bytes(tensors: list[Any]) -> bytes:
    return b"".join(b"".join(rows.keys(each.detach().cpu().numpy())) for each in tensors)


def _coverage(case: Case) -> Measured:
    data = getattr(case.subject.train, "dataset", None)
    if not case.train.whole or data is None or not hasattr(data, "__len__") or not 0 < len(data) <= MOST_ROWS:
        return "the loader does not show its data set, or it is large"
    known = _dataset_keys(case, data)
    if isinstance(known, str):
        return known
    seen = set(case.train.hashes)
    if not seen & known:
        return "rows are changed between data set and batch"
    # What drop_last leaves out is another part in every epoch, and no fault.
    missing = max(len(known) - len(seen & known) - (case.train.sizes[0] - 1), 0)
    value = 1.0 - missing / len(known)
    return value, f"an epoch showed {len(seen & known):,} of the {len(known):,} different rows of the data set"


def _dataset_keys(case: Case, data: Any) -> set[bytes] | str:  # noqa: ANN401  # whatever a loader takes
    first = data[0]
    if not isinstance(first, list | tuple) or len(first) != 2 or not hasattr(first[0], "reshape"):
        return "the data set gives no single tensor a row"
    flat = [np.asarray(data[place][0], np.float32).reshape(-1) for place in range(len(data))]
    return set(rows.keys(np.stack(flat)))


def _last_batch(case: Case) -> Measured:
    if not has_batch_norm(case.model) or not case.train.whole or len(case.train.sizes) < 2:
        return "there is no batch normalisation" if not has_batch_norm(case.model) else "the last batch was not reached"
    if case.train.sizes[0] < 8:
        return "all batches are small"
    return case.train.sizes[-1], f"the last batch has {case.train.sizes[-1]} rows, the others {case.train.sizes[0]}"


def _clean(values: NDArray[Any]) -> rows.Floats:
    return np.nan_to_num(np.asarray(values, np.float64), nan=0.0, posinf=0.0, neginf=0.0)


CHECKS: MappingProxyType[str, Check] = MappingProxyType(
    {
        "data.finite": _finite, "data.scale": _scale, "data.target-scale": _target_scale, "data.outliers": _outliers,
        "data.constant": _constant, "data.duplicates": _duplicates, "data.overlap": _overlap,
        "data.near-overlap": _near_overlap, "data.conflicts": _conflicts, "data.leak": _leak,
        "data.no-signal": _no_signal, "data.label-noise": _label_noise, "data.imbalance": _imbalance,
        "data.prevalence": _prevalence, "data.drift": _drift, "data.labels": _labels, "data.valid-size": _valid_size,
        "loader.sorted": _sorted, "loader.same-order": _same_order, "loader.coverage": _coverage,
        "loader.last-batch": _last_batch,
    }
)  # fmt: skip
