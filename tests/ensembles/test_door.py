"""Data are not read by a guess: what could be read in two ways is asked for, and what is left out is named."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest
from astropy.io import fits

from pushforward.ensembles import Parameter, read
from pushforward.ensembles.recognised_supports import support_of
from pushforward.ensembles.supports import Angle
from pushforward.errors import DataError, UsageError
from pushforward.runs.conditions import condition_table
from pushforward.spaces import Field, Particles, Series, Vector

RNG = np.random.default_rng(0)


@pytest.mark.parametrize(
    ("classes", "asked", "index"),
    [(("3", "7", "12"), 7, 1), (("3", "7", "12"), 12.0, 2), (("0", "2"), "2", 1), (("1", "2", "3"), np.int64(1), 0)],
)
def test_labels_with_gaps_are_found_by_their_value(classes, asked, index):
    assert condition_table({"label": asked}, (Parameter("label", classes),), 1).item() == index


@pytest.mark.parametrize(
    ("classes", "asked"),
    [(("3", "7", "12"), 1), (("0", "2"), 1), (("1", "2", "3"), 0), (("dark", "bright"), 1), (("0", "1"), 0.5)],
)
def test_a_value_that_is_no_class_lists_the_classes(classes, asked):
    with pytest.raises(UsageError, match=f"label has no class {asked}; its classes are {', '.join(classes)}"):
        condition_table({"label": asked}, (Parameter("label", classes),), 1)


@pytest.mark.parametrize(("classes", "asked"), [((3, 7, 12), 1), ((0, 2), 1), ((1, 2, 3), 0)])
def test_an_emulator_of_labels_with_gaps_takes_no_index(tmp_path, classes, asked):
    import pushforward as pf

    labels = np.repeat(classes, 20)
    ensemble = read(RNG.normal(size=(len(labels), 2)), condition={"label": labels})
    emulator = pf.fit(ensemble, "realnvp", steps=1, progress=False, out=tmp_path / "run", settings={"couplings": 1})
    with pytest.raises(UsageError, match=f"no class {asked}; its classes are {', '.join(map(str, classes))}"):
        emulator.sample(2, {"label": asked})
    assert emulator.sample(2, {"label": classes[-1]}).shape == (2, 2)


@pytest.mark.parametrize("shape", [(30, 3), (13, 3), (30, 4), (4, 2), (5, 3)], ids=str)
def test_short_axes_are_asked_about(tmp_path, shape):
    x = RNG.normal(size=(40, *shape))
    np.savez(tmp_path / "x.npz", x=x)
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file["x"] = x
    for data in (x, tmp_path / "x.npz", tmp_path / "x.h5"):
        with pytest.raises(UsageError, match="give --space particles, series or field"):
            read(data)
        assert read(data, space="particles").space.shape == shape
        assert isinstance(read(data, space="particles").space, Particles)
        assert isinstance(read(data, space="series").space, Series)
        assert isinstance(read(data, space="field").space, Field)
        assert read(data, space="vector").take([1]).tolist() == [x[1].astype("f4").ravel().tolist()]


def test_small_pictures_are_pictures():
    for side in (3, 4, 8):
        assert read(RNG.normal(size=(20, side, side))).space == Field(1, (side, side))


@pytest.mark.parametrize("side", [256, 2048])
def test_one_map_is_asked_about(tmp_path, side):
    np.save(tmp_path / "map.npy", RNG.standard_normal((side, side), np.float32))
    with pytest.raises(UsageError, match="--crop 64 for pieces of a map"):
        read(tmp_path / "map.npy")
    assert read(tmp_path / "map.npy", crop=32).space == Field(1, (32, 32))
    assert read(tmp_path / "map.npy", space="vector").space == Vector(side)


def test_lattices_in_four_dimensions_are_asked_about():
    lattice = RNG.normal(size=(12, 4, 4, 4, 4))
    assert read(lattice[:, :2]).space == Field(2, (4, 4, 4))
    with pytest.raises(UsageError, match="a lattice in four dimensions"):
        read(RNG.normal(size=(12, 8, 8, 8, 8)))
    assert read(RNG.normal(size=(12, 8, 8, 8, 8)), space="field").space == Field(8, (8, 8, 8))
    with pytest.raises(DataError, match="four dimensions, but fields"):
        read(lattice[:, None])
    assert read(lattice[:, None], space="vector").space == Vector(256)


@pytest.mark.parametrize(
    ("shape", "space"), [((4, 6), Field(2, (4, 6))), ((2, 4, 6), Field(4, (4, 6))), ((5,), Vector(10))]
)
def test_complex_numbers_are_two_channels_when_asked(tmp_path, shape, space):
    x = RNG.normal(size=(12, *shape)) + 1j * RNG.normal(size=(12, *shape))
    np.save(tmp_path / "x.npy", x)
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file["x"] = x
    for data in (x, tmp_path / "x.npy", tmp_path / "x.h5"):
        with pytest.raises(UsageError, match="--complex-parts"):
            read(data)
        ensemble = read(data, complex_parts=True)
        assert ensemble.space == space
        halves = np.split(ensemble.take([3])[0], 2)
        np.testing.assert_allclose(halves[0].reshape(shape), x[3].real.astype("f4"))
        np.testing.assert_allclose(halves[1].reshape(shape), x[3].imag.astype("f4"))


def light_curves(filters=("g", "r")) -> pd.DataFrame:
    """Six stars, twenty nights each, with a Julian date, a magnitude and a filter."""
    rows = 6 * 20
    return pd.DataFrame(
        {
            "name": np.repeat([f"star{i}" for i in range(6)], 20),
            "mjd": 2459000.5 + np.sort(RNG.uniform(0, 0.3, (6, 20)), axis=1).ravel(),
            "mag": RNG.normal(16, 0.3, rows),
            "filter": [filters[i % len(filters)] for i in range(rows)],
        }
    )


def test_observations_are_asked_about_and_filters_are_not_mixed(tmp_path):
    light_curves().to_csv(tmp_path / "stars.csv", index=False)
    with pytest.raises(UsageError, match="--space series, with --id name --time mjd, or --space vector"):
        read(tmp_path / "stars.csv")
    with pytest.raises(DataError, match=r"differ in 'filter' \(g, r\): --id name,filter"):
        read(tmp_path / "stars.csv", space="series")
    each = read(tmp_path / "stars.csv", id="name,filter", time="mjd")
    assert len(each) == 12
    assert each.space == Series(1, 10, timed=True, names=("mag",))
    mixed = read(tmp_path / "stars.csv", id="name", time="mjd", columns="mag")
    assert len(mixed) == 6
    assert mixed.space == Series(1, 20, timed=True, names=("mag",))
    assert read(tmp_path / "stars.csv", space="vector").space == Vector(2, ("mjd", "mag"))
    one = light_curves(("g",))
    assert len(read(one, space="series")) == 6


def test_nights_of_a_catalogue_keep_every_time(tmp_path):
    """Forty stars, thirty times each in one night, as Julian dates in a table."""
    import pushforward as pf

    times = 2459000.5 + np.sort(RNG.uniform(0, 0.3, (40, 30)), axis=1)
    frame = pd.DataFrame({"name": np.repeat(np.arange(40), 30), "mjd": times.ravel(), "mag": RNG.normal(16, 0.3, 1200)})
    frame.assign(name=[f"star{i:02d}" for i in frame["name"]], filter="g").to_csv(tmp_path / "stars.csv", index=False)
    with pytest.raises(UsageError, match="--space series, with --id name --time mjd"):
        read(tmp_path / "stars.csv")
    ensemble = read(tmp_path / "stars.csv", id="name", time="mjd")
    seen = ensemble.take(np.arange(40))[..., 0]
    np.testing.assert_allclose(seen, times, rtol=0, atol=1e-9)
    emulator = pf.fit(ensemble, "latent-ode", steps=1, progress=False, out=tmp_path / "run")
    given = emulator.preprocessing(ensemble.tensor())[..., 0]
    assert len(np.unique(seen)) == 1200
    assert len(np.unique(given)) >= 1198, "of 1200 at random, of which float32 may join a pair"
    with pytest.raises(UsageError, match=r"latent-ode learns series data, not vector data; .* --space series"):
        pf.fit(read(tmp_path / "stars.csv", space="vector"), "latent-ode", steps=1, out=tmp_path / "other")


def test_options_of_tables_are_refused_for_arrays(tmp_path):
    np.save(tmp_path / "x.npy", RNG.normal(size=(20, 3)))
    for data in (tmp_path / "x.npy", RNG.normal(size=(20, 3))):
        with pytest.raises(UsageError, match="--columns selects columns of a table"):
            read(data, columns="a")


def catalogue(**more) -> pd.DataFrame:
    return pd.DataFrame({"x": RNG.normal(size=50), "y": RNG.normal(size=50), **more})


@pytest.mark.parametrize("index", [True, False])
def test_numbers_of_rows_are_left_out_and_named(tmp_path, index):
    frame = catalogue(source_id=RNG.permutation(50) + 4 * 10**9)
    frame.to_csv(tmp_path / "c.csv", index=index)
    ensemble = read(tmp_path / "c.csv")
    assert ensemble.space == Vector(2, ("x", "y"))
    assert any("'source_id'" in note and "--columns includes" in note for note in ensemble.notes)
    assert read(tmp_path / "c.csv", columns="x,source_id").space == Vector(2, ("x", "source_id"))
    with pytest.raises(DataError, match="no column of numbers 'z'"):
        read(tmp_path / "c.csv", columns="x,z")


def test_a_catalogue_that_lacks_values_says_where(tmp_path):
    frame = catalogue()
    frame.loc[:4, "x"], frame.loc[3:10, "y"] = np.nan, np.nan
    frame.to_csv(tmp_path / "c.csv", index=False)
    with pytest.raises(DataError, match=r"x in 5, y in 8 of 50 members; give --missing .* leaves 39 members"):
        read(tmp_path / "c.csv")
    dropped = read(tmp_path / "c.csv", missing="drop")
    assert len(dropped) == 39
    assert "11 of 50 members" in " ".join(dropped.notes)
    filled = read(tmp_path / "c.csv", missing="fill").take(np.arange(50))
    np.testing.assert_allclose(filled[0, 0], frame["x"].median(), rtol=1e-6)
    flagged = read(tmp_path / "c.csv", missing="mask")
    assert flagged.space == Vector(2, ("x", "y"), gaps=(0, 1))
    np.testing.assert_array_equal(np.isnan(flagged.take(np.arange(50))), frame.isna().to_numpy())
    with pytest.raises(UsageError, match="--missing takes drop, fill, mask, keep"):
        read(tmp_path / "c.csv", missing="ignore")


@pytest.mark.parametrize("sentinel", [-99.0, -999.0, -9999.0, 1e20])
def test_numbers_that_stand_for_missing_values_are_named(sentinel):
    frame = catalogue(mag=RNG.normal(20, 2, 50))
    frame.loc[[2, 7, 30], "mag"] = sentinel
    with pytest.raises(DataError, match=r"mag is .* in 3 of 50 values, which looks missing; give --missing"):
        read(frame)
    assert len(read(frame, missing="drop")) == 47
    assert read(frame, missing="keep").take([2])[0, 2] == np.float32(sentinel)


def test_ordinary_values_are_no_signs_of_missing_ones():
    temperatures = RNG.uniform(-200, 100, 500).round()
    assert len(read(temperatures[:, None])) == 500


def test_masks_are_honoured(tmp_path):
    x = RNG.normal(size=(30, 6, 6)) + 5
    hidden = np.zeros(x.shape, bool)
    hidden[4, 2, 2] = hidden[9] = True
    x[hidden] = -9999
    masked = np.ma.MaskedArray(x, hidden)
    with pytest.raises(DataError, match="--missing"):
        read(masked).check()
    assert len(read(masked, missing="drop")) == 28
    np.save(tmp_path / "mask.npy", hidden)
    np.save(tmp_path / "x.npy", x)
    same = read(tmp_path / "x.npy", mask=str(tmp_path / "mask.npy"), missing="fill")
    assert same.take([4])[0, 0, 2, 2] == pytest.approx(np.median(x[~hidden]), rel=1e-6)
    flagged = read(masked, missing="mask")
    assert flagged.space == Field(2, (6, 6))
    np.testing.assert_array_equal(flagged.take(np.arange(30))[:, 1], hidden)
    with pytest.raises(UsageError, match="also give --missing"):
        read(tmp_path / "x.npy", mask=hidden)


def test_missing_values_that_fits_declares(tmp_path):
    n = 40
    columns = [
        fits.Column("mag", "E", array=RNG.normal(size=n)),
        fits.Column("count", "J", array=np.where(np.arange(n) < 4, -999, RNG.integers(0, 500, n)), null=-999),
    ]
    fits.BinTableHDU.from_columns(columns).writeto(tmp_path / "t.fits")
    with pytest.raises(DataError, match="count in 4 of 40 members"):
        read(tmp_path / "t.fits")
    assert len(read(tmp_path / "t.fits", missing="drop")) == 36
    image = RNG.integers(10, 20, (12, 6, 6)).astype(np.int16)
    image[3, 2, 2] = -5
    unit = fits.PrimaryHDU(image)
    unit.header["BLANK"] = -5
    unit.writeto(tmp_path / "i.fits")
    with pytest.raises(DataError, match="--missing"):
        read(tmp_path / "i.fits").check()
    assert len(read(tmp_path / "i.fits", missing="drop")) == 11


def test_conditions_that_are_missing():
    x, condition = RNG.normal(size=(40, 3)), {"mass": RNG.uniform(1, 2, 40)}
    condition["mass"][[3, 5]] = -99
    with pytest.raises(DataError, match=r"'mass' in 2 of 40 \(-99\); --missing drop"):
        read(x, condition=condition)
    assert len(read(x, condition=condition, missing="drop")) == 38


@pytest.mark.parametrize("offset", [2459000.5, 1.6e9])
def test_times_with_a_large_offset_keep_their_differences(tmp_path, offset):
    import pushforward as pf

    times = offset + np.sort(RNG.uniform(0, 0.3, (40, 30)), axis=1)
    np.savez(tmp_path / "c.npz", times=times, values=RNG.normal(size=(40, 30)))
    ensemble = read(tmp_path / "c.npz")
    taken = ensemble.take(np.arange(40))
    np.testing.assert_array_equal(taken[..., 0], times)
    emulator = pf.fit(ensemble, "latent-ode", steps=2, progress=False, out=tmp_path / "run")
    z = emulator.preprocessing(ensemble.tensor())
    assert len(np.unique(z[..., 0])) >= 1198  # of 1200 at random, of which float32 may join a pair
    again = pf.Emulator.load(tmp_path / "run")
    np.testing.assert_allclose(again.preprocessing.inverse(z)[..., 0], times, rtol=0, atol=1e-6)
    drawn = again.sample(5, seed=0)[..., 0]
    assert drawn.min() >= offset
    assert drawn.max() <= offset + 0.3
    assert (drawn.diff(dim=1) >= 0).all()


def test_coordinates_and_conditions_with_a_large_offset(tmp_path):
    import pushforward as pf

    x = 1e9 + RNG.normal(size=(200, 2))
    jd = 2459000.5 + RNG.uniform(0, 0.1, 200)
    ensemble = read(x, condition={"jd": jd})
    np.testing.assert_array_equal(ensemble.take(np.arange(200)), x)
    np.testing.assert_array_equal(ensemble.conditions[:, 0], jd)
    emulator = pf.fit(ensemble, "realnvp", steps=5, progress=False, out=tmp_path / "run")
    again = pf.Emulator.load(tmp_path / "run")
    samples = again.sample(400, {"jd": 2459000.55}, seed=0).numpy()
    assert abs(samples.mean() - 1e9) < 1
    assert 0.3 < samples.std() < 3
    assert len(np.unique(samples)) == 800
    shifted = pf.fit(
        read(x - 1e9, condition={"jd": jd - 2459000}), "realnvp", steps=5, progress=False, out=tmp_path / "s"
    )
    np.testing.assert_allclose(
        emulator.log_prob(x[:20], {"jd": jd[:20]}), shifted.log_prob(x[:20] - 1e9, {"jd": jd[:20] - 2459000}), atol=1e-2
    )
    codes = emulator.preprocessing.encode_condition(ensemble.take_given(np.arange(200))[1]).numbers
    assert len(np.unique(codes)) == 200


@pytest.mark.parametrize("ending", ["csv", "npy", "npz", "h5", "fits"])
def test_files_keep_differences_of_numbers_with_a_large_offset(tmp_path, ending):
    from pushforward.ensembles import write
    from pushforward.simulate import Simulated

    x = np.column_stack([2459000.5 + RNG.uniform(0, 0.1, 50), RNG.normal(size=50)])
    write(Simulated(x, Vector(2, ("t0", "y"))), tmp_path / f"x.{ending}")
    np.testing.assert_allclose(read(tmp_path / f"x.{ending}").take(np.arange(50)), x, rtol=0, atol=1e-9)


def test_tables_in_hdf5(tmp_path):
    frame = catalogue(source_id=np.arange(50))
    with h5py.File(tmp_path / "rows.h5", "w") as file:
        file["halos"] = frame.to_records(index=False)
    with h5py.File(tmp_path / "columns.h5", "w") as file:
        for name in frame:
            file[name] = frame[name].to_numpy()
    assert read(tmp_path / "rows.h5").space == Vector(2, ("x", "y"))
    assert [each.name for each in read(tmp_path / "rows.h5", condition="y").parameters] == ["y"]
    side_by_side = read(tmp_path / "columns.h5", columns="x,y")
    assert side_by_side.space == Vector(2, ("x", "y"))
    np.testing.assert_array_equal(side_by_side.take(np.arange(50)), frame[["x", "y"]].to_numpy("f4"))


def test_masks_of_arrays_and_conditions_in_memory():
    from pushforward.ensembles import Ensemble

    x = np.ma.MaskedArray(RNG.normal(size=(40, 3)), mask=False)
    x[3, 1] = np.ma.masked
    assert np.isnan(Ensemble.from_array(x).members.read(np.array([3]))[0, 1])
    mass = np.ma.MaskedArray(RNG.uniform(1, 2, 40), mask=np.arange(40) == 5)
    with pytest.raises(DataError, match=r"'mass' in 1 of 40 \(NaN or infinite\)"):
        read(RNG.normal(size=(40, 3)), condition={"mass": mass})


def test_what_was_asked_for_is_read_again_from_any_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    x = RNG.normal(size=(30, 30, 3))
    np.save("x.npy", x)
    np.save("mask.npy", np.arange(30)[:, None, None] + np.zeros(x.shape) < 4)
    light_curves().to_csv("c.csv", index=False)
    asked = [
        read("x.npy", space="particles", mask="mask.npy", missing="drop"),
        read("c.csv", id="name,filter", time="mjd", columns=["mag"]),
        read("x.npy", space="series", missing="keep"),
    ]
    monkeypatch.chdir("/")
    for ensemble in asked:
        again = read(**ensemble.spec)
        assert (len(again), again.space, again.fingerprint) == (len(ensemble), ensemble.space, ensemble.fingerprint)
    assert read(tmp_path / "x.npy", space="series", mask=x > 9, missing="drop").spec is None


@pytest.mark.parametrize("option", [{"columns": "x"}, {"missing": "drop"}, {"id": "a"}])
def test_built_in_sets_have_nothing_to_choose(option):
    with pytest.raises(UsageError, match="two-moons is built in"):
        read("two-moons", **option)


def test_a_family_of_another_kind_says_how_to_read(tmp_path):
    import pushforward as pf

    with pytest.raises(UsageError, match=r"latent-ode learns series data, not vector data; .* --space series"):
        pf.fit(read(RNG.normal(size=(40, 3))), "latent-ode", steps=1, progress=False, out=tmp_path / "run")


def test_a_mapping_of_columns_is_a_table() -> None:
    rng = np.random.default_rng(0)
    table = {"mass": rng.normal(size=50), "flux": rng.uniform(size=50)}
    found = read(table)
    assert found.space == Vector(2, ("mass", "flux"))
    assert read(table, columns="mass", condition="flux").parameters[0].name == "flux"
    for wrong in ({"a": np.ones(3), "b": np.ones(4)}, {"a": np.ones((3, 2))}, {}):
        with pytest.raises(DataError, match="a mapping is read as a table, whose columns have one axis"):
            read(wrong)


@pytest.mark.parametrize("kind", ["array", "csv", "npy"])
def test_whole_numbers_that_float64_would_round_are_refused(kind: str, tmp_path: Path) -> None:
    large = 2**60 + np.arange(60).reshape(30, 2) ** 2
    data: object = large
    if kind == "csv":
        np.savetxt(tmp_path / "a.csv", large, fmt="%d", delimiter=",", header="a,b", comments="")
        data = tmp_path / "a.csv"
    elif kind == "npy":
        np.save(tmp_path / "a.npy", large)
        data = tmp_path / "a.npy"
    with pytest.raises(DataError, match=r"beyond 2\^53"):
        read(data).take(np.arange(30))


def test_a_normal_column_whose_extremes_lie_near_pi_is_no_angle() -> None:
    rng = np.random.default_rng(0)
    rows = np.clip(rng.normal(size=(240, 1)), -3.0, 3.0)
    rows[0], rows[1] = -3.13, 3.13
    assert not isinstance(support_of(Vector(1), rows.astype(np.float32), 0), Angle)
    turned = rng.uniform(-np.pi, np.pi, size=(240, 1)).astype(np.float32)
    turned[:2, 0] = (-3.13, 3.13)
    assert isinstance(support_of(Vector(1), turned, 0), Angle)


def test_series_of_different_lengths_are_told_what_to_do(tmp_path: Path) -> None:
    for name, length in (("a", 24), ("b", 23)):
        np.save(tmp_path / f"{name}.npy", np.ones((5, length, 2)).cumsum(1))
    with pytest.raises(DataError, match="fill the shorter ones with rows of NaN"):
        read([tmp_path / "a.npy", tmp_path / "b.npy"], space="timed-series")
