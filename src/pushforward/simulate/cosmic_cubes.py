"""Cubes of the cosmic web: the matter of `cosmic_web` on a three-dimensional grid.

A simulation displaces (2 grid)^3 particles from a lattice by second-order Lagrangian perturbation theory, and paints
them by cloud in cell.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pushforward.errors import UsageError
from pushforward.simulate.cache import cached
from pushforward.simulate.cosmology import Cosmology
from pushforward.simulate.lagrangian import displacement, linear_modes
from pushforward.simulate.mesh import density
from pushforward.simulate.progress import shown
from pushforward.simulate.simulated import Simulated, simulator
from pushforward.spaces import Field

__all__ = ["cosmic_cubes"]

_VERSION = 1


@simulator
def cosmic_cubes(
    count: int,
    seed: int = 0,
    *,
    grid: int = 32,
    box: float = 100.0,
    smoothing: float = 2.0,
    Omega_m: float = 0.3,
    sigma_8: float = 0.8,
) -> Simulated:
    """Cubes of 1 + overdensity (dimensionless, mean 1), shape ``(count, 1, grid, grid, grid)``, periodic and isotropic.

    Each cube is an independent simulation. Large sets are kept in the user's cache folder.

    Arguments:
        grid: cells per side; an even number.
        box: side length in Mpc/h.
        smoothing: standard deviation in Mpc/h of the Gaussian that smooths the initial field.
        Omega_m, sigma_8: of all simulations.

    Raises:
        UsageError: if an option is out of range.
    """
    if grid < 4 or grid % 2:
        raise UsageError(f"the grid of cosmic-cubes must be an even number of at least 4 cells; got {grid}")
    if box <= 0 or smoothing < 0:
        raise UsageError(f"cosmic-cubes needs box > 0 and smoothing >= 0; got box={box} and smoothing={smoothing}")
    cosmology = Cosmology(Omega_m=Omega_m, sigma_8=sigma_8)
    first, second = cosmology.growth(0.0), cosmology.second_order_growth(0.0)
    lattice = np.stack(np.meshgrid(*[np.arange(2 * grid, dtype=np.float32) / (2 * grid)] * 3, indexing="ij"))

    def cube(index: int) -> NDArray[np.float32]:
        modes = linear_modes(cosmology, grid, box, np.random.default_rng([seed, index]), smoothing=smoothing)
        moved = displacement(modes, first=first, second=second, particles=2 * grid)
        return density((lattice + moved).reshape(3, -1).astype(np.float32, copy=False), grid)

    key = {"version": _VERSION, "count": count, "seed": seed, "parameters": [Omega_m, sigma_8]}
    key |= {"grid": grid, "box": box, "smoothing": smoothing}
    return Simulated(
        x=cached(
            "cosmic-cubes",
            key,
            lambda: np.stack([cube(index) for index in shown("cosmic-cubes")(range(count))])[:, None],
        ),
        space=Field(1, (grid,) * 3, periodic=True, box=box, isotropic=True),
        notes=(
            f"1 + overdensity in cubes of {box:g} Mpc/h at redshift 0",
            f"second-order Lagrangian perturbation theory, initial field smoothed by {smoothing:g} Mpc/h",
        ),
    )
