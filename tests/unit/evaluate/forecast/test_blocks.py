"""Stretches of origins that are drawn together."""

import numpy as np

from assay.evaluate.forecast.blocks import Blocks


def test_blocks_are_at_least_a_horizon_long_and_at_most_half():
    assert Blocks.of(np.arange(100), 10).length == 10
    assert Blocks.of(np.arange(13), 12).length == 6
    assert Blocks.of(np.arange(0, 200, 5), 10).length == 3  # every fifth step: the cube root of 40
    blocks = Blocks.of(np.repeat(np.arange(20), 3), 4)  # three series
    assert (blocks.count, blocks.independent) == (20, 5)
    draws = blocks.draws(50, 0)
    assert draws.shape == (50, 20)
    assert (draws.sum(axis=1) == 20).all()
