r"""A lognormal model of positive fields, fitted to an ensemble: the usual fast rival of an emulator of cubes.

    f = min(c exp(g), f_max),     g a Gaussian field of spectrum P_g(k).

The correlation function of a lognormal field is xi = exp(xi_g) - 1 (Coles & Jones 1991, MNRAS 248, 1), so P_g begins as
the transform of ln(1 + xi), without what is negative. The moments of fields whose variance exceeds their squared mean a
hundredfold come from cells so rare that a finite set lacks them: f_max, the largest value of the data, bounds them, and
P_g and c are then corrected until a set of samples has the mean and the spectrum of the data. P_g is multiplied by
(P / P_samples)^{1/4} several times, with the same white noise.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import fft

__all__ = ["Lognormal"]

SAMPLES, CORRECTIONS = 128, 14


class Lognormal:
    """Lognormal fields with the mean and the power spectrum of cubes.

    Arguments:
        cubes: positive periodic fields, ``(count, grid, grid, grid)``.
        seed: of the white noise of the correction.

    Attributes:
        power: variance of each mode of the Gaussian field, ``<|g_k|^2>`` over the number of cells.
    """

    def __init__(self, cubes: NDArray[np.floating], seed: int = 0) -> None:
        self.grid = cubes.shape[-1]
        axis = fft.fftfreq(self.grid, 1 / self.grid)
        half = np.arange(self.grid // 2 + 1)
        self._square = np.rint(axis[:, None, None] ** 2 + axis[None, :, None] ** 2 + half**2).astype(int)
        # Modes of the last axis other than 0 and Nyquist stand for their conjugates too.
        self._weight = np.where((half == 0) | (half == self.grid // 2), 1.0, 2.0) + np.zeros(self._square.shape)
        mean = cubes.mean(dtype=np.float64)
        wanted = self._spectrum(cubes) / mean**2
        correlation = fft.irfftn(wanted, s=(self.grid,) * 3)
        self.power = self._averaged(fft.rfftn(np.log(np.maximum(1 + correlation, 0.05))).real)
        variance = float((np.maximum(self.power, 0) * self._weight).sum()) / self.grid**3
        self.most, self.scale = float(cubes.max()), mean * np.exp(-variance / 2)
        for _ in range(CORRECTIONS):
            made = self._fields(SAMPLES, np.random.default_rng([seed, 2]))
            self.scale *= mean / made.mean(dtype=np.float64)
            found = self._spectrum(made) / made.mean(dtype=np.float64) ** 2
            self.power = self.power * np.clip(wanted / np.maximum(found, 1e-12), 0.5, 2) ** 0.25

    def sample(self, count: int, rng: np.random.Generator) -> NDArray[np.float32]:
        """Fields, ``(count, grid, grid, grid)``."""
        return self._fields(count, rng).astype(np.float32)

    def _fields(self, count: int, rng: np.random.Generator) -> NDArray[np.float64]:
        amplitude = np.sqrt(np.maximum(self.power, 0)).astype(np.float32)
        made = np.empty((count, *(self.grid,) * 3))
        for each in made:
            white = fft.rfftn(rng.standard_normal(each.shape, dtype=np.float32))
            each[:] = np.minimum(self.scale * np.exp(fft.irfftn(white * amplitude, s=each.shape)), self.most)
        return made

    def _spectrum(self, cubes: NDArray[np.floating]) -> NDArray[np.float64]:
        """Mean power of each mode over the number of cells, isotropic, zero at k = 0."""
        total = sum(np.abs(fft.rfftn(cube.astype(np.float64))) ** 2 for cube in cubes) / len(cubes)
        total[0, 0, 0] = 0.0
        return self._averaged(total) / self.grid**3

    def _averaged(self, modes: NDArray[np.float64]) -> NDArray[np.float64]:
        """Mean over all modes of the same length of the wavevector."""
        shell, weight = self._square.ravel(), self._weight.ravel()
        sums = np.bincount(shell, modes.ravel() * weight) / np.maximum(np.bincount(shell, weight), 1)
        return sums[self._square]
