r"""VAE: a code of a few numbers per sample, and noise around the decoded sample.

    z ~ N(0, 1),     x | z, c ~ N(μ(z, c), Σ),     q(z | x, c) = N(m(x, c), s²(x, c)),

trained by the evidence lower bound, with both terms in nats:

    log p(x | c) ≥ E_q log N(x; μ(z, c), Σ) - β KL(q(z | x, c) ‖ N(0, 1)).

The noise Σ is learnt, which balances the two terms without a weight to tune and gives samples, noise included, the
variance of the data; its amplitudes may depend on the condition. For a statistically homogeneous field the noise is
diagonal in wavenumber, not in cells: small scales, which the code cannot describe, are filled with their measured power
spectrum, and the largest are left to the code.

Discrete values (spins, counts, grey levels, labels) have probabilities of their own instead, independent given the
code (see `models.discrete_likelihood`): the bound is then one of log-probabilities, without a dequantisation gap, and
samples are drawn as allowed values.

Codes may have a flow for their prior and for their posterior (``prior=flow``, ``posterior=flow``), and the bound may be
that of several codes k for each sample (``importance``), which is tighter,

    log p(x | c) ≥ E log 1/K Σ_k p(x, z_k | c) / q(z_k | x, c).

Sources: Kingma and Welling 2014 (arXiv:1312.6114), equations 3 and 10; Rybkin, Daniilidis and Levine 2021
(arXiv:2006.13202) for the learned noise; Kingma et al. 2016 (arXiv:1606.04934) for inverse autoregressive posteriors
and free bits; Burda, Grosse and Salakhutdinov 2016 (arXiv:1509.00519), equation 8, for importance weights.
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
from pushforward.models.chains import (
    AutoregressiveSettings,
    CouplingSettings,
    autoregressive_chain,
    coupling_chain,
)
from pushforward.models.discrete_cells import MOST_CELLS, DiscreteCells, cells_of
from pushforward.models.discrete_likelihood import DiscreteLikelihood
from pushforward.models.likelihood import GaussianLikelihood, Likelihood
from pushforward.models.model import Batch, Model, Player, Settings, Turn
from pushforward.models.spectral_noise import GaussianNoise, LongestWaves
from pushforward.models.stationary import is_stationary
from pushforward.models.wavelet_bands import WaveletBands, halvings_for
from pushforward.networks import Encoder, Generator
from pushforward.randomness import Draws
from pushforward.spaces import Field, Space, Vector
from pushforward.tensors import normal_log_prob
from pushforward.transforms import Affine, Spline

__all__ = ["VAE"]


class VAESettings(Settings):
    """
    Attributes:
        latent_dim: length of a code; None follows from the space. Surplus numbers stay unused.
        width: hidden features of the encoder and decoder, or channels at full resolution; None follows from the space.
        beta: weight of the divergence from the prior; one gives the bound itself.
        warm_up: fraction of the run in which that weight rises linearly from zero.
        free_bits: information per number of a code that costs nothing, so that no number is given up early.
        importance: codes per sample in the bound that is trained.
        prior: of codes, "normal" or a "flow" of splines, which fills the holes that posteriors leave.
        posterior: of a sample's code, "normal" or an inverse autoregressive "flow".
        likelihood: of a decoded sample: "gaussian" noise, or exact probabilities of "discrete" values; None is discrete
            if any values are, unless ``noise`` is given.
        noise: resolution of the amplitudes of Gaussian noise: per ``channel``, per ``value``, or per wavenumber of a
            field (``spectrum``); None follows from the space.
        cells: edges of the cells of discrete values, for each channel, in network units; empty for a continuous
            channel, and for Gaussian noise. Determined from the data.
    """

    latent_dim: int | None = Setting(default=None, ge=1)
    width: int | None = Setting(default=None, ge=1)
    beta: float = Setting(default=1.0, ge=0)
    warm_up: float = Setting(default=0.3, ge=0, le=1)
    free_bits: float = Setting(default=0.0, ge=0)
    importance: int = Setting(default=1, ge=1)
    prior: Literal["normal", "flow"] = "normal"
    posterior: Literal["normal", "flow"] = "normal"
    likelihood: Literal["gaussian", "discrete"] | None = None
    noise: Literal["channel", "value", "spectrum"] | None = None
    cells: DiscreteCells = ()


class VAESampling(Settings):
    """
    Attributes:
        noise: add the decoder's noise, or draw discrete values; without it a sample is the decoded mean, which is too
            smooth.
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
    # A code as long as the field compresses nothing, and surplus numbers are noise to the decoder.
    return min(64, max(1, space.size // 4)), 32


class VAE(Model):
    """A variational autoencoder with learnt Gaussian noise, or exact probabilities of discrete values.

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
    posterior_context = 16
    """Numbers by which the encoder steers a posterior's flow."""

    centre: Tensor

    def __init__(
        self, space: Space, condition: ConditionSpace = ConditionSpace(), settings: BaseModel | None = None
    ) -> None:
        super().__init__(space, condition, settings)
        kind: Any = self.settings.noise or ("spectrum" if is_stationary(space) else "value")
        chosen_dim, chosen_width = _sizes(space)
        width = self.settings.width or chosen_width
        self.latent_dim = self.settings.latent_dim or chosen_dim
        # On a field halved twice a convolution costs a sixteenth, and all scales have the same amplitude.
        self.bands = WaveletBands(space, halvings_for(space))
        codes = Vector(self.latent_dim)
        self.prior = self.posterior_flow = None
        if self.settings.prior == "flow":
            sizes = CouplingSettings(couplings=4, width=64)
            self.prior = coupling_chain(codes, Spline(), condition.numbers, sizes)
        if self.settings.posterior == "flow":
            of_posterior = AutoregressiveSettings(transforms=2, width=64)
            self.posterior_flow = autoregressive_chain(codes, Affine(), self.posterior_context, of_posterior)
        encoded = 2 * self.latent_dim + (self.posterior_context if self.posterior_flow is not None else 0)
        self.encoder = Encoder(self.bands.space, encoded, condition, width)
        cells = self.settings.cells
        self.likelihood = DiscreteLikelihood(space, cells) if cells else None
        outputs = self.bands.space if self.likelihood is None else self.likelihood.decoded_space(self.bands.space)
        self.decoder = Generator(outputs, self.latent_dim, condition, width)
        self.waves = None
        if is_stationary(space):
            self.waves = LongestWaves(cast(Field, space), self.latent_dim)
            # The networks are added to the waves gradually: a code that starts as noise may stay unused for good.
            self.joined = nn.Parameter(torch.zeros(2))
        self.noise = None if cells else GaussianNoise(space, kind, condition, coded=self.latent_dim)
        self.register_buffer("centre", torch.zeros(space.shape))

    @property
    def _around(self) -> Likelihood:
        """Distribution of samples around what the decoder makes of a code."""
        if self.likelihood is not None:
            return self.likelihood
        return GaussianLikelihood(cast(GaussianNoise, self.noise), self.centre)

    @classmethod
    def training_defaults_for(cls, space: Space) -> dict[str, Any]:
        if space.grid:
            return {"learning_rate": 3e-3, "optimiser": "muon", "batch_size": 32, "gradient_clip": 10.0}
        return {"learning_rate": 2e-3, "batch_size": 512, "gradient_clip": 10.0}

    @classmethod
    def fitted(cls, settings: BaseModel, preprocessing: Any) -> BaseModel:
        wanted = settings if isinstance(settings, VAESettings) else VAESettings()
        if wanted.likelihood == "discrete" and wanted.noise:
            raise UsageError(
                f"noise={wanted.noise} is of the Gaussian likelihood, not of a discrete one; leave one out"
            )
        likelihood = wanted.likelihood or ("gaussian" if wanted.noise else None)
        cells = () if likelihood == "gaussian" else cells_of(preprocessing, unbounded=True)
        if wanted.likelihood == "discrete" and not cells:
            raise UsageError(
                f"likelihood=discrete needs a channel with 2 to {MOST_CELLS} discrete values or counts, and these data "
                "have none; leave it out"
            )
        return settings.model_copy(update={"cells": cells})

    def players(self) -> dict[str, Player]:
        if self.noise is None:
            return super().players()
        amplitude = self.noise.log_amplitude
        others = [parameter for parameter in self.parameters() if parameter is not amplitude]
        # Amplitudes have little gradient noise, and fall by orders of magnitude while the decoder learns.
        return {"model": Player(others), "noise": Player([amplitude], rate=5.0)}

    def prepare(self, batch: Batch) -> None:
        x = self._around.middle(batch.x)
        if is_stationary(self.space):
            mean = x.transpose(0, 1).flatten(1).mean(1).view(-1, *[1] * (len(self.space.shape) - 1))
        else:
            mean = x.mean(0)
        self.centre.copy_(mean.expand(self.space.shape))
        self._around.initialise(x)
        self.bands.initialise(x - self.centre)
        if self.waves is not None:
            self.waves.initialise(x - self.centre)

    def turns(self, batches: Iterator[Batch]) -> Iterator[Turn]:
        batch = next(batches)
        draws = [batch.draws.normal(self.latent_dim) for _ in range(self.settings.importance)]
        coded = self._coded(batch.x, batch.condition)
        bounds = [self._bound(batch.x, batch.condition, coded, noise) for noise in draws]
        reconstruction, divergence, charged = (torch.stack(each) for each in zip(*bounds, strict=True))
        warm_up = self.settings.warm_up
        beta = self.settings.beta * (min(1.0, batch.progress / warm_up) if warm_up else 1.0)
        loss = -_mean_weight(reconstruction - beta * charged).mean() / self.space.size
        elbo = _mean_weight(reconstruction - divergence).mean().detach()
        logs = {"elbo": elbo, "divergence": divergence.mean().detach()}
        if self.likelihood is not None and self.likelihood.conditional.all_discrete:
            log_prob = elbo + self.likelihood.log_volume(batch.x).mean()
            logs["bits_per_dim"] = -log_prob / (self.space.size * math.log(2))
        yield Turn(tuple(self.players()), loss, logs)

    def log_prob_bound(
        self, x: Float[Tensor, "batch *shape"], draws: Draws, condition: Condition | None = None, *, count: int = 64
    ) -> Float[Tensor, " batch"]:
        """The importance-weighted bound of ``log p(x | c)`` from below, of ``count`` codes for each sample, in nats."""
        coded = self._coded(x, condition)
        logs = []
        for _ in range(count):
            reconstruction, divergence, _ = self._bound(x, condition, coded, draws.normal(self.latent_dim), exact=False)
            logs.append(reconstruction - divergence)
        return _mean_weight(torch.stack(logs))

    def _bound(
        self, x: Tensor, condition: Condition | None, coded: tuple[Tensor, ...], noise: Tensor, *, exact: bool = True
    ) -> tuple[Tensor, Tensor, Tensor]:
        """log p(x | z), the divergence of z's posterior from the prior, and what of it is charged for, per sample.

        Arguments:
            exact: whether the divergence is its expectation where that is known, instead of log q(z | x) - log p(z).
        """
        mean, log_scale, context = coded
        z = mean + log_scale.exp() * noise
        closed = exact and self.settings.importance == 1 and self.prior is None and self.posterior_flow is None
        free = self.settings.free_bits * math.log(2)
        if closed:
            each = 0.5 * (mean.square() + (2 * log_scale).exp() - 1 - 2 * log_scale)
            divergence, charged = each.sum(1), each.clamp(min=free).sum(1) if free else each.sum(1)
        else:
            log_posterior = normal_log_prob(noise) - log_scale.sum(1)
            if self.posterior_flow is not None:
                z, log_abs_det = self.posterior_flow(z, context)
                log_posterior = log_posterior - log_abs_det
            divergence = log_posterior - self._log_prior(z, condition)
            charged = divergence.clamp(min=free * self.latent_dim) if free else divergence
        reconstruction = self._around.log_prob(x, self._decoded(z, condition), condition)
        return reconstruction, divergence, charged

    def _log_prior(self, z: Tensor, condition: Condition | None) -> Float[Tensor, " batch"]:
        if self.prior is None:
            return normal_log_prob(z)
        noise, log_abs_det = self.prior(z, self.condition.numbers_of(condition))
        return normal_log_prob(noise) + log_abs_det

    def posterior(
        self, x: Float[Tensor, "batch *shape"], condition: Condition | None = None
    ) -> tuple[Float[Tensor, "batch latent"], Float[Tensor, "batch latent"]]:
        """Mean and log of the standard deviation of ``q(z | x, c)``, before its flow if it has one."""
        mean, log_scale, _ = self._coded(x, condition)
        return mean, log_scale

    def _coded(self, x: Tensor, condition: Condition | None) -> tuple[Tensor, Tensor, Tensor]:
        x = self._around.middle(x)
        # Under autocast the encoder's output may be bfloat16, too coarse for a divergence summed over many numbers.
        encoded = self.encoder(self.bands(x - self.centre), condition).float()
        mean, raw, context = encoded.tensor_split([self.latent_dim, 2 * self.latent_dim], dim=1)
        if self.waves is not None:
            mean = self.waves(x - self.centre) + self.joined[0] * mean
        return mean, self.posterior_start + self.posterior_limit * torch.tanh(raw / self.posterior_limit), context

    def sample(self, draws: Draws, condition: Condition | None = None, sampling: BaseModel | None = None) -> Tensor:
        options = sampling if isinstance(sampling, VAESampling) else VAESampling()
        z = options.temperature * draws.normal(self.latent_dim)
        if self.prior is not None:
            z, _ = self.prior.inverse(z, self.condition.numbers_of(condition))
        decoded = self._decoded(z, condition)
        return self._around.sample(decoded, draws, condition) if options.noise else self._around.mean(decoded)

    def encode(
        self, x: Float[Tensor, "batch *shape"], condition: Condition | None = None
    ) -> Float[Tensor, "batch latent"]:
        """Posterior mean of the code; with a posterior flow, the image of the mean of its base."""
        mean, _, context = self._coded(x, condition)
        return mean if self.posterior_flow is None else self.posterior_flow(mean, context)[0]

    def decode(
        self, z: Float[Tensor, "batch latent"], condition: Condition | None = None
    ) -> Float[Tensor, "batch *shape"]:
        """Decoded mean of a code, without the decoder's noise."""
        return self._around.mean(self._decoded(z, condition))

    def _decoded(self, z: Tensor, condition: Condition | None) -> Tensor:
        """Decoder outputs: the mean of Gaussian noise, or the parameters of the discrete likelihood."""
        decoded = self.decoder(z, condition).float()
        if self.likelihood is not None:
            return self.bands.merge(decoded)
        decoded = self.bands.inverse(decoded)
        if self.waves is not None:
            decoded = self.waves.inverse(z) + self.joined[1] * decoded
        # The common mean is added, so that the code describes only the differences.
        return self.centre + decoded


def _mean_weight(logs: Float[Tensor, "codes batch"]) -> Float[Tensor, " batch"]:
    """Logarithm of the mean over codes of weights whose logarithms are given."""
    return torch.logsumexp(logs, 0) - math.log(len(logs))
