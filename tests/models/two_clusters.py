"""A distribution in the plane whose density is known: two Gaussians side by side."""

from __future__ import annotations

import math

import torch


def two_clusters(count, seed=0):
    """Equal parts of two Gaussians of standard deviation 0.4, at (-1.2, 0) and (1.2, 0)."""
    generator = torch.Generator().manual_seed(seed)
    side = torch.randint(2, (count,), generator=generator) * 2.4 - 1.2
    return torch.stack([side, torch.zeros(count)], dim=1) + 0.4 * torch.randn(count, 2, generator=generator)


def log_density(x):
    """Of `two_clusters`, in nats."""
    offsets = torch.stack([x - torch.tensor([side, 0.0]) for side in (-1.2, 1.2)])
    parts = -0.5 * (offsets / 0.4).square().sum(-1) - math.log(2 * math.pi * 0.4**2)
    return torch.logsumexp(parts, 0) - math.log(2)
