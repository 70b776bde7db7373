"""Wrapping against PyTorch's circular padding, and its derivatives of both kinds."""

from __future__ import annotations

import pytest
import torch

from pushforward.networks.periodic import wrap

GRIDS = {(4, 5): ((1, 2), (2, 1)), (1, 3): ((1, 1), (0, 2)), (3, 4, 5): ((1, 1), (2, 0), (0, 1))}


@pytest.fixture(params=GRIDS, ids=str)
def case(request):
    x = torch.randn(2, 3, *request.param, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    return x.requires_grad_(), GRIDS[request.param]


def circular(x, edges):
    return torch.nn.functional.pad(x, [cells for edge in reversed(edges) for cells in edge], mode="circular")


def test_equals_circular_padding(case):
    x, edges = case
    assert torch.equal(wrap(x, edges), circular(x, edges))


def test_keeps_the_channels_of_a_cell_side_by_side(case):
    x, edges = case
    layout = torch.channels_last if x.ndim == 4 else torch.channels_last_3d
    y = wrap(x, edges)
    assert y.is_contiguous(memory_format=layout)
    (gradient,) = torch.autograd.grad(y.square().sum(), x)
    assert gradient.is_contiguous(memory_format=layout)


def test_derivatives_of_both_orders(case):
    x, edges = case
    assert torch.autograd.gradcheck(lambda x: wrap(x, edges), x)
    assert torch.autograd.gradgradcheck(lambda x: wrap(x, edges), x)


def test_is_understood_by_function_transforms(case):
    x, edges = case
    x = x.detach()
    _, tangent = torch.func.jvp(lambda x: wrap(x, edges), (x,), (2 * x,))
    assert torch.equal(tangent, wrap(2 * x, edges))
    several = torch.stack([x, -x, 3 * x], dim=1)
    assert torch.equal(torch.vmap(lambda x: wrap(x, edges), in_dims=1)(several)[2], wrap(3 * x, edges))


def test_no_edges_change_nothing():
    x = torch.randn(1, 1, 3, 3)
    assert wrap(x, ((0, 0), (0, 0))) is x
