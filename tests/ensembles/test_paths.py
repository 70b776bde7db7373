"""Parameters from where they are kept: names of folders and files, tables of names; folders in folders; pictures."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest
from astropy.io import fits
from PIL import Image

from pushforward.ensembles import read
from pushforward.ensembles.paths import parameters_in_paths
from pushforward.errors import DataError, UsageError
from pushforward.spaces import Field, Vector

RNG = np.random.default_rng(0)
KAPPAS = (0.25, 0.26, 0.3)


@pytest.fixture
def lattices(tmp_path) -> Path:
    for number, kappa in enumerate(KAPPAS):
        folder = tmp_path / "chains" / f"kappa_{kappa}"
        folder.mkdir(parents=True)
        np.save(folder / "configs.npy", np.full((6, 8, 8), number, np.float32))
    return tmp_path / "chains"


@pytest.mark.parametrize(
    ("paths", "found"),
    [
        (["L8/kappa_0.25/x.npy", "L8/kappa_0.3/x.npy"], {"kappa": [0.25, 0.3]}),
        (["ising_T=2.27.npy", "ising_T=3.npy"], {"ising_T": [2.27, 3]}),
        (["Omega_m_0.3_h0.7.npy", "Omega_m_0.31_h0.7.npy"], {"Omega_m": [0.3, 0.31]}),
        (["run_1/x.npy", "run_2/x.npy"], {}),
        (["z0.5.npy", "w0.5.npy"], {}),
        (["beta_1e-3.npy", "beta_1e-2.npy"], {"beta": [1e-3, 1e-2]}),
    ],
)
def test_numbers_in_paths(paths, found):
    columns = parameters_in_paths([Path(path) for path in paths])
    assert {name: values.tolist() for name, values in columns.items()} == found


def test_folders_name_the_parameter(lattices):
    ensemble = read(lattices)
    assert [each.name for each in ensemble.parameters] == ["kappa"]
    assert len(ensemble) == 18
    for place in range(18):
        number = int(ensemble.take([place])[0, 0, 0, 0])
        assert ensemble.conditions[place, 0] == np.float32(KAPPAS[number])
    assert any("kappa: read from the names" in note for note in ensemble.notes)
    assert read(lattices, condition=False).parameters == ()
    assert read(lattices / "*" / "configs.npy").parameters == ensemble.parameters


def test_whole_numbers_are_parameters_only_when_asked(tmp_path):
    for number in range(4):
        np.save(tmp_path / f"run_{number}.npy", RNG.normal(size=(5, 8, 8)))
    assert read(tmp_path / "run_*.npy").parameters == ()
    assert read(tmp_path / "run_*.npy", condition="path").conditions[:, 0].tolist() == np.repeat(range(4), 5).tolist()
    with pytest.raises(UsageError, match="do not differ in numbers or folders"):
        read(tmp_path / "run_0.npy", condition="path")


@pytest.mark.parametrize(
    "name", ["kappa_{}/configs.npy", "chains/kappa_{}/configs.npy", "kappa_{}/configs", "kappa_{}"]
)
def test_a_table_may_name_files_by_their_folders(lattices, name):
    table = pd.DataFrame({"file": [name.format(kappa) for kappa in KAPPAS[::-1]], "beta": [3.0, 2.0, 1.0]})
    table.to_csv(lattices.parent / "table.csv", index=False)
    ensemble = read(lattices / "*" / "configs.npy", condition=lattices.parent / "table.csv")
    assert ensemble.conditions[:, 0].tolist() == np.repeat([1.0, 2.0, 3.0], 6).tolist()


def test_a_table_beside_the_data_is_named(tmp_path):
    np.save(tmp_path / "maps.npy", RNG.normal(size=(20, 8, 8)))
    np.savetxt(tmp_path / "params_LH.txt", RNG.uniform(size=(20, 2)))
    assert any("--condition" in note and "params_LH.txt" in note for note in read(tmp_path / "maps.npy").notes)
    given = read(tmp_path / "maps.npy", condition=tmp_path / "params_LH.txt")
    assert not any("beside" in note for note in given.notes)


def test_other_datasets_are_named(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["maps"], file["redshift"] = RNG.normal(size=(20, 8, 8)), RNG.uniform(size=20)
    np.savez(tmp_path / "a.npz", maps=RNG.normal(size=(20, 8, 8)), redshift=RNG.uniform(size=20))
    for path in (tmp_path / "a.h5", tmp_path / "a.npz"):
        (note,) = (note for note in read(path).notes if "left out" in note)
        assert "redshift (20,); --field reads another, --condition includes one" in note
        assert [each.name for each in read(path, condition="redshift").parameters] == ["redshift"]


@pytest.mark.parametrize(
    ("dtype", "shape", "space"),
    [
        (np.uint8, (6, 9), Field(1, (6, 9))),
        (np.uint16, (6, 9), Field(1, (6, 9))),
        (np.uint8, (6, 9, 3), Field(3, (6, 9))),
    ],
    ids=["8 bits", "16 bits", "colour"],
)
def test_folders_of_pictures(tmp_path, dtype, shape, space):
    pictures = RNG.integers(0, np.iinfo(dtype).max, (12, *shape)).astype(dtype)
    for number, picture in enumerate(pictures):
        Image.fromarray(picture).save(tmp_path / f"p{number:02d}.png")
    ensemble = read(tmp_path)
    assert ensemble.space == space
    expected = np.moveaxis(pictures, -1, 1) if len(shape) == 3 else pictures[:, None]
    np.testing.assert_array_equal(ensemble.take(np.arange(12)), expected)
    assert read(tmp_path, crop=2).space == Field(space.channels, (2, 2))
    (tmp_path / "p03.png").write_bytes((tmp_path / "p03.png").read_bytes()[:60])
    with pytest.raises(DataError, match=r"p03\.png cannot be read as a picture"):
        read(tmp_path).take(np.arange(12))


def test_columns_of_several_numbers_and_maps_of_the_sky(tmp_path):
    vectors = RNG.normal(size=(20, 5))
    table = fits.BinTableHDU.from_columns([fits.Column("flux", "5D", array=vectors)])
    table.writeto(tmp_path / "v.fits")
    with pytest.raises(DataError, match=r"several numbers per row \(flux \(5,\)\); name one with --field"):
        read(tmp_path / "v.fits")
    assert read(tmp_path / "v.fits", field="flux").space == Vector(5)
    sky = fits.BinTableHDU.from_columns([fits.Column("T", "1024E", array=RNG.normal(size=(12, 1024)))])
    sky.header["PIXTYPE"], sky.header["NSIDE"] = "HEALPIX", 32
    sky.writeto(tmp_path / "sky.fits")
    with pytest.raises(DataError, match="a map of the whole sky in HEALPix"):
        read(tmp_path / "sky.fits")
