import io

import pytest

from assay.progress import LineWatch, QuietWatch, TerminalWatch, progress_to
from assay.train.watch import Epoch


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self):
        return True


def epoch(number):
    return Epoch(
        epoch=number, step=number, seconds=number / 10, train_loss=0.5 / number, valid_loss=0.6, valid_score=0.75,
        score_name="accuracy", learning_rate=0.1, gradient_norm=1.0,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("stream", "quiet", "kind"),
    [(io.StringIO(), False, LineWatch), (Terminal(), False, TerminalWatch), (Terminal(), True, QuietWatch)],
)
def test_the_stream_chooses_the_watch(stream, quiet, kind):
    assert isinstance(progress_to(stream, quiet=quiet), kind)


def test_lines_hold_back_quick_epochs_but_not_the_last():
    stream = io.StringIO()
    watch = LineWatch(stream)
    watch.stage("train")
    for number in range(1, 101):
        watch.epoch(epoch(number), 200)
    watch.note("the time is up")
    watch.close()
    lines = stream.getvalue().splitlines()
    assert lines[0].endswith(" s] train")
    assert lines[1] == "  epoch 1 of at most 200: training loss 0.5000, validation loss 0.6000, accuracy 0.7500, 0.1 s"
    assert (
        lines[-2] == "  epoch 100 of at most 200: training loss 0.0050, validation loss 0.6000, accuracy 0.7500, 10.0 s"
    )
    assert lines[-1] == "note: the time is up"
    assert len(lines) == 4


def test_a_line_is_printed_once_although_ctrl_c_comes_meanwhile():
    class Interrupted(io.StringIO):
        def write(self, text):
            written = super().write(text)
            if "epoch" in text:
                raise KeyboardInterrupt
            return written

    watch = LineWatch(stream := Interrupted())
    with pytest.raises(KeyboardInterrupt):
        watch.epoch(epoch(1), 2)
    watch.close()
    assert stream.getvalue().count("epoch 1") == 1


def test_quiet_still_prints_notes():
    stream = io.StringIO()
    watch = QuietWatch(stream)
    watch.stage("train")
    watch.epoch(epoch(1), 2)
    watch.note("[bold]a note")
    watch.close()
    assert stream.getvalue() == "note: [bold]a note\n"


def test_the_bar_leaves_the_stages_and_notes_behind():
    stream = Terminal()
    watch = TerminalWatch(stream)
    watch.stage("read")
    watch.stage("train")
    watch.epoch(epoch(3), 60)
    watch.note("[red]slow")
    watch.close()
    watch.close()
    text = stream.getvalue()
    assert "✓ read" in text
    assert "epoch 3/60  training loss 0.1667, validation loss 0.6000" in text
    assert "note: [red]slow" in text


def test_an_epoch_without_a_stage_is_shown_as_training():
    stream = Terminal()
    watch = TerminalWatch(stream)
    watch.epoch(epoch(1), 2)
    watch.close()
    assert "✓ train" in stream.getvalue()


def test_steps_of_a_long_epoch_get_a_line_after_a_silence(monkeypatch):
    now = [100.0]
    monkeypatch.setattr("assay.progress.time.monotonic", lambda: now[0])
    stream = io.StringIO()
    watch = LineWatch(stream)
    watch.stage("train")
    for second in range(25):
        now[0] = 100.0 + second
        watch.steps(second * 1_000, 90_000, "realmlp")
    assert stream.getvalue().splitlines()[1:] == [
        "  realmlp: step 10,000 of at most 90,000",
        "  realmlp: step 20,000 of at most 90,000",
    ]


def test_the_bar_moves_within_an_epoch():
    stream = Terminal()
    watch = TerminalWatch(stream)
    watch.stage("train")
    watch.epoch(epoch(1), 2)
    watch.steps(1_500, 2_000)
    (task,) = watch._progress.tasks
    assert (task.completed, task.total) == (1_500, 2_000)
    assert task.fields["state"].split("\n") == [
        "epoch 1/2, step 1,500/2,000",
        "training loss 0.5000, validation loss 0.6000, accuracy 0.7500",
        "rate 0.1, gradient norm 1",
    ]
    watch.close()
    assert "step" not in stream.getvalue().rpartition("✓")[2]


def test_the_bar_shows_how_the_training_goes():
    watch = TerminalWatch(Terminal())
    watch.steps(3, 90, "mlp")  # before a stage there is nothing to move
    watch.stage("train")
    watch.steps(3, 90, "mlp")
    (task,) = watch._progress.tasks
    assert task.fields["state"] == "mlp, step 3/90"
    told = {"network": "mlp", "update_ratio": 0.0012, "rows_per_second": 12_345.6, "memory_mb": 930.2}
    watch.epoch(epoch(1).model_copy(update=told), 9)
    place, _, how = task.fields["state"].split("\n")
    assert place == "mlp, epoch 1/9"
    assert how == "rate 0.1, gradient norm 1, update 1.2e-03 of the weights, 12,346 rows/s, 930 MB"
    watch.steps(4, 90, "tabm")
    assert task.fields["state"] == "tabm, step 4/90"
    watch.close()
