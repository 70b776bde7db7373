"""Cubes of neutral hydrogen: their range, their relation to the gas, and their redshifts."""

import numpy as np
import pytest

from pushforward.errors import UsageError
from pushforward.simulate import Cosmology, simulate
from pushforward.simulate.hydrogen import neutral_hydrogen


@pytest.fixture(scope="module")
def cubes():
    return simulate("hydrogen", 6, seed=1)


def test_every_cube_spans_five_orders_of_magnitude_and_the_set_six(cubes):
    assert cubes.x.shape == (6, 1, 32, 32, 32)
    assert cubes.x.min() > 0
    each = cubes.x.max((1, 2, 3, 4)) / cubes.x.min((1, 2, 3, 4))
    assert each.min() > 1e5
    assert cubes.x.max() / cubes.x.min() > 1e6


def test_about_a_fiftieth_of_the_hydrogen_is_neutral(cubes):
    """Omega_HI is about 10^-3, of 0.04 in hydrogen."""
    assert cubes.x.mean() == pytest.approx(0.02, rel=0.5)
    shielded = np.sort(cubes.x.reshape(-1))[-cubes.x.size // 50 :]
    assert shielded.sum() > 0.7 * cubes.x.sum(), "the densest 2 % of the cells hold most of the neutral hydrogen"


def test_the_redshift_is_the_condition_and_fills_its_range():
    many = simulate("hydrogen", 16, grid=8).conditions
    assert many.shape == (16, 1)
    assert (np.histogram(many, bins=4, range=(3, 5))[0] == 4).all()
    again = simulate("hydrogen", 3, grid=8)
    assert again.names == ("redshift",)
    assert (again.conditions == many[:3]).all()
    assert (simulate("hydrogen", 2, grid=8, redshift=4.0).conditions == 4).all()


def test_denser_gas_is_more_neutral_and_the_gas_thins_with_time():
    gas = np.geomspace(1e-3, 100, 60)
    late, early = (neutral_hydrogen(gas, z, Cosmology()) for z in (3.0, 5.0))
    assert (np.diff(late) > 0).all()
    assert (np.diff(early) > 0).all()
    assert (late <= early).all(), "at equal overdensity, gas is denser and the background weaker at early times"
    assert (early <= gas).all(), "there is no more neutral hydrogen than hydrogen"


def test_diffuse_gas_is_in_photoionisation_equilibrium_with_the_unshielded_background():
    z, thin = 3.0, np.array([0.01, 0.02])
    cosmology = Cosmology()
    number = 1.123e-5 * 0.76 * cosmology.Omega_b * cosmology.h**2 * (1 + z) ** 3 * thin
    np.testing.assert_allclose(neutral_hydrogen(thin, z, cosmology), thin * 4.2e-13 * number / 0.8e-12, rtol=0.02)


def test_dense_gas_is_shielded():
    """Ten times the density makes gas a thousand times more neutral where it begins to shield itself."""
    cosmology = Cosmology()
    thin, dense = neutral_hydrogen(np.array([1.0, 10.0]), 4.0, cosmology) / np.array([1.0, 10.0])
    assert dense / thin > 1e3
    assert dense > 0.5


def test_the_field_is_periodic(cubes):
    assert cubes.space.periodic
    assert cubes.space.isotropic
    logarithm = np.log(cubes.x)
    jump = np.abs(logarithm[..., 0] - logarithm[..., -1]).mean()
    assert jump == pytest.approx(np.abs(np.diff(logarithm, axis=-1)).mean(), rel=0.1)


@pytest.mark.parametrize(
    ("option", "value"), [("grid", 7), ("box", 0), ("redshift", -1), ("smoothing", -1), ("pressure", 0)]
)
def test_an_option_out_of_range_is_refused_by_name(option, value):
    with pytest.raises(UsageError, match=option):
        simulate("hydrogen", 2, **{option: value})
