"""How many views of a picture an answer is averaged over: as many as validation shows to be worth their time.

Test-time augmentation (Krizhevsky et al., NeurIPS 2012, section 4.1) is part of the network, and so of the file.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from assay.ledger import Ledger, Outcome
from assay.models.network import Network
from assay.models.picture_network import PictureNetwork
from assay.search.config import Views
from assay.train.examples import Examples
from assay.train.loop import predict
from assay.train.losses import row_losses
from assay.train.model import TrainedNetwork

#: Whether the mirror image is a view, and pixels that further views are moved by.
Way = tuple[bool, int]
#: Share of the time of a run that views may take, their choice and the answers to test pictures together.
SHARE_OF_VIEWS = 0.04
#: Pixels that moved views are moved by: one for so many of the shorter side, as airbench's 1 of 32, and two here.
_SHIFT = 16
#: Temperatures that answers are judged at, so that an average is not punished for being less sure.
_TEMPERATURES = torch.logspace(-0.7, 0.7, 29, dtype=torch.float64)


def choose_views(
    networks: Sequence[TrainedNetwork],
    found: Examples,
    asked: Views,
    *,
    mirror: bool,
    tests: int,
    seconds: float,
    ledger: Ledger,
) -> list[TrainedNetwork]:
    """The networks, those of pictures with the views that are worth it.

    More views are taken where they lower the loss of validation pictures by more than its standard error.

    Args:
        asked: what the user said.
        mirror: whether mirror images may be among the views.
        tests: pictures that will be answered after this, beside those of validation once more.
        seconds: that may be spent on both, choosing and answering.
    """
    able = [each for each in networks if isinstance(each.network, PictureNetwork)]
    if not able:
        return list(networks)
    (place,) = found.places("pictures")
    shift = max(1, min(found.valid.inputs.media[place].shape[2:]) // _SHIFT)
    named: dict[Views, Way] = {"none": (False, 0), "mirror": (True, 0), "shifts": (mirror, shift)}
    ways, reasons = {}, []
    for each in able:
        way, why = named.get(asked), "as ensemble.views says"
        if way is None:
            way, why = _worth(each, found, shift, mirror=mirror, tests=tests, seconds=seconds / len(able))
        ways[id(each)] = way
        reasons.append(f"{each.part.name}: {_told(*way)}, {why}")
    most = max(_count(way) for way in ways.values())
    ledger.record("search.views", Outcome.APPLIED if most > 1 else Outcome.SKIPPED, "; ".join(reasons), value=most)
    return [_looking(each, *ways[id(each)]) if id(each) in ways else each for each in networks]


def _worth(
    trained: TrainedNetwork, found: Examples, shift: int, *, mirror: bool, tests: int, seconds: float
) -> tuple[Way, str]:
    """The views that gain, and by how much, in words: mirror images first, then shifts with what was kept of these."""
    each, a_view = judged(trained.network, found)
    kept: Way = (False, 0)
    spent, gains, left_out = a_view * len(found.valid), [], 0
    for more in ["mirror"] * mirror + ["shifts"]:
        way = (True, 0) if more == "mirror" else (kept[0], shift)
        judging, answering = (_count(way) * a_view * rows for rows in (len(found.valid), len(found.valid) + tests))
        if spent + judging + answering > seconds:
            left_out += 1
            continue
        spent += judging
        other, _ = judged(_looking(trained, *way).network, found)
        gain = each - other
        mean, error = float(gain.mean()), float(gain.std() / math.sqrt(max(len(gain), 1)))
        gains.append(f"{_told(*way)} {-mean:+.4f} +- {error:.4f}")
        if mean > error:
            each, kept = other, way
    told = f"{1e3 * _count(kept) * a_view:.2f} ms a picture"
    told += f"; validation loss with {', then with '.join(gains)}" if gains else ""
    return kept, told + (f"; for {left_out} more there was no time" if left_out else "")


def _count(way: Way) -> int:
    return (2 if way[0] else 1) * (3 if way[1] else 1)


def _told(mirror: bool, shift: int) -> str:
    named = ["the picture"] + ["its mirror image"] * mirror + [f"both shifted by {shift} pixels"] * bool(shift)
    if shift and not mirror:
        named[-1] = f"it shifted by {shift} pixels"
    return "one view of a picture" if len(named) == 1 else " and ".join(named)


def _looking(trained: TrainedNetwork, mirror: bool, shift: int) -> TrainedNetwork:
    """The same network with these views, and whatever is made of its kind with them too."""

    def make(seeds: Sequence[int]) -> Network:
        made = trained.make(seeds)
        assert isinstance(made, PictureNetwork)
        made.look(mirror=mirror, shift=shift)
        return made

    assert isinstance(trained.network, PictureNetwork)
    trained.network.look(mirror=mirror, shift=shift)
    return replace(trained, make=make)


def judged(network: Network, found: Examples) -> tuple[Tensor, float]:
    """The loss of each validation picture at the best temperature, float64 (n,), and seconds for a picture."""
    began = time.perf_counter()
    outputs = predict(network, found.valid.inputs).double()
    seconds = (time.perf_counter() - began) / max(len(found.valid), 1)
    rows = found.judged(network.members // max(found.folds, 1))
    weight = torch.ones(len(outputs), len(rows)) if rows.weight is None else rows.weight.expand(len(outputs), -1)
    counts = weight.sum(0) > 0

    def losses(temperature: Tensor) -> Tensor:
        each = row_losses(outputs / temperature, rows.target)
        return ((each * weight).sum(0) / weight.sum(0).clamp_min(1e-12))[counts]

    if rows.target.dtype != torch.int64:
        return losses(torch.ones((), dtype=torch.float64)), seconds
    return min((losses(one) for one in _TEMPERATURES), key=lambda each: float(each.mean())), seconds
