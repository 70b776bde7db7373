"""The Schroedinger bridge between Gaussian ensembles, against its closed form."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from pushforward.randomness import Draws
from pushforward.transport.assignment import entropic_plan
from pushforward.transport.couplings import pairwise_cost
from pushforward.transport.schrodinger import bridge, drift_target, gaussian_coupling, scale, simulated, transported

SIGMA = 0.8
MEAN = {"a": torch.tensor([-1.0, 0.5]), "b": torch.tensor([2.0, 0.0])}
COVARIANCE = {"a": torch.tensor([[1.0, 0.3], [0.3, 0.5]]), "b": torch.tensor([[0.6, -0.4], [-0.4, 1.5]])}


def coupling() -> Tensor:
    """Covariance of a (rows) with b in the bridge."""
    return gaussian_coupling(COVARIANCE["a"].double(), COVARIANCE["b"].double(), SIGMA).float()


def drift_of(to: str, cross: Tensor) -> Callable[[Tensor, Tensor], Tensor]:
    """The drift towards one end, from bridges over Gaussian pairs whose start has this covariance with their end."""
    start, end = ("a", "b") if to == "b" else ("b", "a")

    def drift(z: Tensor, elapsed: Tensor) -> Tensor:
        t = elapsed.view(-1, 1, 1)
        first, last, one = (each.to(z) for each in (COVARIANCE[start], COVARIANCE[end], torch.eye(2)))
        both = cross.to(z)
        spread = (1 - t) ** 2 * first + t**2 * last + t * (1 - t) * (both + both.T + SIGMA**2 * one)
        away = z - (1 - t[:, 0]) * MEAN[start].to(z) - t[:, 0] * MEAN[end].to(z)
        expected = ((1 - t) * both.T + t * last) @ torch.linalg.solve(spread, away[..., None])
        # where the end is reached, f is finite but the quotient is not
        return (MEAN[end].to(z) + expected[..., 0] - z) / scale(elapsed, SIGMA).clamp(min=1e-6)[:, None]

    return drift


def members(side: str, count: int, seed: int = 0) -> Tensor:
    root = torch.linalg.cholesky(COVARIANCE[side])
    return MEAN[side] + Draws(seed, count).normal(2) @ root.T


def covariances(x: Tensor, y: Tensor) -> Tensor:
    return (x - x.mean(0)).T @ (y - y.mean(0)) / len(x)


def iterated(cross: Tensor, steps: int = 1000) -> Tensor:
    """Covariance of the ends of the diffusion that has the drift of bridges over Gaussian pairs, propagated exactly."""
    start, whole = COVARIANCE["a"].double(), torch.eye(2).double()
    cross, last = cross.double(), COVARIANCE["b"].double()
    for i in range(steps):
        t = (i + 0.5) / steps
        spread = (1 - t) ** 2 * start + t**2 * last + t * (1 - t) * (cross + cross.T + SIGMA**2 * torch.eye(2))
        rate = (((1 - t) * cross.T + t * last) @ torch.linalg.inv(spread) - torch.eye(2)) / (1 - t)
        whole = torch.linalg.matrix_exp(rate / steps) @ whole
    return start @ whole.T


def test_the_closed_form_is_the_coupling_of_least_cost_and_entropy():
    """Entropic plans between many points of both ensembles have its covariance."""
    a, b = members("a", 800, 1), members("b", 800, 2)
    plan = entropic_plan(pairwise_cost(a, b).double(), 2 * SIGMA**2).to(a)
    found = (a - a.mean(0)).T @ (plan / plan.sum()) @ (b - b.mean(0))
    torch.testing.assert_close(found, coupling(), atol=0.08, rtol=0)


def test_the_bridge_is_the_only_fixed_point_of_markovian_fitting():
    closed = coupling().double()
    torch.testing.assert_close(iterated(closed), closed, atol=5e-3, rtol=0)
    independent = torch.zeros(2, 2).double()
    assert (iterated(independent) - independent).abs().max() > 0.1, "independent pairs are no bridge"
    cross = independent
    for _ in range(15):
        cross = iterated(cross, 300)
    torch.testing.assert_close(cross, closed, atol=0.01, rtol=0)


@pytest.mark.parametrize("to", ["a", "b"])
def test_the_diffusion_has_the_coupling_and_the_other_ensemble_at_its_end(to):
    start = members("a" if to == "b" else "b", 20_000)
    cross = coupling() if to == "b" else coupling().T
    end = simulated(drift_of(to, cross), start, Draws(1, len(start)), sigma=SIGMA, steps=100)
    torch.testing.assert_close(end.mean(0), MEAN[to], atol=0.03, rtol=0)
    torch.testing.assert_close(covariances(end, end), COVARIANCE[to], atol=0.06, rtol=0)
    torch.testing.assert_close(covariances(start, end), cross, atol=0.05, rtol=0)


def test_the_probability_flow_has_the_other_ensemble_at_its_end_and_returns():
    forward, backward = drift_of("b", coupling()), drift_of("a", coupling().T)
    start = members("a", 50).double()
    end = transported(forward, backward, start, sigma=SIGMA, tolerance=1e-6)
    # linear, so it is known from a few members
    matrix = torch.linalg.lstsq(start - MEAN["a"], end - MEAN["b"]).solution.T
    torch.testing.assert_close((start - MEAN["a"]) @ matrix.T + MEAN["b"], end, atol=1e-4, rtol=0)
    torch.testing.assert_close(
        matrix @ COVARIANCE["a"].double() @ matrix.T, COVARIANCE["b"].double(), atol=1e-3, rtol=0
    )
    back = transported(backward, forward, end, sigma=SIGMA, tolerance=1e-6)
    torch.testing.assert_close(back, start, atol=1e-4, rtol=0)


def test_the_target_leads_from_the_bridge_to_its_end():
    start, end, eps = (Draws(seed, 64).normal(3) for seed in (0, 1, 2))
    elapsed = Draws(3, 64).stratified()
    z = bridge(start, end, elapsed, eps, SIGMA)
    reached = z + scale(elapsed, SIGMA)[:, None] * drift_target(start, end, elapsed, eps, SIGMA)
    torch.testing.assert_close(reached, end, atol=1e-5, rtol=1e-5)
