"""DW4: four particles in the plane with a double-well pair potential."""

from __future__ import annotations

from pushforward.energies.double_well import double_well
from pushforward.simulate.boltzmann import boltzmann_members
from pushforward.simulate.simulated import Simulated, simulator

__all__ = ["dw4"]


@simulator
def dw4(count: int, seed: int = 0) -> Simulated:
    """Centred configurations of DW4, shape ``(count, 4, 2)``, in the unit of length of the potential.

    See `pushforward.energies.double_well`. The exact density, of entropy 7.126 nats, is with respect to the 6
    orthonormal coordinates of the subspace with the centre of mass at the origin.
    """
    notes = ("4 particles in 2-D, pair potential 0.9 (r - 4)^4 - 4 (r - 4)^2 in units of kT",)
    return boltzmann_members("dw4", double_well(), count, seed, {}, notes)
