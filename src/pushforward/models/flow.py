r"""Normalizing flows: a chain of bijections between the data and a standard normal distribution.

With z = f(x | c) the density is exact,

    log q(x | c) = log N(z; 0, 1) + log |det ∂f(x | c)/∂x|.

On members, training minimises -⟨log q(x)⟩, the forward Kullback-Leibler divergence up to a constant. On an energy U it
minimises ⟨log q(x) + U(x)⟩ over the flow's own samples, the reverse divergence minus log Z (a Boltzmann generator);
both are divided by the number of dimensions. Sampling is one pass of the inverse, and z is a lossless code of x.

A family is a chain:

>>> import torch
>>> from pushforward.spaces import Vector
>>> from pushforward.transforms import ActNorm, Composition, Linear
>>> class Gaussian(Flow):
...     def chain(self):
...         return Composition([Linear(self.space.dim), ActNorm(self.space.dim)])
>>> Gaussian(Vector(2)).log_prob(torch.zeros(1, 2))
tensor([-1.8379], grad_fn=<AddBackward0>)
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Iterator
from functools import singledispatch
from typing import Any

import torch
from jaxtyping import Float
from pydantic import BaseModel
from pydantic import Field as Setting
from torch import Tensor

from pushforward.conditions import Condition, ConditionSpace, laid_out, refined
from pushforward.ensembles.batch import EnergyBatch
from pushforward.errors import UsageError
from pushforward.models.circular_chains import CircleSettings, circles_of
from pushforward.models.dequantisation import Dequantiser
from pushforward.models.discrete_cells import MOST_CELLS, DiscreteSettings, cells_of
from pushforward.models.model import Batch, Model, Settings, Turn
from pushforward.randomness import Draws
from pushforward.spaces import Field, Space
from pushforward.tensors import normal_log_prob
from pushforward.transforms import Transform

__all__ = ["Flow", "FlowSampling"]


class FlowSampling(Settings):
    """
    Attributes:
        temperature: standard deviation of the latent noise; below one gives less diverse, more typical samples.
    """

    temperature: float = Setting(default=1.0, gt=0)


class Flow(Model):
    """A normalizing flow with exact densities and codes; a subclass defines its `chain`.

    Raises:
        UsageError: if the condition has a field, but the samples are not fields.
    """

    Settings = DiscreteSettings
    Sampling = FlowSampling

    def __init__(
        self, space: Space, condition: ConditionSpace = ConditionSpace(), settings: BaseModel | None = None
    ) -> None:
        super().__init__(space, condition, settings)
        if condition.field is not None and not space.grid:
            raise UsageError(
                f"a flow of {space.kind} data cannot take a field as its condition; give numbers, or learn fields"
            )
        self.flow = self.chain()
        cells = self.settings.cells if isinstance(self.settings, DiscreteSettings) else ()
        self.dequantiser = Dequantiser(space, condition.channels, cells) if cells else None

    @abstractmethod
    def chain(self) -> Transform:
        """The transform from samples (batch, *space.shape) to codes (batch, space.size); called once."""

    @classmethod
    def training_defaults_for(cls, space: Space) -> dict[str, Any]:
        return _training_defaults(space)

    @classmethod
    def fitted(cls, settings: BaseModel, preprocessing: Any) -> BaseModel:
        found: dict[str, Any] = {}
        if isinstance(settings, CircleSettings):
            found["circles"] = circles_of(preprocessing)
        if isinstance(settings, DiscreteSettings) and settings.dequantisation == "variational":
            found["cells"] = cells_of(preprocessing)
            if not found["cells"]:
                raise UsageError(
                    f"dequantisation=variational needs a channel with 2 to {MOST_CELLS} discrete values, and these "
                    "data have none; leave it out"
                )
        return settings.model_copy(update=found)

    def prepare(self, batch: Batch) -> None:
        if not isinstance(batch, EnergyBatch):
            self.flow.initialise(batch.x, self._condition_tensor(batch.condition))

    def turns(self, batches: Iterator[Batch]) -> Iterator[Turn]:
        batch = next(batches)
        if isinstance(batch, EnergyBatch):
            yield self._on_energy(batch)
        else:
            yield self._on_members(batch)

    def _on_members(self, batch: Batch) -> Turn:
        if self.dequantiser is None:
            loss = -self.log_prob(batch.x, batch.condition).mean() / self.space.size
            return Turn("model", loss, {"nll_per_dim": loss.detach()})
        u, condition = batch.draws.uniform(*self.space.shape), self._condition_tensor(batch.condition)
        x, log_q, log_volume = self.dequantiser.spread(batch.x, u, condition)
        bound = self.log_prob(x, batch.condition) - log_q
        loss = -bound.mean() / self.space.size
        logs = {"nll_per_dim": loss.detach()}
        bits = self.dequantiser.bits_per_dimension(bound.detach(), log_volume)
        return Turn("model", loss, logs if bits is None else {**logs, "bits_per_dim": bits})

    def places(
        self, x: Float[Tensor, "batch *shape"], u: Float[Tensor, "batch *shape"], condition: Condition | None = None
    ) -> tuple[Float[Tensor, "batch *shape"], Float[Tensor, " batch"]]:
        if self.dequantiser is None:
            return super().places(x, u, condition)
        return self.dequantiser.places(x, u, self._condition_tensor(condition))

    def _on_energy(self, batch: EnergyBatch) -> Turn:
        x, log_prob = self.sample_and_log_prob(batch.draws, batch.condition)
        # -log w, for weights w of the samples under exp(-U); its mean is no less than -log Z.
        cost = log_prob + batch.energy(x)
        weights = torch.softmax(-cost.detach(), 0)
        logs = {
            "free_energy_bound": cost.detach().mean(),
            "effective_fraction": 1 / (weights.square().sum() * len(weights)),
        }
        return Turn("model", cost.mean() / self.space.size, logs)

    def log_prob(self, x: Float[Tensor, "batch *shape"], condition: Condition | None = None) -> Float[Tensor, " batch"]:
        """Log-density at ``x`` in nats, in network units."""
        z, log_abs_det = self.flow(x, self._condition_tensor(condition))
        return normal_log_prob(z) + log_abs_det

    def sample(self, draws: Draws, condition: Condition | None = None, sampling: BaseModel | None = None) -> Tensor:
        return self.sample_and_log_prob(draws, condition, sampling)[0]

    def sample_and_log_prob(
        self, draws: Draws, condition: Condition | None = None, sampling: BaseModel | None = None
    ) -> tuple[Float[Tensor, "batch *shape"], Float[Tensor, " batch"]]:
        """Samples and their log-density, in one pass of the flow.

        At a temperature T other than one it is the density of the flow with the base ``N(0, T²)``.
        """
        temperature = sampling.temperature if isinstance(sampling, FlowSampling) else 1.0
        noise = draws.normal(self.space.size)
        x, log_abs_det = self.flow.inverse(temperature * noise, self._condition_tensor(condition))
        base = normal_log_prob(noise) - self.space.size * math.log(temperature)
        return x, base - log_abs_det

    def encode(
        self, x: Float[Tensor, "batch *shape"], condition: Condition | None = None
    ) -> Float[Tensor, "batch size"]:
        """Latent vector of each sample, standard normal if the model is correct."""
        return self.flow(x, self._condition_tensor(condition))[0]

    def decode(
        self, z: Float[Tensor, "batch size"], condition: Condition | None = None
    ) -> Float[Tensor, "batch *shape"]:
        """Sample of each latent vector; ``decode(encode(x)) == x``."""
        return self.flow.inverse(z, self._condition_tensor(condition))[0]

    def _condition_tensor(self, condition: Condition | None) -> Tensor | None:
        """Input of the transforms: numbers (batch, numbers), or a field on the grid of the samples."""
        numbers = self.condition.numbers_of(condition)
        if condition is None or condition.field is None:
            return numbers
        field = torch.nan_to_num(refined(condition.field, self.space.grid), nan=0.0)
        return field if numbers is None else torch.cat([field, laid_out(numbers, self.space.grid)], 1)


@singledispatch
def _training_defaults(space: Space) -> dict[str, Any]:
    return {"learning_rate": 2e-3, "batch_size": 512, "gradient_clip": 1.0}


@_training_defaults.register
def _(space: Field) -> dict[str, Any]:
    # The precision of the inverse is that of the coupling networks.
    return {"learning_rate": 4e-3, "batch_size": 32, "gradient_clip": 1.0, "precision": "32"}
