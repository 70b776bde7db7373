"""Values as they are: samples never leave the support of the data, and the maps to the real line are exact."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch
from numpy.testing import assert_allclose

from pushforward.ensembles import Ensemble, read
from pushforward.ensembles.preprocessing import Preprocessing
from pushforward.ensembles.recognised_supports import support_of
from pushforward.ensembles.supports import Angle, Interval, Positive, Supports, Within, Zeros
from pushforward.spaces import Field, Vector

RNG = np.random.default_rng(3)
N = 4000
SUPPORTS = [Zeros(0.5, 2.0), Zeros(1e-3, 2.0, 400.0, 3.0), Positive(0.3), Interval(-1.0, 1.0), Angle(0.0, 360.0, 200.0)]
PLACES = {Zeros: (0.01, 900.0), Positive: (1e-3, 20.0), Interval: (-0.999, 0.999), Angle: (0.0, 199.0)}
COLUMNS = {
    "shower": np.where(RNG.random(N) < 0.75, 0, 10 ** RNG.normal(0, 1.2, N)),
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
    low, high = PLACES[type(support)]
    x = torch.linspace(low, high, 200, dtype=torch.float64)
    if type(support) is Zeros:
        x = torch.cat([torch.logspace(-6, -2, 50, dtype=torch.float64), x])  # smaller than any that was seen, too
    x.requires_grad_()
    y = support.forward(x, torch.rand(len(x), dtype=torch.float64))
    assert_allclose(support.inverse(y).detach(), x.detach(), rtol=1e-6)
    (slope,) = torch.autograd.grad(y.sum(), x)
    assert_allclose(support.log_slope(x).detach(), slope.log(), atol=1e-9)


@pytest.mark.parametrize("support", [*SUPPORTS, Within(0.0, 3.0)], ids=repr)
def test_values_outside_of_a_support_are_told_from_those_within(support):
    supports = Supports([support], -1)
    low, high = PLACES.get(type(support), (0.0, 3.0))
    y = torch.tensor([-200.0, -1.0, 0.0, 1.0, 200.0])[:, None]
    assert supports.contains(supports.inverse(y)).all(), "a sample has left the support"
    assert supports.contains(torch.tensor([low, high, np.nan])[:, None]).all()
    assert supports(torch.full((1, 1), np.nan)).isnan().all(), "a missing value was filled"
    if type(support) is not Angle:
        assert not supports.contains(torch.tensor([[-1.5]])).any()


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
    assert np.abs(x).max() < 12 * np.abs(column).max()
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


def test_positive_fields_stay_so():
    x = np.maximum(RNG.normal(2, 1, (40, 1, 8, 8)), 0.01)
    preprocessing = Preprocessing.fit(Ensemble.from_array(x, space=Field(1, (8, 8))))
    assert (preprocessing.inverse(3 * torch.randn(100, 1, 8, 8)) >= 0).all()
    assert_allclose(preprocessing.inverse(preprocessing(torch.from_numpy(x).float())), x, rtol=1e-4)


def test_rows_without_a_density_are_told_by_their_rank(tmp_path):
    import pushforward as pf
    from pushforward.errors import UsageError

    x = RNG.normal(size=(200, 13, 3))
    x -= x.mean(axis=1, keepdims=True)
    emulator = pf.fit(
        Ensemble.from_array(x.reshape(200, 39)), "realnvp", steps=2, progress=False, out=tmp_path / "relations"
    )
    assert emulator.preprocessing.relations == 3
    assert emulator.sample(3, seed=0).shape == (3, 39)
    with pytest.raises(UsageError, match="3 exact linear relations"):
        emulator.log_prob(x[:2].reshape(2, 39))
    free = pf.fit(
        Ensemble.from_array(RNG.normal(size=(200, 39))), "realnvp", steps=2, progress=False, out=tmp_path / "free"
    )
    assert free.log_prob(RNG.normal(size=(2, 39))).shape == (2,)


@pytest.mark.parametrize("name", ["mass", "flux", "radius", "shower"])
def test_functions_go_on_as_a_line_beyond_the_data(name):
    preprocessing = Preprocessing.fit(read(pd.DataFrame({name: COLUMNS[name]}), missing="keep")).double()
    x = COLUMNS[name].max() * torch.linspace(0.5, 30, 2000, dtype=torch.float64)[:, None].requires_grad_()
    z = preprocessing(x)
    assert_allclose(preprocessing.inverse(z).detach(), x.detach(), rtol=1e-8)
    assert (z.diff(dim=0) > 0).all()
    (slope,) = torch.autograd.grad(z.sum(), x)
    assert_allclose(preprocessing.log_abs_det(x).detach(), slope[:, 0].log(), atol=1e-9)
    beyond = slope[x[:, 0] > 1.01 * COLUMNS[name].max()]
    assert_allclose(beyond, beyond[0].expand_as(beyond), rtol=1e-9)
    # A deviation in network units is at most the range of the data.
    assert 1 / beyond[0].item() <= 1.1 * np.ptp(COLUMNS[name])


def test_samples_of_a_flow_stay_near_heavy_tailed_data(tmp_path):
    import pushforward as pf

    x = np.column_stack([COLUMNS[name] for name in ("mass", "flux", "shower", "rain")])
    emulator = pf.fit(read(x, missing="keep"), "realnvp", steps=300, progress=False, out=tmp_path / "run")
    samples = emulator.sample(20_000, seed=0).numpy()
    assert (np.abs(samples).max(0) < 30 * np.abs(x).max(0)).all()
    assert (samples[:, [0, 2, 3]] >= 0).all()
    assert np.abs((samples[:, 2:] == 0).mean(0) - (x[:, 2:] == 0).mean(0)).max() < 0.15


def test_showers_of_a_calorimeter_stay_energies(tmp_path):
    """368 cells, three quarters of them empty, the others over six decades."""
    import pushforward as pf

    x = np.where(RNG.random((300, 368)) < 0.75, 0, 10 ** RNG.uniform(-3, 3, (300, 368))).astype(np.float32)
    emulator = pf.fit(x, "flow-matching", steps=2, progress=False, out=tmp_path / "run")
    samples = emulator.sample(50, seed=0).numpy()
    assert np.isfinite(samples).all()
    assert samples.min() == 0
    assert samples.max() < 30 * x.max()
    assert 0.3 < (samples == 0).mean() < 0.95
    held = emulator.preprocessing
    back = held.inverse(held(torch.from_numpy(x[:50]))).numpy()
    np.testing.assert_array_equal(back == 0, x[:50] == 0)
    np.testing.assert_allclose(back, x[:50], rtol=1e-3)


@pytest.mark.parametrize("shape", [(4, 4), (3, 3), (1, 4, 4, 4)], ids=str)
def test_small_grids_are_split_and_trained_on(tmp_path, shape):
    import pushforward as pf

    emulator = pf.fit(
        read(RNG.normal(size=(100, *shape))), "flow-matching", steps=1, progress=False, out=tmp_path / "run"
    )
    assert emulator.sample(2, seed=0).shape == (2, *emulator.space.shape)


def test_a_class_with_one_member_is_read_and_trained_on(tmp_path):
    import pushforward as pf

    labels = np.zeros(100, int)
    labels[7] = 1
    ensemble = read(RNG.normal(size=(100, 2)), condition={"label": labels})
    assert [len(part) for part in (ensemble.train, ensemble.validation, ensemble.test)] == [80, 10, 10]
    emulator = pf.fit(ensemble, "realnvp", steps=1, progress=False, out=tmp_path / "run")
    assert emulator.sample(2, {"label": 1}, seed=0).shape == (2, 2)


def test_a_rare_value_is_called_rare():
    from pushforward.errors import DataError

    x = RNG.normal(size=(1000, 2))
    x[:, 1] = 0
    ensemble = Ensemble.from_array(x)
    x[ensemble.test.members.rows[0], 1] = 1
    with pytest.raises(DataError, match=r"x2 is 0 in all 800 training members .* varies too rarely"):
        Preprocessing.fit(Ensemble.from_array(x).train)


ENDS = {
    "prior": (lambda n: RNG.uniform(2, 5, n), (True, True)),
    "offset": (lambda n: 3 + RNG.exponential(size=n), (True, False)),
    "brightness": (lambda n: 2 - RNG.exponential(size=n), (False, True)),
    "clipped": (lambda n: np.clip(RNG.normal(size=n), -1, 1.5), (True, True)),
    "saturated": (lambda n: np.minimum(RNG.normal(size=n), 1), (False, True)),
    "normal": (lambda n: RNG.normal(size=n), None),
    "student": (lambda n: RNG.standard_t(2, n), None),
    "clusters": (lambda n: RNG.normal(RNG.choice([-2, 2], n), 0.2), None),
}


@pytest.mark.parametrize("space", ["vector", "field", "series"])
@pytest.mark.parametrize("name", ENDS)
def test_values_that_are_cut_off_stay_within_their_ends(name, space):
    make, ends = ENDS[name]
    shape = {"vector": (4096, 1), "field": (64, 8, 8), "series": (64, 64, 1)}[space]
    x = make(4096).astype(np.float32).reshape(shape)
    preprocessing = Preprocessing.fit(read(x, space=space))
    support = preprocessing.supports.supports[0]
    if ends is None:
        assert support is None
        return
    assert isinstance(support, Within)
    assert (support.low is not None, support.high is not None) == ends
    z = RNG.normal(0, 1.5, (len(x), *preprocessing.space.shape)).astype(np.float32)
    back = preprocessing.inverse(torch.from_numpy(z)).numpy()
    assert back.min() >= x.min() or not ends[0]
    assert back.max() <= x.max() or not ends[1]
    if name in ("clipped", "saturated"):
        assert (back == x.max()).mean() > 0.01, "values pile up where those of the data do"
    else:
        assert (back == x.max()).mean() < 0.01, "what is reflected spreads"


def test_values_piled_up_at_an_end_are_told_and_none_lies_beyond():
    x = np.stack([np.clip(RNG.normal(0, 1.5, 3000), -2.5, 2.5), np.minimum(RNG.normal(size=3000), 1.1)], 1)
    preprocessing = Preprocessing.fit(read(x, space="vector"))
    first, second = preprocessing.describe()[:2]
    assert first.startswith("x1: from -2.5 to 2.5, values pile up at -2.5 and 2.5; ")
    assert "up to 1.1, values pile up at 1.1; " in second
    rebuilt = Preprocessing.from_dict(preprocessing.to_dict())
    assert rebuilt.supports.supports == preprocessing.supports.supports
    for values in ([2.51, 0.0], [-2.6, 0.0], [0.0, 1.2]):
        assert preprocessing.log_abs_det(torch.tensor([values])).item() == -np.inf
    assert preprocessing.log_abs_det(torch.tensor(x[:500]).float()).isfinite().all()
    assert preprocessing.log_abs_det(torch.tensor([[0.0, -9.0]])).isfinite().all(), "an end without a pile"


@pytest.mark.parametrize("grid", [(8, 8), (40, 40), (12, 12, 12)])
def test_fields_of_one_mean_have_no_density(grid):
    x = RNG.normal(size=(60, 2, *grid))
    assert Preprocessing.fit(read(x, space="field")).relations == 0
    x[:, 1] -= x[:, 1].mean(axis=tuple(range(1, x.ndim - 1)), keepdims=True)
    assert Preprocessing.fit(read(x.astype(np.float32), space="field")).relations == 1


def test_levels_are_described_by_their_cells():
    x = np.stack([RNG.choice([-1.0, 0.5, 4.0], 900), RNG.normal(size=900)], 1)
    line = Preprocessing.fit(read(x, space="vector"), discrete=True).describe()[0]
    assert line.startswith(
        "x1: one of 3 values: -1, 0.5, 4, dequantised in the cells i of their levels; standardise, (i -"
    )


def test_phases_of_a_field_are_angles():
    x = RNG.uniform(-np.pi, np.pi, (60, 8, 8)).astype(np.float32)
    preprocessing = Preprocessing.fit(read(x))
    assert isinstance(preprocessing.supports.supports[0], Angle)
    back = preprocessing.inverse(torch.from_numpy(RNG.normal(0, 2, (60, 1, 8, 8))).float())
    assert back.abs().max() <= np.pi + 1e-6


@pytest.mark.parametrize(
    ("name", "values", "bounds"),
    [
        ("dec", np.degrees(np.arcsin(RNG.uniform(-1, 1, 400))), (-90, 90)),
        ("theta", np.arccos(RNG.uniform(-1, 1, 400)), (0, np.pi)),
        ("eccentricity", RNG.beta(2, 5, 400), (0, 1)),
        ("brightness", RNG.beta(2, 5, 400), None),
    ],
)
def test_quantities_with_known_bounds_are_told_by_their_names(name, values, bounds):
    found = support_of(Vector(1, (name,)), values.astype(np.float32), 0)
    assert (found == Interval(*map(float, bounds))) if bounds else not isinstance(found, Interval)


def test_flags_are_no_counts():
    flags = (RNG.random((400, 1)) < 0.02).astype(np.float32)
    preprocessing = Preprocessing.fit(read(np.hstack([flags, RNG.normal(size=(400, 1))])), discrete=True)
    back = preprocessing.inverse(torch.from_numpy(RNG.normal(0, 3, (400, 2))).float())
    assert set(back[:, 0].unique().tolist()) <= {0.0, 1.0}


@pytest.mark.parametrize(("sign", "bounds"), [(1, (0, None)), (-1, (None, 0))])
def test_values_of_one_sign_keep_it(sign, bounds):
    x = (sign * RNG.exponential(size=(100, 6, 6))).astype(np.float32)
    preprocessing = Preprocessing.fit(read(x))
    back = preprocessing.inverse(torch.from_numpy(RNG.normal(0, 3, (100, 1, 6, 6))).float())
    assert (sign * back).min() >= 0
    few = support_of(Vector(1), x[:3].reshape(-1), 0)
    assert isinstance(few, Positive) or (few.low, few.high) == bounds


@pytest.mark.parametrize(("start", "period"), [(0.0, 2 * np.pi), (-np.pi, 2 * np.pi), (0.0, 360.0), (-180.0, 360.0)])
@pytest.mark.parametrize("members", [200, 400])
def test_a_few_hundred_uniform_angles_are_told_from_other_values_up_to_a_period(start, period, members):
    found = {"angles": 0, "others": 0}
    for seed in range(100):
        rng = np.random.default_rng(seed)
        draws = {
            "angles": rng.uniform(0, 1, members),
            "others": rng.beta(2, 2, members) if seed % 2 else rng.uniform(0.02, 0.97, members),
        }
        for kind, place in draws.items():
            values = (start + period * place).astype(np.float32)
            found[kind] += isinstance(support_of(Vector(1), values[:, None], 0), Angle)
    assert found["angles"] >= 96
    assert found["others"] <= 2


@pytest.mark.parametrize(("mean", "members"), [(3.8, 4000), (3.2, 16_000)], ids=["none expected", "some expected"])
def test_values_that_are_positive_by_chance_may_be_negative_elsewhere(mean, members):
    """The second is a column of log-energies: 12 of its members would be negative if its tail were normal."""
    rng = np.random.default_rng(0)
    x = np.stack([rng.normal(mean, 1.0, members), rng.gamma(2.0, 1.0, members)], 1)
    x = x[(x > 0).all(1)].astype(np.float32)
    emulated = Preprocessing.fit(Ensemble.from_array(x))
    held_out = torch.tensor([[-0.1, 1.0], [3.0, -0.1]])
    finite = torch.isfinite(emulated.log_abs_det(held_out))
    assert finite.tolist() == [True, False], "a normal tail may go on below zero, a gamma law does not"
