"""The leaderboard: what it says, in which order, and how it is sorted by another column without a script."""

import io
import re

from rich.console import Console

from assay.report.board import SORTS, board
from assay.report.card import draw_card
from assay.report.story import chosen
from assay.report.terminal import leaderboard_table, summarise


def _printed(table) -> str:
    stream = io.StringIO()
    Console(file=stream, width=80).print(table)
    return stream.getvalue()


def test_rows_are_in_words(reports):
    rows = board(reports["ensemble"])
    first, dropped = rows[0], rows[-1]
    assert (first.kind, first.share, first.validation, first.corrected) == (
        "whole model",
        "100\u202f%",
        "0.9160",
        "0.9150",
    )
    assert (first.corrected_interval, first.test_interval) == ("0.9100 to 0.9190", "0.9080 to 0.9170")
    assert (first.fit, first.predict, first.size) == ("24.5 s", "31", "1.25 MB")
    assert (dropped.name, dropped.share, dropped.test, dropped.predict, dropped.size) == ("mlp", "–", "–", "–", "–")
    assert rows[2].share is None


def test_places_sort_by_each_column_with_what_is_missing_last(reports):
    places = [row.places for row in board(reports["ensemble"])]
    assert [place["corrected"] for place in places] == [0, 1, 2, 3]
    assert [place["fit"] for place in places] == [3, 2, 0, 1]
    assert [place["predict"] for place in places] == [2, 1, 0, 3]


def test_a_run_without_a_leaderboard_has_no_rows(report):
    assert board(report) == ()


def test_the_page_sorts_with_styles_alone(pages):
    page = pages("ensemble")
    assert all(f'id="by-{name}"' in page and f"var(--{name})" in page for name, _ in SORTS)
    assert re.search(r'<tr role="row" style="--corrected: 0; --validation: 0; --test: 0; --fit: 3;', page)
    assert "What choosing flatters by" in page
    assert "Leaderboard" not in pages("binary")


def test_three_scores_stand_side_by_side(reports, pages):
    told = chosen(reports["ensemble"]).replace("\u202f", ",")
    assert told == (
        "AUROC 0.9160 on the 8,140 rows that chose among 4 candidates; 0.9150 without what that flatters by "
        "(95,% interval 0.9100 to 0.9190); 0.9074 on 16,281 sealed test rows."
    )
    assert "AUROC 0.9160 on the 8,140 rows" in draw_card(reports["ensemble"])
    assert chosen(reports["binary"]) == ""


def test_the_terminal_shows_it_where_there_are_several(reports):
    stream = io.StringIO()
    summarise(reports["ensemble"], Console(file=stream, width=80))
    text = stream.getvalue()
    assert re.search(r"the model +0\.9160 +0\.9150 +0\.9130 +24\.5 s +31 +1\.25 MB", text)
    assert re.search(r"mlp, dropped +0\.9060 +0\.9050 +- +4\.5 s", text.replace("–", "-"))
    assert "0.9150 without what that flatters by" in " ".join(text.split())


def test_asked_for_it_has_intervals_and_still_fits(reports):
    text = _printed(leaderboard_table(reports["ensemble"], intervals=True))
    assert max(map(len, text.splitlines())) <= 80
    assert "0.9100 to 0.9190" in text
    assert "fit 20 s, 30 us/row, 1.25 MB" in text
    assert "trees, baseline" in text
