"""Shared by the sets in the plane: entropy by quadrature, and the wrapping of points into a `Simulated`."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.special import logsumexp

from pushforward.errors import UsageError
from pushforward.simulate.simulated import Exact, Simulated
from pushforward.spaces import Vector

__all__ = ["Centres", "entropy_on_grid", "labelled", "positive"]

LogDensity = Callable[[np.ndarray], np.ndarray]


class Centres:
    r"""A mixture of equal round Gaussians: :math:`p(x) = \sum_i w_i\, N(x; c_i, \sigma^2 1)`.

    With the points of a fine quadrature of a curve for centres, it is the density of the curve blurred by noise.

    Arguments:
        points: centres, shape ``(M, dim)``.
        sigma: standard deviation.
        weights: shape ``(M,)``, summing to one; equal where None.
    """

    def __init__(self, points: np.ndarray, sigma: float, weights: np.ndarray | None = None) -> None:
        self.points = points
        self.sigma = sigma
        count, dim = points.shape
        log_weights = np.full(count, -np.log(count)) if weights is None else np.log(weights)
        self._constant = log_weights - dim / 2 * np.log(2 * np.pi * sigma**2)

    def __call__(self, x: np.ndarray) -> np.ndarray:
        x = np.asarray(x, dtype=np.float64)
        rows = max(1, 4_000_000 // len(self.points))
        return np.concatenate([self._part(x[i : i + rows]) for i in range(0, len(x), rows)] or [np.zeros(0)])

    def _part(self, x: np.ndarray) -> np.ndarray:
        distance = np.square(x[:, None, :] - self.points).sum(-1)
        return logsumexp(self._constant - distance / (2 * self.sigma**2), axis=1)


def entropy_on_grid(log_prob: LogDensity, low: tuple[float, float], high: tuple[float, float], spacing: float) -> float:
    r"""Differential entropy :math:`-\int p \log p`, by the trapezoidal rule on a grid over ``[low, high]``, in nats.

    For a density that is smooth on the scale of ``2 * spacing`` the rule converges faster than any power of it.
    """
    axes = [np.linspace(a, b, int((b - a) / spacing) + 2) for a, b in zip(low, high, strict=True)]
    points = np.stack(np.meshgrid(*axes, indexing="ij"), -1).reshape(-1, 2)
    cell = np.prod([axis[1] - axis[0] for axis in axes])
    value = log_prob(points)
    return float(-(np.exp(value) * value).sum() * cell)


def labelled(
    points: np.ndarray, exact: Exact, label: np.ndarray | None = None, classes: tuple[str, ...] = ()
) -> Simulated:
    """Points of the plane, with the label as a condition where one is given."""
    space = Vector(points.shape[1], names=("x", "y")[: points.shape[1]])
    if label is None:
        return Simulated(points.astype(np.float32), space, exact=exact)
    # the density that is known is that of all classes together
    column = label.astype(np.float32)[:, None]
    return Simulated(points.astype(np.float32), space, column, ("label",), {"label": classes}, exact=None)


def positive(**values: float) -> None:
    """Refuse options that must be positive and are not."""
    for name, value in values.items():
        if not isinstance(value, int | float) or not value > 0:
            raise UsageError(f"the option {name} must be a positive number, not {value!r}")
