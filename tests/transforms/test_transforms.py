"""Every transform keeps the promises of the contract: inverse, Jacobian, batch, precision, gradients."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

from pushforward.networks import MADE
from pushforward.transforms import (
    ActNorm,
    Affine,
    Composition,
    Coupling,
    Flatten,
    Haar,
    Inverse,
    Linear,
    MaskedAutoregressive,
    MaskedCoupling,
    Monotone,
    Multiscale,
    Permutation,
    Rotation,
    Sigmoidal,
    Spline,
    Squeeze,
    Transform,
    checkerboard,
)

FEATURES = 3
GRID = (4, 6)
CONDITION = 2


class Conditioner(nn.Module):
    """A network of a coupling: a perceptron of everything that it may see, so that the Jacobian is dense.

    Arguments:
        shape: of what it sees.
        outputs: channels of what it gives, on the same grid.
        condition: shape of a condition.
    """

    def __init__(self, shape: tuple[int, ...], outputs: int, condition: tuple[int, ...] = (CONDITION,)):
        super().__init__()
        self.shape = (outputs, *shape[1:])
        size = math.prod(shape) + math.prod(condition)
        self.layers = nn.Sequential(nn.Linear(size, 16), nn.Tanh(), nn.Linear(16, math.prod(self.shape)))

    def forward(self, x: Tensor, condition: Tensor | None) -> Tensor:
        assert condition is not None
        seen = torch.cat([x.flatten(1), condition.flatten(1)], dim=1)
        return self.layers(seen).view(len(x), *self.shape)


def masked(
    shape: tuple[int, ...], parity: int, monotone: Monotone | None = None, condition: tuple[int, ...] = (CONDITION,)
) -> MaskedCoupling:
    monotone = monotone or Affine()
    network = Conditioner(shape, monotone.parameters * shape[0], condition)
    return MaskedCoupling(monotone, network, checkerboard(shape, parity))


def split(shape: tuple[int, ...], keep: int, monotone: Monotone | None = None, *, last: bool = False) -> Coupling:
    monotone = monotone or Affine()
    features, *grid = shape
    outputs = monotone.parameters * (features - keep)
    return Coupling(monotone, Conditioner((keep, *grid), outputs), keep, last=last)


def autoregressive(monotone: Monotone) -> MaskedAutoregressive:
    return MaskedAutoregressive(monotone, MADE(FEATURES, monotone.parameters, CONDITION, width=10, depth=3))


def multiscale() -> Multiscale:
    """Two levels of a periodic-sized field, couplings at each."""
    shape = (1, 4, 8)
    details = [
        Composition([ActNorm(3), Linear(3), masked((3, *grid), level, condition=(1 + CONDITION, *grid))])
        for level, grid in enumerate([(2, 4), (1, 2)])
    ]
    coarse = Composition([Flatten((1, 1, 2)), split((2,), 1)])
    return Multiscale(shape, details, coarse)


# name: (transform, shape of a sample, whether the map depends on the condition)
CASES = {
    "actnorm, vector": (lambda: ActNorm(FEATURES), (FEATURES,), False),
    "actnorm, field": (lambda: ActNorm(FEATURES), (FEATURES, *GRID), False),
    "linear, vector": (lambda: Linear(FEATURES), (FEATURES,), False),
    "linear, one feature": (lambda: Linear(1), (1,), False),
    "linear, field": (lambda: Linear(FEATURES), (FEATURES, *GRID), False),
    "permutation, vector": (lambda: Permutation([2, 0, 1]), (FEATURES,), False),
    "permutation, field": (lambda: Permutation([2, 0, 1]), (FEATURES, *GRID), False),
    "squeeze, 2-D": (Squeeze, (2, *GRID), False),
    "haar, 2-D": (Haar, (2, *GRID), False),
    "haar, 3-D": (Haar, (1, 2, 4, 2), False),
    "flatten": (lambda: Flatten((2, *GRID)), (2, *GRID), False),
    "rotation, vector": (lambda: Rotation(FEATURES), (FEATURES,), False),
    "rotation, field": (lambda: Rotation(FEATURES), (FEATURES, *GRID), False),
    "affine coupling, vector": (lambda: split((FEATURES,), 1), (FEATURES,), True),
    "affine coupling, channels": (lambda: split((3, 2, 4), 2, last=True), (3, 2, 4), True),
    "spline coupling, vector": (lambda: split((FEATURES,), 2, Spline(), last=True), (FEATURES,), True),
    "sigmoidal coupling, vector": (lambda: split((FEATURES,), 1, Sigmoidal()), (FEATURES,), True),
    "coupling of nothing": (lambda: split((FEATURES,), 0, Spline()), (FEATURES,), True),
    "affine masked coupling, field": (lambda: masked((2, *GRID), 1), (2, *GRID), True),
    "spline masked coupling, field": (lambda: masked((2, *GRID), 0, Spline()), (2, *GRID), True),
    "affine autoregressive": (lambda: autoregressive(Affine()), (FEATURES,), True),
    "spline autoregressive": (lambda: autoregressive(Spline()), (FEATURES,), True),
    "sigmoidal autoregressive": (lambda: autoregressive(Sigmoidal()), (FEATURES,), True),
    "inverse of autoregressive": (lambda: Inverse(autoregressive(Spline())), (FEATURES,), True),
    "composition": (
        lambda: Composition(
            [ActNorm(FEATURES), split((FEATURES,), 1), Linear(FEATURES), split((FEATURES,), 2, last=True)]
        ),
        (FEATURES,),
        True,
    ),
    "multiscale": (multiscale, (1, 4, 8), True),
}


@pytest.fixture(params=CASES, ids=lambda name: name.replace(", ", "-").replace(" ", "-"))
def case(request) -> tuple[Transform, tuple[int, ...], bool]:
    """A transform with random parameters, the shape of its samples, and whether it is conditional."""
    build, shape, conditional = CASES[request.param]
    torch.manual_seed(0)
    transform = build()
    with torch.no_grad():
        for parameter in transform.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    return transform, shape, conditional


def batch(shape: tuple[int, ...], count: int = 5, dtype: torch.dtype = torch.float64) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(count, *shape, generator=generator, dtype=dtype)
    return x, torch.randn(count, CONDITION, generator=generator, dtype=dtype)


def test_inverse_undoes_forward(case):
    transform, shape, _ = case
    transform.double()
    x, condition = batch(shape)
    z, forward = transform(x, condition)
    back, backward = transform.inverse(z, condition)
    torch.testing.assert_close(back, x, msg="inverse(forward(x)) is not x")
    torch.testing.assert_close(forward, -backward, msg="log-determinants of the two directions do not cancel")
    assert forward.shape == (len(x),)


def test_log_determinant_is_that_of_the_jacobian(case):
    transform, shape, _ = case
    transform.double()
    x, condition = batch(shape, count=2)
    _, log_abs_det = transform(x, condition)
    for row in range(len(x)):
        single = condition[row : row + 1]
        jacobian = torch.autograd.functional.jacobian(lambda v, c=single: transform(v, c)[0], x[row : row + 1])
        size = math.prod(shape)
        expected = torch.linalg.slogdet(jacobian.reshape(size, size)).logabsdet
        torch.testing.assert_close(log_abs_det[row], expected, msg="log-determinant differs from autograd's")


def test_samples_do_not_see_each_other(case):
    transform, shape, _ = case
    transform.double()
    x, condition = batch(shape)
    z, log_abs_det = transform(x, condition)
    z_first, det_first = transform(x[:2], condition[:2])
    torch.testing.assert_close(z_first, z[:2], msg="a sample's image depends on the rest of the batch")
    torch.testing.assert_close(det_first, log_abs_det[:2])


def test_conditions_matter_where_they_should(case):
    transform, shape, conditional = case
    transform.double()
    x, condition = batch(shape)
    same = torch.equal(transform(x, condition)[0], transform(x, condition + 1)[0])
    assert same != conditional, "a conditional transform must depend on its condition, any other must not"


def test_gradients_reach_every_parameter(case):
    transform, shape, _ = case
    x, condition = batch(shape, dtype=torch.float32)
    z, log_abs_det = transform(x.requires_grad_(), condition)
    (z.square().sum() + log_abs_det.sum()).backward()
    # The triangles of a 1 x 1 matrix are empty.
    parameters = {name: p for name, p in transform.named_parameters() if p.numel()}
    missing = [name for name, p in parameters.items() if p.grad is None or not p.grad.abs().sum() > 0]
    assert not missing, f"no gradient reached {missing}"


@pytest.mark.parametrize("size", [0.0, 1.0, 1e3])
def test_float32_stays_finite_and_invertible(case, size):
    transform, shape, _ = case
    x, condition = batch(shape, dtype=torch.float32)
    x = size * x
    z, log_abs_det = transform(x, condition)
    back, _ = transform.inverse(z, condition)
    assert z.isfinite().all(), f"not finite for inputs of {size}"
    assert log_abs_det.isfinite().all(), f"log-determinant not finite for inputs of {size}"
    torch.testing.assert_close(back, x, rtol=1e-4, atol=1e-4 * max(size, 1.0))


def test_initialise_returns_the_transformed_batch(case):
    transform, shape, _ = case
    transform.double()
    x, condition = batch(shape)
    z = transform.initialise(3 * x + 1, condition)
    torch.testing.assert_close(z, transform(3 * x + 1, condition)[0])


def test_actnorm_standardises_the_first_batch():
    x = 5 + 3 * torch.randn(64, 2, 4, 4, dtype=torch.float64)
    z = ActNorm(2).double().initialise(x)
    rows = z.transpose(0, 1).flatten(1)
    torch.testing.assert_close(rows.mean(1), torch.zeros(2, dtype=torch.float64), atol=1e-12, rtol=0)
    torch.testing.assert_close(rows.std(1, correction=0), torch.ones(2, dtype=torch.float64))


def test_actnorm_survives_a_constant_feature():
    assert ActNorm(2).initialise(torch.ones(8, 2)).isfinite().all()


def test_couplings_pass_on_what_the_mask_shows_and_bound_the_rest():
    layer = masked((FEATURES,), 0)
    with torch.no_grad():
        for parameter in layer.network.parameters():
            parameter.mul_(1e3)
    x, condition = batch((FEATURES,), dtype=torch.float32)
    z, log_abs_det = layer(x, condition)
    assert torch.equal(z[:, [0, 2]], x[:, [0, 2]])
    assert (log_abs_det.abs() <= layer.monotone.limit).all(), (
        "one hidden feature may change volume by at most exp(limit)"
    )


def test_checkerboards_of_opposite_parity_are_a_partition():
    for shape in [(1,), (5,), (3, 4, 6), (1, 3, 5)]:
        assert torch.equal(checkerboard(shape, 0) + checkerboard(shape, 1), torch.ones(shape))


def test_haar_leads_with_the_block_means():
    x = torch.randn(2, 3, 4, 6, dtype=torch.float64)
    z, _ = Haar()(x)
    torch.testing.assert_close(z[:, :3] / 2, nn.functional.avg_pool2d(x, 2))
    torch.testing.assert_close(z.square().sum(), x.square().sum(), msg="an orthogonal transform keeps the norm")


def test_squeeze_is_the_inverse_of_pixel_shuffle_up_to_the_order_of_channels():
    x = torch.randn(2, 1, 4, 6)
    z, _ = Squeeze()(x)
    cells = nn.functional.pixel_unshuffle(x, 2)
    torch.testing.assert_close(z.sort(dim=1).values, cells.sort(dim=1).values)


def test_an_odd_grid_is_one_clear_sentence():
    with pytest.raises(ValueError, match="5 x 4 cannot be halved; crop or pad"):
        Haar()(torch.zeros(1, 1, 5, 4))


def test_permutation_refuses_what_is_none():
    with pytest.raises(ValueError, match="not a permutation"):
        Permutation([0, 0, 2])


def test_details_decide_only_the_latents_of_their_own_level():
    """The latents of the finest level come last, and those of coarser levels do not see the finest details."""
    transform = multiscale().double()
    x, condition = batch((1, 4, 8))
    block = Haar().inverse(torch.cat([torch.zeros(5, 1, 2, 4), torch.randn(5, 3, 2, 4)], dim=1).double())[0]
    z, moved = transform(x, condition)[0], transform(x + block, condition)[0]
    fine = 3 * 2 * 4
    torch.testing.assert_close(moved[:, :-fine], z[:, :-fine])
    assert not torch.allclose(moved[:, -fine:], z[:, -fine:])
