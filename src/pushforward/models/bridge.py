"""Family `between`: the flow `Between` of two unpaired ensembles, as a model like every other.

Members of the two ensembles are paired by optimal transport within a batch, ahead of the step. Periodic fields are
whitened (`Whitening`), and a network learns the velocity beyond that between independent Gaussian fields,

    u = (2t - 1) / ((1 - t)^2 + t^2) z,

whose flow ends where it starts: before training, translations are the transport between Gaussian fields.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import torch
from pydantic import BaseModel
from pydantic import Field as Setting
from torch import Tensor, nn

from pushforward.conditions import Condition, ConditionSpace
from pushforward.ensembles.batch import PairBatch
from pushforward.models.between import Between
from pushforward.models.custom_networks import NetworkSettings, with_own_network
from pushforward.models.model import Batch, Collate, Model, Settings, Turn
from pushforward.models.pairs import members, other_end
from pushforward.models.whitened import PairWhitening, can_be_whitened, translation_defaults
from pushforward.networks import time_network
from pushforward.spaces import Space
from pushforward.transport.couplings import BLOCK

__all__ = ["Bridge", "BridgeSettings", "network_options"]


class BridgeSettings(NetworkSettings):
    """
    Attributes:
        pairs: number of members paired by optimal transport among themselves; 1 pairs at random.
    """

    pairs: int = Setting(default=BLOCK, ge=1)


class BridgeSampling(Settings):
    """
    Attributes:
        tolerance: relative and absolute error per step of the solver, in network units.
    """

    tolerance: float = Setting(default=1e-4, gt=0)


class Bridge(Model):
    """A learnt flow from an ensemble a to an ensemble b and back: a translator, which draws no samples."""

    Settings = BridgeSettings
    Sampling = BridgeSampling
    settings: BridgeSettings

    def __init__(
        self, space: Space, condition: ConditionSpace = ConditionSpace(), settings: BaseModel | None = None
    ) -> None:
        super().__init__(space, condition, settings)
        network = time_network(space, condition, **network_options(space, self.settings))
        self.whitening = PairWhitening(space)
        if can_be_whitened(space):
            network = _BeyondGaussian(network)
        self.between = Between(space, condition, network, pairs=self.settings.pairs)

    @classmethod
    def settled(cls, settings: BaseModel, source: Any) -> BaseModel:
        """The settings, unchanged.

        Raises:
            UsageError: if the members of the two ensembles differ in shape.
        """
        source.require_equal_shapes("between joins members by straight lines")
        return with_own_network(settings)

    @classmethod
    def training_defaults_for(cls, space: Space) -> dict[str, object]:
        size = 16 if space.grid else 256
        return {
            "learning_rate": 2e-3, "batch_size": size, "betas": (0.9, 0.99), "gradient_clip": 1.0, "average": 0.1,
            **translation_defaults(space),
        }  # fmt: skip

    def prepare(self, batch: Batch) -> None:
        self.whitening.add(members(batch))

    @property
    def collate(self) -> Collate:
        return self._paired

    def _paired(self, batch: Batch) -> PairBatch:
        """The batch with the rows of b reordered to pair with those of a."""
        assert isinstance(batch, PairBatch)
        return replace(batch, b=self.between.pair(batch.x, batch.b.to(batch.x)), paired=True)

    def turns(self, batches: Iterator[Batch]) -> Iterator[Turn]:
        batch = next(batches)
        assert isinstance(batch, PairBatch)
        self.prepare(batch)
        a, b = (self.whitening[side](x) for side, x in members(batch).items())
        yield Turn("model", self.between.loss(a, b, batch.draws, paired=batch.paired), {})

    @torch.no_grad()
    def translate(self, x: Tensor, to: str, sampling: BaseModel | None = None) -> Tensor:
        """Members of b as members of a (``to="a"``), or of a as members of b."""
        options = sampling if isinstance(sampling, BridgeSampling) else BridgeSampling()
        moved = self.between.translate(self.whitening[other_end(to)](x), to, tolerance=options.tolerance)
        return self.whitening[to].inverse(moved)


class _BeyondGaussian(nn.Module):
    """Velocity of a network, added to that between independent white Gaussian fields."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, z: Tensor, t: Tensor, condition: Condition | None = None) -> Tensor:
        time = t.view(-1, *[1] * (z.dim() - 1))
        return torch.addcmul(self.network(z, t, condition), z, (2 * time - 1) / ((1 - time) ** 2 + time**2))


def network_options(space: Space, settings: BridgeSettings) -> dict[str, Any]:
    """Options of `time_network`; None keeps the network's default."""
    if settings.network not in (None, "unet"):
        return {"network": settings.network, "width": settings.width, "depth": settings.depth}
    width, depth = (16, "blocks") if space.grid else (128, "depth")
    return {"network": settings.network, "width": settings.width or width, depth: settings.depth}
