"""Steps that a whole batch shares are those of `odeint` with equal steps."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from pushforward.dynamics import METHODS, adams_bashforth, odeint, shared_step


def field(y, t):
    return torch.sin(torch.as_tensor(t, dtype=y.dtype).reshape(-1, 1)) * torch.tanh(y).flip(1) - y


@pytest.mark.parametrize("method", ["euler", "midpoint", "heun", "rk4", "bosh3", "dopri5"])
@pytest.mark.parametrize("span", [(0.2, 1.0), (1.0, 0.2)])
def test_a_shared_step_is_a_step_of_the_solver(method, span):
    tableau, steps = METHODS[method], 5
    y0 = torch.randn(4, 2, dtype=torch.float64)
    dt, y = (span[1] - span[0]) / steps, y0
    for n in range(steps):
        y, slopes = shared_step(tableau, field, y, dt, [span[0] + (n + c) * dt for c in tableau.c])
    assert len(slopes) == len(tableau.c)
    if tableau.adaptive:
        exact = odeint(lambda t, y: field(y, t), y0, torch.tensor(span), method="dopri8", rtol=1e-12, atol=1e-12)
        torch.testing.assert_close(y, exact.y[-1], rtol=2e-3, atol=2e-3)
    else:
        times = torch.tensor(span, dtype=torch.float64)
        solved = odeint(lambda t, y: field(y, t), y0, times, method=method, steps=steps)
        torch.testing.assert_close(y, solved.y[-1], rtol=1e-12, atol=1e-12)


def test_lengths_of_samples_and_arrays_step_alike():
    tableau, y = METHODS["rk4"], torch.randn(3, 2, dtype=torch.float64)
    shared, _ = shared_step(tableau, lambda y, part: -y * y, y, 0.1)
    each, _ = shared_step(tableau, lambda y, part: -y * y, y, torch.full((3, 1), 0.1, dtype=torch.float64))
    array, _ = shared_step(tableau, lambda y, part: -y * y, y.numpy(), 0.1)
    torch.testing.assert_close(each, shared, rtol=1e-14, atol=0)
    np.testing.assert_allclose(array, shared.numpy(), rtol=1e-14)


def test_the_two_step_method_is_of_second_order_at_one_call_a_step():
    calls = 0

    def decay(y, t):
        nonlocal calls
        calls += 1
        return -t * y

    def error(steps):
        times = [(n / steps) ** 1.5 for n in range(steps + 1)]
        return abs(float(adams_bashforth(decay, times, torch.ones((), dtype=torch.float64))) - math.exp(-0.5))

    assert math.log2(error(40) / error(80)) == pytest.approx(2, abs=0.1)
    assert calls == 120
