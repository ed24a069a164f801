from pathlib import Path

import pytest

from assay.errors import ConfigError
from assay.workspace import next_run, scratch, staged


def fill(out, name="adult", text="done"):
    with staged(out, name) as (staging, final):
        (staging / "file").write_text(text)
        return staging, final


def test_the_directory_is_there_only_when_it_is_whole(tmp_path):
    out = tmp_path / "run"
    with staged(out, "adult") as (staging, final):
        (staging / "file").write_text("done")
        assert final == out
        assert not out.exists()
        assert staging.parent == out.parent
    assert (out / "file").read_text() == "done"
    assert list(tmp_path.iterdir()) == [out]


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt, OSError])
def test_nothing_is_left_after_an_error(tmp_path, error):
    out = tmp_path / "a" / "b" / "run"

    def fail():
        with staged(out, "adult") as (staging, _):
            (staging / "inner").mkdir()
            (staging / "inner" / "file").write_text("half")
            raise error("stopped")

    with pytest.raises(error, match="stopped"):
        fail()
    assert list(tmp_path.iterdir()) == []


def test_parents_that_others_use_are_left(tmp_path):
    def fail():
        with staged(tmp_path / "a" / "run", "adult"):
            (tmp_path / "a" / "other").write_text("mine")
            raise RuntimeError("stopped")

    with pytest.raises(RuntimeError, match="stopped"):
        fail()
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["other"]


def test_missing_parents_are_made(tmp_path):
    fill(tmp_path / "a" / "b" / "run")
    assert (tmp_path / "a" / "b" / "run" / "file").exists()


@pytest.mark.parametrize("kind", ["directory", "file", "link"])
def test_what_is_there_is_never_touched(tmp_path, kind):
    out = tmp_path / "run"
    {"directory": out.mkdir, "file": out.touch, "link": lambda: out.symlink_to(tmp_path / "nowhere")}[kind]()
    with pytest.raises(ConfigError, match=r"must not exist yet, but .* is already there"):
        fill(out)
    assert list(tmp_path.iterdir()) == [out]


def test_a_place_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match="must be writable"):
        fill(tmp_path / "file" / "run")
    with pytest.raises(ConfigError, match="File name too long"):
        fill(tmp_path / "a" / ("x" * 300))
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_name_taken_meanwhile_is_an_error_and_what_took_it_stays(tmp_path):
    out = tmp_path / "run"

    def slow():
        with staged(out, "adult"):
            out.mkdir()
            (out / "theirs").touch()

    with pytest.raises(ConfigError, match="stay free during the run"):
        slow()
    assert [path.name for path in out.iterdir()] == ["theirs"]
    assert list(tmp_path.iterdir()) == [out]


def test_runs_are_numbered(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert str(next_run("adult")) == "runs/adult-1"
    assert [str(fill(None)[1]) for _ in range(3)] == ["runs/adult-1", "runs/adult-2", "runs/adult-3"]
    assert str(next_run("other")) == "runs/other-1"
    assert sorted(path.name for path in Path("runs").iterdir()) == ["adult-1", "adult-2", "adult-3"]


def test_runs_at_the_same_time_have_numbers_of_their_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with staged(None, "adult") as (_, first), staged(None, "adult") as (_, second):
        assert {first.name, second.name} == {"adult-1", "adult-2"}
    assert sorted(path.name for path in Path("runs").iterdir()) == ["adult-1", "adult-2"]


@pytest.mark.parametrize(
    ("name", "expected"),
    [("my data (1)", "my-data-1-1"), ("größe", "größe-1"), ("../..", "run-1"), ("", "run-1"), ("a/b", "a-b-1")],
)
def test_the_name_of_the_data_is_made_fit_for_a_path(tmp_path, monkeypatch, name, expected):
    monkeypatch.chdir(tmp_path)
    assert str(next_run(name)) == f"runs/{expected}"


def test_scratch_goes_whatever_happens(tmp_path):
    with scratch(tmp_path) as folder:
        (folder / "columns").write_bytes(b"0")
        assert folder.parent == tmp_path
    for error in (OSError, KeyboardInterrupt):
        with pytest.raises(error), scratch(tmp_path) as folder:
            (folder / "columns").write_bytes(b"0")
            raise error
    assert list(tmp_path.iterdir()) == []
