"""Every solver converges at the order that its theory says, and every adaptive one keeps its tolerance."""

from __future__ import annotations

import math

import pytest
import torch

from pushforward.dynamics import METHODS, Controller, integrate_symplectic, odeint, sdeint
from pushforward.dynamics.integrate import integrate
from pushforward.dynamics.methods import find_method, take_step
from pushforward.randomness import Draws


def kepler(t, y):
    return torch.cat([y[:, 2:], -y[:, :2] / y[:, :2].norm(dim=1, keepdim=True) ** 3], 1)


def van_der_pol(t, y):
    return torch.stack([y[:, 1], (1 - y[:, 0] ** 2) * y[:, 1] - y[:, 0]], 1)


ORBIT, OSCILLATOR = (kepler, [0.7, 0.0, 0.0, 1.3]), (van_der_pol, [2.0, 0.0])
# a problem, and a number of steps at which the error is that of the leading term and well above rounding
ASYMPTOTIC = {
    "euler": (OSCILLATOR, 8000),
    "midpoint": (OSCILLATOR, 160),
    "heun": (OSCILLATOR, 160),
    "rk4": (OSCILLATOR, 80),
    "bosh3": (OSCILLATOR, 160),
    "dopri5": (ORBIT, 160),
    "tsit5": (ORBIT, 160),
    "dopri8": (OSCILLATOR, 20),
    "rodas4": (OSCILLATOR, 320),
}


@pytest.mark.parametrize("method", METHODS)
def test_the_order_of_a_method(method):
    (field, start), steps = ASYMPTOTIC[method]
    start = torch.tensor([start], dtype=torch.float64)
    end = torch.tensor([3.0], dtype=torch.float64)
    exact = odeint(field, start, torch.tensor([0.0, 3.0]), method="dopri8", rtol=1e-15, atol=1e-15).y_end

    def error(count):
        y, dt = start, end / count
        for i in range(count):
            y = take_step(find_method(method), field, i * dt, y, dt, None, False).y1
        return (y - exact).norm()

    assert math.log2(error(steps) / error(2 * steps)) == pytest.approx(METHODS[method].order, abs=0.1)


@pytest.mark.parametrize(("method", "order"), [("leapfrog", 2), ("yoshida4", 4)])
def test_the_order_of_a_symplectic_method(method, order):
    q, p = torch.tensor([[1.0]], dtype=torch.float64), torch.tensor([[0.0]], dtype=torch.float64)
    t = torch.tensor([0.0, 2.0], dtype=torch.float64)

    def error(steps):
        out = integrate_symplectic(lambda t, x: -x, q, p, t, steps=steps, method=method)
        return (out.position[-1, 0, 0] - math.cos(2.0)).abs()

    assert math.log2(error(50) / error(100)) == pytest.approx(order, abs=0.1)


@pytest.mark.parametrize("method", ["leapfrog", "yoshida4"])
def test_a_symplectic_method_keeps_the_energy_for_a_thousand_periods(method):
    q, p = torch.tensor([[1.0]], dtype=torch.float64), torch.tensor([[0.0]], dtype=torch.float64)
    t = torch.linspace(0, 2000 * math.pi, 5, dtype=torch.float64)
    out = integrate_symplectic(lambda t, x: -x, q, p, t, steps=5000, method=method)
    energy = (out.position.square() + out.momentum.square()) / 2
    assert (energy - 0.5).abs().max() < 0.05


DETEST = {
    # Hull, Enright, Fellen & Sedgwick, SIAM J. Numer. Anal. 9, 603 (1972)
    "A1": (lambda t, y: -y, [1.0]),
    "A2": (lambda t, y: -(y**3) / 2, [1.0]),
    "A3": (lambda t, y: y * t.cos()[:, None], [1.0]),
    "A4": (lambda t, y: y / 4 * (1 - y / 20), [1.0]),
    "A5": (lambda t, y: (y - t[:, None]) / (y + t[:, None]), [4.0]),
    "B1": (lambda t, y: 2 * torch.stack([y[:, 0] * (1 - y[:, 1]), -y[:, 1] * (1 - y[:, 0])], 1), [1.0, 3.0]),
    "B2": (
        lambda t, y: torch.stack([-y[:, 0] + y[:, 1], y[:, 0] - 2 * y[:, 1] + y[:, 2], y[:, 1] - y[:, 2]], 1),
        [2.0, 0.0, 1.0],
    ),
    "B4": (
        lambda t, y: torch.stack(
            [
                -y[:, 1] - y[:, 0] * y[:, 2] / y[:, :2].norm(dim=1),
                y[:, 0] - y[:, 1] * y[:, 2] / y[:, :2].norm(dim=1),
                y[:, 0] / y[:, :2].norm(dim=1),
            ],
            1,
        ),
        [3.0, 0.0, 0.0],
    ),
    "B5": (
        lambda t, y: torch.stack([y[:, 1] * y[:, 2], -y[:, 0] * y[:, 2], -0.51 * y[:, 0] * y[:, 1]], 1),
        [0.0, 1.0, 1.0],
    ),
    "D3": (kepler, [0.5, 0.0, 0.0, math.sqrt(3)]),
    "E2": (van_der_pol, [2.0, 0.0]),
}


@pytest.mark.parametrize("method", ["dopri5", "tsit5", "dopri8", "bosh3", "rodas4"])
@pytest.mark.parametrize("name", DETEST)
def test_the_tolerance_is_kept(method, name):
    system, start = DETEST[name]
    tolerance = {"bosh3": 1e-5, "rodas4": 1e-5}.get(method, 1e-7)
    y0 = torch.tensor([start], dtype=torch.float64)
    t = torch.tensor([0.0, 7.0, 20.0], dtype=torch.float64)
    exact = odeint(system, y0, t, method="dopri8", rtol=1e-12, atol=1e-12).y
    found = odeint(system, y0, t, method=method, rtol=tolerance, atol=tolerance).y
    # the global error accumulates over the steps: a few hundred local tolerances on these problems
    assert ((found - exact).abs() / (1 + exact.abs())).max() < 500 * tolerance


def test_a_stiff_problem_is_cheap_for_the_implicit_method():
    def robertson(t, y):
        a, b, c = y.unbind(1)
        slow, fast, mix = 0.04 * a, 3e7 * b * b, 1e4 * b * c
        return torch.stack([mix - slow, slow - mix - fast, fast], 1)

    y0 = torch.tensor([[1.0, 0.0, 0.0]], dtype=torch.float64)
    t = torch.tensor([0.0, 40.0], dtype=torch.float64)
    solution = odeint(robertson, y0, t, method="rodas4", rtol=1e-6, atol=1e-10)
    # reference of the IVP test set: y(40)
    expected = torch.tensor([[0.7158270688, 9.185534765e-6, 0.2841637457]], dtype=torch.float64)
    torch.testing.assert_close(solution.y_end, expected, rtol=1e-4, atol=1e-9)
    assert solution.stats.accepted.item() < 100


def test_a_pid_controller_keeps_the_tolerance_too():
    y0 = torch.tensor([[2.0, 0.0]], dtype=torch.float64)
    t = torch.tensor([0.0, 20.0], dtype=torch.float64)
    system = DETEST["E2"][0]
    exact = odeint(system, y0, t, method="dopri8", rtol=1e-12, atol=1e-12).y_end
    smooth = Controller(proportional=0.4, integral=0.3, derivative=0.05)
    found = odeint(system, y0, t, rtol=1e-7, atol=1e-7, controller=smooth).y_end
    assert (found - exact).abs().max() < 1e-4


@pytest.mark.parametrize(("method", "order"), [("euler-maruyama", 0.5), ("heun", 1.0)])
def test_the_strong_order_of_an_sde_solver(method, order):
    """Geometric Brownian motion, with the coarse increments summed from the fine ones of the same path."""
    count, finest, mu, sigma = 4000, 256, 0.1, 0.8
    increments = torch.randn(finest, count, 1, dtype=torch.float64) / math.sqrt(finest)
    drift = mu if method == "euler-maruyama" else mu - sigma**2 / 2
    exact = ((mu - sigma**2 / 2) + sigma * increments.sum(0)).exp()

    class Path(Draws):
        def __init__(self, steps):
            self.noise = iter(increments.reshape(steps, -1, count, 1).sum(1) * math.sqrt(steps))

        def normal(self, *event):
            return next(self.noise)

    def error(steps):
        y0, t = torch.ones(count, 1, dtype=torch.float64), torch.tensor([0.0, 1.0], dtype=torch.float64)
        f, g = (lambda t, y: drift * y), (lambda t, y: sigma * y)
        return (sdeint(f, g, y0, t, steps=steps, draws=Path(steps), method=method)[-1] - exact).abs().mean()

    measured = math.log2(error(16) / error(128)) / 3
    assert measured == pytest.approx(order, abs=0.1)


def test_dense_output_is_as_good_as_the_steps():
    y0 = torch.tensor([[1.0, 0.0], [0.0, 2.0]], dtype=torch.float64)
    spans = torch.tensor([[0.0, 3.0], [1.0, -2.0]], dtype=torch.float64)
    for method in ("dopri5", "tsit5", "dopri8"):
        rotate = lambda t, y: torch.stack([y[:, 1], -y[:, 0]], 1)  # noqa: E731
        solution = odeint(rotate, y0, spans, method=method, rtol=1e-9, atol=1e-9, dense=True)
        t = torch.linspace(0, 1, 23, dtype=torch.float64) * (spans[:, 1:] - spans[:, :1]) + spans[:, :1]
        angle = (t - spans[:, :1]).T
        exact = torch.stack(
            [
                y0[:, 0] * angle.cos() + y0[:, 1] * angle.sin(),
                y0[:, 1] * angle.cos() - y0[:, 0] * angle.sin(),
            ],
            -1,
        )
        assert (solution(t) - exact).abs().max() < 1e-7, method


def test_integrate_takes_a_tableau_of_ones_own():
    y0 = torch.ones(1, 1)
    times = torch.tensor([[0.0, 1.0]])
    solution = integrate(
        find_method("dopri5"), lambda t, y: -y, y0, times, rtol=1e-5, atol=1e-5, controller=Controller()
    )
    assert solution.y_end.item() == pytest.approx(math.exp(-1), abs=1e-5)
