"""The denoiser of a Gaussian field, against linear algebra and against samples of its own."""

from __future__ import annotations

import pytest
import torch

from pushforward.conditions import Condition, ConditionSpace
from pushforward.randomness import Draws
from pushforward.spaces import Field, Vector
from pushforward.transport import INTEGRATORS, GaussianDenoiser, Straight, VPCosine, flow, real_waves, sample, time_grid

SPACES = {
    "vector": Vector(3),
    "periodic": Field(1, (8, 8), periodic=True),
    "edges": Field(2, (6, 9)),
    "cube": Field(1, (4, 4, 4), periodic=True),
}
spaces = pytest.mark.parametrize("space", SPACES.values(), ids=SPACES.keys())


@pytest.mark.parametrize("cells", [1, 2, 7, 16])
@pytest.mark.parametrize("periodic", [True, False])
def test_waves_are_an_orthonormal_basis(cells, periodic):
    waves = real_waves(cells, periodic=periodic)
    torch.testing.assert_close(waves @ waves.T, torch.eye(cells), rtol=0, atol=1e-5)


def test_periodic_waves_share_the_power_of_the_fourier_transform():
    x = torch.randn(5, 16, generator=torch.Generator().manual_seed(0))
    modes = x @ real_waves(16, periodic=True).T
    power = torch.fft.rfft(x, norm="ortho").abs().square()
    torch.testing.assert_close(modes[:, 0].square(), power[:, 0])
    torch.testing.assert_close(modes[:, 1:15].square().view(5, 7, 2).sum(2), 2 * power[:, 1:8])
    torch.testing.assert_close(modes[:, 15].square(), power[:, 8])


def powered(space, seed=0):
    denoiser = GaussianDenoiser(space)
    torch.nn.init.normal_(denoiser.raw_log_power, std=0.2, generator=torch.Generator().manual_seed(seed))
    return denoiser


@spaces
def test_estimates_are_those_of_the_covariance_matrix(space):
    """The covariance is read off the denoiser itself, as E[x | z] = Cov (Cov + 1)^-1 z where alpha = sigma = 1/2."""
    denoiser, size = powered(space).double(), space.size
    half = Straight().moments([0.5])[0]
    with torch.no_grad():
        ratio = 0.5 * denoiser(torch.eye(size, dtype=torch.float64).view(size, *space.shape), half).data.view(
            size, size
        )
        covariance = torch.linalg.solve(torch.eye(size).double() - ratio, ratio)
        assert torch.linalg.eigvalsh(covariance).min() > 0
        for moment in Straight().moments([0.1, 0.8]):
            z = torch.randn(4, *space.shape, dtype=torch.float64)
            solved = torch.linalg.solve(
                moment.alpha**2 * covariance + moment.sigma**2 * torch.eye(size).double(), z.flatten(1).T
            ).T
            data, noise = denoiser(z, moment)
            torch.testing.assert_close(data.flatten(1), moment.alpha * solved @ covariance, rtol=0, atol=1e-5)
            torch.testing.assert_close(noise.flatten(1), moment.sigma * solved, rtol=0, atol=1e-5)
            torch.testing.assert_close(moment.mix(data, noise), z, rtol=0, atol=1e-5)


@spaces
def test_samples_have_the_power_that_data_gave(space):
    source, fitted = powered(space), GaussianDenoiser(space)
    times = time_grid(VPCosine(), 30)
    with torch.no_grad():
        x = sample(source, VPCosine(), times, Draws(0, 3000), space.shape, method="heun")
    fitted.initialise(x)
    torch.testing.assert_close(fitted.log_power(), source.log_power(), rtol=0, atol=0.15)


@spaces
def test_conditions_change_the_power_and_untold_ones_do_not(space):
    denoiser = GaussianDenoiser(space, ConditionSpace(2))
    torch.nn.init.normal_(denoiser.change[-1].weight)
    condition = torch.tensor([[1.0, -1.0], [torch.nan, torch.nan], [0.0, 0.0]])
    first, untold, mean = denoiser.log_power(Condition(condition))
    torch.testing.assert_close(untold, mean)
    assert (first - mean).abs().max() > 0.01


def test_the_answer_is_single_precision_under_autocast():
    denoiser, (moment,) = powered(Field(1, (16, 16), periodic=True)), Straight().moments([0.3])
    z = torch.randn(2, 1, 16, 16)
    with torch.autocast("cpu", torch.bfloat16):
        low = denoiser(z, moment).data
    assert torch.equal(low, denoiser(z, moment).data)


@spaces
def test_the_whitened_state_of_a_gaussian_field_stands_still(space):
    """Following the flow in z carries it where the whitened state says."""
    denoiser, line = powered(space).double(), Straight()
    z = torch.randn(3, *space.shape, dtype=torch.float64)
    times = time_grid(line, 40, "angle", start=0.9, stop=0.05)
    first, last = line.moments([times[0], times[-1]])
    with torch.no_grad():
        followed = flow(denoiser, line, times, z, INTEGRATORS["rk4"])
        stood = denoiser.colour(denoiser.whiten(z, first), last)
    torch.testing.assert_close(followed, stood, rtol=0, atol=1e-4)
    torch.testing.assert_close(denoiser.colour(denoiser.whiten(z, last), last), z, rtol=0, atol=1e-5)


def test_the_volume_of_whitening_is_the_determinant_of_its_jacobian():
    space = Field(1, (3, 4), periodic=True)
    denoiser, (moment,) = powered(space).double(), Straight().moments([0.3])
    with torch.no_grad():
        matrix = denoiser.whiten(torch.eye(12, dtype=torch.float64).view(12, 1, 3, 4), moment).view(12, 12)
        assert float(denoiser.log_volume(moment)) == pytest.approx(float(torch.linalg.slogdet(matrix)[1]), abs=1e-5)


def test_modes_that_hold_more_data_than_noise_are_damped():
    denoiser = powered(Field(1, (8, 8), periodic=True))
    root = denoiser.log_power().exp().sqrt()[denoiser.index]
    x = torch.randn(2, 1, 8, 8)
    for moment in Straight().moments([0.0, 0.3, 0.7, 1.0]):
        data, noise = moment.alpha * root, torch.full_like(root, float(moment.sigma))
        weight = torch.where(data > noise, 2 * data * noise / (data**2 + noise**2), torch.ones(()))
        found = denoiser.modes(denoiser.undecided(x, moment))
        torch.testing.assert_close(found, weight * denoiser.modes(x), rtol=0, atol=1e-5)
