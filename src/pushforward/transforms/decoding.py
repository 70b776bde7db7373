r"""Inverses of autoregressive transforms, without a full network pass per feature.

To solve z_i = f(x_i; θ_i(x_1, ..., x_{i-1})) for x:

- one by one: x_1, then θ_2 and x_2, and so on; each step evaluates only the part of the network determined by the new
  value. All steps together cost the multiplications of a single pass.
- block by block: the features of a block at once, as a fixed point (below), given the blocks already known, whose
  intermediate results the network keeps. Blocks of one are one by one; a single block is a Jacobi iteration, several
  are a Gauss-Seidel iteration.
- as a fixed point: x ← f⁻¹(z; θ(x)) for all features at once. Sweep k makes the first k features exact, so the
  iteration ends after at most as many sweeps as features, and far sooner if the dependence on earlier features is weak.
  A sample is finished when f(x; θ(x)) = z to rounding, which is verified, not estimated.

Sources: Song, Meng, Liao and Ermon 2021 (Accelerating feedforward computation, arXiv:2002.03629), section 4; for flows
of tokens: Liu and Qin 2025 (GS-Jacobi, arXiv:2505.12849).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float, Int
from torch import Tensor

from pushforward.transforms.monotone import Monotone

__all__ = [
    "Blocks",
    "BlocksAhead",
    "Incremental",
    "OneByOne",
    "by_blocks",
    "fixed_point",
    "fixed_point_within",
    "one_by_one",
]

# Residuals up to this many units in the last place count as rounding.
_UNITS = 16
# Sweeps after which their rate of convergence is judged: the first ones carry values along the features.
_JUDGED = 5

Parameters = Callable[[Tensor, Tensor | None], Tensor]


class OneByOne(Protocol):
    """Parameters of the features, one after another."""

    def parameters(self) -> Float[Tensor, "P batch"]:
        """Parameters of the next feature, given the values appended so far."""

    def append(self, value: Float[Tensor, " batch"]) -> None:
        """Append the value of the feature whose parameters were requested last."""


@runtime_checkable
class Incremental(Protocol):
    """A network that can be evaluated one feature after another."""

    def incremental(self, condition: Tensor | None, count: int) -> OneByOne:
        """Start without known values, for ``count`` samples."""


class BlocksAhead(Protocol):
    """Trial outputs of a network for the next steps."""

    def outputs(self, values: Float[Tensor, "batch steps features"]) -> Float[Tensor, "batch steps outputs"]:
        """Outputs of the next steps at trial values of these, given the values appended so far."""

    def append(self, values: Float[Tensor, "batch steps features"]) -> None:
        """Accept the trial values of the last call of `outputs`."""


@runtime_checkable
class Blocks(Protocol):
    """A network of sequences that can be evaluated several steps at a time."""

    def blocks_ahead(self, condition: Tensor | None, count: int) -> BlocksAhead:
        """Start without known steps, for ``count`` samples."""


def one_by_one(
    monotone: Monotone, steps: OneByOne, z: Float[Tensor, "batch features"]
) -> tuple[Float[Tensor, "batch features"], Float[Tensor, "batch features"]]:
    """The inverse of ``z`` and ``log ∂x/∂z`` of each feature.

    Arguments:
        monotone: the map of each value.
        steps: gives the parameters of the map.
        z: values to invert.
    """
    values, log_derivatives = [], []
    for feature, image in enumerate(z.unbind(1)):
        own = monotone.of(feature)
        value, log_derivative = own.inverse(image, steps.parameters().to(z.dtype))
        steps.append(own.seen(value))
        values.append(value)
        log_derivatives.append(log_derivative)
    return torch.stack(values, 1), torch.stack(log_derivatives, 1)


def fixed_point(
    monotone: Monotone, parameters: Parameters, z: Float[Tensor, "batch features"], condition: Tensor | None = None
) -> tuple[Float[Tensor, "batch features"], Float[Tensor, "batch features"]]:
    """The inverse of ``z`` and ``log ∂x/∂z`` of each feature.

    Arguments:
        monotone: the map of each value.
        parameters: function of samples and conditions, with values (P, batch, features).
        z: values to invert.
        condition: one row per sample.
    """
    x, log_derivative, _ = fixed_point_within(z.shape[1] + 1, monotone, parameters, z, condition)
    return x, log_derivative


def fixed_point_within(
    sweeps: int,
    monotone: Monotone,
    parameters: Parameters,
    z: Float[Tensor, "batch features"],
    condition: Tensor | None = None,
) -> tuple[Float[Tensor, "batch features"], Float[Tensor, "batch features"], Int[Tensor, " open"]]:
    """As `fixed_point` with a limited number of sweeps; also returns the unsolved rows.

    Stops early if the rate of convergence shows that the remaining sweeps will not suffice.

    Arguments:
        sweeps: largest number of sweeps; the other arguments as in `fixed_point`.
    """
    tolerance = _UNITS * torch.finfo(z.dtype).eps
    x, log_derivative = torch.empty_like(z), torch.zeros_like(z)
    open_rows = torch.arange(len(z), device=z.device)
    target = guess = z
    before = torch.inf
    for sweep in range(sweeps):
        found, log = monotone.inverse(target, parameters(guess, condition))
        # Features that are not yet exact may be infinite, and infinity times the zero of a mask is NaN.
        value = found.nan_to_num(0.0)
        change = (value - guess).abs() / (1 + value.abs())
        guess = value
        # As many sweeps as features are always exact.
        solved = (change <= tolerance).flatten(1).all(1) | (sweep >= z.shape[1])
        if solved.any():
            rows, left = open_rows[solved], ~solved
            x[rows], log_derivative[rows] = found[solved], log[solved]
            open_rows, target, guess = open_rows[left], target[left], guess[left]
            condition = None if condition is None else condition[left]
        if not len(open_rows):
            break
        largest = float(change.max())
        if sweep >= _JUDGED and sweeps <= z.shape[1]:
            if not largest < before:
                break
            rate = max(largest / before, 1e-6)
            if math.log(tolerance / largest) / math.log(rate) > sweeps - sweep - 1:
                break
        before = largest
    x[open_rows] = guess
    return x, log_derivative, open_rows


def by_blocks(
    monotone: Monotone,
    steps: BlocksAhead,
    z: Float[Tensor, "batch steps features"],
    block: int = 1,
) -> tuple[Float[Tensor, "batch steps features"], Float[Tensor, "batch steps features"]]:
    """The inverse of ``z`` and ``log ∂x/∂z`` of each feature.

    Arguments:
        monotone: the map of each value.
        steps: gives its parameters.
        z: values to invert.
        block: number of steps solved at once; the solution depends on it only by rounding.
    """
    tolerance = _UNITS * torch.finfo(z.dtype).eps
    values, log_derivatives = [], []
    for target in z.split(block, 1):
        rounding = tolerance * (1 + target.abs())
        guess = value = target
        log_derivative = torch.zeros_like(target)
        for sweep in range(target.shape[1]):
            raw = steps.outputs(monotone.seen(guess)).to(z.dtype)
            raw = raw.unflatten(-1, (monotone.parameters, z.shape[-1])).movedim(-2, 0)
            value, log_derivative = monotone.inverse(target, raw)
            # The last sweep is exact, and a block of one has no other.
            if sweep < target.shape[1] - 1:
                # The change of x is the residual of z, to first order, times ∂x/∂z.
                change = (value - guess).abs()
                if (change <= rounding * log_derivative.exp()).all():
                    break
            guess = value.nan_to_num(0.0)
        steps.append(monotone.seen(value))
        values.append(value)
        log_derivatives.append(log_derivative)
    return torch.cat(values, 1), torch.cat(log_derivatives, 1)
