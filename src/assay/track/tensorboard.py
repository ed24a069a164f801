"""TensorBoard: event files under `<folder>/tensorboard/<run>`, written without TensorFlow and without torch."""

from __future__ import annotations

import itertools
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from assay._imports import require
from assay.track.config import TrackConfig
from assay.track.tracker import FOLDER, Point, Start, shown

_PURPOSE = "Tracking in TensorBoard"


class TensorBoard:
    """Scalars by epoch, the options as a text, and a row of the HPARAMS tab once the scores are known."""

    place = ""

    def __init__(self, config: TrackConfig) -> None:
        self._folder = Path(config.folder or FOLDER) / "tensorboard"
        self._writers = require("tensorboard.summary.writer.event_file_writer", _PURPOSE)
        self._events = require("tensorboard.compat.proto.event_pb2", _PURPOSE)
        self._summaries = require("tensorboard.compat.proto.summary_pb2", _PURPOSE)
        self._tensors = require("tensorboard.compat.proto.tensor_pb2", _PURPOSE)
        self._text = require("tensorboard.plugins.text.metadata", _PURPOSE)
        self._hparams = require("tensorboard.plugins.hparams.metadata", _PURPOSE)
        self._hparams_api = require("tensorboard.plugins.hparams.api_pb2", _PURPOSE)
        self._hparams_data = require("tensorboard.plugins.hparams.plugin_data_pb2", _PURPOSE)

    def start(self, run: Start) -> None:
        """Open an event file in a folder of its own and write the options as a table."""
        self._run, self._started = run, time.time()
        self.place = str(_new_folder(self._folder, run.run))
        self._writer = self._writers.EventFileWriter(self.place)
        rows = {"run_directory": run.directory} | {name: shown(value) for name, value in run.options.items()}
        table = "\n".join(["|option|value|", "|---|---|", *(f"|{name}|{value}|" for name, value in rows.items())])
        tensor = self._tensors.TensorProto(
            dtype="DT_STRING", string_val=[table.encode()], tensor_shape={"dim": [{"size": 1}]}
        )
        metadata = self._text.create_summary_metadata(display_name="options", description="")
        self._write(0, self._started, [self._value("options/text_summary", tensor=tensor, metadata=metadata)])
        self._writer.flush()

    def epochs(self, points: Sequence[Point]) -> None:
        """Write a scalar for every number."""
        for point in points:
            self._write(point.step, point.time, self._scalars(point.values))
        self._writer.flush()

    def finish(self, scores: Point) -> None:
        """Write the scores as scalars and as the metrics of a row of HPARAMS."""
        self._write(scores.step, scores.time, self._scalars(scores.values))
        self._write_hparams(sorted(scores.values), self._hparams_api.STATUS_SUCCESS)
        self._writer.close()

    def fail(self, reason: str) -> None:
        """Mark the row of HPARAMS as failed and write why."""
        tensor = self._tensors.TensorProto(dtype="DT_STRING", string_val=[reason.encode()])
        metadata = self._text.create_summary_metadata(display_name="failure", description="")
        self._write(0, time.time(), [self._value("failure/text_summary", tensor=tensor, metadata=metadata)])
        self._write_hparams([], self._hparams_api.STATUS_FAILURE)
        self._writer.close()

    def _write(self, step: int, when: float, values: list[Any]) -> None:
        summary = self._summaries.Summary(value=values)
        self._writer.add_event(self._events.Event(wall_time=when, step=step, summary=summary))

    def _value(self, tag: str, *, tensor: Any, metadata: Any) -> Any:  # noqa: ANN401  # protobuf has no types here
        return self._summaries.Summary.Value(tag=tag, tensor=tensor, metadata=metadata)

    def _scalars(self, values: Mapping[str, float]) -> list[Any]:
        return [self._summaries.Summary.Value(tag=tag, simple_value=number) for tag, number in values.items()]

    def _write_hparams(self, metrics: Sequence[str], status: int) -> None:
        """What the HPARAMS tab needs: which options and metrics there are, the values here, and how it ended."""
        api, data = self._hparams_api, self._hparams_data
        experiment = api.Experiment(
            hparam_infos=[api.HParamInfo(name=name) for name in self._run.options],
            metric_infos=[api.MetricInfo(name=api.MetricName(tag=tag)) for tag in metrics],
        )
        begun = data.SessionStartInfo(start_time_secs=self._started)
        for name, value in self._run.options.items():
            if isinstance(value, bool):
                begun.hparams[name].bool_value = value
            elif isinstance(value, int | float):
                begun.hparams[name].number_value = value
            else:
                begun.hparams[name].string_value = shown(value)
        ended = data.SessionEndInfo(status=status, end_time_secs=time.time())
        for tag, content in (
            (self._hparams.EXPERIMENT_TAG, data.HParamsPluginData(experiment=experiment)),
            (self._hparams.SESSION_START_INFO_TAG, data.HParamsPluginData(session_start_info=begun)),
            (self._hparams.SESSION_END_INFO_TAG, data.HParamsPluginData(session_end_info=ended)),
        ):
            metadata = self._hparams.create_summary_metadata(content)
            self._write(0, time.time(), [self._value(tag, tensor=self._hparams.NULL_TENSOR, metadata=metadata)])


def _new_folder(parent: Path, name: str) -> Path:
    """A folder of this name that did not exist: TensorBoard draws all event files of one folder as one run."""
    parent.mkdir(parents=True, exist_ok=True)
    for number in itertools.count(1):
        folder = parent / (name if number == 1 else f"{name}-again-{number}")
        if not folder.exists():
            folder.mkdir()
            return folder
    raise AssertionError("counting does not end")
