r"""Initial conditions by Lagrangian perturbation theory: positions and momenta at an early time, differentiable.

A particle that starts at q on a lattice has, at the scale factor a,

.. math:: x = q + D\, \Psi_1(q) + D_2\, \Psi_2(q), \qquad
          p = a^3 E \frac{dx}{da} = a^2 E\, (f D\, \Psi_1 + f_2 D_2\, \Psi_2),

with :math:`\nabla \cdot \Psi_1 = -\delta` of the linear overdensity today, :math:`\nabla \cdot \Psi_2 =
\sum_{i<j} (\phi_{,ii} \phi_{,jj} - \phi_{,ij}^2)` with :math:`\nabla^2 \phi = \delta`, both curl-free, and the growth
factors and rates of `Cosmology` (Bouchet et al. 1995, A&A 296, 575).
"""

from __future__ import annotations

from math import pi
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float
from scipy import fft
from torch import Tensor

from pushforward.errors import UsageError
from pushforward.simulate.cosmology import Cosmology
from pushforward.simulate.lagrangian import linear_modes, mode_numbers, second_order_source, squared

__all__ = ["lattice", "linear_overdensity", "perturbed_lattice"]


def linear_overdensity(
    cosmology: Cosmology, particles: int, box: float, seeds: list[tuple[int, ...]]
) -> Float[Tensor, "batch particles particles particles"]:
    """Linear overdensity today (dimensionless), one Gaussian field per seed.

    Arguments:
        cosmology: gives the power spectrum.
        particles: cells per side.
        box: side length in Mpc/h.
        seeds: numbers that seed each field.
    """
    fields = [
        fft.irfftn(linear_modes(cosmology, particles, box, np.random.default_rng(seed)), s=(particles,) * 3)
        for seed in seeds
    ]
    return torch.from_numpy(np.stack(fields).astype(np.float32))


def lattice(particles: int, box: float) -> Float[Tensor, "count 3"]:
    """Centres of the cells of a cubic lattice, in Mpc/h; ``particles`` per side."""
    axis = (torch.arange(particles, dtype=torch.float64) + 0.5) * (box / particles)
    return torch.stack(torch.meshgrid(axis, axis, axis, indexing="ij"), -1).reshape(-1, 3)


def perturbed_lattice(
    overdensity: Float[Tensor, "batch particles particles particles"],
    cosmology: Cosmology,
    box: float,
    a: float,
    order: Literal[1, 2] = 2,
) -> tuple[Float[Tensor, "batch count 3"], Float[Tensor, "batch count 3"]]:
    """Positions and momenta of a lattice of particles at scale factor ``a``, in Mpc/h, positions not wrapped.

    Arguments:
        overdensity: linear, today, dimensionless.
        cosmology: gives growth factors and rates.
        box: side length in Mpc/h.
        a: scale factor, early enough that the displacements are below the lattice's spacing.
        order: 1 for Zel'dovich, 2 for second order.

    Raises:
        UsageError: if the order is neither 1 nor 2, or a is not in (0, 1].
    """
    if order not in (1, 2):
        raise UsageError(f"the order of perturbation theory must be 1 or 2, not {order}")
    if not 0 < a <= 1:
        raise UsageError(f"the scale factor of the start must be in (0, 1]; got {a}")
    z = 1 / a - 1
    rate = a**2 * cosmology.hubble(z)
    first, second = cosmology.growth(z), cosmology.second_order_growth(z)
    modes = torch.fft.rfftn(overdensity, dim=(1, 2, 3))
    psi = _curl_free(-modes, box)
    x, p = first * psi, rate * cosmology.growth_rate(z) * first * psi
    if order == 2:
        vectors = _vectors(modes)
        source = second_order_source(
            vectors,
            modes / _squares(vectors),
            lambda scaled: torch.fft.irfftn(scaled, s=overdensity.shape[1:], dim=(1, 2, 3)),
        )
        psi = _curl_free(torch.fft.rfftn(source, dim=(1, 2, 3)), box)
        x = x + second * psi
        p = p + rate * cosmology.second_order_growth_rate(z) * second * psi
    points = lattice(overdensity.shape[1], box).to(x)
    return points + x, p


def _vectors(modes: Tensor) -> list[Tensor]:
    """Integer wavevectors of the modes, as three tensors that broadcast with them."""
    grid = modes.shape[1]
    return [torch.from_numpy(n).to(modes.real) for n in mode_numbers(grid)]


def _squares(vectors: list[Tensor]) -> Tensor:
    squares = squared(vectors)
    return torch.where(squares == 0, 1.0, squares)


def _curl_free(divergence: Tensor, box: float) -> Tensor:
    """Curl-free vectors (batch, count, 3) with the divergence given by its modes; in units of ``box``."""
    vectors, grid = _vectors(divergence), divergence.shape[1]
    scaled = divergence * (-1j * box / (2 * pi)) / _squares(vectors)
    # An odd function of k has no real transform at the Nyquist frequency.
    parts = [
        torch.fft.irfftn(torch.where(n.abs() == grid / 2, 0.0, n) * scaled, s=(grid,) * 3, dim=(1, 2, 3))
        for n in vectors
    ]
    return torch.stack(parts, -1).flatten(1, 3)
