"""Drifting: the drift is antisymmetric, vanishes between equal sets, and moves samples onto the data."""

from __future__ import annotations

from itertools import repeat

import torch

from pushforward.models import Batch
from pushforward.models.drifting import Drifting, drift
from pushforward.randomness import Draws
from pushforward.spaces import Vector

TEMPERATURES = (0.05, 0.2)


def test_samples_are_drawn_to_data_on_their_side():
    x, data = torch.zeros(8, 2) + 0.01 * torch.randn(8, 2), torch.tensor([3.0, 0.0]) + 0.1 * torch.randn(8, 2)
    motion = drift(x, data, TEMPERATURES)
    assert motion[:, 0].mean() > 0
    assert motion.mean(0)[0].abs() > 5 * motion.mean(0)[1].abs()


def test_samples_beside_each_other_part():
    data = torch.tensor([[-1.0, 0.0], [1.0, 0.0]]).repeat(8, 1) + 0.01 * torch.randn(16, 2)
    x = torch.cat([torch.full((16, 1), 0.0) + 1e-3 * torch.randn(16, 1), torch.zeros(16, 1)], 1)
    motion = drift(x, data, (1.0,))
    assert (motion[:, 0].sign() == x[:, 0].sign()).float().mean() > 0.6


def test_the_drift_changes_sign_with_the_two_sets():
    """Antisymmetric in the distributions: at the points of both together, what attracts repels."""
    generator = torch.Generator().manual_seed(0)
    p, q = torch.randn(2, 300, 1, generator=generator)
    q = q + 1
    forth, back = drift(q, p, (0.5,)), drift(p, q, (0.5,))
    assert forth.mean() < -0.3
    assert back.mean() > 0.3
    assert abs(forth.mean() + back.mean()) < 0.2


def test_two_clusters_are_found():
    torch.manual_seed(0)
    model = Drifting(Vector(2), settings=Drifting.Settings(width=32, depth=2, latent_bits=2))
    centres = torch.tensor([[-1.0, 0.0], [1.0, 0.0]])
    data = centres.repeat(64, 1) + 0.05 * torch.randn(128, 2)
    model.prepare(Batch(data, None, Draws(0, 128)))
    optimiser, steps = torch.optim.Adam(model.parameters(), lr=3e-3), 500
    for step in range(steps):
        optimiser.param_groups[0]["lr"] = 3e-3 * (1 - step / steps)
        (turn,) = model.turns(repeat(Batch(data, None, Draws(step, 128))))
        optimiser.zero_grad()
        turn.loss.backward()
        optimiser.step()
    x = model.sample(Draws(1, 500)).detach()
    near = torch.cdist(x, centres)
    assert (near.min(1).values < 0.5).float().mean() > 0.85
    share = (near.argmin(1) == 0).float().mean()
    assert 0.35 < share < 0.65
