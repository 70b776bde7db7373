"""Paths, and data whose exact denoiser is known."""

from __future__ import annotations

import pytest
import torch

from pushforward.transport import Estimate, Straight, VarianceExploding, VPCosine, VPLinear

PATHS = [Straight(), VPLinear(), VPCosine(), VarianceExploding(0.01, 20.0)]
paths = pytest.mark.parametrize("path", PATHS, ids=lambda path: type(path).__name__)


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def two_points(z, moment):
    """E[x | z] and E[eps | z] for x = -1 or 1 with equal chances, a problem that is not linear."""
    data = torch.tanh(moment.alpha * z / moment.sigma**2)
    return Estimate(data=data, noise=(z - moment.alpha * data) / moment.sigma)
