"""The graph network of particles: what rotations, reflections, shifts and permutations do to its velocities."""

from __future__ import annotations

import pytest
import torch

from pushforward.conditions import Condition, ConditionSpace
from pushforward.errors import UsageError
from pushforward.networks import EGNN
from pushforward.spaces import Particles


def network(space: Particles, condition: ConditionSpace = ConditionSpace()) -> EGNN:
    torch.manual_seed(0)
    net = EGNN(space, condition, width=32, depth=3)
    for parameter in net.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    return net


def orthogonal(dim: int, seed: int, reflect: bool) -> torch.Tensor:
    q, _ = torch.linalg.qr(torch.randn(dim, dim, generator=torch.Generator().manual_seed(seed)))
    q[:, 0] *= -1 if (torch.det(q) < 0) != reflect else 1
    return q


SPACES = [Particles(4, 2, centred=True), Particles(13, 3, centred=True), Particles(5, 3)]


@pytest.mark.parametrize("space", SPACES, ids=str)
@pytest.mark.parametrize("reflect", [False, True])
@torch.no_grad()
def test_velocities_turn_with_the_particles(space, reflect):
    net, x, t = network(space), torch.randn(6, *space.shape), torch.rand(6)
    q = orthogonal(space.dim, 1, reflect)
    assert torch.det(q).item() == pytest.approx(-1.0 if reflect else 1.0, abs=1e-5)
    plain = net(x, t)
    error = (net(x @ q.T, t) - plain @ q.T).abs().max() / plain.abs().max()
    assert error < 1e-5, f"relative error {error:.1e}"


@pytest.mark.parametrize("space", SPACES, ids=str)
@torch.no_grad()
def test_velocities_change_places_with_the_particles(space):
    net, x, t = network(space), torch.randn(6, *space.shape), torch.rand(6)
    order = torch.randperm(space.count)
    plain = net(x, t)
    assert (net(x[:, order], t) - plain[:, order]).abs().max() < 1e-5 * plain.abs().max()


@torch.no_grad()
def test_of_centred_particles_a_shift_changes_nothing_and_the_mean_rests():
    space = Particles(6, 3, centred=True)
    net, x, t = network(space), torch.randn(4, 6, 3), torch.rand(4)
    plain = net(x, t)
    assert plain.abs().max() > 0.01
    assert plain.mean(1).abs().max() < 1e-6
    assert (net(x + torch.tensor([1.0, -2.0, 0.5]), t) - plain).abs().max() < 2e-5 * plain.abs().max()


@torch.no_grad()
def test_species_and_conditions_matter():
    plain = Particles(3, 2, centred=True)
    mixed = Particles(3, 2, species=("A", "B", "A"), centred=True)
    x, t = torch.randn(2, 3, 2), torch.rand(2)
    net = network(mixed)
    swapped = net(x[:, [1, 0, 2]], t)[:, [1, 0, 2]]
    assert (swapped - net(x, t)).abs().max() > 1e-4, "particles of two species are told apart"
    same = net(x[:, [2, 1, 0]], t)[:, [2, 1, 0]]
    torch.testing.assert_close(same, net(x, t), atol=1e-5, rtol=1e-4)
    given = network(plain, ConditionSpace(1))
    low, high = (given(x, t, Condition(torch.full((2, 1), value))) for value in (-1.0, 1.0))
    assert (low - high).abs().max() > 1e-4


def test_particles_in_a_box_are_refused():
    with pytest.raises(UsageError, match="periodic box"):
        EGNN(Particles(3, 2, box=1.0))
