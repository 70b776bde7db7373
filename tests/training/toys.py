"""Models that are trained in no time: one player, two players, and one that fails."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import torch
from torch import Tensor, nn

from pushforward.conditions import Condition, ConditionSpace
from pushforward.models import REGISTRY, Batch, Family, Model, Player, Settings, Turn
from pushforward.models.replay import ReplayBuffer


class GaussianSettings(Settings):
    """A number that changes what is learnt, and one that makes the loss fail."""

    scale: float = 1.0
    fails_at: int = 0


class Gaussian(Model):
    """A Gaussian whose mean depends linearly on the condition: maximum likelihood has a closed form."""

    Settings = GaussianSettings
    settings: GaussianSettings

    def __init__(self, space, condition=ConditionSpace(), settings=None):
        super().__init__(space, condition, settings)
        self.mean = nn.Linear(max(condition.numbers, 1), space.size)
        self.log_scale = nn.Parameter(torch.zeros(space.size))
        self.register_buffer("seen", torch.zeros((), dtype=torch.long))

    @classmethod
    def training_defaults_for(cls, space):
        return {"batch_size": 16, "learning_rate": 0.05}

    def _mean(self, x: Tensor, condition: Condition | None) -> Tensor:
        return self.mean(torch.ones_like(x.flatten(1)[:, :1]) if condition is None else condition.numbers)

    def turns(self, batches: Iterator[Batch]) -> Iterator[Turn]:
        batch = next(batches)
        self.seen += 1
        noise = 0.01 * batch.draws.normal(*self.space.shape)
        loss = -self.log_prob(batch.x + noise, batch.condition).mean() * self.settings.scale
        if int(self.seen) == self.settings.fails_at:
            loss = loss * float("nan")
        yield Turn("model", loss, {"scale": self.log_scale.detach().exp().mean()})

    def sample(self, draws, condition=None, sampling=None):
        x = draws.normal(self.space.size)
        x = self._mean(x, condition) + self.log_scale.exp() * x
        return x.reshape(-1, *self.space.shape)

    def log_prob(self, x, condition=None):
        scale = self.log_scale.exp()
        normal = torch.distributions.Normal(self._mean(x, condition), scale)
        return normal.log_prob(x.flatten(1)).sum(1)


class Adversaries(Model):
    """A linear generator against a small critic with a gradient penalty, two critic turns for each of the generator."""

    def __init__(self, space, condition=ConditionSpace(), settings=None):
        super().__init__(space, condition, settings)
        self.generator = nn.Linear(space.size, space.size)
        self.critic = nn.Sequential(nn.Linear(space.size, 16), nn.Tanh(), nn.Linear(16, 1))

    @classmethod
    def training_defaults_for(cls, space):
        return {"batch_size": 16, "learning_rate": 0.01, "betas": (0.0, 0.9)}

    def players(self):
        return {
            "critic": Player(list(self.critic.parameters())),
            "generator": Player(list(self.generator.parameters())),
        }

    def turns(self, batches: Iterator[Batch]) -> Iterator[Turn]:
        for _ in range(2):
            batch = next(batches)
            x = batch.x.flatten(1)
            fake = self.generator(batch.draws.normal(self.space.size)).detach()
            between = (x + batch.draws.uniform(1) * (fake - x)).requires_grad_()
            (slope,) = torch.autograd.grad(self.critic(between).sum(), between, create_graph=True)
            penalty = (slope.square().sum(1) + 1e-12).sqrt().sub(1).square().mean()
            yield Turn("critic", self.critic(fake).mean() - self.critic(x).mean() + penalty, {"penalty": penalty})
        batch = next(batches)
        yield Turn("generator", -self.critic(self.generator(batch.draws.normal(self.space.size))).mean(), {})

    def sample(self, draws, condition=None, sampling=None):
        return self.generator(draws.normal(self.space.size)).reshape(-1, *self.space.shape)


class Remembering(Adversaries):
    """The same, with a critic that is shown earlier samples too."""

    def __init__(self, space, condition=ConditionSpace(), settings=None):
        super().__init__(space, condition, settings)
        self.replay = ReplayBuffer(24, (space.size,))

    def turns(self, batches: Iterator[Batch]) -> Iterator[Turn]:
        batch = next(batches)
        fake = self.replay(self.generator(batch.draws.normal(self.space.size)), batch.draws)
        yield Turn("critic", self.critic(fake).mean() - self.critic(batch.x.flatten(1)).mean(), {})
        yield Turn("generator", -self.critic(self.generator(batch.draws.normal(self.space.size))).mean(), {})


def register() -> None:
    """Make the toys known as ``toy-gaussian`` and ``toy-adversaries``."""
    sys.modules["pushforward.models.toys"] = sys.modules[__name__]
    REGISTRY["toy-gaussian"] = Family("toys:Gaussian", "a Gaussian", "none")
    REGISTRY["toy-adversaries"] = Family("toys:Adversaries", "two players", "none")
    REGISTRY["toy-remembering"] = Family("toys:Remembering", "two players and a memory", "none")


def forget() -> None:
    """Take them out again."""
    del sys.modules["pushforward.models.toys"]
    for name in ("toy-gaussian", "toy-adversaries", "toy-remembering"):
        del REGISTRY[name]
