r"""VAE: a code of a few numbers per sample, and Gaussian noise around the decoded sample.

    z ~ N(0, 1),     x | z, c ~ N(μ(z, c), Σ),     q(z | x, c) = N(m(x, c), s²(x, c)),

trained by the evidence lower bound, with both terms in nats:

    log p(x | c) ≥ E_q log N(x; μ(z, c), Σ) - β KL(q(z | x, c) ‖ N(0, 1)).

The noise Σ is learnt, which balances the two terms without a weight to tune and gives samples, noise included, the
variance of the data; its amplitudes may depend on the condition. For a statistically homogeneous field the noise is
diagonal in wavenumber, not in cells: small scales, which the code cannot describe, are filled with their measured power
spectrum, and the largest are left to the code.

Sources: Kingma and Welling 2014 (arXiv:1312.6114), equations 3 and 10; Rybkin, Daniilidis and Levine 2021
(arXiv:2006.13202) for the learned noise.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import singledispatch
from typing import Any, Literal, cast

import torch
from jaxtyping import Float
from pydantic import BaseModel
from pydantic import Field as Setting
from torch import Tensor, nn

from pushforward.conditions import Condition, ConditionSpace
from pushforward.errors import UsageError
from pushforward.models.model import Batch, Model, Player, Settings, Turn
from pushforward.models.stationary import is_stationary
from pushforward.models.wavelet_bands import WaveletBands, halvings_for
from pushforward.networks import MLP, Encoder, Generator
from pushforward.randomness import Draws
from pushforward.spaces import Field, Space, Vector
from pushforward.tensors import normal_log_prob
from pushforward.transport.gaussian import wavenumber_bins

__all__ = ["VAE", "GaussianNoise", "LongestWaves", "hartley"]


class VAESettings(Settings):
    """
    Attributes:
        latent_dim: length of a code; None follows from the space. Surplus numbers stay unused.
        width: hidden features of the encoder and decoder, or channels at full resolution; None follows from the space.
        beta: weight of the divergence from the prior; one gives the bound itself.
        warm_up: fraction of the run in which that weight rises linearly from zero.
        noise: resolution of the amplitudes of the decoder's noise: per ``channel``, per ``value``, or per wavenumber of
            a field (``spectrum``); None follows from the space.
    """

    latent_dim: int | None = Setting(default=None, ge=1)
    width: int | None = Setting(default=None, ge=1)
    beta: float = Setting(default=1.0, ge=0)
    warm_up: float = Setting(default=0.3, ge=0, le=1)
    noise: Literal["channel", "value", "spectrum"] | None = None


class VAESampling(Settings):
    """
    Attributes:
        noise: add the decoder's noise; without it a sample is the decoded mean, which is too smooth.
        temperature: standard deviation of the codes.
    """

    noise: bool = True
    temperature: float = Setting(default=1.0, gt=0)


@singledispatch
def _sizes(space: Space) -> tuple[int, int]:
    """Default length of a code and width of the networks."""
    raise UsageError(f"vae learns vectors and fields, not {space.kind}")


@_sizes.register
def _(space: Vector) -> tuple[int, int]:
    return space.dim, 128


@_sizes.register
def _(space: Field) -> tuple[int, int]:
    return 64, 32


class VAE(Model):
    """A variational autoencoder with learnt Gaussian noise.

    Raises:
        UsageError: unless the space is a vector or a field.
    """

    Settings = VAESettings
    Sampling = VAESampling
    settings: VAESettings

    # Standard deviations of a code's posterior stay within a factor exp(8) of the initial one, which is much smaller
    # than the prior's: from codes that are mostly noise a decoder learns nothing, and they stay noise.
    posterior_limit = 8.0
    posterior_start = -2.0

    centre: Tensor

    def __init__(
        self, space: Space, condition: ConditionSpace = ConditionSpace(), settings: BaseModel | None = None
    ) -> None:
        super().__init__(space, condition, settings)
        kind = self.settings.noise or ("spectrum" if is_stationary(space) else "value")
        chosen_dim, chosen_width = _sizes(space)
        width = self.settings.width or chosen_width
        self.latent_dim = self.settings.latent_dim or chosen_dim
        # On a field halved twice a convolution costs a sixteenth, and all scales have the same amplitude.
        self.bands = WaveletBands(space, halvings_for(space))
        self.encoder = Encoder(self.bands.space, 2 * self.latent_dim, condition, width)
        self.decoder = Generator(self.bands.space, self.latent_dim, condition, width)
        self.waves = None
        if is_stationary(space):
            self.waves = LongestWaves(cast(Field, space), self.latent_dim)
            # The networks are added to the waves gradually: a code that starts as noise may stay unused for good.
            self.joined = nn.Parameter(torch.zeros(2))
        self.noise = GaussianNoise(space, kind, condition, coded=self.latent_dim)
        self.register_buffer("centre", torch.zeros(space.shape))

    @classmethod
    def training_defaults_for(cls, space: Space) -> dict[str, Any]:
        if space.grid:
            return {"learning_rate": 1e-3, "batch_size": 32, "gradient_clip": 10.0}
        return {"learning_rate": 2e-3, "batch_size": 512, "gradient_clip": 10.0}

    def players(self) -> dict[str, Player]:
        amplitude = self.noise.log_amplitude
        others = [parameter for parameter in self.parameters() if parameter is not amplitude]
        # Amplitudes have little gradient noise, and fall by orders of magnitude while the decoder learns.
        return {"model": Player(others), "noise": Player([amplitude], rate=5.0)}

    def prepare(self, batch: Batch) -> None:
        if is_stationary(self.space):
            mean = batch.x.transpose(0, 1).flatten(1).mean(1).view(-1, *[1] * (len(self.space.shape) - 1))
        else:
            mean = batch.x.mean(0)
        self.centre.copy_(mean.expand(self.space.shape))
        self.noise.initialise(batch.x - self.centre)
        self.bands.initialise(batch.x - self.centre)
        if self.waves is not None:
            self.waves.initialise(batch.x - self.centre)

    def turns(self, batches: Iterator[Batch]) -> Iterator[Turn]:
        batch = next(batches)
        mean, log_scale = self.posterior(batch.x, batch.condition)
        z = mean + log_scale.exp() * batch.draws.normal(self.latent_dim)
        reconstruction = self.noise.log_prob(batch.x - self.decode(z, batch.condition), batch.condition)
        divergence = 0.5 * (mean.square() + (2 * log_scale).exp() - 1 - 2 * log_scale).sum(1)
        warm_up = self.settings.warm_up
        beta = self.settings.beta * (min(1.0, batch.progress / warm_up) if warm_up else 1.0)
        loss = (beta * divergence - reconstruction).mean() / self.space.size
        elbo = (reconstruction - divergence).mean().detach()
        yield Turn(("model", "noise"), loss, {"elbo": elbo, "divergence": divergence.mean().detach()})

    def posterior(
        self, x: Float[Tensor, "batch *shape"], condition: Condition | None = None
    ) -> tuple[Float[Tensor, "batch latent"], Float[Tensor, "batch latent"]]:
        """Mean and log of the standard deviation of ``q(z | x, c)``."""
        # Under autocast the encoder's output may be bfloat16, too coarse for a divergence summed over many numbers.
        mean, raw = self.encoder(self.bands(x - self.centre), condition).float().chunk(2, dim=1)
        if self.waves is not None:
            mean = self.waves(x - self.centre) + self.joined[0] * mean
        return mean, self.posterior_start + self.posterior_limit * torch.tanh(raw / self.posterior_limit)

    def sample(self, draws: Draws, condition: Condition | None = None, sampling: BaseModel | None = None) -> Tensor:
        options = sampling if isinstance(sampling, VAESampling) else VAESampling()
        x = self.decode(options.temperature * draws.normal(self.latent_dim), condition)
        return x + self.noise.sample(draws, condition) if options.noise else x

    def encode(
        self, x: Float[Tensor, "batch *shape"], condition: Condition | None = None
    ) -> Float[Tensor, "batch latent"]:
        """Posterior mean of the code."""
        return self.posterior(x, condition)[0]

    def decode(
        self, z: Float[Tensor, "batch latent"], condition: Condition | None = None
    ) -> Float[Tensor, "batch *shape"]:
        """Decoded mean of a code, without the decoder's noise."""
        # The common mean is added, so that the code describes only the differences.
        decoded = self.bands.inverse(self.decoder(z, condition).float())
        if self.waves is not None:
            decoded = self.waves.inverse(z) + self.joined[1] * decoded
        return self.centre + decoded


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
