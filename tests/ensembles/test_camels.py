"""Files of the CAMELS Multifield Dataset are told by their names, and exchanged columns of a table are noticed."""

import numpy as np
import pytest

from pushforward.ensembles import read
from pushforward.ensembles.camels import RANGES
from pushforward.errors import DataError
from pushforward.spaces import Field

SIMULATIONS = 12
NAMES = tuple(RANGES)


def table(seed=0, rows=SIMULATIONS):
    rng = np.random.default_rng(seed)
    low, high = np.array(list(RANGES.values())).T
    values = rng.uniform(low, high, size=(rows, 6))
    values[0], values[1] = low, high
    return values


def maps(seed=0, count=15 * SIMULATIONS):
    """Each map carries its number, so that members can be told."""
    return (np.arange(count)[:, None, None] + np.random.default_rng(seed).random((count, 8, 8)) / 2).astype(np.float32)


@pytest.fixture
def folder(tmp_path):
    for field in ("Mcdm", "T"):
        np.save(tmp_path / f"Maps_{field}_IllustrisTNG_LH_z=0.00.npy", maps() + (1000 if field == "T" else 0))
    np.save(tmp_path / "Maps_Mcdm_SIMBA_LH_z=0.00.npy", maps(1))
    np.save(tmp_path / "Grids_Mcdm_SIMBA_LH_8_z=0.50.npy", np.random.default_rng(0).random((SIMULATIONS, 8, 8, 8)))
    np.savetxt(tmp_path / "params_LH_IllustrisTNG.txt", table())
    np.savetxt(tmp_path / "params_LH_SIMBA.txt", table(1))
    return tmp_path


def test_maps_have_fifteen_a_simulation(folder):
    ensemble = read(folder / "Maps_Mcdm_Ill*.npy", condition=folder / "params_LH_IllustrisTNG.txt")
    assert ensemble.space == Field(1, (8, 8), periodic=True, box=25.0, isotropic=True)
    assert tuple(p.name for p in ensemble.parameters) == NAMES
    np.testing.assert_allclose(ensemble.conditions, np.repeat(table(), 15, axis=0), rtol=1e-6)
    np.testing.assert_array_equal(ensemble.groups, np.arange(15 * SIMULATIONS) // 15)
    assert len(ensemble.test) % 15 == 0
    assert any("CAMELS" in note for note in ensemble.notes)


def test_groups_hold_without_conditions(folder):
    ensemble = read(folder / "Maps_Mcdm_SIMBA_LH_z=0.00.npy")
    assert not set(ensemble.train.groups) & set(ensemble.test.groups)
    assert len(np.unique(ensemble.groups)) == SIMULATIONS


def test_cubes_have_one_a_simulation(folder):
    ensemble = read(folder / "Grids_*.npy", condition=folder / "params_LH_SIMBA.txt")
    assert ensemble.space == Field(1, (8, 8, 8), periodic=True, box=25.0, isotropic=True)
    np.testing.assert_allclose(ensemble.conditions, table(1), rtol=1e-6)


def test_fields_of_the_same_simulations_are_channels(folder):
    ensemble = read(folder / "Maps_*_IllustrisTNG_*.npy")
    assert ensemble.space == Field(2, (8, 8), periodic=True, box=25.0, isotropic=True)
    x = ensemble.take([7, 31])
    np.testing.assert_array_equal(x[:, 0].astype(int)[:, 0, 0], [7, 31])
    np.testing.assert_array_equal(x[:, 1].astype(int)[:, 0, 0], [1007, 1031])


def test_suites_are_joined_and_each_needs_its_table(folder):
    tables = [folder / "params_LH_IllustrisTNG.txt", folder / "params_LH_SIMBA.txt"]
    ensemble = read(folder / "Maps_Mcdm_*.npy", condition=tables)
    assert len(ensemble) == 2 * 15 * SIMULATIONS
    assert len(np.unique(ensemble.groups)) == 2 * SIMULATIONS
    np.testing.assert_allclose(
        ensemble.conditions, np.repeat(np.concatenate([table(), table(1)]), 15, axis=0), rtol=1e-6
    )
    assert read(**ensemble.spec).fingerprint == ensemble.fingerprint
    with pytest.raises(DataError, match="parameters of IllustrisTNG, but there are maps of IllustrisTNG, SIMBA"):
        read(folder / "Maps_Mcdm_*.npy", condition=tables[0])
    with pytest.raises(DataError, match="no file of T for SIMBA"):
        read(folder / "Maps_*.npy")


def test_n_body_twins_and_redshifts_share_their_simulations(folder):
    np.save(folder / "Maps_Mcdm_Nbody_SIMBA_LH_z=0.00.npy", maps(2))
    np.save(folder / "Maps_Mcdm_SIMBA_LH_z=1.00.npy", maps(3))
    ensemble = read(sorted(folder.glob("Maps_Mcdm_*SIMBA*.npy")), condition=folder / "params_LH_SIMBA.txt")
    assert len(ensemble) == 3 * 15 * SIMULATIONS
    assert len(np.unique(ensemble.groups)) == SIMULATIONS
    np.testing.assert_allclose(ensemble.conditions[-15:], np.repeat(table(1)[-1:], 15, axis=0), rtol=1e-6)


def test_exchanged_columns_are_noticed(folder):
    swapped = table()[:, [0, 1, 2, 4, 3, 5]]  # A_SN1, A_SN2, A_AGN1, A_AGN2: the order in which many papers list them
    np.savetxt(folder / "swapped.txt", swapped)
    path = folder / "Maps_Mcdm_SIMBA_LH_z=0.00.npy"
    with pytest.raises(DataError, match=r"column 4 .* 0\.25 to 4.* A_SN2 of CAMELS is in \[0\.5, 2\]"):
        read(path, condition=folder / "swapped.txt")
    with pytest.raises(DataError, match=r"column 0 .* Omega_m"):
        read(path, condition=table()[:, [1, 0, 2, 3, 4, 5]])


def test_columns_with_names_may_come_in_any_order(folder):
    order = [1, 0, 2, 4, 3, 5]
    header = " ".join(["s8", "Om", "A_SN1", "A_SN2", "A_AGN1", "A_AGN2"])
    np.savetxt(folder / "named.txt", table()[:, order], header=header)
    ensemble = read(folder / "Maps_Mcdm_SIMBA_LH_z=0.00.npy", condition=folder / "named.txt")
    assert tuple(p.name for p in ensemble.parameters) == tuple(NAMES[i] for i in order)


def test_tables_of_another_set_do_not_fit(folder):
    with pytest.raises(DataError, match=r"11 rows .* 12 simulations.* params_LH_SIMBA\.txt"):
        read(folder / "Maps_Mcdm_SIMBA_LH_z=0.00.npy", condition=table(rows=11))


def test_a_name_that_deceives(folder):
    np.save(folder / "Maps_HI_Astrid_CV_z=0.00.npy", np.zeros((16, 8, 8)))
    with pytest.raises(DataError, match="named like a file of the CAMELS"):
        read(folder / "Maps_HI_Astrid_CV_z=0.00.npy")
    with pytest.raises(DataError, match="maps and cubes"):
        read(folder / "*_Mcdm_SIMBA_LH_*.npy")


def test_cropped_maps_keep_their_parameters(folder):
    ensemble = read(
        folder / "Maps_Mcdm_SIMBA_LH_z=0.00.npy", condition=folder / "params_LH_SIMBA.txt", crop=2, members=30
    )
    field = ensemble.train.take(range(len(ensemble.train)))[:, 0, 0, 0].astype(int)
    np.testing.assert_allclose(ensemble.train.conditions, table(1)[field // 15], rtol=1e-6)
    assert ensemble.space == Field(1, (2, 2), periodic=False, box=25 / 4, isotropic=True)
