"""Normalisers by bridge sampling against closed forms and quadrature."""

import math

import pytest
import torch

from pushforward.energies import Energy, double_well, free_field, lattice_phi4, lennard_jones
from pushforward.energies.bridge import bridge, measured_facts
from pushforward.errors import UsageError
from pushforward.spaces import Vector


@pytest.mark.parametrize("width", [0.5, 1.0, 3.0])
def test_two_gaussians_differ_by_the_logarithm_of_their_widths(width):
    a, b = torch.randn(50_000, dtype=torch.float64), width * torch.randn(50_000, dtype=torch.float64)

    def ratio(x):
        return x**2 / 2 - (x / width) ** 2 / 2

    assert bridge(ratio(a), ratio(b)) == pytest.approx(math.log(width), abs=0.02)
    assert bridge(-ratio(b), -ratio(a)) == pytest.approx(-bridge(ratio(a), ratio(b)), abs=1e-9)


def test_draws_where_the_other_density_vanishes_count():
    """a is uniform on (0, 1), b on (0, 1/2): half of the draws of a are outside of b."""
    at_a = torch.where(torch.arange(1000) % 2 == 0, 0.0, -math.inf)
    assert bridge(at_a, torch.zeros(1000)) == pytest.approx(math.log(0.5), abs=1e-9)


@pytest.mark.parametrize(
    ("energy", "temperatures"),
    [
        (double_well(), (1.0, 1.6, 2.5, 4.0, 7.0, 12.0, 20.0)),
        (free_field(3), (1.0,)),
        (Energy(lambda x: (x - 5).square().sum(1) / 8, Vector(3), location=5.0), (1.0, 2.0)),
    ],
    ids=["dw4", "free-field", "displaced Gaussian"],
)
def test_a_ladder_finds_the_exact_normaliser(energy, temperatures):
    exact = energy.facts.log_z if energy.facts.log_z is not None else 1.5 * math.log(8 * math.pi)
    found = measured_facts(energy, temperatures, 40, chains=100, leapfrog=5)
    assert found.log_z == pytest.approx(exact, abs=5 * found.log_z_error)
    assert found.log_z_error < 0.06
    if energy.facts.mean_energy is not None:
        assert found.mean_energy == pytest.approx(energy.facts.mean_energy, abs=5 * found.mean_energy_error)


def test_two_lennard_jones_particles_follow_quadrature():
    """In the separation r = sqrt(2) u of two particles, Z = 2^-3/2 integral of 4 pi r^2 exp(-v(r) - r^2 / 4)."""
    energy = lennard_jones(2)
    r = torch.linspace(0.3, 12, 20_001, dtype=torch.float64)
    integrand = 4 * math.pi * r**2 * torch.exp(-2 * (r**-12 - 2 * r**-6) - r**2 / 4)
    exact = math.log(torch.trapezoid(integrand, r).item() / 2**1.5)
    found = measured_facts(energy, (1.0, 2.0, 4.0, 8.0), 60, chains=100)
    assert found.log_z == pytest.approx(exact, abs=5 * found.log_z_error)
    assert found.log_z_error < 0.05


@pytest.mark.parametrize(
    ("energy", "temperatures"),
    [
        (lattice_phi4(), (1.0, 1.3, 1.7, 2.3, 3.0, 4.0, 6.0)),
        pytest.param(
            lennard_jones(),
            (1.0, 1.1, 1.2, 1.3, 1.42, 1.56, 1.75, 2.0, 2.4, 3.2, 4.5, 6.5, 10.0, 16.0),
            marks=pytest.mark.slow,
        ),
    ],
    ids=lambda value: getattr(value, "name", ""),
)
def test_measured_facts_are_found_again(energy, temperatures):
    found = measured_facts(energy, temperatures, 40, chains=40, warm_up=200, seed=7)
    facts = energy.facts
    assert not facts.exact
    assert found.log_z == pytest.approx(facts.log_z, abs=4 * math.hypot(found.log_z_error, facts.log_z_error))
    error = math.hypot(found.mean_energy_error, facts.mean_energy_error)
    assert found.mean_energy == pytest.approx(facts.mean_energy, abs=4 * error)


def test_a_mistake_is_answered_with_a_sentence():
    with pytest.raises(UsageError, match="equally many draws of a and b; got 3 and 4"):
        bridge(torch.zeros(3), torch.zeros(4))
    with pytest.raises(UsageError, match="4 chains cannot be divided into 10 groups"):
        measured_facts(free_field(3), (1.0,), 2, chains=4)
