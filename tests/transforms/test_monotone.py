"""One-dimensional transforms: increasing, invertible and differentiated as they say, for any parameters and inputs."""

from __future__ import annotations

import math

import pytest
import torch

from pushforward.transforms import Affine, CircularSpline, Monotone, Sigmoidal, Spline
from pushforward.transforms.roots import increasing_root

KINDS = {
    "affine": Affine(),
    "spline": Spline(),
    "spline, two bins": Spline(bins=2, bound=1.0),
    "spline, many bins": Spline(bins=16),
    "circular spline": CircularSpline(),
    "sigmoidal": Sigmoidal(),
}
ERRORS = {torch.float32: 1e-5, torch.float64: 1e-11}
kinds = pytest.mark.parametrize("kind", KINDS.values(), ids=[name.replace(", ", "-") for name in KINDS])
dtypes = pytest.mark.parametrize("dtype", ERRORS, ids=["float32", "float64"])


def domain(kind: Monotone) -> tuple[float, float]:
    """Domain on which the map is one of a line: everywhere, or around its circle."""
    return (-kind.bound, kind.bound) if isinstance(kind, CircularSpline) else (-6.0, 6.0)


def drawn(kind: Monotone, count: int, dtype: torch.dtype, size: float = 1.0) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    low, high = domain(kind)
    x = low + (high - low) * torch.rand(count, generator=generator, dtype=torch.float64)
    parameters = size * torch.randn(kind.parameters, count, generator=generator, dtype=torch.float64)
    return x.to(dtype), parameters.to(dtype)


def apart(kind: Monotone, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """Distance of two values, around the circle where there is one."""
    if not isinstance(kind, CircularSpline):
        return (x - y).abs()
    return (torch.remainder(x - y + kind.bound, 2 * kind.bound) - kind.bound).abs()


@kinds
@dtypes
def test_inverse_undoes_forward(kind, dtype):
    x, parameters = drawn(kind, 20_000, dtype, size=0.5)
    z, forward = kind.forward(x, parameters)
    back, backward = kind.inverse(z, parameters)
    assert apart(kind, back, x).max() <= ERRORS[dtype]
    assert (forward + backward).abs().max() <= 10 * ERRORS[dtype], "log-derivatives of the two directions must cancel"


@kinds
def test_log_derivative_is_that_of_autograd(kind):
    x, parameters = drawn(kind, 2000, torch.float64, size=1.0)
    z, log_derivative = kind.forward(x.requires_grad_(), parameters)
    (slope,) = torch.autograd.grad(z.sum(), x)
    assert (slope > 0).all(), "the map must increase"
    assert (log_derivative - slope.log()).abs().max() <= 1e-10


@kinds
def test_gradients_of_the_inverse_are_those_of_the_implicit_function_theorem(kind):
    """With x = g(z, θ) and f its inverse: ∂x/∂z = 1 / f', ∂x/∂θ = -∂f/∂θ / f'."""
    x, parameters = drawn(kind, 200, torch.float64)
    parameters.requires_grad_()
    z, log_derivative = kind.forward(x, parameters)
    (by_forward,) = torch.autograd.grad(z.sum(), parameters)
    target = z.detach().requires_grad_()
    back, _ = kind.inverse(target, parameters)
    by_target, by_inverse = torch.autograd.grad(back.sum(), [target, parameters])
    torch.testing.assert_close(by_target, (-log_derivative).exp().detach(), rtol=1e-8, atol=1e-8)
    torch.testing.assert_close(by_inverse, (-by_forward * (-log_derivative).exp()).detach(), rtol=1e-8, atol=1e-8)


@kinds
@pytest.mark.parametrize("size", [0.0, 1.0, 10.0, 1e4])
def test_no_parameters_and_inputs_give_anything_but_finite_values_and_gradients(kind, size):
    """A million draws in all; and back to within the rounding of z, as far as the slope magnifies it."""
    x, parameters = drawn(kind, 250_000, torch.float32, size)
    if not isinstance(kind, CircularSpline):
        x[::5] *= 2e3
        x[:7] = torch.tensor([0.0, -5.0, 5.0, -1.0, 1.0, -1e4, 1e4])
    x.requires_grad_()
    parameters.requires_grad_()
    z, forward = kind.forward(x, parameters)
    back, backward = kind.inverse(z, parameters)
    for name, value in {"z": z, "x": back, "log ∂z/∂x": forward, "log ∂x/∂z": backward}.items():
        assert value.isfinite().all(), f"{name} must be finite"
    (back.square().mean() + z.square().mean() + forward.sum() + backward.sum()).backward()
    assert parameters.grad.isfinite().all()
    assert x.grad.isfinite().all()
    magnified = 1 + x.abs() + (1 + z.abs() + parameters.abs().amax(0)) * (-forward).exp()
    assert (apart(kind, back, x) / magnified).max() < 1e-5, (
        "the inverse must be exact to rounding times the condition number"
    )


@pytest.mark.parametrize("bound", [1.0, 5.0])
@dtypes
def test_a_spline_keeps_its_edges_and_is_the_identity_outside(bound, dtype):
    kind = Spline(bound=bound)
    edge = torch.tensor(bound, dtype=dtype)
    near = [torch.nextafter(edge, torch.tensor(sign * math.inf, dtype=dtype)) for sign in (-1, 1)]
    x = torch.stack([-near[1], -edge, -near[0], near[0], edge, near[1], 2 * edge, 1e4 * edge])
    parameters = torch.randn(kind.parameters, 1000, len(x), dtype=dtype)
    z, log_derivative = kind.forward(x.expand(1000, -1), parameters)
    assert torch.equal(z[:, [0, 1, 4, 5, 6, 7]], x[[0, 1, 4, 5, 6, 7]].expand(1000, -1))
    assert log_derivative.abs().max() <= 1e5 * torch.finfo(dtype).eps, "slopes must be one on either side of an edge"
    back, _ = kind.inverse(z, parameters)
    assert (back - x).abs().max() <= ERRORS[dtype]


def test_a_spline_is_continuous_with_its_derivative_at_its_knots():
    kind = Spline(bins=4)
    parameters = torch.randn(kind.parameters, 1, dtype=torch.float64)
    knots = kind._knots(parameters)
    step = 1e-9
    for index in range(5):
        x = knots.x[index]
        (below, slope_below), (above, slope_above) = (kind.forward(x + side * step, parameters) for side in (-1, 1))
        assert (below - above).abs() < 1e-6
        assert (slope_below - slope_above).abs() < 1e-5
        assert (kind.forward(x, parameters)[0] - knots.y[index]).abs() < 1e-12


def test_zeros_are_the_identity_of_affine_maps_and_splines():
    x = torch.linspace(-3, 3, 11, dtype=torch.float64)
    for kind in (Affine(), Spline(), CircularSpline()):
        z, log_derivative = kind.forward(x, torch.zeros(kind.parameters, 11, dtype=torch.float64))
        torch.testing.assert_close(z, x)
        torch.testing.assert_close(log_derivative, torch.zeros_like(x), atol=1e-12, rtol=0)


def test_a_circular_spline_closes_with_its_derivative():
    kind = CircularSpline()
    parameters = torch.randn(kind.parameters, 1, dtype=torch.float64)
    low, high = (kind.forward(torch.tensor([x], dtype=torch.float64), parameters) for x in (-math.pi, math.pi - 1e-12))
    assert apart(kind, low[0], high[0]) < 1e-9
    torch.testing.assert_close(low[1], high[1], rtol=1e-8, atol=1e-8)
    turned = kind.forward(torch.tensor([0.3 + 2 * math.pi], dtype=torch.float64), parameters)[0]
    assert apart(kind, turned, kind.forward(torch.tensor([0.3], dtype=torch.float64), parameters)[0]) < 1e-12


def test_a_root_is_found_where_newton_alone_would_run_away():
    """The arctangent is flat on both sides, and Newton's method diverges from |x| > 1.4."""

    def arctangent(x):
        return torch.atan(x), -torch.log1p(x.square())

    root = torch.linspace(-300, 300, 601, dtype=torch.float64)
    low, high = torch.full_like(root, -1e3), torch.full_like(root, 2e3)
    found = increasing_root(arctangent, torch.atan(root), low, high)
    assert (found - root).abs().max() < 1e-8


def test_the_affine_map_has_the_derivatives_of_its_formula():
    x = torch.randn(7, 3, dtype=torch.float64, requires_grad=True)
    theta = torch.randn(2, 7, 3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(Affine().forward, (x, theta))
    assert torch.autograd.gradgradcheck(Affine().forward, (x, theta))
