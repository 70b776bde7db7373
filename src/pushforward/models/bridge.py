"""A model between two ensembles of which no pairs are known: `Between`, trained, kept and asked as every other is.

The data of the run are the ensemble a; the setting ``second`` names the ensemble b. Where other models have noise, this
one has members of b, drawn at random and paired with the batch by optimal transport ahead of the step. Until it meets
b, it takes a few normal numbers for its members.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from pydantic import BaseModel
from pydantic import Field as Setting
from torch import Tensor

from pushforward.models.between import Between
from pushforward.models.model import Batch, Coupling, Model, Settings, Turn
from pushforward.networks import time_network
from pushforward.randomness import Draws
from pushforward.spaces import Field, Space
from pushforward.transport.couplings import BLOCK

__all__ = ["Bridge"]


class BridgeSettings(Settings):
    """
    Attributes:
        second: the ensemble b: a file, a glob, a folder or a built-in name, of the space of the data.
        width: hidden features of a vector's network, channels at a field's full resolution; None chooses by the space.
        depth: residual blocks, for a field at each resolution; None chooses by the space.
        pairs: members that are paired among themselves by optimal transport; 1 pairs them at random.
        kept: members of b that stay with the model, to sample a from.
    """

    second: str | None = None
    width: int | None = Setting(default=None, ge=1)
    depth: int | None = Setting(default=None, ge=1)
    pairs: int = Setting(default=BLOCK, ge=1)
    kept: int = Setting(default=256, ge=1)


class BridgeSampling(Settings):
    """
    Attributes:
        tolerance: relative and absolute error of a step of the solver, in network units.
    """

    tolerance: float = Setting(default=1e-4, gt=0)


class Bridge(Model):
    """A learned motion from an ensemble a to an ensemble b and back.

    A sample of a is a kept member of b, chosen at random and carried to a: there are only as many as are kept.
    Conditions are of the members of a.
    """

    Settings = BridgeSettings
    Sampling = BridgeSampling
    settings: BridgeSettings

    members: Tensor

    def __init__(self, space: Space, condition_dim: int = 0, settings: BaseModel | None = None) -> None:
        super().__init__(space, condition_dim, settings)
        if isinstance(space, Field):
            network = time_network(space, condition_dim, width=self.settings.width or 16, blocks=self.settings.depth)
        else:
            network = time_network(space, condition_dim, width=self.settings.width or 128, depth=self.settings.depth)
        self.between = Between(space, condition_dim, network, pairs=self.settings.pairs)
        self.register_buffer("members", torch.randn(self.settings.kept, *space.shape))
        self._draw: Callable[[Draws], Tensor] = self._kept

    @classmethod
    def training_defaults_for(cls, space: Space) -> dict[str, object]:
        if isinstance(space, Field):
            return {"learning_rate": 2e-3, "batch_size": 16, "betas": (0.9, 0.99), "gradient_clip": 1.0, "average": 0.1}
        return {"learning_rate": 2e-3, "batch_size": 256, "betas": (0.9, 0.99), "gradient_clip": 1.0, "average": 0.1}

    def meet(self, draw: Callable[[Draws], Tensor], members: Tensor) -> None:
        """Take the ensemble b.

        Arguments:
            draw: members of b in network units, one for each row of the draws.
            members: some of them, to sample from.
        """
        self._draw = draw
        self.members.copy_(members[torch.arange(self.settings.kept) % len(members)])

    @property
    def coupling(self) -> Coupling:
        def partners(x: Tensor, condition: Tensor | None, draws: Draws) -> Tensor:
            return self.between.pair(x, self._draw(draws).to(x), condition)

        return partners

    def turns(self, batch: Batch) -> Iterator[Turn]:
        partners = self.coupling(batch.x, batch.condition, batch.draws) if batch.noise is None else batch.noise
        yield Turn("model", self.between.loss(batch.x, partners, batch.draws, batch.condition, paired=True), {})

    @torch.no_grad()
    def sample(self, draws: Draws, condition: Tensor | None = None, sampling: BaseModel | None = None) -> Tensor:
        options = sampling if isinstance(sampling, BridgeSampling) else BridgeSampling()
        return self.between.translate(self._kept(draws), "a", condition, tolerance=options.tolerance)

    @torch.no_grad()
    def translate(self, x: Tensor, to: str) -> Tensor:
        """Members of b as members of a (``to="a"``), or of a as members of b."""
        return self.between.translate(x, to)

    def _kept(self, draws: Draws) -> Tensor:
        return self.members[draws.integers(len(self.members)).to(self.members.device)]
