"""The leapfrog of time-dependent Hamiltonians: order, reversal, phase-space volume, and both gradients."""

import math
from itertools import pairwise

import pytest
import torch

from pushforward.dynamics import integrate_kick_drift
from pushforward.errors import UsageError


def unit(start, end, at):
    return end - start


def spring(t, q):
    return -(q + 0.3 * q**3)


def solve(q, p, steps, *, t=(0.0, 1.0, 2.0), force=spring, drift=unit, kick=unit, gradient="direct"):
    times = torch.tensor(t, dtype=torch.float64)
    return integrate_kick_drift(force, q, p, times, steps=steps, drift=drift, kick=kick, gradient=gradient)


@pytest.fixture
def state():
    generator = torch.Generator().manual_seed(0)
    return tuple(torch.randn(3, 2, generator=generator, dtype=torch.float64) for _ in range(2))


def test_second_order_with_factors_that_depend_on_time(state):
    """q' = p / t^2 with a force without time dependence: the factors are the integrals."""

    def shrinking(start, end, at):
        return 1 / start - 1 / end

    ends = [solve(*state, steps, t=(1.0, 2.0, 3.0), drift=shrinking).position[-1] for steps in (8, 16, 32, 64)]
    errors = [(a - b).abs().max() for a, b in pairwise(ends)]
    for coarse, fine in pairwise(errors):
        assert math.log2(coarse / fine) == pytest.approx(2, abs=0.1)


def test_a_path_is_retraced_backwards(state):
    path = solve(*state, 7)
    back = solve(path.position[-1], path.momentum[-1], 7, t=(2.0, 1.0, 0.0))
    torch.testing.assert_close(back.position.flip(0), path.position, atol=1e-13, rtol=0)
    torch.testing.assert_close(back.momentum.flip(0), path.momentum, atol=1e-13, rtol=0)


def test_a_step_keeps_the_volume_of_phase_space(state):
    q, p = (each[:1, :1] for each in state)

    def flow(z):
        path = solve(z[:, :1], z[:, 1:], 2)
        return torch.cat([path.position[-1], path.momentum[-1]], 1)

    jacobian = torch.autograd.functional.jacobian(flow, torch.cat([q, p], 1))[0, :, 0]
    assert torch.linalg.det(jacobian).item() == pytest.approx(1, abs=1e-12)


def test_the_checkpointed_gradient_is_the_direct_one(state):
    stiffness = torch.tensor(1.3, dtype=torch.float64, requires_grad=True)
    found = []
    for gradient in ("direct", "checkpointed"):
        q = state[0].clone().requires_grad_()
        path = solve(q, state[1], 5, force=lambda t, q: -stiffness * q**3, gradient=gradient)
        found.append(torch.autograd.grad(path.position.square().sum() + path.momentum.sum(), (q, stiffness)))
    for direct, checkpointed in zip(*found, strict=True):
        torch.testing.assert_close(checkpointed, direct)


def test_the_force_is_evaluated_once_per_step(state):
    calls = []
    solve(*state, 4, force=lambda t, q: calls.append(t) or -q)
    assert len(calls) == 2 * 4 + 1


def test_intervals_may_have_numbers_of_steps_of_their_own(state):
    path = solve(*state, (2, 5))
    first = solve(*state, 2, t=(0.0, 1.0))
    second = solve(first.position[-1], first.momentum[-1], 5, t=(1.0, 2.0))
    torch.testing.assert_close(path.position[-1], second.position[-1])


@pytest.mark.parametrize(
    ("options", "words"),
    [({"steps": 0}, "at least one"), ({"steps": (1,)}, "per interval"), ({"gradient": "adjoint"}, "direct")],
)
def test_impossible_options_are_refused(state, options, words):
    with pytest.raises(UsageError, match=words):
        solve(*state, **{"steps": 1} | options)
