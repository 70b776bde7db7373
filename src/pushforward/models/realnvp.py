r"""RealNVP: a chain of affine couplings between the data and a standard normal distribution.

With z = f(x | c) the density is exact,

    log q(x | c) = log N(z; 0, 1) + log |det ∂f(x | c)/∂x|,

training maximises its mean over the data, sampling is one pass of the inverse, and z is a code of x that loses nothing.
On a `Vector` the chain is [scale, mix, couple] repeated. On a `Field` the same chain models the details of each wavelet
level given the field that they refine (see `Multiscale`).

Sources: Dinh, Sohl-Dickstein and Bengio 2017 (arXiv:1605.08803); Kingma and Dhariwal 2018 (arXiv:1807.03039); Yu,
Derpanis and Brubaker 2020 (arXiv:2010.13821).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from math import prod
from typing import Any

import torch
from jaxtyping import Float
from pydantic import BaseModel
from pydantic import Field as Setting
from torch import Tensor, nn
from torch.nn import functional

from pushforward.conditions import Condition, ConditionSpace
from pushforward.errors import UsageError
from pushforward.models.model import Batch, Model, Settings, Turn
from pushforward.networks import MLP
from pushforward.networks.layers import Convolution, channels_last
from pushforward.randomness import Draws
from pushforward.spaces import Field, Space, Vector
from pushforward.transforms import (
    ActNorm,
    AffineCoupling,
    Composition,
    Flatten,
    Linear,
    Multiscale,
    Transform,
    checkerboard,
)

__all__ = ["RealNVP"]


class RealNVPSettings(Settings):
    """
    Attributes:
        couplings: affine couplings in the chain; on a field, in the chain of each level.
        width: hidden features of each coupling's network; None chooses by the space.
        depth: hidden layers of each coupling's network, on a field its residual blocks.
        levels: times that a field is halved; None halves it while it can be and keeps more than a few cells.
        limit: bound of the absolute log-scale of one coupling, in nats.
    """

    couplings: int | None = Setting(default=None, ge=1)
    width: int | None = Setting(default=None, ge=1)
    depth: int = Setting(default=2, ge=1)
    levels: int | None = Setting(default=None, ge=0)
    limit: float = Setting(default=2.0, gt=0)


class RealNVPSampling(Settings):
    """
    Attributes:
        temperature: standard deviation of the latent noise; below one trades variety for typical samples.
    """

    temperature: float = Setting(default=1.0, gt=0)


class RealNVP(Model):
    """A normalizing flow of affine couplings, with exact densities and codes.

    An affine coupling of a one-dimensional vector can only shift and scale it by functions of the condition, so there
    the model is a conditional normal distribution.

    Raises:
        UsageError: if the space is neither a vector nor a field, or a field's grid cannot be halved.
    """

    Settings = RealNVPSettings
    Sampling = RealNVPSampling
    settings: RealNVPSettings

    def __init__(
        self, space: Space, condition: ConditionSpace = ConditionSpace(), settings: BaseModel | None = None
    ) -> None:
        super().__init__(space, condition, settings)
        if isinstance(space, Vector):
            self.flow = _vector_flow(space.dim, condition.numbers, self.settings)
        elif isinstance(space, Field):
            self.flow = _field_flow(space, condition.numbers, self.settings)
        else:
            raise UsageError(f"realnvp learns vectors and fields, not {type(space).__name__.lower()}")

    @classmethod
    def training_defaults_for(cls, space: Space) -> dict[str, Any]:
        if isinstance(space, Field):
            # An inverse is only as good as the arithmetic that the coupling networks are evaluated in.
            return {"learning_rate": 1e-3, "batch_size": 32, "gradient_clip": 1.0, "precision": "32"}
        return {"learning_rate": 2e-3, "batch_size": 512, "gradient_clip": 1.0}

    def prepare(self, batch: Batch) -> None:
        self.flow.initialise(batch.x, self.condition.numbers_of(batch.condition))

    def turns(self, batches: Iterator[Batch]) -> Iterator[Turn]:
        batch = next(batches)
        nats = -self.log_prob(batch.x, batch.condition) / self.space.size
        loss = nats.mean()
        yield Turn("model", loss, {"nll_per_dim": loss.detach()})

    def log_prob(self, x: Float[Tensor, "batch *shape"], condition: Condition | None = None) -> Float[Tensor, " batch"]:
        """Natural log of the density at ``x``, in network units; nats."""
        z, log_abs_det = self.flow(x, self.condition.numbers_of(condition))
        return _standard_normal(z) + log_abs_det

    def sample(self, draws: Draws, condition: Condition | None = None, sampling: BaseModel | None = None) -> Tensor:
        return self.sample_and_log_prob(draws, condition, sampling)[0]

    def sample_and_log_prob(
        self, draws: Draws, condition: Condition | None = None, sampling: BaseModel | None = None
    ) -> tuple[Float[Tensor, "batch *shape"], Float[Tensor, " batch"]]:
        """Samples and the log-density that they were drawn from, in one pass of the flow.

        At a temperature T other than one that is the density of the flow with ``N(0, T²)`` at its base.
        """
        temperature = sampling.temperature if isinstance(sampling, RealNVPSampling) else 1.0
        noise = draws.normal(self.space.size)
        x, log_abs_det = self.flow.inverse(temperature * noise, self.condition.numbers_of(condition))
        base = _standard_normal(noise) - self.space.size * math.log(temperature)
        return x, base - log_abs_det

    def encode(
        self, x: Float[Tensor, "batch *shape"], condition: Condition | None = None
    ) -> Float[Tensor, "batch size"]:
        """The latent vector of each sample, standard normal if the model is right."""
        return self.flow(x, self.condition.numbers_of(condition))[0]

    def decode(
        self, z: Float[Tensor, "batch size"], condition: Condition | None = None
    ) -> Float[Tensor, "batch *shape"]:
        """The sample of each latent vector; ``decode(encode(x)) == x``."""
        return self.flow.inverse(z, self.condition.numbers_of(condition))[0]


def _standard_normal(z: Tensor) -> Tensor:
    """Log-density of a standard normal vector, ``(batch, size)`` to ``(batch,)``."""
    return -0.5 * (z.square() + math.log(2 * math.pi)).sum(1)


def _vector_flow(dim: int, numbers: int, settings: RealNVPSettings) -> Transform:
    """[ActNorm, Linear, AffineCoupling] repeated, the couplings' masks alternating."""
    width = settings.width or 128
    chain: list[Transform] = []
    for step in range(settings.couplings or 10):
        network = _VectorConditioner(dim, numbers, width, settings.depth)
        # One feature has nothing to be conditioned on but the condition.
        mask = checkerboard((dim,), step) if dim > 1 else torch.zeros(1)
        mix = [Linear(dim)] if dim > 1 else []
        chain += [ActNorm(dim), *mix, AffineCoupling(mask, network, settings.limit)]
    return Composition([*chain, ActNorm(dim)])


def _field_flow(space: Field, numbers: int, settings: RealNVPSettings) -> Transform:
    """A chain of couplings for the details of each level, and one for the coarsest field."""
    levels = _levels(space.grid, settings.levels)
    channels, factor = space.channels, 2 ** len(space.grid)
    grids = [tuple(cells >> level for cells in space.grid) for level in range(levels + 1)]

    def convolutional(features: int, grid: tuple[int, ...], context: int) -> list[Transform]:
        chain: list[Transform] = []
        for step in range(settings.couplings or 4):
            network = _FieldConditioner(
                features, context, settings.width or 32, settings.depth, dims=len(grid), periodic=space.periodic
            )
            mask = checkerboard((features, *grid), step)
            chain += [ActNorm(features), Linear(features), AffineCoupling(mask, network, settings.limit)]
        return [*chain, ActNorm(features)]

    details = [Composition(convolutional((factor - 1) * channels, grid, channels + numbers)) for grid in grids[1:]]
    shape = (channels, *grids[-1])
    # A coarsest field of few cells is better off with networks that see it whole and know where each cell is.
    if prod(shape) <= _DENSE_SIZE:
        coarse: list[Transform] = [Flatten(shape), _vector_flow(prod(shape), numbers, settings)]
    else:
        coarse = [*convolutional(channels, grids[-1], numbers), Flatten(shape)]
    return Multiscale(space.shape, details, Composition(coarse))


_DENSE_SIZE = 64
_SMALLEST_SIDE = 4


def _levels(grid: tuple[int, ...], asked: int | None) -> int:
    """How many times a grid is halved: as asked, or while all sides stay even and not below the smallest side."""
    possible = 0
    while all(cells % 2 ** (possible + 1) == 0 for cells in grid):
        possible += 1
    sides = " x ".join(map(str, grid))
    if possible == 0 and asked != 0:
        raise UsageError(f"realnvp halves a field's grid and {sides} has an odd side; crop or pad it to even sides")
    if asked is None:
        return max(1, sum(min(grid) >> level >= _SMALLEST_SIDE for level in range(1, possible + 1)))
    if asked > possible:
        raise UsageError(f"a grid of {sides} can be halved {possible} times, not levels={asked}")
    return asked


class _VectorConditioner(nn.Module):
    """A perceptron of a vector and its condition; zero before training, so that a coupling starts as the identity."""

    def __init__(self, dim: int, numbers: int, width: int, depth: int) -> None:
        super().__init__()
        self.mlp = MLP(dim + numbers, 2 * dim, (width,) * depth, zero_output=True)

    def forward(self, x: Tensor, condition: Tensor | None) -> Tensor:
        return self.mlp(x if condition is None else torch.cat([x, condition], dim=1))


class _FieldConditioner(nn.Module):
    """Residual convolutions of a field and its context; zero before training, periodic where the field is."""

    def __init__(self, channels: int, context: int, width: int, depth: int, *, dims: int, periodic: bool) -> None:
        super().__init__()
        self.first = Convolution(dims, channels + context, width, periodic=periodic)
        self.blocks = nn.ModuleList(
            nn.Sequential(
                nn.SiLU(),
                Convolution(dims, width, width, periodic=periodic),
                nn.SiLU(),
                Convolution(dims, width, width, 1),
            )
            for _ in range(depth)
        )
        self.last = Convolution(dims, width, 2 * channels, 1)
        for parameter in self.last.parameters():
            nn.init.zeros_(parameter)

    def forward(self, x: Tensor, condition: Tensor | None) -> Tensor:
        if condition is not None:
            if condition.dim() < x.dim():
                condition = condition.view(*condition.shape, *[1] * (x.dim() - 2)).expand(-1, -1, *x.shape[2:])
            x = torch.cat([x, condition], dim=1)
        h = self.first(channels_last(x))
        for block in self.blocks:
            h = h + block(h)
        return self.last(functional.silu(h))
