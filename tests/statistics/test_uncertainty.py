import numpy as np
import pytest
import torch

from pushforward.errors import DataError, UsageError
from pushforward.statistics import (
    discrepancy_error,
    energy_distance,
    half_sample_error,
    half_samples,
    sliced_wasserstein,
    standard_error,
)


def test_half_samples_are_complements_and_take_whole_groups():
    groups = torch.arange(30).repeat_interleave(4)
    halves = half_samples(120, 6, groups)
    assert len(halves) == 6
    for one, other in zip(halves[::2], halves[1::2], strict=True):
        assert torch.equal(torch.cat([one, other]).sort().values, torch.arange(120))
        assert not set(groups[one].tolist()) & set(groups[other].tolist())
    with pytest.raises(DataError):
        half_samples(10, 2, torch.zeros(10))
    with pytest.raises(UsageError):
        half_samples(10, 2, torch.zeros(9))


@pytest.mark.parametrize("groups", [None, torch.arange(60).repeat_interleave(5)])
def test_half_samples_of_a_mean_give_its_standard_error(groups):
    values = torch.randn(300, dtype=torch.float64)
    if groups is not None:
        values += torch.randn(60, dtype=torch.float64)[groups]
    means = torch.stack([values[rows].mean() for rows in half_samples(300, 2000, groups)])
    assert half_sample_error(means) == pytest.approx(float(standard_error(values, groups)), rel=0.06)


def test_any_share_without_replacement_gives_the_standard_error():
    values = torch.randn(300, dtype=torch.float64)
    means = torch.stack([values[torch.randperm(300)[:60]].mean() for _ in range(3000)])
    assert half_sample_error(means, 0.2) == pytest.approx(float(standard_error(values)), rel=0.05)
    with pytest.raises(UsageError):
        half_sample_error(means, 1.0)
    with pytest.raises(DataError):
        half_sample_error(means[:1])


@pytest.mark.parametrize(
    "statistic", [lambda x, y: sliced_wasserstein(x, y, 32).distance, lambda x, y: energy_distance(x, y).distance]
)
def test_half_sample_error_of_a_set_statistic_is_its_scatter_over_seeds(statistic):
    found, errors = [], []
    for seed in range(300):
        x, y = torch.randn(2, 200, 2, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
        y = 1.3 * y + 0.5
        found.append(statistic(x, y))
        pairs = zip(half_samples(200, 10, seed=seed), half_samples(200, 10, seed=seed + 1000), strict=True)
        errors.append(half_sample_error(torch.stack([statistic(x[i], y[j]) for i, j in pairs])))
    rms = torch.stack(errors).square().mean().sqrt()
    assert 0.85 < float(rms / torch.stack(found).std()) < 1.2


@pytest.mark.parametrize("shift", [0.0, 0.1, 0.5])
def test_error_of_a_positive_discrepancy_is_its_scatter_over_seeds(shift):
    rng = np.random.default_rng(0)
    bins, size = 8, 100

    def discrepancy(means):
        return np.abs(means).mean(-1)

    floor = discrepancy(rng.normal(0, size**-0.5, (100, bins)))
    found, errors = [], []
    for _ in range(300):
        means = rng.normal(shift, size**-0.5, bins)
        again = discrepancy(means + rng.normal(0, size**-0.5, (100, bins)))
        found.append(discrepancy(means))
        errors.append(float(discrepancy_error(found[-1], again, floor)))
    assert 0.85 < np.mean(errors) / np.std(found) < 1.2
