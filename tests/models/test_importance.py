"""Importance sampling against posteriors in closed form."""

import math

import torch

from pushforward.models.importance import posterior_draws
from pushforward.models.noise_level import draw_level, log_evidence
from pushforward.randomness import Draws


def test_draws_follow_a_correlated_gaussian_far_from_the_first_proposal():
    centre = torch.tensor([[2.0, -1.0], [0.0, 3.0]])
    covariance = torch.tensor([[0.04, 0.03], [0.03, 0.05]])
    precision = torch.linalg.inv(covariance)

    def log_joint(z):
        return -0.5 * torch.einsum("kbi,ij,kbj->kb", z - centre, precision, z - centre)

    z, effective = posterior_draws(log_joint, torch.zeros(2, 2), torch.ones(2, 2), Draws(0, 2), 2000, rounds=5)
    assert z.shape == (2000, 2, 2)
    assert (effective > 1000).all(), "proposals fitted to the target must nearly all count"
    torch.testing.assert_close(z.mean(0), centre, atol=0.03, rtol=0)
    for each in z.unbind(1):
        torch.testing.assert_close(torch.cov(each.T), covariance, atol=0.008, rtol=0)


def test_draws_of_a_posterior_that_is_not_gaussian_have_its_moments():
    """A half-normal: what lies below zero is impossible."""

    def log_joint(z):
        return torch.where(z[..., 0] > 0, -0.5 * z[..., 0] ** 2, -math.inf)

    z, _ = posterior_draws(log_joint, torch.zeros(3, 1), torch.ones(3, 1), Draws(1, 3), 4000)
    assert (z > 0).all()
    torch.testing.assert_close(z.mean((0, 2)), torch.full((3,), math.sqrt(2 / math.pi)), atol=0.05, rtol=0)


def test_without_rounds_the_first_gaussian_is_taken_at_its_word():
    z, effective = posterior_draws(
        lambda z: 1 / 0, torch.full((1, 2), 3.0), torch.full((1, 2), 0.5), Draws(0, 1), 5000, rounds=0
    )
    assert effective.tolist() == [5000]
    torch.testing.assert_close(z.mean((0, 1)), torch.full((2,), 3.0), atol=0.03, rtol=0)
    torch.testing.assert_close(z.std(0)[0], torch.full((2,), 0.5), atol=0.03, rtol=0)


def test_the_level_of_noise_follows_the_residuals_of_a_series_and_else_the_common_one():
    generator = torch.Generator().manual_seed(0)
    observed = torch.tensor([[400.0], [400.0], [0.0]])
    residuals = torch.randn(2, 400, generator=generator) * torch.tensor([[0.5], [2.0]])
    squares = torch.cat([residuals.square().sum(1), torch.zeros(1)])[None, :, None].expand(3000, -1, -1)
    level = draw_level(squares, observed, Draws(0, 3))[..., 0]
    torch.testing.assert_close(level[:, :2].mean(0), residuals.std(1), rtol=0.05, atol=0)
    torch.testing.assert_close(
        level[:, :2].std(0) / level[:, :2].mean(0), torch.full((2,), (2 * 400) ** -0.5), rtol=0.1, atol=0
    )
    exact = 4 / torch.distributions.Chi2(4.0).sample((20000,))
    for share in (0.1, 0.5, 0.9):
        torch.testing.assert_close(level[:, 2].square().quantile(share), exact.quantile(share), rtol=0.1, atol=0)


def test_the_evidence_is_the_likelihood_averaged_over_levels():
    """Against an average of Gaussian likelihoods over draws of the level from its prior."""
    squares, observed = torch.tensor([[[1.0]], [[9.0]]]).double(), torch.tensor([[5.0]]).double()
    variance = 4 / torch.distributions.Chi2(torch.tensor(4.0).double()).sample((400_000,))
    likelihood = [(-0.5 * s / variance - 2.5 * variance.log()).exp().mean() for s in (1.0, 9.0)]
    found = log_evidence(squares, observed)[:, 0]
    torch.testing.assert_close(found[1] - found[0], (likelihood[1] / likelihood[0]).log(), rtol=0.03, atol=0)
