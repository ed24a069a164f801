"""What is done for pictures around the networks of a plan: mirroring, pretrained networks, changes, and views."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from assay.search.fit.fitting import Fitting
from assay.search.fit.picture_policies import choose_mirroring, losses_of, seconds_to_save, with_policies
from assay.search.fit.pretrained import Pretraining, train_backbones
from assay.search.fit.views import SHARE_OF_VIEWS, choose_views
from assay.search.planning.jobs import Plan
from assay.train.budget import Budget
from assay.train.model import TrainedNetwork


@dataclass(frozen=True)
class ForPictures:
    """What was settled before the networks of a plan are trained.

    networks: pretrained ones. planned: with the changes of pictures that are tried, of which `told` says how many or
    why no others. budget: of the plan. mirror: whether pictures may be mirrored. tested: pictures of the test.
    for_views: seconds that choosing views and answering with them may take.
    """

    networks: tuple[TrainedNetwork, ...]
    planned: Plan
    told: str
    budget: Budget
    mirror: bool
    tested: int
    for_views: float

    def with_views(
        self, networks: Sequence[TrainedNetwork], fitting: Fitting
    ) -> tuple[list[TrainedNetwork], Mapping[str, float]]:
        """All networks, those of pictures with the views that are worth it; and the losses of these before, by name."""
        losses = losses_of(networks, fitting.found)
        looking = choose_views(
            networks, fitting.found, fitting.ensemble.views, mirror=self.mirror, tests=self.tested,
            seconds=self.for_views, ledger=fitting.ledger,
        )  # fmt: skip
        return looking, losses


def begin_pictures(fitting: Fitting, planned: Plan, allowed: float, tested: int) -> ForPictures | None:
    """Settle mirroring, fit what is pretrained, and plan which changes are tried; None where there are no pictures.

    Args:
        allowed: seconds that the plan was made for.
        tested: pictures of the test.
    """
    if not fitting.found.places("pictures"):
        return None
    mirroring = choose_mirroring(fitting.found, planned, fitting.seed, fitting.ledger)
    given = Pretraining(
        fitting.found, fitting.ensemble, fitting.train, fitting.seed, fitting.watch, fitting.ledger,
        fitting.checkpoints, mirroring.anywhere, tested,
    )  # fmt: skip
    pretrained, held = train_backbones(given, fitting.budget)
    for_views = math.inf if math.isinf(allowed) else allowed * SHARE_OF_VIEWS
    budget = fitting.budget.holding(held if math.isinf(for_views) else held + for_views)
    planned, told = with_policies(fitting.found, planned, mirroring, budget, fitting.checkpoints, fitting.seed)
    budget = budget.holding(seconds_to_save(planned))
    return ForPictures(tuple(pretrained), planned, told, budget, mirroring.anywhere, tested, for_views)
