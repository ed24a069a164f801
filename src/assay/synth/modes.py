"""Numbers by their modes: which bump of its distribution a number belongs to, and where in the bump it lies.

Source: Xu et al., Modeling Tabular Data using Conditional GAN (NeurIPS 2019), section 4.2. Beyond it, a value that many
rows share is a mode without width, so that it comes out exactly, and so is a missing number.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np

from assay._imports import require
from assay.synth.block import Floats, Ints

#: Modes of a mixture at most, the share below which one is dropped, and rows that it is fitted to.
_MOST, _LEAST_SHARE, _FITTED_TO = 10, 0.005, 5000
#: A number of so few values has a mode for each; of others, each value of such a share of the rows has one.
_FEW_VALUES, _SPIKE = 20, 0.05
#: Deviations from the mean of a mode that are told apart, on each side.
_REACH = 4.0


@dataclass(frozen=True)
class Modes:
    """The modes of a number: means and deviations, (K,) each; 0 for a single value, NaN as the mean for missing."""

    mean: Floats
    deviation: Floats
    weight: Floats

    @classmethod
    def of(cls, values: Floats, seed: int) -> Modes:
        """The modes of `values` (n,), NaN where missing."""
        known = values[~np.isnan(values)]
        levels, counts = np.unique(known, return_counts=True)
        spiked = np.ones(len(levels), bool) if len(levels) <= _FEW_VALUES else counts >= _SPIKE * len(values)
        mean, deviation, weight = levels[spiked], np.zeros(int(spiked.sum())), counts[spiked] / len(values)
        rest = known[~np.isin(known, mean)]
        if len(rest):
            more = _mixture(rest, seed)
            mean, deviation = np.append(mean, more.mean), np.append(deviation, more.deviation)
            weight = np.append(weight, more.weight * len(rest) / len(values))
        if len(known) < len(values):
            mean, deviation = np.append(mean, np.nan), np.append(deviation, 0.0)
            weight = np.append(weight, 1 - len(known) / len(values))
        return cls(mean, deviation, weight)

    def __len__(self) -> int:
        return len(self.mean)

    def read(self, values: Floats, rng: np.random.Generator) -> tuple[Floats, Ints]:
        """For each value (n,) where it lies within its mode, from -1 to 1, and the mode, drawn by how likely it is."""
        wide = np.flatnonzero(self.deviation > 0)
        codes = np.zeros(len(values), np.int64)
        if len(wide):
            z = (values[:, None] - self.mean[wide]) / self.deviation[wide]
            log = np.log(self.weight[wide] / self.deviation[wide]) - z**2 / 2
            gumbel = -np.log(-np.log(rng.uniform(1e-12, 1 - 1e-12, log.shape)))
            codes = wide[np.argmax(np.nan_to_num(log, nan=-np.inf) + gumbel, axis=1)]
        for at in np.flatnonzero(self.deviation == 0):
            codes[np.isnan(values) if np.isnan(self.mean[at]) else values == self.mean[at]] = at
        width = _REACH * self.deviation[codes]
        inside = np.divide(values - self.mean[codes], width, out=np.zeros(len(values)), where=width > 0)
        return np.clip(inside, -0.99, 0.99), codes

    def write(self, inside: Floats, codes: Ints) -> Floats:
        """The values at these places of these modes."""
        return np.asarray(self.mean[codes] + _REACH * self.deviation[codes] * np.clip(inside, -1, 1), np.float64)


def _mixture(values: Floats, seed: int) -> Modes:
    """A variational Gaussian mixture, whose idle modes fade (Bishop 2006, section 10.2)."""
    mixture = require("sklearn.mixture", "a TVAE")
    slow = require("sklearn.exceptions", "a TVAE").ConvergenceWarning
    size = float(np.abs(values).max()) or 1.0  # squares of huge numbers stay finite
    centre, unit = float((values / size).mean()) * size, float((values / size).std()) * size or 1.0
    taken = values
    if len(values) > _FITTED_TO:
        taken = np.random.default_rng(seed).choice(values, _FITTED_TO, replace=False)
    scaled = ((taken - centre) / unit)[:, None]
    most = min(_MOST, len(np.unique(scaled)), len(scaled))
    model = mixture.BayesianGaussianMixture(
        n_components=most, weight_concentration_prior=1e-3, max_iter=100, random_state=seed, reg_covar=1e-6
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", slow)  # a mixture that is nearly there is as good
        model.fit(scaled)
    kept = model.weights_ >= min(_LEAST_SHARE, float(model.weights_.max()))
    deviation = np.sqrt(model.covariances_[kept, 0, 0]) * unit
    return Modes(
        model.means_[kept, 0] * unit + centre,
        np.maximum(deviation, 1e-12),
        model.weights_[kept] / model.weights_[kept].sum(),
    )
