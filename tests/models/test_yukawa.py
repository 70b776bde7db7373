"""The Yukawa model: its noise, its velocity, its limits."""

from __future__ import annotations

import pytest
import torch
from examples.genphys.processes import Yukawa as Process

from pushforward.errors import UsageError
from pushforward.models import Batch, model_class
from pushforward.models.denoising_settings import DenoisingSampling
from pushforward.randomness import Draws
from pushforward.spaces import Vector

Yukawa = model_class("yukawa")


def made(mass: float) -> torch.nn.Module:
    return Yukawa(Vector(2), settings=Yukawa.Settings(mass=mass))


@pytest.mark.parametrize("mass", [0.5, 3.0, 100.0])
@pytest.mark.parametrize("tau", [0.1, 0.5, 0.9])
def test_noise_has_unit_variance(mass, tau):
    noise, _ = made(mass)._noise(Draws(0, 100_000), torch.full((100_000, 1), tau))
    # The kurtosis of the noise is 3 (1 + 1 / (m sigma)^2); where it is large the mean square needs more room.
    spread = (1 + (1 - tau) ** 2 / (mass * tau) ** 2) ** 0.5
    assert float(noise.square().mean()) == pytest.approx(1, abs=0.02 * spread)


def test_the_velocity_is_that_of_the_process():
    """In x = z / (1 - tau) and t = m sigma^2 the regression's target is the velocity of the Yukawa process."""
    mass, tau, step = 2.0, 0.4, 1e-5
    later = tau + step
    noise, factor = made(mass)._noise(Draws(0, 4), torch.full((4, 1), tau))
    sigma, beyond = tau / (1 - tau), later / (1 - later)
    x = (sigma * noise).double()
    t, end = mass * sigma**2, mass * beyond**2
    # The mean over scales of what is drawn is the velocity, so compare the exact mean with the exact flow over a step.
    process, times = Process(2, mass=mass), torch.full((4, 1), t, dtype=torch.float64)
    moved = x + (end - t) * process.velocity(x, times)
    change = ((1 - later) * moved - (1 - tau) * x) / step
    mean_factor = (2 * process.mean_expansion(x, times) - tau) / (1 - tau)
    torch.testing.assert_close(change, mean_factor * noise.double(), rtol=1e-3, atol=1e-4)
    assert bool((factor > -tau / (1 - tau)).all())


def test_a_large_mass_is_flow_matching():
    tau = torch.linspace(0.05, 0.95, 19)[:, None]
    _, factor = made(1e4)._noise(Draws(0, 19), tau)
    torch.testing.assert_close(factor, torch.ones_like(factor), rtol=0, atol=1e-2)


def test_samplers_of_normal_noise_are_refused():
    model = made(3.0)
    model.prepare(Batch(torch.randn(16, 2), None, Draws(0, 16)))
    with pytest.raises(UsageError, match="choose one of"):
        model.sample(Draws(0, 2), sampling=DenoisingSampling(method="ddim"))
