"""Crops of large fields: what is held out is a region, the same in every field."""

import numpy as np
import pytest

from pushforward.ensembles import Ensemble, Preprocessing, read
from pushforward.errors import DataError, UsageError
from pushforward.spaces import Field

# Every cell holds its own number, so that a crop tells where it was cut.
GRID = (48, 80)
FIELDS = np.arange(3 * 48 * 80, dtype=np.float32).reshape(3, *GRID)


def cells(ensemble, rng=None, rounds=1):
    """Row, column and field of every cell that is seen."""
    seen = np.concatenate([ensemble.take(range(len(ensemble)), rng).ravel() for _ in range(rounds)]).astype(int)
    field, rest = np.divmod(np.unique(seen), 48 * 80)
    return field, *np.divmod(rest, 80)


@pytest.fixture(params=["memory", "file", "axes"])
def cropped(request, tmp_path, monkeypatch):
    conditions = {"z": [0.1, 0.2, 0.3]}
    if request.param == "memory":
        return read(FIELDS, conditions, crop=16)
    np.save(tmp_path / "fields.npy", FIELDS)
    monkeypatch.setattr("pushforward.ensembles.raw_data.in_memory_if_small", lambda source: source)
    return read(tmp_path / "fields.npy", conditions, crop=(16, 16), space=Field(1, GRID))


def test_regions_do_not_overlap_and_are_the_same_in_every_field(cropped):
    rng = np.random.default_rng(0)
    columns = []
    for part in (cropped.train, cropped.validation, cropped.test):
        field, _, column = cells(part, rng, rounds=60)
        in_field = [set(column[field == number]) for number in range(3)]
        assert in_field[0] == in_field[1] == in_field[2]
        columns.append(in_field[0])
    assert not columns[0] & columns[1]
    assert not columns[0] & columns[2]
    assert not columns[1] & columns[2]
    assert max(columns[0]) - min(columns[0]) + 1 == len(columns[0]) == 48


def test_tiles_pave_their_region_once(cropped):
    assert (len(cropped.train), len(cropped.validation), len(cropped.test)) == (27, 9, 9)
    values = cropped.train.take(range(27)).ravel()
    assert len(np.unique(values)) == len(values) == 3 * 48 * 48
    np.testing.assert_array_equal(cropped.test.take([4]), cropped.test.take([4]))


def test_random_crops_move_within_the_region_and_are_crops(cropped):
    moved = cropped.train.take(range(27), np.random.default_rng(1))
    assert not np.array_equal(moved, cropped.train.take(range(27)))
    np.testing.assert_array_equal(moved, cropped.train.take(range(27), np.random.default_rng(1)))
    corner = moved[:, :, :1, :1]
    offsets = 80 * np.arange(16)[:, None] + np.arange(16)
    np.testing.assert_array_equal(moved, corner + offsets)


def test_one_generator_a_member_does_not_depend_on_the_batch(cropped):
    def rngs(numbers):
        return [np.random.default_rng(number) for number in numbers]

    together = cropped.train.take([3, 9], rngs([0, 1]))
    np.testing.assert_array_equal(together[1:], cropped.train.take([9], rngs([1])))


def test_crops_carry_the_condition_of_their_field(cropped):
    for part in (cropped, cropped.train, cropped.validation):
        field = (part.take(range(len(part)))[:, 0, 0, 0] // (48 * 80)).astype(int)
        np.testing.assert_allclose(part.conditions[:, 0], (field + 1) / 10, rtol=1e-6)


def test_crops_are_not_periodic_and_their_box_shrinks():
    ensemble = read(FIELDS, crop=(16, 8), periodic=True, box=96.0, isotropic=True)
    assert ensemble.space == Field(1, (16, 8), periodic=False, box=32.0, isotropic=True)


def test_places_group_crops_of_the_same_sky(cropped):
    train = cropped.train
    local = train.take(range(len(train)))[:, 0, 0, 0] % (48 * 80)
    for group in np.unique(train.groups):
        assert len(np.unique(local[train.groups == group])) == 1


def test_tiles_that_are_picked_out_stay_where_they_are(cropped):
    picked = cropped.train.subset([5, 20])
    np.testing.assert_array_equal(picked.take([0, 1], np.random.default_rng(0)), cropped.train.take([5, 20]))


def test_cubes_are_cropped_along_their_long_axis():
    cubes = np.arange(2 * 2 * 8 * 32 * 8, dtype=np.float32).reshape(2, 2, 8, 32, 8)
    ensemble = read(cubes, crop=(4, 8, 8))
    assert ensemble.space == Field(2, (4, 8, 8))
    assert (len(ensemble.train), len(ensemble.validation), len(ensemble.test)) == (8, 4, 4)
    rows = np.unique(ensemble.test.take(range(4)).astype(int) // 8 % 32)
    np.testing.assert_array_equal(rows, np.arange(24, 32))


def test_one_field_alone_can_be_cropped(tmp_path):
    np.save(tmp_path / "field.npy", np.random.default_rng(0).normal(size=(64, 256)))
    ensemble = read(tmp_path / "field.npy", crop=16)
    assert len(ensemble.train) == 4 * 12
    ensemble.check()
    Preprocessing.fit(ensemble.train)

    assert len(read(np.zeros((64, 256)), crop=16).train) == 4 * 12


def test_channels_last_fields_are_cropped():
    fields = np.random.default_rng(0).normal(size=(2, 64, 48, 3)).astype(np.float32)
    ensemble = read(fields, crop=16)
    assert ensemble.space == Field(3, (16, 16))
    np.testing.assert_array_equal(ensemble.take([1]), np.moveaxis(fields[:1, :16, 16:32], -1, 1))


def test_impossible_crops():
    with pytest.raises(DataError, match=r"do not fit .* \(48, 80\)"):
        read(FIELDS, crop=64)
    with pytest.raises(DataError, match="crop at most 26 along axis 1"):
        read(FIELDS, crop=32)
    with pytest.raises(UsageError, match="2 axes"):
        read(FIELDS, crop=(8, 8, 8))
    with pytest.raises(UsageError, match="crop needs fields"):
        read(np.zeros((100, 2)), crop=8, space="vector")


def test_the_whole_ensemble_may_be_checked_and_bad_cells_are_placed():
    spoiled = FIELDS.copy()
    spoiled[1, 20, 70] = np.nan
    with pytest.raises(DataError, match=r"crop at \(16, 64\) of member 1"):
        read(spoiled, crop=16).check()


def test_an_ensemble_in_memory_can_be_read_again_unchanged():
    ensemble = Ensemble.from_array(FIELDS)
    assert read(ensemble) is ensemble
