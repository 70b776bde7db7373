"""Every transform keeps the promises of the contract: inverse, Jacobian, batch, precision, gradients."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

from pushforward.networks import MADE, CausalTransformer, VectorConditioner
from pushforward.transforms import (
    ActNorm,
    Affine,
    CircularSpline,
    Composition,
    Coupling,
    Elementwise,
    Flatten,
    FourierScaling,
    Haar,
    Inverse,
    Linear,
    MaskedAutoregressive,
    MaskedCoupling,
    Monotone,
    Multiscale,
    Patches,
    Permutation,
    Rotation,
    Sigmoidal,
    Spline,
    Split,
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


def given(outputs: int) -> VectorConditioner:
    return VectorConditioner(0, outputs, CONDITION, 8, 1)


def residual(monotone: Monotone) -> Coupling:
    return Coupling(monotone, VectorConditioner(2, monotone.parameters, CONDITION, 12, 3, residual=True), 2)


def causal(monotone: Monotone, tokens: int = 4, features: int = 3) -> MaskedAutoregressive:
    network = CausalTransformer(tokens, features, monotone.parameters * features, CONDITION, width=8, depth=2, heads=2)
    return MaskedAutoregressive(monotone, network)


def fourier(grid: tuple[int, ...], channels: int = 1, *, conditional: bool = False) -> FourierScaling:
    network = VectorConditioner(0, 6 * channels, CONDITION, 8, 1) if conditional else None
    return FourierScaling(channels, grid, knots=5, network=network)


def factored_out() -> Split:
    """Half of the channels leave after a coupling that sees the rest."""
    others = masked((2, *GRID), 0, condition=(1 + CONDITION, *GRID))
    return Split((3, *GRID), 1, others, Composition([masked((1, *GRID), 1), Flatten((1, *GRID))]))


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
    "linear, vector, conditional": (lambda: Linear(FEATURES, given(9)), (FEATURES,), True),
    "linear, field, conditional": (lambda: Linear(FEATURES, given(9)), (FEATURES, *GRID), True),
    "permutation, vector": (lambda: Permutation([2, 0, 1]), (FEATURES,), False),
    "permutation, field": (lambda: Permutation([2, 0, 1]), (FEATURES, *GRID), False),
    "squeeze, 2-D": (Squeeze, (2, *GRID), False),
    "haar, 2-D": (Haar, (2, *GRID), False),
    "haar, 3-D": (Haar, (1, 2, 4, 2), False),
    "flatten": (lambda: Flatten((2, *GRID)), (2, *GRID), False),
    "rotation, vector": (lambda: Rotation(FEATURES), (FEATURES,), False),
    "rotation, field": (lambda: Rotation(FEATURES), (FEATURES, *GRID), False),
    "rotation, vector, conditional": (lambda: Rotation(FEATURES, given(3)), (FEATURES,), True),
    "rotation, field, conditional": (lambda: Rotation(FEATURES, given(3)), (FEATURES, *GRID), True),
    "affine coupling, vector": (lambda: split((FEATURES,), 1), (FEATURES,), True),
    "affine coupling, channels": (lambda: split((3, 2, 4), 2, last=True), (3, 2, 4), True),
    "spline coupling, vector": (lambda: split((FEATURES,), 2, Spline(), last=True), (FEATURES,), True),
    "sigmoidal coupling, vector": (lambda: split((FEATURES,), 1, Sigmoidal()), (FEATURES,), True),
    "coupling of nothing": (lambda: split((FEATURES,), 0, Spline()), (FEATURES,), True),
    "affine masked coupling, field": (lambda: masked((2, *GRID), 1), (2, *GRID), True),
    "spline masked coupling, field": (lambda: masked((2, *GRID), 0, Spline()), (2, *GRID), True),
    "circular coupling, vector": (lambda: split((FEATURES,), 1, CircularSpline()), (FEATURES,), True),
    "residual coupling, vector": (lambda: residual(Spline()), (FEATURES,), True),
    "elementwise spline, vector": (lambda: Elementwise(Spline(), FEATURES), (FEATURES,), False),
    "elementwise spline, field": (lambda: Elementwise(Spline(), 2), (2, *GRID), False),
    "elementwise affine, conditional": (
        lambda: Elementwise(Affine(), 2, given(4)),
        (2, *GRID),
        True,
    ),
    "fourier scaling, 2-D": (lambda: fourier(GRID, 2), (2, *GRID), False),
    "fourier scaling, 3-D": (lambda: fourier((2, 4, 3)), (1, 2, 4, 3), False),
    "fourier scaling, conditional": (lambda: fourier(GRID, conditional=True), (1, *GRID), True),
    "patches, vector": (lambda: Patches((6,), 2), (6,), False),
    "patches, 2-D": (lambda: Patches((2, *GRID), 2), (2, *GRID), False),
    "patches, 3-D": (lambda: Patches((1, 2, 4, 2), 2), (1, 2, 4, 2), False),
    "split": (factored_out, (3, *GRID), True),
    "affine causal transformer": (lambda: causal(Affine()), (4, 3), True),
    "spline causal transformer": (lambda: causal(Spline()), (4, 3), True),
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


def apart(transform: Transform, x: Tensor, y: Tensor) -> Tensor:
    """Distance of values; on a circle of angles the shorter way round."""
    if isinstance(getattr(transform, "monotone", None), CircularSpline):
        return torch.remainder(x - y + math.pi, 2 * math.pi) - math.pi
    return x - y


INVERSE = {torch.float32: 1e-5, torch.float64: 1e-11}
DETERMINANT = {torch.float32: 1e-5, torch.float64: 1e-10}
dtypes = pytest.mark.parametrize("dtype", INVERSE, ids=["float32", "float64"])


@dtypes
def test_inverse_undoes_forward(case, dtype):
    """At ordinary values and the edges of splines; beside values of 1e4, relative to the largest of the sample."""
    transform, shape, _ = case
    transform.to(dtype)
    x, condition = batch(shape, dtype=dtype)
    edges = torch.tensor([-5.0, 5.0, -4.9999995, 5.0000005, 1e4, -1e4], dtype=dtype)
    flat = x.flatten()
    flat[: len(edges)] = edges[: len(flat)]
    with torch.no_grad():
        z, forward = transform(x, condition)
        back, backward = transform.inverse(z, condition)
    error = apart(transform, back, x).abs().flatten(1).amax(1) / (1 + x.abs().flatten(1).amax(1))
    # In a chain the rounding of large values is magnified by what depends on them.
    magnified = 10 if isinstance(transform, Composition) else 1
    assert error.max() <= magnified * INVERSE[dtype], "inverse(forward(x)) is not x"
    scale = 1 + forward.abs().max()
    assert (forward + backward).abs().max() <= 10 * INVERSE[dtype] * scale, "log-determinants must cancel"
    assert forward.shape == (len(x),)


@dtypes
def test_log_determinant_is_that_of_the_jacobian(case, dtype):
    transform, shape, _ = case
    transform.to(dtype)
    x, condition = batch(shape, count=2, dtype=dtype)
    _, log_abs_det = transform(x, condition)
    # Autograd's own Jacobian in double precision, of the same map of the same numbers.
    transform.double()
    x, condition = x.double(), condition.double()
    for row in range(len(x)):
        single = condition[row : row + 1]
        jacobian = torch.autograd.functional.jacobian(lambda v, c=single: transform(v, c)[0], x[row : row + 1])
        size = math.prod(shape)
        expected = torch.linalg.slogdet(jacobian.reshape(size, size)).logabsdet
        error = (log_abs_det[row].double() - expected).abs() / (1 + expected.abs())
        assert error <= DETERMINANT[dtype], "log-determinant differs from autograd's"


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
    assert (apart(transform, back, x).abs() <= 1e-4 * (x.abs() + max(size, 1.0))).all()


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


@pytest.mark.parametrize("block", [1, 2, 3, 16])
def test_tokens_are_decoded_alike_in_blocks_of_any_length(block):
    torch.manual_seed(0)
    transform = causal(Spline(), tokens=7, features=2).double()
    with torch.no_grad():
        for parameter in transform.parameters():
            parameter.add_(0.4 * torch.randn_like(parameter))
        z, condition = 2 * torch.randn(5, 7, 2).double(), torch.randn(5, CONDITION).double()
        transform.decoding = "fixed point"
        expected, log_expected = transform.inverse(z, condition)
        transform.decoding, transform.block = "one by one", block
        x, log_abs_det = transform.inverse(z, condition)
    assert (x - expected).abs().max() < 1e-11
    assert (log_abs_det - log_expected).abs().max() < 1e-10


def test_fourier_scaling_whitens_the_first_batch():
    torch.manual_seed(0)
    waves = torch.fft.fftn(torch.randn(256, 1, 16, 16, dtype=torch.float64), dim=(2, 3))
    k = torch.stack(torch.meshgrid(*[16 * torch.fft.fftfreq(16, dtype=torch.float64)] * 2, indexing="ij"))
    x = torch.fft.ifftn(waves * (1 + k.square().sum(0)).pow(-1), dim=(2, 3)).real
    z = FourierScaling(1, (16, 16)).double().initialise(x)
    power = torch.fft.fftn(z, dim=(2, 3), norm="ortho").abs().square().mean(0)
    assert (power.log().abs() < 0.5).all()
    assert power.mean() == pytest.approx(1.0, abs=0.05)


def test_fourier_scaling_commutes_with_rotations_and_reflections():
    scaling = fourier((6, 6)).double()
    with torch.no_grad():
        scaling.log_transfer.normal_()
    x = torch.randn(2, 1, 6, 6, dtype=torch.float64)
    for move in (lambda x: x.rot90(1, (2, 3)), lambda x: x.flip(3), lambda x: x.roll((2, 5), (2, 3))):
        torch.testing.assert_close(scaling(move(x))[0], move(scaling(x)[0]))


def test_a_patch_that_does_not_fit_is_refused():
    with pytest.raises(ValueError, match="3 does not divide 4 x 6"):
        Patches((1, 4, 6), 3)
