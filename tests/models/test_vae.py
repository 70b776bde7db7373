"""The autoencoder: its noise against closed forms, its bound below the density, codes that carry something."""

from __future__ import annotations

import math
from itertools import repeat

import pytest
import torch
from minimise import minimise

import pushforward as pf
from pushforward.conditions import Condition, ConditionSpace
from pushforward.errors import UsageError
from pushforward.models import Batch
from pushforward.models.spectral_noise import GaussianNoise, LongestWaves, hartley
from pushforward.models.vae import VAE
from pushforward.randomness import Draws
from pushforward.spaces import Field, Vector

MIXING = torch.tensor([[1.0, 0.5, -0.5, 0.0, 1.0], [0.0, 1.0, 0.5, -1.0, 0.5]])


def plane(count: int, seed: int = 0) -> torch.Tensor:
    """Five numbers that are mixtures of two, and noise of standard deviation 0.4."""
    generator = torch.Generator().manual_seed(seed)
    clean = torch.randn(count, 2, generator=generator) @ MIXING
    return clean + 0.4 * torch.randn(count, 5, generator=generator)


def log_density(x: torch.Tensor) -> torch.Tensor:
    covariance = MIXING.T @ MIXING + 0.16 * torch.eye(5)
    return torch.distributions.MultivariateNormal(torch.zeros(5), covariance).log_prob(x)


@pytest.fixture(scope="module")
def trained() -> VAE:
    torch.manual_seed(0)
    model = VAE(Vector(5), settings=VAE.Settings(width=32, latent_dim=3))
    model.prepare(Batch(plane(512), None, Draws(0, 512)))

    def batch(step: int) -> Batch:
        return Batch(plane(128, seed=step + 1), None, Draws(step, 128), step / 500)

    return minimise(model, batch, steps=500, learning_rate=5e-3)


def test_the_bound_lies_below_the_density_and_near_it(trained):
    x = plane(4000, seed=12345)
    (turn,) = trained.turns(repeat(Batch(x, None, Draws(0, len(x)), 1.0)))
    gap = float(log_density(x).mean() - turn.logs["elbo"])
    assert -0.05 < gap < 0.5, "the evidence lower bound may not lie above the log-density, and should come near it"


def test_codes_keep_what_distinguishes_samples(trained):
    x = plane(1000, seed=4321)
    with torch.no_grad():
        lost = (trained.decode(trained.encode(x)) - x).square().mean() / x.var(0).mean()
    assert lost < 0.2, "a decoded code must explain most of the variance"


def test_a_code_that_is_not_needed_stays_unused(trained):
    with torch.no_grad():
        _, log_scale = trained.posterior(plane(1000, seed=4321))
    widths = log_scale.exp().mean(0).sort().values
    assert widths[1] < 0.5, "two codes are needed for a plane"
    assert widths[2] > 0.8, "the third code should stay at the prior"


def test_samples_have_the_covariance_of_the_data(trained):
    with torch.no_grad():
        samples = trained.sample(Draws(0, 20_000))
    difference = samples.T.cov() - plane(20_000, seed=7).T.cov()
    assert difference.norm() < 0.15 * plane(20_000, seed=7).T.cov().norm()


def test_the_hartley_transform_is_orthonormal_and_its_own_inverse():
    x = torch.randn(2, 1, 6, 8, dtype=torch.float64)
    torch.testing.assert_close(hartley(hartley(x)), x)
    torch.testing.assert_close(hartley(x).square().sum(), x.square().sum())


@pytest.mark.parametrize("kind", ["channel", "value", "spectrum"])
def test_noise_has_the_density_that_it_is_drawn_from(kind):
    noise = GaussianNoise(Field(2, (4, 4)), kind)
    with torch.no_grad():
        noise.log_amplitude.copy_(torch.linspace(-1.0, 0.5, len(noise.log_amplitude)))
        log_scale = noise.log_scale()
        x = noise.sample(Draws(0, 4000))
        entropy = (log_scale + 0.5 * math.log(2 * math.pi * math.e)).sum()
        mean = noise.log_prob(x).mean()
    # The scatter of one log-density is the root of half the number of values, here 4.
    assert float(mean + entropy) == pytest.approx(0, abs=4 * 4 / 4000**0.5)


def test_noise_can_depend_on_the_condition():
    torch.manual_seed(0)
    noise = GaussianNoise(Vector(1), "value", ConditionSpace(1))
    condition = torch.linspace(-1, 1, 256)[:, None]
    optimiser = torch.optim.Adam(noise.parameters(), lr=1e-2)
    for step in range(300):
        x = condition.exp() * Draws(step, 256).normal(1)
        loss = -noise.log_prob(x, Condition(condition)).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    found = noise.log_scale(Condition(condition)).squeeze().detach()
    assert (found - condition.squeeze()).abs().max() < 0.25, "log-amplitudes must follow the condition"


def test_a_vector_has_no_spectrum():
    with pytest.raises(UsageError, match="spectrum"):
        VAE(Vector(2), settings=VAE.Settings(noise="spectrum"))


def test_what_all_samples_share_is_not_left_to_the_code():
    shared = 5 * torch.linspace(-1, 1, 64).view(1, 8, 8)
    x = shared + 0.1 * torch.randn(64, 1, 8, 8)
    model = VAE(Field(1, (8, 8)), settings=VAE.Settings(width=4))
    model.prepare(Batch(x, None, Draws(0, 64)))
    torch.testing.assert_close(model.centre, x.mean(0))
    field = VAE(Field(1, (8, 8), periodic=True), settings=VAE.Settings(width=4))
    field.prepare(Batch(x, None, Draws(0, 64)))
    torch.testing.assert_close(field.centre, x.mean().expand(1, 8, 8))


def correlated(count: int, seed: int) -> torch.Tensor:
    """Periodic Gaussian maps of 16 x 16 cells, most of whose variance is in their largest scales."""
    k = torch.hypot(*torch.meshgrid(torch.fft.fftfreq(16), torch.fft.rfftfreq(16), indexing="ij"))
    shape = torch.where(k > 0, (k + 0.03) ** -1.5, 0.0)
    noise = torch.randn(count, 1, 16, 16, generator=torch.Generator().manual_seed(seed))
    return torch.fft.irfft2(torch.fft.rfft2(noise) * shape, s=(16, 16)) / shape.square().mean().sqrt()


def test_the_code_of_a_stationary_field_holds_its_largest_scales():
    torch.manual_seed(0)
    model = VAE(Field(1, (16, 16), periodic=True), settings=VAE.Settings(width=8, latent_dim=16, warm_up=0.8))
    model.prepare(Batch(correlated(64, 0), None, Draws(0, 64)))
    optimiser = torch.optim.Adam(model.parameters(), lr=2e-3)
    for step in range(250):
        (turn,) = model.turns(repeat(Batch(correlated(24, step + 1), None, Draws(step, 24), step / 250)))
        optimiser.zero_grad()
        turn.loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 10.0)
        optimiser.step()
    x = correlated(256, 1000)
    with torch.no_grad():
        lost = (model.decode(model.encode(x)) - x).square().mean() / x.var()
        power, wanted = (torch.fft.rfft2(maps).abs().square().mean((0, 1)) for maps in (model.sample(Draws(0, 256)), x))
    assert lost < 0.75, "the code must explain a good part of the variance"
    for scales in ((slice(0, 1), slice(1, 3)), (slice(5, 12), slice(4, 9))):
        assert float(power[scales].sum() / wanted[scales].sum()) == pytest.approx(1, abs=0.3)


def test_the_code_of_a_stationary_field_starts_as_its_longest_waves():
    space = Field(2, (8, 8), periodic=True)
    waves = LongestWaves(space, count=10)
    x = torch.randn(64, *space.shape)
    waves.initialise(x)
    smooth = waves.inverse(waves(x))
    torch.testing.assert_close(waves(smooth), waves(x), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(waves(x).square().mean(), torch.tensor(1.0), rtol=0.1, atol=0)
    spectrum = torch.fft.fft2(smooth).abs()
    assert spectrum[..., 3:6, 3:6].max() < 1e-4, "a short wave is in the field of the longest ones"
    vae = VAE(space, settings=VAE.Settings(latent_dim=10, width=8))
    vae.prepare(Batch(x, None, Draws(0, 64)))
    torch.testing.assert_close(vae.decode(vae.encode(x)) - vae.centre, vae.waves.inverse(vae.waves(x - vae.centre)))


RICHER = {
    "flow prior": {"prior": "flow", "free_bits": 0.1},
    "flow posterior and importance": {"posterior": "flow", "importance": 3},
}


@pytest.mark.parametrize("richer", RICHER.values(), ids=[name.replace(" ", "-") for name in RICHER])
def test_richer_codes_have_bounds_below_the_density_that_more_draws_bring_nearer(richer):
    torch.manual_seed(0)
    model = VAE(Vector(5), settings=VAE.Settings(width=32, latent_dim=3, **richer))
    model.prepare(Batch(plane(512), None, Draws(0, 512)))
    minimise(
        model, lambda step: Batch(plane(128, step + 1), None, Draws(step, 128), step / 200), 200, learning_rate=5e-3
    )
    x = plane(2000, seed=777)
    with torch.no_grad():
        few, many = (model.log_prob_bound(x, Draws(1, len(x)), count=count).mean() for count in (1, 20))
        samples = model.sample(Draws(0, 10_000))
    exact = log_density(x).mean()
    assert few < many < exact + 0.03
    assert exact - many < 0.4
    assert (samples.T.cov() - plane(10_000, seed=7).T.cov()).norm() < 0.25 * plane(10_000, seed=7).T.cov().norm()


def test_free_bits_keep_codes_that_the_bound_would_give_up():
    def divergences(free_bits: float) -> torch.Tensor:
        torch.manual_seed(0)
        model = VAE(Vector(5), settings=VAE.Settings(width=32, latent_dim=4, free_bits=free_bits))
        model.prepare(Batch(plane(512), None, Draws(0, 512)))
        minimise(model, lambda step: Batch(plane(128, step + 1), None, Draws(step, 128), 1.0), 200, learning_rate=5e-3)
        with torch.no_grad():
            mean, log_scale = model.posterior(plane(2000, seed=5))
        return 0.5 * (mean.square() + (2 * log_scale).exp() - 1 - 2 * log_scale).mean(0)

    assert (divergences(1.0) > 0.6).all(), "a bit of each number is free, so that none is worth giving up"
    assert (divergences(0.0) < 0.3).any()


def test_an_emulator_bounds_densities_and_goes_between_samples_in_the_units_of_the_data(tmp_path):
    x = (100 + 20 * plane(600, seed=3)).numpy()
    settings = {"width": 32, "latent_dim": 3, "learning_rate": 5e-3}
    emulator = pf.fit(x, "vae", steps=300, out=tmp_path / "run", settings=settings, progress=False, device="cpu")
    bound = emulator.log_prob_bound(x, 20)
    exact = log_density(torch.from_numpy((x - 100) / 20)) - 5 * math.log(20)
    assert -0.05 < float((exact - bound).mean()) < 1.5
    assert torch.equal(bound, emulator.log_prob_bound(x, 20)), "a seed gives the same bound"
    ways = emulator.interpolate(x[:4], x[4:8], 5)
    assert ways.shape == (4, 5, 5)
    torch.testing.assert_close(ways[:, 0], emulator.decode(emulator.encode(x[:4])), atol=1e-2, rtol=1e-4)
    torch.testing.assert_close(ways[:, -1], emulator.decode(emulator.encode(x[4:8])), atol=1e-2, rtol=1e-4)
    with pytest.raises(UsageError, match="give as many ends as beginnings"):
        emulator.interpolate(x[:4], x[4:7])
