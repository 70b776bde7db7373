"""Adversarial networks: the penalty in closed form, the bands, and what a stationary generator starts as."""

from __future__ import annotations

from itertools import repeat

import pytest
import torch

from pushforward.errors import UsageError
from pushforward.models import Batch
from pushforward.models.adversarial import gradient_penalty
from pushforward.models.adversarial_losses import LOSSES
from pushforward.models.bands import Bands, halvings_for
from pushforward.models.stationary import StationaryGenerator
from pushforward.models.wgan import WGANGP
from pushforward.randomness import Draws
from pushforward.spaces import Field, Particles, Vector
from pushforward.statistics import power_spectrum

PERIODIC = Field(1, (32, 32), periodic=True)


def correlated(count: int, seed: int = 0) -> torch.Tensor:
    """Periodic Gaussian maps whose power falls with the wavenumber."""
    generator = torch.Generator().manual_seed(seed)
    k = torch.hypot(*torch.meshgrid(torch.fft.fftfreq(32), torch.fft.rfftfreq(32), indexing="ij"))
    noise = torch.fft.rfft2(torch.randn(count, 1, 32, 32, generator=generator))
    maps = torch.fft.irfft2(noise / (k + 0.05), s=(32, 32))
    return maps / maps.std()


def test_the_penalty_of_a_linear_critic_follows_from_its_slope():
    slope = torch.tensor([3.0, 4.0])
    penalty = gradient_penalty(lambda x, _: x @ slope, torch.randn(7, 2))
    torch.testing.assert_close(penalty, torch.full((7,), 16.0))


def test_the_penalty_teaches_the_critic():
    slope = torch.tensor([0.3, 0.4], requires_grad=True)
    gradient_penalty(lambda x, _: x @ slope, torch.randn(7, 2)).mean().backward()
    torch.testing.assert_close(slope.grad, 2 * (0.5 - 1) * slope.detach() / 0.5)


@pytest.mark.parametrize(
    ("grid", "expected"), [((64, 64), 2), ((32, 32), 1), ((8, 8), 0), ((64, 30), 0), ((64, 48), 1)]
)
def test_grids_are_halved_down_to_sixteen_cells(grid, expected):
    assert halvings_for(Field(1, grid)) == expected


def test_bands_are_standardised_and_lose_nothing():
    x = 3 * correlated(16) + 2
    bands = Bands(PERIODIC, 2)
    bands.initialise(x)
    coefficients = bands(x)
    assert coefficients.shape == (16, *bands.space.shape) == (16, 16, 8, 8)
    rows = coefficients.transpose(0, 1).flatten(1)
    torch.testing.assert_close(rows.mean(1), torch.zeros(16), atol=1e-4, rtol=0)
    torch.testing.assert_close(rows.std(1, correction=0), torch.ones(16), atol=1e-4, rtol=0)
    torch.testing.assert_close(bands.inverse(coefficients), x, atol=1e-4, rtol=1e-4)


def test_samples_of_a_stationary_field_start_with_the_power_of_the_data():
    x = correlated(64)
    model = WGANGP(PERIODIC, settings=WGANGP.Settings(width=8, critic_width=4)).eval()
    model.prepare(Batch(x, None, Draws(0, 64)))
    with torch.no_grad():
        samples = model.sample(Draws(1, 64))
    found, wanted = (power_spectrum(fields, box=1.0).power.mean((0, 1)) for fields in (samples, x))
    # The fundamental has 64 x 4 modes: a tenth of its power is one standard error of the ratio.
    assert ((found / wanted).log().abs() < 0.4).all()


def test_a_stationary_generator_moves_with_its_noise():
    torch.manual_seed(0)
    bands = Bands(PERIODIC, 1)
    generator = StationaryGenerator(PERIODIC, bands, width=8).eval()
    generator.initialise(correlated(16))
    with torch.no_grad():
        for weights in generator.network.parameters():
            weights.add_(0.1 * torch.randn_like(weights))
        noise = torch.randn(2, *PERIODIC.shape)
        still = bands.inverse(generator(noise.flatten(1)))
        moved = bands.inverse(generator(noise.roll((8, 16), (2, 3)).flatten(1)))
    torch.testing.assert_close(moved, still.roll((8, 16), (2, 3)), atol=1e-3, rtol=1e-3)


def test_clipping_bounds_the_critic():
    model = WGANGP(Vector(2), settings=WGANGP.Settings(constraint="clipping", clip=0.02))
    next(iter(model.turns(repeat(Batch(torch.randn(8, 2), None, Draws(0, 8))))))
    assert max(float(weights.detach().abs().max()) for weights in model.critic.parameters()) <= 0.02


def test_particles_are_refused():
    with pytest.raises(UsageError, match="vectors and fields"):
        WGANGP(Particles(4, 2))


def test_the_best_critic_of_a_cross_entropy_is_the_log_ratio_of_densities():
    real, fake = torch.tensor([0.7, 0.2, 0.1]), torch.tensor([0.1, 0.3, 0.6])
    f = torch.zeros(3, requires_grad=True)
    optimiser = torch.optim.LBFGS([f], max_iter=200)
    critic = LOSSES["non-saturating"].critic

    def closure():
        optimiser.zero_grad()
        # Expectations over three points, by their probabilities; a score of 1e9 adds nothing.
        points = zip(f, real, fake, strict=True)
        loss = sum(r * critic(v[None], v[None] - 1e9) + q * critic(v[None] + 1e9, v[None]) for v, r, q in points)
        loss.backward()
        return loss

    optimiser.step(closure)
    torch.testing.assert_close(f.detach(), (real / fake).log(), atol=1e-3, rtol=1e-3)


def test_the_minimax_generator_learns_nothing_from_a_sure_critic():
    sure = torch.full((4,), -20.0, requires_grad=True)
    slopes = {name: torch.autograd.grad(LOSSES[name].generator(sure), sure)[0].abs().max() for name in LOSSES}
    assert slopes["minimax"] < 1e-8
    assert slopes["non-saturating"] == pytest.approx(0.25)
    assert slopes["wasserstein"] == pytest.approx(0.25)
