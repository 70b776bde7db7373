"""LJ13: thirteen Lennard-Jones particles in an oscillator."""

from __future__ import annotations

from pushforward.energies.lennard_jones import lennard_jones
from pushforward.simulate.boltzmann import boltzmann_members
from pushforward.simulate.simulated import Simulated, simulator

__all__ = ["lj13"]


@simulator
def lj13(count: int, seed: int = 0, *, pair_factor: float = 2.0) -> Simulated:
    """Centred configurations of LJ13, shape ``(count, 13, 3)``, in units of the distance of the pair minimum.

    See `pushforward.energies.lennard_jones`.

    Arguments:
        pair_factor: 2 for sums over ordered pairs (the data of Klein et al. and of iDEM), 1 for unordered pairs.

    Raises:
        UsageError: if pair_factor is not positive.
    """
    energy = lennard_jones(pair_factor=pair_factor)
    notes = (
        f"13 particles in 3-D, pair potential {pair_factor:g} (r^-12 - 2 r^-6) in units of kT, oscillator of k = 1",
    )
    return boltzmann_members("lj13", energy, count, seed, {"pair_factor": pair_factor}, notes)
