"""What figures of adversarial models show, by formula."""

from __future__ import annotations

import math

import pytest
import torch

from benchmarks import critic_estimate
from examples import approaching_distributions, dirac_gan, latent_arithmetic, optimal_discriminator


@pytest.mark.parametrize("game", [game for game in dirac_gan.GAMES if not game.one_centred], ids=lambda g: g.title)
def test_the_linearised_game_has_the_known_eigenvalues(game):
    assert game.eigenvalues() == pytest.approx(game.expected(), abs=1e-6)


def test_a_one_centred_penalty_stops_the_generator_beside_the_data():
    (game,) = (game for game in dirac_gan.GAMES if game.one_centred)
    assert float(game.path((1.5, 0.0))[-1, 0].abs()) == pytest.approx(2 * game.one_centred, rel=0.01)


def test_the_force_of_the_optimal_discriminator_is_the_slope_of_its_loss():
    x = torch.linspace(-3, 3, 7, dtype=torch.float64)
    step = 1e-6
    data, made = (optimal_discriminator.density(x + step, mean, 1.0) for mean in (2.0, -2.0))
    before, after = (optimal_discriminator.density(x - step, mean, 1.0) for mean in (2.0, -2.0))
    numerical = (torch.log1p(data / made) - torch.log1p(before / after)) / (2 * step)
    torch.testing.assert_close(optimal_discriminator.force(x, 1.0), numerical, rtol=1e-5, atol=1e-8)


def test_the_exact_divergence_goes_from_zero_to_the_logarithm_of_two():
    far, near = (approaching_distributions.jensen_shannon(distance) for distance in (3.0, 0.0))
    assert far == pytest.approx(torch.tensor(2.0).log().item(), abs=1e-4)
    assert near == pytest.approx(0, abs=1e-6)


def test_a_sheared_bar_has_the_slant_of_its_shear():
    upright, leaning = torch.zeros(2, 1, 1, 8, 8)
    for row in range(8):
        upright[0, 0, row, 3] = 1
        leaning[0, 0, row, 7 - row] = 1
    assert latent_arithmetic.slant(torch.cat([upright, leaning])).tolist() == pytest.approx([0.0, 1.0])


def test_the_running_estimate_stands_beside_the_distances():
    lines = [{"step": n, "critic/wasserstein": float(n)} for n in range(1, 41)]
    lines[19]["generator/distance"], lines[39]["generator/distance"] = 3.0, 1.0
    found = critic_estimate.series(lines, "wgan-gp")
    assert found == {"step": [20, 40], "distance": [3.0, 1.0], "estimate": [10.5, 28.0]}
    assert critic_estimate.correlation(found) == pytest.approx(-1)
    assert critic_estimate.divergence(0.0) == pytest.approx(math.log(2))
