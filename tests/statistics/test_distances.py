import numpy as np
import ot
import pytest
import scipy.stats
import torch
from scipy.optimize import linear_sum_assignment

from pushforward.errors import DataError, UsageError
from pushforward.statistics import (
    correlations,
    covariance_distance,
    energy_distance,
    marginals,
    power_covariance,
    power_spectrum,
    sliced_wasserstein,
    wasserstein2,
)

DISTANCES = [wasserstein2, sliced_wasserstein, energy_distance]


@pytest.mark.parametrize("dim", [1, 2, 20])
def test_wasserstein_is_the_best_assignment(dim):
    x, y = torch.randn(60, dim) + 100, torch.randn(60, dim) * 2 + 100
    cost = torch.cdist(x.double(), y.double()).square().numpy()
    best = cost[linear_sum_assignment(cost)].mean() ** 0.5
    torch.testing.assert_close(float(wasserstein2(x, y).distance), best, rtol=1e-6, atol=0)


@pytest.mark.parametrize("dim", [1, 2])
def test_wasserstein_of_sets_of_different_sizes(dim):
    x, y = torch.randn(30, dim), torch.randn(45, dim)
    # Repeating samples until the sizes agree changes no distribution.
    torch.testing.assert_close(
        wasserstein2(x, y).distance, wasserstein2(x.repeat(3, 1), y.repeat(2, 1)).distance, rtol=1e-8, atol=0
    )


def test_wasserstein_of_gaussians_tends_to_the_closed_form():
    x, y = torch.randn(1500, 2), torch.randn(1500, 2) * torch.tensor([2.0, 0.5]) + torch.tensor([3.0, 0.0])
    closed = (3.0**2 + (2 - 1) ** 2 + (1 - 0.5) ** 2) ** 0.5
    assert abs(wasserstein2(x, y).distance - closed) < 0.1


def test_sliced_wasserstein_in_one_dimension_is_exact():
    x, y = np.random.default_rng(0).normal(size=(2, 70))
    y = y[:40]
    expected = ot.emd2_1d(x, y) ** 0.5
    torch.testing.assert_close(float(sliced_wasserstein(torch.tensor(x), torch.tensor(y)).distance), expected)


def test_sliced_wasserstein_is_that_of_pot_along_the_same_directions():
    x, y = torch.randn(100, 5, dtype=torch.float64), torch.randn(100, 5, dtype=torch.float64) + 1
    found = sliced_wasserstein(x, y, directions=40, seed=3)
    theta = torch.randn(40, 5, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    theta = theta / theta.norm(dim=1, keepdim=True)
    expected = ot.sliced_wasserstein_distance(x.numpy(), y.numpy(), projections=theta.numpy().T)
    torch.testing.assert_close(float(found.distance), float(expected))


def test_energy_distance_is_the_mean_over_all_pairs():
    x, y = torch.randn(20, 3, dtype=torch.float64), torch.randn(13, 3, dtype=torch.float64) + 1
    between = np.mean([float((a - b).norm()) for a in x for b in y])
    within = [np.sum([float((a - b).norm()) for a in s for b in s]) / (len(s) * (len(s) - 1)) for s in (x, y)]
    torch.testing.assert_close(float(energy_distance(x, y).distance), 2 * between - within[0] - within[1])


@pytest.mark.parametrize("dim", [2, 40])
def test_energy_distance_is_unbiased(dim):
    values = torch.stack([energy_distance(torch.randn(30, dim), torch.randn(20, dim)).distance for _ in range(400)])
    assert abs(values.mean()) < 4 * values.std() / 20
    assert (values < 0).any()


def test_energy_distance_in_one_dimension_is_that_of_scipy():
    x, y = torch.randn(400, 1, dtype=torch.float64), torch.randn(300, 1, dtype=torch.float64) * 1.5
    found = energy_distance(x, y)
    # SciPy counts each sample's distance to itself, and returns the square root.
    biased = 2 * found.between - found.within_x * 399 / 400 - found.within_y * 299 / 300
    expected = scipy.stats.energy_distance(x[:, 0].numpy(), y[:, 0].numpy())
    torch.testing.assert_close(float(biased) ** 0.5, expected)


@pytest.mark.parametrize("distance", DISTANCES)
@pytest.mark.parametrize("dim", [2, 30])
def test_distances_are_invariant_to_common_shifts_and_see_separate_ones(distance, dim):
    x, y = torch.randn(100, dim), torch.randn(100, dim)
    near = distance(x, y).distance
    assert near < distance(x, y + 1).distance
    torch.testing.assert_close(near, distance(x + 50, y + 50).distance, rtol=1e-3, atol=1e-4)
    torch.testing.assert_close(near, distance(x.double(), y).distance, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(distance(x.reshape(100, -1, 2), y.reshape(100, -1, 2)).distance, near)


@pytest.mark.parametrize("distance", [*DISTANCES, marginals])
def test_says_what_is_wrong(distance):
    with pytest.raises(UsageError, match="same shape"):
        distance(torch.zeros(5, 2), torch.zeros(5, 3))
    with pytest.raises(DataError, match="0 samples"):
        distance(torch.zeros(0, 2), torch.zeros(5, 2))


def test_wasserstein_refuses_what_cannot_be_transported():
    with pytest.raises(DataError, match="finite"):
        wasserstein2(torch.tensor([[0.0, torch.nan]]), torch.zeros(1, 2))


@pytest.mark.parametrize("m", [50, 80])
def test_marginals_are_those_of_scipy(m):
    x, y = torch.randn(50, 3), torch.randn(m, 3) * 1.2 + torch.tensor([0.0, 0.5, 1.0])
    found = marginals(x, y)
    for i in range(3):
        a, b = x[:, i].double().numpy(), y[:, i].double().numpy()
        ks = scipy.stats.ks_2samp(a, b, method="asymp")
        np.testing.assert_allclose(found.wasserstein1[i], scipy.stats.wasserstein_distance(a, b), rtol=1e-6)
        np.testing.assert_allclose(found.kolmogorov_smirnov[i], ks.statistic)
        np.testing.assert_allclose(found.relative[i], found.wasserstein1[i] / b.std(ddof=1), rtol=1e-6)
        assert abs(found.p_value[i] - ks.pvalue) < 0.05


def test_correlations_are_those_of_numpy():
    x = np.random.default_rng(0).normal(size=(40, 4)) @ np.random.default_rng(1).normal(size=(4, 4)) + 1e3
    found = correlations(torch.tensor(x))
    np.testing.assert_allclose(found.mean, x.mean(0))
    np.testing.assert_allclose(found.covariance, np.cov(x.T), rtol=1e-9)
    np.testing.assert_allclose(found.correlation, np.corrcoef(x.T), rtol=1e-9)
    with pytest.raises(DataError, match="at least 2"):
        correlations(torch.zeros(1, 3))


def test_covariance_distance_is_in_units_of_the_reference():
    x = torch.randn(500, 3, dtype=torch.float64)
    units = torch.tensor([1.0, 1e6, 1e-6], dtype=torch.float64)
    a, b = correlations(1.1 * x), correlations(x)
    for first, second in ((a, b), (correlations(1.1 * x * units), correlations(x * units))):
        found = covariance_distance(first, second)
        torch.testing.assert_close(found.distance, torch.tensor(0.21).double())
        torch.testing.assert_close(found.scatter, torch.full((3,), 1.1).double())
        torch.testing.assert_close(found.correlation, torch.tensor(0.0).double(), rtol=0, atol=1e-9)


def test_power_covariance_of_gaussian_fields_is_diagonal():
    spectrum = power_spectrum(torch.randn(2000, 2, 16, 16))
    found = power_covariance(spectrum)
    ratio = found.covariance.diagonal(dim1=1, dim2=2) / found.mean.square() * spectrum.modes / 2
    assert (ratio - 1).abs().max() < 0.15
    off = found.correlation - torch.eye(len(spectrum.k)).double()
    assert off.abs().max() < 4.5 / 2000**0.5
    assert covariance_distance(found, found).distance.shape == (2,)
