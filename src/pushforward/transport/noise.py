r"""What a path ends in: Gaussian noise, or Student-t noise.

On any path z = alpha x + sigma eps with independent noise eps, whatever its distribution, the velocity

    u(z, t) = alpha' E[x | z] + sigma' E[eps | z],      E[eps | z] = (z - alpha E[x | z]) / sigma,

moves samples of the noise onto the data: predictions, their conversions and deterministic samplers never ask what eps
is. Gaussian noise gives diffusion and flow matching. The Poisson flows of Xu et al. are the other case. In N dimensions
of data and D more, the field of charges perturbs a data point by the kernel

    p_r(z | x) ~ (|z - x|^2 + r^2)^(-(N + D) / 2),

which, with r = sigma sqrt(D), is the multivariate Student-t density of D degrees of freedom, location x and scale
sigma: eps = g sqrt(D / c) with g ~ N(0, I) and one c ~ chi^2_D for all the numbers of a sample. D = 1 is PFGM; as D
grows the noise becomes Gaussian. D need not be whole.

References:
    Xu et al. 2022, https://arxiv.org/abs/2209.11178 (D = 1); Xu et al. 2023, https://arxiv.org/abs/2302.04265, eq. 4
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import singledispatch
from typing import Protocol

import numpy as np
import torch
from scipy.special import gammaincinv
from torch import Tensor

from pushforward.errors import UsageError
from pushforward.randomness import Draws
from pushforward.spaces import Particles, Space
from pushforward.tensors import normal_log_prob

__all__ = ["NORMAL", "CentredNormal", "Noise", "Normal", "StudentT", "normal_of"]


class Noise(Protocol):
    """A distribution that a path can end in."""

    def draw(self, draws: Draws, shape: Sequence[int]) -> Tensor:
        """Noise of the given shape for each sample, ``(draws.count, *shape)``."""
        ...

    def log_prob(self, noise: Tensor) -> Tensor:
        """Log-density in nats, ``(batch,)``."""
        ...


@dataclass(frozen=True)
class Normal:
    """Independent standard normal numbers."""

    def draw(self, draws: Draws, shape: Sequence[int]) -> Tensor:
        return draws.normal(*shape)

    def log_prob(self, noise: Tensor) -> Tensor:
        return normal_log_prob(noise)


NORMAL = Normal()


@dataclass(frozen=True)
class CentredNormal(Normal):
    """Standard normal numbers of particles whose centre of mass is at the origin: a density on (N - 1) d dimensions.

    log p = -|eps|^2 / 2 - (N - 1) d / 2 log 2 pi,      sum_i eps_i = 0.
    """

    def draw(self, draws: Draws, shape: Sequence[int]) -> Tensor:
        noise = draws.normal(*shape)
        return noise - noise.mean(1, keepdim=True)

    def log_prob(self, noise: Tensor) -> Tensor:
        return normal_log_prob(noise) + 0.5 * noise.shape[-1] * math.log(2 * math.pi)


@singledispatch
def normal_of(space: Space) -> Normal:
    """The normal noise that a path to samples of a space ends in."""
    return NORMAL


@normal_of.register
def _(space: Particles) -> Normal:
    return CentredNormal() if space.centred else NORMAL


@dataclass(frozen=True)
class StudentT:
    """Multivariate Student-t noise of scale one: normal numbers of a sample over a common random strength.

    Arguments:
        degrees: D > 0, any real number. The density falls as |eps|^-(N + D); the variance is infinite up to D = 2.

    Raises:
        UsageError: if ``degrees`` is not positive and finite.

    >>> StudentT(3.5).draw(Draws(0, 4), (2,)).shape
    torch.Size([4, 2])
    """

    degrees: float

    def __post_init__(self) -> None:
        if not 0 < self.degrees < math.inf:
            raise UsageError(f"Student-t noise needs D > 0 degrees of freedom, but D={self.degrees} was given")

    def draw(self, draws: Draws, shape: Sequence[int]) -> Tensor:
        normal = draws.normal(*shape)
        strength = self.strength(draws).to(normal)
        return normal * strength.reshape(-1, *[1] * len(shape))

    def strength(self, draws: Draws) -> Tensor:
        """sqrt(D / c) with c ~ chi^2_D for each sample, float64; close to 1 for large D."""
        # The strongest noise comes from the smallest c: two numbers of 24 bits make one of 48 that is never 0.
        coarse, fine = draws.uniform(2).double().cpu().unbind(1)
        uniform = coarse + (fine + 2.0**-25) * 2.0**-24
        chi_squared = 2 * gammaincinv(self.degrees / 2, uniform.numpy())
        return torch.from_numpy(np.sqrt(self.degrees / chi_squared))

    def log_prob(self, noise: Tensor) -> Tensor:
        flat = noise.flatten(1)
        size = flat.shape[1]
        constant = (
            math.lgamma((size + self.degrees) / 2)
            - math.lgamma(self.degrees / 2)
            - size / 2 * math.log(math.pi * self.degrees)
        )
        # The square of a tail of D = 1 may exceed single precision.
        square = flat.double().square().sum(1)
        return (constant - (size + self.degrees) / 2 * torch.log1p(square / self.degrees)).to(noise.dtype)
