"""Properties of every network of time: shapes, starts, gradients, conditions, batches, precision."""

from __future__ import annotations

import pytest
import torch

from pushforward.conditions import Condition, ConditionSpace
from pushforward.errors import UsageError
from pushforward.networks import EGNN, ResidualMLP, UNet, time_network
from pushforward.spaces import Field, Particles, Series, Vector

CONDITIONS = ConditionSpace(2)


@pytest.fixture
def network(space, awake):
    return awake(time_network(space, CONDITIONS, width=8))


@pytest.fixture
def inputs(space):
    return torch.randn(4, *space.shape), torch.rand(4), Condition(torch.randn(4, CONDITIONS.numbers))


def test_output_has_the_shape_of_the_input(network, inputs):
    x, t, condition = inputs
    assert network(x, t, condition).shape == x.shape
    assert network(x, t).shape == x.shape


def test_consecutive_samples_may_share_a_time(awake):
    network = awake(ResidualMLP(Vector(3), width=8, depth=2))
    x, t = torch.randn(12, 3), torch.rand(4)
    torch.testing.assert_close(network(x, t), network(x, t.repeat_interleave(3)))
    torch.testing.assert_close(network(x, t[:1]), network(x, t[:1].expand(12)))


def test_starts_at_zero(space, inputs):
    assert not time_network(space, CONDITIONS, width=8)(*inputs).any()


def test_unconditional_network_refuses_conditions(space, inputs):
    x, t, condition = inputs
    network = time_network(space, width=8)
    assert network(x, t).shape == x.shape
    with pytest.raises(UsageError, match="expected no conditions, got"):
        network(x, t, condition)


def test_gradient_reaches_every_parameter(network, inputs):
    x, t, condition = inputs
    condition.numbers[0] = torch.nan
    network(x, t, condition).square().sum().backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, f"{name} has no gradient"
        assert parameter.grad.any(), f"{name} has a gradient of zero"


def test_time_and_condition_change_the_output(network, inputs):
    x, t, condition = inputs
    y = network(x, t, condition)
    assert not torch.allclose(y, network(x, t + 0.1, condition), atol=1e-4)
    assert not torch.allclose(y, network(x, t, condition.map(lambda numbers: numbers + 0.5)), atol=1e-4)


def test_nan_rows_stand_for_no_condition(network, inputs):
    x, t, condition = inputs
    condition.numbers[1] = torch.nan
    mixed = network(x, t, condition)
    torch.testing.assert_close(mixed[1], network(x, t)[1])
    assert mixed.isfinite().all()


def test_a_sample_does_not_depend_on_its_batch(network, inputs):
    x, t, condition = inputs
    parts = [network(x[i : i + 1], t[i : i + 1], condition[i : i + 1]) for i in range(len(x))]
    torch.testing.assert_close(torch.cat(parts), network(x, t, condition), rtol=1e-4, atol=1e-5)


def test_bfloat16_is_close_to_float32(network, inputs):
    y = network(*inputs)
    with torch.autocast("cpu", torch.bfloat16):
        low = network(*inputs).float()
    assert (low - y).square().mean() < 1e-3 * y.square().mean()


def test_gradient_agrees_with_finite_differences(network, inputs):
    network, (x, t, condition) = network.double(), inputs
    x, t, condition = x.double(), t.double(), condition.map(torch.Tensor.double)
    direction = torch.randn_like(x)
    x.requires_grad_()
    (gradient,) = torch.autograd.grad(network(x, t, condition).square().sum(), x)
    with torch.no_grad():
        ahead, behind = (network(x + h * direction, t, condition).square().sum() for h in (1e-5, -1e-5))
    torch.testing.assert_close((gradient * direction).sum(), (ahead - behind) / 2e-5, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("attention", [False, True])
def test_shifting_a_periodic_map_shifts_the_output(awake, attention):
    network = awake(
        UNet(Field(1, (16, 24), periodic=True), width=8, multipliers=(1, 2, 4), attention=attention)
    ).double()
    x, t = torch.randn(2, 1, 16, 24, dtype=torch.float64), torch.rand(2, dtype=torch.float64)
    y = network(x, t)
    for shift in [(4, 0), (0, 4), (8, -12)]:
        torch.testing.assert_close(network(x.roll(shift, (2, 3)), t), y.roll(shift, (2, 3)), rtol=1e-10, atol=1e-10)


def test_shifting_a_periodic_cube_shifts_the_output(awake):
    network = awake(UNet(Field(1, (8, 8, 8), periodic=True), width=4, multipliers=(1, 2))).double()
    x, t = torch.randn(1, 1, 8, 8, 8, dtype=torch.float64), torch.rand(1, dtype=torch.float64)
    shifted = network(x.roll((2, -4, 6), (2, 3, 4)), t)
    torch.testing.assert_close(shifted, network(x, t).roll((2, -4, 6), (2, 3, 4)), rtol=1e-10, atol=1e-10)


def test_a_cell_is_seen_from_the_whole_map(awake):
    network = awake(UNet(Field(1, (64, 64), periodic=True), width=4))
    x = torch.zeros(1, 1, 64, 64, requires_grad=True)
    network(x, torch.rand(1))[0, 0, 32, 32].backward()
    assert (x.grad != 0).float().mean() > 0.99


def test_another_field_can_guide():
    space = Field(1, (8, 8), periodic=True)
    network = UNet(space, width=8, in_channels=3, out_channels=2)
    assert network(torch.randn(2, 3, 8, 8), torch.rand(2)).shape == (2, 2, 8, 8)
    with pytest.raises(UsageError, match="expects fields of 3 channels, not 1"):
        network(torch.randn(2, 1, 8, 8), torch.rand(2))


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"width": 0}, "at least 1"),
        ({"multipliers": (1, 2), "blocks": (1, 2, 3)}, "equally many"),
        ({"multipliers": (1, 0)}, "at least 1"),
    ],
)
def test_impossible_sizes_are_refused(options, sentence):
    with pytest.raises(UsageError, match=sentence):
        UNet(Field(1, (16, 16)), **options)


def test_the_network_follows_from_the_space():
    assert isinstance(time_network(Vector(2)), ResidualMLP)
    assert isinstance(time_network(Field(1, (8, 8)), width=None), UNet)
    assert isinstance(time_network(Particles(4, 3), width=8), EGNN)
    with pytest.raises(UsageError, match="series"):
        time_network(Series(2, 12))
    with pytest.raises(UsageError, match="two or three axes"):
        time_network(Field(1, (8,)))
