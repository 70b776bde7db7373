r"""Multiscale flow of a field, from its largest scales to its smallest.

A Haar transform splits a field into its block means and the details lost in averaging. Repeated on the means, it leaves
a coarse field x_L and details d_L, ..., d_1 of ever finer scale, and

    q(x | c) = q(x_L | c) ∏_ℓ q(d_ℓ | x_ℓ, c),

so each level models only the details given the field that they refine, as in an inverse renormalisation group.

Sources: Yu, Derpanis and Brubaker 2020 (Wavelet Flow, arXiv:2010.13821); the factored-out latents are those of Dinh,
Sohl-Dickstein and Bengio 2017 (RealNVP, arXiv:1605.08803), section 3.6.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod, sqrt
from typing import cast

import torch
from torch import Tensor, nn

from pushforward.conditions import laid_out
from pushforward.transforms.squeeze import Haar
from pushforward.transforms.transform import Transform

__all__ = ["Multiscale"]


class Multiscale(Transform):
    """Transform the details of each level given the field at that level, and the coarsest field on its own.

    The image of a field is a vector ``(batch, channels * cells)``: the latents of the coarsest field, then those of
    ever finer details.

    Arguments:
        shape: of one sample, ``(channels, *grid)``.
        details: one transform per level, finest first, of ``((2^d - 1) channels, *grid / 2^level)``, that keeps the
            shape. Its condition is a field: the block means, then the condition on the same grid (see
            `conditions.laid_out`).
        coarse: transform of the coarsest field to a vector; receives the condition unchanged.

    Raises:
        UsageError: when called, if the grid cannot be halved once per level.
    """

    def __init__(self, shape: tuple[int, ...], details: Sequence[Transform], coarse: Transform) -> None:
        super().__init__()
        self.shape = shape
        self.haar = Haar()
        self.details = nn.ModuleList(details)
        self.coarse = coarse
        channels, *grid = shape
        self._blocks = [(channels, *(cells >> level for cells in grid)) for level in range(1, len(details) + 1)]

    def forward(self, x: Tensor, condition: Tensor | None = None) -> tuple[Tensor, Tensor]:
        latents, total = [], x.new_zeros(len(x))
        for level, transform in enumerate(self._transforms()):
            x, details = self._split(x)
            z, log_abs_det = transform(details, self._context(x, condition, level))
            latents.append(z.flatten(1))
            total = total + log_abs_det
        z, log_abs_det = self.coarse(x, condition)
        return torch.cat([z, *reversed(latents)], dim=1), total + log_abs_det

    def inverse(self, z: Tensor, condition: Tensor | None = None) -> tuple[Tensor, Tensor]:
        coarse, *latents = z.split(self._sizes(), dim=1)
        x, total = self.coarse.inverse(coarse, condition)
        transforms = self._transforms()
        for level, latent in zip(reversed(range(len(transforms))), latents, strict=True):
            _, *grid = self._blocks[level]
            transform = transforms[level]
            details, log_abs_det = transform.inverse(
                latent.view(len(z), latent.shape[1] // prod(grid), *grid), self._context(x, condition, level)
            )
            x, _ = self.haar.inverse(torch.cat([x, details], dim=1))
            total = total + log_abs_det
        return x, total

    @torch.no_grad()
    def initialise(self, x: Tensor, condition: Tensor | None = None) -> Tensor:
        latents = []
        for level, transform in enumerate(self._transforms()):
            x, details = self._split(x)
            latents.append(transform.initialise(details, self._context(x, condition, level)).flatten(1))
        return torch.cat([self.coarse.initialise(x, condition), *reversed(latents)], dim=1)

    def _transforms(self) -> list[Transform]:
        return cast("list[Transform]", list(self.details))

    def _split(self, x: Tensor) -> tuple[Tensor, Tensor]:
        z, _ = self.haar(x)
        channels = self.shape[0]
        return z[:, :channels], z[:, channels:]

    def _context(self, x: Tensor, condition: Tensor | None, level: int) -> Tensor:
        """Block means in the units of the field, so that the network of every level sees values of order one."""
        cells = 2 ** (x.dim() - 2)
        means = x / sqrt(cells) ** (level + 1)
        if condition is None:
            return means
        return torch.cat([means, laid_out(condition, x.shape[2:])], dim=1)

    def _sizes(self) -> list[int]:
        """Length of each part of the latent vector, coarsest first."""
        factor = 2 ** (len(self.shape) - 1)
        sizes = [(factor - 1) * prod(block) for block in self._blocks]
        return [prod(self.shape) - sum(sizes), *reversed(sizes)]
