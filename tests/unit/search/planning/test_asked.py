"""What was asked for and the table has nothing for is refused before anything is trained."""

import pytest

from assay.data.schema import Column, Kind, Schema, Task
from assay.data.series.clock import Clock
from assay.data.series.windowing import Channel, Windowing
from assay.errors import ConfigError
from assay.models.config import ModelConfig
from assay.search.config import EnsembleConfig
from assay.search.planning.asked import check_asked
from assay.train.config import TrainConfig


def table(*kinds, windowing=None):
    columns = [Column(name=f"x{at}", kind=kind, dtype="", reason="") for at, kind in enumerate(kinds)]
    columns.append(Column(name="y", kind=Kind.CATEGORY, dtype="", reason=""))
    return Schema(
        target="y",
        task=Task.BINARY,
        task_reason="said",
        classes=("a", "b"),
        columns=tuple(columns),
        windowing=windowing,
    )


def check(schema, *, model=None, train=None, **ensemble):
    check_asked(schema, ModelConfig(**(model or {})), TrainConfig(**(train or {})), EnsembleConfig(**ensemble))


@pytest.mark.parametrize("kind", [Kind.TEXT, Kind.IMAGE])
def test_layers_are_trained_further_where_texts_or_pictures_are(kind):
    check(table(kind), tuned_layers=3)
    for fine in (0, "auto"):
        check(table(Kind.NUMBER), tuned_layers=fine)
    with pytest.raises(ConfigError, match=r"ensemble.tuned_layers=3 trains an encoder.* kind category, number"):
        check(table(Kind.NUMBER, Kind.CATEGORY), tuned_layers=3)


def test_a_backbone_that_is_left_out_is_not_trained_further():
    with pytest.raises(ConfigError, match=r"there must be one, but ensemble.backbone=none leaves it out"):
        check(table(Kind.IMAGE), tuned_layers=2, backbone="none")
    check(table(Kind.IMAGE, Kind.TEXT), tuned_layers=2, backbone="none")  # the encoder of texts may be meant


@pytest.mark.parametrize("views", ["mirror", "shifts"])
def test_views_need_pictures(views):
    check(table(Kind.IMAGE), views=views)
    with pytest.raises(ConfigError, match=f"ensemble.views={views} .*there must be pictures.* kind text"):
        check(table(Kind.TEXT), views=views)
    check(table(Kind.TEXT), views="none")


def test_series_of_a_forecast_are_not_changed():
    windowing = Windowing(
        target=Channel(name="y"), horizon=2, length=4, season=1, clock=Clock(unit="rows"), history="before", origin="t"
    )
    found = table(Kind.SEQUENCE, windowing=windowing)
    check(found, model={"name": "gru"})
    with pytest.raises(ConfigError, match=r"does not change with it, but train.series.jitter was given"):
        check(found, model={"name": "gru"}, train={"series": {"jitter": 0.1}})
    with pytest.raises(ConfigError, match=r"model.augment=warp and train.series.jitter were given"):
        check(found, model={"augment": "warp"}, train={"series": {"jitter": 0.1}})
    check(table(Kind.SEQUENCE), model={"name": "gru"}, train={"series": {"jitter": 0.1}})
