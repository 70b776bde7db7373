"""Reference samplers of the built-in energies: replica exchange with tuned settings, and exact symmetries."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from pushforward.energies.chains import Chains
from pushforward.energies.energy import Energy
from pushforward.energies.sampling import Watch, replica_exchange

__all__ = ["ReferenceSampler", "flip_and_shift", "turn_and_permute"]

Symmetry = Callable[[Tensor, torch.Generator], Tensor]


@dataclass(frozen=True)
class ReferenceSampler:
    """Sampler of an energy by `replica_exchange`.

    Attributes:
        energy: the sampled energy.
        symmetry: applies a random element of the energy's symmetry group to every draw, from (samples, generator); it
            costs nothing, and decorrelates the draws.
        chains: largest number of chains in parallel.
        temperatures, warm_up, thin, leapfrog: see `replica_exchange`.
    """

    energy: Energy
    symmetry: Symmetry
    chains: int = 500
    temperatures: tuple[float, ...] = (1.0,)
    warm_up: int = 300
    thin: int = 5
    leapfrog: int = 8

    def __call__(self, count: int, seed: int = 0) -> Float[Tensor, "count *shape"]:
        """Samples in float64."""
        return self.draw(count, seed)[0]

    def draw(self, count: int, seed: int = 0, watch: Watch = iter) -> tuple[Float[Tensor, "count *shape"], Chains]:
        """Samples in float64 after random symmetry operations, and their chains."""
        chains = min(self.chains, count)
        made = replica_exchange(
            self.energy,
            math.ceil(count / chains),
            chains=chains,
            temperatures=self.temperatures,
            warm_up=self.warm_up,
            thin=self.thin,
            leapfrog=self.leapfrog,
            seed=seed,
            watch=watch,
        )
        return self.symmetry(made.flat(count), torch.Generator().manual_seed(seed)), made


def turn_and_permute(
    x: Float[Tensor, "batch count dim"], generator: torch.Generator
) -> Float[Tensor, "batch count dim"]:
    """Apply a random rotation or reflection to each configuration, and permute its particles at random."""
    batch, count, dim = x.shape
    noise = torch.randn(batch, dim, dim, generator=generator, dtype=x.dtype)
    # With the signs of R's diagonal, Q is uniform over the orthogonal group (Mezzadri 2007).
    q, r = torch.linalg.qr(noise)
    turns = q * r.diagonal(dim1=-2, dim2=-1).sign().unsqueeze(-2)
    order = torch.rand(batch, count, generator=generator).argsort(1)
    return x.gather(1, order.unsqueeze(-1).expand_as(x)) @ turns


def flip_and_shift(
    x: Float[Tensor, "batch channels *grid"], generator: torch.Generator
) -> Float[Tensor, "batch channels *grid"]:
    """Multiply each periodic field by a random sign, and shift it by a random number of sites along each axis."""
    for axis in range(2, x.dim()):
        size = x.shape[axis]
        moved = torch.randint(size, (len(x), 1), generator=generator)
        source = (torch.arange(size) + moved) % size
        index = source.reshape(len(x), *[size if i == axis else 1 for i in range(1, x.dim())])
        x = x.gather(axis, index.expand_as(x))
    sign = 2 * torch.randint(2, (len(x), *[1] * (x.dim() - 1)), generator=generator) - 1
    return x * sign
