"""Gaussian fields of a known spectrum, made with NumPy alone: the statistics are tested against something else."""

from __future__ import annotations

import numpy as np


def wavenumber(grid, sides):
    """|k| of every mode of `numpy.fft.fftn`."""
    axes = [2 * np.pi * np.fft.fftfreq(n, d=side / n) for n, side in zip(grid, sides, strict=True)]
    return np.sqrt(sum(k**2 for k in np.meshgrid(*axes, indexing="ij")))


def gaussian_fields(count, grid, sides, spectrum, seed=0):
    """Fields (count, 1, *grid) with <|delta_k|^2> = P(k) N^2 / V, and no mean."""
    rng = np.random.default_rng(seed)
    k = wavenumber(grid, sides)
    power = np.where(k > 0, spectrum(np.where(k > 0, k, 1.0)), 0.0)
    amplitude = np.sqrt(power * np.prod(grid) / np.prod(sides))
    axes = tuple(range(1, len(grid) + 1))
    white = np.fft.fftn(rng.standard_normal((count, *grid)), axes=axes)
    return np.fft.ifftn(white * amplitude, axes=axes).real[:, None]


def shell_means(values, k, edges):
    """Mean of ``values`` over the modes of each shell, one mode at a time."""
    sums, counts = np.zeros(len(edges) - 1), np.zeros(len(edges) - 1)
    for value, magnitude in zip(values.ravel(), k.ravel(), strict=True):
        for shell in range(len(edges) - 1):
            if edges[shell] <= magnitude < edges[shell + 1]:
                sums[shell] += value
                counts[shell] += 1
    return sums / np.maximum(counts, 1), counts
