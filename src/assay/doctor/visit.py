"""The examination: every rule in turn, on a subject that is afterwards as it was before."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from assay.doctor import after, before, during, start
from assay.doctor.case import Case, Check
from assay.doctor.diagnosis import Diagnosis, Finding, inapplicable, judged
from assay.doctor.rules import RULES
from assay.doctor.state import unchanged
from assay.doctor.subject import answers, subject_of
from assay.doctor.training import FAULTS
from assay.errors import ConfigError, nearest
from assay.train.budget import Budget

SECONDS, STEPS = 60.0, 400
_CHECKS: dict[str, Check] = {**before.CHECKS, **start.CHECKS, **during.CHECKS, **after.CHECKS}


def examine(
    given: object,
    *,
    seconds: float = SECONDS,
    steps: int = STEPS,
    only: Sequence[str] = (),
    told: Callable[[str], None] = lambda _: None,
) -> Diagnosis:
    """Hold a training of your own against every rule; model, optimiser and random numbers are afterwards as before.

    Args:
        given: an `assay.doctor.Subject`, or a mapping of its parts.
        seconds: that it may take; rules that no time is left for are not applicable.
        steps: of the short training, at most.
        only: ids of the rules to hold it against; all where none is named.
        told: called with the id of each rule as its turn comes.

    Raises:
        ConfigError: the subject is not what it must be, a rule is unknown, or the model cannot answer its first batch.
    """
    if not seconds > 0 or steps < 1:
        raise ConfigError("seconds and steps must be above 0", f"{seconds:g} and {steps} were given", "Give more.")
    unknown = [name for name in only if name not in RULES]
    if unknown:
        raise ConfigError("a rule must be one of the doctor's", f"{unknown[0]!r} was given", nearest(unknown[0], RULES))
    began = time.monotonic()
    budget = Budget(seconds, began)
    case = Case(subject_of(given), budget, steps)
    with unchanged(case.subject):
        _check_answers(case)
        findings = []
        for name in [each for each in RULES if not only or each in only]:
            told(name)
            case.snapshot.restore()
            findings.append(_finding(case, name))
        done = case.done
    return Diagnosis(findings=tuple(findings), seconds=time.monotonic() - began, steps=done)


def _finding(case: Case, name: str) -> Finding:
    if case.budget.left <= 0:
        return inapplicable(name, "there was no time left")
    try:
        measured = _CHECKS[name](case)
    except ConfigError:
        raise
    except FAULTS as error:  # the user's code refuses what the rule asks; run.completes tells what it means
        first = (str(error).splitlines() or [""])[0][:100]
        return inapplicable(name, f"it could not be asked: {type(error).__name__}: {first}")
    if isinstance(measured, str):
        return inapplicable(name, measured)
    return judged(RULES[name], float(measured[0]), measured[1])


def _check_answers(case: Case) -> None:
    """Ask for the first batch.

    Raises:
        ConfigError: the model cannot answer it.
    """
    case.model.eval()
    try:
        answers(case.model, case.few)
    except ConfigError:
        raise
    except FAULTS as error:
        raise ConfigError(
            "the model must answer the first batch of train",
            f"it raised {type(error).__name__}: {(str(error).splitlines() or [''])[0][:160]}",
            "Check that model(inputs) works for a batch of the loader.",
        ) from error
