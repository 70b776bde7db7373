r"""Noise distributions at the end of a path: Gaussian or Student-t.

On any path z = alpha x + sigma eps with independent noise eps of any distribution, the velocity

    u(z, t) = alpha' E[x | z] + sigma' E[eps | z],      E[eps | z] = (z - alpha E[x | z]) / sigma,

moves samples of the noise onto the data: predictions, their conversions and deterministic samplers do not depend on the
distribution of eps. Gaussian noise gives diffusion and flow matching; the other case is the Poisson flow of Xu et al.
For data in N dimensions and D extra ones, the field of charges perturbs a data point by the kernel

    p_r(z | x) ~ (|z - x|^2 + r^2)^(-(N + D) / 2),

which, with r = sigma sqrt(D), is the multivariate Student-t density with D degrees of freedom, location x and scale
sigma: eps = g sqrt(D / c) with g ~ N(0, I) and one c ~ chi^2_D per sample. D = 1 is PFGM; as D grows the noise becomes
Gaussian. D need not be an integer.

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
    """A noise distribution at the end of a path."""

    def draw(self, draws: Draws, shape: Sequence[int]) -> Tensor:
        """Noise of shape ``(draws.count, *shape)``."""
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
    """Standard normal particles with their centre of mass at the origin: a density in (N - 1) d dimensions.

    log p = -|eps|^2 / 2 - (N - 1) d / 2 log 2 pi,      sum_i eps_i = 0.
    """

    def draw(self, draws: Draws, shape: Sequence[int]) -> Tensor:
        noise = draws.normal(*shape)
        return noise - noise.mean(1, keepdim=True)

    def log_prob(self, noise: Tensor) -> Tensor:
        return normal_log_prob(noise) + 0.5 * noise.shape[-1] * math.log(2 * math.pi)


@singledispatch
def normal_of(space: Space) -> Normal:
    """Normal noise for samples of a space."""
    return NORMAL


@normal_of.register
def _(space: Particles) -> Normal:
    return CentredNormal() if space.centred else NORMAL


@dataclass(frozen=True)
class StudentT:
    """Multivariate Student-t noise of scale one: the normal numbers of a sample times a common random strength.

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
            raise UsageError(
                f"the degrees of freedom D of Student-t noise must be positive and finite, not {self.degrees}"
            )

    def draw(self, draws: Draws, shape: Sequence[int]) -> Tensor:
        normal = draws.normal(*shape)
        strength = self.strength(draws).to(normal)
        return normal * strength.reshape(-1, *[1] * len(shape))

    def strength(self, draws: Draws) -> Tensor:
        """sqrt(D / c) with one c ~ chi^2_D per sample, float64; close to 1 for large D."""
        # The strongest noise comes from the smallest c: two 24-bit numbers make one of 48 bits that is never 0.
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
        # In the tail of D = 1 the square may overflow single precision.
        square = flat.double().square().sum(1)
        return (constant - (size + self.degrees) / 2 * torch.log1p(square / self.degrees)).to(noise.dtype)
