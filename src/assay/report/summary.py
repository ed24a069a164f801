"""The head of the page: five short statements for somebody who reads nothing else.

What it is, how good, compared with what, whether to trust it, and what to do next, all from facts of the report. Each
of `TRUST` looks at one fact and gives a reason for or against; a part of the evaluation that bears on trust adds a
function there.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from assay.data.schema import Task
from assay.evaluate.record import Report
from assay.ledger import Outcome
from assay.report import story, tables
from assay.report.words import count, counted, fixed, number, short

Tone = Literal["plain", "good", "caution", "bad"]


#: Standard errors that a lead must be beyond.
_SURE = 2.0


@dataclass(frozen=True)
class Reason:
    """One fact that speaks for the numbers or against them."""

    text: str
    tone: Tone


@dataclass(frozen=True)
class Statement:
    """A question that is asked first, its answer, and what stands behind it."""

    question: str
    answer: str
    tone: Tone = "plain"
    reasons: tuple[Reason, ...] = ()


def statements(report: Report) -> tuple[Statement, ...]:
    """The five statements in the order they are asked for."""
    return (_what(report), _how_good(report), _compared(report), _trust(report), _next(report))


def _what(report: Report) -> Statement:
    learned = f"learned from {counted(report.split.train_rows, 'row')} of {short(report.source.name, 60)}"
    return Statement("What is it?", f"{story.asked(report)}; {learned}.")


def _how_good(report: Report) -> Statement:
    score = story.score_of(story.network(report), report.primary)
    if score is None or score.estimate.value is None:
        return Statement("How good is it?", f"That is not known: {story.reached(report)}.", "bad")
    meaning = _meaning(report, report.primary, score.estimate.value)
    return Statement("How good is it?", f"{story.reached(report)}{meaning}.")


def _meaning(report: Report, metric: str, value: float) -> str:
    """A score in everyday words, where there are any."""
    target = short(report.table_schema.target, 40)
    worded = {
        "auroc": f": {_in_100(value)} times in 100 it ranks a positive row above a negative one, where chance gives 50",
        "accuracy": f": {_in_100(value)} of 100 rows are given the right class",
        "f1_micro": ": labels rightly given against those missed or wrong, at best 1",
        "rmse": f": the size of an error in units of {target}, large ones weighing more",
        "mae": f": the mean size of an error, in units of {target}",
    }
    return worded.get(metric, "")


def _in_100(share: float) -> str:
    """A share as so many of a hundred; what is neither none nor all never reads so."""
    return fixed(100 * share, 0) if 0.005 <= share <= 0.995 else fixed(100 * share, 1)


def _compared(report: Report) -> Statement:
    question, told = "Compared with what?", story.against(report)
    if not told:
        return Statement(
            question,
            "With nothing: no baseline was trained, so it is not known whether a network was needed.",
            "caution",
        )
    rival = story.best_baseline(report)
    made = None if rival is None else story.comparison_with(report, rival, report.primary)
    tones: dict[str, Tone] = {"better": "good", "worse": "bad", "not distinguishable": "caution"}
    others = sum(model.kind == "baseline" for model in report.scores)
    return Statement(
        question,
        f"{told[0].upper()}{told[1:]}.",
        "caution" if made is None else tones[made.verdict],
        (Reason(f"{counted(others, 'baseline')} of other kinds saw the same rows.", "plain"),),
    )


def _trust(report: Report) -> Statement:
    reasons = tuple(reason for look in TRUST if (reason := look(report)) is not None)
    against = sum(reason.tone == "caution" for reason in reasons)
    if any(reason.tone == "bad" for reason in reasons):
        return Statement("Can I trust it?", "Not as it stands.", "bad", reasons)
    if against:
        points = "one point speaks" if against == 1 else f"{against} points speak"
        return Statement("Can I trust it?", f"With care: {points} against it.", "caution", reasons)
    return Statement("Can I trust it?", "Yes, as far as one run can tell.", "good", reasons)


def _next(report: Report) -> Statement:
    serious = [finding for finding in report.findings if finding.severity.value == "serious"]
    reasons = tuple(
        Reason(f"First, {short(finding.what, 160)}: {short(finding.do, 300)}", "bad") for finding in serious[:3]
    )
    return Statement("What to do next?", report.advice, reasons=reasons)


# Trust ----------------------------------------------------------------------------------------------------------------


def _sealed(report: Report) -> Reason:
    if not report.split.test_rows:
        return Reason(story.seal(report), "bad")
    return Reason(story.seal(report), "good" if report.split.opened <= 1 else "caution")


def _enough_rows(report: Report) -> Reason | None:
    """Few test rows make every number vague, whatever the interval's method."""
    rows = report.split.test_rows or report.split.valid_rows
    if rows >= 100:
        return None
    scored = f"Only {counted(rows, 'row' if report.forecast is None else 'window')} were scored"
    first = report.scores[0].scores[0].estimate
    if first.low is None:
        return Reason(f"{scored}, too few for an interval.", "caution")
    return Reason(f"{scored}: the interval is wide, and itself uncertain.", "caution")


def _steady(report: Report) -> Reason | None:
    """A score that the seed moves by more than the test rows do is less certain than its interval says."""
    found = report.spread
    if found is None or not 0.0 < found.test_error < found.train_error:
        return None
    return Reason("Another seed would move the score by more than other test rows would: see the scores.", "caution")


def _lucky(report: Report) -> Reason | None:
    """A lead over the best baseline that another seed might turn, though these test rows are sure of it."""
    found, rival = report.spread, story.best_baseline(report)
    made = None if rival is None else story.comparison_with(report, rival, report.primary)
    if found is None or rival is None or made is None or made.verdict != "better" or not made.difference.value:
        return None
    if made.difference.value > _SURE * found.train_error:
        return None
    lead, error = number(made.difference.value, 2), number(found.train_error, 2)
    return Reason(
        f"The lead over {short(rival.name, 30)} ({lead}) is little beside what another seed moves the score by "
        f"({error}, standard error).", "caution",
    )  # fmt: skip


def _audited(report: Report) -> Reason:
    serious = sum(finding.severity.value == "serious" for finding in report.findings)
    warned = sum(finding.severity.value == "warning" for finding in report.findings)
    if serious:
        return Reason(f"The audit of the data has {counted(serious, 'serious finding')}.", "bad")
    if warned:
        return Reason(f"The audit of the data has {counted(warned, 'warning')}.", "caution")
    return Reason("The audit of the data found nothing to warn of.", "good")


def _followed(report: Report) -> Reason | None:
    if not report.ledger:
        return None
    failed = sum(verdict.outcome is Outcome.FAILED for verdict in report.ledger)
    told = f"{count(tables.followed(report))} of {count(tables.due(report))} practices that apply were followed"
    if failed:
        return Reason(f"{told}; {counted(failed, 'check')} of them failed: see the ledger.", "caution")
    return Reason(f"{told}; none of the checks failed.", "good")


def _calibrated(report: Report) -> Reason | None:
    if not report.table_schema.has_probabilities or report.table_schema.task is Task.MULTILABEL:
        return None
    if report.calibration is None:
        return Reason("Probabilities are not calibrated: read them as scores, not as frequencies.", "caution")
    points = number(100 * report.calibration.ece_after, 2)
    return Reason(f"Stated probabilities are {points} points off what was observed, on average.", "plain")


def _same_model(report: Report) -> Reason:
    return Reason("The file that answers was compared with the network that was tested: they agree.", "good")


def _interrupted(report: Report) -> Reason | None:
    if not report.training.interrupted:
        return None
    return Reason("Training was cut short by hand: a longer one may score better.", "caution")


#: What is looked at, one fact each, in the order of the page.
TRUST: tuple[Callable[[Report], Reason | None], ...] = (
    _sealed,
    _enough_rows,
    _steady,
    _lucky,
    _audited,
    _followed,
    _calibrated,
    _interrupted,
    _same_model,
)
