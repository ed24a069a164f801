"""Weights & Biases: offline under `<folder>/wandb` unless the network is asked for."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from assay._imports import require
from assay.track.config import TrackConfig
from assay.track.tracker import FOLDER, PROJECT, Point, Start


class WeightsAndBiases:
    """Epochs as history, options as the configuration, scores as the summary."""

    place = ""

    def __init__(self, config: TrackConfig) -> None:
        self._config = config
        self._groups: set[str] = set()
        self._mode = config.wandb_mode or os.environ.get("WANDB_MODE") or "offline"
        self._wandb = require("wandb", "Tracking in Weights & Biases")
        # Its own telemetry looks at the settings of the process, not of the run: offline must be said to both.
        self._wandb.setup(self._wandb.Settings(mode=self._mode, silent=True))

    def start(self, run: Start) -> None:
        """Open a run."""
        folder = Path(self._config.folder or os.environ.get("WANDB_DIR") or FOLDER)
        folder.mkdir(parents=True, exist_ok=True)  # else it silently takes the folder for temporary files
        settings = self._wandb.Settings(console="off", disable_code=True, x_stats_pid=os.getppid())
        self._run = self._wandb.init(
            mode=self._mode,
            dir=str(folder),
            project=self._config.project or os.environ.get("WANDB_PROJECT") or PROJECT,
            name=run.run,
            config={"run_directory": run.directory, **run.options},
            settings=settings,
        )
        if self._run.disabled:
            self.place = f"nowhere, for the mode is {self._mode}"
        else:
            self.place = str(Path(self._run.dir).parent) if self._run.offline else self._run.url

    def epochs(self, points: Sequence[Point]) -> None:
        """Log each point at its own time, over its epoch.

        W&B's own step must never fall, but epochs begin anew with each network of a run: so they are an axis.
        """
        for point in points:
            for group in {name.rpartition("/")[0] for name in point.values} - self._groups:
                within = f"{group}/" if group else ""
                self._run.define_metric(f"{within}*", step_metric=f"{within}epoch")
                self._groups.add(group)
            self._run.log({**point.values, "_timestamp": point.time})

    def finish(self, scores: Point) -> None:
        """Put the scores into the summary and close the run."""
        self._run.summary.update(scores.values)
        self._close(0)

    def fail(self, reason: str) -> None:
        """Put the reason into the summary and close the run as failed."""
        self._run.summary.update({"failure": reason})
        self._close(1)

    def _close(self, code: int) -> None:
        self._run.finish(exit_code=code)
        self._wandb.teardown()  # ends its own process, which otherwise waits for ours to end
