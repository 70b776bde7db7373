"""Exact densities in the plane: mixtures of equally likely components, with their entropies in nats.

    p(x) = 1/K sum_k p_k(x),      H = -int p log p,      H(x|k) = -1/K sum_k int p_k log p_k

A component is given by its log-density; curves blurred by a Gaussian become components through quadrature along the
curve. Entropies are integrals over a grid in the plane: for densities that are smooth on the scale of the grid step the
trapezoidal rule converges faster than any power of the step, so they are exact to many digits.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import logsumexp, xlogy

__all__ = ["PlanarDensity", "gaussians"]

Array = NDArray[np.float64]
_ROWS = 4096
# Beyond this many standard deviations a Gaussian in the plane holds 1e-14 of its mass.
REACH = 8.0


@dataclass(frozen=True)
class PlanarDensity:
    """A mixture of K equally likely components in the plane.

    Arguments:
        components: log-densities of the components: ``(N, 2)`` points -> ``(N, K)``, in nats.
        lower, upper: corners of a box that holds all but a negligible part of the mass.
        scale: length over which the density changes, such as the standard deviation of its Gaussian blur.

    The units of ``lower``, ``upper`` and ``scale`` are those of the points.
    """

    components: Callable[[Array], Array]
    lower: tuple[float, float]
    upper: tuple[float, float]
    scale: float

    def log_prob(self, x: ArrayLike, conditions: ArrayLike | None = None) -> Array:
        """Log-density of points ``(N, 2)``, in nats, shape ``(N,)``.

        Arguments:
            x: points.
            conditions: index of each point's component, ``(N,)`` or ``(N, 1)``, for the density given the label.
        """
        points = np.asarray(x, dtype=np.float64).reshape(-1, 2)
        logs = np.concatenate([self.components(points[i : i + _ROWS]) for i in range(0, len(points), _ROWS)])
        if conditions is not None:
            return logs[np.arange(len(points)), np.asarray(conditions).astype(int).reshape(-1)]
        return logsumexp(logs, axis=1) - np.log(logs.shape[1])

    @property
    def entropy(self) -> float:
        """H(x) in nats: no model's mean negative log-likelihood can lie below it."""
        return self._entropies[0]

    @property
    def conditional_entropy(self) -> float:
        """H(x | component) in nats: the floor of a model that is told the label."""
        return self._entropies[1]

    @cached_property
    def entropy_error(self) -> float:
        """Numerical error of `entropy`: its change when the step of the grid is doubled."""
        return abs(self._integrate(self.scale) - self.entropy)

    @cached_property
    def _entropies(self) -> tuple[float, float]:
        return self._integrate(self.scale / 2), self._integrate(self.scale / 2, conditional=True)

    def _integrate(self, step: float, conditional: bool = False) -> float:
        x, y = (np.arange(low, high + step, step) for low, high in zip(self.lower, self.upper, strict=True))
        total = 0.0
        for block in np.array_split(x, max(1, len(x) * len(y) // _ROWS)):
            points = np.stack(np.meshgrid(block, y, indexing="ij"), axis=-1).reshape(-1, 2)
            densities = np.exp(self.components(points))
            if not conditional:
                densities = densities.mean(axis=1, keepdims=True)
            total -= float(xlogy(densities, densities).sum()) / densities.shape[1]
        return total * step**2


def gaussians(centres: ArrayLike, std: float) -> PlanarDensity:
    """Equally likely round Gaussians of standard deviation ``std`` about ``centres``, shape ``(K, 2)``."""
    means = np.asarray(centres, dtype=np.float64)

    def components(x: Array) -> Array:
        squares = ((x[:, None] - means) ** 2).sum(axis=-1)
        return -squares / (2 * std**2) - np.log(2 * np.pi * std**2)

    return PlanarDensity(components, *around(means, std), scale=std)


def around(points: Array, std: float) -> tuple[tuple[float, float], tuple[float, float]]:
    """Corners of the box that holds points blurred by a Gaussian of standard deviation ``std``."""
    low, high = points.min(axis=0) - REACH * std, points.max(axis=0) + REACH * std
    return (float(low[0]), float(low[1])), (float(high[0]), float(high[1]))
