"""Student-t noise: its radius, its density, its limits, and the level of noise that a sample shows."""

from __future__ import annotations

import math

import pytest
import torch
from scipy import stats

from pushforward.dynamics import trace_probes
from pushforward.errors import UsageError
from pushforward.randomness import Draws
from pushforward.transport import (
    NORMAL,
    Estimate,
    NoiseLevel,
    Straight,
    StudentT,
    VarianceExploding,
    log_likelihood,
    time_grid,
)


@pytest.mark.parametrize("degrees", [0.7, 1.0, 3.0, 128.0, 1e4, 1e7])
@pytest.mark.parametrize("size", [1, 2, 50])
def test_the_radius_is_that_of_the_beta_distribution(degrees, size):
    """|eps|^2 / (|eps|^2 + D) ~ Beta(N / 2, D / 2), the draw of Xu et al. 2023; |eps|^2 / N ~ F(N, D)."""
    noise = StudentT(degrees).draw(Draws(0, 4000, dtype=torch.float64), (size,))
    assert torch.isfinite(noise).all()
    ratio = noise.square().mean(1).numpy()
    assert stats.kstest(ratio, stats.f(size, degrees).cdf).pvalue > 1e-3


def test_the_furthest_tail_is_drawn():
    """The median of D = 1 noise is of order one and its largest of n draws of order n: nothing is clipped."""
    strength = StudentT(1.0).strength(Draws(0, 200_000))
    expected = stats.norm.ppf(0.5 + 0.5 * torch.tensor([0.5, 1e-3]).numpy())
    found = torch.quantile(1 / strength, torch.tensor([0.5, 1e-3], dtype=torch.float64)).numpy()
    assert found == pytest.approx(expected, rel=0.2)
    assert strength.max() > 2e4


@pytest.mark.parametrize("degrees", [0.5, 1.0, 4.5, 1e3, 1e7])
def test_the_density_is_that_of_the_multivariate_t(degrees):
    x = 3 * torch.randn(20, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    expected = stats.multivariate_t(torch.zeros(3).numpy(), torch.eye(3).numpy(), df=degrees).logpdf(x.numpy())
    assert StudentT(degrees).log_prob(x.view(20, 3, 1)).numpy() == pytest.approx(expected, abs=1e-6)


def test_many_degrees_of_freedom_are_normal():
    draws = Draws(5, 500, dtype=torch.float64)
    noise = StudentT(1e12).draw(draws, (2, 3))
    torch.testing.assert_close(noise, Draws(5, 500, dtype=torch.float64).normal(2, 3), rtol=1e-5, atol=0)
    torch.testing.assert_close(StudentT(1e9).log_prob(noise), NORMAL.log_prob(noise), rtol=0, atol=1e-5)


def test_a_single_precision_tail_has_a_finite_density():
    assert torch.isfinite(StudentT(1.0).log_prob(torch.full((1, 2), 1e25)))


@pytest.mark.parametrize("degrees", [0.0, -1.0, math.inf, math.nan])
def test_what_is_no_number_of_degrees_is_refused(degrees):
    with pytest.raises(UsageError, match="degrees of freedom D"):
        StudentT(degrees)


@pytest.mark.parametrize("degrees", [1.0, 2.5, 30.0])
@pytest.mark.parametrize("size", [1, 3])
def test_the_level_gives_the_expected_data_of_a_white_gaussian(degrees, size):
    """alpha z / (alpha^2 + sigma_z^2), against E[x | z] from a fine grid of the strength."""
    sigma = 0.8
    log_tau = torch.linspace(-8, 40, 100_000, dtype=torch.float64)
    tau = log_tau.exp()
    log_prior = -degrees / 2 * (log_tau + 1 / tau)
    z = torch.tensor([0.2, 1.0, 3.0, 10.0], dtype=torch.float64)[:, None].expand(4, size)
    variance = 1 + sigma**2 * tau
    log_weight = log_prior - 0.5 * size * (variance.log() + z[:, :1].square() / variance)
    share = (log_weight.softmax(1) / variance).sum(1)
    level = NoiseLevel(size, degrees).double()
    told, ratio = level(z, VarianceExploding().moments([0.0])[0]._replace(sigma=sigma))
    torch.testing.assert_close(1 / (1 + told.sigma[:, 0] ** 2), share, rtol=0.03, atol=0)
    torch.testing.assert_close(ratio * sigma, told.sigma)


def test_the_level_of_nearly_gaussian_noise_is_that_of_the_path():
    told, ratio = NoiseLevel(50, 1e7)(torch.randn(10, 50), Straight().moments([0.3])[0])
    torch.testing.assert_close(ratio, torch.ones(10, 1), rtol=0, atol=1e-5)
    assert told.alpha == pytest.approx(0.7)


def test_the_level_keeps_inputs_of_order_one_in_any_tail():
    level, moment = NoiseLevel(2, 1.0), VarianceExploding().moments([0.2])[0]
    z = moment.sigma * StudentT(1.0).draw(Draws(0, 100_000), (2,))
    told, _ = level(z, moment)
    assert z.abs().max() > 100
    assert (z / (1 + told.sigma**2).sqrt()).abs().max() < 10


@pytest.mark.parametrize("degrees", [3.0, 40.0])
def test_the_likelihood_through_the_flow_of_student_t_noise(degrees):
    """One charge smoothed by a Gaussian has no closed form, but one of t noise has: data that are t themselves.

    If x is a point at the mean and the path ends early, at sigma_0, the flow carries sigma_0 t to sigma_1 t.
    """
    mean = torch.tensor([0.5, -1.0], dtype=torch.float64)

    def predict(z, moment):
        return Estimate(data=mean.expand_as(z), noise=(z - moment.alpha * mean) / moment.sigma)

    path, noise = VarianceExploding(0.5, 500.0), StudentT(degrees)
    x = mean + 0.5 * noise.draw(Draws(0, 50, dtype=torch.float64), (2,))
    times = time_grid(path, 60, start=0.0, stop=1.0)
    found, _ = log_likelihood(predict, path, times, x, trace_probes((2,)).double(), noise=noise)
    expected = noise.log_prob((x - mean) / 0.5) - 2 * math.log(0.5)
    # The flow ends with the charge at the mean and not at 0: a remnant of the data of 1 / 500.
    torch.testing.assert_close(found, expected, rtol=0, atol=0.02)
