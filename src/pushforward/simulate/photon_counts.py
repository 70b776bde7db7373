r"""Photon counts of a smooth source: whole numbers with Poisson noise, as from a detector.

The expected counts are a log-normal map, the counts Poisson:

.. math:: \Lambda(x) = \mu\, e^{g(x) - \sigma^2 / 2}, \qquad N(x) \sim \mathrm{Poisson}(\Lambda(x)),

with a periodic Gaussian field g of standard deviation sigma and correlation :math:`\xi(r)`. Exactly,

.. math:: \langle N \rangle = \mu, \qquad \mathrm{var}\, N = \mu + \mu^2 (e^{\sigma^2} - 1), \qquad
          \mathrm{cov}(N(x), N(x + r)) = \mu^2 (e^{\xi(r)} - 1) .
"""

from __future__ import annotations

import numpy as np

from pushforward.errors import UsageError
from pushforward.simulate.gaussian_fields import GaussianField
from pushforward.simulate.simulated import Simulated, simulator
from pushforward.spaces import Field

__all__ = ["photon_counts"]

# The field's slope and cutoff: most of its variance in the few longest waves.
_SLOPE, _CUTOFF = -3.0, 0.3


@simulator
def photon_counts(
    count: int, seed: int = 0, *, grid: int = 32, mean: float = 2.0, contrast: float = 0.7, source: bool = False
) -> Simulated:
    """Maps of photon counts, shape ``(count, 1, grid, grid)``, whole numbers from zero.

    Arguments:
        grid: pixels per side.
        mean: mu, counts per pixel on average.
        contrast: sigma, standard deviation of the logarithm of the source.
        source: give the expected counts of its source as the condition of each map.

    Raises:
        UsageError: if there are fewer than 4 pixels per side, the mean is not positive or the contrast not in (0, 3].
    """
    if grid < 4:
        raise UsageError(f"the grid of photon-counts must have at least 4 pixels per side; got {grid}")
    if not mean > 0 or not 0 < contrast <= 3:
        raise UsageError(f"photon-counts need mean > 0 and 0 < contrast <= 3; got mean={mean}, contrast={contrast}")
    rng = np.random.default_rng(seed)
    logarithm = GaussianField(grid, float(grid), 2, _SLOPE, _CUTOFF, contrast).sample(count, rng)
    expected = mean * np.exp(logarithm.astype(np.float64) - contrast**2 / 2)
    counts = rng.poisson(expected).astype(np.float32)
    variance = mean + mean**2 * np.expm1(contrast**2)
    return Simulated(
        counts,
        Field(1, (grid, grid), periodic=True, isotropic=True),
        condition_fields=expected.astype(np.float32) if source else None,
        notes=(
            f"photon counts, whole numbers: mean {mean:g} and variance {variance:.4g} per pixel exactly",
            f"Poisson scatter about a log-normal source map of contrast {contrast:g}",
        ),
    )
