"""Schedules: derivatives, inverses, signal-to-noise ratios, and the forward process that they stand for."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
import torch

from pushforward.errors import UsageError
from pushforward.transport import Straight, VarianceExploding, VPCosine, VPLinear, equal_times, time_grid

PATHS = {
    "straight": Straight(),
    "vp-linear": VPLinear(),
    "vp-cosine": VPCosine(),
    "vp-cosine-remnant": VPCosine(remnant=0.01),
    "ve": VarianceExploding(),
}
paths = pytest.mark.parametrize("path", PATHS.values(), ids=PATHS.keys())
TIMES = torch.linspace(0.01, 0.99, 50, dtype=torch.float64)


@paths
def test_derivatives_are_those_of_automatic_differentiation(path):
    t = TIMES.clone().requires_grad_()
    moment = path.at(t)
    for value, dot in ((moment.alpha, moment.alpha_dot), (moment.sigma, moment.sigma_dot)):
        (expected,) = torch.autograd.grad((value + 0 * t).sum(), t, retain_graph=True)
        torch.testing.assert_close(dot, expected, rtol=1e-10, atol=1e-12)


@paths
def test_log_snr_falls_and_time_inverts_it(path):
    ratios = path.log_snr(TIMES)
    assert (ratios.diff() < 0).all()
    torch.testing.assert_close(path.time(ratios), TIMES, rtol=1e-10, atol=1e-12)


@paths
def test_data_are_at_time_zero_and_noise_at_time_one(path):
    start, end = path.moments([0.0, 1.0])
    assert start.alpha == pytest.approx(1)
    assert start.sigma == pytest.approx(0, abs=0.002)
    assert end.alpha / end.sigma < 0.02


@pytest.mark.parametrize("path", [VPLinear(), VPCosine(), VPCosine(0.01)])
def test_variance_preserving_paths_preserve_the_variance(path):
    moment = path.at(TIMES)
    torch.testing.assert_close(moment.alpha**2 + moment.sigma**2, torch.ones_like(TIMES), rtol=1e-13, atol=0)


def test_the_linear_path_is_the_limit_of_the_thousand_levels_of_ddpm():
    betas = torch.linspace(1e-4, 0.02, 1000, dtype=torch.float64)
    alpha = (1 - betas).cumprod(0).sqrt()
    levels = torch.arange(1, 1001, dtype=torch.float64) / 1000
    torch.testing.assert_close(VPLinear().at(levels).alpha, alpha, rtol=0, atol=2e-3)


@paths
def test_the_forward_process_has_the_variance_of_the_path(path):
    """With unit-variance data, d(alpha^2 s + sigma^2)/dt = 2 f var + g^2 for any data variance s."""
    t = TIMES.clone().requires_grad_()
    moment = path.at(t)
    for data_variance in (0.0, 2.5):
        variance = data_variance * moment.alpha**2 + moment.sigma**2
        (rate,) = torch.autograd.grad(variance.sum(), t, retain_graph=True)
        expected = 2 * path.drift(TIMES) * variance.detach() + path.diffusion(TIMES) ** 2
        torch.testing.assert_close(rate, expected, rtol=1e-9, atol=1e-9)


@paths
@pytest.mark.parametrize("other", [Straight(), VPLinear(), VarianceExploding()])
def test_matching_keeps_the_signal_to_noise_ratio_and_scales_z(path, other):
    x, noise = torch.randn(2, 5, dtype=torch.float64)
    for time in (0.2, 0.5, 0.9):
        moment = path.moments([time])[0]
        own, scale = other.matching(moment)
        assert own.alpha / own.sigma == pytest.approx(moment.alpha / moment.sigma)
        torch.testing.assert_close(scale * moment.mix(x, noise), own.mix(x, noise), rtol=1e-9, atol=1e-9)
        batched, scales = other.matching(path.at(torch.tensor([time], dtype=torch.float64)))
        assert float(batched.alpha) == pytest.approx(own.alpha)
        assert float(scales) == pytest.approx(scale)


@paths
def test_equal_times_have_equal_ratios(path):
    there = torch.tensor(equal_times(TIMES.tolist(), path, Straight()), dtype=torch.float64)
    torch.testing.assert_close(Straight().log_snr(there), path.log_snr(TIMES), rtol=1e-9, atol=1e-9)


def test_equal_times_keep_infinite_ratios():
    assert equal_times([0.0, 1.0], VPCosine(), Straight()) == [0.0, 1.0]


@paths
@pytest.mark.parametrize("spacing", ["uniform", "angle", "log-snr", "karras"])
def test_grids_run_from_start_to_stop_without_turning(path, spacing):
    for start, stop in ((1.0, 0.0), (0.0, 1.0), (0.8, 0.1)):
        times = time_grid(path, 12, spacing, start=start, stop=stop)
        assert len(times) == 13
        assert (times[0], times[-1]) == (start, stop)
        assert all((b - a) * (stop - start) > 0 for a, b in pairwise(times))


def test_grids_space_what_they_say():
    def steps(values):
        return values[1:-1].diff()

    times = torch.tensor(time_grid(Straight(), 10, "log-snr"), dtype=torch.float64)
    assert steps(Straight().log_snr(times)).std() < 1e-9
    times = torch.tensor(time_grid(Straight(), 10, "angle"), dtype=torch.float64)
    assert steps(torch.atan2(times, 1 - times)).std() < 1e-9


def test_the_grid_of_karras_is_the_published_one():
    """Table 1 of Karras et al. 2022: rho = 7 between sigma_max and sigma_min, and then no noise."""
    path, n, low, high = VarianceExploding(), 18, 0.0025, 80.0
    levels = [moment.sigma for moment in path.moments(time_grid(path, n, "karras", reach=-math.log(low)))]
    expected = [(high ** (1 / 7) + i / (n - 1) * (low ** (1 / 7) - high ** (1 / 7))) ** 7 for i in range(n)]
    assert levels[:-1] == pytest.approx(expected, rel=1e-9)
    assert path.moments(time_grid(path, n, "karras", reach=9.0))[-2].sigma > path.sigma_min


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: VPLinear(beta_min=3, beta_max=1),
        lambda: VPCosine(remnant=1.0),
        lambda: VarianceExploding(sigma_min=0.0),
        lambda: time_grid(Straight(), 0),
        lambda: time_grid(Straight(), 4, "nonsense"),
    ],
)
def test_what_makes_no_schedule_is_refused(wrong):
    with pytest.raises(UsageError):
        wrong()
