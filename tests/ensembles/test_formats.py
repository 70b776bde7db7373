"""Round trips through every format: lazy reading, with the properties stated in the file."""

import io
import threading
import zipfile

import h5py
import numpy as np
import pandas as pd
import pytest
import torch
from astropy.io import fits

from pushforward.ensembles import read
from pushforward.ensembles.stores import InMemory, Positional, in_memory_if_small
from pushforward.errors import DataError
from pushforward.spaces import Field, Particles, Vector

MAPS = np.random.default_rng(0).normal(size=(12, 6, 8)).astype(np.float32)
TABLE = pd.DataFrame(np.random.default_rng(1).normal(size=(12, 3)), columns=["mass", "radius", "spin"])


def write(path, maps):
    ending = path.suffix
    if ending == ".npy":
        np.save(path, maps)
    elif ending == ".npz":
        np.savez(path, x=maps)
    elif ending == ".h5":
        with h5py.File(path, "w") as file:
            file["x"] = maps
    elif ending == ".fits":
        fits.writeto(path, maps)
    elif ending == ".zarr":
        zarr = pytest.importorskip("zarr")
        zarr.save_array(str(path), maps)


@pytest.mark.parametrize("ending", [".npy", ".npz", ".h5", ".fits", ".zarr"])
@pytest.mark.parametrize("dtype", ["<f4", ">f8", "<i2", "u1"])
def test_fields_come_back(tmp_path, ending, dtype):
    maps = (10 * MAPS).astype(dtype)
    if ending == ".zarr":
        maps = maps.astype(maps.dtype.newbyteorder("="))
    write(tmp_path / f"maps{ending}", maps)
    ensemble = read(tmp_path / f"maps{ending}")
    assert ensemble.space == Field(1, (6, 8))
    assert ensemble.take([3, 0, 3]).dtype == np.float32
    np.testing.assert_array_equal(ensemble.take([3, 0, 3])[:, 0], maps[[3, 0, 3]].astype(np.float32))


@pytest.mark.parametrize("ending", [".csv", ".txt", ".parquet", ".fits", ".npy"])
def test_tables_come_back_with_names(tmp_path, ending):
    path = tmp_path / f"catalogue{ending}"
    match ending:
        case ".csv":
            TABLE.to_csv(path, index=False)
        case ".txt":
            np.savetxt(path, TABLE, header="mass radius spin")
        case ".parquet":
            TABLE.to_parquet(path)
        case ".fits":
            columns = [fits.Column(name, "D", array=TABLE[name].to_numpy()) for name in TABLE]
            fits.BinTableHDU.from_columns(columns).writeto(path)
        case ".npy":
            np.save(path, TABLE.to_records(index=False))
    ensemble = read(path)
    assert ensemble.space == Vector(3, ("mass", "radius", "spin"))
    np.testing.assert_allclose(ensemble.take(range(12)), TABLE.to_numpy(), rtol=1e-6)


def test_columns_of_words_are_left_out_and_said_so(tmp_path):
    TABLE.assign(kind="spiral").to_csv(tmp_path / "t.csv", index=False)
    ensemble = read(tmp_path / "t.csv")
    assert ensemble.space.names == ("mass", "radius", "spin")
    assert any("kind" in note for note in ensemble.notes)


def test_some_columns_of_a_table_are_members_and_one_is_the_condition(tmp_path):
    TABLE.to_csv(tmp_path / "t.csv", index=False)
    ensemble = read(tmp_path / "t.csv", condition="spin", field="mass,radius")
    assert ensemble.space == Vector(2, ("mass", "radius"))
    np.testing.assert_allclose(ensemble.conditions[:, 0], TABLE["spin"], rtol=1e-6)


def test_a_condition_is_no_coordinate_of_its_table(tmp_path):
    TABLE.to_csv(tmp_path / "t.csv", index=False)
    assert read(tmp_path / "t.csv", condition="spin").space == Vector(2, ("mass", "radius"))


@pytest.mark.parametrize("options", [{}, {"chunks": (2, 6, 8)}, {"chunks": (1, 3, 8), "compression": "gzip"}])
def test_hdf5_says_what_its_members_are(tmp_path, options):
    with h5py.File(tmp_path / "maps.h5", "w") as file:
        file.create_dataset("maps", data=MAPS, **options)
        file["maps"].attrs["box"] = 25.0
        file.attrs["periodic"] = True
        file["params"] = np.arange(24.0).reshape(12, 2)
        file["params"].attrs["names"] = ["Omega_m", "sigma_8"]
        file["groups"] = np.arange(12) // 3
    ensemble = read(tmp_path / "maps.h5")
    assert ensemble.space == Field(1, (6, 8), periodic=True, box=25.0)
    assert [p.name for p in ensemble.parameters] == ["Omega_m", "sigma_8"]
    np.testing.assert_array_equal(ensemble.conditions, np.arange(24.0).reshape(12, 2))
    np.testing.assert_array_equal(ensemble.groups, np.arange(12) // 3)
    np.testing.assert_array_equal(ensemble.take([11, 4])[:, 0], MAPS[[11, 4]])
    assert read(tmp_path / "maps.h5", condition=False).conditions is None
    assert not read(tmp_path / "maps.h5", periodic=False).space.periodic


def test_hdf5_dataset_and_condition_by_name(tmp_path):
    with h5py.File(tmp_path / "two.h5", "w") as file:
        file["gas/density"] = MAPS
        file["gas/temperature"] = 2 * MAPS
        file["redshift"] = np.linspace(0, 1, 12)
    ensemble = read(tmp_path / "two.h5", condition="redshift", field="gas/temperature")
    np.testing.assert_array_equal(ensemble.take([5])[0, 0], 2 * MAPS[5])
    assert ensemble.parameters[0].name == "redshift"
    with pytest.raises(DataError, match="gas/density"):
        read(tmp_path / "two.h5")
    with pytest.raises(DataError, match="no numeric dataset called 'pressure'"):
        read(tmp_path / "two.h5", field="pressure")


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_npz_brings_conditions(tmp_path, save):
    labels = np.array(["warm", "cold"])[np.arange(12) % 2]
    save(tmp_path / "maps.npz", x=MAPS, labels=labels, box=np.float64(10.0), periodic=np.bool_(True))
    ensemble = read(tmp_path / "maps.npz")
    assert ensemble.space == Field(1, (6, 8), periodic=True, box=10.0)
    assert ensemble.parameters[0].classes == ("cold", "warm")
    np.testing.assert_array_equal(ensemble.conditions[:, 0], 1 - np.arange(12) % 2)
    np.testing.assert_array_equal(ensemble.take([7])[0, 0], MAPS[7])


def test_fits_scaling_and_units(tmp_path):
    stored = fits.ImageHDU(np.arange(48, dtype=np.int16).reshape(6, 8), name="SKY")
    stored.header["BSCALE"], stored.header["BZERO"] = 0.5, 10.0
    fits.HDUList([fits.PrimaryHDU(), stored]).writeto(tmp_path / "map.fits")
    expected = fits.getdata(tmp_path / "map.fits", "SKY")
    ensemble = read(tmp_path / "map.fits", field="SKY")
    assert len(ensemble) == 1
    np.testing.assert_array_equal(ensemble.take([0])[0, 0], expected)


def test_compressed_fits(tmp_path):
    fits.HDUList([fits.PrimaryHDU(), fits.CompImageHDU(MAPS, compression_type="GZIP_1", quantize_level=0)]).writeto(
        tmp_path / "maps.fits"
    )
    np.testing.assert_allclose(read(tmp_path / "maps.fits").take([2])[0, 0], MAPS[2], rtol=1e-6)


def test_xyz_frames_are_particles(tmp_path):
    pytest.importorskip("ase")
    positions = np.random.default_rng(0).normal(size=(10, 4, 3)).round(4)
    with (tmp_path / "frames.extxyz").open("w") as file:
        for number, frame in enumerate(positions):
            file.write(f"4\nProperties=species:S:1:pos:R:3 energy={number / 2}\n")
            file.writelines(f"Ar {x} {y} {z}\n" for x, y, z in frame)
    ensemble = read(tmp_path / "frames.extxyz")
    assert ensemble.space == Particles(4, 3)
    np.testing.assert_allclose(ensemble.take(range(10)), positions, rtol=1e-6)


def test_one_map_a_file_of_several(tmp_path):
    for number, each in enumerate(MAPS):
        np.save(tmp_path / f"map_{number:02d}.npy", each)
    for data in (tmp_path / "map_*.npy", tmp_path, sorted(tmp_path.iterdir())):
        ensemble = read(data)
        assert len(ensemble) == 12
        assert ensemble.space == Field(1, (6, 8))
        np.testing.assert_array_equal(ensemble.take([9])[0, 0], MAPS[9])


def test_stacks_of_several_files_are_joined(tmp_path):
    np.save(tmp_path / "a.npy", MAPS[:5])
    np.save(tmp_path / "b.npy", MAPS[5:])
    np.testing.assert_array_equal(read(tmp_path / "?.npy").take(range(12))[:, 0], MAPS)


def test_the_folder_of_arrays_leaves_its_table_alone(tmp_path):
    np.save(tmp_path / "a.npy", MAPS)
    TABLE.to_csv(tmp_path / "params.csv", index=False)
    assert len(read(tmp_path)) == 12


def test_content_counts_more_than_the_ending(tmp_path):
    with h5py.File(tmp_path / "maps.npy", "w") as file:
        file["x"] = MAPS
    ensemble = read(tmp_path / "maps.npy")
    np.testing.assert_array_equal(ensemble.take([1])[0, 0], MAPS[1])
    assert any("hdf5" in note for note in ensemble.notes)


@pytest.mark.parametrize("order", ["C", "F"])
def test_windows_are_parts_of_members(tmp_path, order):
    np.save(tmp_path / "a.npy", np.asarray(MAPS, order=order))
    source = read(tmp_path / "a.npy").members.source
    np.testing.assert_array_equal(source.window(3, (slice(1, 4), slice(2, 7))), MAPS[3, 1:4, 2:7])


def test_large_files_are_not_held_in_memory(tmp_path):
    np.save(tmp_path / "a.npy", MAPS)
    source = Positional(tmp_path / "a.npy", 128, np.dtype("<f4"), MAPS.shape)
    assert in_memory_if_small(source, limit=100) is source
    assert isinstance(in_memory_if_small(source), InMemory)
    np.testing.assert_array_equal(source.read(np.array([4, 5, 6, 1, 11, 0])), MAPS[[4, 5, 6, 1, 11, 0]])
    np.testing.assert_array_equal(source.window(3, (slice(1, 4), slice(2, 7))), MAPS[3, 1:4, 2:7])


@pytest.mark.parametrize("chunks", [None, (3, 4, 4)])
def test_threads_may_read_at_once(tmp_path, chunks, monkeypatch):
    monkeypatch.setattr("pushforward.ensembles.raw_data.in_memory_if_small", lambda source: source)
    maps = np.repeat(np.arange(200, dtype=np.float32), 16).reshape(200, 4, 4)
    with h5py.File(tmp_path / "maps.h5", "w") as file:
        file.create_dataset("x", data=maps, chunks=chunks)
    ensemble = read(tmp_path / "maps.h5")
    wrong = []

    def work(seed):
        rng = np.random.default_rng(seed)
        for _ in range(50):
            rows = rng.integers(0, 200, 8)
            if not np.array_equal(ensemble.take(rows)[:, 0], maps[rows]):
                wrong.append(rows)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_a_stored_npz_is_read_by_position(tmp_path):
    np.savez(tmp_path / "maps.npz", x=MAPS)
    from pushforward.ensembles.formats.npz import open_file

    assert isinstance(open_file(tmp_path / "maps.npz").source, Positional)


def test_an_archive_of_something_else_is_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("readme.txt", "nothing here")
    with pytest.raises(DataError, match=r"readme\.txt"):
        read(tmp_path / "a.npz")


def test_frames_and_tensors_in_memory():
    ensemble = read(TABLE.assign(kind="spiral"), condition=np.arange(12.0))
    assert ensemble.space == Vector(3, ("mass", "radius", "spin"))
    np.testing.assert_allclose(ensemble.tensor(), TABLE.to_numpy(), rtol=1e-6)
    assert read(torch.ones(12, 3, requires_grad=True) * torch.arange(12)[:, None]).space == Vector(3)
    with pytest.raises(DataError):
        read(io.BytesIO(b"abc"))
