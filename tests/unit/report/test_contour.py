"""Contours: a cell a point, the better the darker, rows rising; and the fronts of studies."""

import re

from assay.report.contour import contour_chart
from assay.report.front_chart import front_pictures
from assay.search.study.store import Tried
from assay.search.study.trial import Outcome, Trial


def cells(svg):
    found = re.findall(
        r'<rect x="([\d.]+)" y="([\d.]+)" [^>]*class="less" fill-opacity="([\d.]+)"><title>([^<]+)<', svg
    )
    return [(float(x), float(y), float(strength), told) for x, y, strength, told in found]


def test_the_better_the_darker_and_rows_rise():
    means = [[0.0, 1.0], [2.0, 4.0]]
    drawn = cells(contour_chart("map", "rate", "width", ["1", "2"], ["8", "<9>"], means, higher=True))
    assert [strength for *_, strength, _ in drawn] == [0.0, 0.225, 0.45, 0.9]
    assert drawn[0][1] > drawn[2][1]
    assert drawn[0][0] < drawn[1][0]
    assert drawn[3][3] == "rate=2, width=&lt;9&gt;: 4.0000"
    fewer = cells(contour_chart("map", "a", "b", ["1", "2"], ["8", "9"], means, higher=False))
    assert [strength for *_, strength, _ in fewer] == [0.9, 0.675, 0.45, 0.0]


def test_a_level_map_is_of_one_shade_and_labels_have_room():
    svg = contour_chart("map", "a", "b", list("123456789"), ["8"], [[1.0] * 9], higher=True)
    assert {strength for *_, strength, _ in cells(svg)} == {0.45}
    assert re.findall(r'class="axis">(\d)<', svg) == ["1", "4", "6", "9", "8"]


def test_a_front_has_a_picture_for_each_cost():
    trials = [
        Tried(Trial(n, {}, 0), 0, 1, n, n, "tpe", Outcome(n, "complete", score, parameters=size, latency=cost))
        for n, (score, cost, size) in enumerate([(0.9, 10.0, 1000), (0.8, 2.0, 10), (0.7, 5.0, 500)])
    ]  # fmt: skip
    latency, size = front_pictures(trials, trials[:2], trials[1], ("score", "latency", "size"), "AUROC")
    assert latency.svg.count("<circle") == 4
    assert latency.svg.count('class="line t1"') == 2
    assert "trial 1 at 2 us a row" in latency.caption
    assert "trial 1 at 40 B" in size.caption
    assert "10³" in size.svg or "10" in size.svg
