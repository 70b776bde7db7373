r"""Ising model on a periodic square lattice, with exact results for every finite size.

.. math:: U(s) = -K \sum_{x,\mu} s_x s_{x+\hat\mu}, \qquad s_x = \pm 1, \qquad K = J / k_B T .

Z is the sum over all 2^n states of the n = L^2 spins (Kaufman 1949, Phys. Rev. 76, 1232): with
:math:`\cosh \gamma_l = \cosh 2K \coth 2K - \cos(\pi l / L)` and :math:`\gamma_0 = 2K + \ln \tanh K`, which changes
sign at the critical coupling K_c = ln(1 + sqrt 2) / 2,

.. math:: Z = \tfrac{1}{2} (2 \sinh 2K)^{n/2} \sum_{\text{odd, even}}
              \Big[ \prod_{r<L} 2 \cosh \tfrac{L \gamma_l}{2} + \prod_{r<L} 2 \sinh \tfrac{L \gamma_l}{2} \Big],
              \qquad l = 2r + 1 \text{ or } 2r,

and <U> = -K d ln Z / dK.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from pushforward.energies.energy import Energy
from pushforward.energies.facts import Facts
from pushforward.energies.swendsen_wang import swendsen_wang
from pushforward.errors import UsageError
from pushforward.spaces import Field

__all__ = ["CRITICAL_TEMPERATURE", "ising", "ising_facts"]

CRITICAL_TEMPERATURE = 2 / math.log(1 + math.sqrt(2))
"""Critical temperature of the infinite lattice, in units of J / k_B: 2.269185."""


def ising(length: int = 16, temperature: float = CRITICAL_TEMPERATURE) -> Energy:
    """Ising model, on spins ``(batch, 1, L, L)`` of values -1 and 1; ln Z and the entropy are those of its states.

    Arguments:
        length: L, spins along each axis.
        temperature: in units of J / k_B.

    Raises:
        UsageError: if the lattice is smaller than 3 or the temperature not positive.

    >>> ising(4, temperature=2.0)(torch.ones(1, 1, 4, 4))
    tensor([-16.])
    """
    if length < 3 or not temperature > 0:
        raise UsageError(
            f"the Ising model needs at least 3 spins along each axis and a positive temperature; "
            f"got length={length}, temperature={temperature}"
        )
    coupling = 1 / temperature

    def action(x: Tensor) -> Tensor:
        bonds = x * (x.roll(-1, -1) + x.roll(-1, -2))
        return -coupling * bonds.flatten(1).sum(1)

    def sampler(count: int, seed: int) -> Tensor:
        spins = swendsen_wang(torch.full((count,), coupling).numpy(), length, seed=seed)
        return torch.as_tensor(spins).double().unsqueeze(1)

    return Energy(
        action,
        Field(1, (length, length), periodic=True, isotropic=True),
        name="ising",
        facts=lambda: ising_facts(length, coupling),
        sampler=sampler,
    )


def ising_facts(length: int, coupling: float) -> Facts:
    """Exact ln Z and <U> of the L x L lattice at the coupling K, from Kaufman's formula and its derivative."""
    with torch.enable_grad():
        variable = torch.tensor(coupling, dtype=torch.float64, requires_grad=True)
        log_z = _log_z(length, variable)
    (slope,) = torch.autograd.grad(log_z, variable)
    return Facts(log_z=log_z.item(), mean_energy=-coupling * slope.item())


def _log_z(length: int, coupling: Tensor) -> Tensor:
    twice = 2 * coupling
    angle = math.pi * torch.arange(1, 2 * length, dtype=torch.float64) / length
    gamma = torch.acosh(twice.cosh() / twice.tanh() - angle.cos())  # of l = 1, ..., 2 L - 1
    first = twice + coupling.tanh().log()  # of l = 0
    half = length / 2
    odd, even = half * gamma[0::2], half * gamma[1::2]
    # Logarithms of all factors but that of gamma_0, which may be negative or zero.
    terms = torch.stack([_log_twice_cosh(odd), _log_twice_sinh(odd), _log_twice_cosh(even), _log_twice_sinh(even)])
    one = torch.ones_like(first)
    factors = torch.stack([one, one, 2 * (half * first).cosh(), 2 * (half * first).sinh()])
    largest = terms.max().detach()
    total = (factors * (terms - largest).exp()).sum().log() + largest
    return -math.log(2) + length**2 / 2 * (2 * twice.sinh()).log() + total


def _log_twice_cosh(x: Tensor) -> Tensor:
    return (x + torch.log1p((-2 * x).exp())).sum()


def _log_twice_sinh(x: Tensor) -> Tensor:
    return (x + torch.log1p(-(-2 * x).exp())).sum()
