"""Properties of every generator, encoder and critic."""

from __future__ import annotations

import pytest
import torch

from pushforward.conditions import Condition, ConditionSpace
from pushforward.errors import UsageError
from pushforward.networks import Critic, Encoder, Generator
from pushforward.spaces import Field, Particles

CONDITIONS, LATENT = ConditionSpace(2), 5


def width_for(space):
    return 4 if isinstance(space, Field) else 16


@pytest.fixture
def networks(space):
    width = width_for(space)
    return Generator(space, LATENT, CONDITIONS, width), Critic(space, CONDITIONS, width)


def test_shapes(space, networks):
    generator, critic = networks
    condition = Condition(torch.randn(3, CONDITIONS.numbers))
    x = generator(torch.randn(3, LATENT), condition)
    assert x.shape == (3, *space.shape)
    assert critic(x, condition).shape == (3,)
    assert Encoder(space, 7, width=width_for(space))(x).shape == (3, 7)


def test_gradient_reaches_every_parameter(networks):
    generator, critic = networks
    condition = Condition(torch.randn(3, CONDITIONS.numbers))
    condition.numbers[0] = torch.nan
    critic(generator(torch.randn(3, LATENT), condition), condition).square().sum().backward()
    for name, parameter in [*generator.named_parameters(), *critic.named_parameters()]:
        assert parameter.grad is not None, f"{name} has no gradient"
        assert parameter.grad.any(), f"{name} has a gradient of zero"


def test_code_and_condition_change_the_output(networks):
    generator, critic = networks
    z, condition = torch.randn(3, LATENT), Condition(torch.randn(3, CONDITIONS.numbers))
    x = generator(z, condition)
    assert not torch.allclose(x, generator(z + 1, condition), atol=1e-4)
    assert not torch.allclose(x, generator(z, condition.map(lambda numbers: numbers + 1)), atol=1e-4)
    assert not torch.allclose(critic(x, condition), critic(x, condition.map(lambda numbers: numbers + 1)), atol=1e-5)


def test_unconditional_networks_refuse_conditions(space):
    width, condition = width_for(space), Condition(torch.randn(3, CONDITIONS.numbers))
    with pytest.raises(UsageError, match="expected no conditions, got"):
        Generator(space, LATENT, width=width)(torch.randn(3, LATENT), condition)
    with pytest.raises(UsageError, match="expected no conditions, got"):
        Critic(space, width=width)(torch.randn(3, *space.shape), condition)


def test_a_sample_does_not_depend_on_its_batch(networks):
    generator, critic = networks
    z, condition = torch.randn(3, LATENT), Condition(torch.randn(3, CONDITIONS.numbers))
    x = generator(z, condition)
    torch.testing.assert_close(generator(z[1:2], condition[1:2]), x[1:2], rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(critic(x[1:2], condition[1:2]), critic(x, condition)[1:2], rtol=1e-4, atol=1e-5)


def test_gradient_penalty_of_the_critic_agrees_with_finite_differences(space, networks):
    critic = networks[1].double()
    x = torch.randn(2, *space.shape, dtype=torch.float64, requires_grad=True)
    condition = Condition(torch.randn(2, CONDITIONS.numbers, dtype=torch.float64))
    weight = next(parameter for parameter in critic.parameters() if parameter.ndim > 1)

    def penalty():
        (gradient,) = torch.autograd.grad(critic(x, condition).sum(), x, create_graph=True)
        return (gradient.flatten(1).norm(dim=1) - 1).square().mean()

    (derivative,) = torch.autograd.grad(penalty(), weight)
    direction = torch.randn_like(weight)
    values = []
    for step in (1e-6, -2e-6):
        with torch.no_grad():
            weight.add_(direction, alpha=step)
        values.append(penalty().detach())
    torch.testing.assert_close((derivative * direction).sum(), (values[0] - values[1]) / 2e-6, rtol=1e-3, atol=1e-7)


def test_critic_does_not_see_shifts_as_large_as_its_coarsest_cells_turn_round(awake):
    critic = awake(Critic(Field(1, (16, 16), periodic=True), width=4)).double()
    x = torch.randn(2, 1, 16, 16, dtype=torch.float64)
    features = critic.encoder.network

    def coarsest(x):
        h = features.input(x)
        for block in features.coarsen:
            h = block(h, None)
        return h

    torch.testing.assert_close(coarsest(x.roll((4, 8), (2, 3))), coarsest(x).roll((1, 2), (2, 3)))


def test_space_without_such_a_network_is_refused():
    for build in (lambda s: Generator(s, 2), lambda s: Encoder(s, 2), Critic):
        with pytest.raises(UsageError, match="particles"):
            build(Particles(3, 2))
