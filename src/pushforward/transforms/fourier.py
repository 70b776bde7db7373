r"""Scaling of Fourier modes by their wavenumber: the linear map that commutes with translations and rotations.

    ẑ_k = T_c(|k|) x̂_k,     T > 0,     log |det ∂z/∂x| = Σ_k Σ_c log T_c(|k|)

with x̂ the Fourier transform of each channel c over a periodic grid; the sum runs over all wavevectors of the grid. The
logarithm of T is linear in log |k| between knots, and has a value of its own at k = 0.

Source: Dai and Seljak 2022 (Translation and rotation equivariant normalizing flow, arXiv:2202.05282).
"""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn

from pushforward.errors import UsageError
from pushforward.tensors import single
from pushforward.transforms.transform import Transform, check_shape

__all__ = ["FourierScaling"]

_SMALLEST_POWER = 1e-12


class FourierScaling(Transform):
    """Multiply the Fourier modes of each channel of a periodic field by a positive function of the wavenumber.

    `initialise` whitens the first batch. With a network the function depends on the condition.

    Arguments:
        channels: of the field.
        grid: cells along each axis; wavenumbers are in units of the longest axis' fundamental.
        knots: number of values of log T, evenly spaced in log k, in addition to that at k = 0.
        network: ``network(batch, condition)`` gives ``(batch, channels * (knots + 1))``, added to the values.

    >>> scaling = FourierScaling(1, (8, 8))
    >>> x = torch.randn(2, 1, 8, 8)
    >>> moved = scaling(x.roll((3, 1), (2, 3)))[0]
    >>> torch.allclose(moved, scaling(x)[0].roll((3, 1), (2, 3)), atol=1e-5)
    True
    """

    basis: Tensor

    def __init__(self, channels: int, grid: tuple[int, ...], knots: int = 16, network: nn.Module | None = None) -> None:
        super().__init__()
        self.channels, self.grid = channels, grid
        self.log_transfer = nn.Parameter(torch.zeros(channels, knots + 1))
        self.network = network
        self.register_buffer("basis", _basis(grid, knots), persistent=False)

    def forward(self, x: Tensor, condition: Tensor | None = None) -> tuple[Tensor, Tensor]:
        return self._scaled(x, condition, 1.0)

    def inverse(self, z: Tensor, condition: Tensor | None = None) -> tuple[Tensor, Tensor]:
        return self._scaled(z, condition, -1.0)

    @torch.no_grad()
    def initialise(self, x: Tensor, condition: Tensor | None = None) -> Tensor:
        if not len(x):
            raise UsageError("an empty batch has no power spectrum; initialise with the first batch of data")
        power = torch.fft.fftn(x.double(), dim=self._axes(x), norm="ortho").abs().square().mean(0).flatten(1)
        basis = self.basis.to(power)
        # Weighted least squares of the logarithm, so that neighbours constrain a knot with few modes.
        target = -0.5 * power.clamp(min=_SMALLEST_POWER).log()
        count = torch.einsum("wk,wl->kl", basis, basis)
        ridge = 1e-6 * count.diagonal().mean() * torch.eye(len(count), dtype=count.dtype, device=count.device)
        solved = torch.linalg.solve(count + ridge, basis.mT @ target.mT).mT
        self.log_transfer.copy_(solved)
        return self(x, condition)[0]

    def _scaled(self, x: Tensor, condition: Tensor | None, sign: float) -> tuple[Tensor, Tensor]:
        check_shape(x, (self.channels, *self.grid))
        values = self.log_transfer[None]
        if self.network is not None:
            values = values + self.network(x.new_empty(len(x), 0), condition).view(-1, *self.log_transfer.shape)
        log_transfer = sign * values.to(x.dtype) @ self.basis.to(x.dtype).mT
        # Not every device has Fourier transforms of half precision or of empty batches.
        scaled = x
        if len(x):
            waves = torch.fft.fftn(single(x), dim=self._axes(x), norm="ortho")
            waves = waves * single(log_transfer).exp().unflatten(-1, self.grid)
            scaled = torch.fft.ifftn(waves, dim=self._axes(x), norm="ortho").real.to(x.dtype)
        return scaled, log_transfer.sum((1, 2)).expand(len(x))

    def _axes(self, x: Tensor) -> tuple[int, ...]:
        return tuple(range(2, x.dim()))


def _basis(grid: tuple[int, ...], knots: int) -> Float[Tensor, "waves values"]:
    """Weights of the value at k = 0 and of those at the knots in the logarithm of T at every wavevector."""
    longest = max(grid)
    axes = [longest * torch.fft.fftfreq(cells, dtype=torch.float64) for cells in grid]
    k = torch.stack(torch.meshgrid(*axes, indexing="ij")).square().sum(0).sqrt().flatten()
    place = (k.clamp(min=1.0).log() / math.log(max(float(k.max()), 1.0 + 1e-9))) * (knots - 1)
    low = place.floor().clamp(max=max(0, knots - 2)).long()
    part = place - low
    basis = torch.zeros(len(k), knots + 1, dtype=torch.float64)
    rows = torch.arange(len(k))
    basis[rows, 1 + low] += 1 - part
    if knots > 1:
        basis[rows, 2 + low] += part
    still = k == 0
    basis[still] = 0.0
    basis[still, 0] = 1.0
    return basis.float()
