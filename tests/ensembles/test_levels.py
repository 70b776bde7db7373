"""Discrete values: recognised, dequantised, and given back exactly."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

import pushforward as pf
from pushforward.ensembles import Ensemble, Preprocessing
from pushforward.ensembles.levels import Allowed, Levels, allowed_values

RNG = np.random.default_rng(0)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (RNG.choice([-1, 1], 400), Allowed(values=(-1.0, 1.0))),
        (RNG.integers(0, 17, 5000), Allowed(0, 16)),
        (RNG.poisson(200.0, 5000), Allowed(0)),
        (RNG.choice([0.0, 0.25, 1.0], 500), Allowed(values=(0.0, 0.25, 1.0))),
        (RNG.normal(size=500), None),
        (np.round(RNG.normal(size=5000), 2), None),
        (2.5 + 1e9 * RNG.integers(0, 9, 100), None),
        (np.repeat([0, 1, 2, 3, 4, 6], [90, 150, 110, 40, 9, 1]), Allowed(0)),
        (np.repeat([0, 1, 5], [150, 150, 100]), Allowed(values=(0.0, 1.0, 5.0))),
    ],
    ids=[
        "spins", "grey levels", "counts", "few values", "continuous", "rounded", "too large", "a gap in a tail",
        "labels",
    ],
)  # fmt: skip
def test_values_are_told_by_looking_at_them(values, expected):
    found = allowed_values(values.astype(np.float32))
    if expected is not None and expected.most is None and not expected.values:
        assert found == Allowed(int(values.min())), "counts have no largest value"
    else:
        assert found == expected


@pytest.mark.parametrize("axis", [1, -1])
def test_values_come_back_from_anywhere_in_their_cell(axis):
    shape = (50, 3, 4, 4) if axis == 1 else (50, 3)
    rng = np.random.default_rng(1)
    channels = [rng.choice([-1.0, 1.0], shape), rng.poisson(3.0, shape), rng.normal(size=shape)]
    index = (slice(None), slice(0, 1))
    x = torch.from_numpy(np.concatenate([c[index] for c in channels], axis=1)).float()
    levels = Levels([Allowed(values=(-1.0, 1.0)), Allowed(0), None], axis)
    for u in (0.0, 0.5, torch.rand_like(x) * 0.999):
        assert torch.equal(levels.inverse(levels(x, u)), x)
    outside = levels.inverse(torch.full_like(x, -7.0))
    assert (outside[:, 0] == -1).all(), "what lies outside is the nearest value that is allowed"
    assert (outside[:, 1] == 0).all()


@pytest.mark.parametrize(
    ("allowed", "inside", "outside"),
    [
        (Allowed(values=(-1.0, 1.0)), [-1.0, 1.0], [0.0, 0.9, 3.0, math.inf]),
        (Allowed(0, 16), [0.0, 16.0], [-1.0, 17.0, 2.5, -math.inf]),
        (Allowed(3), [0.0, 3.0, 1e6], [-1.0, 2.5, math.inf]),
        (Allowed(-4), [-9.0, 7.0], [0.5]),
    ],
    ids=["spins", "grey levels", "counts", "differences of counts"],
)
def test_allowed_values_are_told_from_others_and_missing_ones_stay_missing(allowed, inside, outside):
    levels = Levels([allowed], -1)
    assert levels.contains(torch.tensor([*inside, math.nan])[:, None]).all()
    assert not levels.contains(torch.tensor(outside)[:, None]).any()
    missing = torch.full((1, 1), math.nan)
    assert levels(missing).isnan().all()
    assert levels.inverse(missing).isnan().all()


def test_a_preprocessing_of_discrete_values_is_saved():
    x = np.stack([RNG.choice([-1, 1], 400), RNG.poisson(3, 400), RNG.integers(0, 5, 400)], 1)
    made = Preprocessing.fit(Ensemble.from_array(x), discrete=True)
    again = Preprocessing.from_dict(made.to_dict())
    again.load_state_dict(made.state_dict())
    sample = torch.from_numpy(x[:50]).float()
    u = torch.rand_like(sample)
    assert torch.equal(again(sample, u=u), made(sample, u=u))
    assert torch.equal(again.inverse(made(sample, u=u)), sample)
    assert any("whole numbers from 0, dequantised" in line for line in made.describe())


@pytest.mark.parametrize("name", ["realnvp", "flow-matching", "vae", "wgan-gp"])
def test_samples_are_allowed_values(name, tmp_path):
    rng = np.random.default_rng(2)
    x = np.stack([rng.choice([-1, 1], 300), rng.poisson(4, 300)], 1)
    emulator = pf.fit(Ensemble.from_array(x), name, steps=3, out=tmp_path / "run", progress=False)
    samples = pf.Emulator.load(tmp_path / "run").sample(200, seed=0)
    assert set(samples[:, 0].tolist()) <= {-1.0, 1.0}
    assert (samples[:, 1] == samples[:, 1].round()).all()
    assert samples[:, 1].min() >= 0
    assert torch.equal(samples, emulator.sample(200, seed=0))


def test_fields_of_spins_come_back_as_spins(tmp_path):
    x = np.random.default_rng(3).choice([-1, 1], (60, 8, 8)).astype(np.int8)
    options = {"steps": 2, "out": tmp_path / "run", "settings": {"width": 4}, "progress": False}
    samples = pf.fit(Ensemble.from_array(x, periodic=True), **options).sample(4, seed=0)
    assert set(samples.unique().tolist()) <= {-1.0, 1.0}


def test_the_density_of_discrete_values_sums_to_one(tmp_path):
    rng = np.random.default_rng(4)
    shares = np.array([0.5, 0.3, 0.2])
    x = rng.choice([0, 1, 5], 4000, p=shares)[:, None]
    emulator = pf.fit(Ensemble.from_array(x), "realnvp", steps=20, out=tmp_path / "run", progress=False)
    log_prob = emulator.log_prob(np.array([[0.0], [1.0], [5.0]]))
    assert 0.5 < float(log_prob.exp().sum()) < 1.05, "of a density that leaks a little"


def test_a_user_may_call_whole_numbers_continuous(tmp_path):
    x = np.random.default_rng(5).poisson(4, (300, 2))
    options = {"steps": 2, "out": tmp_path / "run", "settings": {"discrete": False}, "progress": False}
    samples = pf.fit(Ensemble.from_array(x), "realnvp", **options).sample(50, seed=0)
    assert (samples != samples.round()).any()


def test_the_bound_is_tight_where_the_density_is_flat():
    levels = Levels([Allowed(0, 3)], -1)
    x = torch.arange(4.0)[:, None]
    cells = torch.stack([levels(x, u) for u in (0.0, 0.25, 0.5, 0.75)])
    assert math.isclose(float((cells - x).max()), 0.75)


def test_the_levels_of_a_picture_from_zero_to_one_are_kept():
    levels = np.arange(256) / 255
    seen = np.random.default_rng(0).choice(np.delete(levels, 7), 20_000).astype(np.float32)
    allowed = allowed_values(seen)
    np.testing.assert_allclose(allowed.values, levels, atol=1e-6)
    assert allowed_values(np.random.default_rng(0).normal(size=20_000).astype(np.float32).round(2)) is not None
    assert allowed_values(np.random.default_rng(0).normal(size=20_000).astype(np.float32)) is None
    assert allowed_values(np.random.default_rng(0).normal(size=500).astype(np.float32).round(2)) is None
