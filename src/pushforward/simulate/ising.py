"""Spins of the Ising model on a periodic square lattice."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pushforward.energies.ising import CRITICAL_TEMPERATURE, ising_facts
from pushforward.energies.ising import ising as ising_energy
from pushforward.energies.swendsen_wang import swendsen_wang
from pushforward.simulate.boltzmann import BoltzmannDensity
from pushforward.simulate.cache import cached
from pushforward.simulate.progress import shown
from pushforward.simulate.simulated import Simulated, simulator

__all__ = ["ising"]

_VERSION = 1

TEMPERATURES = (1.8, CRITICAL_TEMPERATURE, 3.0)
"""Below, at and above the critical temperature, in units of J / k_B."""


@simulator
def ising(count: int, seed: int = 0, *, length: int = 16, temperature: float | None = None) -> Simulated:
    """Spins -1 and 1 of the Ising model, shape ``(count, 1, L, L)``, by cluster Monte Carlo.

    Arguments:
        length: L, spins along each axis.
        temperature: of all members, in units of J / k_B; probabilities of the states of the finite lattice are then
            exact. By default one third of the members each are below, at and above the critical temperature
            (`TEMPERATURES`), with the temperature as their condition.

    Raises:
        UsageError: if the lattice is smaller than 3 or the temperature not positive.
    """
    temperatures = TEMPERATURES if temperature is None else (temperature,)
    energies = [ising_energy(length, each) for each in temperatures]
    each = np.array(temperatures)[np.arange(count) % len(temperatures)]
    key = {"version": _VERSION, "count": count, "seed": seed, "length": length, "temperature": temperature}
    spins = cached(
        "ising",
        key,
        lambda: swendsen_wang(1 / each, length, seed=seed, watch=shown("ising")).astype(np.float32),
    )[:, None]
    return Simulated(
        spins,
        energies[0].space,
        conditions=each[:, None].astype(np.float32) if temperature is None else None,
        names=("temperature",) if temperature is None else (),
        exact=None if temperature is None else BoltzmannDensity(energies[0]),
        notes=(
            f"Ising spins on a periodic {length} x {length} lattice, by cluster Monte Carlo (Swendsen and Wang 1987)",
            *(_energy_note(spins[each == value], value) for value in temperatures if (each == value).any()),
        ),
    )


def _energy_note(spins: NDArray[np.float32], temperature: float) -> str:
    """Mean energy per spin of the members, compared with the exact one, in units of J."""
    bonds = spins * (np.roll(spins, -1, -1) + np.roll(spins, -1, -2))
    drawn = -bonds.mean((1, 2, 3), dtype=np.float64)
    length = spins.shape[-1]
    energy = ising_facts(length, 1 / temperature).mean_energy
    assert energy is not None
    error = drawn.std() / np.sqrt(len(drawn))
    return (
        f"temperature {temperature:.4g}: energy per spin {drawn.mean():.4f} +- {error:.4f} J, "
        f"exactly {energy * temperature / length**2:.4f} J"
    )
