"""What a folder holds: every state has its row, and nothing in the folder can make the listing fail."""

from __future__ import annotations

import pytest

from assay.bench.grid import CELLS as CELLS_OF_BENCH
from assay.bench.run import CONFIG
from assay.synthesis import PAGE
from assay.synthesis import QUALITY as QUALITY_OF_SYNTHESIS
from assay.tuning.directory import STUDY as STUDY_OF_STUDIES
from assay.ui import places
from assay.ui.library import Library


def rows(folder):
    return {row.id: row for row in Library(folder).listing().entries}


def test_the_marks_are_those_that_other_modules_write():
    named = (places.STUDY, places.BENCH, places.CELLS, places.QUALITY, places.QUALITY_PAGE)
    assert named == (STUDY_OF_STUDIES, CONFIG, CELLS_OF_BENCH, QUALITY_OF_SYNTHESIS, PAGE)


def test_every_state_has_its_row(busy):
    assert {name: row.state for name, row in rows(busy).items()} == {
        "good": "done",
        "fair": "done",
        "poor": "done",
        "busy": "running",
        "halted": "interrupted",
        "broken": "damaged",
        "try": "done",
        "try/cells/adult/wide/seed-0": "failed",
    }


def test_a_finished_run_has_its_numbers(runs):
    row = rows(runs)["good"]
    assert (row.metric, row.score, row.low, row.high) == ("AUROC", 0.95, 0.94, 0.96)
    assert (row.baseline_name, row.baseline) == ("trees", 0.92545)
    assert (row.data, row.task, row.bytes, row.date) == ("adult.csv", "binary", 2_000, "2026-01-14T09:00:00Z")
    assert row.fit_seconds == pytest.approx(95.0)
    assert row.predict_us is not None
    assert row.predict_us > 0
    assert [page.title for page in row.pages] == ["report", "model card"]
    assert row.has_epochs


def test_what_went_wrong_is_said(busy):
    found = rows(busy)
    assert found["try/cells/adult/wide/seed-0"].reason == "out of memory"
    assert "must hold a valid report record" in found["broken"].reason
    assert found["halted"].reason == "ended before it was finished; --resume goes on"
    assert found["halted"].data == "new.csv"
    assert found["try"].data == "2 data sets"


def test_without_its_lock_a_run_was_interrupted(runs):
    assert rows(runs)["busy"].state == "interrupted"
    assert rows(runs)["busy"].reason == "ended before its first checkpoint"


def test_the_newest_comes_first(runs):
    dated = [row.id for row in Library(runs).listing().entries if row.id in {"good", "fair", "poor"}]
    assert dated == ["fair", "good", "poor"]


def test_a_report_is_read_again_when_it_changes(runs):
    library = Library(runs)
    assert {row.id: row.state for row in library.listing().entries}["good"] == "done"
    (runs / "good" / "report.json").write_text("{")
    assert {row.id: row.state for row in library.listing().entries}["good"] == "damaged"


def test_a_run_that_is_copied_just_now_becomes_whole(runs):
    library, model = Library(runs), runs / "good" / "model" / "model.onnx"
    content = model.read_bytes()
    model.unlink()
    assert {row.id: row.state for row in library.listing().entries}["good"] == "damaged"
    model.write_bytes(content)
    assert {row.id: row.state for row in library.listing().entries}["good"] == "done"


def test_a_run_without_its_model_is_damaged(runs):
    (runs / "good" / "model" / "model.onnx").unlink()
    row = rows(runs)["good"]
    assert (row.state, row.reason) == ("damaged", "its model is gone")


def test_links_and_hidden_folders_are_left_out(runs, tmp_path):
    (runs / "linked").symlink_to(runs / "good")
    (runs / "poor").rename(runs / ".poor")
    assert not {"linked", "poor", ".poor"} & set(rows(runs))


def test_runs_of_a_study_stand_below_it(runs, make_run):
    study = runs / "study-1"
    make_run(study, "run")
    (study / "study.json").write_text(
        '{"label": "AUROC", "higher": true, "ended": "time", "space": 3, '
        '"request": {"started": "2026-01-17T09:00:00Z", "sources": {"data": {"given": "a/adult.csv"}}}}'
    )
    found = rows(runs)
    assert (found["study-1"].kind, found["study-1"].state, found["study-1"].data) == ("study", "done", "adult.csv")
    assert found["study-1"].score is None
    assert found["study-1/run"].score == 0.9
    (study / "study.json").write_text("{}")
    assert rows(runs)["study-1"].state == "damaged"


def test_only_the_names_of_a_listing_lead_to_files(runs):
    library = Library(runs)
    assert library.page("good", "report.html") == (runs / "good" / "report.html").resolve()
    assert library.page("good", "model/card.md") == (runs / "good" / "model" / "card.md").resolve()
    for name, file in [
        ("good", "report.json"),
        ("good", "../fair/report.html"),
        ("../runs/good", "report.html"),
        ("", "good/report.html"),
        ("good/..", "report.html"),
    ]:
        assert library.page(name, file) is None
    assert library.epochs("../runs/good") is None
    assert library.epochs("good") == runs / "good" / "metrics.jsonl"
    assert library.epochs("busy") == runs / ".busy.partial" / "metrics.jsonl"


def test_a_page_that_is_a_link_out_of_the_folder_is_not_shown(runs, tmp_path):
    (tmp_path / "secret.html").write_text("secret")
    (runs / "good" / "report.html").unlink()
    (runs / "good" / "report.html").symlink_to(tmp_path / "secret.html")
    assert Library(runs).page("good", "report.html") is None


def test_more_folders_than_are_looked_into_are_said(runs, monkeypatch):
    monkeypatch.setattr(places, "MOST_FOLDERS", 3)
    assert Library(runs).listing().left_out
