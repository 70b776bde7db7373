r"""Low-dimensional vector fields with a cheap divergence: perceptrons modulated by time and condition.

With modulations :math:`g_l, s_l, b` (vectors) and :math:`c` (a number) that depend on time and condition,

.. math::
    h_0 = y, \qquad h_l = a(u_l), \quad u_l = g_l \odot W_l h_{l-1} + s_l, \quad l = 1 \dots L, \qquad
    f(t, y) = c\, W_{L+1} h_L + b,

and with :math:`e_l = a'(u_l) \odot g_l` the divergence is :math:`\mathrm{tr}\, \partial f / \partial y = c\,
\mathrm{tr}(W_{L+1} \mathrm{diag}(e_L) W_L \cdots \mathrm{diag}(e_1) W_1)`. For one and two hidden layers this is a
linear and a bilinear form in the derivatives,

.. math::
    L = 1: \quad c \sum_j (W_1 W_2)_{jj}\, e_{1j}, \qquad
    L = 2: \quad c \sum_{ij} e_{2i}\, M_{ij}\, e_{1j}, \quad M = W_2 \odot (W_1 W_3)^\top,

which costs one more product with a matrix of the size of :math:`W_2` in any dimension. Deeper fields push the unit
vectors of all dimensions through the layers at once.

The modulations are cosines of time, :math:`\sum_k A_k(\text{condition}) \cos(\pi k t)`, and the activation is
:math:`a(u) = (u + \sqrt{1 + u^2})/2`, a smooth rectifier. Its derivative :math:`a(u) / \sqrt{1 + u^2}` follows from its
value, and a CPU evaluates it several times faster than a hyperbolic tangent.

References:
    Grathwohl et al. 2019, https://arxiv.org/abs/1810.01367 (layers gated by time)
    Massaroli et al. 2020, https://arxiv.org/abs/2002.08071 (parameters expanded in functions of time)
    Barron 2021, https://arxiv.org/abs/2112.11687 (the activation)
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor, nn

from pushforward.conditions import Condition, ConditionSpace
from pushforward.errors import UsageError
from pushforward.networks.condition_fields import refuse_field
from pushforward.networks.mlp import MLP
from pushforward.spaces import Vector

__all__ = ["PreparedField", "VectorField"]


class VectorField(nn.Module):
    r"""Vector field :math:`f(t, y)` on R^dim; zero before training.

    Arguments:
        space: a `Vector`.
        condition: space of the conditions, without a field.
        width: of the hidden layers.
        depth: hidden layers; with one or two the divergence costs no more than the field.
        waves: cosines of time per modulation; 1 gives a field that does not depend on time.

    Raises:
        UsageError: when called, if conditions are missing, or given to a field that has none.

    >>> field = VectorField(Vector(2), width=16)
    >>> field(torch.randn(5, 2), torch.rand(5)).shape
    torch.Size([5, 2])
    """

    def __init__(
        self,
        space: Vector,
        condition: ConditionSpace = ConditionSpace(),
        width: int = 64,
        depth: int = 2,
        *,
        waves: int = 8,
    ) -> None:
        super().__init__()
        refuse_field(self, condition)
        self.dim, self.condition = space.dim, condition
        widths = [space.dim, *[width] * depth]
        self.weights = nn.ParameterList(
            torch.randn(after, before) / math.sqrt(before) for before, after in pairwise(widths)
        )
        self.weights[0].data *= math.sqrt(2.0)
        self.weights.append(torch.zeros(space.dim, width))
        # gains of the layers, their shifts, the constant and the gain of the output
        self.sizes = [width] * (2 * depth) + [space.dim, 1]
        modulation = torch.zeros(waves, sum(self.sizes))
        modulation[0, : width * depth] = 1.0
        modulation[0, width * depth : 2 * width * depth] = 0.5 * torch.randn(width * depth)
        modulation[1:3, width * depth : width * (depth + 1)] = 0.5 * torch.randn(len(modulation[1:3]), width)
        modulation[0, -1] = 1.0
        self.modulation = nn.Parameter(modulation)
        self.by_condition = (
            MLP(condition.numbers, modulation.numel(), hidden=(64,), zero_output=True) if condition else None
        )

    def forward(
        self,
        x: Float[Tensor, "batch dim"],
        t: Float[Tensor, " batch"],
        condition: Condition | None = None,
    ) -> Float[Tensor, "batch dim"]:
        return self.given(condition)(t, x)

    def given(self, condition: Condition | None = None) -> PreparedField:
        """The field at a condition, with everything independent of time and position computed once.

        Arguments:
            condition: one row per sample, network units.
        """
        modulation: Tensor = self.modulation
        numbers = self.condition.numbers_of(condition)
        if self.by_condition is not None:
            if numbers is None:
                raise UsageError(f"expected {self.condition}, got none")
            modulation = modulation + self.by_condition(numbers).unflatten(1, modulation.shape)
        *hidden, last = self.weights
        contraction = None
        if len(hidden) == 1:
            contraction = (hidden[0] * last.T).sum(1)[None]
        elif len(hidden) == 2:
            contraction = hidden[1] * (hidden[0] @ last).T
        count = modulation.shape[-2]
        frequencies = math.pi * torch.arange(count, dtype=modulation.dtype, device=modulation.device)
        # Views, so that a gradient for these weights does not also go through the contraction.
        weights = tuple(weight.view_as(weight) for weight in self.weights)
        return PreparedField(weights, modulation, contraction, frequencies, self.sizes)


@dataclass(frozen=True)
class PreparedField:
    """A `VectorField` at fixed conditions: ``field(t, y) -> dy/dt``, for `pushforward.dynamics.odeint`.

    Times have shape ``(batch,)``, or ``(1,)`` if all samples share one time: the modulations are then folded into the
    weights, which is faster.

    Attributes:
        weights: W of each layer, the output last.
        modulation: coefficients of the cosines of time, shape (waves, features) or, with conditions, (batch,
            waves, features).
        contraction: matrix of the divergence's form; None for fields of more than two hidden layers.
        frequencies: of the cosines, in radians per unit of time.
        sizes: of the modulations along the features.
    """

    weights: tuple[Tensor, ...]
    modulation: Tensor
    contraction: Tensor | None
    frequencies: Tensor
    sizes: list[int]

    @property
    def tensors(self) -> list[Tensor]:
        """All tensors that the field depends on, for the ``parameters`` of `odeint`."""
        return [*self.weights, self.modulation, *([] if self.contraction is None else [self.contraction])]

    @property
    def rowwise(self) -> bool:
        """Whether the field is the same for every sample, so that samples may leave the batch."""
        return self.modulation.dim() == 2

    def __call__(self, t: Tensor, y: Float[Tensor, "batch dim"]) -> Float[Tensor, "batch dim"]:
        gains, shifts, constant, gain = self._modulations(t)
        h = y
        for weight, g, s in zip(self.weights, gains, shifts, strict=False):
            h = _rectify(_affine(h, weight, g, s))[0]
        return _affine(h, self.weights[-1], gain, constant)

    def with_divergence(
        self, t: Tensor, y: Float[Tensor, "batch dim"]
    ) -> tuple[Float[Tensor, "batch dim"], Float[Tensor, " batch"]]:
        """The field and its exact divergence."""
        if self.contraction is None:
            units = torch.eye(y.shape[1], dtype=y.dtype, device=y.device)
            value, changes = self.with_changes(t, y, units[:, None].expand(-1, len(y), -1))
            return value, torch.diagonal(changes, dim1=0, dim2=2).sum(1)
        gains, shifts, constant, gain = self._modulations(t)
        h, slopes = y, []
        for weight, g, s in zip(self.weights, gains, shifts, strict=False):
            h, slope = _rectify(_affine(h, weight, g, s))
            slopes.append(slope)
        value = _affine(h, self.weights[-1], gain, constant)
        form = self.contraction
        if len(gain) == 1:
            form = form * gain * gains[0] if len(gains) == 1 else form * gain * gains[0] * gains[1].T
        else:
            slopes = [slope * g for slope, g in zip(slopes, gains, strict=True)]
            slopes[0] = slopes[0] * gain
        product = slopes[0] @ form.T
        return value, (product if len(slopes) == 1 else product * slopes[1]).sum(1)

    def with_changes(
        self, t: Tensor, y: Float[Tensor, "batch dim"], directions: Float[Tensor, "n batch dim"]
    ) -> tuple[Float[Tensor, "batch dim"], Float[Tensor, "n batch dim"]]:
        r"""The field, and :math:`(\partial f / \partial y)\, v` for ``n`` directions v at each sample."""
        gains, shifts, constant, gain = self._modulations(t)
        h, changes = y, directions
        for weight, g, s in zip(self.weights, gains, shifts, strict=False):
            h, slope = _rectify(_affine(h, weight, g, s))
            changes = changes @ weight.T * (slope * g)
        return _affine(h, self.weights[-1], gain, constant), changes @ self.weights[-1].T * gain

    def _modulations(self, t: Tensor) -> tuple[list[Tensor], list[Tensor], Tensor, Tensor]:
        """Gains and shifts of the hidden layers, constant and gain of the output; one row in all, or one per sample."""
        waves = torch.cos(t[:, None] * self.frequencies)
        if self.modulation.dim() == 2:
            values = waves @ self.modulation
        else:
            values = (waves[:, None] @ self.modulation).squeeze(1)
        *layers, constant, gain = values.split(self.sizes, dim=1)
        depth = len(layers) // 2
        return layers[:depth], layers[depth:], constant, gain


def _affine(h: Tensor, weight: Tensor, gain: Tensor, shift: Tensor) -> Tensor:
    """gain * (h W^T) + shift; one row of gain (1 or outputs) and shift (outputs) in all, or one per sample."""
    if len(gain) == 1:
        return torch.addmm(shift.squeeze(0), h, (gain.T * weight).T)
    return torch.addcmul(shift, h @ weight.T, gain)


def _rectify(u: Tensor) -> tuple[Tensor, Tensor]:
    """The activation and its derivative."""
    root = torch.addcmul(u.new_ones(()), u, u).sqrt()
    h = 0.5 * (u + root)
    return h, h / root
