"""Numbers and names in words."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay.report import words


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (0.85312312, "0.8531"),
        (0.5, "0.5"),
        (0, "0"),
        (1, "1"),
        (12.3456, "12.35"),
        (48_213.4, "48,213"),
        (-2.5, "-2.5"),
        (3.6e-7, "3.6 × 10⁻⁷"),
        (1e-5, "1 × 10⁻⁵"),
        (2.5e20, "2.5 × 10²⁰"),
        (0.00123456, "0.001235"),
        (0.99999, "1"),
        (None, "not defined"),
        (math.nan, "not defined"),
        (math.inf, "not defined"),
    ],
)
def test_numbers_have_four_digits(value, expected):
    assert words.plain(words.number(value)) == expected


def test_thousands_are_parted_by_a_narrow_space():
    assert words.count(32_561) == "32\u202f561"
    assert words.plain(words.count(32_561)) == "32,561"
    assert words.counted(1, "row") == "1 row"
    assert words.plain(words.counted(2_000, "class", "classes")) == "2,000 classes"


def test_a_column_of_numbers_shares_its_decimals():
    places = words.decimals([0.9153, 0.05, None, math.nan])
    assert places == 4
    assert [words.fixed(value, places) for value in (0.9153, 0.05, None)] == ["0.9153", "0.0500", "not defined"]
    assert words.decimals([48_213.4]) == 0
    assert words.decimals([]) == 3
    assert words.fixed(-0.00001, 2) == "0.00"


@pytest.mark.parametrize(
    ("share", "expected"),
    [(0.241, "24.1%"), (0, "0%"), (1, "100%"), (0.95, "95%"), (0.00001, "< 0.1%"), (0.99999, "> 99.9%")],
)
def test_shares_never_round_to_none_or_all(share, expected):
    assert words.plain(words.percent(share)) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [(1e-9, "p < 0.001"), (0.032, "p = 0.032"), (0.5, "p = 0.50"), (1.0, "p = 1.00"), (math.nan, "p not defined")],
)
def test_p_values(value, expected):
    assert words.p_value(value) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (0.0004, "< 1 ms"),
        (0.05, "50 ms"),
        (3.53, "3.5 s"),
        (60, "1 min"),
        (59.97, "1 min"),
        (725, "12 min 5 s"),
        (11_040, "3 h 4 min"),
        (math.nan, "not defined"),
    ],
)
def test_durations(value, expected):
    assert words.seconds(value) == expected


def test_names_are_made_visible_and_cut():
    assert words.visible("a\nb\x00\u202e") == "a⏎b\\u0000\\u202e"
    assert words.visible("👩\u200d💻 ok") == "👩\u200d💻 ok"
    assert words.short("x" * 50, 10) == "x" * 9 + "…"
    assert words.listed(["a", "b", "c"], 2) == "a, b and 1 more"
    assert words.row_list((3, 5, 8), 3) == "3, 5, 8"
    assert words.plain(words.row_list(tuple(range(1, 101)), 2_712, 3)) == "1, 2, 3 and 2,709 more"
    assert words.row_list((3, 5), 9) == "3, 5 and 7 more"


@given(st.text())
def test_visible_text_can_be_written_in_xml_and_utf8(text):
    shown = words.visible(text)
    assert shown.encode("utf-8").decode() == shown
    assert all(character >= " " for character in shown)


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_numbers_are_short_and_close(value):
    text = words.number(value).replace("\u202f", "").replace("−", "-")
    if "×" not in text:
        assert float(text) == pytest.approx(value, rel=1e-3)
    assert len(text) < 24
