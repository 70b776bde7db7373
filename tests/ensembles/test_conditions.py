"""Conditions find their members, whatever they are written in."""

import h5py
import numpy as np
import pandas as pd
import pytest
from astropy.io import fits

from pushforward.ensembles import Parameter, read
from pushforward.errors import DataError, UsageError

X = np.random.default_rng(0).normal(size=(20, 3)).astype(np.float32)
C = np.random.default_rng(1).uniform(1, 2, size=(20, 2)).astype(np.float32)


@pytest.fixture
def data(tmp_path):
    np.save(tmp_path / "x.npy", X)
    return tmp_path / "x.npy"


def written(folder, how):
    path = folder / f"params.{how.split('-')[0]}"
    match how:
        case "csv":
            pd.DataFrame(C, columns=["a", "b"]).to_csv(path, index=False)
        case "txt-comment":
            np.savetxt(path, C, header="a b")
        case "txt-header":
            np.savetxt(path, C, header="a b", comments="")
        case "txt-commas":
            np.savetxt(path, C, header="run by someone\na, b", delimiter=", ")
        case "parquet":
            pd.DataFrame(C, columns=["a", "b"]).to_parquet(path)
        case "npz":
            np.savez(path, params=C, names=np.array(["a", "b"]))
    return path


@pytest.mark.parametrize("how", ["csv", "txt-comment", "txt-header", "txt-commas", "parquet", "npz"])
def test_tables_bring_their_names(data, tmp_path, how):
    ensemble = read(data, condition=written(tmp_path, how))
    assert ensemble.parameters == (Parameter("a"), Parameter("b"))
    np.testing.assert_allclose(ensemble.conditions, C, rtol=1e-6)


def test_arrays_are_given_names(data, tmp_path):
    np.save(tmp_path / "c.npy", C)
    np.savetxt(tmp_path / "c.txt", C)
    for condition in (C, str(tmp_path / "c.npy"), tmp_path / "c.txt", pd.DataFrame(C, columns=["u", "v"])):
        ensemble = read(data, condition=condition, names=["a", "b"])
        assert [p.name for p in ensemble.parameters] == ["a", "b"]
        np.testing.assert_allclose(ensemble.conditions, C, rtol=1e-6)
    assert [p.name for p in read(data, condition=C).parameters] == ["condition_0", "condition_1"]
    assert [p.name for p in read(data, condition=tmp_path / "c.txt").parameters] == ["condition_0", "condition_1"]
    with pytest.raises(DataError, match=r"3 names .* 2 columns"):
        read(data, condition=C, names=["a", "b", "c"])


def test_a_row_for_several_members_in_a_row(data):
    ensemble = read(data, condition={"z": np.arange(5.0)})
    np.testing.assert_array_equal(ensemble.conditions[:, 0], np.arange(20) // 4)
    np.testing.assert_array_equal(ensemble.groups, np.arange(20) // 4)
    assert any("4 consecutive members" in note for note in ensemble.notes)


def test_words_are_labels(data):
    words = np.array(["spiral", "elliptical"])[np.arange(20) % 2]
    for column in (words, words.astype(object), words.astype("S")):
        ensemble = read(data, condition={"kind": column})
        assert ensemble.parameters == (Parameter("kind", ("elliptical", "spiral")),)
        np.testing.assert_array_equal(ensemble.conditions[:, 0], 1 - np.arange(20) % 2)


def test_whole_numbers_are_labels_where_they_are_declared_or_called_so(data):
    numbers = np.arange(20) % 3
    assert read(data, condition={"n": numbers}).parameters == (Parameter("n"),)
    assert read(data, condition={"n": numbers}, labels=["n"]).parameters == (Parameter("n", ("0", "1", "2")),)
    assert read(data, condition={"label": numbers}).parameters == (Parameter("label", ("0", "1", "2")),)
    with pytest.raises(UsageError, match="no column 'm'"):
        read(data, condition={"n": numbers}, labels=["m"])
    with pytest.raises(DataError, match="not whole numbers"):
        read(data, condition={"n": numbers / 2}, labels=["n"])


def test_rows_are_matched_by_file_name(tmp_path):
    for number in range(12):
        np.save(tmp_path / f"map_{number}.npy", np.full((4, 4), number) + np.eye(4))
    order = np.random.default_rng(0).permutation(12)
    table = pd.DataFrame({"file": [f"map_{n}.npy" for n in order], "z": order / 10.0, "kind": ["a", "b"] * 6})
    table.to_csv(tmp_path / "table.csv", index=False)
    ensemble = read(tmp_path / "map_*.npy", condition=tmp_path / "table.csv")
    assert [p.name for p in ensemble.parameters] == ["z", "kind"]
    np.testing.assert_allclose(ensemble.conditions[:, 0], ensemble.take(range(12))[:, 0, 0, 1] / 10, rtol=1e-6)
    table.iloc[1:].to_csv(tmp_path / "table.csv", index=False)
    with pytest.raises(DataError, match=rf"1 of the 12 files .* map_{order[0]}\.npy"):
        read(tmp_path / "map_*.npy", condition=tmp_path / "table.csv")


def test_attributes_and_header_keywords_of_files_with_one_member(tmp_path):
    for number in range(12):
        with h5py.File(tmp_path / f"map_{number:02d}.h5", "w") as file:
            file["x"] = np.full((4, 6), number)
            file.attrs["Omega_m"], file.attrs["suite"] = number / 10, "SIMBA" if number % 2 else "Astrid"
            file["params"] = [number, -number]
            file["params"].attrs["names"] = ["a", "b"]
        header = fits.Header({"REDSHIFT": number / 4})
        fits.writeto(tmp_path / f"map_{number:02d}.fits", np.full((4, 6), number), header)
    ensemble = read(tmp_path / "*.h5", condition="Omega_m, suite")
    np.testing.assert_allclose(ensemble.conditions[:, 0], np.arange(12) / 10, rtol=1e-6)
    assert ensemble.parameters == (Parameter("Omega_m"), Parameter("suite", ("Astrid", "SIMBA")))
    inside = read(tmp_path / "*.h5")
    np.testing.assert_allclose(inside.conditions, np.stack([np.arange(12), -np.arange(12)], axis=1))
    assert [p.name for p in inside.parameters] == ["a", "b"]
    sky = read(tmp_path / "*.fits", condition="REDSHIFT")
    np.testing.assert_allclose(sky.conditions[:, 0], np.arange(12) / 4)


def test_conditions_that_do_not_fit(data, tmp_path):
    with pytest.raises(DataError, match=r"7 rows of conditions, but x\.npy has 20 members"):
        read(data, condition=np.zeros((7, 2)))
    with pytest.raises(DataError, match="missing: 'condition_0' in 1 of 20"):
        read(data, condition=np.where(C > 1.9, np.nan, C))
    with pytest.raises(DataError, match="no file"):
        read(data, condition=tmp_path / "missing.csv")
    (tmp_path / "empty.csv").write_text("")
    with pytest.raises(DataError, match=r"empty\.csv is empty"):
        read(data, condition=tmp_path / "empty.csv")
    (tmp_path / "ragged.csv").write_text("a,b\n1,2\n1,2,3,4\n")
    with pytest.raises(DataError, match="cannot be read as a table"):
        read(data, condition=tmp_path / "ragged.csv")
    with pytest.raises(DataError, match="missing for some"):
        read(data, condition={"kind": np.array(["a", None] * 10, dtype=object)})


def test_the_first_members_keep_their_conditions(data):
    ensemble = read(data, condition=C, members=12)
    assert len(ensemble) == 12
    np.testing.assert_array_equal(ensemble.conditions, C[:12])
    with pytest.raises(DataError, match="21 members were requested"):
        read(data, members=21)


def test_what_was_read_can_be_read_again(data, tmp_path, monkeypatch):
    condition = written(tmp_path, "csv")
    monkeypatch.chdir(tmp_path)
    ensemble = read("x.npy", condition="params.csv", members=15)
    monkeypatch.chdir("/")
    again = read(**ensemble.spec)
    assert again.fingerprint == ensemble.fingerprint
    assert ensemble.spec == {"data": str(data), "condition": str(condition), "members": 15}
    assert read(X).spec is None
    assert read(data, condition=C).spec is None
