"""Lagrangian starts against the independent displacement, and growth factors against differences."""

import numpy as np
import pytest
import torch
from scipy import fft

from pushforward.errors import UsageError
from pushforward.simulate import Cosmology
from pushforward.simulate.expansion import Expansion
from pushforward.simulate.initial_conditions import lattice, linear_overdensity, perturbed_lattice
from pushforward.simulate.lagrangian import displacement, linear_modes, mode_numbers

BOX = 100.0


@pytest.mark.parametrize("order", [1, 2])
def test_positions_are_those_of_the_displacement_of_maps(order):
    cosmology, a = Cosmology(), 0.3
    z = 1 / a - 1
    modes = linear_modes(cosmology, 16, BOX, np.random.default_rng((1, 2)))
    for n in mode_numbers(16):
        modes = modes * (
            np.abs(n) < 4
        )  # products of two waves stay below the Nyquist frequency, as the finer lattice wants
    field = torch.from_numpy(fft.irfftn(modes, s=(16,) * 3))[None]
    x, _ = perturbed_lattice(field, cosmology, BOX, a, order)
    second = cosmology.second_order_growth(z) if order == 2 else 0.0
    # A finer lattice, of which every other point is one of the coarse, leaves the Nyquist planes out, as here.
    psi = displacement(modes, first=cosmology.growth(z), second=second, particles=32)[:, ::2, ::2, ::2]
    found = (x[0] - lattice(16, BOX)).T.reshape(3, 16, 16, 16) / BOX
    np.testing.assert_allclose(found, psi, atol=1e-5 * np.abs(psi).max() + 1e-7)


def test_the_same_seed_gives_the_same_field():
    fields = linear_overdensity(Cosmology(), 8, BOX, [(0, 1), (0, 2), (0, 1)])
    assert (fields[0] == fields[2]).all()
    assert (fields[0] != fields[1]).any()


def test_momenta_are_the_rates_of_positions():
    cosmology, a, step = Cosmology(), 0.3, 1e-3
    field = linear_overdensity(cosmology, 8, BOX, [(0,)]).double()
    before, after = (perturbed_lattice(field, cosmology, BOX, each)[0] for each in (a - step, a + step))
    _, p = perturbed_lattice(field, cosmology, BOX, a)
    slope = (after - before) / (2 * step)
    torch.testing.assert_close(p, a**3 * cosmology.hubble(1 / a - 1) * slope, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("matter", [0.1, 0.3, 1.0])
def test_growth_solves_its_equation(matter):
    """d(a^3 E D') / da = 3/2 Omega_m D / (a^2 E), and G = a^3 E D'."""
    e, a, h = Expansion(matter), 0.6, 1e-4
    slope = (e.growth(a + h) - e.growth(a - h)) / (2 * h)
    assert e.momentum_growth(a) == pytest.approx(a**3 * e.rate(a) * slope, rel=1e-6)
    change = (e.momentum_growth(a + h) - e.momentum_growth(a - h)) / (2 * h)
    assert change == pytest.approx(1.5 * matter * e.growth(a) / (a**2 * e.rate(a)), rel=1e-6)


@pytest.mark.parametrize("factor", ["drift", "kick"])
def test_factors_of_short_steps_are_the_integrals(factor):
    e, a, h = Expansion(0.3), 0.5, 1e-4
    rate = 1 / (a ** {"drift": 3, "kick": 2}[factor] * e.rate(a))
    assert getattr(e, factor)(a - h, a + h, a) == pytest.approx(2 * h * rate, rel=1e-6)
    assert getattr(e, factor)(0.3, 0.7, 0.5) == -getattr(e, factor)(0.7, 0.3, 0.5)


@pytest.mark.parametrize("matter", [0.1, 0.3])
def test_growth_of_the_expansion_is_that_of_the_cosmology(matter):
    cosmology, e, a = Cosmology(Omega_m=matter), Expansion(matter), 0.4
    z = 1 / a - 1
    assert e.growth(a) / e.growth(1.0) == pytest.approx(cosmology.growth(z), rel=1e-12)
    assert e.momentum_growth(a) / e.growth(a) == pytest.approx(a**2 * cosmology.hubble(z) * cosmology.growth_rate(z))


@pytest.mark.parametrize(("a", "order", "words"), [(0.0, 2, "in \\(0, 1\\]"), (0.1, 3, "1 or 2")])
def test_impossible_starts_are_refused(a, order, words):
    with pytest.raises(UsageError, match=words):
        perturbed_lattice(torch.zeros(1, 4, 4, 4), Cosmology(), BOX, a, order)
