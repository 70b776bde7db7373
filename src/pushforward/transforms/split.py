r"""Multiscale architecture of couplings: at each level some channels become codes, the rest is transformed further.

    x = (a, b),     z = (g(a), f(b; a)),     log |det ∂z/∂x| = log |det ∂g/∂a| + log |det ∂f/∂b|

The Jacobian is block triangular, since the transform of a does not depend on b. At each level of a flow on a grid half
of the channels become codes, which saves work and gives each scale its own codes.

Source: Dinh, Sohl-Dickstein and Bengio 2017 (RealNVP, arXiv:1605.08803), section 3.6.
"""

from __future__ import annotations

from math import prod

import torch
from torch import Tensor

from pushforward.conditions import laid_out
from pushforward.transforms.transform import Transform

__all__ = ["Split"]


class Split(Transform):
    """Channels ``(batch, channels, *grid)`` to a vector: the codes of the first ones, then those of the others.

    Arguments:
        shape: of one sample, ``(channels, *grid)``.
        keep: number of the first channels, which are transformed further.
        others: of the other channels, keeping their shape; its condition is a field, the kept channels and then
            the condition on the same grid (see `conditions.laid_out`).
        rest: of the kept channels, to a vector; its condition is passed on as it is.
    """

    def __init__(self, shape: tuple[int, ...], keep: int, others: Transform, rest: Transform) -> None:
        super().__init__()
        self.shape, self.keep = shape, keep
        self.others, self.rest = others, rest

    def forward(self, x: Tensor, condition: Tensor | None = None) -> tuple[Tensor, Tensor]:
        kept, other = x[:, : self.keep], x[:, self.keep :]
        z, log_abs_det = self.rest(kept, condition)
        z_other, log_abs_det_other = self.others(other, _joined(kept, condition))
        return torch.cat([z, z_other.flatten(1)], 1), log_abs_det + log_abs_det_other

    def inverse(self, z: Tensor, condition: Tensor | None = None) -> tuple[Tensor, Tensor]:
        channels, *grid = self.shape
        size = self.keep * prod(grid)
        kept, log_abs_det = self.rest.inverse(z[:, :size], condition)
        z_other = z[:, size:].reshape(len(z), channels - self.keep, *grid)
        other, log_abs_det_other = self.others.inverse(z_other, _joined(kept, condition))
        return torch.cat([kept, other], 1), log_abs_det + log_abs_det_other

    @torch.no_grad()
    def initialise(self, x: Tensor, condition: Tensor | None = None) -> Tensor:
        kept, other = x[:, : self.keep], x[:, self.keep :]
        z = self.rest.initialise(kept, condition)
        return torch.cat([z, self.others.initialise(other, _joined(kept, condition)).flatten(1)], 1)


def _joined(kept: Tensor, condition: Tensor | None) -> Tensor:
    if condition is None:
        return kept
    return torch.cat([kept, laid_out(condition, kept.shape[2:])], dim=1)
