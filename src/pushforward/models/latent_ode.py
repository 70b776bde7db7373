r"""Latent ODE: a series as the noisy shadow of a state that moves by a learned differential equation.

.. math::
    z \sim N(0, 1), \qquad \frac{dh}{dt} = f(h, z, c), \quad h(0) = h_0(z, c), \qquad
    x(t) \mid z, c \sim N\big(g(h(t), z, c), \sigma^2\big)

with a code z for each series, conditions c, and noise of a learned size. As the state moves by a differential equation,
times need no grid: a series is observed when it is observed, and its past, its gaps and its future are asked for alike.

A recurrent encoder makes a Gaussian :math:`q(z \mid \cdot)` of what was observed. On whole series it maximises the
evidence lower bound

.. math:: \log p(x) \ge E_{q(z \mid x)} \log p(x \mid z) - \beta\, KL\big(q(z \mid x) \,\|\, N(0, 1)\big).

On parts of series (a beginning, or rows at random) it learns from series that the model makes itself, whose code is
known: it maximises :math:`\log q(z \mid x'_{part})` for :math:`x' \sim p(x \mid z)`. Its Gaussian then covers every way
in which a series may go on, where a bound would settle for the likeliest. At a forecast it only proposes: codes are
weighted by how well they explain what was observed (`importance`), with a level of noise of each series' own
(`noise_level`).

Sources: Chen et al. 2018 (arXiv:1806.07366), section 5; Rubanova, Chen and Duvenaud 2019 (arXiv:1907.03907); Hinton et
al. 1995 (Science 268, 1158) for learning to recognise what one has made.
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
from pushforward.models.noise_level import draw_level, log_evidence
from pushforward.networks import MLP
from pushforward.networks.recurrent import SeriesEncoder
from pushforward.randomness import Draws
from pushforward.spaces import Series, Space

__all__ = ["LatentODE"]


class LatentODESettings(Settings):
    """
    Attributes:
        latent_dim: length of a code; numbers that are not needed stay unused.
        state_dim: length of the state that moves; even.
        width: hidden features of the vector field, of the decoder and of the encoder.
        beta: weight of the divergence from the prior; one gives the bound itself.
        warm_up: part of the run in which that weight rises linearly from zero.
        growth: part of the run in which the series that are shown grow from their first turns to their whole length. A
            period that is a little wrong is a gradient after one turn and a riddle after ten.
        rtol: relative and absolute tolerance of the solver while training. evaluation_rtol: afterwards.
        gradient: of the solver (see `odeint`).
    """

    latent_dim: int = Setting(default=8, ge=1)
    state_dim: int = Setting(default=6, ge=2, multiple_of=2)
    width: int = Setting(default=64, ge=1)
    beta: float = Setting(default=1.0, ge=0)
    warm_up: float = Setting(default=0.4, ge=0, le=1)
    growth: float = Setting(default=0.5, ge=0, le=1)
    rtol: float = Setting(default=3e-3, gt=0)
    evaluation_rtol: float = Setting(default=1e-4, gt=0)
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
    # Series that are made of each code in a step, for the encoder to learn from.
    repeats = 2
    # Time, in units of that over which series change by about one, that is learned first: about a turn.
    first_horizon = 6.0
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
        self.start = _Bent(context, s.state_dim, s.width)
        field = _Field(s.state_dim, context, s.width)
        self.flow = NeuralODE(field, rtol=s.rtol, evaluation_rtol=s.evaluation_rtol, gradient=s.gradient)
        self.decoder = _Bent(s.state_dim + context, space.dim, s.width)
        self.raw_noise = nn.Parameter(torch.full((space.dim,), math.log(self.first_noise) / self.noise_speed))
        # One row each: the time and which values were observed.
        patterns = torch.ones(self.members, space.length, 1 + space.dim)
        patterns[..., 0] = torch.linspace(0, 1, space.length)
        self.register_buffer("patterns", patterns)

    @classmethod
    def training_defaults_for(cls, space: Space) -> dict[str, Any]:
        return {"learning_rate": 3e-3, "batch_size": 64, "gradient_clip": 10.0}

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
        horizon = self._horizon(batch.progress)
        times, seen = torch.minimum(times, horizon), seen & (times <= horizon)[..., None]
        mean, log_scale = self._posterior(times, values, seen, batch.condition)
        z = mean + log_scale.exp() * batch.draws.normal(self.settings.latent_dim)
        paths = self._paths(z, times, batch.condition)
        likelihood = self._log_likelihood(paths, values, seen)
        divergence = 0.5 * (mean.square() + (2 * log_scale).exp() - 1 - 2 * log_scale).sum(1)
        recognition = self._recognition(z.detach(), paths.detach(), times, seen, batch)
        warm_up = self.settings.warm_up
        beta = self.settings.beta * (min(1.0, batch.progress / warm_up) if warm_up else 1.0)
        loss = (beta * divergence - likelihood - recognition).mean() / self.series.size
        logs = {
            "elbo": (likelihood - divergence).mean(),
            "divergence": divergence.mean(),
            "recognition": recognition.mean(),
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

        sigma, observed = self.log_noise.exp(), seen.sum(1).to(values)

        def squares(z: Tensor) -> Tensor:
            """Sums of squares of the residuals of what was observed, in units of the noise, (k, batch, dim)."""
            return torch.where(seen, (values - paths(z, at)) / sigma, 0.0).square().sum(-2)

        def log_joint(z: Tensor) -> Tensor:
            return log_evidence(squares(z), observed) - 0.5 * z.square().sum(-1)

        z, _ = posterior_draws(log_joint, mean, log_scale.exp(), draws, count, rounds=rounds)
        found = paths(z, times)
        level = draw_level(squares(z), observed, draws) if rounds else torch.ones_like(found[..., 0, :])
        noise = draws.normal(count, *found.shape[2:]).movedim(1, 0)
        return found, found + sigma * level[..., None, :] * noise

    def _recognition(
        self, z: Tensor, paths: Tensor, times: Tensor, seen: Tensor, batch: Batch
    ) -> Float[Tensor, " batch"]:
        """Log-density, in nats, of codes given parts of series that were made from them, a mean over `repeats`."""
        k = self.repeats
        noise = batch.draws.normal(k, *paths.shape[1:]).movedim(1, 0)
        made = (paths + self.log_noise.detach().exp() * noise).flatten(0, 1)
        shown = torch.cat([seen & self._part(batch.draws, times)[..., None] for _ in range(k)])
        condition = None if batch.condition is None else batch.condition.repeat(k, 1)
        mean, log_scale = self._posterior(times.repeat(k, 1), made, shown, condition)
        standard = (z.repeat(k, 1) - mean) * (-log_scale).exp()
        density = -(0.5 * standard.square() + log_scale + 0.5 * math.log(2 * math.pi)).sum(1)
        return density.unflatten(0, (k, -1)).mean(0)

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
        state = self.field.joined(self.start(context), context)
        solution = self.flow.solve(state, torch.cat([torch.zeros_like(times[:, :1]), times], 1))
        return self.decoder(self.field.parts(times, solution.y[1:].transpose(0, 1)))

    def _log_likelihood(self, paths: Tensor, values: Tensor, seen: Tensor) -> Float[Tensor, " *batch"]:
        """Log-density, in nats, of what was observed, given paths (*batch, length, dim)."""
        log_noise = self.log_noise
        standard = (values - paths) * (-log_noise).exp()
        density = -(0.5 * standard.square() + log_noise + 0.5 * math.log(2 * math.pi))
        return torch.where(seen, density, 0.0).sum((-2, -1))

    def _horizon(self, progress: float) -> Tensor:
        """The time up to which series are shown; later in the run, all of it."""
        growth = self.settings.growth
        first = (self.first_horizon / self.field.rate).clamp_max(1.0)
        return torch.lerp(first, torch.ones_like(first), min(1.0, progress / growth) if growth else 1.0)

    @staticmethod
    def _part(draws: Draws, times: Tensor) -> Bool[Tensor, "batch length"]:
        """Rows that are shown of each series: of every second one all up to some time, of the others some at random."""
        choice, until, share = draws.uniform(3).split(1, dim=1)
        beginning = times <= until * times[:, -1:]
        scattered = draws.uniform(times.shape[1]) < share
        return torch.where(choice < 0.5, beginning, scattered)


class _Bent(nn.Module):
    """A linear map, and a network beside it that starts at zero."""

    def __init__(self, inputs: int, outputs: int, width: int) -> None:
        super().__init__()
        self.straight = nn.Linear(inputs, outputs)
        self.network = MLP(inputs, outputs, (width,), activation="tanh", zero_output=True)

    def forward(self, x: Tensor) -> Tensor:
        return self.straight(x) + self.network(x)


class _Field(nn.Module):
    r"""The vector field: damped rotations of pairs of coordinates, and a bounded network beside them.

    .. math:: \frac{dh}{dt} = r \left[(\Omega - \Gamma)\, h + N(h, z, c)\right]

    with the rate r of the data, and angular frequencies :math:`\Omega` and dampings :math:`\Gamma` that depend on code
    and condition. What is solved is the motion seen from frames that turn along,

    .. math::
        u = e^{-r \Omega t} h, \qquad
        \frac{du}{dt} = r \left[e^{-r \Omega t} N(e^{r \Omega t} u, z, c) - \Gamma u\right]:

    the turns are exact, and a solver follows only what is left. As nothing but a bounded network works against the
    damping, no state runs away. Code, condition, dampings and frequencies are part of the state, at rest: they are
    found once a solve, and every gradient of a solver knows of them.
    """

    rate: Tensor

    # Angular frequencies, in units of the rate, and damping from which learning starts.
    slowest, fastest = 0.4, 1.6
    first_damping = -3.0

    def __init__(self, state: int, context: int, width: int) -> None:
        super().__init__()
        self.sizes = (state, context, state // 2, state // 2)
        self.network = MLP(state + context, state, (width, width), activation="tanh", zero_output=True)
        self.rotation = MLP(context, state, (width,), activation="tanh")
        frequencies = torch.logspace(math.log10(self.slowest), math.log10(self.fastest), state // 2)
        self.log_frequency = nn.Parameter(frequencies.log())
        self.register_buffer("rate", torch.tensor(1.0))

    def joined(self, h: Float[Tensor, "batch state"], context: Float[Tensor, "batch context"]) -> Tensor:
        """The whole state at time 0: what moves, the context, and damping and frequency of every pair."""
        tempo, damping = self.rotation(context).chunk(2, 1)
        frequency = (self.log_frequency + tempo).exp()
        return torch.cat([h, context, nn.functional.softplus(damping + self.first_damping), frequency], 1)

    def parts(self, t: Float[Tensor, "*batch"], y: Float[Tensor, "*batch size"]) -> Float[Tensor, "*batch parts"]:
        """State h and context at times t, as they are without the turning frames."""
        u, context, _, frequency = y.split(self.sizes, -1)
        return torch.cat([_turned(u, self.rate * frequency * t[..., None]), context], -1)

    def forward(self, t: Tensor, y: Tensor) -> Tensor:
        u, context, damping, frequency = y.split(self.sizes, 1)
        angle = self.rate * frequency * t[:, None]
        push = _turned(self.network(torch.cat([_turned(u, angle), context], 1)), -angle)
        return nn.functional.pad(self.rate * (push - damping.repeat(1, 2) * u), (0, y.shape[1] - u.shape[1]))


def _turned(x: Float[Tensor, "*batch state"], angle: Float[Tensor, "*batch pairs"]) -> Float[Tensor, "*batch state"]:
    """Pairs of coordinates (the first half of them, and the second) turned by an angle each."""
    first, second = x.chunk(2, -1)
    cosine, sine = angle.cos(), angle.sin()
    return torch.cat([cosine * first - sine * second, sine * first + cosine * second], -1)
