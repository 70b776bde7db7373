r"""Normalisers by bridge sampling along a ladder of temperatures.

For two unnormalised densities a and b, with l = ln b - ln a and equally many draws of each, the estimate of least error
of c = ln(Z_b / Z_a) solves

.. math:: \sum_{x \sim a} \frac{1}{1 + e^{c - l(x)}} = \sum_{x \sim b} \frac{1}{1 + e^{l(x) - c}}

(Bennett 1976, J. Comput. Phys. 22, 245; Meng and Wong 1996). It converges to the exact value as the number of draws
grows, and is precise if the two densities overlap. `measured_facts` goes from exp(-U) through exp(-U/T) to a
temperature at which the density overlaps with a Gaussian of known normaliser.
"""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor

from pushforward.energies.chains import Chains
from pushforward.energies.energy import Energy
from pushforward.energies.facts import Facts
from pushforward.energies.sampling import Watch, replica_exchange
from pushforward.errors import UsageError
from pushforward.tensors.subspace import degrees

__all__ = ["bridge", "measured_facts"]


def bridge(at_a: Float[Tensor, "n"], at_b: Float[Tensor, "n"]) -> float:
    """ln(Z_b / Z_a) in nats.

    Arguments:
        at_a: l = ln b - ln a, unnormalised, at draws of a; -inf where b vanishes.
        at_b: l at equally many draws of b.

    Raises:
        UsageError: if the numbers of draws differ.

    >>> round(bridge(torch.full((5,), 3.0), torch.full((5,), 3.0)), 6)
    3.0
    """
    if at_a.shape != at_b.shape:
        raise UsageError(f"bridge sampling needs equally many draws of a and b; got {len(at_a)} and {len(at_b)}")
    finite = torch.cat([at_a, at_b])
    finite = finite[finite.isfinite()].double()
    # Between the extremes if all are finite; draws where the other density vanishes move c by at most their logarithm.
    beyond = math.log(2 * len(at_a))
    low, high = finite.min().item() - beyond, finite.max().item() + beyond
    while high - low > 1e-12 * max(1.0, abs(low), abs(high)):
        middle = (low + high) / 2
        if middle in (low, high):
            break
        excess = torch.sigmoid(at_a.double() - middle).sum() - torch.sigmoid(middle - at_b.double()).sum()
        low, high = (middle, high) if excess > 0 else (low, middle)
    return (low + high) / 2


def measured_facts(
    energy: Energy,
    temperatures: tuple[float, ...],
    draws: int,
    *,
    chains: int = 200,
    groups: int = 10,
    warm_up: int = 300,
    thin: int = 5,
    leapfrog: int = 8,
    seed: int = 0,
    watch: Watch = iter,
) -> Facts:
    """ln Z and <U> of an energy, with standard errors from groups of independent chains.

    Arguments:
        energy: U.
        temperatures: ascending from 1, so close that neighbours exchange, up to one at which exp(-U/T) is
            nearly Gaussian.
        draws: per chain.
        groups: number of groups of chains; each gives one estimate.
        chains, warm_up, thin, leapfrog, seed, watch: see `replica_exchange`.

    Raises:
        UsageError: if the chains cannot be divided into at least two groups, or the ladder is invalid.
    """
    if not 2 <= groups <= chains:
        raise UsageError(f"{chains} chains cannot be divided into {groups} groups; give 2 to {chains}")
    made = replica_exchange(
        energy,
        draws,
        chains=chains,
        temperatures=temperatures,
        warm_up=warm_up,
        thin=thin,
        leapfrog=leapfrog,
        seed=seed,
        watch=watch,
    )
    generator = torch.Generator().manual_seed(seed)
    estimates = torch.tensor([_log_z(energy, made, part, generator) for part in torch.arange(chains).chunk(groups)])
    mean_energy, mean_energy_error = made.mean_energy
    return Facts(
        log_z=estimates.mean().item(),
        log_z_error=(estimates.std() / math.sqrt(len(estimates))).item(),
        mean_energy=mean_energy,
        mean_energy_error=mean_energy_error,
        virial=energy.facts.virial,
    )


def _log_z(energy: Energy, chains: Chains, part: Tensor, generator: torch.Generator) -> float:
    """ln Z from a part of the chains."""
    levels = chains.energies[:, :, part].movedim(1, 0).flatten(1)
    sizes = chains.sizes[:, -1, part].flatten()
    beta = [1 / temperature for temperature in chains.temperatures]
    free = degrees(energy.space)
    variance = sizes.mean().item() / free
    x = energy.start(len(sizes), generator)
    x = energy.location + (x - energy.location) * (math.sqrt(variance) / energy.scale)
    with torch.no_grad():
        at_gaussian = -beta[-1] * energy(x) + (x - energy.location).square().flatten(1).sum(1) / (2 * variance)
    at_gaussian = at_gaussian.nan_to_num(nan=-math.inf, neginf=-math.inf)
    at_hottest = -beta[-1] * levels[-1] + sizes / (2 * variance)
    log_z = free / 2 * math.log(2 * math.pi * variance) + bridge(at_gaussian, at_hottest)
    for hot in range(len(beta) - 1, 0, -1):
        step = beta[hot] - beta[hot - 1]
        log_z += bridge(step * levels[hot], step * levels[hot - 1])
    return log_z
