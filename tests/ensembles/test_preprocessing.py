"""The way to network units and back: inverses, log-determinants, and sensible choices."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from pushforward.conditions import Condition, ConditionSpace
from pushforward.ensembles import Ensemble, Preprocessing, pointwise, preprocessing_from_dict
from pushforward.ensembles.pointwise_selection import distance_from_normal
from pushforward.errors import DataError, UsageError
from pushforward.spaces import Field, Particles, Series, Vector

RNG = np.random.default_rng(0)
N = 4000
SAMPLES = {
    "normal": RNG.normal(3, 2, N),
    "uniform": RNG.random(N),
    "lognormal": np.exp(1.5 * RNG.normal(size=N)),
    "density": 1e11 * np.exp(1.2 * RNG.normal(size=N)),
    "with zeros": np.where(RNG.random(N) < 0.1, 0, np.exp(2 * RNG.normal(size=N))),
    "symmetric tails": RNG.standard_t(2, N),
    "skewed": RNG.exponential(size=N) ** 1.3 - 0.5 + 0.1 * RNG.normal(size=N),
    "moons": np.concatenate([np.cos(np.pi * RNG.random(N // 2)), 1 - np.cos(np.pi * RNG.random(N // 2))]),
    "two heights": np.concatenate([RNG.normal(-4, 0.1, N // 2), RNG.normal(4, 0.1, N // 2)]),
    "sixteen greys": RNG.integers(0, 17, N) * (RNG.random(N) < 0.5),
}
CHOICES = {
    "normal": "standardise",
    "uniform": "standardise",
    "lognormal": "log",
    "density": "log",
    "with zeros": "standardise",
    "symmetric tails": "asinh",
    "skewed": "yeo-johnson",
    "moons": "standardise",
    "two heights": "standardise",
    "sixteen greys": "standardise",
}


def fitted(x, transform="auto", **options):
    return Preprocessing.fit(Ensemble.from_array(x, **options), transform)


@pytest.mark.parametrize("name", SAMPLES)
def test_the_choice_is_the_one_a_physicist_would_make(name):
    preprocessing = fitted(SAMPLES[name][:, None])
    assert preprocessing.kinds == (CHOICES[name],), preprocessing.describe()
    z = preprocessing(torch.from_numpy(SAMPLES[name][:, None]).float())
    # Zeros lie in the middle of the band that they are spread over.
    assert abs(z.mean()) < (0.01 if name == "with zeros" else 1e-3)
    assert abs(z.std() - 1) < (0.01 if name == "with zeros" else 1e-3)
    if CHOICES[name] != "standardise" and name != "with zeros":
        assert abs(stats.skew(z[:, 0].numpy())) < 0.35 * abs(stats.skew(SAMPLES[name]))


@pytest.mark.parametrize("name", SAMPLES)
@pytest.mark.parametrize("transform", ["auto", "standardise", "asinh", "yeo-johnson", "none"])
def test_the_inverse_is_exact_in_float32(name, transform):
    x = torch.from_numpy(SAMPLES[name][:, None]).float()
    preprocessing = fitted(SAMPLES[name][:, None], transform)
    error = (preprocessing.inverse(preprocessing(x)) - x).abs()
    assert (error <= 2e-5 * x.abs() + 2e-6 * x.std()).all(), float((error / x.abs()).max())


@pytest.mark.parametrize("kind", pointwise.KINDS)
@given(
    u=st.lists(st.floats(-50, 50), min_size=1, max_size=20),
    exponent=st.one_of(st.floats(0, 2), st.sampled_from([0.0, 1.0, 2.0, 1e-8])),
)
@settings(deadline=None, max_examples=60)
def test_functions_invert_and_their_derivative_is_autograds(kind, u, exponent):
    u = torch.tensor(u, dtype=torch.float64)
    if kind == "log":
        u = u.abs() + 1e-6
    u.requires_grad_(True)
    power = torch.tensor(exponent, dtype=torch.float64)
    v = pointwise.forward(kind, u, power)
    torch.testing.assert_close(pointwise.inverse(kind, v, power), u, rtol=1e-6, atol=1e-6)
    (slope,) = torch.autograd.grad(v.sum(), u)
    torch.testing.assert_close(pointwise.log_derivative(kind, u, power), slope.log(), rtol=1e-6, atol=1e-6)


def test_yeo_johnson_is_scipys():
    u = torch.linspace(-5, 5, 101, dtype=torch.float64)
    for exponent in (0.0, 0.3, 1.0, 1.7, 2.0):
        found = pointwise.forward("yeo-johnson", u, torch.tensor(exponent, dtype=torch.float64))
        np.testing.assert_allclose(found, stats.yeojohnson(u.numpy(), exponent), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("name", [name for name, kind in CHOICES.items() if len(np.unique(SAMPLES[name])) > 1000])
def test_gaussianised_values_are_normal_and_come_back(name):
    x = torch.from_numpy(SAMPLES[name][:, None]).float()
    preprocessing = fitted(SAMPLES[name][:, None], "gaussianise")
    z = preprocessing(x)
    if preprocessing.scores is not None:
        assert stats.kstest(z[:, 0].numpy(), "norm").statistic < 0.03, preprocessing.describe()
    torch.testing.assert_close(preprocessing.inverse(z), x, rtol=1e-4, atol=1e-5 * float(x.std()))
    # beyond the data too
    far = torch.linspace(-8, 8, 101)[:, None]
    back = preprocessing.inverse(far)
    assert preprocessing.scores is None or (preprocessing.scores.inverse(far).diff(dim=0) > 0).all()
    restored = Preprocessing.from_dict(preprocessing.to_dict())
    restored.load_state_dict(preprocessing.state_dict())
    torch.testing.assert_close(restored.inverse(far), back, rtol=0, atol=0)


SPACES = {
    "vector": (Vector(4), np.stack([SAMPLES[k] for k in ("normal", "lognormal", "symmetric tails", "skewed")], axis=1)),
    "field": (Field(2, (3, 4)), np.exp(RNG.normal(size=(300, 2, 3, 4)) * np.array([0.1, 1.5])[:, None, None])),
    "particles": (Particles(5, 3), RNG.normal(size=(300, 5, 3)) * [1, 2, 3]),
    "series": (Series(2, 6), np.exp(RNG.normal(size=(300, 6, 2)) * [0.1, 1.5])),
}


@pytest.mark.parametrize("transform", ["auto", "gaussianise"])
@pytest.mark.parametrize("name", SPACES)
def test_the_log_determinant_is_autograds(name, transform):
    space, x = SPACES[name]
    if transform == "gaussianise" and name == "particles":
        pytest.skip("would break their symmetry")
    preprocessing = fitted(x, transform, space=space).double()
    batch = torch.from_numpy(x[:3]).double()
    for one in batch:
        jacobian = torch.autograd.functional.jacobian(lambda y: preprocessing(y[None])[0].ravel(), one)
        expected = torch.linalg.slogdet(jacobian.reshape(space.size, space.size)).logabsdet
        torch.testing.assert_close(preprocessing.log_abs_det(one[None])[0], expected, rtol=1e-8, atol=1e-8)
    single = fitted(x, transform, space=space).log_abs_det(batch.float())
    torch.testing.assert_close(single.double(), preprocessing.log_abs_det(batch), rtol=1e-4, atol=1e-4)


def test_channels_have_their_own_function_and_particles_share_one():
    assert fitted(SPACES["field"][1], space=SPACES["field"][0]).kinds == ("standardise", "log")
    assert fitted(SPACES["series"][1], space="series").kinds == ("standardise", "log")
    particles = fitted(SPACES["particles"][1], space="particles")
    z = particles(torch.from_numpy(SPACES["particles"][1]).float())
    np.testing.assert_allclose(z.std((0, 1)) / z.std((0, 1))[0], [1, 2, 3], rtol=0.1)


def test_outside_the_support_of_a_logarithm_there_is_no_density():
    preprocessing = fitted(SAMPLES["lognormal"][:, None])
    x = torch.tensor([[1.0], [-1.0]])
    assert preprocessing.log_abs_det(x)[1] == -torch.inf
    assert torch.isfinite(preprocessing(x)).all()


def test_the_density_in_users_units_integrates_to_one():
    preprocessing = fitted(SAMPLES["skewed"][:, None]).double()
    x = torch.linspace(-30, 60, 200_001, dtype=torch.float64)[:, None]
    z = preprocessing(x)
    log_density = -0.5 * z[:, 0] ** 2 - 0.5 * np.log(2 * np.pi) + preprocessing.log_abs_det(x)
    assert abs(torch.trapezoid(log_density.exp(), x[:, 0]) - 1) < 1e-3


def test_samples_far_out_come_back_finite():
    """A model that is not trained yet reaches ten standard deviations; every function is defined on all of R."""
    z = torch.linspace(-10, 10, 101)[:, None]
    for name in SAMPLES:
        for transform in ("auto", "asinh", "yeo-johnson"):
            assert torch.isfinite(fitted(SAMPLES[name][:, None], transform).inverse(z)).all(), (name, transform)


def test_conditions_are_standardised_and_labels_one_hot():
    conditions = np.stack([RNG.uniform(0.1, 0.5, N), np.exp(RNG.uniform(-1.4, 1.4, N)), np.arange(N) % 3], axis=1)
    ensemble = Ensemble.from_array(
        RNG.normal(size=(N, 2)), conditions=conditions, names=["Omega_m", "A_SN1", "kind"], classes={"kind": "abc"}
    )
    preprocessing = Preprocessing.fit(ensemble)
    assert preprocessing.condition_space == ConditionSpace(5)
    assert preprocessing.encoding.kinds == ("standardise", "log", "label")
    encoded = preprocessing.encode_condition(Condition(torch.from_numpy(ensemble.conditions))).numbers
    torch.testing.assert_close(encoded[:, :2].mean(0), torch.zeros(2), atol=1e-4, rtol=0)
    torch.testing.assert_close(encoded[:, :2].std(0), torch.ones(2), atol=1e-3, rtol=0)
    np.testing.assert_array_equal(encoded[:, 2:].argmax(1), conditions[:, 2])
    assert preprocessing.parameters_ == ensemble.parameters
    with pytest.raises(UsageError, match=r"A_SN1 .* must be positive"):
        preprocessing.encode_condition(Condition(torch.tensor([[0.3, -1.0, 0.0]])))
    with pytest.raises(UsageError, match="classes a, b, c"):
        preprocessing.encode_condition(Condition(torch.tensor([[0.3, 1.0, 3.0]])))
    with pytest.raises(UsageError, match="Omega_m, A_SN1, kind"):
        preprocessing.encode_condition(Condition(torch.tensor([[0.3, 1.0]])))
    with pytest.raises(UsageError, match="not finite"):
        preprocessing.encode_condition(Condition(torch.tensor([[torch.nan, 1.0, 0.0]])))


def test_conditions_with_far_outliers_stay_within_reach_of_a_network():
    far = 5.0 + np.random.default_rng(1).standard_t(1.0, size=4000)
    conditions = np.stack([far, np.random.default_rng(2).normal(size=4000)], axis=1)
    ensemble = Ensemble.from_array(np.zeros((4000, 2)) + RNG.normal(size=(4000, 2)), conditions=conditions)
    preprocessing = Preprocessing.fit(ensemble)
    assert preprocessing.encoding.kinds == ("asinh", "standardise")
    rows = torch.from_numpy(ensemble.conditions)
    encoded = preprocessing.encode_condition(Condition(rows)).numbers
    assert encoded.abs().max() < 8
    torch.testing.assert_close(encoded.std(0), torch.ones(2), atol=1e-1, rtol=0)
    assert (encoded[rows[:, 0].argsort(), 0].diff() >= 0).all(), "the order is kept"
    again = preprocessing_from_dict(preprocessing.to_dict())
    again.load_state_dict(preprocessing.state_dict())
    torch.testing.assert_close(again.encode_condition(Condition(rows)).numbers, encoded, rtol=0, atol=0)
    assert any("far outliers" in line for line in preprocessing.describe())


def test_a_condition_that_never_varies_is_told():
    ensemble = Ensemble.from_array(RNG.normal(size=(50, 2)), conditions=np.full(50, 0.3), names=["Omega_m"])
    preprocessing = Preprocessing.fit(ensemble)
    assert torch.isfinite(preprocessing.encode_condition(Condition(torch.tensor([[0.3], [0.4]]))).numbers).all()
    assert any("always 0.3" in line for line in preprocessing.describe())


def amplitudes(count=400):
    z = RNG.uniform(0.1, 1.5, count)
    kind = np.arange(count) % 2
    x = (z**1.5 * (1 + kind))[:, None, None] * (RNG.exponential(size=(count, 8, 8)) - 1)
    return Ensemble.from_array(x, conditions=np.stack([z, kind], axis=1), names=["z", "kind"], classes={"kind": "ab"})


def test_fluctuations_are_divided_by_what_conditions_predict():
    ensemble = amplitudes()
    preprocessing = Preprocessing.fit(ensemble, scale_by_condition=True)
    assert preprocessing.needs_condition
    x, c = torch.from_numpy(ensemble.take(range(len(ensemble)))), Condition(torch.from_numpy(ensemble.conditions))
    z = preprocessing(x, c)
    sizes = z.std((1, 2, 3))
    slope = np.polyfit(np.log(ensemble.conditions[:, 0]), np.log(sizes.numpy()), 1)[0]
    assert abs(slope) < 0.1
    torch.testing.assert_close(preprocessing.inverse(z, c), x, rtol=1e-4, atol=1e-5)
    jacobian = torch.autograd.functional.jacobian(lambda y: preprocessing(y[None], c[:1])[0].ravel(), x[0])
    expected = torch.linalg.slogdet(jacobian.reshape(64, 64)).logabsdet
    torch.testing.assert_close(preprocessing.log_abs_det(x[:1], c[:1])[0], expected, rtol=1e-4, atol=1e-3)
    with pytest.raises(UsageError, match="predicted from conditions; give them"):
        preprocessing(x)
    far = torch.tensor([[100.0, 0.0]])
    assert preprocessing.amplitude(far) == preprocessing.amplitude(
        torch.tensor([[ensemble.conditions[:, 0].max(), 0.0]])
    )


def test_logarithms_are_not_divided():
    z = RNG.uniform(0.1, 1.5, 300)
    density = z[:, None, None, None] * np.exp(RNG.normal(size=(300, 1, 8, 8)))
    waves = z[:, None, None, None] * RNG.normal(size=(300, 1, 8, 8))
    both = Ensemble.from_array(np.concatenate([density, waves], axis=1), conditions=z)
    preprocessing = Preprocessing.fit(both, scale_by_condition=True)
    assert preprocessing.kinds == ("log", "standardise")
    sizes = preprocessing.amplitude(torch.tensor([[0.1], [1.5]]))
    torch.testing.assert_close(sizes[:, 0], torch.ones(2, dtype=torch.float64))
    assert 12 < sizes[1, 1] / sizes[0, 1] < 18
    assert not Preprocessing.fit(Ensemble.from_array(density, conditions=z), scale_by_condition=True).needs_condition


def test_amplitudes_that_hardly_vary_are_left():
    ensemble = Ensemble.from_array(RNG.normal(size=(300, 8, 8)), conditions=RNG.random(300))
    assert not Preprocessing.fit(ensemble, scale_by_condition=True).needs_condition


@pytest.mark.parametrize("scaled", [False, True])
def test_it_is_saved_as_plain_values_and_tensors(scaled, tmp_path):
    import json

    from safetensors.torch import load_file, save_file

    ensemble = amplitudes()
    preprocessing = Preprocessing.fit(ensemble, scale_by_condition=scaled)
    save_file(preprocessing.state_dict(), tmp_path / "p.safetensors")
    again = Preprocessing.from_dict(json.loads(json.dumps(preprocessing.to_dict())))
    again.load_state_dict(load_file(tmp_path / "p.safetensors"))
    x, c = torch.from_numpy(ensemble.take(range(9))), Condition(torch.from_numpy(ensemble.conditions[:9]))
    torch.testing.assert_close(again(x, c), preprocessing(x, c), rtol=0, atol=0)
    codes = [each.encode_condition(c).numbers for each in (again, preprocessing)]
    torch.testing.assert_close(*codes, rtol=0, atol=0)
    assert again.describe() == preprocessing.describe()
    assert again.space == preprocessing.space


def test_what_cannot_be_learned_is_refused():
    x = RNG.normal(size=(50, 3))
    x[:, 1] = 7
    with pytest.raises(DataError, match="x2 is 7 in all 50 training members"):
        fitted(x)
    with pytest.raises(DataError, match="float32 cannot resolve"):
        fitted((1e7 + RNG.normal(size=(50, 1))).astype(np.float32))
    with pytest.raises(DataError, match="logarithm of x1 was requested"):
        fitted(RNG.normal(size=(50, 1)), "log")
    with pytest.raises(UsageError, match="no transform 'sqrt'"):
        fitted(RNG.normal(size=(50, 1)), "sqrt")
    with pytest.raises(UsageError, match="2 transforms were given for 3 channels"):
        fitted(RNG.normal(size=(50, 3)), ["log", "auto"])


def test_the_user_may_choose_for_each_channel():
    x = np.exp(RNG.normal(size=(100, 3)))
    assert fitted(x, ["standardise", "log", "none"]).kinds == ("standardise", "log", "none")


def test_distance_from_normal_knows_no_scale_and_sees_tails():
    normal, tailed = np.sort(RNG.normal(size=5000)), np.sort(RNG.standard_cauchy(size=5000))
    assert distance_from_normal(normal) < 1e-3
    assert abs(distance_from_normal(normal) - distance_from_normal(5 + 1e12 * normal)) < 1e-9
    assert distance_from_normal(tailed) > 0.5
