"""Replica exchange against densities that are known, and what the chains say of themselves."""

import math

import numpy as np
import pytest
import torch

from pushforward.energies import Energy, double_well, free_field, lattice_phi4, lennard_jones, replica_exchange
from pushforward.energies.chains import autocorrelation_time, split_r_hat
from pushforward.energies.four_bodies import four_body_integrals
from pushforward.energies.pairwise import pair_distances
from pushforward.errors import UsageError
from pushforward.spaces import Vector


def test_a_correlated_gaussian():
    covariance = torch.tensor([[2.0, 0.9], [0.9, 0.5]], dtype=torch.float64)
    precision = covariance.inverse()
    energy = Energy(lambda x: ((x - 3) @ precision.to(x) * (x - 3)).sum(1) / 2, Vector(2), location=3.0)
    chains = replica_exchange(energy, 60, chains=300, thin=6)
    x = chains.flat()
    assert chains.acceptance[0] == pytest.approx(0.8, abs=0.07)
    assert (x.mean(0) - 3).abs().max() < 0.06
    torch.testing.assert_close(x.T.cov(), covariance, atol=0.07, rtol=0)
    assert chains.mean_energy[0] == pytest.approx(1.0, abs=5 * chains.mean_energy[1])
    assert chains.r_hat < 1.05


def test_exchange_crosses_a_barrier_that_one_temperature_does_not():
    """U = 10 (x^2 - 1)^2 - 2 x, all chains in the wrong well: the exact share on the right comes from quadrature."""
    energy = Energy(lambda x: (10 * (x**2 - 1) ** 2 - 2 * x).sum(1), Vector(1), scale=1.0)
    grid = torch.linspace(-3, 3, 6001, dtype=torch.float64)
    density = torch.exp(-energy(grid[:, None]))
    exact = (density[grid > 0].sum() / density.sum()).item()
    left = torch.full((400, 1), -1.0, dtype=torch.float64)
    options = {"draws": 10, "chains": 400, "warm_up": 200, "initial": left, "leapfrog": 5}
    ladder = replica_exchange(energy, temperatures=(1.0, 2.0, 4.0, 8.0), **options)
    alone = replica_exchange(energy, **options)
    assert (ladder.flat() > 0).double().mean().item() == pytest.approx(exact, abs=0.03)
    assert (alone.flat() > 0).double().mean().item() < exact - 0.2


def test_dw4_follows_its_exact_distances():
    """A chi-square over independent configurations is too sharp for correlated draws: bins are compared by 5 errors."""
    energy = double_well()
    x, chains = energy.sampler.draw(8000, seed=5)
    exact = four_body_integrals(lambda r: 0.9 * (r - 4) ** 4 - 4 * (r - 4) ** 2, reach=8.0, spacing=0.05)
    edges = np.arange(1.525, 7.5, 0.5)  # half-way between nodes
    bins = np.digitize(exact.distances, edges)
    expected = np.array([exact.density[bins == i].sum() * 0.05 for i in range(1, len(edges))])
    shares = np.array([np.histogram(each, edges)[0] / 6 for each in pair_distances(x).numpy()])
    error = shares.std(0) * math.sqrt(chains.autocorrelation / len(x))
    assert (np.abs(shares.mean(0) - expected) < 5 * error + 1e-3).all()
    mean, error = chains.mean_energy
    assert mean == pytest.approx(energy.facts.mean_energy, abs=5 * error)


@pytest.mark.parametrize("energy", [double_well(), lattice_phi4(4), lennard_jones(3)], ids=lambda energy: energy.name)
def test_the_virial_is_the_number_of_degrees_of_freedom(energy):
    x, chains = energy.sampler.draw(2000, seed=2)
    virial = (x * energy.gradient(x)).flatten(1).sum(1)
    error = virial.std() * math.sqrt(max(1.0, chains.autocorrelation) / len(x))
    assert virial.mean().item() == pytest.approx(energy.facts.virial, abs=5 * error.item())


def test_the_free_field_is_sampled_alike_by_waves_and_by_chains():
    energy = free_field(4, mass_squared=0.5)
    exact = energy.sample(20_000, seed=0)
    chains = replica_exchange(energy, 40, chains=300)
    mean, error = chains.mean_energy
    assert mean == pytest.approx(energy.facts.mean_energy, abs=5 * error)
    for x in (exact, chains.flat()):
        neighbours = (x * x.roll(1, -1)).mean().item()
        assert neighbours == pytest.approx(_propagator(4, 0.5), abs=0.006)


def _propagator(length, mass_squared):
    """<phi_x phi_{x+1}> = 1 / (2 n) sum_k cos(k_1) / K_k."""
    k = 2 * math.pi * np.arange(length) / length
    spectrum = mass_squared + (2 - 2 * np.cos(k))[:, None] + (2 - 2 * np.cos(k))
    return float((np.cos(k) / spectrum).mean() / 2)


def test_log_z_of_the_free_field_is_that_of_the_determinant():
    energy = free_field(3, mass_squared=0.7)
    sites = torch.eye(9, dtype=torch.float64).reshape(9, 1, 3, 3)
    hessian = torch.stack([energy.gradient(site[None])[0].flatten() for site in sites])
    log_z = 9 / 2 * math.log(2 * math.pi) - torch.linalg.slogdet(hessian).logabsdet.item() / 2
    assert energy.facts.log_z == pytest.approx(log_z)


def test_phi4_on_two_by_two_sites_follows_quadrature():
    energy = lattice_phi4(2, mass_squared=-1.0, coupling=1.0)
    axis = torch.linspace(-2.6, 2.6, 41, dtype=torch.float64)
    grid = torch.cartesian_prod(*[axis] * 4).reshape(-1, 1, 2, 2)
    action = energy(grid)
    weight = torch.exp(-action)
    exact = (weight * action).sum() / weight.sum()
    mean, error = replica_exchange(energy, 40, chains=400).mean_energy
    assert mean == pytest.approx(exact.item(), abs=5 * error)


def test_chains_stay_within_a_support_and_begin_there():
    """The half-normal distribution, whose mean is sqrt(2 / pi): half of the Gaussian starting points are outside."""

    def action(x):
        return torch.where(x > 0, x**2 / 2, math.inf).sum(1)

    chains = replica_exchange(Energy(action, Vector(1)), 40, chains=300)
    x = chains.flat()
    assert (x > 0).all()
    assert x.mean().item() == pytest.approx(math.sqrt(2 / math.pi), abs=0.03)


def test_autocorrelation_time_of_an_autoregressive_chain():
    """x_{t+1} = a x_t + noise has tau = (1 + a) / (1 - a)."""
    rate, x, values = 0.8, torch.zeros(400, dtype=torch.float64), []
    for _ in range(500):
        x = rate * x + math.sqrt(1 - rate**2) * torch.randn(400, dtype=torch.float64)
        values.append(x)
    assert autocorrelation_time(torch.stack(values[100:])) == pytest.approx(9.0, rel=0.1)
    assert math.isnan(autocorrelation_time(torch.zeros(3, 5)))


def test_r_hat_sees_chains_that_disagree():
    values = torch.randn(50, 20, dtype=torch.float64)
    assert split_r_hat(values) == pytest.approx(1, abs=0.05)
    assert split_r_hat(values + 3 * torch.arange(20) / 20) > 1.2


def test_chains_follow_their_seed():
    first, same, other = (
        replica_exchange(double_well(), 2, chains=5, warm_up=5, seed=seed).flat() for seed in (1, 1, 2)
    )
    assert torch.equal(first, same)
    assert not torch.equal(first, other)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"draws": 0}, "at least 1"),
        ({"draws": 2, "temperatures": (2.0, 1.0)}, "ascend from 1"),
        ({"draws": 2, "initial": torch.zeros(3, 4, 2) / 0}, "infinite or NaN at every starting point"),
    ],
)
def test_a_mistake_is_answered_with_a_sentence(options, words):
    with pytest.raises(UsageError, match=words):
        replica_exchange(double_well(), **{"chains": 3, "warm_up": 2, **options})
