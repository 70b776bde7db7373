"""Circles: continuous around the cut, exact inverses and Jacobians, uniform codes."""

from __future__ import annotations

from math import log, pi

import pytest
import torch

from pushforward.networks import MADE, VectorConditioner
from pushforward.tensors import normal_log_prob
from pushforward.transforms import (
    Affine,
    Angles,
    CircularSpline,
    Composition,
    Coupling,
    LineAndCircle,
    MaskedAutoregressive,
    OnFeatures,
    Probit,
)

CIRCULAR = [False, True, True, False]
KINDS = LineAndCircle(Affine(), CircularSpline(), CIRCULAR)
CONDITION = 2


def perturbed(transform):
    torch.manual_seed(0)
    for parameter in transform.parameters():
        parameter.data.add_(0.3 * torch.randn_like(parameter))
    return transform.double()


def coupling(last):
    changed, kept = (slice(2), slice(2, 4)) if last else (slice(2, 4), slice(2))
    angles = [place for place, each in enumerate(CIRCULAR[kept]) if each]
    network = VectorConditioner(2, 2 * KINDS.parameters, CONDITION, 16, 1, angles=angles)
    return Coupling(KINDS.of(changed), network, 2, last=last, seen=KINDS.of(kept).seen)


def autoregressive(decoding="one by one"):
    return MaskedAutoregressive(KINDS, MADE(4, KINDS.parameters, CONDITION, 16, 2, angles=[1, 2]), decoding)


TRANSFORMS = {
    "coupling": lambda: coupling(False),
    "coupling-last": lambda: coupling(True),
    "autoregressive": autoregressive,
    "fixed-point": lambda: autoregressive("fixed point"),
    "angles": lambda: OnFeatures(Angles([0.1, 0.2], [1.5, 3.0]), [1, 2]),
    "probit": lambda: OnFeatures(Probit(), [1, 2]),
}
transforms = pytest.mark.parametrize("make", TRANSFORMS.values(), ids=TRANSFORMS)


def drawn(count, seed=0):
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(count, 4, dtype=torch.float64, generator=generator)
    x[:, 1:3] = 2.8 * torch.rand(count, 2, dtype=torch.float64, generator=generator) - 1.3
    return x, torch.randn(count, CONDITION, dtype=torch.float64, generator=generator)


@transforms
def test_inverse_and_jacobian(make):
    transform = perturbed(make())
    x, condition = drawn(50)
    z, log_abs_det = transform(x, condition)
    back, log_back = transform.inverse(z, condition)
    torch.testing.assert_close(back, x, atol=1e-9, rtol=0)
    torch.testing.assert_close(log_back, -log_abs_det, atol=1e-9, rtol=0)
    for row in range(3):
        jacobian = torch.autograd.functional.jacobian(
            lambda x, row=row: transform(x[None], condition[row : row + 1])[0][0], x[row]
        )
        torch.testing.assert_close(torch.linalg.slogdet(jacobian)[1], log_abs_det[row], atol=1e-9, rtol=0)


@pytest.mark.parametrize("make", list(TRANSFORMS.values())[:3], ids=list(TRANSFORMS)[:3])
def test_images_and_densities_do_not_see_where_the_circle_is_cut(make):
    transform = perturbed(make())
    x, condition = drawn(20)
    z, log_abs_det = transform(x, condition)
    for place in (1, 2):
        turned, low, high = x.clone(), x.clone(), x.clone()
        turned[:, place] += 2 * pi
        low[:, place], high[:, place] = -pi, pi - 1e-12
        around, log_around = transform(turned, condition)
        same = torch.tensor([0.0, 2 * pi, 2 * pi, 0.0], dtype=torch.float64)
        difference = around - z
        wound = torch.where(same > 0, torch.remainder(difference + pi, 2 * pi) - pi, difference)
        if transform.__class__ is Coupling:  # a kept angle passes as it is
            wound[:, place] = torch.remainder(wound[:, place] + pi, 2 * pi) - pi
        assert wound.abs().max() < 1e-9
        torch.testing.assert_close(log_around, log_abs_det, atol=1e-9, rtol=0)
        torch.testing.assert_close(transform(low, condition)[1], transform(high, condition)[1], atol=1e-6, rtol=0)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_normal_codes_are_uniform_angles(dtype):
    angle = torch.linspace(-pi, pi, 5001, dtype=dtype)[:, None]
    z, log_abs_det = Probit()(angle)
    assert z.isfinite().all()
    density = normal_log_prob(z) + log_abs_det
    torch.testing.assert_close(density, torch.full_like(density, -log(2 * pi)), atol=1e-5, rtol=0)
    torch.testing.assert_close(Probit().inverse(z)[0], angle, atol=1e-6, rtol=0)


def test_coordinates_beyond_a_circle_are_those_of_the_same_angle():
    angles = Angles([0.5], [1.5])
    x = torch.tensor([[-0.9], [2.1], [5.1]])
    torch.testing.assert_close(angles(x)[0], torch.full((3, 1), -1.4 / 1.5 * pi), atol=1e-5, rtol=0)
    inside = angles.inverse(20 * torch.randn(1000, 1))[0]
    assert inside.min() >= -1.0
    assert inside.max() <= 2.0


def test_columns_are_their_two_maps():
    x, _ = drawn(7)
    parameters = torch.randn(KINDS.parameters, 7, 4, dtype=torch.float64)
    z, log_derivative = KINDS.forward(x, parameters)
    for place, circular in enumerate(CIRCULAR):
        own = CircularSpline() if circular else Affine()
        expected = own.forward(x[:, place], parameters[: own.parameters, :, place])
        torch.testing.assert_close((z[:, place], log_derivative[:, place]), expected)
        torch.testing.assert_close(KINDS.of(place).forward(x[:, place], parameters[:, :, place]), expected)


def test_a_part_is_initialised_on_its_features_alone():
    from pushforward.transforms import ActNorm

    x = 5 + 3 * torch.randn(1000, 3)
    z = Composition([OnFeatures(ActNorm(2), [0, 2])]).initialise(x)
    torch.testing.assert_close(z[:, [0, 2]].mean(0), torch.zeros(2), atol=1e-5, rtol=0)
    assert torch.equal(z[:, 1], x[:, 1])
