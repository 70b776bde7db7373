"""Members drawn from an energy exp(-U) / Z by its reference sampler."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from pushforward.energies import Energy
from pushforward.energies.chains import Chains
from pushforward.energies.reference import ReferenceSampler
from pushforward.simulate.cache import cached
from pushforward.simulate.progress import shown
from pushforward.simulate.simulated import Simulated

__all__ = ["BoltzmannDensity", "boltzmann_members"]

# Increase when samplers change, so that cached members are drawn again.
_VERSION = 2


@dataclass(frozen=True)
class BoltzmannDensity:
    """Distribution exp(-U) / Z of a built-in set; U is known exactly, Z not always."""

    energy: Energy

    def log_prob(self, x: ArrayLike) -> NDArray[np.float64]:
        """-U - ln Z of members ``(N, *shape)``, shape ``(N,)``, in nats; -U if Z is unknown."""
        with torch.no_grad():
            log_density: NDArray[np.float64] = self.energy.log_density(
                torch.as_tensor(np.asarray(x, np.float64))
            ).numpy()
        return log_density

    @property
    def entropy(self) -> float | None:
        """<U> + ln Z in nats; None unless known exactly."""
        return self.energy.facts.entropy if self.energy.facts.exact else None


def boltzmann_members(
    name: str, energy: Energy, count: int, seed: int, options: dict[str, Any], notes: tuple[str, ...] = ()
) -> Simulated:
    """Members drawn from an energy, or read from the cache.

    Arguments:
        name: of the set.
        energy: has a reference sampler.
        count: number of members.
        seed: of the sampler.
        options: all options that the energy depends on, as JSON values.
        notes: on the energy; those on the sampler are added.
    """
    exact = BoltzmannDensity(energy)
    if exact.entropy is None and energy.facts.entropy is not None:
        notes += (f"entropy {energy.facts.entropy:.2f} +- {energy.facts.entropy_error:.2f} nats, measured",)
    sampler = energy.sampler
    if not isinstance(sampler, ReferenceSampler):
        return Simulated(
            energy.sample(count, seed).numpy().astype(np.float32),
            energy.space,
            exact=exact,
            notes=(*notes, "independent draws"),
        )

    @cache
    def drawn() -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        samples, chains = sampler.draw(count, seed, shown(name))
        return samples.numpy().astype(np.float32), np.array(_quality(chains), np.float32)

    key = {"version": _VERSION, "count": count, "seed": seed, **options}
    # The diagnostics of the chains are cached together with the members.
    members = cached(name, key, lambda: drawn()[0])
    quality = cached(f"{name}-quality", key, lambda: drawn()[1])
    return Simulated(members, energy.space, exact=exact, notes=(*notes, _sentence(sampler, *quality.tolist())))


def _quality(chains: Chains) -> list[float]:
    return [chains.samples.shape[1], chains.acceptance[0], chains.autocorrelation]


def _sentence(sampler: ReferenceSampler, chains: float, acceptance: float, autocorrelation: float) -> str:
    method = "Hamiltonian Monte Carlo"
    if len(sampler.temperatures) > 1:
        method += f" with replica exchange over temperatures {', '.join(f'{t:g}' for t in sampler.temperatures)}"
    known = not np.isnan(autocorrelation)
    mixing = f"autocorrelation time {autocorrelation:.1f} draws" if known else "too few draws per chain to correlate"
    return f"{method}, {chains:.0f} chains: acceptance {acceptance:.2f}, {mixing}"
