"""Predictions: every conversion against the sample's own data and noise, to 1e-10."""

from __future__ import annotations

from itertools import product

import pytest
import torch
from known_answers import paths

from pushforward.transport import (
    Straight,
    VPCosine,
    VPLinear,
    convert,
    determinant,
    estimate,
    loss_weight,
    target,
)
from pushforward.transport.prediction import PREDICTIONS

pairs = pytest.mark.parametrize(("source", "to"), list(product(PREDICTIONS, PREDICTIONS)))


@pytest.fixture
def noisy():
    """Data, noise and times, one time a sample, float64."""
    generator = torch.Generator().manual_seed(0)
    data, noise = torch.randn(2, 64, 3, generator=generator, dtype=torch.float64)
    return data, noise, torch.linspace(0.05, 0.95, 64, dtype=torch.float64)[:, None]


@paths
@pairs
def test_conversions_are_exact(path, source, to, noisy):
    data, noise, t = noisy
    moment = path.at(t)
    z = moment.mix(data, noise)
    converted = convert(target(source, data, noise, moment), z, moment, source, to)
    torch.testing.assert_close(converted, target(to, data, noise, moment), rtol=1e-10, atol=1e-10)


@paths
@pytest.mark.parametrize("prediction", PREDICTIONS)
def test_data_and_noise_follow_from_any_prediction(path, prediction, noisy):
    data, noise, t = noisy
    moment = path.at(t)
    found = estimate(target(prediction, data, noise, moment), moment.mix(data, noise), moment, prediction)
    torch.testing.assert_close(found.data, data, rtol=1e-10, atol=1e-10)
    torch.testing.assert_close(found.noise, noise, rtol=1e-10, atol=1e-10)


@paths
@pairs
def test_loss_weights_turn_one_squared_error_into_another(path, source, to, noisy):
    data, noise, t = noisy
    moment = path.at(t)
    z = moment.mix(data, noise)
    right = target(source, data, noise, moment)
    wrong = right + torch.randn(right.shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    error = (convert(wrong, z, moment, source, to) - convert(right, z, moment, source, to)).square()
    expected = loss_weight(source, to, moment) * (wrong - right).square()
    torch.testing.assert_close(error, expected, rtol=1e-8, atol=1e-10)


@paths
def test_loss_weights_are_the_published_functions_of_log_snr(path, noisy):
    """Gao et al. 2024, relative to the noise: x e^-l, v alpha^2 (e^-l + 1)^2, and u (e^(-l/2) + 1)^2 on the line."""
    t = noisy[2]
    moment, log_snr = path.at(t), path.log_snr(t)

    def weight(prediction):
        return loss_weight("noise", prediction, moment) * torch.ones_like(t)

    torch.testing.assert_close(weight("data"), torch.exp(-log_snr), rtol=1e-10, atol=0)
    torch.testing.assert_close(weight("v"), moment.alpha**2 * (torch.exp(-log_snr) + 1) ** 2, rtol=1e-10, atol=0)
    if isinstance(path, Straight):
        torch.testing.assert_close(weight("velocity"), (torch.exp(-log_snr / 2) + 1) ** 2, rtol=1e-10, atol=0)


def test_velocity_of_the_line_and_v_determine_data_and_noise_at_both_ends():
    line, vp = Straight(), VPCosine()
    for time in (0.0, 1.0):
        assert determinant("velocity", line.moments([time])[0]) == pytest.approx(1)
        assert determinant("v", vp.moments([time])[0]) == pytest.approx(1)


def test_the_conditional_score_is_the_gradient_of_the_kernel(noisy):
    data, noise, t = noisy
    moment = VPLinear().at(t)
    z = moment.mix(data, noise).requires_grad_()
    kernel = torch.distributions.Normal(moment.alpha * data, moment.sigma.expand_as(data))
    (score,) = torch.autograd.grad(kernel.log_prob(z).sum(), z)
    torch.testing.assert_close(target("score", data, noise, moment), score, rtol=1e-10, atol=1e-10)
