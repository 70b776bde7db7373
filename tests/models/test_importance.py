"""Importance sampling against posteriors in closed form."""

import pytest
import torch

from pushforward.models.importance import Mixture, posterior_draws
from pushforward.models.laplace import climb
from pushforward.randomness import Draws


def wide(centre: torch.Tensor, scale: float) -> Mixture:
    """One round part for each series."""
    dim = centre.shape[1]
    precision = (torch.eye(dim) / scale).expand(1, len(centre), dim, dim)
    return Mixture(centre[None], precision, torch.zeros(1, len(centre)))


def test_draws_follow_a_correlated_gaussian_that_is_narrower_than_the_proposals():
    centre = torch.tensor([[2.0, -1.0], [0.0, 3.0]])
    covariance = torch.tensor([[0.04, 0.03], [0.03, 0.05]])
    precision = torch.linalg.inv(covariance)

    def log_joint(z):
        return -0.5 * torch.einsum("kbi,ij,kbj->kb", z - centre, precision, z - centre)

    proposal = wide(centre + 0.1, 0.3)
    z, effective = posterior_draws(log_joint, proposal, Draws(0, 2), 2000, proposed=8000)
    assert z.shape == (2000, 2, 2)
    assert (effective > 1500).all()
    torch.testing.assert_close(z.mean(0), centre, atol=0.03, rtol=0)
    for each in z.unbind(1):
        torch.testing.assert_close(torch.cov(each.T), covariance, atol=0.008, rtol=0)


def test_two_peaks_are_drawn_as_often_as_they_weigh_whatever_the_shares_of_the_proposal():
    peaks = torch.tensor([-2.0, 2.0])
    heights = torch.tensor([0.2, 0.8]).log()

    def log_joint(z):
        return torch.logsumexp(heights - 0.5 * ((z - peaks) / 0.1).square(), -1)

    proposal = Mixture(peaks[:, None, None], torch.full((2, 1, 1, 1), 8.0), torch.tensor([[0.0], [0.0]]))
    z, _ = posterior_draws(log_joint, proposal, Draws(1, 1), 4000, proposed=8000)
    assert (z > 0).float().mean().item() == pytest.approx(0.8, abs=0.03)
    assert z[z > 0].std().item() == pytest.approx(0.1, rel=0.06)


def test_the_density_of_a_mixture_is_that_of_its_draws():
    """Importance weights of one mixture for another have the mean one, up to the constant that both leave out."""
    first = Mixture(
        torch.tensor([[[0.0, 0.0]], [[1.0, -1.0]]]),
        torch.linalg.cholesky(torch.tensor([[[[2.0, 0.5], [0.5, 1.0]]], [[[4.0, -1.0], [-1.0, 3.0]]]])),
        torch.tensor([[0.3], [-0.5]]),
    )
    second = wide(torch.zeros(1, 2), 1.5)
    z = second.draw(Draws(2, 1), 40_000)
    assert (first.log_prob(z) - second.log_prob(z)).exp().mean().item() == pytest.approx(1.0, abs=0.03)


def test_a_climb_ends_at_the_peak_with_its_curvature():
    """A linear model has a Gaussian posterior; a bent one a peak that other climbs agree on."""
    generator = torch.Generator().manual_seed(3)
    slope, values = torch.randn(12, 3, generator=generator), torch.randn(12, generator=generator)

    def linear(z):
        return z @ slope.T - values, slope.expand(*z.shape[:2], 12, 3)

    precision = slope.T @ slope + torch.eye(3)
    z, factor, height = climb(linear, torch.randn(4, 2, 3, generator=generator), 12)
    peak = torch.linalg.solve(precision, slope.T @ values)
    torch.testing.assert_close(z, peak.expand_as(z), atol=1e-3, rtol=0)
    torch.testing.assert_close(factor @ factor.mT, precision.expand(4, 2, 3, 3), atol=1e-3, rtol=1e-3)
    expected = -0.5 * ((slope @ peak - values).square().sum() + peak.square().sum())
    torch.testing.assert_close(height, expected.expand_as(height))

    def bent(z):
        return 3 * (torch.exp(0.5 * z) - 2), (1.5 * torch.exp(0.5 * z))[..., None, :] * torch.eye(3)

    z, _, _ = climb(bent, torch.tensor([[[-2.0, 0.0, 4.0]]]), 25)
    root = torch.exp(0.5 * z)
    torch.testing.assert_close(4.5 * root * (root - 2), -z, atol=1e-3, rtol=0)
