"""Values as they are: samples never leave the support of the data, and the maps to the real line are exact."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch
from numpy.testing import assert_allclose

from pushforward.ensembles import Ensemble, read
from pushforward.ensembles.preprocessing import Preprocessing
from pushforward.ensembles.supports import Angle, Interval, Positive, Supports, Zeros, support_of
from pushforward.spaces import Field, Vector

RNG = np.random.default_rng(3)
N = 4000
SUPPORTS = [Zeros(0.5, 2.0), Zeros(1e-3, 2.0, 400.0), Positive(0.3), Interval(-1.0, 1.0), Angle(0.0, 360.0, 200.0)]
PLACES = {Zeros: (0.01, 900.0), Positive: (1e-3, 20.0), Interval: (-0.999, 0.999), Angle: (0.0, 199.0)}
COLUMNS = {
    "shower": np.where(RNG.random(N) < 0.75, 0, 10 ** RNG.uniform(-3, 3, N)),
    "rain": np.where(RNG.random(N) < 0.3, 0, RNG.lognormal(0, 1, N)),
    "mass": RNG.lognormal(2, 2, N),
    "radius": np.abs(RNG.normal(1, 0.6, N)) + 1e-3,
    "fraction": RNG.beta(0.8, 0.8, N),
    "cosine": RNG.uniform(-1, 1, N),
    "ra": RNG.uniform(0, 360, N),
    "phi": np.angle(np.exp(1j * RNG.normal(np.pi, 0.4, N))),
    "flux": RNG.standard_t(1.5, N),
    "normal": RNG.normal(size=N),
}


@pytest.mark.parametrize("support", SUPPORTS, ids=repr)
def test_maps_have_an_inverse_and_the_slope_that_autograd_finds(support):
    x = torch.linspace(*PLACES[type(support)], 200, dtype=torch.float64, requires_grad=True)
    y = support.forward(x, torch.rand(200, dtype=torch.float64))
    assert_allclose(support.inverse(y).detach(), x.detach(), rtol=1e-6)
    (slope,) = torch.autograd.grad(y.sum(), x)
    assert_allclose(support.log_slope(x).detach(), slope.log(), atol=1e-9)


@pytest.mark.parametrize("support", SUPPORTS[:2], ids=repr)
def test_zeros_come_back_as_zeros_and_have_the_volume_of_their_band(support):
    x, u = torch.zeros(1000, dtype=torch.float64), torch.rand(1000, dtype=torch.float64)
    y = support.forward(x, u)
    assert (support.inverse(y) == 0).all()
    assert (y.max() - y.min()).item() == pytest.approx(support.width, rel=0.02)
    assert_allclose(support.log_slope(x).exp(), support.width)


@pytest.mark.parametrize(
    ("name", "kind"),
    [("shower", Zeros), ("rain", Zeros), ("radius", Positive), ("fraction", Interval), ("cosine", Interval),
     ("ra", Angle), ("phi", Angle), ("flux", None), ("normal", None)],
)  # fmt: skip
def test_supports_are_told_by_values(name, kind):
    found = support_of(Vector(1, (name,)), COLUMNS[name].astype(np.float32), 0)
    assert type(found) is (kind or type(None))


def test_an_angle_is_cut_where_it_is_emptiest():
    angle = support_of(Vector(1, ("lon",)), (RNG.normal(0, 20, N) % 360).astype(np.float32), 0)
    assert angle.cut == pytest.approx(180, abs=100)
    y = angle.forward(torch.tensor([350.0, 10.0]), torch.zeros(2))
    assert (y[1] - y[0]).item() == pytest.approx(20, abs=1e-4)


@pytest.mark.parametrize("scale", [1, 2.5], ids=["as the data", "far beyond"])
@pytest.mark.parametrize("name", COLUMNS)
def test_samples_stay_in_the_support_and_near_the_data(name, scale):
    column = COLUMNS[name]
    preprocessing = Preprocessing.fit(read(pd.DataFrame({name: column}), missing="keep"))
    z = torch.from_numpy(RNG.normal(0, scale, (N, 1))).float()
    x = preprocessing.inverse(z).numpy()
    assert np.isfinite(x).all()
    bounds = {"fraction": (0, 1), "cosine": (-1, 1), "ra": (0, 360), "phi": (-np.pi - 1e-6, np.pi)}
    low, high = bounds.get(name, (0 if column.min() >= 0 else -np.inf, np.inf))
    assert x.min() >= low
    assert x.max() <= high
    assert np.abs(x).max() < 100 * np.abs(column).max()
    if (column == 0).any():
        assert (x == 0).any()
    elif low == 0:
        assert (x > 0).mean() > 0.99


@pytest.mark.parametrize("name", COLUMNS)
def test_densities_in_the_users_units_have_the_right_volume(name):
    column = COLUMNS[name]
    preprocessing = Preprocessing.fit(read(pd.DataFrame({name: column}), missing="keep")).double()
    x = torch.from_numpy(column[column != 0][:200, None]).requires_grad_()
    (slope,) = torch.autograd.grad(preprocessing(x).sum(), x)
    assert_allclose(preprocessing.log_abs_det(x).detach(), slope[:, 0].log(), rtol=1e-6, atol=1e-6)


def test_they_are_saved():
    supports = Supports([None, *SUPPORTS], -1)
    again = Supports.from_list(supports.to_list(), -1)
    assert again.supports == supports.supports


def test_zeros_of_fields_are_zeros():
    x = np.where(RNG.random((40, 1, 8, 8)) < 0.5, 0, RNG.lognormal(0, 1, (40, 1, 8, 8)))
    preprocessing = Preprocessing.fit(Ensemble.from_array(x, space=Field(1, (8, 8))))
    y = torch.from_numpy(x).float()
    back = preprocessing.inverse(preprocessing(y, u=torch.rand_like(y)))
    assert_allclose(back, y, rtol=1e-5)


def test_rows_without_a_density_are_told_by_their_rank(tmp_path):
    import pushforward as pf
    from pushforward.errors import UsageError

    x = RNG.normal(size=(200, 5, 3))
    x -= x.mean(axis=1, keepdims=True)
    emulator = pf.fit(
        Ensemble.from_array(x.reshape(200, 15)), "realnvp", steps=2, progress=False, out=tmp_path / "relations"
    )
    assert emulator.preprocessing.relations == 3
    assert emulator.sample(3, seed=0).shape == (3, 15)
    with pytest.raises(UsageError, match="3 exact linear relations"):
        emulator.log_prob(x[:2].reshape(2, 15))
    free = pf.fit(
        Ensemble.from_array(RNG.normal(size=(200, 15))), "realnvp", steps=2, progress=False, out=tmp_path / "free"
    )
    assert free.log_prob(RNG.normal(size=(2, 15))).shape == (2,)
