"""How far apart two exact implementations of one network may answer: what rounding in float32 explains.

A sum of n products is off by about sqrt(n) units in the last place where roundings are independent (Higham and Mary, A
New Approach to Probabilistic Rounding Error Analysis, SIAM J. Sci. Comput. 2019, theorem 2.4); kernels add in different
orders. What a network says is therefore known to so many units of its own size, and a probability p moves with it by
p (1 - p) times the inverse temperature: a network that needs a very low temperature has its rounding multiplied, too.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from assay.bundle.load import TOLERANCE
from assay.models.answer import Answer

#: Units in the last place of a network's outputs: the square root of 4,096 products.
_UNITS = 64.0
_UNIT = float(np.finfo(np.float32).eps) / 2
#: The most that is allowed in any case.
MOST = 1e-3


def allowed_differences(answer: Answer, outputs: Tensor, expected: NDArray[np.float64]) -> NDArray[np.float64]:
    """The largest difference that a file may have in each row, (n,): `TOLERANCE`, or what rounding explains, to 1e-3.

    Of values and forecasts it is `TOLERANCE`, which is relative already.

    Args:
        outputs: of the members before their scale, (A, n, K). expected: probabilities (n, K), or values.
    """
    if not answer.is_classifier:
        return np.full(len(expected), TOLERANCE)
    scaled = (outputs.double() * answer.scale).abs().amax(dim=(0, 2)).numpy()
    slope = (expected * (1.0 - expected)).max(axis=1)
    allowed: NDArray[np.float64] = np.clip(_UNITS * _UNIT * scaled * slope, TOLERANCE, MOST)
    return allowed
