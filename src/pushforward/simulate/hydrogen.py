r"""Cubes of neutral hydrogen: matter displaced by perturbation theory, painted by self-shielded photoionisation.

Gas of overdensity 1 + delta = Delta follows the matter of `cosmic_cubes` at redshift z, smoothed by the pressure of the
gas (a Gaussian of standard deviation R). The mass M = rho_m (2 pi)^{3/2} R^3 Delta within the smoothing length
compresses its absorbing gas, to the hydrogen density

    n = n_0 (1 + z)^3 Delta (1 + (M / M_c)^2),                                                        in 1/cm^3,

at which recombination balances ionisation by a uniform background, from which dense gas shields itself:

    x Gamma = alpha n (1 - x)^2,
    Gamma / Gamma_0 = 0.98 (1 + (n / n_s)^1.64)^-2.28 + 0.02 (1 + n / n_s)^-0.84,
    n_s = 6.73e-3 (Gamma_0 / 10^-12 s^-1)^{2/3} / cm^3,       Gamma_0 = 0.8 (4 / (1 + z))^2 10^-12 s^-1,

with alpha = 4.2e-13 cm^3/s at 10^4 K. Massive structures lose cold gas: their neutral mass grows as M^{3/4}. The
density of neutral hydrogen, in units of the mean density of all hydrogen, is

    f = Delta x (1 + M / M_1)^{-1/4},          M_c = 2 10^10 Msun/h,  M_1 = 2 10^11 Msun/h.

It spans seven orders of magnitude between voids, where x is about 10^-5, and shielded gas, where it is near one.

Sources: Rahmati, Pawlik, Raicevic & Schaye 2013 (MNRAS 430, 2427), eqs. 13 and 14, for the shielding. The background is
of the size and slope of that of Haardt & Madau 2012 (ApJ 746, 125), and the compression and the loss are chosen such
that about a fiftieth of the hydrogen is neutral, as observed: the set imitates the hydrogen at z = 5 of
Zamudio-Fernandez et al. 2019 (arXiv:1904.12846), and predicts nothing.
"""

from __future__ import annotations

from math import ceil, log2, pi

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.stats import qmc

from pushforward.errors import UsageError
from pushforward.simulate.cache import cached
from pushforward.simulate.cosmology import Cosmology
from pushforward.simulate.lagrangian import displacement, linear_modes
from pushforward.simulate.mesh import density
from pushforward.simulate.progress import shown
from pushforward.simulate.simulated import Simulated, simulator
from pushforward.spaces import Field

__all__ = ["REDSHIFT_RANGE", "hydrogen", "neutral_hydrogen"]

REDSHIFT_RANGE = (3.0, 5.0)
# Increase when the same options give other cubes, so that cached ones are not used.
_VERSION = 1

_CRITICAL_MASS_DENSITY = 2.775e11
"""Critical density today, in (Msun/h) / (Mpc/h)^3."""
_CRITICAL_HYDROGEN = 1.123e-5 * 0.76
"""Hydrogen atoms per cm^3 of baryons at the critical density of h = 1, with a mass fraction of 0.76."""
_RECOMBINATION = 4.2e-13
"""alpha, coefficient of recombination in cm^3/s."""
_COMPRESSED, _LOSING = 2e10, 2e11
"""M_c and M_1 in Msun/h."""
_EMPTIEST = 1e-3
"""Least Delta: a smoothed cell far from all particles holds some gas."""


@simulator
def hydrogen(
    count: int,
    seed: int = 0,
    *,
    grid: int = 32,
    box: float = 25.0,
    redshift: float | None = None,
    smoothing: float = 0.3,
    pressure: float = 0.35,
    Omega_m: float = 0.3,
    sigma_8: float = 0.8,
) -> Simulated:
    """Cubes of neutral hydrogen, in units of the mean density of hydrogen, shape ``(count, 1, grid, grid, grid)``.

    Positive, periodic and isotropic. Each cube is an independent simulation at one ``redshift``, the condition; the
    redshifts fill the range 3-5 evenly. A smaller count with the same options gives the first cubes of a larger one.
    Large sets are kept in the user's cache folder.

    Arguments:
        grid: cells per side, an even number; a simulation has (2 grid)^3 particles.
        box: side length in Mpc/h.
        redshift: one for all cubes instead of the range; positive.
        smoothing: standard deviation in Mpc/h of the Gaussian that smooths the initial field.
        pressure: R, standard deviation in Mpc/h of the Gaussian that smooths the gas.
        Omega_m, sigma_8: of all simulations.

    Raises:
        UsageError: if an option is out of range.
    """
    _check(grid=grid, box=box, redshift=redshift, smoothing=smoothing, pressure=pressure)
    cosmology = Cosmology(Omega_m=Omega_m, sigma_8=sigma_8)
    redshifts = _design(count, seed, redshift)

    def cube(index: int) -> NDArray[np.float32]:
        z = float(redshifts[index])
        modes = linear_modes(cosmology, grid, box, np.random.default_rng([seed, index]), smoothing=smoothing)
        moved = displacement(
            modes, first=cosmology.growth(z), second=cosmology.second_order_growth(z), particles=2 * grid
        )
        lattice = np.arange(2 * grid, dtype=np.float32) / (2 * grid)
        for axis in range(3):
            moved[axis] += lattice.reshape([-1 if other == axis else 1 for other in range(3)])
        matter = density(moved.reshape(3, -1), grid)
        gas = ndimage.gaussian_filter(matter, pressure * grid / box, mode="wrap")
        return neutral_hydrogen(gas, z, cosmology, pressure=pressure)

    key = {"version": _VERSION, "count": count, "seed": seed, "parameters": [Omega_m, sigma_8]}
    key |= {"grid": grid, "box": box, "redshift": redshift, "smoothing": smoothing, "pressure": pressure}
    return Simulated(
        x=cached(
            "hydrogen", key, lambda: np.stack([cube(index) for index in shown("hydrogen")(range(count))])[:, None]
        ),
        space=Field(1, (grid,) * 3, periodic=True, box=box, isotropic=True),
        conditions=redshifts[:, None],
        names=("redshift",),
        units=("mean density of hydrogen",),
        box_unit="Mpc/h",
        notes=(
            f"neutral hydrogen in cubes of {box:g} Mpc/h, in units of the mean density of all hydrogen",
            f"second-order Lagrangian perturbation theory, initial field smoothed by {smoothing:g} Mpc/h, gas by "
            f"{pressure:g} Mpc/h, self-shielded from a uniform ionising background",
        ),
    )


def neutral_hydrogen(
    gas: NDArray[np.floating], redshift: float, cosmology: Cosmology, *, pressure: float = 0.35
) -> NDArray[np.float32]:
    """Density f of neutral hydrogen, in units of the mean density of hydrogen: see the head of this module.

    Increases with the density of the gas at each redshift.

    Arguments:
        gas: Delta, density of the gas in units of its mean, of any shape.
        redshift: z.
        cosmology: densities of matter and of baryons.
        pressure: R in Mpc/h.
    """
    delta = np.maximum(gas.astype(np.float64), _EMPTIEST)
    mass = _CRITICAL_MASS_DENSITY * cosmology.Omega_m * (2 * pi) ** 1.5 * pressure**3 * delta
    mean = _CRITICAL_HYDROGEN * cosmology.Omega_b * cosmology.h**2 * (1 + redshift) ** 3
    number = mean * delta * (1 + (mass / _COMPRESSED) ** 2)
    background = 0.8 * (4 / (1 + redshift)) ** 2
    shielded = number / (6.73e-3 * background ** (2 / 3))
    rate = 0.98 * (1 + shielded**1.64) ** -2.28 + 0.02 * (1 + shielded) ** -0.84
    # The smaller root of x^2 - (2 + q) x + 1 = 0, in the form without a difference of large numbers.
    q = 1e-12 * background * rate / (_RECOMBINATION * number)
    neutral = 2 / (2 + q + np.sqrt(q**2 + 4 * q))
    return (delta * neutral * (1 + mass / _LOSING) ** -0.25).astype(np.float32)


def _design(count: int, seed: int, redshift: float | None) -> NDArray[np.float32]:
    """Redshift of each cube, ``(count,)``: a Sobol sequence, shifted at random around the circle."""
    if redshift is not None:
        return np.full(count, redshift, dtype=np.float32)
    points = qmc.Sobol(1, scramble=False).random_base2(max(1, ceil(log2(count))))[:count, 0]
    low, high = REDSHIFT_RANGE
    return (low + (high - low) * ((points + np.random.default_rng(seed).random()) % 1)).astype(np.float32)


def _check(*, grid: int, box: float, redshift: float | None, smoothing: float, pressure: float) -> None:
    if grid < 4 or grid % 2:
        raise UsageError(f"the grid of hydrogen must be an even number of at least 4 cells; got {grid}")
    if box <= 0 or pressure <= 0 or smoothing < 0:
        raise UsageError(
            "hydrogen needs box > 0, pressure > 0 and smoothing >= 0, in Mpc/h; got "
            f"box={box}, pressure={pressure} and smoothing={smoothing}"
        )
    if redshift is not None and not 0 <= redshift <= 10:
        raise UsageError(f"the redshift of hydrogen must be between 0 and 10; got {redshift}")
