"""The twelve equivalences of diffusion, flow matching and Poisson flows, each where both sides can be worked out."""

from __future__ import annotations

import math

import pytest
import torch
from known_answers import PATHS, normal, paths, two_points

from pushforward.errors import UsageError
from pushforward.randomness import Draws
from pushforward.transport import (
    INTEGRATORS,
    Straight,
    StudentT,
    VarianceExploding,
    VPCosine,
    VPLinear,
    ddim,
    equal_times,
    estimate,
    flow,
    loss_weight,
    target,
    time_grid,
)
from pushforward.transport.equivalences import (
    all_predictions,
    along,
    coefficients,
    error_ratio,
    eta_of,
    field_line,
    generated_pairs,
    overshoot,
    path_energy,
    rescaled,
    rescaled_euler,
    weighted_loss,
    weighting,
)

TIMES = torch.linspace(0.05, 0.95, 40, dtype=torch.float64)


@paths
@pytest.mark.parametrize("other", PATHS, ids=lambda path: type(path).__name__)
def test_1_paths_differ_by_a_scaling_at_equal_log_snr(path, other):
    x, noise = normal(2, 40, 3)
    moment = path.at(TIMES[:, None])
    z, there = rescaled(moment.mix(x, noise), moment, other)
    torch.testing.assert_close(z, there.mix(x, noise), rtol=1e-10, atol=1e-10)
    back, again = rescaled(z, there, path)
    torch.testing.assert_close(back, moment.mix(x, noise), rtol=1e-10, atol=1e-10)
    torch.testing.assert_close(again.time, moment.time, rtol=1e-10, atol=1e-10)


@paths
@pytest.mark.parametrize("source", ["noise", "data", "v", "velocity", "score", "edm"])
def test_2_every_prediction_follows_from_every_other(path, source):
    x, noise = normal(2, 40, 3)
    moment = path.at(TIMES[:, None])
    z = moment.mix(x, noise)
    found = all_predictions(target(source, x, noise, moment), z, moment, source)
    assert set(found) == {"noise", "data", "v", "velocity", "score", "edm"}
    for name, value in found.items():
        torch.testing.assert_close(value, target(name, x, noise, moment), rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize(
    ("prediction", "path"),
    [("noise", VPLinear()), ("data", VPLinear()), ("data", Straight()), ("v", VPCosine()), ("velocity", Straight())],
)
def test_3_errors_differ_by_functions_of_the_log_snr(prediction, path):
    expected = loss_weight("noise", prediction, path.at(TIMES)) * torch.ones_like(TIMES)
    torch.testing.assert_close(error_ratio(prediction, path.log_snr(TIMES)), expected, rtol=1e-10, atol=0)


@paths
@pytest.mark.parametrize("prediction", ["noise", "data", "velocity"])
def test_4_ddim_is_euler_in_rescaled_coordinates(path, prediction):
    now, then = path.moments([0.7, 0.3])
    z = now.mix(*normal(2, 20, 3))
    data, noise = two_points(z, now)
    value = {"noise": noise, "data": data, "velocity": noise - data}[prediction]
    stepped = ddim(two_points, path, [0.7, 0.3], z)
    torch.testing.assert_close(rescaled_euler(value, z, now, then, prediction), stepped, rtol=1e-10, atol=1e-10)


@paths
def test_4_ddim_on_any_path_is_euler_on_the_straight_line(path):
    times, line = time_grid(path, 25, start=0.95, stop=0.03), Straight()
    there = equal_times(times, path, line)
    z = path.moments([0.95])[0].norm * normal(50, 1)
    start, first = rescaled(z, path.moments([0.95])[0], line)
    by_euler = flow(two_points, line, [first.time, *there[1:]], start, INTEGRATORS["euler"])
    by_ddim = rescaled(ddim(two_points, path, times, z), path.moments([0.03])[0], line)[0]
    torch.testing.assert_close(by_euler, by_ddim, rtol=0, atol=1e-6)


def test_5_a_weighted_loss_does_not_depend_on_the_schedule():
    """Only on the end points in log-SNR: both of these cover [-4, 4]."""
    ends = torch.tensor([4.0, -4.0], dtype=torch.float64)

    def over(path):
        start, stop = path.time(ends).tolist()
        times = torch.linspace(start, stop, 20_001, dtype=torch.float64)
        return weighted_loss(torch.sigmoid, lambda log_snr: torch.exp(-(log_snr**2) / 8), path, times)

    values = [float(over(path)) for path in (Straight(), VPCosine(), VPLinear(), VarianceExploding(0.01, 20.0))]
    assert values == pytest.approx([values[0]] * 4, rel=1e-6)


@paths
@pytest.mark.parametrize("prediction", ["v", "velocity", "edm", "data"])
def test_5_a_loss_is_the_weighting_that_it_implies(path, prediction):
    """The mean of a prediction's error over uniform times, and the weighted error of the noise on another path."""
    times = torch.linspace(0.2, 0.8, 20_001, dtype=torch.float64)

    def error(log_snr):
        return 1 / (1 + log_snr**2)

    moment, log_snr = path.at(times), path.log_snr(times)
    mean = torch.trapezoid(loss_weight("noise", prediction, moment) * error(log_snr), times)
    weight = weighting(path, prediction, times)
    torch.testing.assert_close(torch.trapezoid(weight * error(log_snr), -log_snr), mean, rtol=1e-6, atol=0)


def test_6_flow_matching_weights_like_v_on_the_cosine_schedule():
    log_snr = torch.linspace(-8, 8, 33, dtype=torch.float64)
    straight = weighting(Straight(), "velocity", Straight().time(log_snr))
    cosine = weighting(VPCosine(), "v", VPCosine().time(log_snr))
    torch.testing.assert_close(straight / cosine, torch.full_like(straight, math.pi / 2), rtol=1e-9, atol=0)
    torch.testing.assert_close(straight, torch.exp(-log_snr / 2) / 2, rtol=1e-9, atol=0)


@paths
def test_7_a_network_of_one_path_is_sampled_along_another(path):
    """A straight-line velocity of exact expectations, asked on another path, is that path's own exact expectation."""
    asked = []

    def trained(z, moment):
        asked.append(moment)
        data, noise = two_points(z, moment)
        return estimate(noise - data, z, moment, "velocity")

    moment = path.moments([0.4])[0]
    z = moment.mix(*normal(2, 30, 2))
    found, expected = along(trained, Straight())(z, moment), two_points(z, moment)
    torch.testing.assert_close(found.data, expected.data, rtol=1e-9, atol=1e-10)
    torch.testing.assert_close(found.noise, expected.noise, rtol=1e-9, atol=1e-10)
    assert asked[0].alpha + asked[0].sigma == pytest.approx(1)


def test_8_narrow_data_are_straight_on_the_line_and_wide_data_on_variance_preserving_paths():
    times = torch.linspace(0, 1, 2001, dtype=torch.float64)
    assert path_energy(Straight(), 0.0, times[1:]) == pytest.approx(0, abs=1e-9)
    assert path_energy(VPCosine(), 1.0, times) == pytest.approx(0, abs=1e-9)
    assert path_energy(Straight(), 0.05, times) < 0.3 * path_energy(VPCosine(), 0.05, times)
    assert path_energy(Straight(), 1.0, times) > 0.1


def test_9_reflow_at_the_noise_is_distillation_of_the_sampler():
    line = Straight()
    times = time_grid(line, 40, "angle", stop=0.01)
    data, noise = generated_pairs(two_points, line, times, Draws(0, 500, dtype=torch.float64), (1,))
    torch.testing.assert_close(noise, Draws(0, 500, dtype=torch.float64).normal(1))
    assert torch.equal(data.sign(), noise.sign()), "the flow does not cross the middle"
    torch.testing.assert_close(data.abs(), torch.ones_like(data), rtol=0, atol=0.1)
    (end,) = line.moments([1.0])
    distilled = estimate(target("velocity", data, noise, end), end.mix(data, noise), end, "velocity").data
    torch.testing.assert_close(distilled, data, rtol=1e-12, atol=1e-12)


@paths
@pytest.mark.parametrize("eta", [0.3, 1.0])
def test_10_a_random_step_goes_too_far_and_adds_noise(path, eta):
    time, then = 0.7, 0.6
    cleaner, factor, fresh = overshoot(path, time, then, eta)
    z = path.moments([time])[0].mix(*normal(2, 50, 2))
    draws = Draws(3, 50, dtype=torch.float64)
    whole = ddim(two_points, path, [time, then], z, draws, eta=eta)
    xi = Draws(3, 50, dtype=torch.float64).normal(2)
    parts = factor * ddim(two_points, path, [time, cleaner], z) + fresh * xi
    torch.testing.assert_close(parts, whole, rtol=1e-9, atol=1e-9)
    if eta == 1:
        before, between, beyond = path.log_snr(torch.tensor([time, then, cleaner], dtype=torch.float64))
        assert float(beyond - between) == pytest.approx(float(between - before)), "twice as far in log-SNR"


@paths
def test_10_the_noise_of_an_interpolant_is_that_of_a_diffusion(path):
    """With its eta, u - e^2 / 2 s of an interpolant is f z - (1 + eta^2) / 2 g^2 s of a diffusion."""
    t, z, score, strength = TIMES[:, None], normal(40, 2), normal(40, 2, seed=1), 0.7
    moment = path.at(t)
    velocity = path.drift(t) * z - path.diffusion(t) ** 2 / 2 * score
    eta = eta_of(strength, moment)
    expected = path.drift(t) * z - (1 + eta**2) / 2 * path.diffusion(t) ** 2 * score
    torch.testing.assert_close(velocity - strength**2 / 2 * score, expected, rtol=1e-9, atol=1e-9)
    noise = -moment.sigma * score
    data = (z - moment.sigma * noise) / moment.alpha
    torch.testing.assert_close(moment.velocity(data, noise), velocity, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("path", [VPLinear(), VPCosine(0.1), Straight()], ids=lambda path: type(path).__name__)
def test_11_a_process_has_the_coefficients_of_its_path(path):
    times = torch.linspace(0, 0.9, 181, dtype=torch.float64)
    alpha, sigma = coefficients(path.drift, path.diffusion, times)
    expected = path.at(times)
    torch.testing.assert_close(alpha, expected.alpha, rtol=1e-10, atol=1e-10)
    torch.testing.assert_close(sigma, expected.sigma, rtol=1e-10, atol=1e-10)
    with pytest.raises(UsageError, match="start at 0"):
        coefficients(path.drift, path.diffusion, times[1:])


@pytest.mark.parametrize("degrees", [1, 3, 128])
def test_12_field_lines_of_charges_are_the_flow_of_student_t_noise(degrees):
    """The posterior of the charges by the t density itself, against Coulomb's field; both in float64."""
    charges, x, sigma = normal(30, 2), 2 * normal(50, 2, seed=1), 0.6
    kernel = StudentT(degrees).log_prob(((x[:, None] - charges) / sigma).flatten(0, 1)).view(50, 30)
    data = kernel.softmax(1) @ charges
    velocity = (x - data) / sigma
    torch.testing.assert_close(field_line(x, sigma, charges, degrees), velocity, rtol=1e-9, atol=1e-9)


def test_12_many_dimensions_give_the_flow_of_gaussian_noise():
    charges, x, sigma = normal(30, 2), 2 * normal(50, 2, seed=1), 0.6
    weight = (-(x[:, None] - charges).square().sum(-1) / (2 * sigma**2)).softmax(1)
    expected = (x - weight @ charges) / sigma
    torch.testing.assert_close(field_line(x, sigma, charges, 10**7), expected, rtol=0, atol=1e-4)
