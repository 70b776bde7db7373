"""Splits, subsets, conditions and fingerprints of ensembles in memory."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from pushforward.ensembles import Ensemble, Parameter, read
from pushforward.errors import DataError, UsageError
from pushforward.spaces import Field, Particles, Series, Vector

RNG = np.random.default_rng(0)


@given(st.lists(st.integers(0, 30), min_size=40, max_size=120), st.integers(0, 1))
def test_a_split_is_a_partition_that_tears_no_group_apart(groups, offset):
    groups = np.array(groups) + offset
    if len(np.unique(groups)) < 3:
        return
    x = np.arange(len(groups), dtype=float)[:, None]
    ensemble = Ensemble.from_array(x, groups=groups)
    parts = [ensemble.train, ensemble.validation, ensemble.test]
    assert sorted(np.concatenate([part.take(range(len(part)))[:, 0] for part in parts])) == list(range(len(groups)))
    assert all(len(part) for part in parts)
    for i in range(3):
        for j in range(i):
            assert not set(parts[i].groups) & set(parts[j].groups)


def test_the_split_is_the_same_every_time():
    x = RNG.normal(size=(100, 2))
    first, second = (Ensemble.from_array(x) for _ in range(2))
    np.testing.assert_array_equal(first.test.take(range(10)), second.test.take(range(10)))
    assert (len(first.train), len(first.validation), len(first.test)) == (80, 10, 10)
    assert first.train is first.train


@pytest.mark.parametrize(
    ("shape", "kind", "space"),
    [
        ((20,), None, Vector(1)),
        ((20, 3), None, Vector(3)),
        ((20, 8, 6), None, Field(1, (8, 6))),
        ((20, 2, 8, 6), None, Field(2, (8, 6))),
        ((20, 16, 16, 16), None, Field(1, (16, 16, 16))),
        ((20, 2, 4, 5, 6), None, Field(2, (4, 5, 6))),
        ((20, 32, 32, 3), None, Field(3, (32, 32))),
        ((20, 7, 2), "particles", Particles(7, 2)),
        ((20, 7, 2), "series", Series(2, 7)),
        ((20, 7), "series", Series(1, 7)),
        ((20, 7, 3), Field(1, (7, 3), periodic=True), Field(1, (7, 3), periodic=True)),
        ((20, 4, 4, 4), Field(4, (4, 4)), Field(4, (4, 4))),
    ],
)
def test_the_space_follows_from_the_shape(shape, kind, space):
    x = RNG.normal(size=shape)
    ensemble = Ensemble.from_array(x, space=kind)
    assert ensemble.space == space
    assert ensemble.take([0, 1]).shape == (2, *space.shape)
    expected = np.moveaxis(x, -1, 1) if space == Field(3, (32, 32)) else x
    np.testing.assert_allclose(ensemble.take(range(20)).ravel(), expected.ravel(), rtol=1e-6)


def test_tensors_are_arrays():
    x = torch.randn(20, 2)
    np.testing.assert_array_equal(read(x).take([3]), x[3:4].numpy())


def test_subsets_keep_conditions_and_groups():
    ensemble = Ensemble.from_array(
        RNG.normal(size=(30, 2)), conditions=np.arange(30.0), names=["t"], groups=np.arange(30) // 2
    )
    part = ensemble.subset([4, 2, 29]).subset([2, 0])
    np.testing.assert_array_equal(part.conditions[:, 0], [29, 4])
    np.testing.assert_array_equal(part.groups, [14, 2])
    np.testing.assert_array_equal(part.take([0]), ensemble.take([29]))
    mask = np.arange(30) > 25
    assert len(ensemble.subset(mask)) == 4
    np.testing.assert_array_equal(part.condition_rows([1]), [[4]])


def test_conditions_can_be_exchanged():
    ensemble = Ensemble.from_array(RNG.normal(size=(30, 2)), conditions=np.arange(30.0))
    assert ensemble.parameters == (Parameter("condition_0"),)
    labelled = ensemble.with_conditions(np.arange(30) % 2, ["kind"], {"kind": ["a", "b"]})
    assert labelled.parameters == (Parameter("kind", ("a", "b")),)
    assert ensemble.with_conditions(None).conditions is None
    with pytest.raises(DataError, match=r"29 rows of conditions, but .* 30 members"):
        ensemble.with_conditions(np.arange(29.0))
    with pytest.raises(DataError, match="nan"):
        ensemble.with_conditions(np.where(np.arange(30) == 4, np.nan, 0.0))
    with pytest.raises(DataError, match="2 classes"):
        ensemble.with_conditions(np.arange(30) % 3, ["kind"], {"kind": ["a", "b"]})


def test_the_fingerprint_tells_data_apart():
    x = RNG.normal(size=(100, 3)).astype(np.float32)
    same, other, typed = x.copy(), x.copy(), x.astype(np.float64)
    other[99, 0] += 1
    reference = Ensemble.from_array(x).fingerprint
    assert Ensemble.from_array(same).fingerprint == reference
    assert Ensemble.from_array(other).fingerprint != reference
    assert Ensemble.from_array(typed).fingerprint != reference
    assert Ensemble.from_array(x, conditions=np.arange(100)).fingerprint != reference


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e300])
def test_values_that_are_not_finite_are_found_with_their_member(value):
    x = RNG.normal(size=(20, 4, 4))
    x[17, 2, 1] = value
    ensemble = Ensemble.from_array(x)
    with pytest.raises(DataError, match="member 17 of array"):
        ensemble.check()
    with pytest.raises(DataError, match="member 17"):
        ensemble.take([3, 17])
    ensemble.take([3, 16])


def test_large_finite_values_are_finite():
    ensemble = Ensemble.from_array(np.full((20, 4, 4), 3e38) * RNG.random((20, 4, 4)))
    ensemble.check()


def test_too_few_members():
    with pytest.raises(DataError, match="2 members, but training needs at least 10"):
        Ensemble.from_array(RNG.normal(size=(2, 3))).check()
    with pytest.raises(DataError, match="1 group"):
        _ = Ensemble.from_array(RNG.normal(size=(20, 3)), groups=np.zeros(20)).train


def test_constant_data():
    with pytest.raises(DataError, match="all values of array are equal"):
        Ensemble.from_array(np.full((20, 3), 3.0)).check()


def test_shapes_that_are_no_ensemble():
    with pytest.raises(DataError, match="has no members"):
        Ensemble.from_array(np.zeros((0, 3)))
    with pytest.raises(DataError, match="four dimensions, but fields"):
        Ensemble.from_array(np.zeros((4, 1, 2, 3, 4, 5)))
    with pytest.raises(DataError, match="complex"):
        Ensemble.from_array(np.zeros((20, 3), complex))
    with pytest.raises(DataError, match=r"shape \(3,\), but the given space has \(4,\)"):
        Ensemble.from_array(np.zeros((20, 3)), space=Vector(4))
    with pytest.raises(UsageError, match="which has no periodic"):
        Ensemble.from_array(np.zeros((20, 3)), periodic=True)
    with pytest.raises(DataError, match="20 members, but 19 groups"):
        Ensemble.from_array(np.zeros((20, 3)), groups=np.zeros(19))
