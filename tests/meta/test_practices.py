"""docs/practices.md is the registry, word for word."""

from pathlib import Path

from assay.practices import PRACTICES, as_markdown

ROOT = Path(__file__).parents[2]


def test_the_page_is_current():
    page = (ROOT / "docs" / "practices.md").read_text(encoding="utf-8")
    assert page == as_markdown(), "stale: regenerate it with `assay practices --markdown > docs/practices.md`"


def test_the_page_has_every_practice_once():
    rows = [line.split("`")[1] for line in as_markdown().splitlines() if line.startswith("| `")]
    assert sorted(rows) == sorted(PRACTICES)


def test_a_practice_says_all_it_must():
    for practice in PRACTICES.values():
        assert practice.sentence.endswith("."), practice.id
        assert practice.source, practice.id
        assert practice.evidence, practice.id
        assert "|" not in practice.sentence + practice.evidence + practice.source, practice.id
