"""Denoising diffusion: the loss of the paper, and one distribution from every prediction and sampler."""

from __future__ import annotations

from itertools import repeat

import pytest
import torch
from minimise import minimise

from pushforward.models import Batch
from pushforward.models.ddpm import DDPM
from pushforward.randomness import Draws
from pushforward.spaces import Vector
from pushforward.transport import VPCosine, VPLinear

SPREAD = torch.tensor([0.5, 1.5])
VARIANTS = [
    {},
    {"measured_in": "v"},
    {"prediction": "v", "schedule": "linear", "levels": 1000},
]


@pytest.fixture(scope="module", params=VARIANTS, ids=str)
def trained(request):
    """A small model of a Gaussian, trained for 300 steps."""
    torch.manual_seed(0)
    model = DDPM(Vector(2), settings=DDPM.Settings(width=32, depth=2, **request.param))

    def batch(step):
        draws = Draws(step, 256)
        return Batch(SPREAD * draws.normal(2), None, draws)

    return minimise(model, batch, steps=300)


@pytest.mark.parametrize("method", ["dpm-solver", "heun", "ddim", "ancestral"])
def test_every_variant_samples_the_data_with_every_method(trained, method):
    x = trained.sample(Draws(0, 4000), sampling=trained.Sampling(method=method, steps=50))
    torch.testing.assert_close(x.std(0), SPREAD, rtol=0.15, atol=0)
    assert float(x.mean(0).abs().max()) < 0.15


def test_every_variant_has_the_density_of_the_data(trained):
    generator = torch.Generator().manual_seed(1)
    x = SPREAD * torch.randn(500, 2, generator=generator)
    expected = torch.distributions.Normal(torch.zeros(2), SPREAD).log_prob(x).sum(1)
    assert float((trained.log_prob(x) - expected).abs().mean()) < 0.1


@pytest.mark.parametrize("prediction", ["noise", "v"])
def test_the_loss_is_the_squared_error_of_the_noise_whatever_is_predicted(prediction):
    """A network that adds nothing says of white data that the noise is sigma z, in whatever prediction."""
    model = DDPM(Vector(1), settings=DDPM.Settings(prediction=prediction))
    batch = Batch(torch.randn(2048, 1), None, Draws(0, 2048))
    (turn,) = model.turns(repeat(batch))
    draws = Draws(0, 2048)
    moment = model.path.at(model.times(draws.shared(8)).repeat_interleave(8)[:, None])
    noise = draws.normal(1)
    z = moment.mix(batch.x, noise)
    torch.testing.assert_close(turn.loss, (moment.sigma * z - noise).square().mean(), rtol=1e-3, atol=1e-4)


def test_discrete_levels_are_those_of_the_paper():
    model = DDPM(Vector(1), settings=DDPM.Settings(levels=10, schedule="linear"))
    times = model.times(Draws(0, 1000))
    assert torch.equal(times.unique(), torch.arange(1, 11) / 10)


def test_schedules_are_paths():
    assert DDPM(Vector(1), settings=DDPM.Settings(schedule="linear")).path == VPLinear()
    assert isinstance(DDPM(Vector(1)).path, VPCosine)
