"""Poisson flows: EDM in the limit of many dimensions, and a heavy tail that is neither clipped nor feared."""

from __future__ import annotations

from itertools import repeat

import pytest
import torch
from minimise import minimise
from two_clusters import two_clusters

from pushforward.conditions import Condition, ConditionSpace
from pushforward.errors import UsageError
from pushforward.models import Batch
from pushforward.models.edm import EDM
from pushforward.models.pfgm import PFGM, PFGMPlusPlus
from pushforward.randomness import Draws
from pushforward.spaces import Field, Vector


def with_d(degrees, **settings):
    return PFGMPlusPlus(Vector(2), settings=PFGMPlusPlus.Settings(D=degrees, **settings))


def train(model, steps=400):
    return minimise(model, lambda step: Batch(two_clusters(256, step), None, Draws(step, 256)), steps)


@pytest.mark.parametrize("method", ["adams", "edm", "ddim", "dpm-solver"])
def test_ten_million_dimensions_sample_as_edm(method):
    """The same trained network and common random numbers: D = 1e7 differs by parts of 1 / sqrt(2 D) in the noise."""
    torch.manual_seed(0)
    edm = train(EDM(Vector(2), settings=EDM.Settings(width=32, depth=2)), steps=100)
    poisson = with_d(1e7, width=32, depth=2)
    poisson.load_state_dict(edm.state_dict())
    sampling = edm.Sampling(method=method)
    one, other = (model.eval().sample(Draws(0, 2000), sampling=sampling) for model in (edm, poisson))
    assert float((one - other).square().mean().sqrt()) < 1e-3
    assert float((one - other).abs().max()) < 1e-2


def test_ten_million_dimensions_learn_as_edm():
    torch.manual_seed(0)
    edm, poisson = EDM(Vector(2)), with_d(1e7)
    poisson.load_state_dict(edm.state_dict())
    edm.tells_time = False  # a time for each sample, as the other has
    batch = two_clusters(512)
    losses = [next(iter(model.turns(repeat(Batch(batch, None, Draws(0, 512)))))).loss for model in (edm, poisson)]
    torch.testing.assert_close(losses[1], losses[0], rtol=1e-3, atol=0)


@pytest.mark.parametrize("degrees", [1.0, 8.0, 128.0])
def test_it_learns_the_data_whatever_the_tail(degrees):
    torch.manual_seed(0)
    model = train(with_d(degrees, width=48, depth=2))
    x = model.sample(Draws(0, 4000), sampling=model.Sampling(method="edm", steps=40))
    assert torch.isfinite(x).all()
    assert float(x[:, 0].abs().median()) == pytest.approx(1.2, abs=0.07)
    assert float(x[:, 1].abs().median()) == pytest.approx(0.6745 * 0.4, abs=0.05)
    assert float((x[:, 0] > 0).float().mean()) == pytest.approx(0.5, abs=0.05)


@pytest.mark.parametrize(("degrees", "most"), [(0.5, 1.6), (1.0, 1.4), (3.0, 1.2), (1e7, 1.05)])
def test_the_untrained_model_of_white_data_has_a_loss_of_order_one_at_every_tail(degrees, most):
    """Although the noise of D = 1 has no mean; what it is above 1 is that the strength is not known from the sample."""
    (turn,) = with_d(degrees).turns(repeat(Batch(torch.randn(20_000, 2), None, Draws(0, 20_000))))
    assert 0.95 < turn.loss.item() < most


def test_pfgm_is_one_dimension_more():
    torch.manual_seed(0)
    one, other = PFGM(Vector(2)), with_d(1.0)
    other.load_state_dict(one.state_dict())
    assert torch.equal(one.sample(Draws(0, 20)), other.sample(Draws(0, 20)))
    with pytest.raises(ValueError, match="D"):
        PFGM.Settings(D=2.0)


def test_codes_are_student_t():
    degrees = 3.0
    torch.manual_seed(0)
    model = train(with_d(degrees, width=48, depth=2))
    radius = model.encode(two_clusters(3000, seed=99)).square().mean(1).sqrt()
    strong = torch.distributions.FisherSnedecor(2.0, degrees).sample((200_000,)).sqrt()
    for part in (0.25, 0.5, 0.75, 0.95):
        assert float(torch.quantile(radius, part)) == pytest.approx(float(torch.quantile(strong, part)), rel=0.15)


@pytest.mark.parametrize("options", [{"method": "ancestral"}, {"method": "sde"}, {"method": "edm", "S_churn": 3.0}])
def test_gaussian_noise_on_the_way_is_refused(options):
    model = with_d(64.0)
    with pytest.raises(UsageError, match="Student-t with D=64"):
        model.sample(Draws(0, 2), sampling=model.Sampling(**options))
    model.sample(Draws(0, 2), sampling=model.Sampling(method="sde", stochasticity=0.0))


def test_guidance_of_poisson_flows_on_fields():
    model = PFGMPlusPlus(Field(1, (8, 8)), ConditionSpace(1), PFGMPlusPlus.Settings(width=8))
    torch.nn.init.normal_(model.network.output.convolution.weight, std=0.02)
    condition = Condition(torch.ones(3, 1))
    whitened, plain = (
        model.sample(Draws(0, 3), condition, model.Sampling(guidance=1.4, method=method, steps=60))
        for method in ("rk4", "edm")
    )
    torch.testing.assert_close(whitened, plain, rtol=0, atol=0.02)
