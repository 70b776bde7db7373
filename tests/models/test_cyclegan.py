"""CycleGAN: the turns, the way back, the start as the identity, and what it learns."""

from __future__ import annotations

import pytest
import torch

from pushforward.ensembles.batch import PairBatch
from pushforward.models.cyclegan import CycleGAN
from pushforward.networks.spectral_norm import advance_spectral_norm, apply_spectral_norm
from pushforward.networks.translators import translator
from pushforward.randomness import Draws
from pushforward.spaces import Field, Vector

SPACES = {"vector": Vector(2), "map": Field(1, (16, 16), periodic=True), "cube": Field(1, (8, 8, 8), periodic=True)}


def batch_of(space, seed: int = 0, count: int = 8) -> PairBatch:
    generator = torch.Generator().manual_seed(seed)
    a, b = (torch.randn(count, *space.shape, generator=generator) for _ in range(2))
    return PairBatch(a, None, Draws(seed, count), b=3 * b + 2)


@pytest.mark.parametrize("network", ["unet", "resnet"])
@pytest.mark.parametrize("key", SPACES)
def test_it_starts_as_the_standardised_identity_and_returns(key, network):
    space = SPACES[key]
    model = CycleGAN(space, settings=CycleGAN.Settings(network=network, width=8, critic_width=8))
    batch = batch_of(space)
    model.prepare(batch)
    torch.testing.assert_close(model.translate(model.translate(batch.x, "b"), "a"), batch.x, atol=1e-4, rtol=1e-3)
    moved = model.translate(batch.x, "b")
    assert moved.std() == pytest.approx(3.0, rel=0.35)


@pytest.mark.parametrize("loss", ["least-squares", "wasserstein", "relativistic"])
@pytest.mark.parametrize("key", SPACES)
def test_one_step_is_of_both_translators_and_then_of_each_critic(key, loss):
    model = CycleGAN(SPACES[key], settings=CycleGAN.Settings(loss=loss, width=8, critic_width=8))
    batch = batch_of(SPACES[key])
    model.prepare(batch)
    turns = list(model.turns(iter([batch])))
    assert [turn.player for turn in turns] == [("to_a", "to_b"), "critic_a", "critic_b"]
    assert {"cycle_a", "cycle_b", "identity_a", "identity_b"} <= set(turns[0].logs)


def test_critics_teach_no_translator():
    model = CycleGAN(Vector(2), settings=CycleGAN.Settings(width=8, critic_width=8))
    batch = batch_of(Vector(2))
    model.prepare(batch)
    for turn in list(model.turns(iter([batch])))[1:]:
        turn.loss.backward()
    assert all(p.grad is None for p in model.translators.parameters())


@pytest.mark.parametrize("network", ["unet", "resnet"])
def test_translators_of_periodic_fields_move_with_them(network):
    torch.manual_seed(0)
    net = translator(Field(1, (16, 16), periodic=True), network, width=8, depth=1).eval()
    with torch.no_grad():
        for weights in net.parameters():
            weights.add_(0.1 * torch.randn_like(weights))
        x = torch.randn(2, 1, 16, 16)
        torch.testing.assert_close(net(x.roll((4, 8), (2, 3))), net(x).roll((4, 8), (2, 3)), atol=1e-4, rtol=1e-4)


def test_spectral_norm_follows_the_weights_when_it_is_told_to():
    torch.manual_seed(0)
    layer = torch.nn.Sequential(torch.nn.Linear(6, 5))
    apply_spectral_norm(layer)
    with torch.no_grad():
        layer[0].parametrizations.weight.original.copy_(torch.randn(5, 6) * torch.tensor([9.0, 1, 1, 1, 1])[:, None])
    before = layer[0].weight.clone()
    assert torch.equal(layer[0].weight, before), "asking must not change the answer"
    for _ in range(30):
        advance_spectral_norm(layer)
    assert float(torch.linalg.matrix_norm(layer[0].weight.detach(), 2)) == pytest.approx(1.0, rel=1e-3)
