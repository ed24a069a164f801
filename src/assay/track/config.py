"""Options of the experiment trackers."""

from __future__ import annotations

from typing import Literal
from urllib.parse import urlsplit

from pydantic import Field, field_validator

from assay.records import Record

TrackerName = Literal["tensorboard", "wandb", "mlflow"]
#: What every tracker takes as a name: letters, digits, blanks and these.
_NAME = r"^[\w .-]+$"


class TrackConfig(Record):
    """Experiment trackers that the run is also logged to."""

    to: tuple[TrackerName, ...] = Field((), description="Trackers that every epoch and the scores go to.")
    project: str | None = Field(
        None,
        pattern=_NAME,
        max_length=128,
        description="Project (W&B) or experiment (MLflow), in letters, digits, blanks, . _ and -; 'assay' when none.",
    )
    run: str | None = Field(
        None,
        pattern=_NAME,
        max_length=128,
        description="Name of the run there, in letters, digits, blanks, . _ and -; that of its directory when none.",
    )
    folder: str | None = Field(
        None, min_length=1, description="Folder that trackers on this machine write to; 'runs' when none."
    )
    mlflow_uri: str | None = Field(
        None,
        min_length=1,
        description="MLflow's address, without a password; MLFLOW_TRACKING_URI, or mlflow.db in the folder, when none.",
    )
    wandb_mode: Literal["offline", "online"] | None = Field(
        None, description="Whether W&B may use the network; WANDB_MODE or offline when none."
    )
    queue: int = Field(1000, ge=1, le=100_000, description="Epochs that wait for a slow tracker; more are not sent.")
    wait: float = Field(30.0, ge=0.0, le=3600.0, description="Seconds that the end of a run waits for trackers.")

    @field_validator("project", "run", "folder", "mlflow_uri", "wandb_mode", mode="before")
    @classmethod
    def _none_or_a_name(cls, value: object) -> object:
        """`none` as one types it, and a number where a name is wanted: `track.run=17`."""
        if isinstance(value, str) and value.strip().casefold() == "none":
            return None
        return str(value) if type(value) is int else value

    @field_validator("mlflow_uri")
    @classmethod
    def _holds_no_password(cls, value: str | None) -> str | None:
        """The configuration travels with the model: a password must not."""
        if value is not None and urlsplit(value).password is not None:
            raise ValueError("a password must not be in it")
        return value
