"""Samplers, on problems whose answer is known: the exact denoiser of a Gaussian and of a mixture."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
import torch
from known_answers import normal, two_points

from pushforward.errors import UsageError
from pushforward.randomness import Draws
from pushforward.transport import (
    INTEGRATORS,
    SAMPLERS,
    Estimate,
    Straight,
    VarianceExploding,
    VPCosine,
    VPLinear,
    adaptive,
    ddim,
    dpm_solver,
    edm,
    equal_times,
    flow,
    guided,
    sample,
    sde,
    time_grid,
)

MEAN = torch.tensor([1.5, -0.5], dtype=torch.float64)
COVARIANCE = torch.tensor([[0.5, 0.3], [0.3, 0.4]], dtype=torch.float64)
PATHS = {"straight": Straight(), "vp-linear": VPLinear(), "vp-cosine": VPCosine(0.002), "ve": VarianceExploding()}


def gaussian(z, moment):
    """E[x | z] and E[eps | z] for x ~ N(MEAN, COVARIANCE)."""
    mean, covariance = MEAN.to(z), COVARIANCE.to(z)
    variances, axes = torch.linalg.eigh(covariance)
    along = (z - moment.alpha * mean) @ axes / (moment.alpha**2 * variances + moment.sigma**2)
    return Estimate(data=mean + moment.alpha * (along * variances) @ axes.T, noise=moment.sigma * along @ axes.T)


@pytest.mark.parametrize("name", PATHS)
@pytest.mark.parametrize("method", SAMPLERS)
def test_samplers_recover_the_mean_and_covariance(name, method):
    path = PATHS[name]
    steps, spacing = (200, "uniform") if name == "ve" else (60, "angle")
    times = time_grid(path, steps, spacing, stop=1e-4 if name == "vp-linear" else 0.0)
    draws = Draws(0, 20000, dtype=torch.float64)
    x = sample(gaussian, path, times, draws, (2,), method=method)
    error = 4 / math.sqrt(len(x))
    slack = {"euler": 0.15, "ddim": 0.06, "ancestral": 0.06, "sde": 0.02}.get(method, 0.005)
    torch.testing.assert_close(x.mean(0), MEAN, rtol=0, atol=error + slack)
    torch.testing.assert_close(x.T.cov(), COVARIANCE, rtol=0, atol=error + slack)


def orders(solve, exact, steps=(40, 80, 160)):
    errors = [(solve(n) - exact).square().mean().sqrt() for n in steps]
    return [math.log2(a / b) for a, b in pairwise(errors)]


@pytest.mark.parametrize(("name", "order"), [("euler", 1), ("midpoint", 2), ("heun", 2), ("rk4", 4), ("adams", 2)])
@pytest.mark.parametrize("path", [Straight(), VPLinear(), VPCosine()], ids=lambda path: type(path).__name__)
def test_solvers_converge_with_their_order(name, order, path):
    z = normal(50, 1)

    def solve(n, name=name):
        return flow(two_points, path, time_grid(path, n, start=0.9, stop=0.4), z, INTEGRATORS[name])

    found = orders(solve, solve(1000, "rk4"))
    assert found == pytest.approx([order] * 2, abs=0.25)


@pytest.mark.parametrize(
    ("method", "order", "spacing"), [(ddim, 1, "log-snr"), (dpm_solver, 2, "log-snr"), (edm, 2, "karras")]
)
@pytest.mark.parametrize("path", [Straight(), VPCosine()], ids=lambda path: type(path).__name__)
def test_samplers_of_diffusion_converge_with_their_order(method, order, spacing, path):
    z = normal(50, 1)

    def grid(n):
        return time_grid(path, n, spacing, start=0.9, stop=0.4)

    exact = flow(two_points, path, grid(1000), z, INTEGRATORS["rk4"])
    assert orders(lambda n: method(two_points, path, grid(n), z), exact) == pytest.approx([order] * 2, abs=0.25)


@pytest.mark.parametrize("name", PATHS)
def test_ddim_on_any_path_is_euler_on_the_straight_line(name):
    path, line = PATHS[name], Straight()
    times = time_grid(path, 17, start=0.95, stop=0.02)
    there = equal_times(times, path, line)
    (first, last), (first_there, last_there) = path.moments([0.95, 0.02]), line.moments([there[0], there[-1]])
    z = first.norm * normal(100, 1)
    one = ddim(two_points, path, times, z) / last.norm
    other = flow(two_points, line, there, first_there.norm / first.norm * z, INTEGRATORS["euler"]) / last_there.norm
    torch.testing.assert_close(one, other, rtol=0, atol=1e-6)


@pytest.mark.parametrize("method", [ddim, dpm_solver])
def test_the_result_does_not_depend_on_the_scaling_of_the_path(method):
    vp, ve = VPCosine(0.05), VarianceExploding(0.01, 15.0)
    times = time_grid(vp, 12, start=0.9, stop=0.1)
    z = normal(40, 1)
    scale = ve.matching(vp.moments([0.9])[0])[1]
    back = vp.matching(ve.moments(equal_times([0.1], vp, ve))[0])[1]
    one = method(two_points, vp, times, z)
    other = back * method(two_points, ve, equal_times(times, vp, ve), scale * z)
    torch.testing.assert_close(one, other, rtol=0, atol=1e-8)


def test_ancestral_steps_have_the_posterior_variance_of_ddpm():
    """For data known to be zero, one step from z_t draws from q(z_s | z_t, x = 0), written with DDPM's betas."""
    path = VPLinear()
    t, s = 0.5, 0.49
    z = torch.ones(200_000, 1, dtype=torch.float64)
    now, then = path.moments([t, s])
    stepped = ddim(lambda z, m: Estimate(0 * z, z / m.sigma), path, [t, s], z, Draws(0, len(z), dtype=z.dtype), eta=1.0)
    beta = 1 - (now.alpha / then.alpha) ** 2
    variance = then.sigma**2 / now.sigma**2 * beta
    mean = (now.alpha / then.alpha) * then.sigma**2 / now.sigma**2
    assert float(stepped.mean()) == pytest.approx(mean, abs=5 * math.sqrt(variance / len(z)))
    assert float(stepped.var()) == pytest.approx(variance, rel=0.02)


@pytest.mark.parametrize("method", SAMPLERS)
def test_samples_do_not_depend_on_the_precision_of_the_loop(method):
    """Single precision loses no more than its rounding over the steps."""
    times = time_grid(Straight(), 40, "angle")
    low, high = (
        sample(gaussian, Straight(), times, Draws(3, 50, dtype=dtype), (2,), method=method)
        for dtype in (torch.float32, torch.float64)
    )
    assert low.dtype == torch.float32
    # An adaptive method may choose other steps, whose error is that of its tolerance.
    torch.testing.assert_close(low.double(), high, rtol=0, atol=2e-4 if method == "dopri5" else 2e-5)


def test_guidance_extrapolates_between_two_estimates():
    one = guided(gaussian, two_points, 1.0)
    none = guided(gaussian, two_points, 0.0)
    beyond = guided(gaussian, two_points, 2.0)
    z, moment = normal(5, 2), Straight().moments([0.4])[0]
    torch.testing.assert_close(one(z, moment).data, gaussian(z, moment).data)
    torch.testing.assert_close(none(z, moment).noise, two_points(z, moment).noise)
    expected = 2 * gaussian(z, moment).data - two_points(z, moment).data
    torch.testing.assert_close(beyond(z, moment).data, expected)


def test_what_cannot_be_sampled_is_refused():
    z = normal(3, 2)
    with pytest.raises(UsageError, match="infinite at t = 0"):
        flow(gaussian, VPLinear(), [0.5, 0.0], z)
    with pytest.raises(UsageError, match="eta"):
        ddim(gaussian, Straight(), [1.0, 0.0], z, eta=0.5)
    with pytest.raises(UsageError, match="nonsense"):
        sample(gaussian, Straight(), [1.0, 0.0], Draws(0, 3), (2,), method="nonsense")


@pytest.mark.parametrize("name", PATHS)
@pytest.mark.parametrize("stochasticity", [0.3, 1.0, 2.0])
def test_any_stochasticity_samples_the_same_distribution(name, stochasticity):
    path = PATHS[name]
    times = time_grid(path, 80, "log-snr", stop=1e-4 if name == "vp-linear" else 0.0)
    draws = Draws(0, 20000, dtype=torch.float64)
    x = sample(gaussian, path, times, draws, (2,), method="sde", stochasticity=stochasticity)
    torch.testing.assert_close(x.mean(0), MEAN, rtol=0, atol=0.04)
    torch.testing.assert_close(x.T.cov(), COVARIANCE, rtol=0, atol=0.04)


def test_no_stochasticity_is_dpm_solver_and_one_is_the_first_ancestral_step():
    path, z = VPCosine(), normal(50, 1)
    times = time_grid(path, 15)
    flow_like = sde(two_points, path, times, z, stochasticity=0.0)
    torch.testing.assert_close(flow_like, dpm_solver(two_points, path, times, z), rtol=1e-12, atol=1e-12)
    one, other = (
        method(two_points, path, [0.8, 0.6], z, Draws(1, 50, dtype=torch.float64), **options)
        for method, options in ((sde, {"stochasticity": 1.0}), (ddim, {"eta": 1.0}))
    )
    torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", PATHS)
def test_churn_leaves_the_distribution_as_it_is(name):
    path = PATHS[name]
    times = time_grid(path, 100, "karras", stop=1e-4 if name == "vp-linear" else 0.0)
    draws = Draws(0, 20000, dtype=torch.float64)
    x = sample(gaussian, path, times, draws, (2,), method="edm", S_churn=20.0, S_min=0.05, S_max=50.0)
    torch.testing.assert_close(x.mean(0), MEAN, rtol=0, atol=0.03)
    torch.testing.assert_close(x.T.cov(), COVARIANCE, rtol=0, atol=0.03)


@pytest.mark.parametrize("path", [Straight(), VPCosine()], ids=lambda path: type(path).__name__)
def test_the_last_step_of_karras_is_ddim(path):
    z = normal(50, 1)
    to_the_data = [0.3, 0.0]
    torch.testing.assert_close(
        edm(two_points, path, to_the_data, z), ddim(two_points, path, to_the_data, z), rtol=1e-12, atol=1e-12
    )


def test_heun_in_sigma_is_the_published_algorithm():
    """Algorithm 1 of Karras et al. written out, on the variance-exploding path."""
    path = VarianceExploding()
    times = time_grid(path, 12, "karras", stop=0.01)
    z = 80 * normal(30, 1)
    x = z.clone()
    levels = [moment.sigma for moment in path.moments(times)]
    denoise = lambda x, sigma: torch.tanh(x / sigma**2)  # noqa: E731
    for sigma, after in pairwise(levels):
        slope = (x - denoise(x, sigma)) / sigma
        ahead = x + (after - sigma) * slope
        x = x + (after - sigma) * 0.5 * (slope + (ahead - denoise(ahead, after)) / after)
    torch.testing.assert_close(edm(two_points, path, times, z), x, rtol=1e-9, atol=1e-9)


def test_the_adaptive_method_keeps_its_tolerance():
    path, z = Straight(), normal(50, 1)
    exact = flow(two_points, path, time_grid(path, 1000, start=0.9, stop=0.2), z, INTEGRATORS["rk4"])
    for tolerance in (1e-3, 1e-6):
        found = adaptive(two_points_velocity, path, [0.9, 0.2], z, rtol=tolerance, atol=tolerance)
        assert (found - exact).abs().max() < 10 * tolerance


def two_points_velocity(z, moment):
    return moment.velocity(*two_points(z, moment))


def test_random_methods_refuse_to_go_without_draws():
    z = normal(3, 2)
    with pytest.raises(UsageError, match="S_churn"):
        edm(gaussian, Straight(), [0.9, 0.1], z, S_churn=1.0)
    with pytest.raises(UsageError, match="stochasticity"):
        sde(gaussian, Straight(), [0.9, 0.1], z)
