"""Parallel coordinates: a line a trial, from axis to axis, the best on top."""

import re

from assay.report.parallel import Upright, parallel_chart

AXES = [
    Upright("train.lr", [0.0, 1.0], "0.001", "0.1"),
    Upright("model.heads", [None, 0.5], "1", "64"),
    Upright("<AUROC>", [1.0, 0.0], "0.7", "0.9"),
]


def paths(svg):
    return re.findall(r'<path d="([^"]+)" class="line ([^"]+)"/>', svg)


def test_a_line_passes_by_an_axis_on_which_its_trial_has_no_place():
    (short, _), (long, _) = paths(parallel_chart("settings", AXES, [False, True]))
    assert short == "M72.0 310.0L748.0 52.0"
    assert long == "M72.0 52.0L410.0 181.0L748.0 310.0"


def test_the_best_lie_on_top_in_another_tone():
    drawn = paths(parallel_chart("settings", AXES, [True, False]))
    assert [tone for _, tone in drawn] == ["t0 quiet", "t1"]
    assert drawn[1][0].startswith("M72.0 310.0")


def test_names_of_neighbours_stand_in_two_lines_and_are_escaped():
    svg = parallel_chart("settings", AXES, [False, False])
    assert re.findall(r'y="([\d.]+)" text-anchor="middle" class="name">([^<]+)<', svg) == [
        ("12.0", "train.lr"), ("28.0", "model.heads"), ("12.0", "&lt;AUROC&gt;"),
    ]  # fmt: skip
