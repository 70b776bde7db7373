"""Faults of files are reported in one sentence, before any work starts."""

import pickle

import h5py
import numpy as np
import pandas as pd
import pytest
import torch
from astropy.io import fits

from pushforward.ensembles import read
from pushforward.errors import DataError, UsageError

MAPS = np.random.default_rng(0).normal(size=(20, 8, 8)).astype(np.float32)


def cut(path, keep=0.6):
    content = path.read_bytes()
    path.write_bytes(content[: int(keep * len(content))])
    return path


def npy(folder):
    np.save(folder / "a.npy", MAPS)
    return cut(folder / "a.npy")


def npy_header(folder):
    np.save(folder / "a.npy", MAPS)
    return cut(folder / "a.npy", 0.01)


def npz(folder):
    np.savez(folder / "a.npz", x=MAPS)
    return cut(folder / "a.npz")


def hdf5(folder):
    with h5py.File(folder / "a.h5", "w") as file:
        file["x"] = MAPS
    return cut(folder / "a.h5")


def fits_image(folder):
    fits.writeto(folder / "a.fits", MAPS)
    return cut(folder / "a.fits")


def fits_header(folder):
    fits.writeto(folder / "a.fits", MAPS)
    return cut(folder / "a.fits", 0.1)


def fits_table(folder):
    fits.BinTableHDU.from_columns([fits.Column("x", "D", array=np.arange(5000.0))]).writeto(folder / "a.fits")
    return cut(folder / "a.fits")


def parquet(folder):
    pd.DataFrame(MAPS[:, 0]).rename(columns=str).to_parquet(folder / "a.parquet")
    return cut(folder / "a.parquet")


def empty(folder):
    (folder / "a.npy").touch()
    return folder / "a.npy"


@pytest.mark.parametrize("make", [npy, npy_header, npz, hdf5, fits_image, fits_header, fits_table, parquet, empty])
def test_truncated_files(tmp_path, make):
    path = make(tmp_path)
    with pytest.raises(DataError, match=path.name) as told:
        read(path)
    assert "\n" not in str(told.value)


def test_pickles_are_never_loaded(tmp_path):
    np.save(tmp_path / "object.npy", np.array([{"a": 1}, None], dtype=object), allow_pickle=True)
    (tmp_path / "pickle.npy").write_bytes(pickle.dumps(MAPS))
    torch.save(torch.zeros(20, 2), tmp_path / "tensor.npy")
    torch.save(torch.zeros(20, 2), tmp_path / "tensor.pt")
    torch.save(torch.zeros(20, 2), tmp_path / "old.pt", _use_new_zipfile_serialization=False)
    np.savez(tmp_path / "object.npz", x=np.array([{"a": 1}], dtype=object))
    for name in ("object.npy", "pickle.npy", "tensor.npy", "tensor.pt", "old.pt"):
        with pytest.raises(DataError, match="pickle"):
            read(tmp_path / name)
    with pytest.raises(DataError):
        read(tmp_path / "object.npz")


def test_what_is_not_there(tmp_path):
    with pytest.raises(DataError, match=r"no file matches .*\*\.npy"):
        read(tmp_path / "*.npy")
    with pytest.raises(DataError, match="no file"):
        read(tmp_path / "maps.npy")
    with pytest.raises(DataError, match="no folder"):
        read(tmp_path / "nowhere" / "maps.npy")
    with pytest.raises(DataError, match="holds no file of a known format"):
        read(tmp_path)
    with pytest.raises(DataError, match="empty list"):
        read([])


def test_what_is_no_data(tmp_path):
    (tmp_path / "notes.md").write_text("# Notes\nnothing to see\n")
    with pytest.raises(DataError, match="an unknown format"):
        read(tmp_path / "notes.md")
    (tmp_path / "a.npy").write_bytes(b"garbage" * 100)
    with pytest.raises(DataError, match="damaged"):
        read(tmp_path / "a.npy")
    (tmp_path / "words.csv").write_text("a,b\nx,y\nz,w\n")
    with pytest.raises(DataError, match="no numeric column"):
        read(tmp_path / "words.csv")
    np.save(tmp_path / "c.npy", np.zeros((20, 3), complex))
    with pytest.raises(UsageError, match="--complex-parts reads them as two channels"):
        read(tmp_path / "c.npy")
    np.save(tmp_path / "zero.npy", np.zeros((0, 3)))
    with pytest.raises(DataError, match="has no members"):
        read(tmp_path / "zero.npy")
    fits.PrimaryHDU().writeto(tmp_path / "nothing.fits")
    with pytest.raises(DataError, match="no image and no table"):
        read(tmp_path / "nothing.fits")
    with h5py.File(tmp_path / "nothing.h5", "w"):
        pass
    with pytest.raises(DataError, match="holds no array of numbers"):
        read(tmp_path / "nothing.h5")


def test_files_that_differ(tmp_path):
    np.save(tmp_path / "a.npy", MAPS)
    np.save(tmp_path / "b.npy", MAPS[:, :4])
    with pytest.raises(DataError, match=r"members differ in shape: \(8, 8\) in a\.npy and \(4, 8\) in b\.npy"):
        read(tmp_path / "*.npy")
    fits.writeto(tmp_path / "c.fits", MAPS)
    with pytest.raises(DataError, match="several formats"):
        read(tmp_path)


def test_the_file_of_a_bad_value_is_named(tmp_path):
    for number in range(12):
        each = MAPS[number].copy()
        each[2, 3] = np.nan if number == 7 else 0
        np.save(tmp_path / f"map_{number:02d}.npy", each)
    with pytest.raises(DataError, match=r"map_07\.npy holds NaN in 0\.016 of its values"):
        read(tmp_path / "map_*.npy").check()


def test_large_files_are_looked_at_in_part_and_batches_in_full(tmp_path, monkeypatch):
    monkeypatch.setattr("pushforward.ensembles.checks.SCANNED", 5 * 256)
    spoiled = MAPS.copy()
    spoiled[3] = np.inf
    np.save(tmp_path / "a.npy", spoiled)
    ensemble = read(tmp_path / "a.npy")
    ensemble.check()
    with pytest.raises(DataError, match=r"member 3 of a\.npy holds an infinite value"):
        ensemble.take(range(5))


def test_arguments_that_make_no_sense(tmp_path):
    np.save(tmp_path / "a.npy", MAPS)
    with pytest.raises(UsageError, match="'noise'"):
        read(tmp_path / "a.npy", noise=0.1)
    with pytest.raises(UsageError, match="members=0 was given"):
        read(tmp_path / "a.npy", members=0)
    with pytest.raises(UsageError, match="kind 'graph' is unknown"):
        read(tmp_path / "a.npy", space="graph")
    with pytest.raises(DataError, match="none of particles members"):
        read(np.zeros((4, 2, 3, 4)), space="particles")
