"""Unnormalised densities exp(-U), with gradients, known facts, and reference samplers."""

from pushforward.energies.chains import Chains
from pushforward.energies.double_well import double_well
from pushforward.energies.energy import Energy
from pushforward.energies.facts import Facts
from pushforward.energies.ising import ising
from pushforward.energies.lattice_phi4 import free_field, lattice_phi4
from pushforward.energies.lennard_jones import lennard_jones
from pushforward.energies.registry import ENERGIES, named_energy, recorded_energy
from pushforward.energies.sampling import replica_exchange
from pushforward.energies.weights import Reweighted, reweight

__all__ = [
    "ENERGIES",
    "Chains",
    "Energy",
    "Facts",
    "Reweighted",
    "double_well",
    "free_field",
    "ising",
    "lattice_phi4",
    "lennard_jones",
    "named_energy",
    "recorded_energy",
    "replica_exchange",
    "reweight",
]
