"""Ablations and comparisons in words and pages: nothing unescaped, and the words that the numbers deserve."""

import io
from html.parser import HTMLParser

import pytest
from rich.console import Console

from assay.evaluate.earned import Ablation, Effect, Unmeasured
from assay.evaluate.record import Estimate
from assay.evaluate.versus import Family, Pairing
from assay.report import ablation_words as words
from assay.report.ablation_page import draw_ablation
from assay.report.ablation_terminal import print_ablation
from assay.report.compare_page import draw_compare
from assay.report.page import draw_page
from assay.report.words import plain

NOTHING = "no measurable effect"


class Tree(HTMLParser):
    """Checks that tags close in order, and collects tags and text."""

    def __init__(self, page):
        super().__init__(convert_charrefs=True)
        self.open, self.tags, self.text = [], set(), []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        assert not [name for name, _ in attrs if name.startswith("on")]
        if tag not in {"meta", "link", "br", "col"}:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.add(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)


def effect(practice="train.clipping", verdict=NOTHING, gain=(0.0001, -0.0004, 0.0006), **more):
    value, low, high = gain
    given = {
        "way": "trained anew", "without": "train.clip_norm=0", "metric": "auroc", "label": "AUROC", "with_score": 0.9,
        "without_score": 0.8999, "p_value": 0.7, "proper": Estimate(value=0.001, method="t"), "seconds": 1.25,
        "pairs": 5, "gain": Estimate(value=value, low=low, high=high, method="t"), **more,
    }  # fmt: skip
    return Effect(practice=practice, verdict=verdict, **given)


HELPS = effect(
    "encode.impute", "helps", (0.0123, 0.0081, 0.0166), without="data.encode.missing_flags=false", p_value=2e-4
)
HURTS = effect("train.mixup", "hurts", (-0.02, -0.03, -0.01), without="train.mixup=0", p_value=0.001)
NEEDED = effect("encode.scale", "needed", (None, None, None), without="data.encode.scale=none", reason="lost")
UNCLEAR = effect("train.adamw", "unclear", (0.004, 0.001, 0.007), without="train.weight_decay=0", p_value=0.2)


def ablation(*effects, **more):
    given = {
        "run": "adult-1", "data": "adult.csv", "target": "income", "label": "AUROC", "proper_label": "Log loss",
        "confidence": 0.95, "network": "realmlp", "rows": 9_000, "of_rows": 29_000, "passes": 12, "folds": 5,
        "seeds": 1,
        "notes": ("9,000 of 29,000 rows are used",), "effects": effects, "complete": True, "seconds": 60.0,
        "unmeasured": (Unmeasured(practice="split.time", reason="it decides who judges"),), **more,
    }  # fmt: skip
    return Ablation(**given)


@pytest.mark.parametrize(
    ("one", "told"),
    [
        (effect(), "no measurable effect: +0.00010 [-0.00040, +0.00060] AUROC against train.clip_norm=0"),
        (HELPS, "+0.012 [+0.008, +0.017] AUROC against data.encode.missing_flags=false (p < 0.001)"),
        (HURTS, "-0.020 [-0.030, -0.010] AUROC against train.mixup=0 (p = 0.001)"),
        (NEEDED, "without it (data.encode.scale=none) training fails"),
        (UNCLEAR, "which is unclear among so many practices (p = 0.20)"),
    ],
)
def test_what_was_earned_in_a_sentence(one, told):
    assert told in plain(words.earned(one))


def test_the_headline_counts():
    assert words.headline(ablation(effect(), effect("encode.clip"))) == "None of 2 practices had a measurable effect."
    made = plain(words.headline(ablation(NEEDED, HELPS, UNCLEAR, effect(), HURTS)))
    assert made == (
        "encode.scale is needed: training fails without; 1 practice of 5 earned something, most of all encode.impute "
        "(+0.012 [+0.008, +0.017] AUROC); train.mixup did harm; 1 had no measurable effect; 1 is unclear."
    )
    assert words.headline(ablation()) == "Nothing could be measured."


def test_costs_are_signed():
    assert [plain(words.cost(effect(seconds=value))) for value in (1.25, -2.0, 0.01, None)] == [
        "+1.2 s",
        "-2 s",
        "0 s",
        "–",
    ]
    assert words.cost(effect(way="computed anew")) == "none"


def test_the_page_is_whole_and_escaped():
    hostile = "<script>alert(1)</script>"
    made = ablation(NEEDED, HELPS, UNCLEAR, effect(), HURTS, data=hostile, target=hostile, complete=False)
    tree = Tree(draw_ablation(made))
    assert tree.open == []
    assert "script" not in tree.tags
    text = " ".join(tree.text)
    assert "training fails without it" in text
    assert "The time was over" in text
    assert "split.time" in text
    assert "svg" in tree.tags


def test_the_ledger_of_the_report_says_what_was_earned(report):
    plain_page = draw_page(report)
    assert "earned: " not in plain_page
    known = report.ledger[0].practice
    assert "earned: +0.012" in draw_page(report, ablation(HELPS.model_copy(update={"practice": known})))


def test_the_terminal_has_a_table():
    stream = io.StringIO()
    print_ablation(ablation(HELPS, effect()), Console(file=stream, width=110))
    printed = stream.getvalue()
    assert "adult-1: 1 practice of 2 earned something" in printed
    assert "+0.012 [+0.008, +0.017]" in printed
    assert "1 practice that the run applied cannot be switched off" in printed
    print_ablation(ablation(), Console(file=stream, width=110))
    assert "not measured: split.time, for it decides who judges" in stream.getvalue()


def test_compared_runs_are_drawn(report):
    pair = Pairing(
        first="a", second="b<", difference=Estimate(value=0.01, low=-0.01, high=0.03, method="t"), p_value=0.4,
        test="DeLong, paired", verdict="not distinguishable",
    )  # fmt: skip
    made = Family(
        metric="auroc", label="AUROC", higher_is_better=True, rows=100, runs=("a", "b<"), scores=(0.9, 0.89),
        pairs=(pair,), groups=(("a", "b<"),), sentence="100 test rows cannot tell these 2 runs apart.",
    )  # fmt: skip
    page = draw_compare(["a", "b<"], [report, report], [made], same_rows=True)
    tree = Tree(page)
    assert tree.open == []
    assert "script" not in tree.tags
    text = " ".join(tree.text)
    assert "cannot tell apart" in text
    assert "b<" in text
    assert "tested on different rows" not in page
    assert "tested on different rows" in draw_compare(["a", "b"], [report, report], [], same_rows=False)
