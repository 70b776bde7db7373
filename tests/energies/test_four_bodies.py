"""The quadrature over four particles against closed forms."""

import numpy as np
import pytest

from pushforward.energies.double_well import double_well
from pushforward.energies.four_bodies import four_body_integrals


@pytest.mark.parametrize("stiffness", [0.5, 2.0])
def test_four_springs_have_a_closed_form(stiffness):
    """sum over pairs of k r^2 / 2 is 4 k / 2 times the squared length in the 6 centred coordinates: a Gaussian.

    Here, unlike in DW4, the integrand does not vanish at r = 0, and the error is of second order in the spacing.
    """
    exact = four_body_integrals(lambda r: stiffness * r**2 / 2, reach=7 / stiffness**0.5, spacing=0.07 / stiffness**0.5)
    assert exact.log_z == pytest.approx(3 * np.log(2 * np.pi / (4 * stiffness)), abs=3e-3)
    assert exact.mean_energy == pytest.approx(3.0, abs=3e-3)
    width = 1 / (2 * stiffness)  # of a pair's separation along one axis
    rayleigh = exact.distances / width * np.exp(-(exact.distances**2) / (2 * width))
    np.testing.assert_allclose(exact.density, rayleigh, atol=3e-3 * rayleigh.max())


def test_the_double_well_has_converged():
    """Half of the spacing changes nothing; the entropy agrees with importance sampling, 7.11 +- 0.03 nats."""

    def potential(r):
        return 0.9 * (r - 4) ** 4 - 4 * (r - 4) ** 2

    facts = double_well().facts
    coarse = four_body_integrals(potential, reach=8.0, spacing=0.2)
    assert coarse.log_z == pytest.approx(facts.log_z, abs=1e-6)
    assert coarse.mean_energy == pytest.approx(facts.mean_energy, abs=1e-6)
    assert facts.entropy == pytest.approx(7.11, abs=0.03)
