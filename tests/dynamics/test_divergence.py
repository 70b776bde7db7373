"""The divergence of a vector field, exact and estimated, against the trace of its Jacobian."""

from __future__ import annotations

import pytest
import torch

from pushforward.dynamics import probed_divergence, trace_probes


def test_the_divergence_is_the_trace_of_the_jacobian():
    generator = torch.Generator().manual_seed(0)
    weights = torch.randn(6, 6, generator=generator, dtype=torch.float64)
    z = torch.randn(4, 2, 3, generator=generator, dtype=torch.float64)

    def field(z):
        return torch.tanh(z.flatten(1) @ weights).view_as(z)

    value, trace = probed_divergence(field, z, trace_probes((2, 3)).double())
    torch.testing.assert_close(value, field(z))
    for i in range(len(z)):
        jacobian = torch.autograd.functional.jacobian(lambda one: field(one[None])[0], z[i]).reshape(6, 6)
        torch.testing.assert_close(trace[i], jacobian.trace())


def test_random_signs_estimate_the_trace_without_bias():
    generator = torch.Generator().manual_seed(0)
    weights = torch.randn(10, 10, generator=generator)
    z = torch.zeros(1, 10)
    probes = trace_probes((10,), exact_up_to=0, count=4000)
    _, trace = probed_divergence(lambda z: z @ weights, z, probes)
    off_diagonal = weights - weights.diag().diag()
    error = (off_diagonal + off_diagonal.T).square().sum().div(2 * len(probes)).sqrt()
    assert float(trace) == pytest.approx(float(weights.trace()), abs=4 * float(error))
    assert torch.equal(probes, trace_probes((10,), exact_up_to=0, count=4000)), "probes must always be the same"
