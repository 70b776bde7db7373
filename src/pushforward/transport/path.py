r"""Gaussian probability paths from data to noise.

A path joins a data point x (time 0) to Gaussian noise (time 1),

    z_t = alpha_t x + sigma_t eps,      eps ~ N(0, I),      t in [0, 1],

with velocity alpha'_t x + sigma'_t eps. Up to a rescaling of z, all that distinguishes one path
from another is when it passes each signal-to-noise ratio, read as its logarithm

    lambda_t = log(alpha_t^2 / sigma_t^2),

so two paths are compared, and a network trained on one is used on the other, at equal lambda. `Path.at` is the only
definition of a schedule: training, every sampler and the likelihood derive from it.

References:
    Kingma et al. 2021, Variational Diffusion Models, https://arxiv.org/abs/2107.00630 (only lambda matters)
    Gao et al. 2024, Diffusion Meets Flow Matching, https://diffusionflow.github.io
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, NamedTuple, TypeVar

import torch
from torch import Tensor

from pushforward.errors import UsageError

__all__ = ["Moment", "Number", "Path", "Straight", "VPCosine", "VPLinear", "VarianceExploding"]

Number = float | Tensor
Coefficient = TypeVar("Coefficient", bound=Number)


class Moment(NamedTuple, Generic[Coefficient]):
    """One time of a path: plain numbers for a whole batch, or tensors that broadcast against it.

    Attributes:
        time: t.
        alpha, sigma: weights of data and noise.
        alpha_dot, sigma_dot: their derivatives with respect to t.
    """

    time: Coefficient
    alpha: Coefficient
    sigma: Coefficient
    alpha_dot: Coefficient
    sigma_dot: Coefficient

    def mix(self, data: Tensor, noise: Tensor) -> Tensor:
        """z = alpha x + sigma eps."""
        return self.alpha * data + self.sigma * noise

    @property
    def norm(self) -> Number:
        """sqrt(alpha^2 + sigma^2): the standard deviation of z for data of unit variance."""
        return (self.alpha**2 + self.sigma**2) ** 0.5

    def velocity(self, data: Tensor, noise: Tensor) -> Tensor:
        """dz/dt = alpha' x + sigma' eps."""
        return self.alpha_dot * data + self.sigma_dot * noise


class Path(ABC):
    """A Gaussian path on t in [0, 1]: data at 0, noise at 1."""

    @abstractmethod
    def at(self, t: Tensor) -> Moment[Tensor]:
        """Coefficients at times ``t`` of any shape, as tensors of that shape and dtype."""

    @abstractmethod
    def time(self, log_snr: Tensor) -> Tensor:
        """Time of a log signal-to-noise ratio; the inverse of `log_snr`."""

    def log_snr(self, t: Tensor) -> Tensor:
        """lambda = log(alpha^2 / sigma^2), natural logarithm; infinite where a coefficient vanishes."""
        moment = self.at(t)
        return 2 * (moment.alpha.log() - moment.sigma.log())

    def moments(self, times: Sequence[float]) -> list[Moment[float]]:
        """Coefficients at each time as plain numbers, computed in float64."""
        rows = torch.stack(self.at(torch.tensor(times, dtype=torch.float64)))
        return [Moment(*column) for column in rows.T.tolist()]

    def drift(self, t: Tensor) -> Tensor:
        """f of the forward process dz = f z dt + g dW whose marginals are the path's: d log(alpha) / dt."""
        moment = self.at(t)
        return moment.alpha_dot / moment.alpha

    def diffusion(self, t: Tensor) -> Tensor:
        """g of the same process, g^2 = 2 alpha sigma d(sigma / alpha)/dt (Gao et al. 2024)."""
        _, alpha, sigma, alpha_dot, sigma_dot = self.at(t)
        return torch.sqrt(2 * sigma * (sigma_dot - sigma * alpha_dot / alpha))

    def matching(self, moment: Moment) -> tuple[Moment, Number]:
        """The moment of this path with the signal-to-noise ratio of another path's moment.

        Returns:
            the moment of this path, and the factor that turns the other path's z into this one's.
        """
        if isinstance(moment.alpha, Tensor):
            own: Moment = self.at(self.time(2 * (moment.alpha.log() - moment.sigma.log())))
        else:
            ratio = torch.tensor([moment.alpha, moment.sigma], dtype=torch.float64).log()
            own = self.moments([self.time(2 * (ratio[0] - ratio[1])).item()])[0]
        return own, own.norm / moment.norm


@dataclass(frozen=True)
class Straight(Path):
    """Straight line: alpha = 1 - t, sigma = t, with the constant velocity eps - x.

    References:
        Lipman et al. 2022, https://arxiv.org/abs/2210.02747; Liu et al. 2022, https://arxiv.org/abs/2209.03003
    """

    def at(self, t: Tensor) -> Moment[Tensor]:
        one = torch.ones_like(t)
        return Moment(t, 1 - t, t, -one, one)

    def time(self, log_snr: Tensor) -> Tensor:
        return torch.sigmoid(-log_snr / 2)


@dataclass(frozen=True)
class VPLinear(Path):
    r"""Variance preserving with a rate linear in time: alpha^2 = exp(-B), sigma^2 = 1 - exp(-B).

    B = beta_min t + (beta_max - beta_min) t^2 / 2. With the defaults this is the continuous form of the thousand levels
    of Ho et al. 2020. The velocity is infinite at t = 0, and at t = 1 a remnant alpha = 0.0066 of the data remains.

    References:
        Ho et al. 2020, https://arxiv.org/abs/2006.11239; Song et al. 2021, https://arxiv.org/abs/2011.13456, eq. 32
    """

    beta_min: float = 0.1
    beta_max: float = 20.0

    def __post_init__(self) -> None:
        if not 0 < self.beta_min < self.beta_max:
            raise UsageError(
                f"a linear schedule needs 0 < beta_min < beta_max, not {self.beta_min} and {self.beta_max}"
            )

    def at(self, t: Tensor) -> Moment[Tensor]:
        slope = self.beta_max - self.beta_min
        rate = self.beta_min + slope * t
        integral = t * (self.beta_min + slope * t / 2)
        alpha = torch.exp(-integral / 2)
        sigma = torch.sqrt(-torch.expm1(-integral))
        return Moment(t, alpha, sigma, -rate * alpha / 2, rate * alpha**2 / (2 * sigma))

    def time(self, log_snr: Tensor) -> Tensor:
        integral = torch.nn.functional.softplus(-log_snr)
        slope = self.beta_max - self.beta_min
        return 2 * integral / (self.beta_min + torch.sqrt(self.beta_min**2 + 2 * slope * integral))


@dataclass(frozen=True)
class VPCosine(Path):
    """Variance preserving at constant angular speed: alpha = cos(phi), sigma = sin(phi), phi proportional to t.

    Arguments:
        remnant: alpha at t = 1. Must be positive for a network that predicts the noise, since the noise does not
            determine the data where alpha vanishes.

    References:
        Nichol & Dhariwal 2021, https://arxiv.org/abs/2102.09672, eq. 17; Salimans & Ho 2022,
        https://arxiv.org/abs/2202.00512, section 4
    """

    remnant: float = 0.0

    def __post_init__(self) -> None:
        if not 0 <= self.remnant < 1:
            raise UsageError(f"the remnant of a cosine schedule must be in [0, 1), not {self.remnant}")

    def at(self, t: Tensor) -> Moment[Tensor]:
        speed = math.acos(self.remnant)
        # sin(pi/2 - phi) rather than cos(phi): exactly zero, not slightly negative, where the angle is pi/2.
        alpha = torch.sin(math.asin(self.remnant) + speed * (1 - t))
        sigma = torch.sin(speed * t)
        return Moment(t, alpha, sigma, -speed * sigma, speed * alpha)

    def time(self, log_snr: Tensor) -> Tensor:
        return torch.atan(torch.exp(-log_snr / 2)) / math.acos(self.remnant)


@dataclass(frozen=True)
class VarianceExploding(Path):
    """Noise added to unscaled data: alpha = 1, sigma = sigma_min (sigma_max / sigma_min)^t.

    Arguments:
        sigma_min, sigma_max: standard deviation of the noise at t = 0 and t = 1, in units of z.

    References:
        Song et al. 2021, https://arxiv.org/abs/2011.13456, eq. 31; Karras et al. 2022, https://arxiv.org/abs/2206.00364
    """

    sigma_min: float = 0.002
    sigma_max: float = 80.0

    def __post_init__(self) -> None:
        if not 0 < self.sigma_min < self.sigma_max:
            raise UsageError(
                f"an exploding schedule needs 0 < sigma_min < sigma_max, not {self.sigma_min} and {self.sigma_max}"
            )

    def at(self, t: Tensor) -> Moment[Tensor]:
        growth = math.log(self.sigma_max / self.sigma_min)
        sigma = self.sigma_min * torch.exp(growth * t)
        return Moment(t, torch.ones_like(t), sigma, torch.zeros_like(t), growth * sigma)

    def time(self, log_snr: Tensor) -> Tensor:
        return (-log_snr / 2 - math.log(self.sigma_min)) / math.log(self.sigma_max / self.sigma_min)
