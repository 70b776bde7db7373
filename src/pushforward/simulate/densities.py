"""Exact densities in the plane: mixtures of equally likely components, with their entropies in nats.

    p(x) = 1/K sum_k p_k(x),      H(x) = -int p log p,      H(x|k) = -1/K sum_k int p_k log p_k

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

from pushforward.simulate.simulated import Exact, Simulated
from pushforward.spaces import Vector

__all__ = ["PlanarDensity", "around", "gaussians", "labelled"]

Array = NDArray[np.float64]
_ROWS = 4096
# Beyond this many standard deviations a Gaussian in the plane has 1e-14 of its mass.
_REACH = 8.0


@dataclass(frozen=True)
class PlanarDensity:
    """Mixture of K equally likely components in the plane.

    Arguments:
        components: log-densities of the components: ``(N, 2)`` points -> ``(N, K)``, in nats.
        lower, upper: corners of a box with all but a negligible fraction of the mass.
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
        blocks = np.array_split(points, max(1, len(points) // _ROWS))
        logs = np.concatenate([self.components(block) for block in blocks])
        if conditions is not None:
            return logs[np.arange(len(points)), np.asarray(conditions).astype(np.intp).reshape(-1)]
        return logsumexp(logs, axis=1) - np.log(logs.shape[1])

    @property
    def entropy(self) -> float:
        """H(x) in nats, a lower bound on every model's mean negative log-density."""
        return self._entropies[0]

    @property
    def conditional_entropy(self) -> float:
        """H(x|k) in nats: the floor of a model conditional on the component."""
        return self._entropies[1]

    @cached_property
    def entropy_error(self) -> float:
        """Upper bound on the numerical error of `entropy` in nats: its change when the grid step is doubled."""
        return abs(self._integrated(self.scale)[0] - self.entropy)

    @cached_property
    def _entropies(self) -> tuple[float, float]:
        return self._integrated(self.scale / 2)

    def _integrated(self, step: float) -> tuple[float, float]:
        """H(x) and H(x|k) by the trapezoidal rule on a grid of the given step."""
        x, y = (np.arange(low, high + step, step) for low, high in zip(self.lower, self.upper, strict=True))
        joint = given = 0.0
        for block in np.array_split(x, max(1, len(x) * len(y) // _ROWS)):
            points = np.stack(np.meshgrid(block, y, indexing="ij"), axis=-1).reshape(-1, 2)
            each = np.exp(self.components(points))
            whole = each.mean(axis=1)
            joint -= float(xlogy(whole, whole).sum())
            given -= float(xlogy(each, each).sum()) / each.shape[1]
        return joint * step**2, given * step**2


def gaussians(centres: ArrayLike, std: float) -> PlanarDensity:
    """Equally likely isotropic Gaussians of standard deviation ``std`` about ``centres``, shape ``(K, 2)``."""
    means = np.asarray(centres, dtype=np.float64)

    def components(x: Array) -> Array:
        squares = ((x[:, None] - means) ** 2).sum(axis=-1)
        return -squares / (2 * std**2) - np.log(2 * np.pi * std**2)

    return PlanarDensity(components, *around(means, std), scale=std)


def around(points: Array, std: float) -> tuple[tuple[float, float], tuple[float, float]]:
    """Corners of a box around points blurred by a Gaussian of standard deviation ``std``."""
    low, high = points.min(axis=0) - _REACH * std, points.max(axis=0) + _REACH * std
    return (float(low[0]), float(low[1])), (float(high[0]), float(high[1]))


def labelled(
    points: Array,
    exact: Exact | None,
    label: NDArray[np.int64] | None = None,
    name: str = "label",
    classes: tuple[str, ...] = (),
) -> Simulated:
    """Points ``(N, 2)`` of the plane, with the index of their component as a condition if given."""
    x, space = points.astype(np.float32), Vector(2, names=("x", "y"))
    if label is None:
        return Simulated(x, space, exact=exact)
    return Simulated(x, space, label[:, None].astype(np.float32), (name,), {name: classes}, exact=exact)
