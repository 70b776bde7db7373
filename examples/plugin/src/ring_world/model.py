"""A density of points in the plane that is normal in the radius and uniform in the angle.

log p(x) = log N(r; mu, s) - log(2 pi r),      r = |x|.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import Tensor, nn

from pushforward.models import Batch, Model, Turn


class RingFlow(Model):
    """A normal distribution of the radius, for vectors of two dimensions."""

    spaces = ("vector",)

    def __init__(self, space, condition=0, settings=None) -> None:
        super().__init__(space, condition, settings)
        self.radius, self.log_width = nn.Parameter(torch.tensor(1.0)), nn.Parameter(torch.tensor(-1.0))

    @classmethod
    def training_defaults_for(cls, space) -> dict:
        return {"learning_rate": 0.02, "transform": "none"}

    def turns(self, batches: Iterator[Batch]) -> Iterator[Turn]:
        yield Turn("model", -self.log_prob(next(batches).x).mean(), {})

    def log_prob(self, x: Tensor, condition=None) -> Tensor:
        r = x.norm(dim=1)
        normal = torch.distributions.Normal(self.radius, self.log_width.exp())
        return normal.log_prob(r) - torch.log(2 * math.pi * r)

    def sample(self, draws, condition=None, sampling=None) -> Tensor:
        r = self.radius + self.log_width.exp() * draws.normal()
        angle = 2 * math.pi * draws.uniform()
        return torch.stack([r * angle.cos(), r * angle.sin()], 1)
