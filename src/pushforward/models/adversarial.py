r"""Generative adversarial networks: a generator against a critic that distinguishes its samples from the data.

The critic f and the generator g are trained in turn, on fresh data and noise each time, with one of the losses of
`pushforward.models.adversarial_losses`. The critic is kept smooth by a penalty on its gradient
(`pushforward.models.critic_penalties`), by a bound on its weights, or not at all. A family is a choice of these (`gan`,
`wgan`, `r3gan`).

For a field, both networks work on standardised wavelet coefficients (`GeneratorCoordinates`). A homogeneous field is
whitened by the mean and spectrum at its condition, and generated from a map of white noise: before training, samples
are Gaussian fields with the right spectrum (`GaussianField`). Any other field is generated from one vector.

Sources: Gulrajani et al. 2017 (arXiv:1704.00028), algorithm 1; Arjovsky, Chintala and Bottou 2017 (arXiv:1701.07875),
algorithm 1, for clipping; Soenderby et al. 2017 (arXiv:1610.04490) for instance noise; Khayatkhoei, Elgammal and Singh
2018 (arXiv:1806.00880) for discrete noise.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, cast

import torch
from pydantic import BaseModel
from pydantic import Field as Setting
from torch import Tensor
from torch.nn import functional

from pushforward.conditions import Condition, ConditionSpace
from pushforward.errors import UsageError
from pushforward.models.adversarial_defaults import (
    ConstraintName,
    chosen_halvings,
    chosen_penalty,
    chosen_scattering,
    training_defaults,
)
from pushforward.models.adversarial_losses import LOSSES, LossName
from pushforward.models.cluster_coverage import ClusterCoverage
from pushforward.models.coloured_generator import ColouredGenerator
from pushforward.models.critic_penalties import gradient_penalty, squared_slope
from pushforward.models.latent_paths import invert
from pushforward.models.metropolis_hastings import CalibrationMembers, chain, logistic_slope
from pushforward.models.model import Batch, Completion, Model, Player, Settings, Turn, Watch, unwatched
from pushforward.models.noise_generator import MatchedSampling, NoiseGenerator, coordinates_for, width_for
from pushforward.models.packing import pack, pack_condition, packed_condition, packed_space
from pushforward.models.scattering import ScatteringSpectra
from pushforward.networks import Critic
from pushforward.networks.critic import Conditioning
from pushforward.networks.one_shot import NetworkName
from pushforward.networks.spectral_norm import advance_spectral_norm
from pushforward.randomness import Draws
from pushforward.spaces import Field, Space

__all__ = ["Adversarial", "AdversarialSampling", "AdversarialSettings", "ConstraintName"]

_COLOURED_CRITIC_WIDTH = 16
"""Width of a critic of coloured maps."""
_STARTS = 4
"""Codes from which the code of a member is looked for."""


class AdversarialSettings(Settings):
    """
    Attributes:
        latent_dim: noise numbers per sample; None follows from the space: on a stationary field, one per value.
        latent_bits: random bits in addition to the noise, for a generator that starts from a vector: a continuous map
            of normal noise alone necessarily makes samples between separate modes.
        width: hidden features of the generator, or its channels at full resolution; None follows from the space.
        critic_width: the same for the critic.
        depth: hidden layers of a vector's generator; a field's depth follows from its grid.
        critic_depth: the same for the critic.
        critic_octaves: of a vector, frequencies of each coordinate that the critic sees as waves (see `Critic`).
        network: of fields: ``default``, or ``dcgan`` for plain transposed and strided convolutions of the cells.
        loss: ``wasserstein``, ``non-saturating``, ``minimax``, ``relativistic`` or ``least-squares``.
        constraint: smoothness constraint on the critic: ``gradient-penalty`` (slope one between data and samples),
            ``one-sided`` (slope at most one there), ``zero-centred`` (slope zero on both), ``clipping`` of its weights,
            or ``none``.
        penalty: weight of the penalty: λ of ``gradient-penalty`` and ``one-sided``, γ / 2 times each of R1 and R2 of
            ``zero-centred``; None follows from the space.
        final_penalty: weight at the end of the run, approached geometrically; None keeps it constant.
        clip: bound on the critic's weights for ``clipping``.
        critic_turns: critic steps per generator step.
        halvings: of a field's grid before both networks (see `WaveletBands`); None follows from the grid.
        conditioning: use of the condition by the critic: ``joined`` to its input; by ``projection``; or ``auxiliary``:
            the critic predicts it, and the generator is trained to make it predictable.
        packing: number of samples that the critic scores together.
        spectral_norm: divide the critic's layers by their largest singular values.
        scattering: of homogeneous maps, weight of the score of scattering spectra in the generator's loss (see
            `ScatteringSpectra`); None follows from the space.
        instance_noise: standard deviation of Gaussian noise on the critic's inputs, in units of that of the data; it
            falls linearly to zero at half of the run.
    """

    latent_dim: int | None = Setting(default=None, ge=1)
    latent_bits: int = Setting(default=0, ge=0)
    width: int | None = Setting(default=None, ge=1)
    critic_width: int | None = Setting(default=None, ge=1)
    depth: int = Setting(default=3, ge=1)
    critic_depth: int = Setting(default=3, ge=1)
    critic_octaves: int = Setting(default=0, ge=0, le=12)
    network: NetworkName = "default"
    loss: LossName = "wasserstein"
    constraint: ConstraintName = "gradient-penalty"
    penalty: float | None = Setting(default=None, ge=0)
    final_penalty: float | None = Setting(default=None, gt=0)
    clip: float = Setting(default=0.01, gt=0)
    critic_turns: int = Setting(default=3, ge=1)
    halvings: int | None = Setting(default=None, ge=0)
    conditioning: Conditioning = "joined"
    packing: int = Setting(default=1, ge=1)
    spectral_norm: bool = False
    scattering: float | None = Setting(default=0.0, ge=0)
    instance_noise: float = Setting(default=0.0, ge=0)


class AdversarialSampling(MatchedSampling):
    """
    Attributes:
        matched: as of `MatchedSampling`.
        corrected: correct the samples by the critic (see `metropolis_hastings`), at the cost of as many calls of both
            networks as proposals.
        proposals: number of proposals in each sample's chain.
    """

    corrected: bool = False
    proposals: int = Setting(default=32, ge=1)


class Adversarial(Model):
    """Two players, ``critic`` and ``generator``; the settings select the loss and the critic's constraint.

    Neither network uses batch statistics, so samples are independent of each other.

    Raises:
        UsageError: if the space is neither a vector nor a field.

    Attributes:
        acceptance: fraction of accepted proposals in the last corrected sampling; None before.
    """

    Settings = AdversarialSettings
    Sampling = AdversarialSampling
    settings: AdversarialSettings

    def __init__(
        self, space: Space, condition: ConditionSpace = ConditionSpace(), settings: BaseModel | None = None
    ) -> None:
        super().__init__(space, condition, settings)
        options = self.settings
        plain = options.network == "dcgan"
        halvings = (0 if plain else chosen_halvings(space)) if options.halvings is None else options.halvings
        self.penalty = chosen_penalty(space, options.constraint) if options.penalty is None else options.penalty
        self.coordinates = coordinates_for(space, halvings, condition, options)
        whitened = self.coordinates.gaussian is not None
        self.scattering = chosen_scattering(space, options.scattering, whitened=whitened)
        self.spectra = ScatteringSpectra(cast(Field, space)) if self.scattering else None
        self.generator = NoiseGenerator(self.coordinates, condition, options, coloured=self.spectra is not None)
        seen = self.coordinates.space if self.colours is None else self.colours.bands.space
        self.critic = Critic(
            packed_space(seen, options.packing),
            packed_condition(condition, options.packing),
            options.critic_width or (width_for(space) if self.colours is None else _COLOURED_CRITIC_WIDTH),
            options.critic_depth,
            options.network,
            conditioning=options.conditioning,
            octaves=options.critic_octaves,
            spectral_norm=options.spectral_norm,
            pooled=whitened,
        )
        self.coverage = ClusterCoverage(space.size)
        self.kept = CalibrationMembers(128 if space.grid else 1024, space.shape, condition.numbers)
        self.acceptance: float | None = None

    @classmethod
    def training_defaults_for(cls, space: Space) -> dict[str, Any]:
        return training_defaults(space)

    @property
    def colours(self) -> ColouredGenerator | None:
        """The generator of coloured maps, in whose coefficients the critic sees them; None for other samples."""
        network = self.generator.network
        return network if isinstance(network, ColouredGenerator) else None

    def players(self) -> dict[str, Player]:
        made = [weights for weights in self.generator.parameters() if weights.requires_grad]
        # The score of spectra is a fixed target, unlike that of a critic.
        betas = None if self.spectra is None else (0.8, 0.99)
        return {"critic": Player(list(self.critic.parameters())), "generator": Player(made, betas=betas)}

    @property
    def prepared_by(self) -> int:
        return self.coordinates.fitted_to

    def prepare(self, batch: Batch) -> None:
        self.coordinates.initialise(batch.x, batch.condition, batch.values)
        if self.colours is not None and self.spectra is not None:
            scores, values = self.coordinates.scores_and_values(batch.x, batch.condition)
            assert self.coordinates.gaussian is not None
            self.colours.initialise(self.coordinates.gaussian, scores)
            self.spectra.fit(scores, values)
        self.coverage.initialise(batch.x)

    def turns(self, batches: Iterator[Batch]) -> Iterator[Turn]:
        for number in range(self.settings.critic_turns):
            yield self._critic_turn(next(batches), watched=number == 0)
        yield self._generator_turn(next(batches))

    def completion(self, seen: int, members: int) -> Completion | None:
        return self.coordinates.completion

    def complete(self, batch: Batch | None = None, seen: int = 0, watch: Watch = unwatched) -> None:
        self.coordinates.complete(lambda given, count: self.coordinates.normalised(self.generator.drawn(given, count)))

    def remarks(self, figures: Mapping[str, float]) -> list[str]:
        if "critic/covered" not in figures:
            return []
        return [f"covers {figures['critic/covered']:.0f} of {figures['critic/clusters']:.0f} clusters of the data"]

    def sample(self, draws: Draws, condition: Condition | None = None, sampling: BaseModel | None = None) -> Tensor:
        options = sampling if isinstance(sampling, AdversarialSampling) else AdversarialSampling()
        if options.corrected:
            made = self._corrected(draws, condition, options.proposals)
        else:
            made = self._generate(draws, condition)
        return self._finished(made, condition, matched=options.matched)

    def decode(self, z: Tensor, condition: Condition | None = None) -> Tensor:
        """The samples of codes, (batch, latent)."""
        return self._finished(self._made(z, condition).float(), condition)

    def encode(self, x: Tensor, condition: Condition | None = None) -> Tensor:
        """Codes whose samples are nearest to ``x`` in the generator's coefficients (see `latent_paths.invert`)."""
        starts = torch.stack([self.generator.noise(Draws(start, len(x), device=x.device)) for start in range(_STARTS)])
        given = None if condition is None else Condition.cat([condition] * _STARTS)
        self.complete()
        wanted = self.coordinates(x, condition, finished=True)
        return invert(lambda z: self._made(z, given).float(), wanted, starts)

    @torch.no_grad()
    def _corrected(self, draws: Draws, condition: Condition | None, proposals: int) -> Tensor:
        if self.settings.packing > 1:
            raise UsageError("this critic scores packs of samples and cannot correct single ones; train with packing=1")
        members, given = self.kept.rows()
        if not len(members):
            raise UsageError("this model has seen no members to calibrate its critic by; train it first")
        others = self._generate(Draws(0, len(members), device=members.device), given)
        real, made = (self._seen(each, given) for each in (self.coordinates(members, given), others))
        slope = logistic_slope(self._assess(real, given)[0], self._assess(made, given)[0])
        x, self.acceptance = chain(
            lambda: self._generate(draws, condition),
            lambda x: slope * self._assess(self._seen(x, condition), condition)[0],
            draws,
            proposals,
        )
        return x

    def _generate(self, draws: Draws, condition: Condition | None, *, update: bool = False) -> Tensor:
        return self._made(self.generator.noise(draws), condition, update=update)

    def _made(self, z: Tensor, condition: Condition | None, *, update: bool = False) -> Tensor:
        """Coefficients of codes; a trained generator of whitened fields makes them white at every condition."""
        made = self.coordinates.normalised(self.generator(z, condition), update=update)
        if self.training:
            return made
        self.complete()
        return self.coordinates.whitened(made, condition)

    def _finished(self, coefficients: Tensor, condition: Condition | None, *, matched: bool = True) -> Tensor:
        """Samples of coefficients."""
        return self.coordinates.inverse(coefficients, condition, finished=matched and not self.training)

    def _real(self, batch: Batch) -> Tensor:
        """Coefficients of the members of a batch; the game does not train the coordinates."""
        return self.coordinates(batch.x, batch.condition).detach()

    def _critic_turn(self, batch: Batch, *, watched: bool) -> Turn:
        """Loss of the critic; the coverage and the members to calibrate by are followed once per step."""
        options, game = self.settings, LOSSES[self.settings.loss]
        if options.constraint == "clipping":
            self._clip()
        if options.spectral_norm:
            advance_spectral_norm(self.critic)
        with torch.no_grad():
            real = self._real(batch)
            # Under autocast the generator's output has a lower precision than the data.
            fake = self._generate(batch.draws, batch.condition).to(real.dtype)
            logs: dict[str, Tensor] = {}
            if watched:
                samples = self.coordinates.inverse(fake, batch.condition)
                logs["covered"], logs["clusters"] = self.coverage(batch.x, samples)
                self.kept.keep(batch.x, batch.condition)
        real, fake = (self._shown(x, batch.condition, batch) for x in (real, fake))
        told = pack_condition(batch.condition, options.packing)
        # One pass for both: the critic uses no batch statistics.
        both = torch.cat([real, fake]).requires_grad_(options.constraint == "zero-centred")
        scores, guesses = self._assess(both, None if told is None else Condition.cat([told, told]))
        on_real, on_fake = scores.chunk(2)
        name, figure = game.logged
        loss = game.critic(on_real, on_fake)
        logs[name] = figure(on_real, on_fake).detach()
        if options.constraint == "zero-centred":
            penalty = squared_slope(scores, both).mean()
            loss = loss + self._weight(batch) * penalty
            logs["penalty"] = penalty.detach()
        elif options.constraint in ("gradient-penalty", "one-sided"):
            epsilon = batch.draws.uniform(*[1] * len(self.space.shape))[: len(real)]
            between, bound = fake.lerp(real, epsilon), options.constraint == "one-sided"
            penalty = gradient_penalty(self.critic, between, told, one_sided=bound).mean()
            loss = loss + self._weight(batch) * penalty
            logs["penalty"] = penalty.detach()
        if guesses is not None:
            loss = loss + _error(guesses[: len(real)], told)
        return Turn("critic", loss, logs)

    def _generator_turn(self, batch: Batch) -> Turn:
        game, given = LOSSES[self.settings.loss], batch.condition
        z, times = self.generator.noise(batch.draws), 1
        if self.spectra is not None:
            # The score of spectra needs two samples at each condition, and the game can use both.
            z, times = torch.cat([z, self.generator.noise(batch.draws)]), 2
        both = None if given is None else Condition.cat([given] * times)
        told = pack_condition(both, self.settings.packing)
        made = self._made(z, both, update=True)
        on_fake, guesses = self._assess(self._shown(made, both, batch), told)
        on_real = on_fake
        if game.paired:
            with torch.no_grad():
                real = self._shown(self._real(batch), given, batch)
                on_real = self._assess(real, pack_condition(given, self.settings.packing))[0].repeat(times)
        loss = game.generator(on_real, on_fake)
        logs: dict[str, Tensor] = {}
        if self.spectra is not None and self.colours is not None:
            score = self._spectral_score(self.colours.scores(made.float(), both), both, batch)
            loss, logs["scattering"] = loss + self.scattering * score, score.detach()
        return Turn("generator", loss if guesses is None else loss + _error(guesses, told), logs)

    def _spectral_score(self, made: Tensor, condition: Condition | None, batch: Batch) -> Tensor:
        """Score of the spectra of normal scores, two samples at the condition of each member."""
        assert self.spectra is not None
        first, second = self.spectra(made, self.coordinates.user_values(made, condition)).chunk(2)
        with torch.no_grad():
            real = self.spectra(*self.coordinates.scores_and_values(batch.x, batch.condition))
        return self.spectra.score(first, second, real)

    def _seen(self, x: Tensor, condition: Condition | None) -> Tensor:
        """Coefficients of samples as the critic sees them."""
        return x if self.colours is None else self.colours.coloured(x, condition)

    def _shown(self, x: Tensor, condition: Condition | None, batch: Batch) -> Tensor:
        """The critic's input: samples with instance noise, in packs."""
        x = self._seen(x, condition)
        noise = self.settings.instance_noise * max(0.0, 1 - 2 * batch.progress)
        x = (
            x + noise * torch.cat([batch.draws.normal(*x.shape[1:]) for _ in range(len(x) // len(batch.x))])
            if noise
            else x
        )
        return pack(x, self.settings.packing)

    def _weight(self, batch: Batch) -> float:
        """Weight of the penalty at the current progress of the run."""
        final = self.settings.final_penalty
        return self.penalty if final is None else self.penalty * (final / self.penalty) ** batch.progress

    def _assess(self, x: Tensor, condition: Condition | None) -> tuple[Tensor, Tensor | None]:
        scores, guesses = self.critic.assess(x, condition)
        # Under autocast the critic's output is bfloat16, which loses a small difference of two large scores.
        return scores.float(), guesses

    @torch.no_grad()
    def _clip(self) -> None:
        for weights in self.critic.parameters():
            weights.clamp_(-self.settings.clip, self.settings.clip)


def _error(guesses: Tensor, condition: Condition | None) -> Tensor:
    """Mean squared error of a predicted condition; unknown rows are left out."""
    assert condition is not None
    assert condition.numbers is not None
    told = condition.numbers.isfinite()
    return functional.mse_loss(guesses.float() * told, condition.numbers.nan_to_num() * told)
