"""Periodic Gaussian random fields with exactly known power spectrum, density and entropy.

On a grid of N cells in a box of volume V, the modes delta_k = sum_x delta(x) e^{-ikx} of a field with the power
spectrum P are independent, with

    <|delta_k|^2> = P(k) N^2 / V,

where P has the unit of length of the box to the power of the dimension. The covariance of the cells is diagonal in
Fourier space, with eigenvalues P(k) N / V. With the modes d_k = delta_k / sqrt(N) of the orthonormal transform,

    log p(delta) = -1/2 sum_k [|d_k|^2 V / (P N) + log(2 pi P N / V)],
    H = 1/2 sum_k log(2 pi e P N / V).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import fft

from pushforward.errors import UsageError
from pushforward.simulate.simulated import Simulated, simulator
from pushforward.spaces import Field

__all__ = ["GaussianField", "gaussian_field"]

Array = NDArray[np.float64]
# Cells per transform: about 64 MB of modes.
_CELLS = 4_000_000


@dataclass(frozen=True)
class GaussianField:
    """Distribution of a Gaussian field with P(k) = A k^slope exp(-(k / k_c)^2).

    At k = 0 the power law has its value at the fundamental wavenumber k_f = 2 pi / box: the mean of a field scatters
    like its longest waves, so that the density exists.

    Arguments:
        grid: cells per side.
        box: side length, in any unit.
        dim: 2 or 3.
        slope: of the power law.
        cutoff: k_c in units of the Nyquist wavenumber pi grid / box.
        std: standard deviation of a cell, which sets the amplitude A.
    """

    grid: int
    box: float
    dim: int
    slope: float
    cutoff: float
    std: float

    def power_spectrum(self, k: ArrayLike) -> Array:
        """P(k) at wavenumbers in radians per unit of length, in that unit to the power ``dim``."""
        return self._amplitude * self._shape(np.asarray(k, dtype=np.float64))

    def sample(self, count: int, rng: np.random.Generator) -> NDArray[np.float32]:
        """Independent fields, shape ``(count, 1, *grid)``: white noise, coloured by the square root of P."""
        shape, axes = (self.grid,) * self.dim, tuple(range(-self.dim, 0))
        half = self._eigenvalues[..., : self.grid // 2 + 1]
        colour = np.sqrt(half).astype(np.float32)
        fields = np.empty((count, 1, *shape), np.float32)
        rows = max(1, _CELLS // self.grid**self.dim)
        for part in (fields[start : start + rows] for start in range(0, count, rows)):
            modes = fft.rfftn(rng.standard_normal(part.shape, dtype=np.float32), axes=axes)
            part[:] = fft.irfftn(modes * colour, s=shape, axes=axes)
        return fields

    def log_prob(self, x: ArrayLike) -> Array:
        """Log-density of fields ``(N, 1, *grid)``, in nats, shape ``(N,)``."""
        fields = np.asarray(x, dtype=np.float64).reshape(-1, *(self.grid,) * self.dim)
        axes = tuple(range(1, self.dim + 1))
        rows = max(1, _CELLS // self.grid**self.dim)
        squares = [
            (np.abs(fft.fftn(fields[start : start + rows], axes=axes, norm="ortho")) ** 2 / self._eigenvalues).sum(axes)
            for start in range(0, len(fields), rows)
        ]
        return -np.concatenate(squares) / 2 - np.log(2 * np.pi * self._eigenvalues).sum() / 2

    @cached_property
    def entropy(self) -> float:
        """Differential entropy in nats."""
        return float(np.log(2 * np.pi * np.e * self._eigenvalues).sum() / 2)

    @cached_property
    def _eigenvalues(self) -> Array:
        """Eigenvalues of the covariance of the cells, in the order of ``fftn``."""
        return self.power_spectrum(self._wavenumbers) * (self.grid / self.box) ** self.dim

    @cached_property
    def _wavenumbers(self) -> Array:
        axis = 2 * np.pi * fft.fftfreq(self.grid, self.box / self.grid)
        return np.sqrt(sum(k**2 for k in np.meshgrid(*[axis] * self.dim, indexing="ij")))

    @cached_property
    def _amplitude(self) -> float:
        """A, from std^2 = sum_k P(k) / V."""
        return float(self.std**2 * self.box**self.dim / self._shape(self._wavenumbers).sum())

    def _shape(self, k: Array) -> Array:
        nyquist, fundamental = np.pi * self.grid / self.box, 2 * np.pi / self.box
        return np.maximum(k, fundamental) ** self.slope * np.exp(-((k / (self.cutoff * nyquist)) ** 2))


@simulator
def gaussian_field(
    count: int,
    seed: int = 0,
    *,
    grid: int = 64,
    box: float = 1.0,
    dim: int = 2,
    slope: float = -2.0,
    cutoff: float = 0.5,
    std: float = 1.0,
) -> Simulated:
    """Gaussian fields with P(k) = A k^slope exp(-(k / k_c)^2), shape ``(count, 1, grid, grid)`` or a cube.

    Arguments:
        grid: cells per side.
        box: side length, in any unit; k is in radians per that unit, P in that unit to the power ``dim``.
        dim: 2 or 3.
        slope: of the power law.
        cutoff: k_c in units of the Nyquist wavenumber pi grid / box.
        std: standard deviation of a cell, which sets the amplitude A.

    Raises:
        UsageError: if there are fewer than 4 cells per side or an option is not positive.
    """
    if dim not in (2, 3):
        raise UsageError(f"the dim of gaussian-field must be 2 or 3; got {dim}")
    if grid < 4:
        raise UsageError(f"the grid of gaussian-field must have at least 4 cells per side; got {grid}")
    if min(box, std) <= 0 or cutoff < 0.1:
        raise UsageError(
            f"gaussian-field needs box > 0, std > 0 and cutoff >= 0.1 (below it the smallest waves would be lost in "
            f"rounding); got box={box}, std={std}, cutoff={cutoff}"
        )
    exact = GaussianField(grid, box, dim, slope, cutoff, std)
    return Simulated(
        exact.sample(count, np.random.default_rng(seed)),
        Field(1, (grid,) * dim, periodic=True, box=box, isotropic=True),
        exact=exact,
        notes=(f"Gaussian fields, P(k) proportional to k^{slope:g} exp(-(k/k_c)^2), k_c = {cutoff:g} of Nyquist",),
    )
