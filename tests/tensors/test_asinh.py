"""The inverse hyperbolic sine of many numbers is that of torch, with its derivatives."""

from __future__ import annotations

import pytest
import torch

from pushforward.tensors import asinh


@pytest.mark.parametrize(("dtype", "error"), [(torch.float32, 3e-7), (torch.float64, 1e-15)])
def test_it_is_that_of_torch_to_rounding(dtype, error):
    x = torch.cat([torch.linspace(-40, 40, 5001, dtype=dtype), torch.tensor([0.0, 1e-9, -1e4, 1e6, 1e17], dtype=dtype)])
    exact = torch.asinh(x.double())
    assert ((asinh(x) - exact).abs() / (1 + exact.abs())).max() < error
    assert asinh(torch.full((5000,), -3e38)).isfinite().all()


@pytest.mark.parametrize("count", [10, 5000])
def test_its_derivatives_are_those_of_torch(count):
    x = torch.linspace(-30, 30, count, dtype=torch.float64, requires_grad=True)
    for function in (asinh, torch.asinh):
        (first,) = torch.autograd.grad(function(x).sin().sum(), x, create_graph=True)
        (second,) = torch.autograd.grad(first.square().sum(), x)
        torch.testing.assert_close(first, torch.autograd.grad(torch.asinh(x).sin().sum(), x)[0])
        if function is asinh:
            ours = second
    torch.testing.assert_close(ours, second)


def test_it_goes_through_function_transforms():
    x = torch.randn(3, 5000)
    found = torch.func.vmap(torch.func.grad(lambda x: asinh(x).sum()))(x)
    torch.testing.assert_close(found, 1 / (1 + x.square()).sqrt())


def test_a_scale_is_that_of_the_values():
    x = torch.linspace(-30, 30, 5000, dtype=torch.float64, requires_grad=True)
    torch.testing.assert_close(asinh(x, 4.0), 4 * torch.asinh(x / 4))
    (first,) = torch.autograd.grad(asinh(x, 4.0).sum(), x, create_graph=True)
    torch.testing.assert_close(first, torch.autograd.grad(4 * torch.asinh(x / 4).sum(), x)[0])
    torch.testing.assert_close(torch.autograd.grad(first.sum(), x)[0], -x / 16 / (1 + (x / 4).square()) ** 1.5)
