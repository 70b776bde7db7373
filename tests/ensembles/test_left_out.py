"""What is left out is named with the option that takes it in, and what is taken in is not; names that are not there are
answered with those that are."""

from __future__ import annotations

import h5py
import numpy as np
import pandas as pd
import pytest
from astropy.io import fits

from pushforward.ensembles import read
from pushforward.errors import DataError, UsageError
from pushforward.spaces import Vector

RNG = np.random.default_rng(0)


@pytest.fixture
def table(tmp_path):
    frame = pd.DataFrame({"x": RNG.normal(size=60), "y": RNG.normal(size=60), "kind": RNG.choice(["a", "b"], 60)})
    frame.to_csv(tmp_path / "t.csv", index=False)
    return tmp_path / "t.csv"


def maps_in(folder, ending):
    values = {"maps": RNG.normal(size=(60, 8, 8)), "redshift": RNG.uniform(0, 1, 60), "mask": np.ones((60, 8, 8))}
    path = folder / f"m.{ending}"
    if ending == "npz":
        np.savez(path, **values)
    elif ending == "h5":
        with h5py.File(path, "w") as file:
            for name, each in values.items():
                file[name] = each
    else:
        zarr = pytest.importorskip("zarr")
        group = zarr.open_group(str(path), mode="w")
        for name, each in values.items():
            group.create_array(name, data=each)
    return path


@pytest.mark.parametrize("ending", ["npz", "h5", "zarr"])
def test_other_datasets_are_named_unless_one_is_the_condition(tmp_path, ending):
    path = maps_in(tmp_path, ending)
    left = next(note for note in read(path).notes if "left out" in note)
    assert "redshift (60,)" in left
    assert "mask (60, 8, 8)" in left
    assert "--condition includes one" in left
    given = read(path, condition="redshift")
    left = next(note for note in given.notes if "left out" in note)
    assert "redshift" not in left
    assert [each.name for each in given.parameters] == ["redshift"]


def test_a_column_that_names_the_series_is_not_left_out(tmp_path):
    rows = [(f"star{star}", 2.0 * time, star, "a note") for star in range(12) for time in range(5)]
    pd.DataFrame(rows, columns=["star", "mjd", "mag", "remark"]).to_csv(tmp_path / "s.csv", index=False)
    (left,) = [note for note in read(tmp_path / "s.csv", id="star", time="mjd").notes if "left out" in note]
    assert "remark" in left
    assert "star" not in left


def test_a_column_of_words_is_named_unless_it_is_the_condition(table):
    assert any("kind; --condition uses one as a label" in note for note in read(table).notes)
    assert not any("left out" in note for note in read(table, condition="kind").notes)


@pytest.mark.parametrize(("asked", "near"), [("knd", "kind"), ("X", None), ("x,knd", "kind")])
def test_a_condition_that_is_not_there_is_answered_with_what_is(table, asked, near):
    hint = f": did you mean '{near}'" if near else ""
    with pytest.raises(DataError, match=f"there is no such file, and t.csv has no '.*'; it has x, y, kind{hint}"):
        read(table, condition=asked)


def test_a_name_of_a_dataset_that_is_not_there(tmp_path):
    path = maps_in(tmp_path, "h5")
    with pytest.raises(DataError, match=r"m\.h5 has no 'redshif'; it has .*: did you mean 'redshift'"):
        read(path, condition="redshif")
    with pytest.raises(DataError, match=r"there is no file 'redshifts\.txt'"):
        read(path, condition="redshifts.txt")


def test_tables_with_columns_of_both_kinds_are_asked_about(tmp_path):
    columns = [
        fits.Column("flux", "12E", array=RNG.normal(size=(60, 12)).astype("f4")),
        fits.Column("z", "E", array=RNG.uniform(0, 1, 60)),
        fits.Column("name", "3A", array=["abc"] * 60),
    ]
    path = tmp_path / "s.fits"
    fits.BinTableHDU.from_columns(columns).writeto(path)
    with pytest.raises(UsageError, match=r"--field flux for members from the first, or --columns z for"):
        read(path)
    spectra = read(path, field="flux", condition="z")
    assert spectra.space == Vector(12)
    assert [each.name for each in spectra.parameters] == ["z"]
    assert any("other columns are left out: name;" in note for note in spectra.notes)
    assert read(path, columns="z").space == Vector(1, ("z",))
    assert read(path, field="z").space == Vector(1, ("z",))
    with pytest.raises(DataError, match="no column called 'zz'; its columns are flux, z, name"):
        read(path, field="zz")


def test_as_many_numbers_as_the_sky_has_pixels_are_asked_about(tmp_path):
    sky = RNG.normal(size=12 * 16**2)
    np.save(tmp_path / "sky.npy", sky)
    for data in (sky, tmp_path / "sky.npy"):
        with pytest.raises(UsageError, match=r"HEALPix.*project patches.*--space vector"):
            read(data)
        assert read(data, space="vector").space == Vector(1)
    assert read(sky[:-1]).space == Vector(1)


def test_identifiers_of_nineteen_digits_are_no_coordinates(tmp_path):
    frame = pd.DataFrame(
        {"g": RNG.normal(size=60), "r": RNG.normal(size=60), "source_id": 10**18 + RNG.permutation(60)}
    )
    frame.to_csv(tmp_path / "c.csv")
    frame.to_parquet(tmp_path / "c.parquet")
    for ending, said in (
        ("csv", "'Unnamed: 0', 'source_id' only number the rows, and are"),
        ("parquet", "only numbers"),
    ):
        ensemble = read(tmp_path / f"c.{ending}")
        assert ensemble.space == Vector(2, ("g", "r"))
        assert any(said in note for note in ensemble.notes)


@pytest.fixture
def phases(tmp_path):
    for name in ("ordered", "disordered"):
        (tmp_path / "phases" / name).mkdir(parents=True)
        for number in range(12):
            np.save(tmp_path / "phases" / name / f"{number}.npy", RNG.normal(size=(8, 8)))
    return tmp_path / "phases"


def test_folders_are_a_label_when_asked(phases):
    plain = read(phases)
    assert not plain.parameters
    assert any("2 folders (disordered, ordered); --condition path uses these as a label" in n for n in plain.notes)
    labelled = read(phases, condition="path")
    assert [(each.name, each.classes) for each in labelled.parameters] == [("folder", ("disordered", "ordered"))]
    assert labelled.conditions[:, 0].tolist() == [0.0] * 12 + [1.0] * 12


def test_a_column_of_file_names_that_names_none_of_them_is_refused(phases, tmp_path):
    pd.DataFrame({"file": [f"{n}.fits" for n in range(24)], "mass": range(24)}).to_csv(tmp_path / "p.csv", index=False)
    with pytest.raises(DataError, match=r"'file' of conditions names none of the files.* is '0\.fits'"):
        read(phases, condition=tmp_path / "p.csv")


def test_the_line_of_names_of_a_table_beside_the_data_is_no_row(tmp_path):
    np.save(tmp_path / "x.npy", np.zeros((20, 3)))
    (tmp_path / "table.csv").write_text("a\n" + "1\n" * 20)
    assert any("table.csv next to the data has 20 rows" in note for note in read(tmp_path / "x.npy").notes)


@pytest.mark.parametrize("name", ["event", "run_event", "eventNumber", "event_number", "EventID", "evt"])
@pytest.mark.parametrize("numbers", ["consecutive", "ascending", "shuffled"])
def test_numbers_of_events_are_no_physics(name, numbers):
    rng = np.random.default_rng(0)
    event = {
        "consecutive": 100000 + np.arange(60),
        "ascending": np.cumsum(rng.integers(1, 9, 60)) + 5000,
        "shuffled": rng.permutation(60) + 70000,
    }[numbers]
    ensemble = read(pd.DataFrame({name: event, "px": rng.normal(size=60), "py": rng.normal(size=60)}))
    assert ensemble.space.names == ("px", "py")
    assert any(f"{name!r} only numbers the rows" in note and "--columns includes it" in note for note in ensemble.notes)


def test_other_whole_numbers_are_kept():
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"year": 1900 + np.arange(60), "event": rng.integers(0, 9, 60), "events": np.arange(60) + 7})
    assert read(frame).space.names == ("year", "event", "events")
