"""The two chances in a score on the page, in the card and in the reasons to trust it or not."""

from assay.evaluate.record import Estimate
from assay.evaluate.spread_record import MemberScores, Spread
from assay.report import spread_page, story
from assay.report.card import draw_card
from assay.report.page import draw_page
from assay.report.summary import statements


def told(report, *, train=0.0012, test=0.0031, name="realmlp"):
    part = MemberScores(
        name=name, members=4, share=0.75, lowest=0.9011, mean=0.9054, highest=0.9087, deviation=0.0024, error=train
    )
    both = Estimate(value=0.9142, low=0.9076, high=0.9208, method="test rows and training, normal")
    spread = Spread(
        metric="auroc", label="AUROC", test_error=test, train_error=train, both=both, rows=16281, alone=0.25,
        differ="other seeds", parts=(part,),
    )  # fmt: skip
    return report.model_copy(update={"spread": spread})


def test_it_says_which_is_larger_and_what_both_make(report):
    found = spread_page.sentence(told(report))
    assert found.startswith("Other test rows would move AUROC by 0.0031 (standard error), other seeds by 0.0012.")
    assert "interval of 0.9142 is 0.9076 to 0.9208" in found
    assert "25\u202f% of the answer is of single members" in found
    (row,) = spread_page.rows(told(report))
    assert (row.members, row.lowest, row.highest, row.deviation) == ("4", "0.9011", "0.9087", "0.0024")


def test_it_is_on_the_page_and_in_the_card(report, hostile_text):
    page = draw_page(told(report, name=hostile_text))
    assert "Two chances in the score" in page
    assert "<script>alert" not in page
    assert "Two chances: Other test rows" in draw_card(told(report))
    assert "Two chances" not in draw_page(report)
    assert "Two chances" not in draw_card(report)
    assert (spread_page.sentence(report), spread_page.rows(report)) == ("", ())


def test_a_seed_that_matters_more_than_the_rows_is_a_reason_for_care(report):
    def reasons(found):
        return [reason.text for each in statements(found) for reason in each.reasons]

    assert any("Another seed would move" in text for text in reasons(told(report, train=0.005)))
    assert not any("Another seed would move" in text for text in reasons(told(report)))


def test_a_lead_that_another_seed_might_turn_is_a_reason_for_care(report):
    rival = story.best_baseline(report)
    made = story.comparison_with(report, rival, report.primary)
    lead = made.model_copy(
        update={"verdict": "better", "difference": Estimate(value=0.004, low=0.001, high=0.007, method="DeLong")}
    )
    others = tuple(each for each in report.comparisons if each != made)
    ahead = report.model_copy(update={"comparisons": (lead, *others)})

    def said(found):
        texts = [reason.text for each in statements(found) for reason in each.reasons]
        return any("is little beside what another seed" in text for text in texts)

    assert said(told(ahead, train=0.0025))
    assert not said(told(ahead, train=0.0015))
    assert not said(ahead)
