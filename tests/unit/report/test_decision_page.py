"""Decisions on the page, the card and the terminal."""

import io

import numpy as np
import pytest
from rich.console import Console

from assay.data.decision import Rule
from assay.evaluate.calibration.record import CalibrationLoss
from assay.evaluate.calibration.reliability import null_tests
from assay.evaluate.config import EvaluateConfig
from assay.evaluate.decision.exam import decision_report
from assay.evaluate.decision.thresholds import choose_rule
from assay.evaluate.record import Report
from assay.report import decision_page
from assay.report.card import draw_card
from assay.report.page import draw_page
from assay.report.terminal import summarise


@pytest.fixture(scope="module")
def decided(report) -> Report:
    """The report of a binary run with costs, a threshold, and tests of its calibration."""
    rng = np.random.default_rng(0)
    p = rng.beta(1, 3, 3000)
    truth, stated = (rng.random(3000) < p).astype(int), np.stack([1 - p, p], axis=1)
    config = EvaluateConfig(bootstrap=100, costs=(1.0, 4.0))
    rule, choice = choose_rule(stated, truth, None, config)
    rivals = [("majority", np.zeros(3000, np.int64))]
    made = decision_report(report.table_schema, truth, stated, None, rule, choice, config, seed=0, rivals=rivals)
    losses = (CalibrationLoss(kind="none", loss=0.5, error=0.1), CalibrationLoss(kind="beta", loss=0.4, error=0.0))
    calibration = report.calibration.model_copy(
        update={"kind": "beta", "losses": losses, "tests": null_tests(truth, stated, draws=99)}
    )
    return report.model_copy(update={"decision": made, "calibration": calibration})


def test_the_page_draws_the_trade_off_the_costs_and_the_lift(decided):
    text = draw_page(decided)
    assert 'id="decisions"' in text
    assert "is decided from a probability of 0.2" in text
    for name in ("Precision and recall at every threshold", "Cost of a row by threshold", "Gain curve", "Lift curve"):
        assert f'aria-label="{name}' in text
    assert "a false positive costs 1, a false negative 4" in text
    assert "Lift at 10%, higher is better" in text
    assert "Cost of a row, lower is better" in text
    assert "The model cannot be told from a calibrated model on 3,000 rows" in text
    assert '<th scope="row">beta, taken</th>' in text


def test_a_report_without_decisions_has_no_section(report):
    assert 'id="decisions"' not in draw_page(report)
    assert decision_page.said(report) == decision_page.summary(report) == decision_page.reliable(report) == ""
    for draw in (decision_page.trade_off, decision_page.by_threshold, decision_page.costs, decision_page.gain):
        assert draw(report) is None
    assert decision_page.lift(report) is None


def test_the_chosen_point_lies_on_the_curve(decided):
    found = decided.decision
    at = decision_page._place(found.trade, found.threshold)
    assert found.trade.thresholds[at] >= found.threshold > found.trade.thresholds[at + 1]
    assert "from 0.5 on" in decision_page.trade_off(decided).svg
    half = found.model_copy(update={"threshold": 0.5})
    assert "and from 0.5 on" not in decision_page.trade_off(decided.model_copy(update={"decision": half})).caption


def test_the_card_and_the_terminal_say_it(decided, report):
    card = draw_card(decided)
    assert "Decisions: " in card
    assert "is decided from a probability of 0.2" in card
    assert "whether these are the decisions" in card
    assert "the decision threshold in use" in draw_card(report)
    out = io.StringIO()
    summarise(decided, Console(file=out, width=80))
    assert "Decides" in out.getvalue()
    summarise(report, Console(file=out, width=80))
    assert out.getvalue().count("Decides") == 1
    assert "Honest?" not in out.getvalue()


def test_the_terminal_warns_where_probabilities_are_not_honest(decided):
    tests = tuple(test.model_copy(update={"p_value": 0.002}) for test in decided.calibration.tests)
    calibration, out = decided.calibration.model_copy(update={"tests": tests}), io.StringIO()
    summarise(decided.model_copy(update={"calibration": calibration}), Console(file=out, width=80))
    assert "Honest?" in out.getvalue()
    assert "is miscalibrated by" in " ".join(out.getvalue().split())


def test_decisions_travel_as_json(decided):
    assert Report.from_json(decided.to_json(), "made") == decided


def test_every_error_costs_one_where_nothing_else_is_said(decided):
    plain = decided.decision.model_copy(update={"has_costs": False})
    caption = decision_page.costs(decided.model_copy(update={"decision": plain})).caption
    assert caption == "Cost of a row by threshold; no costs were given, so every error costs 1."
    assert Rule((0.2,)).threshold == 0.2


def test_costs_of_baselines_and_a_given_order_are_shown(decided):
    page = draw_page(decided)
    assert "What decisions cost a row, the baselines" in page
    (rival,) = decided.decision.rivals
    cost, apart, span = decision_page.rival_cells(rival)
    assert cost in page
    assert apart.startswith("\N{MINUS SIGN}")  # the model is cheaper than never deciding the positive class
    assert span in page
    bare = rival.model_copy(update={"difference": rival.difference.model_copy(update={"low": None, "high": None})})
    assert decision_page.rival_cells(bare)[2] == ""
    ordered = decided.decision.model_copy(update={"order": ("low", "medium", "high")})
    assert "in the order that was given: low, medium" in draw_page(decided.model_copy(update={"decision": ordered}))
