"""Couplings, against trying every permutation."""

from __future__ import annotations

from itertools import permutations

import pytest
import torch

from pushforward.transport import optimal_transport


def test_the_plan_is_the_best_of_all_permutations():
    generator = torch.Generator().manual_seed(0)
    data, noise = torch.randn(2, 6, 2, 2, generator=generator)
    paired = optimal_transport(data, noise)
    best = min(float((data - noise[list(order)]).square().sum()) for order in permutations(range(6)))
    assert float((data - paired).square().sum()) == pytest.approx(best, rel=1e-5)
    assert torch.equal(paired.flatten().sort().values, noise.flatten().sort().values)


def test_labels_keep_their_own_noise():
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(40, 2, generator=generator)
    label = (torch.arange(40) % 2).float()[:, None]
    data = torch.randn(40, 2, generator=generator) + 3 * label
    paired = optimal_transport(data, noise, label, condition_weight=1e6)
    for value in (0, 1):
        rows = label[:, 0] == value
        assert torch.equal(paired[rows].flatten().sort().values, noise[rows].flatten().sort().values)
    assert not torch.equal(paired, noise)
