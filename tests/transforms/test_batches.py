"""Batches that users compose by hand: empty, of half precision, of the wrong shape, with missing values."""

from __future__ import annotations

import math

import pytest
import torch
from test_transforms import CONDITION, batch, case  # noqa: F401

from pushforward.errors import UsageError
from pushforward.networks import MADE, CausalTransformer, FieldConditioner, VectorConditioner
from pushforward.transforms import (
    ActNorm,
    Affine,
    Angles,
    CircularSpline,
    Composition,
    Coupling,
    Elementwise,
    Flatten,
    FourierScaling,
    Linear,
    MaskedAutoregressive,
    MaskedCoupling,
    OnFeatures,
    Patches,
    Permutation,
    Rotation,
    Sigmoidal,
    Spline,
    checkerboard,
)


@torch.no_grad()
def test_an_empty_batch_has_an_empty_image(case):  # noqa: F811
    transform, shape, _ = case
    x, condition = batch(shape, count=0, dtype=torch.float32)
    z, log_abs_det = transform(x, condition)
    back, backward = transform.inverse(z, condition)
    assert back.shape == (0, *shape)
    assert log_abs_det.shape == backward.shape == (0,)


@torch.no_grad()
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=["float16", "bfloat16"])
def test_half_precision_is_rounded_and_not_wrong(case, dtype):  # noqa: F811
    transform, shape, _ = case
    x, condition = batch(shape, count=3, dtype=torch.float32)
    expected, expected_det = transform(x, condition)
    transform.to(dtype)
    z, log_abs_det = transform(x.to(dtype), condition.to(dtype))
    back, _ = transform.inverse(z, condition.to(dtype))
    assert z.dtype == log_abs_det.dtype == back.dtype == dtype
    steps = 60 * torch.finfo(dtype).eps
    scale = 1 + expected.abs().max()
    error = (z.float() - expected).abs()
    if any(isinstance(getattr(each, "monotone", None), CircularSpline) for each in transform.modules()):
        error = torch.minimum(error, 2 * math.pi - error)
    assert error.median() < steps * scale
    assert (log_abs_det.float() - expected_det).abs().max() < steps * math.prod(shape) * (1 + expected_det.abs().max())
    assert back.isfinite().all()


WRONG = {
    "a condition of another width": (lambda: Coupling(Affine(), VectorConditioner(1, 2, CONDITION), 1), (2,), 5),
    "no condition": (lambda: Coupling(Affine(), VectorConditioner(1, 2, CONDITION), 1), (2,), None),
    "no condition, autoregressive": (lambda: MaskedAutoregressive(Affine(), MADE(3, 2, CONDITION)), (3,), None),
    "a condition of tokens": (
        lambda: MaskedAutoregressive(Affine(), CausalTransformer(2, 3, 6, CONDITION, 8, 1, 2)),
        (2, 3),
        1,
    ),
    "a condition of a field": (
        lambda: MaskedCoupling(Affine(), FieldConditioner(1, 2, CONDITION), checkerboard((1, 2, 2), 0)),
        (1, 2, 2),
        3,
    ),
    "features": (lambda: MaskedAutoregressive(Affine(), MADE(3, 2)), (4,), None),
    "fewer features": (lambda: MaskedAutoregressive(Affine(), MADE(3, 2)), (2,), None),
    "outputs of a coupling": (lambda: Coupling(Spline(), VectorConditioner(1, 2), 1), (2,), None),
    "kept features": (lambda: Coupling(Affine(), VectorConditioner(3, 2), 3), (2,), None),
    "a mask": (lambda: MaskedCoupling(Affine(), FieldConditioner(1, 2), checkerboard((1, 2, 2), 0)), (1, 2, 4), None),
    "one scale for all": (lambda: ActNorm(1), (3,), None),
    "one map for all": (lambda: Elementwise(Affine(), 1), (3,), None),
    "a permutation of fewer": (lambda: Permutation([1, 0]), (3,), None),
    "a matrix": (lambda: Linear(2), (3,), None),
    "a rotation": (lambda: Rotation(2), (3,), None),
    "one spectrum for all": (lambda: FourierScaling(1, (4, 4)), (2, 4, 4), None),
    "angles": (lambda: Angles([0.0], [1.0]), (2,), None),
    "a grid of patches": (lambda: Patches((1, 4, 4), 2), (1, 2, 8), None),
    "a grid to flatten": (lambda: Flatten((2, 3)), (3, 2), None),
}


@torch.no_grad()
@pytest.mark.parametrize(("build", "shape", "width"), WRONG.values(), ids=WRONG)
def test_a_batch_that_does_not_fit_is_one_sentence(build, shape, width):
    transform = build()
    condition = None if width is None else torch.zeros(4, width)
    for direction in (transform, transform.inverse):
        if isinstance(transform, Flatten | Patches) and direction is not transform:
            continue
        with pytest.raises(UsageError, match=r"given|expected|outputs|does not fit"):
            direction(torch.zeros(4, *shape), condition)


@pytest.mark.parametrize(
    "build",
    [
        lambda: Affine(limit=0.0),
        lambda: Spline(bins=0),
        lambda: Spline(bound=-1.0),
        lambda: CircularSpline(bins=0),
        lambda: Sigmoidal(components=0),
        lambda: Angles([0.0], [0.0]),
        lambda: Angles([0.0, 1.0], [1.0]),
        lambda: OnFeatures(ActNorm(2), [1, 1]),
        lambda: Composition([FourierScaling(1, (4, 4))]).initialise(torch.zeros(0, 1, 4, 4)),
        lambda: Composition([ActNorm(2)]).initialise(torch.zeros(0, 2)),
    ],
)
def test_sizes_that_make_no_map_are_refused(build):
    with pytest.raises(UsageError, match=r"give|first batch|angles need"):
        build()


def test_a_spline_of_one_bin_is_the_identity():
    x = torch.linspace(-6, 6, 25)
    z, log_derivative = Spline(bins=1).forward(x, torch.randn(2, 25))
    torch.testing.assert_close(z, x)
    torch.testing.assert_close(log_derivative, torch.zeros(25), atol=1e-6, rtol=0)


@torch.no_grad()
@pytest.mark.parametrize("decoding", ["adaptive", "one by one", "fixed point"])
@pytest.mark.parametrize("monotone", [Affine(), Spline()], ids=["affine", "spline"])
def test_a_missing_code_gives_no_sample_and_leaves_the_others(monotone, decoding):
    torch.manual_seed(0)
    features = 40
    network = MADE(features, monotone.parameters, width=40)
    for parameter in network.parameters():
        parameter.add_(0.1 * torch.randn_like(parameter))
    transform = MaskedAutoregressive(monotone, network, decoding)
    z = torch.randn(3, features)
    expected, _ = transform.inverse(z[[0, 2]])
    z[1, 1] = torch.nan
    x, _ = transform.inverse(z)
    assert x[1].isnan().any(), "a sample was made up"
    torch.testing.assert_close(x[[0, 2]], expected, atol=1e-4, rtol=1e-4)
