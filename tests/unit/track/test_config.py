import pytest

from assay.compose.hydra_io import compose
from assay.compose.run_config import flat
from assay.errors import ConfigError
from assay.track.config import TrackConfig


def test_nothing_is_tracked_unless_asked_for():
    assert compose().track == TrackConfig(to=())


@pytest.mark.parametrize(
    ("overrides", "expected"),
    [
        (["track.to=tensorboard"], TrackConfig(to=("tensorboard",))),
        (
            ["track.to=tensorboard,mlflow", "track.project=churn"],
            TrackConfig(to=("tensorboard", "mlflow"), project="churn"),
        ),
        (["track.to=wandb", "track.wandb_mode=online"], TrackConfig(to=("wandb",), wandb_mode="online")),
        (["track.mlflow_uri=http://localhost:5000"], TrackConfig(mlflow_uri="http://localhost:5000")),
        (["track.mlflow_uri=sqlite:///runs/team.db"], TrackConfig(mlflow_uri="sqlite:///runs/team.db")),
        (["track.run=17", "track.project=none", "track.wandb_mode=none"], TrackConfig(run="17")),
    ],
)
def test_options_as_one_types_them(overrides, expected):
    assert compose(overrides=overrides).track == expected


def test_a_file_may_name_one_tracker_as_text(tmp_path):
    path = tmp_path / "assay.yaml"
    path.write_text("track:\n  to: tensorboard\n  folder: none\n")
    assert compose(file=path).track == TrackConfig(to=("tensorboard",))


def test_the_resolved_options_are_flat():
    named = flat(compose(overrides=["track.to=wandb,mlflow"]))
    assert named["track.to"] == "wandb,mlflow"
    assert named["track.project"] is None


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("track.to=tensorbord", "Did you mean 'tensorboard'"),
        ("track.project=a/b", "in letters, digits, blanks, . _ and -"),
        ("track.run=", "an empty value"),
        ("track.wandb_mode=on", "one of offline, online"),
        ("track.queue=0", "a whole number, at least 1"),
        ("track.wait=-1", "a number, at least 0"),
        ("track.mlflow_uri=postgresql://me:secret@host/db", "MLflow's address, without a password"),
        ("track.uri=sqlite:///x", "track.mlflow_uri"),
    ],
)
def test_what_is_refused(override, words):
    with pytest.raises(ConfigError, match=r"track\.") as caught:
        compose(overrides=[override])
    assert words in str(caught.value)
