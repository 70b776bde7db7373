r"""Periodic Gaussian random fields whose power spectrum is known exactly.

On a grid of N cells in a volume V the modes :math:`\delta_k = \sum_x \delta(x) e^{-ikx}` are independent with

.. math:: \langle |\delta_k|^2 \rangle = P(k) N^2 / V .
"""

from __future__ import annotations

import numpy as np

from pushforward.errors import UsageError
from pushforward.simulate.simulated import Exact, Simulated
from pushforward.spaces import Field

__all__ = ["draw", "gaussian_field"]


def gaussian_field(
    count: int,
    seed: int = 0,
    grid: int = 64,
    box: float = 1.0,
    dim: int = 2,
    slope: float = -2.0,
    cutoff: float = 0.5,
    std: float = 1.0,
) -> Simulated:
    """Fields of mean zero with P(k) proportional to k^slope exp(-(k / k_c)^2), shape ``(count, 1, grid, ...)``.

    Arguments:
        box: side length, in any unit; k is in radians per that unit, P in that unit to the power ``dim``.
        dim: 2 or 3.
        slope: of the power law.
        cutoff: k_c in units of the Nyquist wavenumber.
        std: standard deviation of a cell.
    """
    if dim not in (2, 3):
        raise UsageError(f"a Gaussian field has 2 or 3 dimensions, not {dim}")
    if grid < 4 or box <= 0 or cutoff <= 0 or std <= 0:
        raise UsageError("a Gaussian field needs a grid of at least 4 cells and a positive box, cutoff and std")
    nyquist = np.pi * grid / box

    def shape(k: np.ndarray) -> np.ndarray:
        k = np.asarray(k, dtype=np.float64)
        safe = np.where(k > 0, k, 1.0)
        return np.where(k > 0, safe**slope * np.exp(-((safe / (cutoff * nyquist)) ** 2)), 0.0)

    # the amplitude gives the cells the variance asked for: sigma^2 = sum_k P(k) / V
    amplitude = std**2 * box**dim / shape(_wavenumbers(grid, box, dim, half=False)).sum()

    def power(k: np.ndarray) -> np.ndarray:
        return amplitude * shape(k)

    fields = draw(power, count, grid, box, dim, np.random.default_rng(seed))
    space = Field(1, (grid,) * dim, periodic=True, box=box, isotropic=True)
    return Simulated(fields[:, None], space, exact=Exact(power_spectrum=power))


def draw(power, count: int, grid: int, box: float, dim: int, rng: np.random.Generator) -> np.ndarray:  # noqa: ANN001
    """``count`` Gaussian fields (count, grid, ...) float32 of the spectrum ``power(k)``: white noise, coloured."""
    axes = tuple(range(1, dim + 1))
    colour = np.sqrt(power(_wavenumbers(grid, box, dim, half=True)) * (grid / box) ** dim).astype(np.float32)
    fields = np.empty((count, *(grid,) * dim), np.float32)
    rows = max(1, 4_000_000 // grid**dim)
    for i in range(0, count, rows):
        white = rng.standard_normal(fields[i : i + rows].shape, dtype=np.float32)
        modes = np.fft.rfftn(white, axes=axes) * colour
        fields[i : i + rows] = np.fft.irfftn(modes, s=(grid,) * dim, axes=axes)
    return fields


def _wavenumbers(grid: int, box: float, dim: int, half: bool) -> np.ndarray:
    full = 2 * np.pi * np.fft.fftfreq(grid, box / grid)
    last = 2 * np.pi * np.fft.rfftfreq(grid, box / grid) if half else full
    axes = np.meshgrid(*[full] * (dim - 1), last, indexing="ij")
    return np.sqrt(sum(axis**2 for axis in axes))
