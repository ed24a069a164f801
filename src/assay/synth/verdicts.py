"""What the ledger is told of synthetic rows."""

from __future__ import annotations

from assay.evaluate.record import Estimate
from assay.ledger import Ledger, Outcome
from assay.synth.record import Quality


def note_quality(quality: Quality, ledger: Ledger) -> None:
    """Write the verdicts of the stage `synthesise`."""
    _note_held_back(quality, ledger)
    _note_utility(quality, ledger)
    _note_detection(quality, ledger)
    _note_copies(quality, ledger)
    _note_membership(quality, ledger)


def _note_held_back(quality: Quality, ledger: Ledger) -> None:
    reason = f"learned from {quality.fit_rows:,} rows, judged by {quality.held_back_rows:,} that it did not see"
    ledger.record("synth.held-back", Outcome.APPLIED, reason, value=quality.held_back_rows)


def _note_utility(quality: Quality, ledger: Ledger) -> None:
    found = quality.utility
    if found.difference.value is None:
        ledger.record("synth.utility", Outcome.WARNED, found.reason or found.difference.method)
        return
    worse = found.difference.high is not None and found.difference.high < 0
    how = "with synthetic rows added" if quality.made.augments else "trained on synthetic rows"
    reason = (
        f"{found.label} {found.synthetic.value:.4g} {how}, {found.real.value:.4g} on real ones alone; "
        f"difference in favour of synthetic {found.difference.value:+.4g}{_span(found.difference)}"
    )
    outcome = Outcome.WARNED if worse else Outcome.PASSED
    ledger.record("synth.utility", outcome, reason, value=found.difference.value)


def _note_detection(quality: Quality, ledger: Ledger) -> None:
    area = quality.detection.auroc
    if area.value is None:
        ledger.record("synth.detection", Outcome.NOT_APPLICABLE, area.method)
        return
    told = area.low is not None and area.low > 0.5
    reason = f"boosted trees tell real from synthetic rows with an AUROC of {area.value:.3f}{_span(area)}"
    ledger.record("synth.detection", Outcome.WARNED if told else Outcome.PASSED, reason, value=area.value)


def _note_copies(quality: Quality, ledger: Ledger) -> None:
    near = quality.closeness
    share = near.copies / near.rows
    reason = (
        f"{near.copies:,} of {near.rows:,} rows written equal a row learned from; {near.held_back_copies:.1%} of the "
        "held-back rows do"
    )
    # Where rows of few values repeat each other, as many copies as among real rows are chance.
    ledger.record(
        "synth.copies", Outcome.WARNED if share > near.held_back_copies else Outcome.PASSED, reason, value=near.copies
    )


def _note_membership(quality: Quality, ledger: Ledger) -> None:
    area = quality.membership.auroc
    if area.value is None:
        ledger.record("synth.membership", Outcome.NOT_APPLICABLE, area.method)
        return
    told = area.low is not None and area.low > 0.5
    reason = (
        f"whether a row was learned from is told with an AUROC of {area.value:.3f}{_span(area)} by its distance to the "
        "nearest synthetic row; no epsilon is claimed"
    )
    ledger.record("synth.membership", Outcome.WARNED if told else Outcome.PASSED, reason, value=area.value)


def _span(estimate: Estimate) -> str:
    return "" if estimate.low is None or estimate.high is None else f" [{estimate.low:.3g}, {estimate.high:.3g}]"
