import json
import os
import re
from pathlib import Path

import pytest

from assay.errors import BundleError, ConfigError, DivergenceError
from assay.workspace import (
    has_checkpoints,
    how_to_resume,
    next_run,
    opened,
    partial_of,
    refuse_unfinished,
    reopened,
    scratch,
    staged,
    unfinished,
)


def fill(out, name="adult", text="done"):
    with opened(out, name) as work:
        (work.directory / "file").write_text(text)
        return work


def stop(out, error=OSError, *, step=7, objects=()):
    """A run that is ended by an error, with a checkpoint of `step` (None: without)."""
    with pytest.raises(error) as caught, opened(out, "adult") as work:  # noqa: PT012
        work.write("request.json", json.dumps({"objects": objects}))
        (work.directory / "metrics.jsonl").write_text("{}\n{}\n")
        (work.directory / "model").mkdir()
        if step is not None:
            (work.checkpoints / "mlp" / f"step-{step:012d}").mkdir(parents=True)
        raise error(*("must", "came", "do") if issubclass(error, DivergenceError) else ("stopped",))
    return caught.value


def test_the_directory_is_there_only_when_it_is_whole(tmp_path):
    out = tmp_path / "run"
    with opened(out, "adult") as work:
        work.write("request.json", "{}")
        (work.checkpoints / "step-1").mkdir(parents=True)
        (work.directory / "file").write_text("done")
        assert (work.final, work.directory) == (out, tmp_path / ".run.partial")
        assert not out.exists()
    assert {path.name: path.read_text() for path in out.iterdir()} == {"file": "done"}
    assert list(tmp_path.iterdir()) == [out]


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt, OSError])
def test_nothing_is_left_after_an_error_before_the_first_checkpoint(tmp_path, error):
    assert not hasattr(stop(tmp_path / "a" / "b" / "run", error, step=None), "__notes__")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt, OSError])
def test_what_was_trained_is_kept_and_the_error_says_how_to_go_on(tmp_path, monkeypatch, error):
    monkeypatch.chdir(tmp_path)
    caught = stop(Path("my runs/run"), error)
    assert caught.__notes__ == ["What was trained is kept: go on with `assay fit --resume 'my runs/run'`."]
    assert [path.name for path in (tmp_path / "my runs").iterdir()] == [".run.partial"]


def test_a_gate_that_says_no_would_say_it_again(tmp_path):
    stop(tmp_path / "run", DivergenceError)
    assert list(tmp_path.iterdir()) == []


def test_parents_that_others_use_are_left(tmp_path):
    def fail():
        with opened(tmp_path / "a" / "run", "adult"):
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
    with pytest.raises(ConfigError, match="must not exist yet"), staged(out):
        pass
    assert list(tmp_path.iterdir()) == [out]


@pytest.mark.parametrize("length", [250, 300])
def test_a_place_that_cannot_be_written_is_named(tmp_path, length):
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match="must be writable"):
        fill(tmp_path / "file" / "run")
    with pytest.raises(ConfigError, match="File name too long"):
        fill(tmp_path / "a" / ("x" * length))
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_name_taken_meanwhile_is_an_error_and_what_took_it_stays(tmp_path):
    out = tmp_path / "run"

    def slow():
        with opened(out, "adult"):
            out.mkdir()
            (out / "theirs").touch()

    with pytest.raises(ConfigError, match="stay free meanwhile"):
        slow()
    assert [path.name for path in out.iterdir()] == ["theirs"]
    assert list(tmp_path.iterdir()) == [out]


def test_a_copy_is_whole_or_not_there(tmp_path):
    with staged(tmp_path / "a" / "copy") as staging:
        (staging / "file").write_text("done")
        assert not (tmp_path / "a" / "copy").exists()
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["copy"]
    with pytest.raises(RuntimeError), staged(tmp_path / "b" / "copy"):
        raise RuntimeError
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


# Going on -------------------------------------------------------------------------------------------------------------


def test_a_new_run_does_not_touch_one_that_can_be_gone_on_with(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    stop(Path("run"))
    expected = (
        "a new run must begin in a new directory, but the run in 'run' was ended before it was finished, and its "
        "checkpoints are there. Go on with `assay fit --resume run`, or remove .run.partial."
    )
    with pytest.raises(ConfigError, match=re.escape(expected)):
        fill(Path("run"))
    assert has_checkpoints(tmp_path / ".run.partial")


def test_remains_without_a_checkpoint_are_cleared_with_a_note(tmp_path):
    remains = tmp_path / ".run.partial"
    (remains / "checkpoints" / "step-000000000001.partial").mkdir(parents=True)
    work = fill(tmp_path / "run")
    assert work.notes == (
        f"what a run had left that was ended before its first checkpoint is removed ({remains})",
    )  # fmt: skip
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["file"]
    assert fill(tmp_path / "other").notes == ()


@pytest.mark.parametrize("name", ["run", ".run.partial"])
def test_a_run_goes_on_with_what_it_had_and_makes_the_rest_anew(tmp_path, name):
    stop(tmp_path / "run")
    assert unfinished(tmp_path / name) == tmp_path / "run"
    with reopened(tmp_path / name) as work:
        assert work.resumed
        assert sorted(path.name for path in work.directory.iterdir()) == [
            "checkpoints", "lock", "metrics.jsonl", "request.json",
        ]  # fmt: skip
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["metrics.jsonl"]


def test_what_cannot_be_gone_on_with_is_said(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    stop(Path("churn"))
    with pytest.raises(ConfigError, match=r"there is none at 'chrun'. Did you mean 'churn'"):
        unfinished(Path("chrun"))
    (tmp_path / "done" / "model").mkdir(parents=True)
    (tmp_path / "done" / "model" / "manifest.json").touch()
    with pytest.raises(ConfigError, match=r"'done' is finished\. `assay show done` shows it"):
        unfinished(Path("done"))
    (tmp_path / "churn").mkdir()
    with pytest.raises(ConfigError, match=r"'churn' is there beside the unfinished run in .churn.partial. Move churn"):
        unfinished(Path("churn"))
    with pytest.raises(ConfigError, match="there must be an unfinished run"):
        unfinished(Path("/"))


def test_what_a_killed_process_could_not_clear_up_goes_when_the_finished_run_is_asked_for(tmp_path):
    run = tmp_path / "run"
    for name in ("model/manifest.json", "request.json", "lock", "checkpoints/mlp/step-000000000001/state.json"):
        (run / name).parent.mkdir(parents=True, exist_ok=True)
        (run / name).touch()
    with pytest.raises(ConfigError, match="is finished"):
        unfinished(run)
    assert [path.name for path in run.iterdir()] == ["model"]


def test_a_directory_of_somebody_else_is_left_alone(tmp_path):
    for name in ("request.json", "lock", "checkpoints/step-1/mine"):
        (tmp_path / "theirs" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "theirs" / name).touch()
    with pytest.raises(ConfigError, match="there must be an unfinished run"):
        unfinished(tmp_path / "theirs")
    assert len(list((tmp_path / "theirs").iterdir())) == 3


def test_frames_are_gone_on_with_in_python(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    stop(Path("run"), objects=["data"])
    assert how_to_resume(Path("run")) == "go on in Python with `assay.fit(data, resume='run')` and the same data"


def test_looking_at_an_unfinished_run_says_how_to_finish_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    stop(Path("run"))
    expected = "'run' was ended after 2 epochs of training. Go on with `assay fit --resume run`."
    for name in ("run", ".run.partial"):
        with pytest.raises(BundleError, match=re.escape(expected)):
            refuse_unfinished(Path(name))
    (tmp_path / "run").mkdir()
    for name in ("run", "nowhere", ".", "/"):
        refuse_unfinished(Path(name))
    with (
        opened(Path("other"), "adult"),
        pytest.raises(BundleError, match=r"'other' is still running\. Wait for its end"),
    ):
        refuse_unfinished(Path("other"))


def test_a_file_is_written_whole_or_stays(tmp_path):
    with opened(tmp_path / "run", "adult") as work:
        work.write("file", "first")
        with pytest.raises(UnicodeEncodeError):
            work.write("file", "\udfff")
        assert (work.directory / "file").read_text() == "first"


# Locks ----------------------------------------------------------------------------------------------------------------


def test_two_runs_do_not_write_to_one_directory(tmp_path):
    message = rf"process {os.getpid()} is writing to .*\.run\.partial\. Wait for its end"
    with opened(tmp_path / "run", "adult") as work:
        (work.directory / "file").touch()
        with pytest.raises(ConfigError, match=message):
            fill(tmp_path / "run")
        with pytest.raises(ConfigError, match=message), reopened(tmp_path / "run"):
            pass
        assert (work.directory / "file").exists()
    assert (tmp_path / "run" / "file").exists()


def test_the_lock_goes_with_the_run(tmp_path):
    stop(tmp_path / "run")
    with reopened(tmp_path / "run"), pytest.raises(ConfigError, match="is writing"), reopened(tmp_path / "run"):
        pass
    assert (tmp_path / "run").exists()


# Names ----------------------------------------------------------------------------------------------------------------


def test_runs_are_numbered(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert str(next_run("adult")) == "runs/adult-1"
    assert [str(fill(None).final) for _ in range(3)] == ["runs/adult-1", "runs/adult-2", "runs/adult-3"]
    assert str(next_run("other")) == "runs/other-1"
    assert sorted(path.name for path in Path("runs").iterdir()) == ["adult-1", "adult-2", "adult-3"]


def test_runs_at_the_same_time_have_numbers_of_their_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with opened(None, "adult") as first, opened(None, "adult") as second:
        assert (first.final.name, second.final.name) == ("adult-1", "adult-2")
        assert second.notes == ()
    assert sorted(path.name for path in Path("runs").iterdir()) == ["adult-1", "adult-2"]


def test_a_number_that_is_unfinished_is_left_out_and_named(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    stop(next_run("adult"))
    stop(next_run("adult-census"))
    work = fill(None)
    assert str(work.final) == "runs/adult-2"
    assert work.notes == ("runs/adult-1 is unfinished: go on with `assay fit --resume runs/adult-1`",)


@pytest.mark.parametrize(
    ("name", "expected"),
    [("my data (1)", "my-data-1-1"), ("größe", "größe-1"), ("../..", "run-1"), ("", "run-1"), ("a/b", "a-b-1")],
)
def test_the_name_of_the_data_is_made_fit_for_a_path(tmp_path, monkeypatch, name, expected):
    monkeypatch.chdir(tmp_path)
    assert str(next_run(name)) == f"runs/{expected}"


@pytest.mark.parametrize("name", ["a", ".", "/", "b/..", ".hidden"])
def test_every_path_has_a_place_beside_it(name):
    assert partial_of(Path(name)).name.endswith(".partial")


def _write_and_raise(folder, error):
    (folder / "columns").write_bytes(b"0")
    raise error


def test_scratch_goes_whatever_happens(tmp_path):
    with scratch(tmp_path) as folder:
        (folder / "columns").write_bytes(b"0")
        assert folder.parent == tmp_path
    for error in (OSError, KeyboardInterrupt):
        with pytest.raises(error), scratch(tmp_path) as folder:
            _write_and_raise(folder, error)
    assert list(tmp_path.iterdir()) == []
