"""Perceptrons, embeddings and convolutions by themselves."""

from __future__ import annotations

import pytest
import torch

from pushforward.errors import UsageError
from pushforward.networks import MLP, ConditionEmbedding, TimeEmbedding
from pushforward.networks.layers import Convolution
from pushforward.networks.unet import multipliers_for


@pytest.mark.parametrize("kernel", [1, 3, 5])
@pytest.mark.parametrize("periodic", [True, False])
@pytest.mark.parametrize("outputs", [3, 6], ids=["to few channels", "to many"])
@pytest.mark.parametrize("dims", [2, 3])
def test_convolution_and_its_gradients_equal_pytorchs(dims, outputs, periodic, kernel):
    layer = Convolution(dims, 2, outputs, kernel, periodic=periodic).double()
    mode = "circular" if periodic else "zeros"
    kind = torch.nn.Conv2d if dims == 2 else torch.nn.Conv3d
    reference = kind(2, outputs, kernel, padding=kernel // 2, padding_mode=mode).double()
    reference.load_state_dict(layer.convolution.state_dict())
    x = torch.randn(2, 2, 6, 7, 5, dtype=torch.float64)[..., slice(None) if dims == 3 else 0].requires_grad_()
    ours, theirs = layer(x), reference(x)
    torch.testing.assert_close(ours, theirs)
    found = torch.autograd.grad(ours.sin().sum(), [x, *layer.parameters()])
    expected = torch.autograd.grad(theirs.sin().sum(), [x, *reference.parameters()])
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other)


@pytest.mark.parametrize("kernel", [2, 3, 4])
@pytest.mark.parametrize("cells", [5, 6, 7, 8])
def test_halving_rounds_up(kernel, cells):
    layer = Convolution(3, 1, 2, kernel, periodic=True, halve=True)
    assert layer(torch.randn(1, 1, cells, 6, 7)).shape == (1, 2, (cells + 1) // 2, 3, 4)


@pytest.mark.parametrize("dims", [2, 3])
def test_halving_by_products_equals_a_convolution(monkeypatch, dims):
    layer, x = Convolution(dims, 3, 4, 2, halve=True), torch.randn(2, 3, *(4, 6, 8)[:dims])
    monkeypatch.setattr("pushforward.networks.layers.products_are_faster", lambda: True)
    torch.testing.assert_close(layer(x), layer.convolution(x))


def test_convolution_of_a_line_is_refused():
    with pytest.raises(UsageError, match="two or three axes, not 1"):
        Convolution(1, 2, 3)


@pytest.mark.parametrize(
    ("grid", "multipliers"),
    [((8, 8), (1, 2)), ((64, 64), (1, 2, 4, 4)), ((48, 100), (1, 2, 4, 4)), ((3, 3), (1,)), ((32, 32, 32), (1, 2, 4))],
)
def test_resolutions_follow_from_the_grid(grid, multipliers):
    assert multipliers_for(grid) == multipliers


def test_mlp_starts_at_zero_if_asked():
    assert not MLP(2, 3, zero_output=True)(torch.randn(4, 2)).any()


def test_unknown_activation_lists_the_known():
    with pytest.raises(UsageError, match="'swish'; known ones are silu"):
        MLP(2, 2, activation="swish")


def test_time_embedding_tells_nearby_times_apart_and_is_smooth():
    embed = TimeEmbedding(64).double()
    t = torch.linspace(0, 1, 1001, dtype=torch.float64)
    steps = embed(t).diff(dim=0).norm(dim=1)
    assert steps.min() > 0
    assert steps.max() < 50 * steps.median()


def test_time_embedding_of_odd_length_is_refused():
    with pytest.raises(UsageError, match="must be even"):
        TimeEmbedding(7)


def test_condition_of_another_length_is_refused():
    embed = ConditionEmbedding(2, 8)
    with pytest.raises(UsageError, match="conditions of 2 numbers, not 3"):
        embed(torch.zeros(4, 3))
