"""Flows: what they learn from members and from an energy, and what their settings change."""

from __future__ import annotations

import math

import pytest
import torch
from minimise import minimise
from two_clusters import log_density, two_clusters

from pushforward.errors import UsageError
from pushforward.models import Batch, EnergyBatch, model_class
from pushforward.models.flow import Flow
from pushforward.randomness import Draws
from pushforward.spaces import Field, Vector
from pushforward.transforms import Permutation

FLOWS = ["realnvp", "nsf", "maf", "iaf", "tarflow"]
flows = pytest.mark.parametrize("name", FLOWS)
of_energies = pytest.mark.parametrize("name", FLOWS[:4])
LOG_Z = 3.0


PLANE = Vector(2)
DIAGONAL = torch.tensor([[1.0, -1.0], [1.0, 1.0]]) / math.sqrt(2)


def small(name: str, space=PLANE, **settings):
    torch.manual_seed(0)
    kind = model_class(name)
    sizes = {key: 3 for key in ("couplings", "transforms") if key in kind.Settings.model_fields}
    return kind(space, settings=kind.Settings(**{**sizes, "width": 32, **settings}))


def members(count: int, seed: int) -> Batch:
    """Two clusters on the diagonal: on an axis, affine maps of one coordinate given the other can do nothing."""
    return Batch(two_clusters(count, seed) @ DIAGONAL.T, None, Draws(seed, count))


def drawn(count: int, seed: int) -> EnergyBatch:
    """The same density, unnormalised, without members."""
    return EnergyBatch(torch.empty(0, 2), None, Draws(seed, count), energy=energy)


def energy(x: torch.Tensor) -> torch.Tensor:
    return -log_density(x @ DIAGONAL) - LOG_Z


@flows
def test_a_flow_comes_near_to_the_density_of_its_members(name):
    model = small(name)
    assert isinstance(model, Flow)
    model.prepare(members(512, 0))
    minimise(model, lambda step: members(256, step + 1), 300)
    x = members(4000, 99).x
    with torch.no_grad():
        gap = (log_density(x @ DIAGONAL) - model.log_prob(x)).mean()
    assert -0.02 < gap < 0.15, "the mean of log p - log q is the divergence, and small after training"


@of_energies
def test_a_flow_learns_an_energy_from_its_own_samples(name):
    """The bound on -log Z is reached, and the weights of samples estimate Z itself."""
    model = small(name)
    model.prepare(drawn(256, 0))
    minimise(model, lambda step: drawn(256, step), 400, learning_rate=1e-2)
    with torch.no_grad():
        x, log_prob = model.sample_and_log_prob(Draws(999, 4000))
    log_weights = -energy(x) - log_prob
    assert -LOG_Z - 0.02 < -log_weights.mean() < -LOG_Z + 0.3
    effective = log_weights.softmax(0).square().sum().reciprocal() / len(x)
    assert effective > 0.6, "most samples must count"
    assert log_weights.logsumexp(0) - math.log(len(x)) == pytest.approx(LOG_Z, abs=0.1)


def test_the_turn_on_an_energy_says_the_bound_and_the_effective_fraction():
    model = small("nsf")
    turn = next(model.turns(iter([drawn(64, 0)])))
    x, log_prob = model.sample_and_log_prob(Draws(0, 64))
    cost = log_prob + energy(x)
    torch.testing.assert_close(turn.loss, cost.mean() / 2)
    torch.testing.assert_close(turn.logs["free_energy_bound"], cost.mean().detach())
    weights = torch.softmax(-cost, 0)
    assert turn.logs["effective_fraction"] == pytest.approx((1 / weights.square().sum() / 64).item(), rel=1e-4)


@flows
def test_temperature_narrows_the_samples_and_their_density_is_the_one_they_have(name):
    model = small(name)
    minimise(model, lambda step: members(64, step), 5)
    cold = model.Sampling(temperature=0.5)
    with torch.no_grad():
        x, log_prob = model.sample_and_log_prob(Draws(0, 200), sampling=cold)
        z = model.encode(x)
        scaled = -0.5 * (z / 0.5).square().sum(1) - 2 * math.log(0.5) - math.log(2 * math.pi)
        expected = scaled + model.flow(x)[1]
    torch.testing.assert_close(log_prob, expected, rtol=1e-4, atol=1e-3)
    assert z.std() == pytest.approx(0.5, abs=0.05)


@pytest.mark.parametrize("name", ["realnvp", "nsf"])
def test_without_levels_the_couplings_of_a_periodic_lattice_commute_with_even_shifts(name):
    """A checkerboard is mapped onto itself by a shift of two cells, and periodic convolutions commute with it."""
    model = small(name, Field(1, (8, 8), periodic=True), levels=0)
    minimise(model, lambda step: Batch(torch.randn(8, 1, 8, 8), None, Draws(step, 8)), 5)
    x = torch.randn(4, 1, 8, 8)
    shifted = x.roll((2, 4), (2, 3))
    with torch.no_grad():
        z, moved = (model.encode(each).view(4, 1, 8, 8) for each in (x, shifted))
        torch.testing.assert_close(moved, z.roll((2, 4), (2, 3)), rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(model.log_prob(shifted), model.log_prob(x), rtol=1e-5, atol=1e-3)
    assert (z - x).abs().max() > 1e-3


def test_splines_can_be_autoregressive():
    model = small("nsf", Vector(5), conditioner="autoregressive")
    minimise(model, lambda step: Batch(torch.randn(32, 5), None, Draws(step, 32)), 5)
    x = torch.randn(6, 5)
    with torch.no_grad():
        torch.testing.assert_close(model.decode(model.encode(x)), x, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("name", "space", "settings", "sentence"),
    [
        ("maf", Field(1, (8, 8)), {}, "autoregressive flows need vectors, not field"),
        ("nsf", Field(1, (8, 8)), {"conditioner": "autoregressive"}, "autoregressive flows need vectors"),
        ("realnvp", Field(1, (9, 8)), {}, "9 x 8 has an odd side; crop or pad"),
        ("nsf", Field(1, (8, 8)), {"levels": 4}, "can be halved 3 times, not levels=4"),
    ],
)
def test_what_a_flow_cannot_learn_is_one_clear_sentence(name, space, settings, sentence):
    with pytest.raises(UsageError, match=sentence):
        small(name, space, **settings)


def test_a_random_order_is_the_same_after_loading_and_is_still_a_bijection():
    kind = model_class("maf")
    settings = kind.Settings(order="random", transforms=3, width=32)
    model, copy = kind(Vector(6), settings=settings), kind(Vector(6), settings=settings)
    copy.load_state_dict(model.state_dict())
    x = torch.randn(5, 6)
    torch.testing.assert_close(copy.log_prob(x), model.log_prob(x))
    torch.testing.assert_close(model.decode(model.encode(x)), x)
    orders = [module.order.tolist() for module in model.modules() if isinstance(module, Permutation)]
    assert len(orders) == 2
    assert orders[0] != orders[1]
