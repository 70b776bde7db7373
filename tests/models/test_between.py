"""Motion between two ensembles: exact cases, and that pairing shortens paths."""

from __future__ import annotations

import pytest
import torch

from pushforward.errors import UsageError
from pushforward.models.between import Between
from pushforward.randomness import Draws
from pushforward.spaces import Field, Vector


class Shift(torch.nn.Module):
    def forward(self, z, t, condition=None):
        return torch.full_like(z, 3.0)


def test_a_constant_velocity_moves_there_and_back():
    between = Between(Vector(2), network=Shift())
    x = torch.randn(5, 2)
    there, energy = between.move(x, "b")
    torch.testing.assert_close(there, x + 3)
    torch.testing.assert_close(energy, torch.full((5,), 18.0))
    torch.testing.assert_close(between.translate(there, "a"), x)


def test_the_loss_of_the_right_velocity_between_pairs_is_zero():
    a = torch.randn(8, 1, 4, 4)
    between = Between(Field(1, (4, 4)), network=Shift())
    assert float(between.loss(a, a + 3, Draws(0, 8), paired=True)) < 1e-10


def test_it_learns_to_carry_one_ensemble_to_the_other_with_little_energy():
    """From one line of points to another, 4 away: without pairs, but the least motion is known."""
    generator = torch.Generator().manual_seed(0)

    def batch() -> tuple[torch.Tensor, torch.Tensor]:
        a, b = torch.randn(2, 128, 2, generator=generator)
        return a * torch.tensor([1.0, 0.1]), b * torch.tensor([1.0, 0.1]) + torch.tensor([0.0, 4.0])

    between = Between(Vector(2), pairs=64)
    optimiser = torch.optim.Adam(between.parameters(), lr=2e-3)
    for step in range(150):
        optimiser.zero_grad()
        between.loss(*batch(), Draws(step, 128)).backward()
        optimiser.step()
    a, b = batch()
    moved, energy = between.move(a, "b")
    assert (moved.mean(0) - b.mean(0)).abs().max() < 0.3
    assert float(energy.mean()) == pytest.approx(16, rel=0.1)


def test_nowhere_else_to_go():
    with pytest.raises(UsageError, match="not 'c'"):
        Between(Vector(2), network=Shift()).translate(torch.zeros(1, 2), "c")
