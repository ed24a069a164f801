"""MLflow: a sqlite file in the folder, or the server or database that MLFLOW_TRACKING_URI names."""

from __future__ import annotations

import fcntl
import itertools
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

from assay._imports import require
from assay.track.config import TrackConfig
from assay.track.tracker import FOLDER, PROJECT, Point, Start, shown

_PURPOSE = "Tracking in MLflow"
#: What its interface takes in one call.
_MOST_METRICS, _MOST_PARAMS, _LONGEST_PARAM = 1000, 100, 6000


class MLflow:
    """Epochs as metrics, options as params, the run directory as a tag.

    It goes through the client, which keeps no state of the process, unlike `mlflow.start_run`.
    """

    place = ""

    def __init__(self, config: TrackConfig) -> None:
        folder = Path(config.folder or FOLDER).absolute()
        named = config.mlflow_uri or os.environ.get("MLFLOW_TRACKING_URI")
        self._project = config.project or os.environ.get("MLFLOW_EXPERIMENT_NAME") or PROJECT
        self._uri = named or f"sqlite:///{folder / 'mlflow.db'}"
        # Without a place of its own MLflow puts artefacts beside wherever the process was started.
        self._artefacts = None if named else (folder / "mlartifacts").as_uri()
        self._mlflow = require("mlflow", _PURPOSE)
        self._entities = require("mlflow.entities", _PURPOSE)
        with nullcontext() if named else _alone_in(folder):
            self._client = self._mlflow.MlflowClient(tracking_uri=self._uri)

    def start(self, run: Start) -> None:
        """Open a run in the project's experiment, with the options as params."""
        tags = {"run_directory": run.directory, "mlflow.source.name": "assay fit"}
        self._id = self._client.create_run(self._experiment(), run_name=run.run, tags=tags).info.run_id
        self.place = f"{_without_password(self._uri)}, experiment {self._project}"
        params = (self._entities.Param(name, shown(value)[:_LONGEST_PARAM]) for name, value in run.options.items())
        for some in _chunks(params, _MOST_PARAMS):
            self._client.log_batch(self._id, params=some)

    def _experiment(self) -> str:
        """The id of the project's experiment, which is made when it is new."""
        found = self._client.get_experiment_by_name(self._project)
        if found is None:
            try:
                return str(self._client.create_experiment(self._project, self._artefacts))
            except self._mlflow.MlflowException:  # another run was quicker
                found = self._client.get_experiment_by_name(self._project)
                if found is None:
                    raise
        return str(found.experiment_id)

    def epochs(self, points: Sequence[Point]) -> None:
        """Log all numbers of all points in as few calls as it takes."""
        metrics = (
            self._entities.Metric(name, value, int(point.time * 1000), point.step)
            for point in points
            for name, value in point.values.items()
        )
        for some in _chunks(metrics, _MOST_METRICS):
            self._client.log_batch(self._id, metrics=some)

    def finish(self, scores: Point) -> None:
        """Log the scores and end the run."""
        self.epochs([scores])
        self._client.set_terminated(self._id, "FINISHED")

    def fail(self, reason: str) -> None:
        """End the run as failed, with the reason as a tag."""
        self._client.set_tag(self._id, "failure", reason)
        self._client.set_terminated(self._id, "FAILED")


@contextmanager
def _alone_in(folder: Path) -> Iterator[None]:
    """The folder, made if need be, for one process at a time: two that set up MLflow's tables at once spoil them."""
    folder.mkdir(parents=True, exist_ok=True)
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _without_password(uri: str) -> str:
    return re.sub(r"(?<=://)[^/@]*@", "", uri)


def _chunks(items: Iterable[Any], size: int) -> Iterable[list[Any]]:
    rest = iter(items)
    return iter(lambda: list(itertools.islice(rest, size)), [])
