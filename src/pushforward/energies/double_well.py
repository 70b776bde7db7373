r"""DW4: four particles in the plane whose pair potential has two wells.

.. math:: U(x) = \sum_{i<j} a (r_{ij} - r_0)^4 + b (r_{ij} - r_0)^2 + c (r_{ij} - r_0)

With a = 0.9, b = -4, c = 0 and r_0 = 4 the wells lie at r = 4 +- 1.49, 4.44 kT deep. The energy is that of Köhler,
Klein and Noé (2020, arXiv:2006.02425) and of Satorras et al. (2021, arXiv:2105.09016), invariant under translations,
rotations, reflections and permutations.

By `four_bodies`, ln Z = 29.6672, <U> = -22.5415 and the entropy is 7.1257 nats, the lower bound on every model's
mean negative log-density on unbiased samples. Values without the constant 3 ln(2 pi) of the centred Gaussian are
lower by 5.5136.
"""

from __future__ import annotations

import torch
from torch import Tensor

from pushforward.energies.energy import Energy
from pushforward.energies.facts import Facts
from pushforward.energies.four_bodies import four_body_integrals
from pushforward.energies.pairwise import pair_energy, pair_gradient
from pushforward.energies.reference import ReferenceSampler, turn_and_permute
from pushforward.spaces import Particles

__all__ = ["double_well"]

# r^2 below which the derivative with respect to r^2 is cut off: at r = 1e-6, where p vanishes.
_CLOSEST = 1e-12


def double_well(a: float = 0.9, b: float = -4.0, c: float = 0.0, offset: float = 4.0) -> Energy:
    """DW4, on centred configurations ``(batch, 4, 2)``.

    Arguments:
        a, b, c: coefficients of the pair potential in units of kT per length to the power 4, 2 and 1; a > 0.
        offset: distance r_0 of the barrier.

    >>> round(double_well().facts.entropy, 4)
    7.1257
    """

    def potential(squared: Tensor) -> Tensor:
        beyond = squared.clamp(min=_CLOSEST).sqrt() - offset
        return a * beyond**4 + b * beyond**2 + c * beyond

    def slope(squared: Tensor) -> Tensor:
        distance = squared.clamp(min=_CLOSEST).sqrt()
        beyond = distance - offset
        return (4 * a * beyond**3 + 2 * b * beyond + c) / (2 * distance)

    def facts() -> Facts:
        exact = four_body_integrals(lambda r: potential(torch.as_tensor(r**2)).numpy(), reach=offset + 4.0)
        return Facts(log_z=exact.log_z, mean_energy=exact.mean_energy, virial=6.0)

    energy = Energy(
        lambda x: pair_energy(x, potential),
        Particles(4, 2, centred=True),
        name="dw4",
        facts=facts,
        scale=2.0,
        gradient=lambda x: pair_gradient(x, slope),
    )
    # A ladder to four times the temperature crosses the barriers of 4.44 kT.
    energy.sampler = ReferenceSampler(
        energy, turn_and_permute, temperatures=(1.0, 1.6, 2.5, 4.0), chains=1000, warm_up=1000, thin=8, leapfrog=5
    )
    return energy
