"""Second-order Lagrangian perturbation theory: displacements of matter from a regular lattice.

A particle that starts at q moves to x = q + Psi(q), wrapped around the box, with (Bouchet et al. 1995, A&A 296, 575;
Jeong 2010, appendix D)

    Psi = -D1 grad phi1 + D2 grad phi2,
    lap phi1 = delta,     lap phi2 = sum_{i<j} [phi1,ii phi1,jj - (phi1,ij)^2],

where delta is the linear overdensity today. Only the divergence of Psi is needed: Psi_k = -i k / k^2 (div Psi)_k with

    div Psi = -D1 delta + D2 sum_{i<j} [phi1,ii phi1,jj - (phi1,ij)^2].
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from pushforward.simulate.cosmology import Cosmology

__all__ = ["displacement", "linear_modes", "mode_numbers", "second_order_source", "squared"]

Modes = NDArray[np.complex64]
Array = TypeVar("Array", bound=Any)


def mode_numbers(grid: int) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
    """Integer wavevectors of ``scipy.fft.rfftn`` of a cube, three arrays that broadcast together."""
    full = fft.fftfreq(grid, 1 / grid).astype(np.float32)
    half = fft.rfftfreq(grid, 1 / grid).astype(np.float32)
    return full[:, None, None], full[None, :, None], half[None, None, :]


def linear_modes(
    cosmology: Cosmology, grid: int, box: float, rng: np.random.Generator, *, smoothing: float = 0.0
) -> Modes:
    """One draw of the linear overdensity today: ``rfftn`` of the field on ``grid``^3 cells.

    White noise is coloured by the square root of P(k), so the field is Gaussian with <|delta_k|^2> = P(k) N^2 / V for
    N cells in the volume V.

    Arguments:
        cosmology: gives the linear power spectrum.
        grid: cells per side.
        box: side length in Mpc/h.
        rng: source of the white noise.
        smoothing: standard deviation in Mpc/h of the Gaussian that smooths the field.
    """
    white = fft.rfftn(rng.standard_normal((grid, grid, grid), dtype=np.float32))
    numbers = squared(mode_numbers(grid)).astype(np.int32)
    # |k|^2 takes only the integers up to 3 (grid/2)^2: the spectrum is computed once for each.
    k = 2 * np.pi / box * np.sqrt(np.arange(numbers.max() + 1))
    amplitude = np.sqrt(cosmology.linear_power(k) * grid**3 / box**3) * np.exp(-((k * smoothing) ** 2) / 2)
    return white * amplitude.astype(np.float32)[numbers]


def displacement(
    modes: Modes, *, first: float, second: float = 0.0, particles: int | None = None
) -> NDArray[np.float32]:
    """Displacements of a lattice of particles, shape ``(3, particles, particles, particles)``, in units of the box.

    Arguments:
        modes: `linear_modes` of the overdensity.
        first: growth factor D1 of the first order (Zel'dovich).
        second: growth factor D2 of the second order, negative; 0 omits it.
        particles: per side, at least the grid of the modes; the band-limited displacement is interpolated exactly.
    """
    grid = modes.shape[0]
    particles = grid if particles is None else particles
    vectors = mode_numbers(grid)
    squares = squared(vectors)
    squares[0, 0, 0] = 1.0
    divergence = -first * modes
    if second:

        def inverse(scaled: Modes) -> NDArray[np.float32]:
            return fft.irfftn(scaled, s=(grid,) * 3)

        divergence = divergence + second * fft.rfftn(second_order_source(vectors, modes / squares, inverse))
    # With wavevectors 2 pi n / box, -i k / k^2 is -i n / n^2 box / (2 pi): dividing by the box leaves no length.
    divergence *= -1j / (2 * np.pi) / squares
    shape = (particles,) * 3
    result = np.empty((3, *shape), dtype=np.float32)
    for axis, n in enumerate(vectors):
        result[axis] = fft.irfftn(_padded(n * divergence, particles), s=shape, overwrite_x=True)
    return result


def second_order_source(vectors: Sequence[Any], scaled: Any, inverse: Callable[[Any], Array]) -> Array:
    """sum_{i<j} [phi,ii phi,jj - (phi,ij)^2] on the grid, with lap phi = delta; of arrays or of tensors.

    Arguments:
        vectors: integer wavevectors.
        scaled: modes of delta over the squared wavevectors.
        inverse: Fourier transform from modes to the grid.
    """

    def second_derivative(i: int, j: int) -> Array:
        return inverse(vectors[i] * vectors[j] * scaled)

    diagonal = [second_derivative(i, i) for i in range(3)]
    source = diagonal[0] * diagonal[1] - second_derivative(0, 1) ** 2
    for i, j in ((0, 2), (1, 2)):
        source += diagonal[i] * diagonal[j] - second_derivative(i, j) ** 2
    return source


def squared(vectors: Sequence[Array]) -> Array:
    """Squared wavevectors."""
    x, y, z = vectors
    return x**2 + y**2 + z**2


def _padded(modes: Modes, grid: int) -> Modes:
    """The same band-limited field on a finer grid, with zeros from the Nyquist frequency on."""
    coarse = modes.shape[0]
    half = coarse // 2
    result = np.zeros((grid, grid, grid // 2 + 1), dtype=np.complex64)
    # The Nyquist plane of an odd function of k has no real transform on the finer grid and is left out.
    keep = slice(0, half), slice(-(half - 1), None)
    for a in keep:
        for b in keep:
            result[a, b, :half] = modes[a, b, :half]
    return result * np.float32((grid / coarse) ** 3)
