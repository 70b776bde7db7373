"""Equal leapfrog steps: those of the general integrator, reversible, one force per step, a length for each sample."""

import pytest
import torch

from pushforward.dynamics import integrate_kick_drift, leapfrog
from pushforward.errors import UsageError


def spring(q):
    return -(q + 0.3 * q**3)


@pytest.fixture
def state():
    generator = torch.Generator().manual_seed(0)
    return tuple(torch.randn(3, 2, generator=generator, dtype=torch.float64) for _ in range(2))


def test_its_steps_are_those_of_the_general_integrator(state):
    def unit(start, end, at):
        return end - start

    times = torch.tensor([0.0, 1.5], dtype=torch.float64)
    path = integrate_kick_drift(lambda t, q: spring(q), *state, times, steps=6, drift=unit, kick=unit)
    end = leapfrog(spring, *state, steps=6, drift=0.25, kick=0.25)
    torch.testing.assert_close(end.position, path.position[-1], atol=1e-13, rtol=0)
    torch.testing.assert_close(end.momentum, path.momentum[-1], atol=1e-13, rtol=0)
    assert torch.equal(end.force, spring(end.position))


def test_each_sample_has_steps_of_its_own_length_and_returns(state):
    step = torch.tensor([[0.1], [0.2], [0.3]], dtype=torch.float64)
    end = leapfrog(spring, *state, steps=9, drift=step, kick=step)
    alone = leapfrog(spring, *(each[1:2] for each in state), steps=9, drift=0.2, kick=0.2)
    torch.testing.assert_close(end.position[1:2], alone.position, atol=1e-14, rtol=0)
    back = leapfrog(spring, end.position, -end.momentum, steps=9, drift=step, kick=step, start=end.force)
    torch.testing.assert_close(back.position, state[0], atol=1e-13, rtol=0)


def test_a_known_force_is_not_evaluated_again(state):
    calls = []
    leapfrog(lambda q: calls.append(q) or -q, *state, steps=4, drift=0.1, kick=0.1, start=-state[0])
    assert len(calls) == 4


def test_a_number_of_steps_below_one_is_refused(state):
    with pytest.raises(UsageError, match="steps"):
        leapfrog(spring, *state, steps=0, drift=0.1, kick=0.1)
