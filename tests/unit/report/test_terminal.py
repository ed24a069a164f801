"""The summary on a terminal: 80 columns, plain when it is not one, no number cut."""

from __future__ import annotations

import io

from rich.console import Console

from assay.report.terminal import score_table, summarise


def printed(report, width: int = 80, terminal: bool = False) -> str:
    stream = io.StringIO()
    summarise(
        report,
        Console(file=stream, width=width, force_terminal=terminal, color_system="standard" if terminal else None),
    )
    return stream.getvalue()


def test_every_shape_fits_eighty_columns_without_codes_or_cuts(shape):
    name, report = shape
    text = printed(report)
    assert "\x1b" not in text
    assert max(len(line) for line in text.splitlines()) <= 80
    if name not in {"hostile", "wide"}:
        assert "…" not in text


def test_the_summary_says_what_matters(report):
    text = " ".join(printed(report).split())
    assert "Binary: predict income, positive class >50K from 14 columns" in text
    assert "32,561 rows, 15 columns; findings: 1 serious, 3 warnings, 2 notes" in text
    assert "on 16,281 sealed test rows, with 95% intervals" in text
    assert "0.9074 [0.9019, 0.9107]" in text
    assert "0.9254 [0.9215, 0.9295]" in text
    assert "H2O AutoML, 4 h (published) 0.9296" in text
    assert "The network is worse than the trees in AUROC by 0.0180" in text
    assert "agrees with the trained network to 3.6 × 10⁻⁷ on 4,096 rows" in text
    assert report.advice in text
    assert "8 more metrics are in the report." in text


def test_a_terminal_gets_emphasis(report):
    assert "\x1b[1m" in printed(report, terminal=True)


def test_the_table_has_the_network_first_and_published_numbers_last(report):
    table = score_table(report)
    assert [column.header for column in table.columns] == ["model", "AUROC", "Accuracy"]
    models = [str(cell) for cell in table.columns[0].cells]
    assert models[:4] == ["network", "majority", "linear", "trees"]
    assert models[4:] == ["CatBoost, tuned (published)", "MLP (published)", "H2O AutoML, 4 h (published)"]


def test_without_baselines_or_test_rows_it_says_so(reports):
    text = " ".join(printed(reports["bare"]).split())
    assert "on 8,140 validation rows (no test part was kept, so this is flattering)" in text
    assert "no baseline was compared" in text


def test_a_narrow_terminal_wraps_and_keeps_the_numbers(report):
    text = printed(report, width=60)
    assert max(len(line) for line in text.splitlines()) <= 60
    assert "0.9074 [0.9019, 0.9107]" in text
