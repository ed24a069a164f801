"""Epochs as they are written: whole lines only, from where the reader has got to."""

from __future__ import annotations

from assay.ui import live
from assay.ui.live import epochs_after


def test_epochs_come_from_where_the_reader_is(tmp_path, make_epoch):
    path = tmp_path / "metrics.jsonl"
    path.write_text(f"{make_epoch(1).model_dump_json()}\n{make_epoch(2).model_dump_json()}\n")
    first = epochs_after(path, 0)
    assert [epoch.epoch for epoch in first.epochs] == [1, 2]
    assert (first.start, first.end, first.more, first.unreadable) == (0, path.stat().st_size, False, 0)
    assert epochs_after(path, first.end).epochs == ()
    with path.open("a") as stream:
        stream.write(f"{make_epoch(3).model_dump_json()}\n")
    assert [epoch.epoch for epoch in epochs_after(path, first.end).epochs] == [3]


def test_a_half_written_line_waits(tmp_path, make_epoch):
    path, line = tmp_path / "metrics.jsonl", make_epoch(1).model_dump_json()
    path.write_text(line[:20])
    assert epochs_after(path, 0).end == 0
    path.write_text(f"{line}\n")
    assert len(epochs_after(path, 0).epochs) == 1


def test_a_file_that_was_begun_anew_is_read_from_its_beginning(tmp_path, make_epoch):
    path = tmp_path / "metrics.jsonl"
    path.write_text(f"{make_epoch(1).model_dump_json()}\n")
    found = epochs_after(path, 9_999)
    assert (found.start, len(found.epochs)) == (0, 1)


def test_what_is_no_epoch_is_counted(tmp_path, make_epoch):
    path = tmp_path / "metrics.jsonl"
    path.write_text(f"nonsense\n{make_epoch(1).model_dump_json()}\n")
    found = epochs_after(path, 0)
    assert (found.unreadable, len(found.epochs)) == (1, 1)


def test_a_large_file_comes_in_parts(tmp_path, make_epoch, monkeypatch):
    path = tmp_path / "metrics.jsonl"
    line = f"{make_epoch(1).model_dump_json()}\n"
    path.write_text(line * 5)
    monkeypatch.setattr(live, "MOST_BYTES", 2 * len(line) + 5)
    found, count, turns = epochs_after(path, 0), 0, 0
    while found.epochs:
        count, turns = count + len(found.epochs), turns + 1
        assert found.more == (count < 5)
        found = epochs_after(path, found.end)
    assert (count, turns) == (5, 3)


def test_a_file_that_is_gone_has_no_epochs(tmp_path):
    assert epochs_after(tmp_path / "metrics.jsonl", 7).model_dump(exclude={"epochs"}) == {
        "start": 7, "end": 7, "more": False, "unreadable": 0,
    }  # fmt: skip
