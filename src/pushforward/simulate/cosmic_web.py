"""Maps of the cosmic web: matter displaced by second-order Lagrangian perturbation theory, projected through slabs.

A simulation starts from a Gaussian field with the linear power spectrum of Eisenstein & Hu (1998), slightly smoothed so
that streams do not cross far beyond their first caustics and wash out structure ("truncated" Lagrangian perturbation
theory: Coles, Melott & Shandarin 1993, MNRAS 260, 765). Its particles are displaced from a lattice by perturbation
theory, and their density is projected along the three axes, each through several slabs. The maps of a simulation share
its matter and form a group.
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from math import ceil, log2

import numpy as np
from numpy.typing import NDArray
from scipy.stats import qmc

from pushforward.errors import UsageError
from pushforward.simulate.cache import cached
from pushforward.simulate.cosmology import Cosmology
from pushforward.simulate.lagrangian import displacement, linear_modes
from pushforward.simulate.mesh import projected_density
from pushforward.simulate.progress import shown
from pushforward.simulate.simulated import Simulated, simulator
from pushforward.spaces import Field

__all__ = ["OMEGA_M_RANGE", "SIGMA_8_RANGE", "cosmic_web", "simulation_maps"]

OMEGA_M_RANGE = (0.1, 0.5)
SIGMA_8_RANGE = (0.6, 1.0)
# Increase when the same options give other maps, so that cached ones are not used.
_VERSION = 2


@simulator
def cosmic_web(
    count: int,
    seed: int = 0,
    *,
    grid: int = 64,
    box: float = 100.0,
    slabs: int = 4,
    redshift: float = 0.0,
    order: int = 2,
    smoothing: float = 1.0,
    Omega_m: float | None = None,
    sigma_8: float | None = None,
) -> Simulated:
    """Maps of 1 + overdensity (dimensionless, mean 1), shape ``(count, 1, grid, grid)``, periodic and isotropic.

    One simulation gives a group of 3 x ``slabs`` maps: its density projected along each axis through each slab.

    The conditions ``Omega_m`` and ``sigma_8`` fill the ranges 0.1-0.5 and 0.6-1.0 evenly (a Sobol sequence, shifted by
    the seed), one point per simulation. A smaller count with the same options gives the first maps of a larger one.

    Large sets are kept in the user's cache folder.

    Arguments:
        grid: cells per side of a map; the simulation has (2 grid)^3 particles.
        box: side length in Mpc/h.
        slabs: number of slabs along the line of sight, each ``box / slabs`` deep; a divisor of ``grid``.
        redshift: of the maps.
        order: 1 for the Zel'dovich approximation, 2 for second-order Lagrangian perturbation theory.
        smoothing: standard deviation in Mpc/h of the Gaussian that smooths the initial field.
        Omega_m, sigma_8: one value for all simulations instead of the range.

    Raises:
        UsageError: if an option is out of range.
    """
    _check(grid=grid, box=box, slabs=slabs, redshift=redshift, order=order, smoothing=smoothing)
    maps_each = 3 * slabs
    groups = np.arange(count) // maps_each
    parameters = _design(int(groups[-1]) + 1, seed, Omega_m, sigma_8)
    cosmologies = [Cosmology(Omega_m=float(row[0]), sigma_8=float(row[1])) for row in parameters]

    def maps_of(index: int) -> NDArray[np.float32]:
        return simulation_maps(
            cosmologies[index],
            np.random.default_rng([seed, index]),
            grid=grid,
            box=box,
            slabs=slabs,
            redshift=redshift,
            order=order,
            smoothing=smoothing,
        )

    def maps() -> NDArray[np.float32]:
        with ThreadPoolExecutor(_processors()) as pool:
            made = [pool.submit(maps_of, index) for index in range(len(cosmologies))]
            return np.concatenate([made[index].result() for index in shown("cosmic-web")(range(len(made)))])[
                :count, None
            ]

    key = {"version": _VERSION, "count": count, "seed": seed, "parameters": [Omega_m, sigma_8]}
    key |= {"grid": grid, "box": box, "slabs": slabs, "redshift": redshift, "order": order, "smoothing": smoothing}
    theory = "second-order Lagrangian perturbation theory" if order == 2 else "the Zel'dovich approximation"
    return Simulated(
        x=cached("cosmic-web", key, maps),
        space=Field(1, (grid, grid), periodic=True, box=box, isotropic=True),
        conditions=parameters[groups].astype(np.float32),
        names=("Omega_m", "sigma_8"),
        groups=groups,
        notes=(
            f"1 + overdensity, projected through {box / slabs:g} of {box:g} Mpc/h at redshift {redshift:g}",
            f"{theory}, initial field smoothed by {smoothing:g} Mpc/h",
            f"{maps_each} maps per simulation: 3 axes x {slabs} slabs",
        ),
    )


def simulation_maps(
    cosmology: Cosmology,
    rng: np.random.Generator,
    *,
    grid: int = 64,
    box: float = 100.0,
    slabs: int = 4,
    redshift: float = 0.0,
    order: int = 2,
    smoothing: float = 1.0,
) -> NDArray[np.float32]:
    """All maps of one simulation, shape ``(3 * slabs, grid, grid)``: see `cosmic_web` for the arguments."""
    particles = 2 * grid
    moved = displacement(
        linear_modes(cosmology, grid, box, rng, smoothing=smoothing),
        first=cosmology.growth(redshift),
        second=cosmology.second_order_growth(redshift) if order == 2 else 0.0,
        particles=particles,
    )
    lattice = np.arange(particles, dtype=np.float32) / particles
    for axis in range(3):
        moved[axis] += lattice.reshape([-1 if i == axis else 1 for i in range(3)])
    return projected_density(moved.reshape(3, -1), grid, slabs).reshape(-1, grid, grid)


def _design(simulations: int, seed: int, matter: float | None, fluctuations: float | None) -> NDArray[np.float64]:
    """Parameters of each simulation, ``(simulations, 2)``: a Sobol sequence, shifted at random around the torus."""
    points = qmc.Sobol(2, scramble=False).random_base2(max(1, ceil(log2(simulations))))[:simulations]
    points = (points + np.random.default_rng(seed).random(2)) % 1
    for column, ((low, high), fixed) in enumerate(
        zip((OMEGA_M_RANGE, SIGMA_8_RANGE), (matter, fluctuations), strict=True)
    ):
        points[:, column] = low + (high - low) * points[:, column] if fixed is None else fixed
    return points


def _processors() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _check(*, grid: int, box: float, slabs: int, redshift: float, order: int, smoothing: float) -> None:
    if grid < 8 or grid % 2:
        raise UsageError(f"the grid of cosmic-web must be an even number of at least 8 cells; got {grid}")
    if slabs < 1 or grid % slabs:
        raise UsageError(f"the slabs of cosmic-web must divide its grid of {grid} cells; got {slabs}")
    if box <= 0:
        raise UsageError(f"the box of cosmic-web is a length in Mpc/h and must be positive; got {box}")
    if redshift < 0:
        raise UsageError(f"the redshift of cosmic-web must not be negative; got {redshift}")
    if order not in (1, 2):
        raise UsageError(f"the order of cosmic-web is 1 (Zel'dovich) or 2 (second order); got {order}")
    if smoothing < 0:
        raise UsageError(f"the smoothing of cosmic-web is a length in Mpc/h and must not be negative; got {smoothing}")
