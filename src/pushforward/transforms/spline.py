r"""Monotone rational-quadratic splines: increasing maps of an interval with a closed-form inverse.

There are K bins, with knots (x_k, y_k) and derivatives d_k > 0. In bin k, with ξ = (x - x_k) / (x_{k+1} - x_k), the
slope s = (y_{k+1} - y_k) / (x_{k+1} - x_k), d = d_k and d' = d_{k+1},

    z = y_k + (y_{k+1} - y_k) [s ξ² + d ξ(1-ξ)] / D(ξ),     D(ξ) = s [ξ² + (1-ξ)²] + (d + d') ξ(1-ξ),
    ∂z/∂x = s² [d' ξ² + 2 s ξ(1-ξ) + d (1-ξ)²] / D(ξ)².

For the inverse let η = (z - y_k) / (y_{k+1} - y_k) and e = d (1-η) - d' η. The quadratic for ξ has the discriminant
e² + 4 s² η(1-η), and its root in [0, 1] is

    ξ = 2 s η / (2 s η + p),     p = e + √(e² + 4 s² η(1-η)) = 4 s² η(1-η) / (√(e² + 4 s² η(1-η)) - e).

In this form every term is positive: neither direction subtracts, and rounding cannot make the root imaginary.

Parameters are the logarithms of the bins' widths and slopes, each up to a constant that makes the bins fill the
interval, and of the ratio of each derivative to the geometric mean of the two adjacent slopes. The slopes determine the
density, and a bound on their logarithms limits how much the inverse amplifies rounding.

Sources: Gregory and Delbourgo 1982 (IMA J. Numer. Anal. 2, 123); Durkan, Bekasov, Murray and Papamakarios 2019 (Neural
spline flows, arXiv:1906.04032), equations 4 to 8; on circles: Rezende et al. 2020 (arXiv:2002.02428).
"""

from __future__ import annotations

from dataclasses import dataclass
from math import pi
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from pushforward.tensors import in_single
from pushforward.transforms.monotone import Monotone, bounded, check_positive

__all__ = ["Bin", "CircularSpline", "Spline", "bin_forward", "bin_inverse"]


class Spline(Monotone):
    """Rational-quadratic spline of ``[-bound, bound]`` onto itself, the identity outside; once differentiable.

    Its ``3 bins - 1`` parameters are raw log-widths, log-slopes and relative log-derivatives at the inner knots.

    Arguments:
        bins: number of intervals between knots.
        bound: half of the interval, in units of the values.
        limit: bound on each absolute raw parameter; widths and slopes of bins differ by at most ``exp(2 limit)``.

    >>> z, log_derivative = Spline().forward(torch.tensor([-9.0, 0.5]), torch.zeros(23, 2))
    >>> z, log_derivative
    (tensor([-9.0000,  0.5000]), tensor([0., 0.]))
    """

    def __init__(self, bins: int = 8, bound: float = 5.0, limit: float = 2.0) -> None:
        check_positive(bins=bins, bound=bound, limit=limit)
        self.bins = bins
        self.bound = bound
        self.limit = limit
        self.parameters = 3 * bins - 1

    @in_single
    def forward(self, x: Tensor, parameters: Tensor) -> tuple[Tensor, Tensor]:
        inside = x.abs() < self.bound
        z, log_derivative = self._knots(parameters).forward(x.clamp(-self.bound, self.bound))
        return torch.where(inside, z, x), torch.where(inside, log_derivative, 0.0)

    @in_single
    def inverse(self, z: Tensor, parameters: Tensor) -> tuple[Tensor, Tensor]:
        inside = z.abs() < self.bound
        x, log_derivative = self._knots(parameters).inverse(z.clamp(-self.bound, self.bound))
        return torch.where(inside, x, z), torch.where(inside, log_derivative, 0.0)

    def _knots(self, parameters: Tensor) -> _Knots:
        raw = bounded(parameters, self.limit)
        widths, slopes, log_derivatives = raw.split([self.bins, self.bins, self.bins - 1])
        log_widths, log_heights, log_slopes = _bins(widths, slopes)
        inner = log_derivatives + 0.5 * (log_slopes[:-1] + log_slopes[1:])
        derivatives = functional.pad(inner.exp(), (0, 0) * (inner.dim() - 1) + (1, 1), value=1.0)
        return _Knots(_positions(log_widths, self.bound), _positions(log_heights, self.bound), derivatives)


class CircularSpline(Monotone):
    """Rational-quadratic spline of a circle onto itself, followed by a rotation.

    Values, by default angles, are wrapped to ``[-bound, bound)`` in both directions. The derivative is continuous where
    the interval closes. The ``3 bins + 1`` parameters are raw log-widths, log-slopes, relative log-derivatives and the
    angle of rotation.

    Arguments:
        bins, limit: as for `Spline`.
        bound: half of the circumference.
    """

    def __init__(self, bins: int = 8, bound: float = pi, limit: float = 2.0) -> None:
        check_positive(bins=bins, bound=bound, limit=limit)
        self.bins = bins
        self.bound = bound
        self.limit = limit
        self.parameters = 3 * bins + 1

    @in_single
    def forward(self, x: Tensor, parameters: Tensor) -> tuple[Tensor, Tensor]:
        z, log_derivative = self._knots(parameters[:-1]).forward(self._wrapped(x))
        return self._wrapped(z + parameters[-1]), log_derivative

    @in_single
    def inverse(self, z: Tensor, parameters: Tensor) -> tuple[Tensor, Tensor]:
        return self._knots(parameters[:-1]).inverse(self._wrapped(z - parameters[-1]))

    def seen(self, x: Tensor) -> Tensor:
        return x

    def _knots(self, parameters: Tensor) -> _Knots:
        widths, slopes, log_derivatives = bounded(parameters, self.limit).split(self.bins)
        log_widths, log_heights, log_slopes = _bins(widths, slopes)
        derivatives = (log_derivatives + 0.5 * (log_slopes.roll(1, 0) + log_slopes)).exp()
        derivatives = torch.cat([derivatives, derivatives[:1]])
        return _Knots(_positions(log_widths, self.bound), _positions(log_heights, self.bound), derivatives)

    def _wrapped(self, angle: Tensor) -> Tensor:
        return torch.remainder(angle + self.bound, 2 * self.bound) - self.bound


class Bin(NamedTuple):
    """Ends of the bin of each value: along x and along z, and the derivatives at both."""

    left: Tensor
    right: Tensor
    bottom: Tensor
    top: Tensor
    slope: Tensor
    next_slope: Tensor


@dataclass(frozen=True)
class _Knots:
    """Positions and derivatives at the knots of one spline per value, each of shape (bins + 1, *shape)."""

    x: Float[Tensor, "knots *shape"]
    y: Float[Tensor, "knots *shape"]
    derivative: Float[Tensor, "knots *shape"]

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return bin_forward(x, self._bin(x, self.x))

    def inverse(self, z: Tensor) -> tuple[Tensor, Tensor]:
        return bin_inverse(z, self._bin(z, self.y))

    def _bin(self, value: Tensor, positions: Tensor) -> Bin:
        """The bin that holds each value."""
        index = (value >= positions[1:-1]).sum(0, keepdim=True)
        index = torch.cat([index, index + 1])
        tables = (table.expand(-1, *index.shape[1:]) for table in (self.x, self.y, self.derivative))
        return Bin(*(end for table in tables for end in table.gather(0, index)))


def bin_forward(x: Tensor, ends: Bin) -> tuple[Tensor, Tensor]:
    """``z`` and log ∂z/∂x of values within their bins."""
    left, right, bottom, top, d, d_next = ends
    xi = ((x - left) / (right - left)).clamp(0, 1)
    s = (top - bottom) / (right - left)
    z, log_derivative = _rational(xi, 1 - xi, s, d, d_next)
    return torch.addcmul(bottom, z, top - bottom), log_derivative


def bin_inverse(z: Tensor, ends: Bin) -> tuple[Tensor, Tensor]:
    """``x`` and log ∂x/∂z of values within their bins."""
    left, right, bottom, top, d, d_next = ends
    eta = ((z - bottom) / (top - bottom)).clamp(0, 1)
    s = (top - bottom) / (right - left)
    e = d * (1 - eta) - d_next * eta
    product = 4 * s.square() * eta * (1 - eta)
    larger = e.abs() + (e.square() + product).sqrt()
    p = torch.where(e >= 0, larger, product / larger)
    total = 2 * s * eta + p
    xi = 2 * s * eta / total
    _, log_derivative = _rational(xi, p / total, s, d, d_next)
    return torch.addcmul(left, xi, right - left), -log_derivative


def _rational(
    xi: Tensor, rest: Tensor, s: Tensor, d: Tensor, d_next: Tensor
) -> tuple[Float[Tensor, "*shape"], Float[Tensor, "*shape"]]:
    """Height within a bin, as a fraction, and log ∂z/∂x, at ξ and 1 - ξ."""
    squared, mixed = xi.square(), xi * rest
    denominator = s * (squared + rest.square()) + (d + d_next) * mixed
    numerator = d_next * squared + 2 * s * mixed + d * rest.square()
    return (s * squared + d * mixed) / denominator, 2 * (s / denominator).log() + numerator.log()


def _bins(widths: Tensor, slopes: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Logarithms of the bins' fractions of the interval along x and along z, and of their ratio."""
    log_widths = torch.log_softmax(widths, 0)
    log_heights = torch.log_softmax(log_widths + slopes, 0)
    return log_widths, log_heights, log_heights - log_widths


def _positions(log_parts: Float[Tensor, "bins *shape"], bound: float) -> Float[Tensor, "knots *shape"]:
    """Knots from -bound to bound, exact at both ends."""
    inner = log_parts.exp()[:-1].cumsum(0) * (2 * bound) - bound
    return torch.cat([torch.full_like(log_parts[:1], -bound), inner, torch.full_like(log_parts[:1], bound)])
