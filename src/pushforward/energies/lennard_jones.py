r"""LJ13: thirteen Lennard-Jones particles in an oscillator.

.. math:: U(x) = s \sum_{i<j} \epsilon \left[ (\sigma / r_{ij})^{12} - 2 (\sigma / r_{ij})^6 \right]
                 + \frac{k}{2} \sum_i |x_i - \bar x|^2

The pair potential has its minimum, -s epsilon, at r = sigma. **Two conventions are in use** and differ by the factor s.
With s = 2, a sum over ordered pairs and the default, it is the energy of iDEM and of the samples of Klein et al. (2023,
arXiv:2306.15030), whose virial is then the required 36. With s = 1, a sum over unordered pairs, it is that of Midgley
et al. (2023) and of today's bgflow. Log-densities of the two are not comparable.

ln Z and <U> of the default are measured: ``python -m benchmarks energies``.
"""

from __future__ import annotations

from torch import Tensor

from pushforward.energies.energy import Energy
from pushforward.energies.facts import Facts
from pushforward.energies.pairwise import pair_energy, pair_gradient
from pushforward.energies.reference import ReferenceSampler, turn_and_permute
from pushforward.errors import UsageError
from pushforward.spaces import Particles

__all__ = ["lennard_jones"]

# Keys: arguments of `lennard_jones`; values from the table of ``python -m benchmarks energies``.
_MEASURED = {
    (13, 3, 1.0, 1.0, 1.0, 2.0): Facts(
        log_z=59.855, log_z_error=0.034, mean_energy=-42.964, mean_energy_error=0.027, virial=36.0
    ),
}


def lennard_jones(
    count: int = 13,
    dim: int = 3,
    *,
    epsilon: float = 1.0,
    radius: float = 1.0,
    spring: float = 1.0,
    pair_factor: float = 2.0,
) -> Energy:
    """Lennard-Jones cluster, on centred configurations ``(batch, count, dim)``.

    Arguments:
        count: number of particles.
        dim: of space.
        epsilon: energy scale of a pair, in units of kT.
        radius: sigma, distance of the minimum.
        spring: k of the oscillator about the centre of mass, in units of kT per squared length.
        pair_factor: s, 2 for sums over ordered pairs (Klein et al., iDEM), 1 for unordered pairs (Midgley et al.).

    Raises:
        UsageError: if an option is not positive.
    """
    if min(count - 1, dim, epsilon, radius, spring, pair_factor) <= 0:
        raise UsageError(
            "a Lennard-Jones cluster needs at least 2 particles, and positive dim, epsilon, radius, spring"
        )
    depth = pair_factor * epsilon

    def potential(squared: Tensor) -> Tensor:
        attraction = (radius**2 / squared) ** 3
        return depth * attraction * (attraction - 2)

    def slope(squared: Tensor) -> Tensor:
        attraction = (radius**2 / squared) ** 3
        return 6 * depth * attraction * (1 - attraction) / squared

    def action(x: Tensor) -> Tensor:
        apart = x - x.mean(1, keepdim=True)
        return pair_energy(x, potential) + spring / 2 * apart.square().sum((1, 2))

    def gradient(x: Tensor) -> Tensor:
        return pair_gradient(x, slope) + spring * (x - x.mean(1, keepdim=True))

    energy = Energy(
        action,
        Particles(count, dim, centred=True),
        name=f"lj{count}",
        facts=_MEASURED.get((count, dim, epsilon, radius, spring, pair_factor), Facts(virial=float((count - 1) * dim))),
        scale=radius * (count / 13) ** (1 / dim),
        gradient=gradient,
    )
    energy.sampler = ReferenceSampler(energy, turn_and_permute, chains=500, warm_up=400, thin=10, leapfrog=10)
    return energy
