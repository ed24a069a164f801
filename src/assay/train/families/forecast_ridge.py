"""The linear forecast in closed form as a member of the model: what networks have to be better than, clearly."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from assay._imports import require
from assay.data.encoding.batches import Batch
from assay.data.encoding.encode import Encoded
from assay.data.rows import Rows, sample_of, times
from assay.data.schema import Schema
from assay.models.config import ModelConfig
from assay.models.forecast import WindowLayout
from assay.models.forecast_ridge import ForecastRidge, LinearForecast, known_ahead, sees_ahead
from assay.train.budget import Budget
from assay.train.config import TrainConfig
from assay.train.examples import Examples
from assay.train.families.closed_head import first_loss, fitted_at_once
from assay.train.loop import predict
from assay.train.losses import member_losses, score_name
from assay.train.model import TrainedNetwork
from assay.train.part import Part
from assay.train.threads import free_cores
from assay.train.watch import Watch

#: The part's name.
RIDGE = "ridge"
#: Numbers of inputs and answers that are learned from at most, but at least so many windows.
_CELLS, _FEWEST = 50_000_000, 1000


def taught(train: Rows, schema: Schema, seed: int) -> tuple[Rows, NDArray[np.int64]]:
    """The training windows that a linear forecast is fitted to, all or very many, and the steps of their origins."""
    windowing = schema.windowing
    assert windowing is not None
    width = windowing.length + windowing.horizon * (1 + len(windowing.known))
    kept = sample_of(len(train), max(_CELLS // width, _FEWEST), seed)
    rows = train if kept is None else train.at(kept)
    return rows, windowing.clock.steps(times(rows, schema, windowing.origin))[0]


def train_forecast_ridge(
    found: Examples, train: Rows, schema: Schema, *, seed: int, budget: Budget, watch: Watch, threads: int = 0
) -> TrainedNetwork:
    """The ridge regression of all steps ahead on the window; it is quick, and a run that goes on fits it again.

    Args:
        train: the windows of `found.train`.
        threads: of the processor; 0 for as many as are free.
    """
    windowing = schema.windowing
    assert windowing is not None
    began, threads = budget.clock(), threads or free_cores()
    (place,) = found.places("series")
    rows, steps = taught(train, schema, seed)
    inputs = found.encoder.encode_rows(rows)
    series = inputs.media[place]
    layout = WindowLayout.learn(series, windowing.horizon)
    known = layout.known if sees_ahead(layout.length, len(layout.known) * layout.horizon) else ()
    with require("threadpoolctl", "a ridge forecast").threadpool_limits(limits=threads):
        fitted = LinearForecast.fit(
            series[:, 0, : layout.length].double().numpy(), rows.target, steps,
            known_ahead(series, known, layout.length).double().numpy() if known else None,
        )  # fmt: skip
    network = ForecastRidge(fitted, known, found.units.mean, found.units.deviation, (place,)).eval()
    trained = fitted_at_once(
        [_loss(network, found.valid)], [_loss(network, _in_units(inputs, rows, found))], len(rows),
        threads, budget.clock() - began, score_name(found.targets),
    )  # fmt: skip
    options = {
        "penalty": fitted.penalty, "steps": layout.length, "known ahead": len(known),
        "windows": "over their deviation" if fitted.is_sized else "in their own units",
    }  # fmt: skip
    part = Part(
        RIDGE, ModelConfig(), TrainConfig(), trained, 1, network.parameter_count, is_network=False, options=options
    )
    watch.epoch(trained.epochs[0], 1)
    return TrainedNetwork(network, part, first_loss(found, found.valid), lambda members: network)


def _in_units(inputs: Encoded, rows: Rows, found: Examples) -> Batch:
    """Windows with what they are of in the network's units."""
    return Batch(inputs, torch.from_numpy((rows.target - found.units.mean) / found.units.deviation).float(), None)


def _loss(network: ForecastRidge, rows: Batch) -> float:
    return float(member_losses(predict(network, rows.inputs), rows))
