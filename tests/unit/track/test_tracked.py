import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

import assay
from assay.errors import DivergenceError, MissingExtraError
from assay.evaluate.record import Report
from assay.ledger import Ledger, Outcome
from assay.track.config import TrackConfig
from assay.track.tracked import Tracked
from assay.track.tracker import Epochs, Fail, Finish, Start
from assay.track.writer import Reply
from assay.train.watch import Epoch

REPORT = Report.read(Path(__file__).parents[2] / "fixtures" / "report.json")
PATIENCE = 60.0


def epoch(number):
    return Epoch(
        epoch=number, step=number * 10, seconds=number / 10, train_loss=0.5, valid_loss=0.6, valid_score=0.75,
        score_name="accuracy", learning_rate=0.1, gradient_norm=1.0,
    )  # fmt: skip


class Diary:
    """A watch that writes down what it sees, and in which thread."""

    def __init__(self):
        self.seen = []
        self.threads = set()

    def stage(self, name):
        self._write(f"stage {name}")

    def epoch(self, record, of):
        self._write(f"epoch {record.epoch} of {of}")

    def note(self, text):
        self._write(f"note {text}")

    def close(self):
        self._write("close")

    def _write(self, what):
        self.seen.append(what)
        self.threads.add(threading.current_thread())


class Desk:
    """A link whose other side is here: it writes down, and waits at the gate where there is one."""

    def __init__(self, *, gate=None, failures=None, dies_at=None):
        self.gate, self.failures, self.dies_at = gate, failures or {}, dies_at
        self.heard, self.written = [], 0
        self.asked, self.gone = threading.Event(), threading.Event()
        self.closed = False

    def __call__(self, config, log):
        return self

    def ask(self, message):
        self.heard.append(message)
        self.asked.set()
        while self.gate is not None and not self.gate.wait(0.01):
            if self.gone.is_set():
                raise EOFError("the tracking process ended with code -9")
        if message.kind == self.dies_at:
            raise EOFError("the tracking process ended with code 1")
        failures = self.failures.pop(message.kind, {})
        if isinstance(message, Epochs) and not failures:
            self.written += len(message.points)
        return Reply(written={"mlflow": self.written}, places={"mlflow": "runs/mlflow.db"}, failures=failures)

    def close(self):
        self.closed = True

    def cut(self):
        self.gone.set()

    @property
    def steps(self):
        return [[point.step for point in message.points] for message in self.heard if isinstance(message, Epochs)]


def tracked_by(desk, diary=None, **options):
    config = TrackConfig(to=("mlflow",), wait=PATIENCE).model_copy(update=options)
    return Tracked(
        diary or Diary(), config, Path("runs/churn-1"), {"train.lr": 0.1}, Path("tracking.log"), open_link=desk
    )


def verdict_of(tracked):
    ledger = Ledger()
    tracked.settle(ledger)
    return ledger["train.tracked"]


def no_thread_is_left():
    return "tracking" not in {thread.name for thread in threading.enumerate()}


def test_a_run_from_start_to_finish():
    desk, diary = Desk(), Diary()
    with tracked_by(desk, diary) as tracked:
        tracked.stage("train")
        tracked.start()
        for number in (1, 2, 3):
            tracked.epoch(epoch(number), 9)
        tracked.note("the time is up")
        verdict = verdict_of(tracked)
        tracked.finish(REPORT)
    assert diary.seen == ["stage train", "epoch 1 of 9", "epoch 2 of 9", "epoch 3 of 9", "note the time is up"]
    assert desk.heard[0] == Start(
        run="churn-1", directory=str(Path("runs/churn-1").absolute()), options={"train.lr": 0.1}
    )
    points = [point for message in desk.heard if isinstance(message, Epochs) for point in message.points]
    assert [point.step for point in points] == [1, 2, 3]
    assert points[0].values["train_loss"] == 0.5
    assert points[0].time <= points[1].time <= points[2].time
    assert isinstance(desk.heard[-1], Finish)
    assert desk.heard[-1].scores.values["test/accuracy"] == REPORT.scores[0].scores[0].estimate.value
    assert (verdict.outcome, verdict.value) == (Outcome.APPLIED, 3)
    assert verdict.reason == "all 3 epochs went to mlflow (runs/mlflow.db)"
    assert desk.closed
    assert no_thread_is_left()


def test_a_slow_tracker_holds_up_no_epoch_and_gets_what_waited_at_once():
    desk, diary = Desk(gate=threading.Event()), Diary()
    with tracked_by(desk, diary) as tracked:
        tracked.start()
        assert desk.asked.wait(PATIENCE)  # the thread waits for a reply now, and the gate is shut
        for number in range(1, 6):
            tracked.epoch(epoch(number), 5)
        assert diary.seen == [f"epoch {number} of 5" for number in range(1, 6)]
        assert [message.kind for message in desk.heard] == ["start"]
        desk.gate.set()
        assert verdict_of(tracked).outcome == Outcome.APPLIED
    assert desk.steps == [[1, 2, 3, 4, 5]]


def test_a_full_queue_drops_and_counts():
    desk, diary = Desk(gate=threading.Event()), Diary()
    with tracked_by(desk, diary, queue=2) as tracked:
        tracked.start()
        assert desk.asked.wait(PATIENCE)
        for number in range(1, 6):
            tracked.epoch(epoch(number), 5)
        desk.gate.set()
        verdict = verdict_of(tracked)
    assert desk.steps == [[1, 2]]
    full = "3 found the queue full (track.queue=2)"
    assert (verdict.outcome, verdict.value) == (Outcome.WARNED, 2)
    assert verdict.reason == f"of 5 epochs 2 to mlflow (runs/mlflow.db); {full}"
    assert diary.seen[-1] == f"note not all epochs were tracked: {full}; metrics.jsonl has every epoch"


def test_a_failure_is_told_once_by_the_thread_that_trains():
    diary = Diary()
    desk = Desk(failures={"epochs": {"mlflow": "logging epochs (OSError: disk full)"}})
    with tracked_by(desk, diary) as tracked:
        tracked.start()
        tracked.epoch(epoch(1), 3)
        first = verdict_of(tracked)
        tracked.epoch(epoch(2), 3)
        verdict = verdict_of(tracked)
        tracked.finish(REPORT)
    notes = [seen for seen in diary.seen if seen.startswith("note")]
    assert notes == [
        "note mlflow failed at logging epochs (OSError: disk full); the run goes on, tracking.log has the details"
    ]
    assert diary.threads == {threading.main_thread()}
    assert (first.value, verdict.outcome, verdict.value) == (0, Outcome.WARNED, 1)
    assert verdict.reason == (
        "of 2 epochs 1 to mlflow (runs/mlflow.db); mlflow failed at logging epochs (OSError: disk full)"
    )


def test_a_failure_at_the_very_end_is_told_too():
    diary = Diary()
    desk = Desk(failures={"finish": {"mlflow": "logging the scores (OSError: disk full)"}})
    with tracked_by(desk, diary) as tracked:
        tracked.start()
        assert verdict_of(tracked).outcome == Outcome.APPLIED
        tracked.finish(REPORT)
    assert diary.seen[-1].startswith("note mlflow failed at logging the scores")


@pytest.mark.parametrize("dies_at", ["start", "epochs", "finish"])
def test_without_its_process_the_run_goes_on(dies_at):
    desk, diary = Desk(dies_at=dies_at), Diary()
    with tracked_by(desk, diary) as tracked:
        tracked.start()
        tracked.epoch(epoch(1), 1)
        verdict = verdict_of(tracked)
        tracked.finish(REPORT)
    gone = "the tracking process ended with code 1"
    notes = [seen for seen in diary.seen if seen.startswith("note")]
    assert notes == [f"note {gone}; the run goes on without trackers, tracking.log has the details"]
    assert desk.heard[-1].kind == dies_at
    assert verdict.outcome == (Outcome.APPLIED if dies_at == "finish" else Outcome.WARNED)
    assert desk.closed
    assert no_thread_is_left()


def test_without_a_process_to_have_the_run_goes_on():
    def nothing_left(config, log):
        raise OSError("no process left")

    diary = Diary()
    with tracked_by(nothing_left, diary) as tracked:
        tracked.start()
        tracked.epoch(epoch(1), 1)
        verdict = verdict_of(tracked)
        tracked.finish(REPORT)
    assert (verdict.outcome, verdict.value) == (Outcome.WARNED, 0)
    assert "could not be started (no process left)" in diary.seen[0]


@pytest.mark.parametrize(
    ("error", "reason"),
    [(DivergenceError("a", "b", "c"), "DivergenceError: a, but b. c"), (KeyboardInterrupt(), "KeyboardInterrupt")],
)
def test_a_run_that_fails_is_closed_as_failed(error, reason):
    desk = Desk()

    def run():
        with tracked_by(desk) as tracked:
            tracked.start()
            tracked.epoch(epoch(1), 9)
            raise error

    with pytest.raises(type(error)):
        run()
    assert desk.heard[-1] == Fail(reason=reason)
    assert desk.steps == [[1]]
    assert no_thread_is_left()


def test_data_with_errors_leaves_no_run_behind_and_wait_for_nothing():
    desk, diary = Desk(gate=threading.Event()), Diary()
    with pytest.raises(ValueError, match="no target"), tracked_by(desk, diary):
        raise ValueError("no target")
    assert [message for message in desk.heard if not isinstance(message, Fail)] == []
    assert diary.seen == []
    assert no_thread_is_left()


def test_a_tracker_that_hangs_is_waited_for_so_long_and_cut():
    desk, diary = Desk(gate=threading.Event()), Diary()
    with tracked_by(desk, diary, wait=0.05) as tracked:
        tracked.start()
        tracked.epoch(epoch(1), 1)
        verdict = verdict_of(tracked)
        tracked.finish(REPORT)
    assert verdict.outcome == Outcome.WARNED
    assert diary.seen == ["epoch 1 of 1", "note the trackers had not written all within track.wait=0.05 s"]
    assert no_thread_is_left()


def interrupts_once_something_is_waited_for(tracked):
    while tracked._queue.empty():
        time.sleep(0.01)
    time.sleep(0.2)
    signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)


def test_ctrl_c_while_waiting_gives_up_the_trackers_and_not_the_run():
    desk, diary = Desk(gate=threading.Event()), Diary()
    with tracked_by(desk, diary) as tracked:
        tracked.start()
        assert desk.asked.wait(PATIENCE)
        interrupter = threading.Thread(target=interrupts_once_something_is_waited_for, args=(tracked,))
        interrupter.start()
        verdict = verdict_of(tracked)
        interrupter.join()
        tracked.finish(REPORT)
    assert verdict.outcome == Outcome.WARNED
    assert no_thread_is_left()


def test_with_no_tracker_it_only_passes_on():
    diary = Diary()
    with tracked_by(Desk(), diary, to=()) as tracked:
        tracked.start()
        tracked.epoch(epoch(1), 1)
        assert no_thread_is_left()
        verdict = verdict_of(tracked)
        tracked.finish(REPORT)
        tracked.close()
    assert diary.seen == ["epoch 1 of 1", "close"]
    assert verdict.outcome == Outcome.SKIPPED
    assert verdict.reason.startswith("no tracker was asked for with track.to")


@pytest.mark.parametrize(
    ("tracker", "package"), [("tensorboard", "tensorboard"), ("wandb", "wandb"), ("mlflow", "sqlalchemy")]
)
def test_a_missing_package_is_said_before_anything_is_read(tracker, package, monkeypatch, adult_small, tmp_path):
    monkeypatch.setitem(sys.modules, package, None)
    diary = Diary()
    with pytest.raises(MissingExtraError, match=r"pip install 'assay\[track\]'") as caught:
        assay.fit(adult_small, "income", out=tmp_path / "run", overrides=[f"track.to={tracker}"], watch=diary)
    assert f"track.to={tracker} needs the package '{package}'" in str(caught.value)
    assert diary.seen == []
    assert list(tmp_path.iterdir()) == []


def test_the_process_that_trains_never_imports_a_tracker(tmp_path):
    code = (
        "import sys, pathlib, assay.run\n"
        "from assay.track.config import TrackConfig\n"
        "from assay.track.tracked import Tracked\n"
        "from assay.train.watch import Unwatched\n"
        "folder = pathlib.Path(sys.argv[1])\n"
        "for to in ((), ('tensorboard',)):\n"
        "    config = TrackConfig(to=to, folder=str(folder))\n"
        "    with Tracked(Unwatched(), config, folder / 'run', {}, folder / 'log') as tracked:\n"
        "        tracked.start()\n"
        "assert (folder / 'tensorboard').exists()\n"
        "print(sorted({'tensorboard', 'wandb', 'mlflow', 'sqlalchemy', 'alembic'} & set(sys.modules)))\n"
    )
    done = subprocess.run([sys.executable, "-c", code, tmp_path], capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("[]\n", "")
