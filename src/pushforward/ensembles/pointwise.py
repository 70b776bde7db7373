"""Monotonic functions of one variable that bring the values of a channel closer to a normal distribution.

With ``u = (x - location) / unit`` and one kind for each channel,

    none, standardise   z = (u - mean) / deviation
    log                 z = (ln u - mean) / deviation                      x > location
    asinh               z = (asinh u - mean) / deviation
    yeo-johnson         z = (sgn(u) f(|u|) - mean) / deviation,            f(a) = ((1 + a)^p - 1) / p,
                        p = exponent where u >= 0, and 2 - exponent where u < 0

The exponent is kept in [0, 2]: only there is the Yeo-Johnson function a bijection of the real line. Outside, values
beyond some bound would have no inverse, and a model's samples may exceed it.

Beyond the range of the data, a function continues as a straight line with its slope at the end, or a steeper one such
that a standard deviation in network units is at most the range of the data: a sample slightly outside the range does
not become orders of magnitude larger. The logarithm is continued above only; below it ends at its location.

Yeo & Johnson 2000, Biometrika 87, 954, eq. 2.1.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from pushforward.errors import UsageError
from pushforward.tensors import is_plain

__all__ = ["KINDS", "Knots", "formula", "forward", "inverse", "known", "log_derivative"]

KINDS = ("none", "standardise", "log", "asinh", "yeo-johnson")

_LINEAR = ("none", "standardise")
_SMALL_POWER = 1e-6


def known(kind: str, kinds: Sequence[str] = KINDS) -> str:
    """Return a kind if it is known.

    Raises:
        UsageError: if it is unknown.
    """
    if kind not in kinds:
        raise UsageError(f"there is no transform {kind!r}; there are {', '.join(kinds)}")
    return kind


class Knots(NamedTuple):
    """Range of ``u`` per channel within which a function follows its formula, and its least slope beyond."""

    low: Tensor
    high: Tensor
    slope: Tensor


def forward(kind: str, u: Float[Tensor, "*shape"], exponent: Tensor, knots: Knots | None = None) -> Tensor:
    """Function of ``u``. Outside the support of the logarithm, its value at the smallest positive number."""
    if kind in _LINEAR or knots is None or _known_within(kind, u, knots.low, knots.high):
        return _formula(kind, u, exponent)
    inside = _inside(kind, u, knots.low, knots.high)
    beyond = u - inside
    return torch.addcmul(_formula(kind, inside, exponent), beyond, _slope(kind, beyond, exponent, knots))


def inverse(kind: str, v: Float[Tensor, "*shape"], exponent: Tensor, knots: Knots | None = None) -> Tensor:
    """Inverse function: ``u`` for ``v``."""
    if kind in _LINEAR or knots is None:
        return _inverse_formula(kind, v, exponent)
    low, high = (_formula(kind, knot, exponent) for knot in (knots.low, knots.high))
    if _known_within(kind, v, low, high):
        return _inverse_formula(kind, v, exponent)
    inside = _inside(kind, v, low, high)
    u, beyond = _inverse_formula(kind, inside, exponent), v - inside
    return torch.where(v == inside, u, torch.addcdiv(u, beyond, _slope(kind, beyond, exponent, knots)))


def log_derivative(kind: str, u: Float[Tensor, "*shape"], exponent: Tensor, knots: Knots | None = None) -> Tensor:
    """``ln dv/du``; minus infinity outside the support of the logarithm, where there is no density."""
    if kind in _LINEAR or knots is None or _known_within(kind, u, knots.low, knots.high):
        return _log_slope(kind, u, exponent)
    inside = _inside(kind, u, knots.low, knots.high)
    return torch.where(u == inside, _log_slope(kind, u, exponent), _slope(kind, u - inside, exponent, knots).log())


def _known_within(kind: str, u: Tensor, low: Tensor, high: Tensor) -> bool:
    """Whether no value is beyond a knot, as in most batches; False if only a wait or a graph break could tell.

    The extremes of a tensor cost much less than any function of it.
    """
    if u.device.type != "cpu" or not u.numel() or not is_plain(u, low, high):
        return False
    shared = [axis for axis in range(-u.dim(), 0) if axis < -high.dim() or high.shape[axis] == 1]
    below = bool((u.amax(shared, keepdim=True) <= high).all())
    return below and (kind == "log" or bool((u.amin(shared, keepdim=True) >= low).all()))


def _inside(kind: str, u: Tensor, low: Tensor, high: Tensor) -> Tensor:
    below = torch.minimum(u, high)
    return below if kind == "log" else torch.maximum(below, low)


def _slope(kind: str, beyond: Tensor, exponent: Tensor, knots: Knots) -> Tensor:
    """Slope ``dv/du`` of the line of values by their distance beyond a knot, evaluated at the knots only."""
    above = _slope_at(kind, knots.high, exponent, knots.slope)
    if kind == "log":
        return above
    return torch.where(beyond > 0, above, _slope_at(kind, knots.low, exponent, knots.slope))


def _slope_at(kind: str, knot: Tensor, exponent: Tensor, least: Tensor) -> Tensor:
    """Slope ``dv/du`` at a knot, at least ``least``; 1 if there is no knot, where nothing is continued."""
    slope = _log_slope(kind, knot, exponent)
    return torch.maximum(torch.where(torch.isfinite(slope), slope, 0.0).exp(), least)


def _formula(kind: str, u: Tensor, exponent: Tensor) -> Tensor:
    match kind:
        case "log":
            return u.clamp_min(torch.finfo(u.dtype).tiny).log_()
        case "asinh":
            return u.asinh()
        case "yeo-johnson":
            sign, power = _sides(u, exponent)
            logarithm = torch.log1p(sign * u)
            powered = torch.expm1(power * logarithm) / _nonzero(power)
            return sign * torch.where(power < _SMALL_POWER, logarithm, powered)
        case _:
            return u


def _inverse_formula(kind: str, v: Tensor, exponent: Tensor) -> Tensor:
    match kind:
        case "log":
            return v.exp()
        case "asinh":
            return v.sinh()
        case "yeo-johnson":
            sign, power = _sides(v, exponent)
            size = sign * v
            logarithm = torch.where(power < _SMALL_POWER, size, torch.log1p(power * size) / _nonzero(power))
            return sign * torch.expm1(logarithm)
        case _:
            return v


def _log_slope(kind: str, u: Tensor, exponent: Tensor) -> Tensor:
    match kind:
        case "log":
            return torch.where(u > 0, -u.clamp_min(torch.finfo(u.dtype).tiny).log(), -torch.inf)
        case "asinh":
            # ln sqrt(1 + u^2), without overflow of u^2
            return -torch.hypot(u, torch.ones_like(u)).log()
        case "yeo-johnson":
            sign, power = _sides(u, exponent)
            return (power - 1) * torch.log1p(sign * u)
        case _:
            return torch.zeros_like(u)


def formula(
    kind: str, location: float, unit: float, exponent: float, mean: float, deviation: float, *, x: str = "x"
) -> str:
    """Formula of a function of ``x`` with its constants, for the terminal and the report."""
    less_mean = f" - {mean:.4g}" if mean >= 0 else f" + {-mean:.4g}"
    less_location = f" - {location:.4g}" if location >= 0 else f" + {-location:.4g}"
    shifted = f"({x}{less_location})" if location else x
    match kind:
        case "none":
            return "unchanged"
        case "standardise":
            return f"standardise, {shifted} / {unit:.4g}"
        case "log":
            return f"log, (ln({shifted} / {unit:.4g}){less_mean}) / {deviation:.4g}"
        case "asinh":
            return f"asinh, (asinh({shifted} / {unit:.4g}){less_mean}) / {deviation:.4g}"
        case _:
            return f"Yeo-Johnson of {shifted} / {unit:.4g} with exponent {exponent:.3g}, then standardised"


def _sides(u: Tensor, exponent: Tensor) -> tuple[Tensor, Tensor]:
    """Sign of ``u``, positive for zero, and the power on its side."""
    positive = u >= 0
    return torch.where(positive, 1.0, -1.0).to(u.dtype), torch.where(positive, exponent, 2 - exponent)


def _nonzero(power: Tensor) -> Tensor:
    return torch.where(power < _SMALL_POWER, torch.ones_like(power), power)
