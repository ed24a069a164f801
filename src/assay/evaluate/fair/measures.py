"""What is measured of a group, and which of it is compared between groups, for each task.

Every measure is a mean over some of the rows of a group: a share where what is averaged is 0 or 1. So gaps, bootstrap
and chance need one way of counting for all of them (`gaps.py`).

Sources: Hardt, Price & Srebro, Equality of Opportunity in Supervised Learning (NIPS 2016): equalised odds;
Chouldechova, Fair prediction with disparate impact (Big Data 2017): predictive parity, and that not all can hold at
once; Barocas, Hardt & Narayanan, Fairness and Machine Learning (2023), chapter 3.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from assay.data.schema import Schema, Task
from assay.evaluate.fair.record import Measure
from assay.evaluate.metrics import Floats, Ints

#: Classes up to which each has rates of its own, one against the rest.
MOST_CLASSES = 10


@dataclass(frozen=True)
class Measured:
    """A measure with what it averages: `values` (n,) over the rows where `among` (n,) holds."""

    told: Measure
    values: Floats
    among: NDArray[np.bool_]


@dataclass(frozen=True)
class Compared:
    """A gap to look for: the largest over these measures; a ratio is of one share."""

    id: str
    label: str
    measures: tuple[str, ...]
    is_ratio: bool = False


@dataclass(frozen=True)
class Measures:
    """All measures of a task, and the gaps in them. decided: how probabilities became decisions."""

    measured: tuple[Measured, ...]
    compared: tuple[Compared, ...]
    decided: str


def measures_of(
    schema: Schema, truth: NDArray[Any], prediction: Floats, chosen: Ints | None, decided: str = ""
) -> Measures:
    """What is measured of these rows.

    Args:
        schema: gives the task and the classes.
        truth: class positions or values, (n,); of labels 0 and 1, (n, L).
        prediction: probabilities (n, K), or values (n,).
        chosen: the classes decided for, (n,), or the labels given, 0 and 1, (n, L); None of a regression.
        decided: how, where that is not by the likeliest class, or by a probability of 0.5.
    """
    if schema.task is Task.BINARY:
        assert chosen is not None
        return _binary(schema, truth == 1, prediction[:, 1], chosen == 1, decided)
    if schema.task is Task.MULTICLASS:
        assert chosen is not None
        return _classes(schema, truth, prediction, chosen, decided or "the likeliest class")
    if schema.is_multilabel:
        assert chosen is not None
        return _labels(schema, truth, prediction, chosen, decided or "each label by itself")
    return _regression(schema, truth, prediction)


def _measure(
    id: str, label: str, of: str, values: NDArray[Any], among: NDArray[np.bool_] | None = None, *,  # noqa: A002
    is_share: bool = True, is_primary: bool = False,
) -> Measured:  # fmt: skip
    told = Measure(id=id, label=label, of=of, is_share=is_share, is_primary=is_primary)
    return Measured(told, np.asarray(values, np.float64), np.ones(len(values), bool) if among is None else among)


def _binary(
    schema: Schema, positive: NDArray[np.bool_], probability: Floats, chosen: NDArray[np.bool_], decided: str
) -> Measures:
    name = schema.positive
    measured = (
        _measure("base_rate", "Observed", f"rows that are {name}", positive),
        _measure("mean_probability", "Predicted", f"mean probability of {name}", probability, is_share=False),
        _measure("selection_rate", "Selection rate", "rows decided positive", chosen, is_primary=True),
        _measure("tpr", "TPR", "positive rows decided positive", chosen, positive, is_primary=True),
        _measure("fpr", "FPR", "negative rows decided positive", chosen, ~positive, is_primary=True),
        _measure("ppv", "PPV", "rows decided positive that are", positive, chosen),
        _measure("accuracy", "Accuracy", "rows decided right", positive == chosen),
        _calibration(positive - probability, "observed less predicted share"),
    )
    compared = (
        Compared("demographic_parity_difference", "Demographic parity difference", ("selection_rate",)),
        Compared("demographic_parity_ratio", "Demographic parity ratio", ("selection_rate",), is_ratio=True),
        Compared("equalised_odds_difference", "Equalised odds difference", ("tpr", "fpr")),
        Compared("equal_opportunity_difference", "Equal opportunity difference (TPR)", ("tpr",)),
        Compared("false_positive_difference", "False positive rate difference", ("fpr",)),
        Compared("predictive_parity_difference", "Predictive parity difference (PPV)", ("ppv",)),
        Compared("accuracy_difference", "Accuracy difference", ("accuracy",)),
        Compared("calibration_difference", "Calibration difference", ("calibration",)),
    )
    return Measures(measured, compared, decided or f"{name} from a probability of 0.5 on")


def _calibration(values: Floats, of: str) -> Measured:
    return _measure("calibration", "Calibration", of, values, is_share=False)


def _classes(schema: Schema, truth: Ints, prediction: Floats, chosen: Ints, decided: str) -> Measures:
    hit = chosen == truth
    measured = (
        _measure("accuracy", "Accuracy", "rows decided right", hit, is_primary=True),
        _measure("error", "Error", "rows decided wrong", ~hit),
        _calibration(hit - prediction.max(axis=1), "rows decided right less the mean probability of the decision"),
    )
    compared = (
        Compared("accuracy_difference", "Accuracy difference", ("accuracy",)),
        Compared("calibration_difference", "Calibration difference", ("calibration",)),
    )
    places = np.arange(len(schema.classes))
    found = Measures(measured, compared, decided)
    found = _each_alone(schema, found, truth[:, None] == places, chosen[:, None] == places, "class")
    if len(places) > MOST_CLASSES:
        return found
    return replace(found, decided=f"{decided}; rates of a class are of it against the rest")


def _labels(schema: Schema, truth: Ints, prediction: Floats, chosen: Ints, decided: str) -> Measures:
    has, given = truth > 0, chosen > 0
    right = has == given
    measured = (
        _measure("exact", "All labels right", "rows with all labels decided right", right.all(axis=1), is_primary=True),
        _measure(
            "label_accuracy", "Labels right", "labels decided right, of a row", right.mean(axis=1), is_share=False
        ),
        _measure("labels_had", "Labels", "labels that a row has", has.sum(axis=1), is_share=False),
        _measure("labels_given", "Labels given", "labels that a row is given", given.sum(axis=1), is_share=False),
        _calibration((has - prediction).mean(axis=1), "observed less predicted share, mean of the labels"),
    )
    compared = (
        Compared("accuracy_difference", "Difference in rows with all labels right", ("exact",)),
        Compared("label_accuracy_difference", "Difference in labels right", ("label_accuracy",)),
        Compared("calibration_difference", "Calibration difference", ("calibration",)),
    )
    return _each_alone(schema, Measures(measured, compared, decided), has, given, "label")


def _each_alone(
    schema: Schema, found: Measures, has: NDArray[np.bool_], given: NDArray[np.bool_], what: str
) -> Measures:
    """The measures with rates of every class or label by itself, (n, K), and with the gaps of the worst of them."""
    if len(schema.classes) > MOST_CLASSES:
        several = "classes" if what == "class" else "labels"
        told = f"{found.decided}; no rates of single {several}, of which there are more than {MOST_CLASSES}"
        return replace(found, decided=told)
    measured: list[Measured] = []
    for name, own, chosen in zip(schema.classes, has.T, given.T, strict=True):
        measured += [
            _measure(f"selection_rate:{name}", f"Selection: {name}", f"rows decided {name}", chosen),
            _measure(f"tpr:{name}", f"TPR: {name}", f"rows of {name} decided so", chosen, own),
            _measure(f"fpr:{name}", f"FPR: {name}", f"other rows decided {name}", chosen, ~own),
        ]
    selection, hits, alarms = (
        tuple(f"{each}:{name}" for name in schema.classes) for each in ("selection_rate", "tpr", "fpr")
    )
    compared = (
        Compared("demographic_parity_difference", f"Demographic parity difference, worst {what}", selection),
        Compared("equalised_odds_difference", f"Equalised odds difference, worst {what}", (*hits, *alarms)),
        Compared("equal_opportunity_difference", f"Equal opportunity difference (TPR), worst {what}", hits),
    )
    return Measures((*found.measured, *measured), (*found.compared, *compared), found.decided)


def _regression(schema: Schema, truth: Floats, prediction: Floats) -> Measures:
    residual = prediction - truth
    unit = f"in units of {schema.target}"
    measured = (
        _measure("mean_truth", "Observed", f"mean, {unit}", truth, is_share=False),
        _measure("mean_prediction", "Predicted", f"mean, {unit}", prediction, is_share=False),
        _measure(
            "residual", "Mean residual", f"predicted less observed, {unit}", residual, is_share=False, is_primary=True
        ),
        _measure("mae", "Mean absolute error", unit, np.abs(residual), is_share=False, is_primary=True),
    )
    compared = (
        Compared("residual_difference", "Difference of mean residuals", ("residual",)),
        Compared("error_difference", "Difference of mean absolute errors", ("mae",)),
    )
    return Measures(measured, compared, "nothing: the answers are numbers")


def labels_of(measures: Sequence[Measure]) -> dict[str, str]:
    """The labels of measures by id."""
    return {measure.id: measure.label for measure in measures}
