r"""Latent ODE: a series as the noisy shadow of a state that moves by a learned differential equation.

.. math::
    z \sim N(0, 1), \qquad \frac{dh}{dt} = f(h, z, c), \quad h(0) = h_0(z, c), \qquad
    x(t) \mid z, c \sim N\big(g(h(t), z, c), \sigma^2\big)

with a code z for each series, conditions c, and noise of a learned size. As the state moves by a differential equation,
times need no grid: a series is observed when it is observed, and its past, its gaps and its future are asked for alike.

Two Gaussians :math:`q(z \mid \cdot)`, made by one recurrent encoder, are trained. That of the whole series maximises
the evidence lower bound

.. math:: \log p(x) \ge E_{q(z \mid x)} \log p(x \mid z) - \beta\, KL\big(q(z \mid x) \,\|\, N(0, 1)\big),

and that of a part of the series (a beginning, or rows at random) minimises :math:`KL(q(z \mid x) \,\|\, q(z \mid
x_{part}))`: it covers every way in which the series may go on, where the bound of a part alone would settle for the
middle. At a forecast it only proposes: codes are weighted by how well they explain what was observed (`importance`).

Sources: Chen et al. 2018 (arXiv:1806.07366), section 5; Rubanova, Chen and Duvenaud 2019 (arXiv:1907.03907); Garnelo et
al. 2018 (arXiv:1807.01622), equation 9, for the second Gaussian.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, Literal, cast

import torch
from jaxtyping import Bool, Float
from pydantic import BaseModel
from pydantic import Field as Setting
from torch import Tensor, nn

from pushforward.dynamics import NeuralODE
from pushforward.errors import UsageError
from pushforward.models.importance import posterior_draws
from pushforward.models.model import Batch, Model, Settings, Turn
from pushforward.networks import MLP
from pushforward.networks.recurrent import SeriesEncoder
from pushforward.randomness import Draws
from pushforward.spaces import Series, Space

__all__ = ["LatentODE"]


class LatentODESettings(Settings):
    """
    Attributes:
        latent_dim: length of a code; numbers that are not needed stay unused.
        state_dim: length of the state that moves.
        width: hidden features of the vector field, of the decoder and of the encoder.
        beta: weight of the divergence from the prior; one gives the bound itself.
        warm_up: part of the run in which that weight rises linearly from zero.
        rtol: relative and absolute tolerance of the solver while training. evaluation_rtol: afterwards.
        gradient: of the solver (see `odeint`).
    """

    latent_dim: int = Setting(default=8, ge=1)
    state_dim: int = Setting(default=6, ge=1)
    width: int = Setting(default=64, ge=1)
    beta: float = Setting(default=1.0, ge=0)
    warm_up: float = Setting(default=0.2, ge=0, le=1)
    rtol: float = Setting(default=1e-3, gt=0)
    evaluation_rtol: float = Setting(default=1e-5, gt=0)
    gradient: Literal["direct", "checkpointed", "adjoint"] = "direct"


class LatentODESampling(Settings):
    """
    Attributes:
        noise: add the noise of observation; without it a sample is the path itself.
        complete: give values also where the member that lent its times had none.
    """

    noise: bool = True
    complete: bool = False


class LatentODE(Model):
    """A latent ordinary differential equation, for series at regular or irregular times.

    A sample takes its times, and which of its values are missing, from a training member picked at random.

    Raises:
        UsageError: if the space is not one of series.
    """

    Settings = LatentODESettings
    Sampling = LatentODESampling
    settings: LatentODESettings

    # Members whose times are kept to sample at.
    members = 256
    # Log of the standard deviation of a code's posterior, at the start and at most from there.
    posterior_start, posterior_limit = -1.0, 6.0
    # Of the noise, in network units, where data are of order one.
    smallest_noise, first_noise, noise_speed = 5e-3, 0.5, 5.0

    rate: Tensor
    patterns: Tensor

    def __init__(self, space: Space, condition_dim: int = 0, settings: BaseModel | None = None) -> None:
        super().__init__(space, condition_dim, settings)
        if not isinstance(space, Series):
            raise UsageError(f"latent-ode learns series, not {type(space).__name__.lower()}")
        s = self.settings
        self.series = space
        context = s.latent_dim + condition_dim
        self.encoder = SeriesEncoder(space.dim, 2 * s.latent_dim, s.width, condition_dim)
        self.start = MLP(context, s.state_dim, (s.width,), activation="tanh")
        field = _Field(s.state_dim, context, s.width)
        self.flow = NeuralODE(field, rtol=s.rtol, evaluation_rtol=s.evaluation_rtol, gradient=s.gradient)
        self.decoder = MLP(s.state_dim + context, space.dim, (s.width,), activation="tanh")
        self.raw_noise = nn.Parameter(torch.full((space.dim,), math.log(self.first_noise) / self.noise_speed))
        # One row each: the time and which values were observed.
        patterns = torch.ones(self.members, space.length, 1 + space.dim)
        patterns[..., 0] = torch.linspace(0, 1, space.length)
        self.register_buffer("patterns", patterns)

    @classmethod
    def training_defaults_for(cls, space: Space) -> dict[str, Any]:
        return {"learning_rate": 3e-3, "batch_size": 128, "gradient_clip": 10.0}

    def prepare(self, batch: Batch) -> None:
        """Keep the times of members to sample at, and find how fast series change."""
        times, values, seen = self._parts(batch.x)
        rows = torch.arange(self.members, device=times.device) % len(times)
        self.patterns.copy_(torch.cat([times[..., None], seen.to(times)], -1)[rows])
        both = seen[:, 1:] & seen[:, :-1]
        change = torch.where(both, (values[:, 1:] - values[:, :-1]).abs(), 0.0).sum()
        elapsed = torch.where(both, (times[:, 1:] - times[:, :-1])[..., None], 0.0).sum()
        self.field.rate.copy_((change / elapsed.clamp_min(1e-12)).clamp(1.0, 1000.0))

    def turns(self, batch: Batch) -> Iterator[Turn]:
        times, values, seen = self._parts(batch.x)
        mean, log_scale = self._posterior(times, values, seen, batch.condition)
        z = mean + log_scale.exp() * batch.draws.normal(self.settings.latent_dim)
        likelihood = self._log_likelihood(self._paths(z, times, batch.condition), values, seen)
        divergence = 0.5 * (mean.square() + (2 * log_scale).exp() - 1 - 2 * log_scale).sum(1)
        part = seen & self._part(batch.draws, times)[..., None]
        partial = _divergence(
            (mean.detach(), log_scale.detach()), self._posterior(times, values, part, batch.condition)
        )
        warm_up = self.settings.warm_up
        beta = self.settings.beta * (min(1.0, batch.progress / warm_up) if warm_up else 1.0)
        loss = (beta * divergence - likelihood + partial).mean() / self.series.size
        logs = {
            "elbo": (likelihood - divergence).mean(),
            "divergence": divergence.mean(),
            "partial": partial.mean(),
            "noise": self.log_noise.exp().mean(),
        }
        yield Turn("model", loss, {name: value.detach() for name, value in logs.items()})

    def sample(self, draws: Draws, condition: Tensor | None = None, sampling: BaseModel | None = None) -> Tensor:
        options = sampling if isinstance(sampling, LatentODESampling) else LatentODESampling()
        patterns = self.patterns[draws.integers(self.members).to(self.patterns.device)]
        times, seen = patterns[..., 0], patterns[..., 1:] > 0
        z = draws.normal(self.settings.latent_dim)
        values = self._paths(z, times, condition)
        if options.noise:
            values = values + self.log_noise.exp() * draws.normal(*values.shape[1:])
        if not options.complete:
            values = torch.where(seen, values, torch.nan)
        return self._joined(times, values)

    def encode(
        self, x: Float[Tensor, "batch *shape"], condition: Float[Tensor, "batch features"] | None = None
    ) -> Float[Tensor, "batch latent"]:
        """The mean of the code's posterior, given all that was observed of each series."""
        return self._posterior(*self._parts(x), condition)[0]

    def decode(
        self, z: Float[Tensor, "batch latent"], condition: Float[Tensor, "batch features"] | None = None
    ) -> Float[Tensor, "batch *shape"]:
        """The paths of codes without noise, at even times."""
        times = torch.linspace(0, 1, self.series.length, device=z.device).expand(len(z), -1)
        return self._joined(times, self._paths(z, times, condition))

    def forecast(
        self,
        x: Float[Tensor, "batch rows columns"],
        times: Float[Tensor, "batch T"],
        draws: Draws,
        condition: Float[Tensor, "batch features"] | None = None,
        *,
        count: int = 200,
        rounds: int = 3,
    ) -> tuple[Float[Tensor, "count batch T dim"], Float[Tensor, "count batch T dim"]]:
        """Draws of the path of each series without noise, and of what would be observed, given what was observed of it.

        Arguments:
            x: series as they are sampled, of any number of rows; what is NaN was not observed.
            times: ascending, from 0; may lie in gaps, between observations and beyond the last one.
            draws: source of randomness; its count is the batch.
            count: draws for each series.
            rounds: of importance sampling; 0 takes the encoder at its word.
        """
        at, values, seen = self._parts(x)
        mean, log_scale = self._posterior(at, values, seen, condition)

        def paths(z: Tensor, when: Tensor) -> Tensor:
            """Values (k, batch, T, dim) of codes (k, batch, latent)."""
            k = len(z)
            told = None if condition is None else condition.repeat(k, 1)
            return self._paths(z.flatten(0, 1), when.repeat(k, 1), told).unflatten(0, (k, -1))

        def log_joint(z: Tensor) -> Tensor:
            return self._log_likelihood(paths(z, at), values, seen) - 0.5 * z.square().sum(-1)

        z, _ = posterior_draws(log_joint, mean, log_scale.exp(), draws, count, rounds=rounds)
        found = paths(z, times)
        noise = draws.normal(count, *found.shape[2:]).movedim(1, 0)
        return found, found + self.log_noise.exp() * noise

    @property
    def field(self) -> _Field:
        """The vector field of the state."""
        return cast(_Field, self.flow.field)

    @property
    def log_noise(self) -> Float[Tensor, " dim"]:
        """Log of the standard deviation of the noise of observation, in network units."""
        return (self.noise_speed * self.raw_noise).clamp_min(math.log(self.smallest_noise))

    def _parts(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Times (batch, length), values and which of them were observed (batch, length, dim)."""
        if self.series.timed:
            times, values = x[..., 0], x[..., 1:]
        else:
            rows = torch.arange(x.shape[1], device=x.device) / max(1, self.series.length - 1)
            times, values = rows.expand(len(x), -1), x
        seen = ~torch.isnan(values)
        return times, torch.where(seen, values, 0.0), seen

    def _joined(self, times: Tensor, values: Tensor) -> Tensor:
        return torch.cat([times[..., None], values], -1) if self.series.timed else values

    def _posterior(
        self, times: Tensor, values: Tensor, seen: Bool[Tensor, "batch length dim"], condition: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """Mean and log of the standard deviation of the code's Gaussian: the prior's where nothing was observed."""
        told = seen.any((1, 2))[:, None]
        mean, raw = self.encoder(times, values, seen, condition, rate=self.field.rate).chunk(2, 1)
        log_scale = self.posterior_limit * torch.tanh(raw / self.posterior_limit) + self.posterior_start
        return mean * told, log_scale * told

    def _paths(self, z: Tensor, times: Tensor, condition: Tensor | None) -> Tensor:
        """Noiseless values at ascending times from 0 (batch, T) of the series with these codes."""
        context = z if condition is None else torch.cat([z, condition], 1)
        state = torch.cat([self.start(context), context], 1)
        solution = self.flow.solve(state, torch.cat([torch.zeros_like(times[:, :1]), times], 1))
        return self.decoder(solution.y[1:].transpose(0, 1))

    def _log_likelihood(self, paths: Tensor, values: Tensor, seen: Tensor) -> Float[Tensor, " *batch"]:
        """Log-density, in nats, of what was observed, given paths (*batch, length, dim)."""
        log_noise = self.log_noise
        standard = (values - paths) * (-log_noise).exp()
        density = -(0.5 * standard.square() + log_noise + 0.5 * math.log(2 * math.pi))
        return torch.where(seen, density, 0.0).sum((-2, -1))

    @staticmethod
    def _part(draws: Draws, times: Tensor) -> Bool[Tensor, "batch length"]:
        """Rows that are shown of each series: in half of them all up to some time, in the others some at random."""
        choice, until, share = draws.uniform(3).split(1, dim=1)
        beginning = times <= until * times[:, -1:]
        scattered = draws.uniform(times.shape[1]) < share
        return torch.where(choice < 0.5, beginning, scattered)


class _Field(nn.Module):
    r"""The vector field of (h, context): :math:`dh/dt = r f(h, \mathrm{context})`, and a context that stays.

    The rate r is that of the data. The last hidden layer is bounded, so that no state runs away in a finite time.
    """

    rate: Tensor

    def __init__(self, state: int, context: int, width: int) -> None:
        super().__init__()
        self.state = state
        self.network = MLP(state + context, state, (width, width), activation="tanh")
        self.register_buffer("rate", torch.tensor(1.0))

    def forward(self, t: Tensor, y: Tensor) -> Tensor:
        return nn.functional.pad(self.rate * self.network(y), (0, y.shape[1] - self.state))


def _divergence(first: tuple[Tensor, Tensor], second: tuple[Tensor, Tensor]) -> Float[Tensor, " batch"]:
    """KL(first | second) of diagonal Gaussians, given by mean and log of the standard deviation, in nats."""
    (mean, log_scale), (other, log_other) = first, second
    ratio = (2 * (log_scale - log_other)).exp()
    return 0.5 * (ratio + ((mean - other) * (-log_other).exp()).square() - 1 - 2 * (log_scale - log_other)).sum(1)
