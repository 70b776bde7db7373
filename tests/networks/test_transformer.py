"""The transformer of fields: places, patches, starts; what holds for every network of time is tested with these."""

from __future__ import annotations

import pytest
import torch

from pushforward.conditions import Condition, ConditionSpace
from pushforward.errors import UsageError
from pushforward.models import model_class
from pushforward.networks import Transformer, time_network
from pushforward.networks.transformer import patch_for
from pushforward.spaces import Field, Vector

SPACES = {
    "map": Field(1, (16, 24), periodic=True),
    "map with edges": Field(2, (8, 12)),
    "cube": Field(1, (8, 8, 8), periodic=True),
    "line": Field(1, (32,)),
}


def awake(network: torch.nn.Module) -> torch.nn.Module:
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    return network


def make(space: Field, **options) -> torch.nn.Module:
    torch.manual_seed(0)
    return time_network(
        space, ConditionSpace(2), network="transformer", **{"width": 32, "depth": 2, "patch": 4, **options}
    )


def inputs(space: Field) -> tuple[torch.Tensor, torch.Tensor, Condition]:
    return torch.randn(3, *space.shape), torch.rand(3), Condition(torch.randn(3, 2))


@pytest.mark.parametrize("name", SPACES)
def test_shape_start_and_gradients(name):
    space = SPACES[name]
    network, (x, t, condition) = make(space), inputs(space)
    assert not network(x, t, condition).any(), "the output must start at zero"
    awake(network)
    condition.numbers[0] = torch.nan
    y = network(x, t, condition)
    assert y.shape == x.shape
    y.square().sum().backward()
    for parameter, gradient in ((n, p.grad) for n, p in network.named_parameters()):
        assert gradient is not None, f"{parameter} has no gradient"
        assert gradient.any(), f"{parameter} has a gradient of zero"


@pytest.mark.parametrize("name", SPACES)
def test_time_and_condition_matter_and_the_batch_does_not(name):
    network, (x, t, condition) = awake(make(SPACES[name])), inputs(SPACES[name])
    y = network(x, t, condition)
    assert not torch.allclose(y, network(x, t + 0.1, condition), atol=1e-4)
    assert not torch.allclose(y, network(x, t, condition.map(lambda numbers: numbers + 0.5)), atol=1e-4)
    torch.testing.assert_close(network(x[:1], t[:1], condition[:1]), y[:1], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(("name", "axis"), [("map", 2), ("map", 3), ("cube", 2), ("cube", 4)])
def test_a_shift_by_whole_patches_shifts_the_output_of_a_periodic_field(name, axis):
    network, (x, t, condition) = awake(make(SPACES[name])).double(), inputs(SPACES[name])
    x, t, condition = x.double(), t.double(), condition.map(torch.Tensor.double)
    y = network(x, t, condition)
    torch.testing.assert_close(network(x.roll(4, axis), t, condition), y.roll(4, axis), rtol=1e-5, atol=1e-5)
    assert not torch.allclose(network(x.roll(1, axis), t, condition), y.roll(1, axis), atol=1e-3)


def test_a_field_with_edges_knows_where_they_are():
    space = SPACES["map with edges"]
    network, (x, t, condition) = awake(make(space)), inputs(space)
    shifted = network(x.roll(4, 3), t, condition)
    assert not torch.allclose(shifted, network(x, t, condition).roll(4, 3), atol=1e-3)


def test_order_of_patches_matters():
    """Without places, attention takes the patches for a set."""
    space = SPACES["map"]
    network, (x, t, condition) = awake(make(space)), inputs(space)
    order = torch.randperm(4)
    mixed = x.unflatten(2, (4, 4))[:, :, order].flatten(2, 3)
    back = network(mixed, t, condition).unflatten(2, (4, 4))[:, :, order.argsort()].flatten(2, 3)
    assert not torch.allclose(back, network(x, t, condition), atol=1e-3)


def test_patches_are_taken_apart_and_put_together():
    network = Transformer(Field(3, (8, 12, 4)), width=32, patch=2)
    x = torch.randn(2, 3, 8, 12, 4)
    assert network._patches(x).shape == (2, 4 * 6 * 2, 3 * 8)
    torch.testing.assert_close(network._field(network._patches(x)), x)


def test_the_patch_follows_the_grid():
    assert [patch_for(grid) for grid in ((64, 64), (16, 16), (32, 32, 32), (7, 9), (256, 256))] == [4, 1, 4, 1, 16]


@pytest.mark.parametrize(
    ("options", "words"), [({"patch": 5}, "the patch divide"), ({"heads": 3}, "3 heads"), ({"depth": 0}, "at least 1")]
)
def test_sizes_that_do_not_go_together(options, words):
    with pytest.raises(UsageError, match=words):
        make(SPACES["map"], **options)


def test_settings_of_one_network_are_refused_by_another():
    kind = model_class("flow-matching")
    for space, settings in (
        (SPACES["map"], {"network": "transformer", "multipliers": (1, 2)}),
        (SPACES["map"], {"patch": 2}),
        (Vector(2), {"network": "transformer"}),
    ):
        with pytest.raises(UsageError):
            kind(space, settings=kind.Settings(**settings))


def test_it_learns_to_look_elsewhere():
    """Each patch of the answer is a neighbour of that of the input: attention must learn a direction and a distance."""
    torch.manual_seed(0)
    network = Transformer(Field(1, (8, 8), periodic=True), width=32, depth=1, patch=2)
    optimiser = torch.optim.Adam(network.parameters(), 5e-3)
    losses = []
    for _ in range(150):
        x = torch.randn(64, 1, 8, 8)
        loss = (network(x, torch.zeros(64)) - x.roll(2, 3)).square().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < 0.5 * losses[0], f"loss from {losses[0]:.3f} to {losses[-1]:.3f}"
