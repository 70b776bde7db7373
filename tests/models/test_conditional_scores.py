"""Normal scores at every condition, and the regression that they rest on."""

from __future__ import annotations

import torch

from pushforward.conditions import Condition, ConditionSpace
from pushforward.models.condition_regression import regress_log_means, regress_means
from pushforward.models.conditional_scores import ConditionalScores
from pushforward.networks import MLP
from pushforward.spaces import Field


def test_values_become_normal_at_every_condition():
    torch.manual_seed(0)
    given = torch.linspace(-1, 1, 128)[:, None]
    # skewed values whose mean and width change with the condition, as those of hydrogen with the redshift
    skewed = torch.randn(128, 1, 16, 16).mul(0.3).exp()
    v = skewed * (1 + 0.5 * given[..., None, None]) + 2 * given[..., None, None]
    scores = ConditionalScores(Field(1, (16, 16), periodic=True), ConditionSpace(1))
    scores.fit(v, Condition(given))
    z = scores(v, Condition(given))
    for part in z.split(32):
        assert abs(float(part.mean())) < 0.05
        assert abs(float(part.std()) - 1) < 0.05
        assert abs(float(((part - part.mean()) / part.std()).pow(3).mean())) < 0.15
    torch.testing.assert_close(scores.inverse(z, Condition(given)), v, atol=1e-4, rtol=1e-4)


def test_a_shape_that_changes_with_the_condition_is_learnt():
    torch.manual_seed(0)
    given = torch.linspace(-1, 1, 256)[:, None]
    v = torch.randn(256, 2, 16, 16).mul(0.2 * (2 + given[..., None, None])).exp()
    scores = ConditionalScores(Field(2, (16, 16), periodic=True), ConditionSpace(1))
    scores.fit(v, Condition(given))
    z = scores(v, Condition(given))
    # without the counts, a quarter has its lowest level at -3
    levels = torch.tensor([-2.0, -1.0, 0.0, 1.0, 2.0])
    for part in z.split(64):
        found = (part.flatten()[:, None] < levels).float().mean(0)
        torch.testing.assert_close(torch.special.ndtri(found), levels, atol=0.3, rtol=0)
    torch.testing.assert_close(scores.inverse(z, Condition(given)), v, atol=1e-3, rtol=1e-3)


def test_means_and_logarithms_of_means_follow_their_conditions():
    torch.manual_seed(0)
    c = 2 * torch.rand(2048, 1) - 1
    network = MLP(1, 1, (64,), zero_output=True).requires_grad_(False)
    level = regress_means(network, c, c.square() + 0.5 * torch.randn(2048, 1))
    torch.testing.assert_close(level + network(c), c.square(), atol=0.1, rtol=0)
    # the mean of the power of four modes is a third above the exponential of its mean logarithm
    powers = (2 * c).exp() * torch.randn(2048, 4).square().mean(1, keepdim=True)
    level = regress_log_means(network, c, powers)
    torch.testing.assert_close(level + network(c), 2 * c, atol=0.2, rtol=0)


def test_nothing_depends_on_an_unknown_condition():
    y = torch.randn(64, 2) + 3
    torch.testing.assert_close(regress_means(None, None, y), y.mean(0))
    torch.testing.assert_close(regress_log_means(None, None, y.square()), y.square().mean(0).log())
