r"""Scalar phi^4 theory on a periodic lattice.

.. math:: S(\varphi) = \sum_x \Big[ M^2 \varphi_x^2 + \lambda \varphi_x^4
          + \sum_\mu (2 \varphi_x^2 - \varphi_x \varphi_{x+\hat\mu} - \varphi_x \varphi_{x-\hat\mu}) \Big]

in the convention of Albergo, Kanwar and Shanahan (2019, arXiv:1904.12072) and of the tutorial arXiv:2101.08176, whose
example is L = 8, M^2 = -4, lambda = 8. The hopping term is :math:`\sum_{x,\mu} (\varphi_{x+\hat\mu} - \varphi_x)^2`.

Without coupling the lattice waves are independent: with :math:`K_k = M^2 + \sum_\mu (2 - 2\cos k_\mu)` the action is
:math:`\sum_k K_k |\varphi_k|^2`, so that

.. math:: \ln Z = \tfrac{n}{2} \ln \pi - \tfrac{1}{2} \sum_k \ln K_k, \qquad \langle S \rangle = n / 2, \qquad n = L^d .
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from pushforward.energies.energy import Energy
from pushforward.energies.facts import Facts
from pushforward.energies.reference import ReferenceSampler, flip_and_shift
from pushforward.errors import UsageError
from pushforward.spaces import Field

__all__ = ["free_field", "lattice_phi4"]

# Keys: arguments of `lattice_phi4`; values from the table of ``python -m benchmarks energies``.
_MEASURED = {
    (8, -4.0, 8.0, 2): Facts(log_z=9.290, log_z_error=0.007, mean_energy=10.340, mean_energy_error=0.008, virial=64.0),
}


def lattice_phi4(length: int = 8, *, mass_squared: float = -4.0, coupling: float = 8.0, dim: int = 2) -> Energy:
    """phi^4 theory on fields ``(batch, 1, L, ..., L)``; the action, in units of kT, is even in the field.

    Arguments:
        length: L, sites along each axis.
        mass_squared: M^2; negative values need a coupling.
        coupling: lambda.
        dim: of the lattice.

    Raises:
        UsageError: if exp(-S) cannot be normalised, or the lattice is too small.

    >>> lattice_phi4(4)(torch.ones(1, 1, 4, 4))
    tensor([64.])
    """
    if length < 2 or dim < 1:
        raise UsageError(f"a lattice needs at least 2 sites along 1 axis; got length={length}, dim={dim}")
    if coupling < 0 or (coupling == 0 and mass_squared <= 0):
        raise UsageError(
            "exp(-S) has no finite integral: give a positive coupling, or a positive mass_squared without coupling; "
            f"got mass_squared={mass_squared}, coupling={coupling}"
        )
    axes = tuple(range(2, 2 + dim))
    sites = length**dim

    def action(x: Tensor) -> Tensor:
        squared = x.square()
        density = squared * (mass_squared + coupling * squared)
        for axis in axes:
            density = density + (x.roll(-1, axis) - x).square()
        return density.flatten(1).sum(1)

    def gradient(x: Tensor) -> Tensor:
        slope = x * (2 * mass_squared + 4 * dim + 4 * coupling * x.square())
        for axis in axes:
            slope = slope - 2 * (x.roll(1, axis) + x.roll(-1, axis))
        return slope

    free = coupling == 0
    energy = Energy(
        action,
        Field(1, (length,) * dim, periodic=True, isotropic=True),
        name="free-field" if free else "phi4",
        facts=_free_facts(length, mass_squared, dim)
        if free
        else _MEASURED.get((length, mass_squared, coupling, dim), Facts(virial=float(sites))),
        scale=_width(mass_squared, coupling, dim),
        gradient=gradient,
    )
    energy.sampler = (
        (lambda count, seed: _free_samples(count, seed, length, mass_squared, dim))
        if free
        else ReferenceSampler(energy, flip_and_shift, chains=500, warm_up=300, thin=5, leapfrog=8)
    )
    return energy


def free_field(length: int = 8, *, mass_squared: float = 1.0, dim: int = 2) -> Energy:
    """Theory without coupling: a Gaussian with exact ln Z, mean action and samples."""
    return lattice_phi4(length, mass_squared=mass_squared, coupling=0.0, dim=dim)


def _spectrum(length: int, mass_squared: float, dim: int) -> Tensor:
    """K_k, shape ``(L, ..., L)``."""
    wave = 2 - 2 * torch.cos(2 * math.pi * torch.arange(length, dtype=torch.float64) / length)
    grids = torch.meshgrid(*[wave] * dim, indexing="ij")
    return mass_squared + torch.stack(grids).sum(0)


def _free_facts(length: int, mass_squared: float, dim: int) -> Facts:
    sites = length**dim
    log_z = sites / 2 * math.log(math.pi) - _spectrum(length, mass_squared, dim).log().sum().item() / 2
    return Facts(log_z=log_z, mean_energy=sites / 2, virial=float(sites))


def _free_samples(count: int, seed: int, length: int, mass_squared: float, dim: int) -> Tensor:
    """Independent fields with <|phi_k|^2> = 1 / (2 K_k), float64."""
    generator = torch.Generator().manual_seed(seed)
    axes = tuple(range(-dim, 0))
    noise = torch.randn(count, 1, *[length] * dim, generator=generator, dtype=torch.float64)
    waves = torch.fft.fftn(noise, dim=axes) / (2 * _spectrum(length, mass_squared, dim)).sqrt()
    return torch.fft.ifftn(waves, dim=axes).real


def _width(mass_squared: float, coupling: float, dim: int) -> float:
    """Standard deviation of a site in the best-fitting Gaussian: 1 / w = 2 (M^2 + 2 d) + 12 lambda w, w = <phi^2>.

    Neighbours are fixed at zero, a good approximation for a short correlation length.
    """
    linear = 2 * (mass_squared + 2 * dim)
    if coupling == 0:
        return 1 / math.sqrt(linear)
    return math.sqrt((math.sqrt(linear**2 + 48 * coupling) - linear) / (24 * coupling))
