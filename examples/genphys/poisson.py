r"""Fields of charges on the plane t = 0 of a space with one more dimension: plain, screened, and growing.

In N + 1 dimensions, with rho^2 = |x|^2 + t^2 and nu = (N - 1)/2, the potential of a unit charge is

    phi = c m^(2 nu) k(m rho),      k(z) = z^-nu K_nu(z),      p = -phi_t,      J = -grad phi = p x / t,

where c = 2^-nu pi^-(nu + 1) makes p integrate to 1 at t = 0. The limit of no mass is Coulomb's, and an imaginary mass
i k0 puts -(pi/2) Y for K.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import torch
from examples.genphys.bessel import first_zero, scaled_k, scaled_y
from examples.genphys.process import Points, Process, Times, Values, square_norm
from torch import Generator, Tensor

from pushforward.errors import UsageError
from pushforward.transport.screened import expansion, relative_variance

__all__ = ["Helmholtz", "Poisson", "Yukawa"]


@dataclass(frozen=True)
class Poisson(Process):
    """phi_tt + lap phi = 0: charges on the plane t = 0 of a space with one more dimension, and their lines of force."""

    name: ClassVar[str] = "poisson"

    def density(self, x: Points, t: Times) -> Values:
        half = (self.dim + 1) / 2
        return math.gamma(half) * math.pi**-half * t * (square_norm(x) + t**2) ** -half

    def flux(self, x: Points, t: Times) -> Points:
        return self.density(x, t) * x / t

    def velocity(self, x: Points, t: Times) -> Points:
        return x / t

    def length(self, t: Tensor) -> Tensor:
        return t

    def spread(self, t: Tensor) -> Tensor:
        return torch.sqrt(t * (1 + t))

    def _displacements(self, t: Times, generator: Generator | None) -> Points:
        return t * self._normal(t, generator) / self._normal(t, generator, 1).abs()


@dataclass(frozen=True)
class Yukawa(Process):
    """phi_tt + lap phi = m^2 phi: charges whose field is screened over the length 1/m. See `screened`.

    The integral of p falls as exp(-m t). The velocity J/p = x/t would leave a density that is not the normalised one;
    the corrected one is shorter by the mean of c at that distance.
    """

    mass: float = 1.0
    name: ClassVar[str] = "yukawa"

    def __post_init__(self) -> None:
        if self.mass <= 0:
            raise UsageError(f"the mass of a yukawa process must be positive, not {self.mass}; 'poisson' has none")

    def density(self, x: Points, t: Times) -> Values:
        return torch.exp(-self.mass * t) * self.normalised(x, t)

    def normalised(self, x: Points, t: Times) -> Values:
        return self._factor * self.mass ** (self.dim + 1) * t * self._field(x, t, (self.dim + 1) / 2)

    def flux(self, x: Points, t: Times) -> Points:
        return self.density(x, t) * x / t

    def source(self, x: Points, t: Times) -> Values:
        potential = self._factor * self.mass ** (self.dim - 1) * self._field(x, t, (self.dim - 1) / 2)
        return -(self.mass**2) * torch.exp(-self.mass * t) * potential

    def velocity(self, x: Points, t: Times) -> Points:
        return x / t * self.mean_expansion(x, t)

    def mean_expansion(self, x: Points, t: Times) -> Values:
        """The mean of c over the scales s that lead to x; elementary in the plane."""
        if self.dim != 2:
            return self._mean_over_scales(x, t)
        m, distance = self.mass, torch.sqrt(square_norm(x) + t**2)
        return (distance + t + m * t * distance) / ((distance + t) * (1 + m * distance))

    def _mean_over_scales(self, x: Points, t: Times) -> Values:
        """In any number of dimensions: a smooth integral over log s, by the trapezoidal rule."""
        half, square = (self.dim + 1) / 2, square_norm(x) + t**2
        peak = square / 2 / (half + torch.sqrt(half**2 + self.mass**2 * square))
        width = (half + 2 * self.mass**2 * peak) ** -0.5
        # The integral does not depend on where its nodes lie.
        log_time = (peak.log() + width * torch.linspace(-12, 24, 301, dtype=x.dtype)).detach()
        time = log_time.exp()
        weight = torch.softmax(-half * log_time - self.mass**2 * time - square / (4 * time), dim=1)
        return (weight * expansion(torch.sqrt(2 * time), t, self.mass)).sum(1, keepdim=True)

    def length(self, t: Tensor) -> Tensor:
        return t / torch.sqrt(1 + self.mass * t)

    def spread(self, t: Tensor) -> Tensor:
        return torch.sqrt(t / self.mass)

    def draw(self, t: Times, generator: Generator | None = None) -> tuple[Points, Points]:
        uniform = torch.rand(len(t), 1, generator=generator, dtype=t.dtype)
        ratio = relative_variance(self._normal(t, generator, 1), uniform, self.mass * t)
        scale = torch.sqrt(t / self.mass * ratio)
        x = scale * self._normal(t, generator)
        return x, x / t * expansion(scale, t, self.mass)

    def _field(self, x: Points, t: Times, order: float) -> Values:
        """exp(m t) (m rho)^-order K_order(m rho), with rho^2 = x^2 + t^2."""
        distance = torch.sqrt(square_norm(x) + t**2)
        return torch.exp(self.mass * (t - distance)) * scaled_k(order, self.mass * distance)

    @property
    def _factor(self) -> float:
        return _green_factor(self.dim)


@dataclass(frozen=True)
class Helmholtz(Process):
    """phi_tt + lap phi = -k0^2 phi, with the real Green's function: a Poisson process whose charge grows.

    The density is positive only at distances rho = sqrt(x^2 + t^2) below z/k0, where z is the first zero of Y_((N+1)/2)
    (2.798 for N = 2), and waves longer than 2 pi / k0 do not decay. So k0 must be small: the ball |x| < `reach` has to
    hold the data blurred by the kernel. `normalised`, `velocity` and `draw` are those of the density within the ball.
    """

    wavenumber: float = 0.02
    name: ClassVar[str] = "helmholtz"

    def __post_init__(self) -> None:
        if self.wavenumber <= 0:
            raise UsageError(f"the wavenumber of a helmholtz process must be positive, not {self.wavenumber}")
        if self.dim % 2:
            raise UsageError(f"a helmholtz process is implemented in even numbers of dimensions, not {self.dim}")

    def density(self, x: Points, t: Times) -> Values:
        return self._density(self.dim, square_norm(x), t)

    def flux(self, x: Points, t: Times) -> Points:
        return self.density(x, t) * x / t

    def source(self, x: Points, t: Times) -> Values:
        return self.wavenumber**2 * self._potential(self.dim, square_norm(x), t)

    def normalised(self, x: Points, t: Times) -> Values:
        return self.density(x, t) / self._enclosed(self.reach(t) ** 2, t)[0]

    def velocity(self, x: Points, t: Times) -> Points:
        square = square_norm(x)
        (mass, born), (whole, all_born) = self._enclosed(square, t), self._enclosed(self.reach(t) ** 2, t)
        # What is born within a sphere, beyond its share of all that is born, has to leave through its surface.
        surplus = born - mass * all_born / whole
        surface = _sphere(self.dim) * square ** (self.dim / 2) * self._density(self.dim, square, t)
        return x / t - x * surplus / surface

    def reach(self, t: Tensor) -> Tensor:
        """Radius of the ball in which the density is positive.

        Raises:
            UsageError: if there is none left at t.
        """
        farthest = first_zero((self.dim + 1) / 2) / self.wavenumber
        if bool((t >= farthest).any()):
            raise UsageError(
                f"a helmholtz process of wavenumber {self.wavenumber} has a positive density only before"
                f" t = {farthest:.4g}; end earlier, or choose a smaller wavenumber"
            )
        return torch.sqrt(farthest**2 - t**2)

    def length(self, t: Tensor) -> Tensor:
        return t

    def spread(self, t: Tensor) -> Tensor:
        return torch.sqrt(t * (1 + t))

    def _displacements(self, t: Times, generator: Generator | None) -> Points:
        """By rejection from the Poisson kernel."""
        poisson, x = Poisson(self.dim), torch.empty(len(t), self.dim, dtype=t.dtype)
        waiting, reach = torch.arange(len(t)), self.reach(t)
        while len(waiting):
            now = t[waiting]
            trial, _ = poisson.draw(now, generator)
            inside = square_norm(trial) < reach[waiting] ** 2
            ratio = self.density(trial, now) / poisson.density(trial, now)
            accept = torch.rand(len(now), 1, generator=generator, dtype=t.dtype) * self._largest_ratio < ratio
            taken = (accept & inside).squeeze(1)
            x[waiting[taken]] = trial[taken]
            waiting = waiting[~taken]
        return x

    @cached_property
    def _largest_ratio(self) -> float:
        """Of the densities of this process and of Poisson's, a function of k0 rho alone."""
        distance = torch.linspace(1e-3, first_zero((self.dim + 1) / 2), 2001, dtype=torch.float64)[:, None]
        x = (distance / self.wavenumber).expand(-1, self.dim) / math.sqrt(self.dim)
        t = torch.full_like(distance, 1e-6)
        return 1.001 * float((self.density(x, t) / Poisson(self.dim).density(x, t)).max())

    def _density(self, dim: int, square: Tensor, t: Tensor) -> Tensor:
        return t * self.wavenumber**2 * self._field(dim, (dim + 1) / 2, square, t)

    def _potential(self, dim: int, square: Tensor, t: Tensor) -> Tensor:
        return self._field(dim, (dim - 1) / 2, square, t)

    def _field(self, dim: int, order: float, square: Tensor, t: Tensor) -> Tensor:
        distance = torch.sqrt(square + t**2)
        return _green_factor(dim) * self.wavenumber ** (dim - 1) * scaled_y(order, self.wavenumber * distance)

    def _enclosed(self, square: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
        """Integrals of p and of R over the ball |x|^2 < ``square``.

        In two dimensions they are elementary. A Green's function in two more dimensions is -1/(2 pi r) d/dr of this
        one, so integrating by parts takes S_N/N r^N p off the integral in N dimensions, S_N the area of the sphere.
        """
        k0, distance = self.wavenumber, torch.sqrt(square + t**2)
        mass = torch.cos(k0 * t) - t / distance * torch.cos(k0 * distance)
        born = k0 * (torch.sin(k0 * distance) - torch.sin(k0 * t))
        for dim in range(2, self.dim, 2):
            volume = _sphere(dim) / dim * square ** (dim / 2)
            mass = mass - volume * self._density(dim, square, t)
            born = born - volume * k0**2 * self._potential(dim, square, t)
        return mass, born


def _sphere(dim: int) -> float:
    """Area of the unit sphere in ``dim`` dimensions."""
    return 2 * math.pi ** (dim / 2) / math.gamma(dim / 2)


def _green_factor(dim: int) -> float:
    """So that the density of a unit source integrates to 1 at t = 0."""
    return 2 ** (-(dim - 1) / 2) * math.pi ** (-(dim + 1) / 2)
