"""Scalar phi^4 theory on a periodic lattice."""

from __future__ import annotations

from pushforward.energies.lattice_phi4 import lattice_phi4
from pushforward.simulate.boltzmann import boltzmann_members
from pushforward.simulate.simulated import Simulated, simulator

__all__ = ["phi4"]


@simulator
def phi4(count: int, seed: int = 0, *, length: int = 8, mass_squared: float = -4.0, coupling: float = 8.0) -> Simulated:
    """Fields of phi^4 theory in two dimensions, shape ``(count, 1, L, L)``.

    See `pushforward.energies.lattice_phi4`. Without coupling the density is exact, and the draws are independent.

    Arguments:
        length: L, sites along each axis.
        mass_squared: M^2.
        coupling: lambda.

    Raises:
        UsageError: if the density cannot be normalised.
    """
    energy = lattice_phi4(length, mass_squared=mass_squared, coupling=coupling)
    options = {"length": length, "mass_squared": mass_squared, "coupling": coupling}
    notes = (f"phi^4 theory, M^2 = {mass_squared:g}, lambda = {coupling:g}, on a periodic {length} x {length} lattice",)
    return boltzmann_members("phi4", energy, count, seed, options, notes)
