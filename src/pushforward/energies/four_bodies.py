r"""Exact integrals over four particles in the plane with pair interactions.

On the subspace with the centre of mass at the origin, the volume element of the 6 orthonormal coordinates is
:math:`4^{-1}` times that of the 6 relative coordinates. With the Boltzmann factor :math:`f(r) = \exp(-v(r))`,

.. math:: Z = \frac{1}{4} \int 2\pi r\, f(r)\, G(r)\, dr, \qquad
          G(r) = \int\!\!\int h_r(p)\, f(|p - q|)\, h_r(q)\, d^2p\, d^2q, \qquad
          h_r(p) = f(|p|)\, f(|p - r e_x|) :

particles 1 and 2 are a distance r apart, p and q are the positions of particles 3 and 4. G is a quadratic form in a
convolution, one FFT per r. The integrands are smooth and vanish at the border, so the trapezoidal rule converges faster
than any power of the spacing. By symmetry between the six pairs, p(r) ~ 2 pi r f G is the density of every pair's
distance, and <U> = 6 <v(r)>.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import fft

__all__ = ["FourBodyIntegrals", "four_body_integrals"]


@dataclass(frozen=True)
class FourBodyIntegrals:
    """Exact results of `four_body_integrals`.

    Attributes:
        log_z: ln Z in nats.
        mean_energy: <U> in units of kT.
        distances: r, shape ``(R,)``, evenly spaced.
        density: of the distance of one pair at ``distances``, shape ``(R,)``, per unit of length; its sum times the
            spacing is one.
    """

    log_z: float
    mean_energy: float
    distances: NDArray[np.float64]
    density: NDArray[np.float64]


def four_body_integrals(
    potential: Callable[[NDArray[np.float64]], NDArray[np.float64]], reach: float, spacing: float = 0.1
) -> FourBodyIntegrals:
    """ln Z, <U> and the density of the pair distance.

    Arguments:
        potential: v(r) of one pair, elementwise, in units of kT; smooth, and so large at r = 0 that exp(-v)
            vanishes there.
        reach: distance beyond which exp(-v) vanishes to double precision.
        spacing: of the grid, in the unit of length of r; halve it to check convergence.
    """
    r = np.arange(spacing, reach, spacing)
    # |p_x|, |p_y| < reach covers the support of both f(|p|) and f(|p - r e_x|).
    half = int(np.ceil(reach / spacing))
    axis = np.arange(-half, half + 1) * spacing
    px, py = np.meshgrid(axis, axis, indexing="ij")
    lowest = float(potential(r).min())

    def boltzmann(distance: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.exp(lowest - potential(distance))

    near_first = boltzmann(np.hypot(px, py))
    side = fft.next_fast_len(2 * len(axis) - 1, real=True)
    lags = fft.fftfreq(side, 1 / side) * spacing
    kernel = fft.rfft2(boltzmann(np.hypot(*np.meshgrid(lags, lags, indexing="ij")))).real
    weight = np.empty_like(r)
    for index, distance in enumerate(r):
        pair = near_first * boltzmann(np.hypot(px - distance, py))
        smoothed = fft.irfft2(fft.rfft2(pair, s=(side, side)) * kernel, s=(side, side))
        weight[index] = (pair * smoothed[: len(axis), : len(axis)]).sum() * spacing**4
    weight *= 2 * np.pi * r * boltzmann(r) / 4
    total = weight.sum() * spacing
    density = weight / total
    return FourBodyIntegrals(
        log_z=float(np.log(total) - 6 * lowest),
        mean_energy=float(6 * (density * potential(r)).sum() * spacing),
        distances=r,
        density=density,
    )
