import re
from html.parser import HTMLParser

import pytest
from rich.console import Console

from assay.bench.page import draw_bench
from assay.bench.report import report_of
from assay.bench.run import plan
from assay.bench.terminal import LineProgress, tell, tell_plan


@pytest.fixture
def report(finished):
    return report_of(finished.config, finished.grid, list(finished.there.values()), "try")


@pytest.fixture
def console(capsys):
    return Console(width=100, markup=False, highlight=False, emoji=False, force_terminal=False)


def test_the_page_stands_alone_and_escapes_what_it_is_given(report):
    page = draw_bench(report)
    HTMLParser().feed(page)
    assert "<script" not in page
    assert not re.search(r"(?:src|href)=\"(?!data:)", page)
    assert "it &lt;broke&gt;, &amp; badly" in page
    assert report.standing.sentence in page
    assert page.count("<svg") == 1  # ranks; the map of wins needs three
    assert "(1 of 2 seeds)" in page
    assert "model.width=256" in page


def test_the_page_of_nothing_says_so(report):
    nothing = report.model_copy(update={"results": report.failed})
    from assay.bench.compare import standing

    empty = standing(nothing.results, report.configs, metric=None, confidence=0.95, samples=100)
    page = draw_bench(nothing.model_copy(update={"standing": empty}))
    assert "Nothing can be compared" in page


def test_the_terminal_tells_scores_ranks_pairs_and_failures(report, console, capsys):
    tell(report, console)
    text = capsys.readouterr().out
    assert re.search(r"one\s+AUROC\s+0\.8200 ± 0\.0283\s+0\.8400 ± 0\.0283", text)
    assert "(1 of 2)" in text
    assert "mean rank" in text
    assert "cannot be told apart" in text
    assert "win rate" in text
    assert "two, wide, seed 1: it <broke>, & badly" in text


def test_a_plan_is_told(bench_file, console, capsys):
    tell_plan(plan(bench_file(), jobs=2), console)
    text = capsys.readouterr().out
    assert "2 data sets, 2 configurations, 2 seeds: 8 runs" in text
    assert "wide: 30 s a run, model=mlp, model.width=256" in text
    assert "8 runs to do, 2 at a time, at most 3 min 6 s by their budgets" in text
    tell_plan(plan(bench_file(configs="[{name: a, budget: none}]")), console)
    assert "no estimate: a has no limit" in capsys.readouterr().out


def test_progress_is_a_line_a_run(finished, capsys):
    import sys

    for quiet in (False, True):
        watch = LineProgress(sys.stderr, quiet=quiet, metric=None)
        watch.note("a note")
        for done, cell in enumerate(finished.grid.cells, start=1):
            watch.begun(cell)
            watch.stage(cell, "train")
            watch.ended(cell, finished.there[cell.name], done, 8)
        watch.close()
        lines = capsys.readouterr().err.splitlines()
        assert lines[0] == "note: a note"
        assert len(lines) == (2 if quiet else 9)
        assert lines[-1].endswith("8 of 8: two, wide, seed 1: failed: it <broke>, & badly")
