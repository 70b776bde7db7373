"""Series at times of their own: from arrays and tables, in order, with missing values left alone."""

import numpy as np
import pandas as pd
import pytest
import torch

import pushforward as pf
from pushforward.ensembles import Ensemble, Preprocessing, write
from pushforward.ensembles.series import joined_series
from pushforward.errors import DataError
from pushforward.simulate import Simulated
from pushforward.spaces import Series, space_from_dict, space_to_dict


def some_series(count: int = 40, length: int = 12, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    times = np.sort(rng.uniform(100, 200, (count, length)), axis=1)
    values = np.stack([np.exp(rng.normal(size=times.shape)), 5 + rng.normal(size=times.shape)], -1)
    values[rng.random(values.shape) < 0.3] = np.nan
    return np.concatenate([times[..., None], values], -1)


SPACE = Series(2, 12, timed=True)


def test_a_space_of_series_survives_as_plain_values():
    for space in (Series(3, 7), SPACE):
        assert space_from_dict(space_to_dict(space)) == space
    assert (Series(3, 7).shape, SPACE.shape, SPACE.size) == ((7, 3), (12, 3), 36)


def test_an_array_is_taken_with_even_times_unless_it_holds_them():
    x = some_series()
    assert pf.read(np.nan_to_num(x), space="series").space == Series(3, 12)
    assert pf.read(x, space="timed-series").space == SPACE
    np.testing.assert_array_equal(Ensemble.from_array(x, space=SPACE).take([3])[0], x[3].astype(np.float32))


def test_rows_are_put_in_order_of_time_and_short_series_filled_up():
    joined = joined_series([[3.0, 1.0, np.nan], [1.0, 2.0, 5.0]], [[30.0, 10.0, np.nan], [1.0, np.nan, 5.0]])
    np.testing.assert_array_equal(joined[0], [[1, 10], [3, 30], [3, np.nan]])
    np.testing.assert_array_equal(joined[1], [[1, 1], [2, np.nan], [5, 5]])


def test_arrays_that_do_not_fit_are_refused():
    with pytest.raises(DataError, match="give "):
        joined_series(np.zeros((3, 4)), np.zeros((3, 5, 1)))
    with pytest.raises(DataError, match="whose time is NaN"):
        joined_series([[0.0, np.nan]], [[1.0, 2.0]])
    with pytest.raises(DataError, match="no times"):
        joined_series([[np.nan, np.nan]], [[np.nan, np.nan]])


def test_times_and_values_of_a_file_are_series(tmp_path):
    x = some_series()
    np.savez(tmp_path / "curves.npz", times=x[..., 0], values=x[..., 1:], conditions=np.arange(40.0))
    found = pf.read(str(tmp_path / "curves.npz"))
    assert found.space == SPACE
    np.testing.assert_allclose(found.take(np.arange(40)), x, rtol=1e-6)
    assert found.conditions.shape == (40, 1)
    np.savez(tmp_path / "grid.npz", times=np.arange(12.0), values=x[..., 1])
    assert pf.read(str(tmp_path / "grid.npz")).space == Series(1, 12, timed=True)


@pytest.mark.parametrize("ending", [".csv", ".parquet"])
def test_a_table_with_a_row_an_observation_is_read_as_series(tmp_path, ending):
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "star": [f"V{n:02d}" for n in range(15) for _ in range(4 + n % 3)],
            "mjd": rng.uniform(0, 9, sum(4 + n % 3 for n in range(15))),
        }
    )
    frame["mag"] = 10 + frame["mjd"]
    shuffled = frame.sample(frac=1, random_state=0)
    path = tmp_path / f"stars{ending}"
    shuffled.to_csv(path, index=False) if ending == ".csv" else shuffled.to_parquet(path)
    found = pf.read(str(path), space="series")
    assert (len(found), found.space) == (15, Series(1, 6, timed=True, names=("mag",)))
    x = found.take(np.arange(15))
    assert (np.diff(x[..., 0], axis=1) >= 0).all()
    seen = ~np.isnan(x[..., 1])
    np.testing.assert_allclose(x[..., 1][seen], 10 + x[..., 0][seen], rtol=1e-6)
    names = shuffled["star"].drop_duplicates().tolist()
    assert seen.sum(1).tolist() == [int((frame["star"] == name).sum()) for name in names]
    assert any("15 series" in note and "'mjd'" in note for note in found.notes)
    assert pf.read(**found.spec).fingerprint == found.fingerprint


def test_tables_of_one_series_each_are_one_ensemble(tmp_path):
    for number in range(12):
        frame = pd.DataFrame({"time": np.arange(3 + number % 2), "flux": np.arange(3 + number % 2) * number})
        frame.to_csv(tmp_path / f"star{number:02d}.csv", index=False)
    found = pf.read(str(tmp_path / "*.csv"), space="series")
    assert (len(found), found.space) == (12, Series(1, 4, timed=True, names=("flux",)))
    np.testing.assert_array_equal(found.take([2])[0, :3, 1], [0, 2, 4])


def test_a_table_that_is_wide_is_still_a_table_of_series(tmp_path):
    pd.DataFrame(np.random.default_rng(0).normal(size=(20, 5))).to_csv(tmp_path / "wide.csv", index=False)
    assert pf.read(str(tmp_path / "wide.csv"), space="series").space == Series(1, 5)


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (lambda x: x[..., 1].fill(np.inf), "infinite"),
        (lambda x: x[..., 1:].fill(np.nan), "no value that was observed"),
        (lambda x: x[..., 0].fill(np.nan), "time that is NaN"),
        (lambda x: x[:, ::-1].copy(), "not in order"),
    ],
)
def test_what_no_series_may_hold_is_found(spoil, sentence):
    x = some_series()
    spoiled = spoil(x)
    x = x if spoiled is None else spoiled
    with pytest.raises(DataError, match=sentence):
        Ensemble.from_array(x, space=SPACE).check()


def test_preprocessing_looks_at_what_was_observed():
    x = some_series(400)
    ensemble = Ensemble.from_array(x, space=SPACE)
    preprocessing = Preprocessing.fit(ensemble)
    assert preprocessing.kinds == ("standardise", "log", "standardise")
    z = preprocessing(torch.from_numpy(x).float())
    assert (z[..., 0].min().item(), z[..., 0].max().item()) == pytest.approx((0, 1), abs=1e-5)
    np.testing.assert_array_equal(np.isnan(z), np.isnan(x))
    assert np.nanmean(z[..., 1:], (0, 1)) == pytest.approx([0, 0], abs=1e-3)
    assert np.nanstd(z[..., 1:], (0, 1)) == pytest.approx([1, 1], abs=1e-3)
    np.testing.assert_allclose(preprocessing.inverse(z), x, rtol=1e-4)
    times = torch.tensor([100.0, 150.0])
    torch.testing.assert_close(preprocessing.decode_times(preprocessing.encode_times(times)), times)


def test_a_coordinate_that_was_never_observed_is_refused():
    x = some_series()
    x[..., 2] = np.nan
    with pytest.raises(DataError, match="x2 was not observed"):
        Preprocessing.fit(Ensemble.from_array(x, space=SPACE))


def test_names_and_units_of_columns_survive_a_file(tmp_path):
    rng = np.random.default_rng(0)
    x = np.stack([np.sort(rng.uniform(0, 9, (12, 5)), axis=1), *rng.normal(size=(2, 12, 5))], axis=2)
    units = ("d", "mag", "K")
    space = Series(2, 5, timed=True, names=("magnitude", "temperature"))
    write(Simulated(x, space, units=units), tmp_path / "stars.parquet")
    found = pf.read(str(tmp_path / "stars.parquet"))
    assert (found.space, found.units) == (space, units)
    assert any("temperature" in line for line in Preprocessing.fit(found).describe())
