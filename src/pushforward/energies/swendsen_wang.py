"""Cluster Monte Carlo of the Ising model (Swendsen and Wang 1987, Phys. Rev. Lett. 58, 86), for many lattices at once.

A bond between equal neighbours is kept with probability 1 - exp(-2 K), and every cluster of kept bonds gets a random
sign. At the critical temperature, where single flips slow down, states decorrelate within a few sweeps; below it both
signs of the magnetisation are sampled.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

__all__ = ["swendsen_wang"]

# Spins per call of the cluster labelling.
_SPINS_AT_ONCE = 300_000


def swendsen_wang(
    couplings: NDArray[np.floating],
    length: int,
    *,
    seed: int = 0,
    warm_up: int = 50,
    thin: int = 10,
    watch: Callable[[Iterable[int]], Iterable[int]] = iter,
) -> NDArray[np.int8]:
    """Spins -1 and 1, shape ``(N, L, L)``.

    Members come from parallel chains, as many as fit in memory; those of one chain are ``thin`` sweeps apart.

    Arguments:
        couplings: K of each member, shape ``(N,)``, in any order; few distinct values are fastest.
        length: L.
        seed: the same seed gives the same members.
        warm_up: sweeps before the first member, from random spins.
        thin: sweeps from one member of a chain to its next.
        watch: wraps the range of sweeps, for a progress bar.
    """
    rng = np.random.default_rng(seed)
    order = np.argsort(couplings, kind="stable")
    draws = math.ceil(len(couplings) * length**2 / _SPINS_AT_ONCE)
    chains = _chains(couplings[order], draws)
    spins = rng.choice(np.array([-1, 1], np.int8), size=(len(chains), length, length))
    coupling = couplings[order][[chain[0] for chain in chains]]
    result = np.empty((len(couplings), length, length), np.int8)
    for sweep in watch(range(warm_up + (draws - 1) * thin + 1)):
        spins = _sweep(spins, coupling, rng)
        number, rest = divmod(sweep - warm_up, thin)
        if sweep >= warm_up and rest == 0:
            for row, chain in enumerate(chains):
                if number < len(chain):
                    result[order[chain[number]]] = spins[row]
    return result


def _chains(couplings: NDArray[np.floating], draws: int) -> list[NDArray[np.intp]]:
    """Members of each chain: runs of equal couplings, split into pieces of at most ``draws``."""
    edges = np.flatnonzero(np.diff(couplings)) + 1
    return [
        run[start : start + draws]
        for run in np.split(np.arange(len(couplings)), edges)
        for start in range(0, len(run), draws)
    ]


def _sweep(spins: NDArray[np.int8], coupling: NDArray[np.floating], rng: np.random.Generator) -> NDArray[np.int8]:
    """One Swendsen-Wang sweep of lattices ``(chains, L, L)``."""
    keep = -np.expm1(-2 * coupling)[:, None, None]
    sites = np.arange(spins.size, dtype=np.int32).reshape(spins.shape)
    ends = []
    for axis in (1, 2):
        kept = (spins == np.roll(spins, -1, axis)) & (rng.random(spins.shape) < keep)
        ends.append(np.stack([sites[kept], np.roll(sites, -1, axis)[kept]]))
    first, second = np.concatenate(ends, axis=1)
    graph = coo_array((np.ones(len(first), np.int8), (first, second)), shape=(spins.size, spins.size))
    clusters, label = connected_components(graph, directed=False)
    return rng.choice(np.array([-1, 1], np.int8), size=clusters)[label].reshape(spins.shape)
