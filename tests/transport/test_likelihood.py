"""Log-densities through the probability flow, against closed forms."""

from __future__ import annotations

import pytest
import torch

from pushforward.transport import (
    Estimate,
    Straight,
    VarianceExploding,
    VPCosine,
    divergence,
    log_likelihood,
    time_grid,
    trace_probes,
)


def test_the_divergence_is_the_trace_of_the_jacobian():
    generator = torch.Generator().manual_seed(0)
    weights = torch.randn(6, 6, generator=generator, dtype=torch.float64)
    z = torch.randn(4, 2, 3, generator=generator, dtype=torch.float64)

    def field(z):
        return torch.tanh(z.flatten(1) @ weights).view_as(z)

    value, trace = divergence(field, z, trace_probes((2, 3)).double())
    torch.testing.assert_close(value, field(z))
    for i in range(len(z)):
        jacobian = torch.autograd.functional.jacobian(lambda one: field(one[None])[0], z[i]).reshape(6, 6)
        torch.testing.assert_close(trace[i], jacobian.trace())


def test_random_signs_estimate_the_trace_without_bias():
    generator = torch.Generator().manual_seed(0)
    weights = torch.randn(10, 10, generator=generator)
    z = torch.zeros(1, 10)
    probes = trace_probes((10,), exact_up_to=0, count=4000)
    _, trace = divergence(lambda z: z @ weights, z, probes)
    off_diagonal = weights - weights.diag().diag()
    error = (off_diagonal + off_diagonal.T).square().sum().div(2 * len(probes)).sqrt()
    assert float(trace) == pytest.approx(float(weights.trace()), abs=4 * float(error))
    assert torch.equal(probes, trace_probes((10,), exact_up_to=0, count=4000)), "probes must always be the same"


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
