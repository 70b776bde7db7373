r"""Physical processes that turn data into noise, each by the field of a unit point source (GenPhys).

A linear equation for phi(x, t) becomes a flow of something conserved, or nearly so, if it can be read as

    dp/dt + div J = R,

with a density p >= 0, its flux J and a rate R at which it is born or lost. For one data point p and J are the Green's
function's; for a distribution of data they add up, so that the velocity at a point is the mean of the velocities that
the data points there would give it, which is what a network learns by regression. Where R is not zero, the flow of the
*normalised* density needs a corrected velocity u,

    dq/dt + div(q u) = 0,      q = p / (integral of p),

which is what `velocity` returns, so that following it backwards samples without weights, births or deaths.

| process           | p              | J          | R          | kernel                                                |
|-------------------|----------------|------------|------------|-------------------------------------------------------|
| `Diffusion`       | phi            | -grad phi  | 0          | normal of variance 2t                                 |
| `Poisson`         | -phi_t         | -grad phi  | 0          | t / (x^2 + t^2)^((N+1)/2): Cauchy                     |
| `Yukawa`          | -phi_t         | -grad phi  | -m^2 phi   | the same, cut off beyond 1/m: normal-inverse-Gaussian |
| `Helmholtz`       | -phi_t         | -grad phi  | +k0^2 phi  | the same with Y for K: positive in a ball             |
| `DissipativeWave` | phi_t + 2e phi | -grad phi  | 0          | the telegraph process, for each coordinate            |

References:
    Liu et al. 2023, GenPhys, https://arxiv.org/abs/2304.02637; signs and Green's functions derived here, and tested
    Xu et al. 2022, https://arxiv.org/abs/2209.11178 (Poisson)
    Kac 1974, https://doi.org/10.1216/RMJ-1974-4-3-497; Duong et al. 2025, https://arxiv.org/abs/2506.20641 (telegraph)
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import torch
from jaxtyping import Float
from torch import Generator, Tensor

from pushforward.errors import UsageError
from pushforward.transport.bessel import first_zero, scaled_k, scaled_y
from pushforward.transport.dispersion import refuse_unless_smoothing
from pushforward.transport.screened import expansion, relative_variance

__all__ = [
    "PROCESSES",
    "Diffusion",
    "DissipativeWave",
    "Helmholtz",
    "Poisson",
    "Process",
    "Yukawa",
    "continuity_residual",
    "process",
    "transport_residual",
]

Points = Float[Tensor, "batch dim"]
Times = Float[Tensor, "batch 1"]
Values = Float[Tensor, "batch 1"]


@dataclass(frozen=True)
class Process(ABC):
    """A process, by its field of a unit source at the origin at t = 0, in ``dim`` dimensions.

    Everywhere x is (batch, dim) and t (batch, 1), float64 for accurate derivatives; lengths in the unit of the data.
    """

    dim: int
    name: ClassVar[str]

    @abstractmethod
    def density(self, x: Points, t: Times) -> Values:
        """p, per volume."""

    @abstractmethod
    def flux(self, x: Points, t: Times) -> Points:
        """J."""

    def source(self, x: Points, t: Times) -> Values:
        """R, per volume and time."""
        return torch.zeros_like(t)

    def normalised(self, x: Points, t: Times) -> Values:
        """q: p over its integral."""
        return self.density(x, t)

    def velocity(self, x: Points, t: Times) -> Points:
        """u, which carries the normalised density."""
        return self.flux(x, t) / self.density(x, t)

    @abstractmethod
    def length(self, t: Tensor) -> Tensor:
        """How far the kernel reaches at t, up to a factor: what to scale a network's inputs by."""

    def draw(self, t: Times, generator: Generator | None = None) -> tuple[Points, Points]:
        """Displacements from the data point, one a row of ``t``, distributed as q, and a velocity of each.

        The mean of the velocities that lead to one place is that of `velocity`.
        """
        x = self._displacements(t, generator)
        return x, self.velocity(x, t)

    def _displacements(self, t: Times, generator: Generator | None) -> Points:
        raise NotImplementedError

    def _normal(self, t: Times, generator: Generator | None, columns: int | None = None) -> Tensor:
        return torch.randn(len(t), columns or self.dim, generator=generator, dtype=t.dtype)


@dataclass(frozen=True)
class Diffusion(Process):
    """phi_t = lap phi: Brownian motion, of variance 2t in each coordinate."""

    name: ClassVar[str] = "diffusion"

    def density(self, x: Points, t: Times) -> Values:
        return torch.exp(-_square(x) / (4 * t)) * (4 * math.pi * t) ** (-self.dim / 2)

    def flux(self, x: Points, t: Times) -> Points:
        return self.density(x, t) * x / (2 * t)

    def velocity(self, x: Points, t: Times) -> Points:
        return x / (2 * t)

    def length(self, t: Tensor) -> Tensor:
        return torch.sqrt(2 * t)

    def _displacements(self, t: Times, generator: Generator | None) -> Points:
        return torch.sqrt(2 * t) * self._normal(t, generator)


@dataclass(frozen=True)
class Poisson(Process):
    """phi_tt + lap phi = 0: charges on the plane t = 0 of a space with one more dimension, and their lines of force."""

    name: ClassVar[str] = "poisson"

    def density(self, x: Points, t: Times) -> Values:
        half = (self.dim + 1) / 2
        return math.gamma(half) * math.pi**-half * t * (_square(x) + t**2) ** -half

    def flux(self, x: Points, t: Times) -> Points:
        return self.density(x, t) * x / t

    def velocity(self, x: Points, t: Times) -> Points:
        return x / t

    def length(self, t: Tensor) -> Tensor:
        return t

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
        m, distance = self.mass, torch.sqrt(_square(x) + t**2)
        return (distance + t + m * t * distance) / ((distance + t) * (1 + m * distance))

    def _mean_over_scales(self, x: Points, t: Times) -> Values:
        """In any number of dimensions: a smooth integral over log s, by the trapezoidal rule."""
        half, square = (self.dim + 1) / 2, _square(x) + t**2
        peak = square / 2 / (half + torch.sqrt(half**2 + self.mass**2 * square))
        width = (half + 2 * self.mass**2 * peak) ** -0.5
        # The integral does not depend on where its nodes lie.
        log_time = (peak.log() + width * torch.linspace(-12, 24, 301, dtype=x.dtype)).detach()
        time = log_time.exp()
        weight = torch.softmax(-half * log_time - self.mass**2 * time - square / (4 * time), dim=1)
        return (weight * expansion(torch.sqrt(2 * time), t, self.mass)).sum(1, keepdim=True)

    def length(self, t: Tensor) -> Tensor:
        return t / torch.sqrt(1 + self.mass * t)

    def draw(self, t: Times, generator: Generator | None = None) -> tuple[Points, Points]:
        uniform = torch.rand(len(t), 1, generator=generator, dtype=t.dtype)
        ratio = relative_variance(self._normal(t, generator, 1), uniform, self.mass * t)
        scale = torch.sqrt(t / self.mass * ratio)
        x = scale * self._normal(t, generator)
        return x, x / t * expansion(scale, t, self.mass)

    def _field(self, x: Points, t: Times, order: float) -> Values:
        """exp(m t) (m rho)^-order K_order(m rho), with rho^2 = x^2 + t^2."""
        distance = torch.sqrt(_square(x) + t**2)
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
        return self._density(self.dim, _square(x), t)

    def flux(self, x: Points, t: Times) -> Points:
        return self.density(x, t) * x / t

    def source(self, x: Points, t: Times) -> Values:
        return self.wavenumber**2 * self._potential(self.dim, _square(x), t)

    def normalised(self, x: Points, t: Times) -> Values:
        return self.density(x, t) / self._enclosed(self.reach(t) ** 2, t)[0]

    def velocity(self, x: Points, t: Times) -> Points:
        square = _square(x)
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

    def _displacements(self, t: Times, generator: Generator | None) -> Points:
        """By rejection from the Poisson kernel."""
        poisson, x = Poisson(self.dim), torch.empty(len(t), self.dim, dtype=t.dtype)
        waiting, reach = torch.arange(len(t)), self.reach(t)
        while len(waiting):
            now = t[waiting]
            trial, _ = poisson.draw(now, generator)
            inside = _square(trial) < reach[waiting] ** 2
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


PROCESSES: dict[str, Callable[..., Process]] = {
    kind.name: kind for kind in (Diffusion, Poisson, Yukawa, Helmholtz, DissipativeWave)
}


def process(name: str, dim: int, **parameters: Any) -> Process:
    """A process by its name.

    >>> process("yukawa", 2, mass=3.0)
    Yukawa(dim=2, mass=3.0)

    Raises:
        UsageError: if there is none of that name, or it is one that cannot generate; the sentence says why.
    """
    refuse_unless_smoothing(name)
    return PROCESSES[name](dim, **parameters)


def continuity_residual(process: Process, x: Points, t: Times) -> Values:
    """dp/dt + div J - R by automatic differentiation, over the sum of the absolute values of its terms."""
    x, t = (value.detach().clone().requires_grad_() for value in (x, t))
    change = _gradient(process.density(x, t), t)
    parts = [change, *_divergence(process.flux(x, t), x), -process.source(x, t)]
    return _relative(parts)


def transport_residual(process: Process, x: Points, t: Times) -> Values:
    """dq/dt + div(q u), in the same way: whether `velocity` carries the normalised density."""
    x, t = (value.detach().clone().requires_grad_() for value in (x, t))
    density = process.normalised(x, t)
    return _relative([_gradient(density, t), *_divergence(density * process.velocity(x, t), x)])


_IDEAL = "without it waves never die out, and no detail of the data is forgotten"


def _square(x: Tensor) -> Tensor:
    return x.square().sum(1, keepdim=True)


def _sphere(dim: int) -> float:
    """Area of the unit sphere in ``dim`` dimensions."""
    return 2 * math.pi ** (dim / 2) / math.gamma(dim / 2)


def _green_factor(dim: int) -> float:
    """So that the density of a unit source integrates to 1 at t = 0."""
    return 2 ** (-(dim - 1) / 2) * math.pi ** (-(dim + 1) / 2)


def _gamma(shape: Tensor, generator: Generator | None) -> Tensor:
    """Gamma variates of whole-numbered shape, 0 where it is 0."""
    # Half the sum of squares of 2 n normal numbers would need arrays of ragged length; numpy's sampler has none.
    import numpy as np

    seed = int(torch.randint(2**62, (1,), generator=generator))
    return torch.from_numpy(np.random.default_rng(seed).standard_gamma(shape.numpy())).to(shape)


def _gradient(value: Tensor, of: Tensor) -> Tensor:
    return torch.autograd.grad(value.sum(), of, create_graph=True)[0]


def _divergence(field: Tensor, x: Tensor) -> list[Tensor]:
    return [_gradient(field[:, i], x)[:, i : i + 1] for i in range(x.shape[1])]


def _relative(parts: list[Tensor]) -> Tensor:
    terms = torch.stack([part.detach() for part in parts])
    return terms.sum(0) / terms.abs().sum(0).clamp_min(1e-300)
