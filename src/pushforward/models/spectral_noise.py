"""Gaussian noise and linear codes of stationary fields, both diagonal in waves: what a VAE puts around its networks."""

from __future__ import annotations

import math
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from pushforward.conditions import Condition, ConditionSpace
from pushforward.errors import UsageError
from pushforward.networks import MLP
from pushforward.randomness import Draws
from pushforward.spaces import Field, Space
from pushforward.tensors import normal_log_prob
from pushforward.transport.gaussian import wavenumber_bins

__all__ = ["GaussianNoise", "LongestWaves", "hartley"]


class LongestWaves(nn.Module):
    """Coefficients of a field's longest waves in units of their standard deviation, and the field of these.

    For a stationary field waves are the principal components, and the longest usually vary most: with them a VAE starts
    as probabilistic principal component analysis (Tipping and Bishop 1999, doi:10.1111/1467-9868.00196).

    Arguments:
        space: of the fields.
        count: number of coefficients.
    """

    order: Tensor
    scale: Tensor

    def __init__(self, space: Field, count: int) -> None:
        super().__init__()
        self.shape = space.shape
        wavenumber = _shells(space.grid).expand(space.shape)
        self.register_buffer("order", wavenumber.flatten().argsort(stable=True)[:count], persistent=False)
        self.register_buffer("scale", torch.ones(len(self.order)))
        self.bins = wavenumber.flatten()[self.order]

    def forward(self, x: Float[Tensor, "batch channels *grid"]) -> Float[Tensor, "batch count"]:
        return hartley(x).flatten(1)[:, self.order] / self.scale

    def inverse(self, coefficients: Float[Tensor, "batch count"]) -> Float[Tensor, "batch channels *grid"]:
        """The field with these coefficients, all others zero."""
        flat = coefficients.new_zeros(len(coefficients), math.prod(self.shape))
        return hartley(flat.index_copy(1, self.order, coefficients * self.scale).view(-1, *self.shape))

    @torch.no_grad()
    def initialise(self, x: Float[Tensor, "batch channels *grid"]) -> None:
        """Set the standard deviation at each wavenumber from fields of mean zero."""
        power = hartley(x).flatten(1)[:, self.order].square().mean(0)
        for wavenumber in self.bins.unique():
            same = (self.bins == wavenumber).to(power.device)
            self.scale[same] = power[same].mean().sqrt().clamp(min=GaussianNoise.smallest)


class GaussianNoise(nn.Module):
    """Gaussian noise of mean zero on a space, diagonal in cells or in wavenumbers, with learnt amplitudes.

    Arguments:
        space: of the noise.
        kind: coefficients that share an amplitude: those of a ``channel``, none (``value``), or those of a channel
            and a wavenumber (``spectrum``; of the Hartley transform, whose variance is the power spectrum of
            stationary noise).
        condition: space of the conditions; the amplitudes may depend on their numbers.
        coded: approximate number of the longest modes of a spectrum that share the amplitude of the next. Noise with a
            free spectrum at every scale describes a Gaussian field perfectly, and would leave nothing to the code.

    Raises:
        UsageError: for a spectrum on a space without a grid.
    """

    # Smallest amplitude, in network units; without it a constant value would have an infinite density.
    smallest = 1e-2
    # Initial amplitude relative to the data's. Noise as strong as the data would make the codes useless.
    start = 0.3
    index: Tensor

    def __init__(
        self,
        space: Space,
        kind: Literal["channel", "value", "spectrum"],
        condition: ConditionSpace = ConditionSpace(),
        *,
        coded: int = 0,
    ) -> None:
        super().__init__()
        self.spectral = kind == "spectrum"
        if kind == "value":
            index = torch.arange(space.size).view(space.shape)
        elif kind == "channel":
            index = torch.arange(space.shape[0]).view(-1, *[1] * (len(space.shape) - 1)).expand(space.shape)
        elif space.grid:
            bins, channels = _shells(space.grid), space.shape[0]
            held = torch.bincount(bins.flatten()).cumsum(0) * channels <= coded
            bins = (bins - int(held.sum())).clamp(min=0)
            index = torch.stack([bins + channel * (bins.max() + 1) for channel in range(channels)])
        else:
            raise UsageError(f"noise='spectrum' needs fields, not {space.kind} data; use 'value'")
        self.register_buffer("index", index.contiguous(), persistent=False)
        amplitudes = int(index.max()) + 1
        self.log_amplitude = nn.Parameter(torch.zeros(amplitudes))
        self.condition = condition
        self.response = MLP(condition.numbers, amplitudes, (32,), zero_output=True) if condition.numbers else None

    def log_scale(self, condition: Condition | None = None) -> Float[Tensor, "rows *shape"]:
        """Log of the standard deviation of each coefficient; one row for all samples if unconditional."""
        raw = self.log_amplitude[None]
        numbers = self.condition.numbers_of(condition)
        if self.response is not None and numbers is not None:
            raw = raw + self.response(torch.nan_to_num(numbers))
        return raw.clamp(min=math.log(self.smallest))[:, self.index]

    def log_prob(self, x: Float[Tensor, "batch *shape"], condition: Condition | None = None) -> Float[Tensor, " batch"]:
        """Log-density in nats."""
        log_scale = self.log_scale(condition)
        standard = self._coefficients(x) * (-log_scale).exp()
        return normal_log_prob(standard) - log_scale.flatten(1).sum(1)

    def sample(self, draws: Draws, condition: Condition | None = None) -> Float[Tensor, "batch *shape"]:
        return self._coefficients(self.log_scale(condition).exp() * draws.normal(*self.index.shape))

    @torch.no_grad()
    def initialise(self, x: Float[Tensor, "batch *shape"]) -> None:
        """Initialise with the power spectrum of these data, of zero mean, or a fraction of their amplitude.

        Values that hardly vary start at the common amplitude; otherwise they would dominate early training.
        """
        power = self._coefficients(x).square().mean(0)
        if not self.spectral:
            power = self.start**2 * power.mean().expand(power.shape)
        index = self.index.flatten()
        total = torch.zeros_like(self.log_amplitude).index_add_(0, index, power.flatten())
        count = torch.zeros_like(self.log_amplitude).index_add_(0, index, torch.ones_like(power).flatten())
        self.log_amplitude.copy_((total / count).sqrt().clamp(min=self.smallest).log())

    def _coefficients(self, x: Tensor) -> Tensor:
        return hartley(x) if self.spectral else x


def hartley(x: Float[Tensor, "batch channels *grid"]) -> Float[Tensor, "batch channels *grid"]:
    r"""Orthonormal discrete Hartley transform over the grid, a real Fourier transform that is its own inverse.

    .. math:: H_k = N^{-1/2} \sum_n x_n (\cos k n + \sin k n) = \mathrm{Re} F_k - \mathrm{Im} F_k
    """
    axes = tuple(range(2, x.dim()))
    # Under autocast a decoder may return bfloat16, for which there is no fast Fourier transform.
    fourier = torch.fft.fftn(x if x.dtype == torch.float64 else x.float(), dim=axes, norm="ortho")
    return fourier.real - fourier.imag


def _shells(grid: tuple[int, ...]) -> Tensor:
    """Shell of each mode of `hartley`, in units of the fundamental of the longest axis."""
    return wavenumber_bins([torch.fft.fftfreq(cells) * max(grid) for cells in grid])
