"""The head of the page: five statements, each from facts of the report."""

from __future__ import annotations

import pytest

from assay.ledger import Outcome, Verdict
from assay.report.summary import statements


def answers(report):
    return {each.question: each for each in statements(report)}


def reasons(report, tone):
    return [reason.text for reason in answers(report)["Can I trust it?"].reasons if reason.tone == tone]


def without_findings(report):
    return report.model_copy(update={"findings": ()})


def test_five_questions_in_the_order_people_ask_them(shape):
    assert [each.question for each in statements(shape[1])] == [
        "What is it?",
        "How good is it?",
        "Compared with what?",
        "Can I trust it?",
        "What to do next?",
    ]
    assert all(each.answer and "None" not in each.answer for each in statements(shape[1]))


def test_a_score_is_said_in_everyday_words(report):
    told = answers(report)["How good is it?"].answer
    assert told.endswith(": 91 times in 100 it ranks a positive row above a negative one, where chance gives 50.")


def test_a_network_that_loses_is_said_to(report):
    compared = answers(report)["Compared with what?"]
    assert compared.tone == "bad"
    assert compared.answer == "The best baseline (trees) reaches 0.9254, and the network is worse (p < 0.001)."
    assert compared.reasons[0].text == "3 baselines of other kinds saw the same rows."


def test_without_a_baseline_nothing_is_claimed(reports):
    found = answers(reports["bare"])
    assert found["Compared with what?"].tone == "caution"
    assert "With nothing" in found["Compared with what?"].answer
    assert found["How good is it?"].answer.startswith("That is not known: AUROC is not defined")


def test_serious_findings_speak_against_it_and_come_first_in_what_to_do(report):
    found = answers(report)
    assert found["Can I trust it?"].answer == "Not as it stands."
    assert "The audit of the data has 1 serious finding." in reasons(report, "bad")
    assert found["What to do next?"].reasons[0].text.startswith("First, 23 test rows are also training rows: ")
    assert report.advice == found["What to do next?"].answer


def test_a_clean_run_is_trusted_as_far_as_one_run_can_tell(report):
    ledger = tuple(verdict for verdict in report.ledger if verdict.outcome is not Outcome.FAILED)
    clean = without_findings(report).model_copy(update={"ledger": ledger})
    assert answers(clean)["Can I trust it?"].answer == "Yes, as far as one run can tell."
    assert reasons(clean, "caution") == []


@pytest.mark.parametrize(("opened", "tone"), [(1, "good"), (2, "caution")])
def test_looks_at_the_test_rows_are_counted(report, opened, tone):
    seen = report.model_copy(update={"split": report.split.model_copy(update={"opened": opened})})
    assert any(text.startswith("The test rows were sealed") for text in reasons(seen, tone))


def test_few_rows_and_failed_checks_are_named(report):
    failed = Verdict(practice="train.loss-at-start", outcome=Outcome.FAILED, reason="the loss began at 9")
    few = report.split.model_copy(update={"test_rows": 40})
    told = reasons(report.model_copy(update={"split": few, "ledger": (*report.ledger, failed)}), "caution")
    assert any(text.startswith("Only 40 rows were scored") for text in told)
    assert any("1 check of them failed" in text or "checks of them failed" in text for text in told)


def test_few_rows_without_an_interval_are_too_few_for_one(report):
    network, *others = report.scores
    first = network.scores[0]
    bare = first.model_copy(update={"estimate": first.estimate.model_copy(update={"low": None, "high": None})})
    few = {"scores": (network.model_copy(update={"scores": (bare, *network.scores[1:])}), *others)}
    few["split"] = report.split.model_copy(update={"test_rows": 13})
    told = reasons(report.model_copy(update=few), "caution")
    assert "Only 13 rows were scored, too few for an interval." in told
