"""Files that are nearly right: they are read as they are meant, or one sentence says what is wrong and what to do."""

from __future__ import annotations

import gzip
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest
import torch

from pushforward.ensembles import read
from pushforward.errors import DataError, UsageError
from pushforward.spaces import Vector

RNG = np.random.default_rng(0)
X = RNG.normal(size=(60, 3))
FRAME = pd.DataFrame(X, columns=["a", "b", "c"])


def records(path):
    rows = np.zeros(60, dtype=[("a", "f8"), ("b", ">f4"), ("c", "f8"), ("name", "U3"), ("v", "f4", (2,))])
    for name in FRAME:
        rows[name] = FRAME[name]
    (np.savez(path, rows) if path.suffix == ".npz" else np.save(path, rows))
    return path


def text(path, **options):
    FRAME.to_csv(path, index=False, **options)
    return path


def lines(path, make, header=""):
    path.write_text(header + "\n".join(make(row) for row in X) + "\n", encoding="utf-8")
    return path


def packed(path):
    with gzip.open(path, "wt", encoding="utf-8") as file:
        FRAME.to_csv(file, index=False)
    return path


READ = {
    "records of .npy": lambda f: records(f / "x.npy"),
    "records of .npz": lambda f: records(f / "x.npz"),
    "semicolons": lambda f: text(f / "x.csv", sep=";"),
    "decimal commas": lambda f: text(f / "x.csv", sep=";", decimal=","),
    "tabs and decimal commas": lambda f: text(f / "x.tsv", sep="\t", decimal=","),
    "spaces and decimal commas": lambda f: lines(
        f / "x.txt", lambda row: " ".join(f"{v:.17f}".replace(".", ",") for v in row), "# a b c\n"
    ),
    "exponents of Fortran": lambda f: lines(
        f / "x.txt", lambda row: " ".join(f"{v:.16e}".replace("e", "D") for v in row), "# a b c\n"
    ),
    "a line of units": lambda f: lines(f / "x.txt", lambda row: " ".join(map(str, row)), "# a b c\n# km s K\n"),
    "packed": lambda f: packed(f / "x.csv.gz"),
    "a mark of the byte order": lambda f: text(f / "x.csv", encoding="utf-8-sig"),
}


@pytest.mark.parametrize("case", READ)
def test_tables_however_they_are_written(tmp_path, case):
    ensemble = read(READ[case](tmp_path))
    assert ensemble.space == Vector(3, ("a", "b", "c"))
    np.testing.assert_allclose(ensemble.take(np.arange(60)), X, rtol=1e-6)
    assert ("commas" in case) == any("decimal commas" in note for note in ensemble.notes)


def test_records_in_memory_are_a_table(tmp_path):
    ensemble = read(np.load(records(tmp_path / "x.npy")))
    assert ensemble.space == Vector(3, ("a", "b", "c"))
    assert any("left out: name, v" in note for note in ensemble.notes)
    assert read(np.load(tmp_path / "x.npy"), columns="a,c").space == Vector(2, ("a", "c"))


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_dates_are_days(tmp_path, ending):
    dates = pd.date_range("2020-01-01T06:00", periods=60, freq="12h")
    frame = FRAME.assign(date=dates, star=["u", "v", "w"] * 20)
    path = tmp_path / f"x.{ending}"
    if ending == "csv":
        frame.assign(date=dates.strftime("%Y-%m-%dT%H:%M:%S")).to_csv(path, index=False)
    else:
        frame.to_parquet(path)
    series = read(path, id="star", time="date")
    assert len(series) == 3
    first = series.take([0])[0, :, 0]
    np.testing.assert_allclose(first, 58849.25 + 1.5 * np.arange(20))
    rows = read(path, space="vector")
    assert rows.space.names == ("a", "b", "c", "date")
    assert any("dates are days (MJD) in date" in note for note in rows.notes)


def test_columns_of_lists_are_asked_for_by_name(tmp_path):
    lists = pd.DataFrame({"spectrum": [list(row) for row in X]})
    lists.to_parquet(tmp_path / "one.parquet")
    lists.assign(z=X[:, 0]).to_parquet(tmp_path / "both.parquet")
    with pytest.raises(DataError, match="--field spectrum reads its lists of numbers as members"):
        read(tmp_path / "one.parquet")
    with pytest.raises(UsageError, match="--field spectrum for members from the first, or --columns z"):
        read(tmp_path / "both.parquet")
    given = read(tmp_path / "both.parquet", field="spectrum", condition="z")
    np.testing.assert_allclose(given.take(np.arange(60)), X, rtol=1e-6)
    np.testing.assert_allclose(given.conditions[:, 0], X[:, 0], rtol=1e-6)


def with_entry(path, entry):
    frame = FRAME.astype(object)
    frame.iloc[7, 1] = entry
    frame.to_csv(path, index=False)
    return path


REFUSED = {
    "words among numbers": (
        lambda f: with_entry(f / "x.csv", "bad"),
        r"'b' has words among its numbers, for example 'bad' in row 8; .*--columns a,c",
    ),
    "points between thousands": (
        lambda f: lines(f / "x.csv", lambda row: f"1.000,5;{abs(round(row[0]))},25", "a;b\n"),
        r"the numbers of the column 'a' are written in an unknown form, '1\.000,5'",
    ),
    "points and commas": (
        lambda f: lines(f / "x.csv", lambda row: f"{abs(row[0]):.3f};{round(row[1])},25", "a;b\n"),
        "the numbers of the column 'a' are written in an unknown form",
    ),
    "another encoding": (
        lambda f: (f / "x.csv").write_bytes("größe,b\n".encode("latin1") + b"1,2\n" * 50),
        "it is not in UTF-8",
    ),
    "a line too long": (
        lambda f: (f / "x.csv").write_text("a,b\n" + "1,2\n" * 20 + "1,2,3\n"),
        "line 22 has 3 entries, but 2 were expected",
    ),
    "no rows": (lambda f: (f / "x.csv").write_text("a,b\n"), "has the columns a, b but no rows"),
    "a column without values": (
        lambda f: FRAME.assign(q=np.nan).to_csv(f / "x.csv", index=False),
        "no value at all in q: name the columns to read with --columns",
    ),
    "an array packed by gzip": (
        lambda f: (f / "x.npy.gz").write_bytes(gzip.compress(b"\x93NUMPY")),
        "is compressed by gzip, .*; gunzip it first",
    ),
    "no array in it": (lambda f: np.savez(f / "x.npz", words=np.array(["a", "b"])), "holds no array of numbers"),
    "a link to nothing": (
        lambda f: (f / "x.npy").symlink_to(f / "gone.npy"),
        "is a link to .*gone.npy",
    ),
    "one member": (lambda f: np.save(f / "x.npy", X[:1]), "has 1 member, but training needs at least 10"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_wrong_is_one_sentence(tmp_path, case):
    make, sentence = REFUSED[case]
    make(tmp_path)
    (path,) = tmp_path.iterdir()
    with pytest.raises((DataError, UsageError), match=sentence):
        len(read(path).train)


@pytest.mark.parametrize("missing", [None, "drop", "fill", "mask"])
def test_a_column_without_values_is_no_gap(tmp_path, missing):
    with pytest.raises(DataError, match="no value at all in q"):
        read(FRAME.assign(q=np.nan), missing=missing)
    assert len(read(FRAME.assign(q=np.nan), columns="a,b")) == 60


def test_frames_in_memory_are_read_like_files():
    """Dates, durations, decimal numbers, flags and repeated names, as databases return them."""
    dates = pd.date_range("2020-01-01", periods=60, freq="12h", tz="Europe/Oslo")
    frame = FRAME.assign(
        flag=X[:, 0] > 0,
        price=[Decimal(str(value)) for value in X[:, 1]],
        date=dates,
        wait=pd.to_timedelta(np.arange(60) % 7, "h"),
    )
    ensemble = read(frame)
    assert ensemble.space.names == (*FRAME.columns, "flag", "price", "date", "wait")
    first = ensemble.take(np.arange(2))
    np.testing.assert_allclose(first[:, 3:5], np.stack([X[:2, 0] > 0, X[:2, 1]], 1), rtol=1e-6)
    np.testing.assert_allclose(np.diff(first[:, 5:], axis=0), [[0.5, 1 / 24]], rtol=1e-2)
    assert read(pd.DataFrame(X, columns=["a", "a", "b"])).space.names == ("a", "a.1", "b")
    with pytest.raises(UsageError, match="'wave' holds complex numbers"):
        read(FRAME.assign(wave=X[:, 0] + 1j))
    with pytest.raises(DataError, match="every column of frame is a condition"):
        read(FRAME, condition="a,b,c")


@pytest.mark.parametrize("make", [lambda x: x.bfloat16(), lambda x: x.to_sparse(), lambda x: x.requires_grad_()])
def test_tensors_of_any_layout(make):
    np.testing.assert_allclose(read(make(torch.from_numpy(X.copy()))).take(np.arange(60)), X, rtol=1e-2)


def test_arrays_that_are_none():
    with pytest.raises(DataError, match="is not an array of numbers"):
        read([[1.0, 2.0], [3.0]])
    with pytest.raises(DataError, match="the name of the data is empty"):
        read("")
    with pytest.raises(DataError, match="are not distinct"):
        read(X, condition=X[:, :2], names=["a", "a"])
