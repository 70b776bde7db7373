"""Weights between Gaussians, whose effective sample size and normaliser have closed forms."""

import math

import pytest
import torch

from pushforward.energies import Energy, double_well, reweight
from pushforward.energies.weights import ess, log_weights, log_z, log_z_error
from pushforward.errors import UsageError
from pushforward.spaces import Vector

TARGET = Energy(lambda x: x.square().sum(1) / 2, Vector(2))  # Z = 2 pi


def wide(count, width):
    """Samples of N(0, width^2) in two dimensions, with their log-density."""
    x = width * torch.randn(count, 2, dtype=torch.float64)
    return x, -(x / width).square().sum(1) / 2 - 2 * math.log(width) - math.log(2 * math.pi)


def test_samples_of_the_target_itself_are_all_worth_one():
    result = reweight(TARGET, *wide(500, 1.0))
    assert result.ess == pytest.approx(500)
    assert result.log_z == pytest.approx(math.log(2 * math.pi))
    assert result.log_z_error == pytest.approx(0, abs=1e-7)


@pytest.mark.parametrize("width", [1.2, 1.6, 2.0])
def test_wider_gaussians_have_the_known_efficiency(width):
    """In two dimensions <w>^2 / <w^2> = (2 - 1 / s^2) / s^2 for a Gaussian that is s times as wide."""
    count = 200_000
    result = reweight(TARGET, *wide(count, width))
    assert result.ess / count == pytest.approx((2 - width**-2) / width**2, rel=0.02)
    assert result.log_z == pytest.approx(math.log(2 * math.pi), abs=5 * result.log_z_error)
    delta = math.sqrt(1 / result.ess - 1 / count)
    assert result.log_z_error == pytest.approx(delta, rel=0.01)


def test_the_error_is_the_scatter_of_repetitions():
    results = [reweight(TARGET, *wide(400, 1.6)) for _ in range(400)]
    scatter = torch.tensor([each.log_z for each in results]).std().item()
    stated = sum(each.log_z_error for each in results) / len(results)
    assert stated == pytest.approx(scatter, rel=0.15)


def test_observables_of_the_target():
    result = reweight(TARGET, *wide(50_000, 1.5))
    mean, error = result.expectation(result.samples.square().sum(1))
    assert mean == pytest.approx(2.0, abs=5 * error)
    assert 0 < error < 0.05
    again = result.resample(50_000)
    assert again.square().sum(1).mean().item() == pytest.approx(2.0, abs=0.08)


def test_dw4_from_a_centred_gaussian_gives_its_exact_normaliser():
    """The constant of the centred Gaussian is that of 6 dimensions, 3 ln(2 pi)."""
    energy = double_well()
    width = 2.4
    x = torch.randn(400_000, 4, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64) * width
    x -= x.mean(1, keepdim=True)
    log_prob = -(x / width).square().sum((1, 2)) / 2 - 3 * math.log(2 * math.pi) - 6 * math.log(width)
    result = reweight(energy, x, log_prob)
    assert result.log_z_error < 0.2
    assert result.log_z == pytest.approx(energy.facts.log_z, abs=4 * result.log_z_error)
    mean, error = result.expectation(energy(x))
    assert mean == pytest.approx(energy.facts.mean_energy, abs=4 * error)


def test_weights_may_be_shifted_and_some_may_vanish():
    logs = torch.randn(100, dtype=torch.float64)
    assert ess(logs + 900) == pytest.approx(ess(logs))
    assert log_z_error(logs - 900) == pytest.approx(log_z_error(logs))
    assert log_z(logs + 900) == pytest.approx(log_z(logs) + 900)
    energies = torch.tensor([0.0, math.inf, math.nan, 0.0])
    with_holes = log_weights(torch.zeros(4), energies)
    assert ess(with_holes) == pytest.approx(2)
    assert log_z(with_holes) == pytest.approx(math.log(0.5))


def test_one_dominant_weight_is_one_sample_of_unknown_error():
    logs = torch.tensor([1000.0, *[0.0] * 99], dtype=torch.float64)
    assert ess(logs) == pytest.approx(1)
    assert log_z_error(logs) == math.inf
    assert ess(logs, removed=0.02) == pytest.approx(96)
    assert log_z_error(torch.zeros(1)) == math.inf


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: log_weights(torch.zeros(3), torch.zeros(4)), "one log-density and one energy per sample"),
        (lambda: log_weights(torch.full((3,), math.nan), torch.zeros(3)), "3 of 3 log-densities"),
        (lambda: log_weights(torch.zeros(3), torch.full((3,), -math.inf)), "no finite integral"),
        (lambda: ess(torch.full((3,), -math.inf)), "none of 3 samples has a finite energy"),
        (lambda: ess(torch.zeros(3), removed=0.5), "must be in"),
    ],
)
def test_a_mistake_is_answered_with_a_sentence(call, words):
    with pytest.raises(UsageError, match=words):
        call()
