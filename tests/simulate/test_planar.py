"""The exact densities of the sets in the plane."""

import numpy as np
import pytest
from scipy.special import ive
from scipy.stats import multivariate_normal

from pushforward.errors import UsageError
from pushforward.simulate import simulate

SMOOTH = ("two-moons", "circles", "spirals", "swiss-roll", "s-curve", "eight-gaussians", "grid-gaussians", "pinwheel")
LABELLED = tuple(name for name in SMOOTH if name not in ("swiss-roll", "s-curve"))


def grid_over(density, step):
    x, y = (np.arange(low, high, step) for low, high in zip(density.lower, density.upper, strict=True))
    return np.stack(np.meshgrid(x, y, indexing="ij"), axis=-1).reshape(-1, 2)


@pytest.mark.parametrize("name", SMOOTH)
def test_the_density_integrates_to_one(name):
    density = simulate(name, 10).exact
    points = grid_over(density, density.scale)
    mass = np.exp(density.log_prob(points)).sum() * density.scale**2
    assert mass == pytest.approx(1, abs=2e-4), f"the density of {name} holds {mass}"


@pytest.mark.parametrize("name", ["two-moons", "circles", "eight-gaussians", "pinwheel", "checkerboard"])
def test_the_members_have_the_density_that_is_claimed(name):
    """Their mean negative log-density is the entropy, and they fall into the cells of a grid as the density says."""
    made = simulate(name, 8000, seed=5)
    logs = made.exact.log_prob(made.x)
    error = max(logs.std(), 1e-12) / np.sqrt(len(logs))
    assert abs(-logs.mean() - made.exact.entropy) < 4 * error + 1e-9


def test_members_fall_where_the_density_is():
    """Counts in coarse cells against the integral of the density over them: chi-squared within its own scatter."""
    made = simulate("pinwheel", 20_000, seed=2)
    edges = np.linspace(-5, 5, 21)
    counts = np.histogram2d(*made.x.T, bins=edges)[0]
    fine = np.linspace(-5, 5, 20 * 25 + 1)
    middles = (fine[1:] + fine[:-1]) / 2
    points = np.stack(np.meshgrid(middles, middles, indexing="ij"), axis=-1).reshape(-1, 2)
    mass = np.exp(made.exact.log_prob(points)).reshape(20, 25, 20, 25).sum((1, 3)) * (fine[1] - fine[0]) ** 2
    expected = len(made.x) * mass
    used = expected > 10
    chi = ((counts - expected) ** 2 / expected)[used].sum()
    assert abs(chi - used.sum()) < 5 * np.sqrt(2 * used.sum())


def test_the_entropy_of_two_moons_is_the_known_floor():
    """1.0072 +- 0.0038 nats, and 0.3128 +- 0.0038 given the moon, by an independent Monte Carlo of 40,000 draws."""
    exact = simulate("two-moons", 10).exact
    assert exact.entropy == pytest.approx(1.0072, abs=0.004)
    assert exact.conditional_entropy == pytest.approx(0.3128, abs=0.0045)
    assert exact.entropy_error < 1e-4


def test_two_moons_are_those_of_scikit_learn():
    from sklearn.datasets import make_moons

    theirs, label = make_moons(40_000, noise=0.1, random_state=0)
    ours = simulate("two-moons", 40_000, labels=True)
    for moon in (0, 1):
        mine = ours.x[ours.conditions[:, 0] == moon]
        np.testing.assert_allclose(mine.mean(0), theirs[label == moon].mean(0), atol=0.02)
        np.testing.assert_allclose(np.cov(mine.T), np.cov(theirs[label == moon].T), atol=0.02)
    assert -ours.exact.log_prob(theirs).mean() == pytest.approx(ours.exact.entropy, abs=0.015)


def test_a_blurred_circle_has_its_closed_form():
    """p(x) = exp(-(r^2 + R^2) / 2 sigma^2) I_0(r R / sigma^2) / (2 pi sigma^2)."""
    made = simulate("circles", 500, noise=0.3, radius=2.0, factor=0.4, labels=True)
    r = np.linalg.norm(made.x.astype(float), axis=1)
    radius = np.where(made.conditions[:, 0] == 0, 2.0, 0.8)
    expected = np.exp(-((r - radius) ** 2) / 0.18) * ive(0, r * radius / 0.09) / (2 * np.pi * 0.09)
    np.testing.assert_allclose(np.exp(made.exact.log_prob(made.x, made.conditions)), expected, rtol=1e-8)


def test_separate_gaussians_have_the_entropy_of_the_choice_and_of_one():
    exact = simulate("grid-gaussians", 10).exact
    one = multivariate_normal(cov=0.05**2 * np.eye(2)).entropy()
    assert exact.entropy == pytest.approx(np.log(25) + one, abs=1e-5)
    assert exact.conditional_entropy == pytest.approx(one, abs=1e-5)


def test_the_board_is_half_black():
    made = simulate("checkerboard", 5000, seed=1)
    assert made.exact.entropy == pytest.approx(np.log(32))
    middles = np.arange(-5, 5, 0.05) + 0.025
    points = np.stack(np.meshgrid(middles, middles), axis=-1).reshape(-1, 2)
    assert np.exp(made.exact.log_prob(points)).sum() * 0.05**2 == pytest.approx(1)
    assert np.isfinite(made.exact.log_prob(made.x)).all()


@pytest.mark.parametrize("name", LABELLED)
def test_a_label_is_the_component_that_a_member_comes_from(name):
    made = simulate(name, 4000, seed=3, labels=True)
    (label,) = made.names
    assert set(made.conditions[:, 0]) == set(range(len(made.classes[label])))
    given = made.exact.log_prob(made.x, made.conditions)
    error = given.std() / np.sqrt(len(given))
    assert abs(-given.mean() - made.exact.conditional_entropy) < 4 * error
    assert simulate(name, 5).conditions is None


def test_there_is_no_density_without_noise():
    made = simulate("two-moons", 100, noise=0.0, labels=True)
    assert made.exact is None
    upper = made.x[made.conditions[:, 0] == 0]
    np.testing.assert_allclose(np.linalg.norm(upper, axis=1), 1, rtol=1e-6)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("two-moons", {"noise": -0.1}),
        ("circles", {"factor": 1.0}),
        ("spirals", {"turns": 0}),
        ("s-curve", {"scale": -1}),
        ("eight-gaussians", {"std": 0}),
        ("grid-gaussians", {"side": 0}),
        ("checkerboard", {"squares": 1}),
    ],
)
def test_an_option_out_of_range_is_refused_by_name(name, options):
    with pytest.raises(UsageError, match=next(iter(options))):
        simulate(name, 10, **options)
