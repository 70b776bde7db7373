import numpy as np
import pytest
import scipy.stats
import torch

from pushforward.errors import UsageError
from pushforward.statistics import gaussian_smooth, one_point_distance, one_point_pdf


def test_histograms_moments_and_quantiles():
    fields = torch.randn(4, 2, 10, 12, dtype=torch.float64).exp() * torch.tensor([1.0, 1e-20]).reshape(2, 1, 1)
    found = one_point_pdf(fields, bins=13)
    for channel in range(2):
        edges = found.edges[channel].numpy()
        for sample in range(4):
            values = fields[sample, channel].numpy().ravel()
            counts, _ = np.histogram(values, edges)
            np.testing.assert_allclose(found.density[sample, channel], counts / len(values) / np.diff(edges))
            np.testing.assert_allclose(found.mean[sample, channel], values.mean())
            np.testing.assert_allclose(found.variance[sample, channel], values.var())
            np.testing.assert_allclose(found.skewness[sample, channel], scipy.stats.skew(values))
            np.testing.assert_allclose(found.kurtosis[sample, channel], scipy.stats.kurtosis(values))
        pooled = fields[:, channel].numpy().ravel()
        np.testing.assert_allclose(found.quantiles[channel], np.quantile(pooled, found.levels))
    torch.testing.assert_close((found.density * found.edges.diff()).sum(-1), torch.ones(4, 2).double())


def test_shared_edges_leave_out_what_lies_beyond_them():
    inside, beyond = torch.zeros(1, 1, 4, 4), torch.full((1, 1, 4, 4), 9.0)
    edges = torch.tensor([-1.0, 0.0, 1.0])
    np.testing.assert_allclose(one_point_pdf(inside, edges).density[0, 0], [0.0, 1.0])
    assert one_point_pdf(beyond, edges).density.sum() == 0
    with pytest.raises(UsageError, match="rising"):
        one_point_pdf(inside, torch.tensor([1.0, 1.0]))


def test_a_constant_field_has_a_distribution():
    assert one_point_pdf(torch.full((2, 1, 4, 4), 3.0)).density.isfinite().all()


@pytest.mark.parametrize("m", [3, 5])
def test_distances_are_those_of_scipy(m):
    a, b = torch.randn(3, 2, 5, 6, dtype=torch.float64), 1.3 * torch.randn(m, 2, 5, 6, dtype=torch.float64) + 0.2
    found = one_point_distance(a, b)
    for channel in range(2):
        x, y = a[:, channel].numpy().ravel(), b[:, channel].numpy().ravel()
        np.testing.assert_allclose(found.wasserstein1[channel], scipy.stats.wasserstein_distance(x, y))
        np.testing.assert_allclose(found.kolmogorov_smirnov[channel], scipy.stats.ks_2samp(x, y).statistic)
        np.testing.assert_allclose(found.relative[channel], found.wasserstein1[channel] / y.std(ddof=1))


@pytest.mark.parametrize("grid", [(32, 32), (31, 20), (16, 16, 16)])
def test_smoothing_convolves_with_a_gaussian(grid):
    point = torch.zeros(1, 1, *grid, dtype=torch.float64)
    middle = tuple(n // 2 for n in grid)
    point[(0, 0, *middle)] = 1.0
    box = 2.0 * grid[0]
    for periodic in (True, False):
        smoothed = gaussian_smooth(point, 2.8, box, periodic=periodic)[0, 0]
        offsets = [2.0 * (torch.arange(n) - m) for n, m in zip(grid, middle, strict=True)]
        square = sum(o.square() for o in torch.meshgrid(*offsets, indexing="ij"))
        expected = torch.exp(-square / (2 * 2.8**2)) * 2.0 ** len(grid) / (2 * np.pi * 2.8**2) ** (len(grid) / 2)
        torch.testing.assert_close(smoothed, expected.double(), rtol=0.01, atol=2e-5)
        flat = gaussian_smooth(torch.full_like(point, 3.0), 2.8, box, periodic=periodic)
        torch.testing.assert_close(flat, torch.full_like(point, 3.0))
