"""Autoregressive transforms: triangular, inverted in three ways that agree, with gradients through the inverse."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from pushforward.networks import MADE
from pushforward.transforms import Affine, MaskedAutoregressive, Sigmoidal, Spline

KINDS = {"affine": Affine(), "spline": Spline(), "sigmoidal": Sigmoidal()}
kinds = pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
# Features, width and depth: fewer and more hidden units than features, one hidden layer and several.
SIZES = {"wide": (5, 32, 3), "narrow": (40, 12, 2), "one-layer": (7, 16, 1)}
sizes = pytest.mark.parametrize(("features", "width", "depth"), SIZES.values(), ids=SIZES)


def built(kind, features, width, depth, *, condition_dim=2, residual=True, decoding="one by one"):
    torch.manual_seed(0)
    network = MADE(features, kind.parameters, condition_dim, width, depth, residual=residual)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.2 * torch.randn_like(parameter))
    return MaskedAutoregressive(kind, network, decoding)


def plain(transform: MaskedAutoregressive, z: Tensor, condition: Tensor | None) -> Tensor:
    """A pass of the whole network for every feature."""
    x = torch.zeros_like(z)
    for feature in range(z.shape[1]):
        x = torch.cat(
            [x[:, :feature], transform.monotone.inverse(z, transform._thetas(x, condition))[0][:, feature:]], 1
        )
    return x


@kinds
@sizes
def test_every_feature_depends_on_all_before_it_and_on_none_after_it(kind, features, width, depth):
    transform = built(kind, features, width, depth).double()
    x, condition = torch.randn(1, features).double(), torch.randn(1, 2).double()
    jacobian = torch.autograd.functional.jacobian(lambda x: transform(x, condition)[0], x)[0, :, 0]
    assert (jacobian.triu(1) == 0).all(), "an output must not depend on a later input"
    if width >= features:
        below = jacobian[torch.tril(torch.ones_like(jacobian), -1).bool()]
        assert (below != 0).all(), "an output must depend on all earlier inputs"


@kinds
@sizes
@pytest.mark.parametrize("residual", [True, False], ids=["residual", "plain"])
def test_both_ways_of_decoding_equal_a_pass_for_every_feature(kind, features, width, depth, residual):
    z, condition = torch.randn(6, features), torch.randn(6, 2)
    with torch.no_grad():
        reference = plain(
            built(kind, features, width, depth, residual=residual).double(), z.double(), condition.double()
        )
        for decoding in ("one by one", "fixed point", "adaptive"):
            transform = built(kind, features, width, depth, residual=residual, decoding=decoding)
            x, log_abs_det = transform.inverse(z, condition)
            assert (x - reference).abs().max() < 1e-5 * (1 + reference.abs().max()), decoding
            assert (log_abs_det + transform(x, condition)[1]).abs().max() < 1e-3, decoding
            x, log_abs_det = transform.double().inverse(z.double(), condition.double())
            assert (x - reference).abs().max() < 1e-11 * (1 + reference.abs().max()), decoding
            assert (log_abs_det + transform(x, condition.double())[1]).abs().max() < 1e-9, decoding


def test_decoding_without_a_condition():
    transform = built(Affine(), 4, 8, 2, condition_dim=0)
    z = torch.randn(3, 4)
    torch.testing.assert_close(transform(transform.inverse(z)[0])[0], z)


@kinds
def test_the_fixed_point_is_exact_where_every_feature_hangs_strongly_on_the_one_before(kind):
    """Weights for which early sweeps are far off: only the last sweeps can be right."""
    transform = built(kind, 24, 48, 2, decoding="fixed point").double()
    with torch.no_grad():
        for parameter in transform.network.parameters():
            parameter.mul_(3)
        z, condition = 5 * torch.randn(50, 24).double(), torch.randn(50, 2).double()
        x, _ = transform.inverse(z, condition)
        assert x.isfinite().all()
        reference = plain(transform, z, condition)
    assert ((x - reference).abs() <= 1e-8 * (1 + reference.abs())).all()


@pytest.mark.parametrize("strength", [0.05, 3.0], ids=["weak", "strong"])
def test_adaptive_decoding_is_exact_whether_the_sweeps_suffice_or_not(strength):
    """Rows in which every feature hangs on the one before beside rows in which the condition switches that off."""
    transform = built(Affine(), 48, 64, 2, decoding="adaptive").double()
    with torch.no_grad():
        for parameter in transform.network.parameters():
            parameter.mul_(strength)
        z, condition = 3 * torch.randn(30, 48).double(), torch.randn(30, 2).double()
        condition[::2] *= 20
        x, log_abs_det = transform.inverse(z, condition)
        reference = plain(transform, z, condition)
    assert ((x - reference).abs() <= 1e-9 * (1 + reference.abs())).all()
    assert (log_abs_det + transform(x, condition)[1]).abs().max() < 1e-8


@kinds
def test_gradients_of_the_inverse_are_those_of_a_pass_for_every_feature(kind):
    transform = built(kind, 5, 16, 2).double()
    z, condition = torch.randn(4, 5).double().requires_grad_(), torch.randn(4, 2).double().requires_grad_()
    sources = [z, condition, *transform.parameters()]
    direction = torch.randn(4, 5).double()

    def gradients(x: Tensor) -> list[Tensor]:
        loss = (direction * x).sum() - transform(x, condition)[1].sum()
        return [
            g if g is not None else torch.zeros_like(s)
            for g, s in zip(torch.autograd.grad(loss, sources, allow_unused=True), sources, strict=True)
        ]

    x, log_abs_det = transform.inverse(z, condition)
    found = torch.autograd.grad((direction * x).sum() + log_abs_det.sum(), sources)
    for ours, theirs in zip(found, gradients(plain(transform, z, condition)), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-7, atol=1e-9)
