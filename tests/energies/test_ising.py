"""Kaufman's formula against all states of small lattices, and cluster Monte Carlo against both."""

import itertools
import math

import numpy as np
import pytest
import torch

from pushforward.energies import ising
from pushforward.energies.ising import CRITICAL_TEMPERATURE, ising_facts
from pushforward.energies.swendsen_wang import swendsen_wang


@pytest.mark.parametrize("temperature", [1.0, CRITICAL_TEMPERATURE, 2.5, 8.0])
@pytest.mark.parametrize("length", [3, 4])
def test_the_normaliser_is_the_sum_over_states(length, temperature):
    states = torch.tensor(list(itertools.product([-1.0, 1.0], repeat=length**2)), dtype=torch.float64)
    energy = ising(length, temperature)
    action = energy(states.reshape(-1, 1, length, length))
    log_z = (-action).logsumexp(0)
    assert energy.facts.log_z == pytest.approx(log_z.item(), rel=1e-10)
    mean = ((-action - log_z).exp() * action).sum()
    assert energy.facts.mean_energy == pytest.approx(mean.item(), rel=1e-8)
    assert 0 < energy.facts.entropy < length**2 * math.log(2)


def test_a_large_lattice_has_onsagers_critical_energy():
    """-sqrt(2) J per spin in the limit, with corrections of order 1 / L."""
    coupling = 1 / CRITICAL_TEMPERATURE
    per_spin = [ising_facts(length, coupling).mean_energy / coupling / length**2 for length in (64, 128)]
    assert 2 * per_spin[1] - per_spin[0] == pytest.approx(-math.sqrt(2), abs=2e-4)


@pytest.mark.parametrize("temperature", [1.8, CRITICAL_TEMPERATURE, 3.0])
def test_clusters_have_the_exact_energy_and_both_signs(temperature):
    energy = ising(8, temperature)
    x = energy.sample(3000, seed=1)
    assert set(x.unique().tolist()) == {-1.0, 1.0}
    drawn = energy(x)
    error = 1.5 * drawn.std().item() / math.sqrt(len(x))
    assert drawn.mean().item() == pytest.approx(energy.facts.mean_energy, abs=5 * error)
    assert abs(x.mean((1, 2, 3)).sign().mean().item()) < 0.1


def test_members_of_several_temperatures_keep_their_places():
    """On a lattice so large that chains are drawn from repeatedly, whatever the order of the couplings."""
    couplings = np.array([0.1, 0.6] * 200 + [0.6] * 3)
    spins = swendsen_wang(couplings, 40, warm_up=20, thin=5).astype(np.float64)
    bonds = (spins * (np.roll(spins, 1, 1) + np.roll(spins, 1, 2))).mean((1, 2))
    assert (np.abs(bonds[couplings == 0.1] - 0.2) < 0.2).all()
    assert (bonds[couplings == 0.6] > 1.6).all()
