"""The parts of the page in the order they are read: each has a template of its own name, and says when it is there.

A new part is one line here and `templates/<id>.html.j2`; what the template calls beside the report is a module named in
`page.environment`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from assay.evaluate.record import Report
from assay.report import fit_page, mistakes_page, robustness_page, slices_page


def _always(report: Report) -> bool:
    return True


def _has_curves(report: Report) -> bool:
    """Whether there is a curve to show, or a lack of calibration to own up to."""
    drawn = (report.roc, report.precision_recall, report.calibration)
    return any(drawn) or report.table_schema.has_probabilities


@dataclass(frozen=True)
class Section:
    """A part of the page: the id of its anchor and template, its heading, and whether a report has it."""

    id: str
    title: str
    is_in: Callable[[Report], bool] = _always


SECTIONS = (
    Section("asked", "What was asked"),
    Section("data", "Data and audit"),
    Section("split", "Split"),
    Section("training", "Training"),
    Section("scores", "Scores"),
    Section("forecast", "Forecasts", lambda report: report.forecast is not None),
    Section("certainty", "Certainty", lambda report: bool(report.coverage or report.unusual)),
    Section("errors", "Errors"),
    Section("fit", "Bias and variance", fit_page.has_any),
    Section("mistakes", "Mistakes", lambda report: mistakes_page.mistakes_of(report) is not None),
    Section("slices", "Where it is weak", lambda report: slices_page.slices_of(report) is not None),
    Section("robustness", "What it withstands", lambda report: robustness_page.robustness_of(report) is not None),
    Section("fairness", "Sensitive groups", lambda report: report.fairness is not None),
    Section("curves", "Curves", _has_curves),
    Section("decisions", "Decisions", lambda report: report.decision is not None),
    Section("model", "The model"),
    Section("ledger", "The ledger"),
    Section("provenance", "Provenance"),
)


def sections_of(report: Report) -> tuple[Section, ...]:
    """The parts that this report has."""
    return tuple(section for section in SECTIONS if section.is_in(report))
