r"""Drifting: a one-step generator without an adversary, whose samples are moved by the data and by each other.

At a sample x of the generator, members y+ of the data attract and other samples y- repel,

    V(x) = sum W+ (y+ - x) - sum W- (y- - x),      loss = E ‖x - stopgrad(x + V(x))‖²,

with weights from affinities that are normalised over both sets, A = sqrt(softmax over y times softmax over x) of
-‖x - y‖ / tau, and balanced, W+ = A+ sum(A-), W- = A- sum(A+), so that they sum to the same. V is antisymmetric in the
two distributions, hence zero if they agree. The drifts of several tau are each normalised to unit size and added.
Distances are in units in which the mean distance between members is sqrt(D).

Source: Deng, Li, Li, Du and He 2026, https://arxiv.org/abs/2602.04770.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from jaxtyping import Float
from pydantic import BaseModel
from pydantic import Field as Setting
from torch import Tensor

from pushforward.conditions import Condition, ConditionSpace
from pushforward.models.model import Batch, Completion, Model, Player, Settings, Turn, Watch, unwatched
from pushforward.models.noise_generator import MatchedSampling, NoiseGenerator, coordinates_for
from pushforward.models.stationary import is_stationary
from pushforward.models.wavelet_bands import halvings_for
from pushforward.networks.one_shot import NetworkName
from pushforward.randomness import Draws
from pushforward.spaces import Space
from pushforward.tensors.processes import joined_rows

__all__ = ["Drifting", "drift"]


class DriftingSettings(Settings):
    """
    Attributes:
        latent_dim: noise numbers per sample; None follows from the space.
        latent_bits: random bits in addition to the noise, for a generator that starts from a vector.
        width: hidden features of the generator, or its channels at full resolution; None follows from the space.
        depth: hidden layers of a vector's generator.
        network: of fields: ``default`` or ``dcgan``.
        temperatures: tau of each kernel, in units of the square root of the number of dimensions.
        halvings: of a field's grid before the network (see `WaveletBands`); None follows from the grid.
    """

    latent_dim: int | None = Setting(default=None, ge=1)
    latent_bits: int = Setting(default=8, ge=0)
    width: int | None = Setting(default=None, ge=1)
    depth: int = Setting(default=4, ge=1)
    network: NetworkName = "default"
    temperatures: tuple[float, ...] = (0.02, 0.05, 0.2)
    halvings: int | None = Setting(default=None, ge=0)


class Drifting(Model):
    """A generator that follows the drift of its own samples.

    Conditions enter the distance as further coordinates: samples drift towards members with similar conditions.
    """

    Settings = DriftingSettings
    Sampling = MatchedSampling
    settings: DriftingSettings

    def __init__(
        self, space: Space, condition: ConditionSpace = ConditionSpace(), settings: BaseModel | None = None
    ) -> None:
        super().__init__(space, condition, settings)
        options = self.settings
        halvings = halvings_for(space) if options.halvings is None else options.halvings
        self.coordinates = coordinates_for(space, halvings, condition, options)
        self.generator = NoiseGenerator(self.coordinates, condition, options)

    @classmethod
    def training_defaults_for(cls, space: Space) -> dict[str, Any]:
        defaults = {
            "learning_rate": 1e-3,
            "batch_size": 64 if space.grid else 512,
            "betas": (0.9, 0.99),
            "average": 0.1,
        }
        return {**defaults, "transform": "gaussianise"} if is_stationary(space) else defaults

    def prepare(self, batch: Batch) -> None:
        self.coordinates.initialise(batch.x, batch.condition, batch.values)

    @property
    def prepared_by(self) -> int:
        return self.coordinates.fitted_to

    def completion(self, seen: int, members: int) -> Completion | None:
        return self.coordinates.completion

    def complete(self, batch: Batch | None = None, seen: int = 0, watch: Watch = unwatched) -> None:
        self.coordinates.complete(self.generator.drawn)

    def players(self) -> dict[str, Player]:
        return {"model": Player(list(self.generator.parameters()))}

    def turns(self, batches: Iterator[Batch]) -> Iterator[Turn]:
        batch = next(batches)
        real = self.coordinates(batch.x, batch.condition).detach().flatten(1)
        fake = self.generator(self.generator.noise(batch.draws), batch.condition).float().flatten(1)
        given = None if batch.condition is None else joined_rows(batch.condition.flat().nan_to_num())
        # The samples of all processes interact, as in a single process.
        motion = drift(joined_rows(fake.detach()), joined_rows(real), self.settings.temperatures, given)
        motion = motion[batch.draws.first :][: len(fake)] if len(motion) > len(fake) else motion
        loss = (fake - (fake + motion).detach()).square().mean()
        yield Turn("model", loss, {})

    def sample(self, draws: Draws, condition: Condition | None = None, sampling: BaseModel | None = None) -> Tensor:
        self.complete()
        coefficients = self.generator(self.generator.noise(draws), condition).float()
        matched = not isinstance(sampling, MatchedSampling) or sampling.matched
        return self.coordinates.inverse(self.coordinates.whitened(coefficients, condition), condition, finished=matched)


@torch.no_grad()
def drift(
    x: Float[Tensor, "batch dim"],
    data: Float[Tensor, "batch dim"],
    temperatures: tuple[float, ...],
    condition: Float[Tensor, "batch numbers"] | None = None,
) -> Float[Tensor, "batch dim"]:
    """V at samples ``x``, the sum over temperatures of drifts of unit root mean square.

    Arguments:
        x: samples, in network units.
        data: members.
        temperatures: tau of each kernel in units of sqrt(dim).
        condition: of the rows of both.
    """
    count, dim = x.shape
    ours, theirs = x, data
    if condition is not None:
        # Conditions at their mean distance are as far apart as samples at theirs.
        weight = (dim / condition.shape[1]) ** 0.5
        ours, theirs = (torch.cat([each, weight * condition], 1) for each in (x, data))
    among = torch.cdist(theirs, theirs)
    scale = among.sum() / max(1, count * (count - 1)) / dim**0.5
    distances = torch.cat([torch.cdist(ours, theirs), torch.cdist(ours, ours)], 1) / scale.clamp_min(1e-12)
    # A sample does not repel itself.
    distances[:, count:].fill_diagonal_(torch.inf)
    total = torch.zeros_like(x)
    for tau in temperatures:
        logits = -distances / (tau * dim**0.5)
        affinity = (logits.softmax(1) * logits.softmax(0)).sqrt()
        attracted, repelled = affinity.split(count, 1)
        to_data = attracted * repelled.sum(1, keepdim=True)
        from_samples = repelled * attracted.sum(1, keepdim=True)
        motion = to_data @ data - from_samples @ x
        total += motion / motion.square().mean().sqrt().clamp_min(1e-12)
    return total
