import io

import pytest

from assay.track.config import TrackConfig
from assay.track.tracker import Epochs, Fail, Finish, Point, Start
from assay.track.writer import Reply, Writer, serve

START = Start(run="churn-1", directory="/runs/churn-1", options={"train.lr": 0.1})


def epochs(*steps):
    return Epochs(points=tuple(Point(step=step, time=100.0 + step, values={"loss": 1 / step}) for step in steps))


FINISH = Finish(scores=Point(step=9, time=200.0, values={"test/auroc": 0.9}))


class Notebook:
    """A tracker that remembers, and raises at what it is told to raise at."""

    def __init__(self, *bad):
        self.bad = bad
        self.heard = []
        self.place = ""

    def start(self, run):
        self._write(("start", run.run))
        self.place = f"page of {run.run}"

    def epochs(self, points):
        self._write(("epochs", [point.step for point in points]))

    def finish(self, scores):
        self._write(("finish", scores.values))

    def fail(self, reason):
        self._write(("fail", reason))

    def _write(self, what):
        self.heard.append(what)
        if what[0] in self.bad or what in self.bad:
            raise RuntimeError(f"no ink for {what[0]}")


@pytest.fixture
def writer():
    def make(**books):
        return Writer(TrackConfig(to=tuple(books)), lambda name, config: books[name])

    return make


def test_a_run_goes_to_every_tracker(writer):
    books = {"tensorboard": Notebook(), "mlflow": Notebook()}
    heard = writer(**books)
    heard.take(START)
    heard.take(epochs(1, 2))
    heard.take(epochs(3))
    reply = heard.take(FINISH)
    assert reply == Reply(
        written={"tensorboard": 3, "mlflow": 3},
        places={"tensorboard": "page of churn-1", "mlflow": "page of churn-1"},
        failures={},
    )
    said = [("start", "churn-1"), ("epochs", [1, 2]), ("epochs", [3]), ("finish", {"test/auroc": 0.9})]
    assert books["tensorboard"].heard == books["mlflow"].heard == said


def test_a_tracker_that_raises_in_the_middle_loses_what_it_lost_and_is_told_once(writer):
    book, other = Notebook(("epochs", [2]), ("epochs", [3])), Notebook()
    heard = writer(wandb=book, mlflow=other)
    replies = [heard.take(message) for message in (START, epochs(1), epochs(2), epochs(3), epochs(4, 5), FINISH)]
    told = [reply.failures for reply in replies]
    assert told == [{}, {}, {"wandb": "logging epochs (RuntimeError: no ink for epochs)"}, {}, {}, {}]
    assert replies[-1].written == {"wandb": 3, "mlflow": 5}
    assert book.heard[-1][0] == "finish"


def test_three_failures_in_a_row_are_enough(writer):
    book, other = Notebook("epochs"), Notebook()
    heard = writer(wandb=book, mlflow=other)
    for message in (START, epochs(1), epochs(2), epochs(3), epochs(4), FINISH):
        reply = heard.take(message)
    assert [what for what, _ in book.heard] == ["start", "epochs", "epochs", "epochs"]
    assert reply.written == {"wandb": 0, "mlflow": 4}


def test_one_that_cannot_be_loaded_or_started_is_left_alone():
    book = Notebook("start")

    def make(name, config):
        if name == "mlflow":
            raise OSError("disk\nfull")
        return book

    heard = Writer(TrackConfig(to=("mlflow", "wandb")), make)
    assert heard.take(START).failures == {
        "mlflow": "loading it (OSError: disk full)",
        "wandb": "opening a run (RuntimeError: no ink for start)",
    }
    assert heard.take(epochs(1)).written == {"mlflow": 0, "wandb": 0}
    assert book.heard == [("start", "churn-1")]


def test_a_tracker_named_twice_is_one():
    made = []
    Writer(TrackConfig(to=("wandb", "wandb")), lambda name, config: made.append(name))
    assert made == ["wandb"]


def conversation(*messages):
    book, said = Notebook(), io.StringIO()
    lines = io.StringIO("".join(f"{message.model_dump_json()}\n" for message in messages))
    serve(TrackConfig(to=("tensorboard",)), lines, said, lambda name, config: book)
    return book.heard, said.getvalue().splitlines()


def test_every_line_is_answered():
    heard, said = conversation(START, epochs(1), FINISH)
    assert [what for what, _ in heard] == ["start", "epochs", "finish"]
    assert [Reply.model_validate_json(line).written["tensorboard"] for line in said] == [0, 1, 1]


def test_when_the_lines_stop_the_run_has_failed():
    heard, _ = conversation(START, epochs(1))
    assert heard[-1] == ("fail", "the process that trained is gone")


def test_a_run_that_was_closed_as_failed_stays_so():
    heard, _ = conversation(START, Fail(reason="DataError: no rows"))
    assert heard == [("start", "churn-1"), ("fail", "DataError: no rows")]


def test_a_run_that_was_never_opened_is_not_closed():
    heard, _ = conversation()
    assert heard == []
