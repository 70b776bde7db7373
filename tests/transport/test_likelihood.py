"""Log-densities through the probability flow, against closed forms."""

from __future__ import annotations

import pytest
import torch

from pushforward.dynamics import trace_probes
from pushforward.transport import (
    Estimate,
    Straight,
    VarianceExploding,
    VPCosine,
    log_likelihood,
    time_grid,
)


@pytest.mark.parametrize(
    ("path", "spacing"), [(Straight(), "angle"), (VPCosine(), "uniform"), (VarianceExploding(0.002, 2000.0), "uniform")]
)
def test_the_log_density_of_a_gaussian(path, spacing):
    mean = torch.tensor([0.5, -1.0], dtype=torch.float64)
    spread = torch.tensor([0.8, 0.3], dtype=torch.float64)

    def predict(z, moment):
        whitened = (z - moment.alpha * mean) / (moment.alpha**2 * spread**2 + moment.sigma**2)
        return Estimate(data=mean + moment.alpha * spread**2 * whitened, noise=moment.sigma * whitened)

    x = mean + spread * torch.randn(50, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    times = time_grid(path, 80, spacing, start=0.0, stop=1.0)
    found, z = log_likelihood(predict, path, times, x, trace_probes((2,)).double())
    expected = torch.distributions.Normal(mean, spread).log_prob(x).sum(1)
    # The exploding path ends with a remnant of the data beside its noise.
    torch.testing.assert_close(found, expected, rtol=0, atol=5e-3 if isinstance(path, VarianceExploding) else 1e-4)
    assert z.shape == x.shape
