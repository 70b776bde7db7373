"""EDM: its preconditioning, its noise levels, and every way to sample it."""

from __future__ import annotations

import math
from itertools import repeat

import pytest
import torch
from minimise import minimise

from pushforward.conditions import Condition, ConditionSpace
from pushforward.errors import UsageError
from pushforward.models import Batch
from pushforward.models.edm import EDM
from pushforward.randomness import Draws
from pushforward.spaces import Field, Vector
from pushforward.transport import SAMPLERS, VarianceExploding

SPREAD = torch.tensor([0.5, 1.5])


@pytest.fixture(scope="module")
def trained():
    """A small model of a Gaussian, trained for 300 steps."""
    torch.manual_seed(0)
    model = EDM(Vector(2), settings=EDM.Settings(width=32, depth=2))

    def batch(step):
        draws = Draws(step, 256)
        return Batch(SPREAD * draws.normal(2), None, draws)

    return minimise(model, batch, steps=300)


def test_the_preconditioning_is_the_published_one():
    """Table 1 of Karras et al. 2022 for data of unit variance, with a network that is not zero."""
    torch.manual_seed(0)
    model = EDM(Vector(3))
    torch.nn.init.normal_(list(model.network.parameters())[-2], std=0.1)
    for sigma in (0.01, 0.7, 30.0):
        z = (1 + sigma**2) ** 0.5 * torch.randn(20, 3)
        (moment,) = model.path.moments([float(model.path.time(torch.tensor(-2 * math.log(sigma))))])
        skip, out, scale = 1 / (1 + sigma**2), sigma / (1 + sigma**2) ** 0.5, 1 / (1 + sigma**2) ** 0.5
        raw = model.network(scale * z, torch.full((20,), sigma / (1 + sigma)), None)
        assert raw.abs().max() > 1e-3
        found = model.predictor()(z, moment).data
        torch.testing.assert_close(found, skip * z + out * raw, rtol=1e-4, atol=1e-5)


def test_the_loss_is_the_error_of_the_data_in_units_of_the_best_linear_denoiser():
    """lambda(sigma) = (1 + sigma^2) / sigma^2 of the paper, before training, where the loss is 1 for white data."""
    model = EDM(Vector(2))
    batch = Batch(torch.randn(4096, 2), None, Draws(0, 4096))
    (turn,) = model.turns(repeat(batch))
    draws = Draws(0, 4096)
    t = model.times(draws.shared(8)).repeat_interleave(8)
    sigma = model.path.at(t[:, None]).sigma
    z = batch.x + sigma * draws.normal(2)
    weight = (1 + sigma**2) / sigma**2
    expected = (weight * (z / (1 + sigma**2) - batch.x).square()).mean()
    torch.testing.assert_close(turn.loss, expected, rtol=1e-3, atol=0)
    assert turn.loss.item() == pytest.approx(1, abs=0.05)


def test_noise_levels_are_log_normal():
    model = EDM(Vector(2), settings=EDM.Settings(P_mean=-0.8, P_std=1.5))
    log_sigma = model.path.at(model.times(Draws(0, 4000)).double()).sigma.log()
    assert float(log_sigma.mean()) == pytest.approx(-0.8, abs=0.01)
    assert float(log_sigma.std()) == pytest.approx(1.5, abs=0.02)
    assert model.path == VarianceExploding(sigma_max=80.0)


@pytest.mark.parametrize("method", SAMPLERS)
def test_every_method_samples_the_data(trained, method):
    x = trained.sample(Draws(0, 4000), sampling=trained.Sampling(method=method, steps=40))
    torch.testing.assert_close(x.std(0), SPREAD, rtol=0.2 if method == "ancestral" else 0.1, atol=0)
    assert float(x.mean(0).abs().max()) < 0.1


def test_it_has_the_density_of_the_data(trained):
    x = SPREAD * torch.randn(500, 2, generator=torch.Generator().manual_seed(1))
    expected = torch.distributions.Normal(torch.zeros(2), SPREAD).log_prob(x).sum(1)
    assert float((trained.log_prob(x) - expected).abs().mean()) < 0.1


def test_the_adaptive_method_decodes_as_a_fixed_one_of_many_steps(trained):
    z = Draws(0, 200).normal(2)
    x = trained.sample(Draws(0, 200), sampling=trained.Sampling(method="dopri5", rtol=1e-6, atol=1e-6))
    torch.testing.assert_close(x, trained.decode(z), rtol=0, atol=5e-3)


def test_the_adaptive_method_follows_fields_under_guidance():
    model = EDM(Field(1, (8, 8)), ConditionSpace(1), EDM.Settings(width=8))
    torch.nn.init.normal_(model.network.output.convolution.weight, std=0.02)
    condition = Condition(torch.ones(3, 1))
    found, fixed = (
        model.sample(Draws(0, 3), condition, model.Sampling(method=method, steps=60, guidance=1.5))
        for method in ("dopri5", "rk4")
    )
    torch.testing.assert_close(found, fixed, rtol=0, atol=5e-3)


def test_settings_of_another_method_are_refused(trained):
    with pytest.raises(UsageError, match="eta is a setting of method=ddim"):
        trained.sample(Draws(0, 2), sampling=trained.Sampling(method="adams", eta=0.5))
    with pytest.raises(UsageError, match="S_churn is a setting of method=edm"):
        trained.sample(Draws(0, 2), sampling=trained.Sampling(method="sde", S_churn=5.0))


def test_churn_and_stochasticity_matter(trained):
    calm, churned, random = (
        trained.sample(Draws(0, 50), sampling=trained.Sampling(**options))
        for options in ({"method": "edm"}, {"method": "edm", "S_churn": 10.0}, {"method": "sde", "stochasticity": 0.5})
    )
    assert (calm - churned).abs().max() > 0.1
    assert (calm - random).abs().max() > 0.1
