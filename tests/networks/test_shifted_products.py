"""Convolutions by products against PyTorch's, and their derivatives of both orders."""

from __future__ import annotations

import pytest
import torch

from pushforward.networks import layers
from pushforward.networks.layers import Convolution
from pushforward.networks.shifted_products import convolved_by_products, suits_products


@pytest.fixture(autouse=True, params=[0, 100], ids=["products", "convolution with gradients by products"])
def few_maps_at_a_time(monkeypatch, request):
    monkeypatch.setattr("pushforward.networks.shifted_products._LEAST_FORWARD", request.param)
    monkeypatch.setattr("pushforward.networks.shifted_products._CACHE_BYTES", 2 * 4 * 9 * 5 * 3 * 3)


def reference(x, weight, bias, periodic):
    padded = torch.nn.functional.pad(x, (1, 1, 1, 1), mode="circular" if periodic else "constant")
    return torch.nn.functional.conv2d(padded, weight, bias)


@pytest.fixture(params=[(7, 5), (1, 3)], ids=str)
def arguments(request):
    maps = torch.randn(4, 3, *request.param, dtype=torch.float64)
    kernel, bias = torch.randn(4, 3, 3, 3, dtype=torch.float64), torch.randn(4, dtype=torch.float64)
    return [each.requires_grad_() for each in (maps, kernel, bias)]


@pytest.mark.parametrize("periodic", [True, False])
def test_equals_pytorchs_convolution_with_its_gradients(arguments, periodic):
    ours, theirs = convolved_by_products(*arguments, periodic=periodic), reference(*arguments, periodic)
    torch.testing.assert_close(ours, theirs)
    found, expected = (torch.autograd.grad(y.sin().sum(), arguments) for y in (ours, theirs))
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other)


@pytest.mark.parametrize("periodic", [True, False])
def test_can_be_differentiated_twice(arguments, periodic):
    assert torch.autograd.gradgradcheck(lambda *a: convolved_by_products(*a, periodic=periodic).sin(), arguments)


@pytest.mark.parametrize("periodic", [True, False])
def test_single_precision_is_exact_to_a_millionth(periodic):
    x, kernel, bias = torch.randn(3, 16, 32, 32), torch.randn(16, 16, 3, 3), torch.randn(16)
    y = convolved_by_products(x, kernel, bias, periodic=periodic)
    exact = reference(x.double(), kernel.double(), bias.double(), periodic)
    assert (y - exact).norm() < 1e-6 * exact.norm()


def test_layers_use_products_where_they_are_faster(monkeypatch):
    used = []
    monkeypatch.setattr("pushforward.networks.shifted_products.products_are_faster", lambda: True)
    monkeypatch.setattr(layers, "convolved_by_products", lambda x, *_, **__: used.append(x) or x)
    layer, x = Convolution(2, 16, 16, periodic=True), torch.randn(1, 16, 8, 8)
    assert suits_products(x, layer.convolution.weight)
    layer(x)
    assert used
    assert layer(x[:0]).shape == x[:0].shape
    assert not suits_products(x.double(), layer.double().convolution.weight)
