"""Products by either library: the numbers and derivatives of torch's own, whatever the size."""

from __future__ import annotations

import pytest
import torch

from pushforward.tensors import linear, product, products

SHAPES = [((7,), 5, 3), ((256,), 128, 160), ((256,), 160, 128), ((4, 8, 16), 96, 128), ((), 2048, 2100)]


@pytest.fixture(params=SHAPES, ids=str)
def case(request):
    torch.manual_seed(0)
    batch, inputs, outputs = request.param
    x = torch.randn(*batch, inputs, requires_grad=True)
    weight = (torch.randn(outputs, inputs) / inputs**0.5).requires_grad_()
    return x, weight, torch.randn(outputs, requires_grad=True)


def derivatives(function, x, weight, bias):
    """Value, gradients, and the gradients of the gradients' norm."""
    inputs = [z for z in (x, weight, bias) if z is not None]
    out = function(x, weight, bias)
    first = torch.autograd.grad(out.sin().sum(), inputs, create_graph=True)
    second = torch.autograd.grad(sum(z.square().mean() for z in first), inputs)
    return [out, *first, *second]


@pytest.mark.parametrize("biased", [True, False])
def test_linear_and_its_derivatives_are_those_of_torch(case, biased):
    x, weight, bias = case if biased else (*case[:2], None)
    ours, theirs = (derivatives(f, x, weight, bias) for f in (linear, torch.nn.functional.linear))
    for a, b in zip(ours, theirs, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-4 * float(b.detach().abs().max()))


def test_large_products_are_those_of_the_fast_library(monkeypatch):
    if products._onednn is None:
        pytest.skip("the processor has no vectors of 512 bits, or torch no oneDNN")
    calls = []
    monkeypatch.setattr(products, "_onednn", lambda rows, weight, *rest: calls.append(rows) or rows @ weight.T)
    x, weight = torch.randn(256, 256), torch.randn(256, 256, requires_grad=True)
    linear(x, weight).sum().backward()
    assert len(calls) == 2  # forwards, and for the weight
    linear(x[:4], weight)
    linear(x.double(), weight.double())
    with torch.autocast("cpu", torch.bfloat16):
        assert linear(x, weight).dtype == torch.bfloat16
    assert len(calls) == 2


def test_only_what_is_asked_for_gets_a_gradient():
    x, weight = torch.randn(256, 256), torch.randn(256, 256, requires_grad=True)
    out = linear(x, weight)
    out.sum().backward()
    assert weight.grad is not None
    assert not linear(x, weight.detach()).requires_grad
    with torch.no_grad():
        assert torch.equal(linear(x, weight), out)


def test_transforms_of_functions_go_through():
    x, weight = torch.randn(3, 256, 256), torch.randn(256, 256)
    expected = torch.nn.functional.linear(x, weight)
    torch.testing.assert_close(torch.vmap(lambda rows: linear(rows, weight))(x), expected)
    _, change = torch.func.jvp(lambda rows: linear(rows, weight), (x[0],), (x[1],))
    torch.testing.assert_close(change, expected[1])
    slope = torch.func.grad(lambda w: linear(x, w).sum())(weight)
    torch.testing.assert_close(slope, x.flatten(0, 1).sum(0).expand(256, 256), rtol=1e-4, atol=1e-4)


def test_product_takes_turned_matrices():
    rows, weight, bias = torch.randn(300, 200).t(), torch.randn(300, 200).t(), torch.randn(200)
    torch.testing.assert_close(product(rows, weight, bias), torch.addmm(bias, rows, weight.t()), rtol=1e-4, atol=1e-3)
