r"""Latent ODE: a series as noisy observations of a state that obeys a learnt differential equation.

.. math::
    z \sim N(0, 1), \qquad \frac{dy}{dt} = f(y, z, c), \quad y(0) = y_0(z, c), \qquad
    x(t) \mid z, a, c \sim N\big([\mu(z, c) + \Lambda(z, c)\, a]\, \phi(y(t)) + g(t), \sigma^2\big)

with a code z per series, conditions c, and noise of learnt size. The state is defined at all times, so observations may
be irregular, and past, gaps and future are predicted alike. It consists of amplitudes and phases of oscillators, and of
slowly varying coordinates; its features :math:`\phi` are waves of these phases and their harmonics (`Motion`). A series
is a sum of them with normal coefficients a, plus a rough component g for what no such sum can follow. Given the code,
coefficients and rough component have a posterior in closed form (`linear_series`), so that the code holds only what
enters nonlinearly: frequencies, dampings, and how they change.

Training maximises the evidence :math:`p(x)`. Codes are proposed by the encoder and from the prior, and weighted by
:math:`p(x \mid z)\, p(z)`; codes drawn by these weights give the gradients of

.. math:: \log p(x \mid z) \quad \text{and, for the encoder,} \quad \log q(z \mid x) + \log q(z \mid x_{part}),

where the parts are a beginning, or random rows. A wrong period is thus left by comparison with others, where a gradient
would have to lead through many turns of the phase. For a forecast the best of many codes are refined to peaks of the
posterior (`laplace`), around which codes are drawn and weighted again (`importance`).

Sources: Chen et al. 2018 (arXiv:1806.07366), section 5; Rubanova, Chen and Duvenaud 2019 (arXiv:1907.03907); Bornschein
and Bengio 2015 (arXiv:1406.2751) for the weighted codes and the encoder's part; Doucet et al. 2000 (arXiv:1301.3853)
for leaving to closed forms what they can do; Kim et al. 2018 (arXiv:1802.02550) for the refinement of proposals.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, cast

import torch
from jaxtyping import Bool, Float
from pydantic import BaseModel
from pydantic import Field as Setting
from torch import Tensor, nn

from pushforward.conditions import Condition, ConditionSpace
from pushforward.errors import UsageError
from pushforward.models.importance import LogJoint, Mixture, posterior_draws, resampled
from pushforward.models.laplace import climb
from pushforward.models.linear_series import Basis, Roughness, Rows, loading_slots
from pushforward.models.linearised_series import linearised_residuals
from pushforward.models.model import Batch, Model, Player, Settings, Turn
from pushforward.models.motion import Bent, Motion
from pushforward.networks.series_encoder import SeriesEncoder
from pushforward.randomness import Draws
from pushforward.spaces import Series, Space

__all__ = ["LatentODE"]


class LatentODESettings(Settings):
    """
    Attributes:
        latent_dim: length of a code; surplus numbers stay unused.
        oscillators: number of oscillating pairs of coordinates (see `Motion`).
        harmonics: waves per oscillator: its frequency and multiples of it.
        slow: number of other coordinates.
        width: hidden features of the vector field and of the maps of a code; the encoder has twice as many.
        steps: equal steps of the solver over the time span of the data.
        codes: codes per series in a step, half from the encoder and half from the prior.
        kept: of these, codes drawn by their weights, which the model learns from.
        rows: most rows of a series that a step uses.
    """

    latent_dim: int = Setting(default=4, ge=1)
    oscillators: int = Setting(default=1, ge=0)
    harmonics: int = Setting(default=3, ge=1)
    slow: int = Setting(default=2, ge=0)
    width: int = Setting(default=64, ge=1)
    steps: int = Setting(default=8, ge=1)
    codes: int = Setting(default=48, ge=2)
    kept: int = Setting(default=4, ge=1)
    rows: int = Setting(default=256, ge=2)


class LatentODESampling(Settings):
    """
    Attributes:
        noise: add observation noise; without it a sample is the path itself.
        complete: give all values, also those missing in the member that provides the times.
    """

    noise: bool = True
    complete: bool = False


class LatentODE(Model):
    """A latent ordinary differential equation, for series at regular or irregular times.

    A sample takes its times and its pattern of missing values from a random training member.

    Raises:
        UsageError: unless the space is a series.
    """

    Settings = LatentODESettings
    Sampling = LatentODESampling
    settings: LatentODESettings

    # Number of members whose times are kept for sampling.
    members = 256
    # Refinement steps to a peak of a code's posterior; weight of the encoder's guess next to the peaks; proposed
    # codes per drawn one; candidates per refined code.
    forecast_climbs, own_share, proposed, candidates = 10, 0.1, 2, 16
    # Bound on the log of the encoder's precisions.
    posterior_limit = 7.0
    # Smallest noise, in network units, in which data are of order one; first size and correlation length of the rough
    # component, the latter in units of the time in which series change by about one.
    smallest_noise, first_noise, first_size, first_length = 5e-3, 0.3, 0.5, 1.0
    # Learning rate of the noise and the rough component, in units of the model's.
    faster = 2.0
    # Codes of a forecast evaluated at a time.
    together = 64

    patterns: Tensor
    slots: Tensor

    def __init__(
        self, space: Space, condition: ConditionSpace = ConditionSpace(), settings: BaseModel | None = None
    ) -> None:
        super().__init__(space, condition, settings)
        if space.kind != "series":
            raise UsageError(f"latent-ode learns series, not {space.kind}")
        s = self.settings
        self.series = series = cast(Series, space)
        context, n, dim = s.latent_dim + condition.numbers, s.latent_dim, series.dim
        self.encoder = SeriesEncoder(dim, 2 * n + n * (n - 1) // 2, 2 * s.width, condition)
        self.motion = Motion(context, s.oscillators, s.slow, s.width, s.steps, s.harmonics)
        slots, first = loading_slots(dim, s.oscillators, s.harmonics, s.slow)
        self.coefficients = slots.shape[-1]
        self.register_buffer("slots", slots, persistent=False)
        self.readout = Bent(context, dim * self.motion.features + len(first), s.width)
        with torch.no_grad():
            self.readout.straight.weight.mul_(0.2)
            self.readout.straight.bias.zero_()
            self.readout.straight.bias[-len(first) :] = first
        self.raw_log_noise = nn.Parameter(torch.full((dim,), math.log(self.first_noise)))
        self.log_size = nn.Parameter(torch.full((dim,), math.log(self.first_size)))
        self.log_length = nn.Parameter(torch.full((dim,), math.log(self.first_length)))
        # One row per observation: the time, and which values were observed.
        patterns = torch.ones(self.members, series.length, 1 + dim)
        patterns[..., 0] = torch.linspace(0, 1, series.length)
        self.register_buffer("patterns", patterns)

    @classmethod
    def training_defaults_for(cls, space: Space) -> dict[str, Any]:
        return {"learning_rate": 4e-3, "batch_size": 32, "gradient_clip": 10.0}

    def prepare(self, batch: Batch) -> None:
        """Store the times of members for sampling, and measure the rate at which series change."""
        times, values, seen = self._parts(batch.x)
        rows = torch.arange(self.members, device=times.device) % len(times)
        self.patterns.copy_(torch.cat([times[..., None], seen.to(times)], -1)[rows])
        both = seen[:, 1:] & seen[:, :-1]
        change = torch.where(both, (values[:, 1:] - values[:, :-1]).abs(), 0.0).sum()
        elapsed = torch.where(both, (times[:, 1:] - times[:, :-1])[..., None], 0.0).sum()
        self.motion.rate.copy_((change / elapsed.clamp_min(1e-12)).clamp(1.0, 1000.0))

    def turns(self, batches: Iterator[Batch]) -> Iterator[Turn]:
        batch = next(batches)
        times, values, seen = self._parts(batch.x)
        if times.shape[1] > self.settings.rows:
            some = batch.draws.uniform(times.shape[1]).argsort(1)[:, : self.settings.rows].sort(1).values
            times = times.gather(1, some)
            some = some[..., None].expand(*some.shape, values.shape[2])
            values, seen = values.gather(1, some), seen.gather(1, some)
        guess = self._guess(times, values, seen, batch.condition)
        rows = Rows(times, values, seen, self._roughness())
        z, bound = self._codes(guess, rows, batch)
        likelihood = rows.posterior(self._basis(z, times, batch.condition))[0]
        shown = seen & self._visible_rows(batch.draws, times)[..., None]
        recognition = guess.log_prob(z).mean()
        parts = self._guess(times, values, shown, batch.condition).log_prob(z).mean()
        logs = {
            "elbo": bound.mean(),
            "noise": self.log_noise.exp().mean(),
            "rough": self.log_size.exp().mean(),
            "recognition": recognition,
            "of_parts": parts,
        }
        logs = {name: value.detach() for name, value in logs.items()}
        yield Turn(("model", "noise"), -likelihood.mean() / self.series.size, logs)
        yield Turn("encoder", -(recognition + parts) / self.series.size, {})

    def players(self) -> dict[str, Player]:
        # Noise and roughness follow the fit at once: they are the unexplained part.
        return {
            "model": Player([*self.motion.parameters(), *self.readout.parameters()]),
            "noise": Player([self.raw_log_noise, self.log_size, self.log_length], rate=self.faster),
            "encoder": Player(list(self.encoder.parameters())),
        }

    @torch.no_grad()
    def _codes(
        self, guess: Mixture, rows: Rows, batch: Batch
    ) -> tuple[Float[Tensor, "kept batch latent"], Float[Tensor, " batch"]]:
        """Codes drawn from the posterior by importance sampling, and the bound on the evidence, in nats."""
        half = self.settings.codes // 2
        prior = batch.draws.normal(half, self.settings.latent_dim).movedim(1, 0)
        z = torch.cat([guess.draw(batch.draws, half), prior])
        log_prior = _log_normal(z)
        log_proposal = torch.logaddexp(log_prior, guess.log_prob(z)) - math.log(2)
        found = rows.posterior(self._basis(z, rows.times, batch.condition))[0]
        log_weight = torch.nan_to_num(found + log_prior - log_proposal, -1e30, 1e30, -1e30)
        kept = resampled(z, torch.softmax(log_weight, 0), batch.draws, self.settings.kept)
        return kept, torch.logsumexp(log_weight, 0) - math.log(len(z))

    def sample(self, draws: Draws, condition: Condition | None = None, sampling: BaseModel | None = None) -> Tensor:
        options = sampling if isinstance(sampling, LatentODESampling) else LatentODESampling()
        patterns = self.patterns[draws.integers(self.members).to(self.patterns.device)]
        times, seen = patterns[..., 0], patterns[..., 1:] > 0
        z, a = draws.normal(self.settings.latent_dim), draws.normal(self.coefficients)
        values = self._basis(z[None], times, condition).path(a[None])[0]
        roughness, rough = self._roughness(), draws.normal(self.series.dim, times.shape[1])
        factor = roughness.factor(roughness.covariance(times, times))
        values = values + (factor @ rough[..., None])[..., 0].mT
        if options.noise:
            values = values + self.log_noise.exp() * draws.normal(*values.shape[1:])
        if not options.complete:
            values = torch.where(seen, values, torch.nan)
        return self._joined(times, values)

    def encode(
        self, x: Float[Tensor, "batch *shape"], condition: Condition | None = None
    ) -> Float[Tensor, "batch latent"]:
        """The encoder's mean of the code, and the coefficients' posterior mean given it and all observations."""
        times, values, seen = self._parts(x)
        z = self._guess(times, values, seen, condition).centre
        rows = Rows(times, values, seen, self._roughness())
        return torch.cat([z[0], rows.posterior(self._basis(z, times, condition))[1][0]], -1)

    def decode(
        self, z: Float[Tensor, "batch latent"], condition: Condition | None = None
    ) -> Float[Tensor, "batch *shape"]:
        """Smooth paths of codes and coefficients, at regular times."""
        times = torch.linspace(0, 1, self.series.length, device=z.device).expand(len(z), -1)
        code, a = z[None].split([self.settings.latent_dim, self.coefficients], -1)
        return self._joined(times, self._basis(code, times, condition).path(a)[0])

    @torch.no_grad()
    def forecast(
        self,
        x: Float[Tensor, "batch rows columns"],
        times: Float[Tensor, "batch T"],
        draws: Draws,
        condition: Condition | None = None,
        *,
        count: int = 200,
        starts: int = 12,
    ) -> tuple[Float[Tensor, "count batch T dim"], Float[Tensor, "count batch T dim"]]:
        """Draws of the noiseless path of each series, and of new observations, given its observations.

        Arguments:
            x: series in the form of samples, of any number of rows; NaN where not observed.
            times: ascending, from 0; may be in gaps, between observations and beyond the last one.
            draws: source of randomness; its count is the batch size.
            count: draws per series.
            starts: number of proposals that are refined to peaks of the posterior; 0 uses the encoder's
                posterior unrefined.
        """
        at, values, seen = self._parts(x)
        guess = self._guess(at, values, seen, condition)
        rows = Rows(at, values, seen, self._roughness())

        def log_joint(z: Tensor) -> Tensor:
            found = [rows.posterior(self._basis(part, at, condition))[0] for part in z.split(self.together)]
            return torch.nan_to_num(torch.cat(found) + _log_normal(z), -1e30, 1e30, -1e30)

        if starts:
            peaks = self._peaks(guess, rows, log_joint, draws, condition, starts)
            own = torch.logsumexp(peaks.log_share, 0, keepdim=True) + math.log(self.own_share)
            proposal = Mixture(
                torch.cat([peaks.centre, guess.centre]),
                torch.cat([peaks.precision, guess.precision]),
                torch.cat([peaks.log_share, own]),
            )
            z, _ = posterior_draws(log_joint, proposal, draws, count, proposed=self.proposed * count)
        else:
            z = guess.draw(draws, count)
        _, mean, factor = rows.posterior(self._basis(z, at, condition))
        noise = draws.normal(count, self.coefficients).movedim(1, 0)
        a = mean + torch.linalg.solve_triangular(factor.mT, noise[..., None], upper=True)[..., 0]
        smooth = self._basis(z, at, condition).path(a)
        noise = draws.normal(count, self.series.dim, times.shape[1]).movedim(1, 0)
        found = self._basis(z, times, condition).path(a) + rows.rough_posterior(times, smooth, noise)
        noise = draws.normal(count, *found.shape[2:]).movedim(1, 0)
        return found, found + self.log_noise.exp() * noise

    def _peaks(
        self, guess: Mixture, rows: Rows, log_joint: LogJoint, draws: Draws, condition: Condition | None, starts: int
    ) -> Mixture:
        """Peaks of the posterior of the code: the best of codes from the encoder and the prior, refined together with
        their coefficients."""
        n, m = self.settings.latent_dim, self.coefficients
        tried = self.candidates * starts
        prior = draws.normal(tried, n).movedim(1, 0)
        z = torch.cat([guess.draw(draws, tried), prior])
        best = (log_joint(z) - torch.logaddexp(_log_normal(z), guess.log_prob(z))).topk(starts, 0).indices
        z = z.gather(0, best[..., None].expand(*best.shape, n))
        a = rows.posterior(self._basis(z, rows.times, condition))[1]
        residuals = linearised_residuals(lambda codes: self._basis(codes, rows.times, condition), rows, m)
        peaks, factor, height = climb(residuals, torch.cat([a, z], -1), self.forecast_climbs)
        # The last block of the factor is that of the precision without the coefficients.
        return Mixture(peaks[..., m:], factor[..., m:, m:], height - _log_volume(factor))

    def _roughness(self) -> Roughness:
        length = self.log_length.exp() / self.motion.rate
        return Roughness(self.log_size.exp(), length, self.log_noise.exp())

    def _basis(
        self, z: Float[Tensor, "count batch latent"], times: Float[Tensor, "batch T"], condition: Condition | None
    ) -> Basis:
        """Features at times from 0, mean and loadings of the series with these codes."""
        context = self._context(z, condition)
        f, dim = self.motion.features, self.series.dim
        made = self.readout(context)
        mean = made[..., : dim * f].unflatten(-1, (dim, f))
        loadings = nn.functional.pad(made[..., dim * f :], (1, 0))[..., self.slots]
        return Basis(self.motion(context, times), mean, loadings)

    @property
    def log_noise(self) -> Float[Tensor, " dim"]:
        """Log of the standard deviation of the observation noise, in network units."""
        return self.raw_log_noise.clamp_min(math.log(self.smallest_noise))

    def _parts(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Times (batch, length), values, and mask of observed values (batch, length, dim)."""
        if self.series.timed:
            times, values = x[..., 0], x[..., 1:]
        else:
            rows = torch.arange(x.shape[1], device=x.device) / max(1, self.series.length - 1)
            times, values = rows.expand(len(x), -1), x
        seen = ~torch.isnan(values)
        return times, torch.where(seen, values, 0.0), seen

    def _joined(self, times: Tensor, values: Tensor) -> Tensor:
        return torch.cat([times[..., None], values], -1) if self.series.timed else values

    def _guess(
        self, times: Tensor, values: Tensor, seen: Bool[Tensor, "batch length dim"], condition: Condition | None
    ) -> Mixture:
        """The encoder's t distribution of the code, a mixture of one; at the prior's scale without observations."""
        n = self.settings.latent_dim
        made = self.encoder(times, values, seen, condition, rate=self.motion.rate)
        mean, raw, below = (made * seen.any((1, 2))[:, None]).split([n, n, n * (n - 1) // 2], 1)
        log_precision = self.posterior_limit * torch.tanh(raw / self.posterior_limit)
        row, column = torch.tril_indices(n, n, -1, device=made.device)
        factor = torch.diag_embed(torch.ones_like(mean)).index_put(
            (torch.arange(len(made), device=made.device)[:, None], row, column), below
        )
        return Mixture(mean[None], (factor * log_precision.exp()[:, None])[None], torch.zeros_like(mean[None, :, 0]))

    def _context(self, z: Tensor, condition: Condition | None) -> Tensor:
        numbers = self.condition.numbers_of(condition)
        return z if numbers is None else torch.cat([z, numbers.expand(len(z), -1, -1)], -1)

    @staticmethod
    def _visible_rows(draws: Draws, times: Tensor) -> Bool[Tensor, "batch length"]:
        """Rows that the encoder sees: of half of the series all up to a random time, of the others a random subset."""
        choice, until, share = draws.uniform(3).split(1, dim=1)
        beginning = times <= until * times[:, -1:]
        scattered = draws.uniform(times.shape[1]) < share
        return torch.where(choice < 0.5, beginning, scattered)


def _log_volume(factor: Float[Tensor, "*batch n n"]) -> Float[Tensor, " *batch"]:
    """Log-determinant of a triangular matrix."""
    return factor.diagonal(dim1=-2, dim2=-1).log().sum(-1)


def _log_normal(z: Float[Tensor, "*batch n"]) -> Float[Tensor, " *batch"]:
    """Log-density of the prior of codes, in nats."""
    return -0.5 * (z.square() + math.log(2 * math.pi)).sum(-1)
