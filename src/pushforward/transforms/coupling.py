r"""Affine coupling: part of a sample decides how the rest is scaled and shifted.

With a mask b of zeros and ones, and a network that sees only b x,

    z = b x + (1 - b) (x exp(s(b x, c)) + t(b x, c)),     log |det ∂z/∂x| = Σ (1 - b) s(b x, c),

which is undone without inverting the network, since b z = b x.

Source: Dinh, Sohl-Dickstein and Bengio 2017 (RealNVP, arXiv:1605.08803), equations 7 to 9.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from pushforward.transforms.transform import Transform

__all__ = ["AffineCoupling", "checkerboard"]


def checkerboard(shape: Sequence[int], parity: int) -> Float[Tensor, "*shape"]:
    """A mask that is one where the sum of the indices has the given parity, and zero elsewhere.

    On a vector it takes every second feature; on a field ``(channels, *grid)`` every value has known neighbours along
    the channels and along the grid.

    >>> checkerboard((5,), 0)
    tensor([1., 0., 1., 0., 1.])
    """
    total = torch.zeros(tuple(shape), dtype=torch.int64)
    for axis, length in enumerate(shape):
        total = total + torch.arange(length).view(-1, *[1] * (len(shape) - axis - 1))
    return ((total % 2) == parity % 2).float()


class AffineCoupling(Transform):
    """Scale and shift what the mask hides by functions of what it shows.

    The log-scale is bounded by ``limit * tanh(s / limit)``, and the network sees large values only through an inverse
    hyperbolic sine: in float32 neither a long chain nor an outlier then overflows, the usual end of a RealNVP.

    Arguments:
        mask: ones for what is kept, shape of one sample, or broadcast to it.
        network: ``network(x, condition)`` with ``x`` (batch, features, ...) gives ``(batch, 2 * features, ...)``, raw
            log-scales first and then shifts.
        limit: bound of each absolute log-scale, in nats.
    """

    # Network inputs are linear below this and logarithmic above; data come in units of about one.
    linear_range = 4.0

    mask: Tensor

    def __init__(self, mask: Tensor, network: nn.Module, limit: float = 2.0) -> None:
        super().__init__()
        self.register_buffer("mask", mask)
        self.network = network
        self.limit = limit

    def forward(self, x: Tensor, condition: Tensor | None = None) -> tuple[Tensor, Tensor]:
        log_scale, shift = self._affine(x, condition)
        return x * log_scale.exp() + shift, log_scale.flatten(1).sum(1)

    def inverse(self, z: Tensor, condition: Tensor | None = None) -> tuple[Tensor, Tensor]:
        log_scale, shift = self._affine(z, condition)
        return (z - shift) * (-log_scale).exp(), -log_scale.flatten(1).sum(1)

    def _affine(self, x: Tensor, condition: Tensor | None) -> tuple[Tensor, Tensor]:
        shown = self.linear_range * torch.asinh(self.mask * x / self.linear_range)
        raw, shift = self.network(shown, condition).chunk(2, dim=1)
        hidden = 1 - self.mask
        return hidden * self.limit * torch.tanh(raw / self.limit), hidden * shift
