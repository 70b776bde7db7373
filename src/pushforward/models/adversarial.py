r"""Generative adversarial networks: a generator against a critic that tells its samples from the data.

The critic f and the generator g take turns, on fresh data and fresh noise each time, at one of the losses of
`pushforward.models.adversarial_losses`. What keeps the critic smooth is a penalty on its gradient,

    λ E (‖∇f(x̂)‖ - 1)²,     x̂ = ε x + (1 - ε) g(z), ε uniform,

or a bound on its weights, or nothing. A family is a choice of these (`gan`, `wgan`).

Both networks of a field see its standardised wavelet coefficients (`Bands`). A field that looks alike everywhere is
made from a map of noise that has the data's power spectrum (`StationaryGenerator`), any other from one vector.

Sources: Gulrajani et al. 2017 (arXiv:1704.00028), equation 3 and algorithm 1; Arjovsky, Chintala and Bottou 2017
(arXiv:1701.07875), algorithm 1, for clipping.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import singledispatch
from typing import Any, Literal, cast

import torch
from jaxtyping import Float
from pydantic import BaseModel
from pydantic import Field as Setting
from torch import Tensor

from pushforward.conditions import Condition, ConditionSpace
from pushforward.errors import UsageError
from pushforward.models.adversarial_losses import LOSSES
from pushforward.models.bands import Bands, halvings_for
from pushforward.models.model import Batch, Model, Player, Settings, Turn
from pushforward.models.stationary import StationaryGenerator, is_stationary
from pushforward.networks import Critic, Generator
from pushforward.randomness import Draws
from pushforward.spaces import Field, Space, Vector

__all__ = ["Adversarial", "AdversarialSettings", "gradient_penalty"]


class AdversarialSettings(Settings):
    """
    Attributes:
        latent_dim: numbers of noise that a sample is made from; None chooses by the space: on a stationary field, a
            number for each value.
        width: hidden features of the generator, or its channels at full resolution; None chooses by the space.
        critic_width: those of the critic.
        loss: ``wasserstein``, ``non-saturating`` or ``minimax``.
        constraint: what keeps the critic smooth: ``gradient-penalty``, ``clipping`` of its weights, or ``none``.
        penalty: weight λ of the gradient penalty; None chooses by the space.
        clip: bound of the critic's weights when they are clipped.
        critic_turns: steps of the critic for each of the generator.
        halvings: of a field's grid before both networks (see `Bands`); None chooses by the grid.
    """

    latent_dim: int | None = Setting(default=None, ge=1)
    width: int | None = Setting(default=None, ge=1)
    critic_width: int | None = Setting(default=None, ge=1)
    loss: Literal["wasserstein", "non-saturating", "minimax"] = "wasserstein"
    constraint: Literal["gradient-penalty", "clipping", "none"] = "gradient-penalty"
    penalty: float | None = Setting(default=None, ge=0)
    clip: float = Setting(default=0.01, gt=0)
    critic_turns: int = Setting(default=3, ge=1)
    halvings: int | None = Setting(default=None, ge=0)


class Adversarial(Model):
    """Two players, ``critic`` and ``generator``; the settings choose the loss and the critic's constraint.

    Neither network uses statistics of the batch, so that samples are independent of each other.

    Raises:
        UsageError: if the space is neither a vector nor a field.
    """

    Settings = AdversarialSettings
    settings: AdversarialSettings

    def __init__(
        self, space: Space, condition: ConditionSpace = ConditionSpace(), settings: BaseModel | None = None
    ) -> None:
        super().__init__(space, condition, settings)
        options = self.settings
        chosen_dim, chosen_penalty, width = _sizes(space)
        self.latent_dim = options.latent_dim or chosen_dim
        self.penalty = chosen_penalty if options.penalty is None else options.penalty
        self.bands = Bands(space, halvings_for(space) if options.halvings is None else options.halvings)
        self.generator: StationaryGenerator | Generator
        if is_stationary(space) and options.latent_dim is None:
            self.latent_dim = space.size
            self.generator = StationaryGenerator(cast(Field, space), self.bands, condition, options.width or width)
        else:
            self.generator = Generator(self.bands.space, self.latent_dim, condition, options.width or width)
        self.critic = Critic(self.bands.space, condition, options.critic_width or width)

    @classmethod
    def training_defaults_for(cls, space: Space) -> dict[str, Any]:
        return _training_defaults(space)

    def players(self) -> dict[str, Player]:
        return {
            "critic": Player(list(self.critic.parameters())),
            "generator": Player(list(self.generator.parameters())),
        }

    def prepare(self, batch: Batch) -> None:
        self.bands.initialise(batch.x)
        if isinstance(self.generator, StationaryGenerator):
            self.generator.initialise(batch.x)

    def turns(self, batches: Iterator[Batch]) -> Iterator[Turn]:
        for _ in range(self.settings.critic_turns):
            yield self._critic_turn(next(batches))
        yield self._generator_turn(next(batches))

    def sample(self, draws: Draws, condition: Condition | None = None, sampling: BaseModel | None = None) -> Tensor:
        return self.bands.inverse(self._generate(draws, condition))

    def _generate(self, draws: Draws, condition: Condition | None) -> Tensor:
        return self.generator(draws.normal(self.latent_dim), condition)

    def _critic_turn(self, batch: Batch) -> Turn:
        options = self.settings
        if options.constraint == "clipping":
            self._clip()
        with torch.no_grad():
            real = self.bands(batch.x)
            # Under autocast the generator answers in lower precision than the data have.
            fake = self._generate(batch.draws, batch.condition).to(real.dtype)
        on_real = self._score(real, batch.condition)
        on_fake = self._score(fake, batch.condition)
        game = LOSSES[options.loss]
        loss, (name, figure) = game.critic(on_real, on_fake), game.logged
        logs = {name: figure(on_real, on_fake).detach()}
        if options.constraint == "gradient-penalty":
            epsilon = batch.draws.uniform(*[1] * len(self.space.shape))
            between = fake.lerp(real, epsilon)
            penalty = gradient_penalty(self.critic, between, batch.condition).mean()
            loss = loss + self.penalty * penalty
            logs["penalty"] = penalty.detach()
        return Turn("critic", loss, logs)

    def _generator_turn(self, batch: Batch) -> Turn:
        score = self._score(self._generate(batch.draws, batch.condition), batch.condition)
        return Turn("generator", LOSSES[self.settings.loss].generator(score), {})

    def _score(self, x: Tensor, condition: Condition | None) -> Tensor:
        # Under autocast the critic answers in bfloat16, in which a small difference of two large scores is lost.
        return self.critic(x, condition).float()

    @torch.no_grad()
    def _clip(self) -> None:
        for weights in self.critic.parameters():
            weights.clamp_(-self.settings.clip, self.settings.clip)


@singledispatch
def _sizes(space: Space) -> tuple[int, float, int]:
    """Numbers of noise, weight of the penalty and width of the networks."""
    raise UsageError(f"a GAN here learns vectors and fields, not {type(space).__name__.lower()}")


@_sizes.register
def _(space: Vector) -> tuple[int, float, int]:
    # With more numbers than a vector has, noise across a thin structure need not be folded out of that along it.
    return max(8, space.dim), 0.1, 128


@_sizes.register
def _(space: Field) -> tuple[int, float, int]:
    return 64, 10.0, 32


@singledispatch
def _training_defaults(space: Space) -> dict[str, Any]:
    # Two players circle around their equilibrium, which the average over a longer part of the run comes closer to.
    return {"learning_rate": 1e-3, "batch_size": 256, "betas": (0.0, 0.9), "average": 0.1}


@_training_defaults.register
def _(space: Field) -> dict[str, Any]:
    return {"learning_rate": 2e-4, "batch_size": 16, "betas": (0.0, 0.9)}


def gradient_penalty(
    critic: Callable[[Tensor, Condition | None], Tensor],
    x: Float[Tensor, "batch *shape"],
    condition: Condition | None = None,
) -> Float[Tensor, " batch"]:
    """``(‖∇ₓ f(x, c)‖ - 1)²`` at each sample, differentiable in the critic's parameters."""
    x = x.detach().requires_grad_()
    (gradient,) = torch.autograd.grad(critic(x, condition).sum(), x, create_graph=True)
    # The root has no derivative at zero, where a critic that is constant between samples would put it.
    norm = (gradient.flatten(1).square().sum(1) + 1e-12).sqrt()
    return (norm - 1).square()
