r"""Pairs of maps of matter and gas pressure, with a known nonlinear, smoothed and stochastic relation.

From the projected density rho of `cosmic_web`, in units of its mean, the pressure of its gas is

    p = (W_R * rho)^gamma exp(s n - s^2 / 2),

with W_R a Gaussian of standard deviation R, for the feedback that pushes gas out of the centres of halos; the adiabatic
exponent gamma; and n a Gaussian field of unit variance, white noise smoothed by W_R, for the part that the matter does
not determine. Given the matter, ln p is a Gaussian field with known mean and covariance, so that any number of gas maps
can be drawn for one map of matter.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from pushforward.errors import UsageError
from pushforward.simulate.cosmic_web import cosmic_web
from pushforward.simulate.simulated import Simulated, simulator

__all__ = ["cosmic_gas", "gas_of_matter"]


@simulator
def cosmic_gas(
    count: int,
    seed: int = 0,
    *,
    grid: int = 64,
    box: float = 100.0,
    smoothing: float = 1.5,
    exponent: float = 5 / 3,
    scatter: float = 0.3,
    Omega_m: float = 0.3,
    sigma_8: float = 0.8,
) -> Simulated:
    """Maps of gas pressure, each conditional on the map of its matter; both of shape ``(count, 1, grid, grid)``.

    Periodic and isotropic. Both are dimensionless: the matter in units of its mean, the gas such that a cell of mean
    density has a pressure of about 1. Twelve maps come from one simulation and form a group, as in `cosmic_web`.

    Arguments:
        grid: cells per side.
        box: side length in Mpc/h.
        smoothing: R, standard deviation of the smoothing in Mpc/h.
        exponent: gamma.
        scatter: s, standard deviation of the logarithm of the pressure at a given density.
        Omega_m, sigma_8: of all simulations.

    Raises:
        UsageError: if an option is out of range.
    """
    if smoothing < 0 or exponent <= 0 or scatter < 0:
        raise UsageError(
            f"cosmic-gas needs smoothing >= 0, exponent > 0 and scatter >= 0; got smoothing={smoothing}, "
            f"exponent={exponent} and scatter={scatter}"
        )
    matter = cosmic_web(count, seed, grid=grid, box=box, Omega_m=Omega_m, sigma_8=sigma_8)
    rng = np.random.default_rng([seed, 1])
    return Simulated(
        gas_of_matter(matter.x, rng, box=box, smoothing=smoothing, exponent=exponent, scatter=scatter),
        matter.space,
        condition_fields=matter.x,
        groups=matter.groups,
        notes=(
            f"pressure of gas: the density smoothed by {smoothing:g} Mpc/h, to the power {exponent:.3g}, with a "
            f"scatter of {scatter:g} in its logarithm",
            *matter.notes,
        ),
    )


def gas_of_matter(
    matter: NDArray[np.float32],
    rng: np.random.Generator,
    *,
    box: float = 100.0,
    smoothing: float = 1.5,
    exponent: float = 5 / 3,
    scatter: float = 0.3,
) -> NDArray[np.float32]:
    """One draw of the pressure for each map of matter, shape ``(count, 1, grid, grid)``: see `cosmic_gas`."""
    grid = matter.shape[-1]
    k = 2 * np.pi * fft.fftfreq(grid, box / grid)
    window = np.exp(-((smoothing * np.hypot(k[:, None], k[None, : grid // 2 + 1])) ** 2) / 2)
    full = np.exp(-((smoothing * np.hypot(k[:, None], k[None, :])) ** 2) / 2)

    def smoothed(x: NDArray[np.float32]) -> NDArray[np.float32]:
        return fft.irfft2(fft.rfft2(x) * window, s=x.shape[-2:])

    noise = smoothed(rng.standard_normal(matter.shape, dtype=np.float32)) / np.sqrt(np.mean(full**2))
    # The Gaussian window does not ring, but rounding can still make a density negative.
    density = np.maximum(smoothed(matter), 1e-6)
    return (density**exponent * np.exp(scatter * noise - scatter**2 / 2)).astype(np.float32)
