"""Processes that evolve in time from the data: diffusion, and waves that friction slows down to it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from examples.genphys.process import Points, Process, Times, Values, square_norm
from torch import Generator, Tensor

from pushforward.errors import UsageError

__all__ = ["Diffusion", "DissipativeWave"]


@dataclass(frozen=True)
class Diffusion(Process):
    """phi_t = lap phi: Brownian motion, of variance 2t in each coordinate."""

    name: ClassVar[str] = "diffusion"

    def density(self, x: Points, t: Times) -> Values:
        return torch.exp(-square_norm(x) / (4 * t)) * (4 * math.pi * t) ** (-self.dim / 2)

    def flux(self, x: Points, t: Times) -> Points:
        return self.density(x, t) * x / (2 * t)

    def velocity(self, x: Points, t: Times) -> Points:
        return x / (2 * t)

    def length(self, t: Tensor) -> Tensor:
        return torch.sqrt(2 * t)

    def _displacements(self, t: Times, generator: Generator | None) -> Points:
        return torch.sqrt(2 * t) * self._normal(t, generator)


@dataclass(frozen=True)
class DissipativeWave(Process):
    """phi_tt + 2 eps phi_t = phi_xx for each coordinate: Kac's walker of speed 1 that turns around at the rate eps.

    In one dimension the density is never negative; in more it is, behind the front, so here the coordinates walk
    independently. Two fronts at x = +-t carry exp(-eps t) of each coordinate: they remember the data, and t must be
    several times 1/eps. `density` and `flux` are those between the fronts; a front moves with velocity +-1.
    """

    damping: float = 1.0
    name: ClassVar[str] = "dissipative-wave"

    def __post_init__(self) -> None:
        if self.damping <= 0:
            raise UsageError(f"the damping of a wave must be positive, not {self.damping}: {_IDEAL}")

    def density(self, x: Points, t: Times) -> Values:
        proper = torch.sqrt(((t - x) * (t + x)).clamp_min(0))
        argument = self.damping * proper
        # exp(-eps t) I(argument), from functions that carry exp(-argument).
        decay = torch.exp(argument - self.damping * t)
        ratio = torch.where(argument > 1e-6, torch.special.i1e(argument) / proper.clamp_min(1e-300), self.damping / 2)
        each = self.damping / 2 * decay * (torch.special.i0e(argument) + t * ratio)
        return torch.where(x.abs() < t, each, 0.0).prod(1, keepdim=True)

    def flux(self, x: Points, t: Times) -> Points:
        return self.density(x, t) * self.velocity(x, t)

    def velocity(self, x: Points, t: Times) -> Points:
        proper = torch.sqrt(((t - x) * (t + x)).clamp_min(1e-24))
        argument = self.damping * proper
        between = x / (t + proper * torch.special.i0e(argument) / torch.special.i1e(argument))
        return torch.where(x.abs() < t, between, torch.sign(x))

    def length(self, t: Tensor) -> Tensor:
        return t / torch.sqrt(1 + self.damping * t)

    def _displacements(self, t: Times, generator: Generator | None) -> Points:
        turns = torch.poisson((self.damping * t).expand(-1, self.dim).contiguous(), generator=generator)
        # Turning times are uniform: n of them cut the time into n + 1 exchangeable parts, walked one way or the other.
        onward = _gamma(torch.ceil((turns + 1) / 2), generator)
        back = _gamma(torch.floor((turns + 1) / 2), generator)
        sign = torch.randint(2, turns.shape, generator=generator) * 2 - 1
        return sign * t * torch.where(turns == 0, 1.0, (onward - back) / (onward + back))


_IDEAL = "without it waves never die out, and no detail of the data is forgotten"


def _gamma(shape: Tensor, generator: Generator | None) -> Tensor:
    """Gamma variates of whole-numbered shape, 0 where it is 0."""
    # torch has no sampler of these that takes a generator.
    seed = int(torch.randint(2**62, (1,), generator=generator))
    return torch.from_numpy(np.random.default_rng(seed).standard_gamma(shape.numpy())).to(shape)
