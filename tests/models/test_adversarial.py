"""Adversarial networks: penalties in closed form, options, the bands, and what a stationary generator starts as."""

from __future__ import annotations

from itertools import repeat

import pytest
import torch

import pushforward as pf
from pushforward.conditions import Condition, ConditionSpace
from pushforward.errors import UsageError
from pushforward.models import Batch
from pushforward.models.adversarial_losses import LOSSES
from pushforward.models.critic_penalties import gradient_penalty, squared_slope
from pushforward.models.gan import GAN
from pushforward.models.packing import pack
from pushforward.models.r3gan import R3GAN
from pushforward.models.wavelet_bands import WaveletBands, halvings_for
from pushforward.models.wgan import WGANGP
from pushforward.randomness import Draws
from pushforward.spaces import Field, Particles, Vector
from pushforward.statistics import power_spectrum

PERIODIC = Field(1, (32, 32), periodic=True)


def correlated(count: int, seed: int = 0) -> torch.Tensor:
    """Periodic Gaussian maps whose power falls with the wavenumber."""
    generator = torch.Generator().manual_seed(seed)
    k = torch.hypot(*torch.meshgrid(torch.fft.fftfreq(32), torch.fft.rfftfreq(32), indexing="ij"))
    noise = torch.fft.rfft2(torch.randn(count, 1, 32, 32, generator=generator))
    maps = torch.fft.irfft2(noise / (k + 0.05), s=(32, 32))
    return maps / maps.std()


def test_the_penalty_of_a_linear_critic_follows_from_its_slope():
    slope = torch.tensor([3.0, 4.0])
    penalty = gradient_penalty(lambda x, _: x @ slope, torch.randn(7, 2))
    torch.testing.assert_close(penalty, torch.full((7,), 16.0))


@pytest.mark.parametrize(("slope", "expected"), [((3.0, 4.0), 16.0), ((0.3, 0.4), 0.0), ((0.0, 0.0), 0.0)])
def test_the_one_sided_penalty_is_of_slopes_above_one(slope, expected):
    penalty = gradient_penalty(lambda x, _: x @ torch.tensor(slope), torch.randn(7, 2), one_sided=True)
    torch.testing.assert_close(penalty, torch.full((7,), expected))


def test_the_penalty_teaches_the_critic():
    slope = torch.tensor([0.3, 0.4], requires_grad=True)
    gradient_penalty(lambda x, _: x @ slope, torch.randn(7, 2)).mean().backward()
    torch.testing.assert_close(slope.grad, 2 * (0.5 - 1) * slope.detach() / 0.5)


@pytest.mark.parametrize(
    ("grid", "expected"), [((64, 64), 2), ((32, 32), 1), ((8, 8), 0), ((64, 30), 0), ((64, 48), 1)]
)
def test_grids_are_halved_down_to_sixteen_cells(grid, expected):
    assert halvings_for(Field(1, grid)) == expected


def test_cubes_are_halved_down_to_eight_cells():
    cube = Field(1, (32, 32, 32), periodic=True)
    assert WGANGP(cube).coordinates.space.grid == (8, 8, 8)
    assert WGANGP.training_defaults_for(cube)["batch_size"] < WGANGP.training_defaults_for(PERIODIC)["batch_size"]


def test_bands_are_standardised_and_lose_nothing():
    x = 3 * correlated(16) + 2
    bands = WaveletBands(PERIODIC, 2)
    bands.initialise(x)
    coefficients = bands(x)
    assert coefficients.shape == (16, *bands.space.shape) == (16, 16, 8, 8)
    rows = coefficients.transpose(0, 1).flatten(1)
    torch.testing.assert_close(rows.mean(1), torch.zeros(16), atol=1e-4, rtol=0)
    torch.testing.assert_close(rows.std(1, correction=0), torch.ones(16), atol=1e-4, rtol=0)
    torch.testing.assert_close(bands.inverse(coefficients), x, atol=1e-4, rtol=1e-4)


def test_samples_of_a_stationary_field_start_with_the_power_of_the_data():
    x = correlated(64)
    model = WGANGP(PERIODIC, settings=WGANGP.Settings(width=8, critic_width=4)).eval()
    model.prepare(Batch(x, None, Draws(0, 64)))
    with torch.no_grad():
        samples = model.sample(Draws(1, 64))
    found, wanted = (power_spectrum(fields, box=1.0).power.mean((0, 1)) for fields in (samples, x))
    # The fundamental has 64 x 4 modes: a tenth of its power is one standard error of the ratio.
    assert ((found / wanted).log().abs() < 0.4).all()


def test_a_stationary_generator_moves_with_its_noise():
    torch.manual_seed(0)
    model = WGANGP(PERIODIC, settings=WGANGP.Settings(width=8, critic_width=4)).eval()
    model.prepare(Batch(correlated(16), None, Draws(0, 16)))
    with torch.no_grad():
        for weights in model.generator.parameters():
            weights.add_(0.1 * torch.randn_like(weights))
        noise = torch.randn(2, *model.coordinates.space.shape)
        still = model.decode(noise.flatten(1))
        moved = model.decode(noise.roll((4, 8), (2, 3)).flatten(1))
    torch.testing.assert_close(moved, still.roll((8, 16), (2, 3)), atol=1e-3, rtol=1e-3)


def test_mean_and_spectrum_are_fitted_at_each_condition():
    torch.manual_seed(0)
    given = torch.tensor([-1.0, 1.0]).repeat_interleave(64)[:, None]
    # at one condition twice the amplitude, and another mean
    x = correlated(128) * (1.5 + 0.5 * given[..., None, None]) + given[..., None, None]
    model = WGANGP(PERIODIC, ConditionSpace(1), WGANGP.Settings(width=4, critic_width=4))
    batch = Batch(x, Condition(given), Draws(0, 128))
    model.prepare(batch)
    white = model.coordinates(x, batch.condition).detach()
    for half in white.split(64):
        assert abs(float(half.std()) - 1) < 0.05
        assert abs(float(half.mean())) < 0.05
    torch.testing.assert_close(model.coordinates.inverse(white, batch.condition), x, atol=1e-3, rtol=1e-3)


def test_a_game_cannot_change_the_power_of_a_shell():
    torch.manual_seed(0)
    model = WGANGP(PERIODIC, settings=WGANGP.Settings(width=4, critic_width=4))
    x = torch.randn(8, *model.coordinates.space.shape)
    louder, weights = torch.ones((), requires_grad=True), torch.randn(8, *model.coordinates.space.shape)
    score = (model.coordinates.normalised(louder * x) ** 3 * weights).sum()
    (slope,) = torch.autograd.grad(score, louder)
    assert abs(float(slope)) < 1e-3 * abs(float(score.detach()))


def test_samples_have_the_spectrum_of_the_data_whatever_was_learnt():
    torch.manual_seed(0)
    x, given = correlated(256), torch.linspace(-1, 1, 256)[:, None]
    model = WGANGP(PERIODIC, ConditionSpace(1), WGANGP.Settings(width=8, critic_width=4))
    batch = Batch(x * (2 + given[..., None, None]), Condition(given), Draws(0, 256))
    model.prepare(batch)
    model.kept.keep(batch.x, batch.condition)
    with torch.no_grad():
        for weights in model.generator.parameters():
            weights.add_(0.1 * torch.randn_like(weights))
        for low, high in ((0, 85), (171, 256)):
            told = Condition(given[low:high])
            model.train()
            off, real = (
                power_spectrum(each, box=1.0).power.mean((0, 1))[1:8]
                for each in (model.sample(Draws(1, high - low), told), batch.x[low:high])
            )
            assert (off / real).log().abs().max() > 0.3
            found = power_spectrum(model.eval().sample(Draws(1, high - low), told), box=1.0).power.mean((0, 1))[1:8]
            assert (found / real).log().abs().max() < 0.3


@pytest.mark.parametrize("options", [{"network": "dcgan"}, {"latent_dim": 8}])
def test_a_generator_that_starts_from_a_vector_makes_fields_that_are_not_whitened(options):
    model = WGANGP(PERIODIC, settings=WGANGP.Settings(width=4, critic_width=4, **options))
    assert model.coordinates.gaussian is None
    assert "spectrum" not in model.players()


def test_clipping_bounds_the_critic():
    model = WGANGP(Vector(2), settings=WGANGP.Settings(constraint="clipping", clip=0.02))
    next(iter(model.turns(repeat(Batch(torch.randn(8, 2), None, Draws(0, 8))))))
    assert max(float(weights.detach().abs().max()) for weights in model.critic.parameters()) <= 0.02


def test_particles_are_refused():
    with pytest.raises(UsageError, match="vectors and fields"):
        WGANGP(Particles(4, 2))


def test_the_best_critic_of_a_cross_entropy_is_the_log_ratio_of_densities():
    real, fake = torch.tensor([0.7, 0.2, 0.1]), torch.tensor([0.1, 0.3, 0.6])
    f = torch.zeros(3, requires_grad=True)
    optimiser = torch.optim.LBFGS([f], max_iter=200)
    critic = LOSSES["non-saturating"].critic

    def closure():
        optimiser.zero_grad()
        # Expectations over three points, by their probabilities; a score of 1e9 adds nothing.
        points = zip(f, real, fake, strict=True)
        loss = sum(r * critic(v[None], v[None] - 1e9) + q * critic(v[None] + 1e9, v[None]) for v, r, q in points)
        loss.backward()
        return loss

    optimiser.step(closure)
    torch.testing.assert_close(f.detach(), (real / fake).log(), atol=1e-3, rtol=1e-3)


def test_the_minimax_generator_learns_nothing_from_a_sure_critic():
    sure = torch.full((4,), -20.0, requires_grad=True)
    slopes = {
        name: torch.autograd.grad(LOSSES[name].generator(sure.detach(), sure), sure)[0].abs().max() for name in LOSSES
    }
    assert slopes["minimax"] < 1e-8
    assert slopes["non-saturating"] == pytest.approx(0.25)
    assert slopes["wasserstein"] == pytest.approx(0.25)


OPTIONS = {
    "relativistic": {"loss": "relativistic", "constraint": "zero-centred", "final_penalty": 0.01},
    "least-squares": {"loss": "least-squares", "constraint": "zero-centred"},
    "minimax": {"loss": "minimax", "constraint": "none"},
    "one-sided": {"loss": "wasserstein", "constraint": "one-sided"},
    "dcgan": {"network": "dcgan"},
    "dcgan-r3": {"network": "dcgan", "loss": "relativistic", "constraint": "zero-centred"},
    "packing": {"packing": 2},
    "spectral-norm": {"spectral_norm": True, "constraint": "none", "loss": "non-saturating"},
    "noise": {"instance_noise": 0.5, "latent_bits": 3},
    "projection": {"conditioning": "projection", "critic_octaves": 2},
    "auxiliary": {"conditioning": "auxiliary", "packing": 2},
}
GAME_SPACES = {
    "vector": Vector(2),
    "map": PERIODIC,
    "odd": Field(2, (9, 13)),
    "cube": Field(1, (8, 8, 8), periodic=True),
}


@pytest.mark.parametrize("key", GAME_SPACES)
@pytest.mark.parametrize("option", OPTIONS)
def test_every_option_teaches_every_parameter_on_every_space(option, key):
    space, numbers = GAME_SPACES[key], 2
    if OPTIONS[option].get("network") == "dcgan" and isinstance(space, Vector):
        pytest.skip("a vector has no convolutional network")
    torch.manual_seed(0)
    model = GAN(space, ConditionSpace(numbers), GAN.Settings(width=4, critic_width=4, **OPTIONS[option]))
    batch = Batch(torch.randn(4, *space.shape), Condition(torch.randn(4, numbers)), Draws(0, 4), progress=0.25)
    model.prepare(batch)
    players = model.players()
    for turn in model.turns(repeat(batch)):
        assert torch.isfinite(turn.loss)
        turn.loss.backward(inputs=list(players[turn.player].parameters))
    # Networks start with layers of zeros, behind which there is no gradient yet; what is left out has none at all.
    idle = ("untold", "critic.encoder.network.output.bias", "critic.encoder.network.mlp.6.bias", "critic.output.bias")
    trained = [(n, p) for n, p in model.named_parameters() if p.requires_grad]
    lost = [n for n, p in trained if p.grad is None and not n.endswith(idle)]
    assert not lost, f"no turn reaches {lost}"
    assert model.sample(Draws(1, 3), Condition(torch.zeros(3, numbers))).shape == (3, *space.shape)


def test_a_vector_has_no_dcgan():
    with pytest.raises(UsageError, match="network=dcgan is convolutional"):
        GAN(Vector(2), settings=GAN.Settings(network="dcgan"))


def test_a_pack_larger_than_the_batch_is_refused():
    with pytest.raises(UsageError, match=r"batch of 3 .* pack of 4"):
        pack(torch.zeros(3, 2), 4)


def test_the_squared_slope_of_a_linear_critic_is_that_of_its_weights():
    x = torch.randn(5, 2, requires_grad=True)
    torch.testing.assert_close(squared_slope(x @ torch.tensor([3.0, 4.0]), x), torch.full((5,), 25.0))


def test_the_weight_of_the_penalty_falls_geometrically():
    model = R3GAN(Vector(2), settings=R3GAN.Settings(penalty=1.0, final_penalty=0.01))
    batch = Batch(torch.zeros(2, 2), None, Draws(0, 2))
    weights = [model._weight(Batch(batch.x, None, batch.draws, progress=u)) for u in (0.0, 0.5, 1.0)]
    assert weights == pytest.approx([1.0, 0.1, 0.01])


@pytest.mark.parametrize("conditioning", ["joined", "projection", "auxiliary"])
def test_spectral_norm_bounds_every_layer(conditioning):
    options = GAN.Settings(spectral_norm=True, conditioning=conditioning, width=8, critic_width=8)
    model = GAN(Vector(2), ConditionSpace(2), options)
    x, given = torch.randn(16, 2), Condition(torch.randn(16, 2))
    for _ in range(30):
        next(iter(model.turns(repeat(Batch(x, given, Draws(0, 16))))))
    layers = [layer for layer in model.critic.modules() if hasattr(layer, "parametrizations")]
    assert layers
    assert all(torch.linalg.matrix_norm(layer.weight, 2) < 1.05 for layer in layers)


def dirac(loss: str, penalty: float, steps: int = 1500, rate: float = 0.05) -> float:
    """Distance from equilibrium of a generator that makes one point, and a linear critic, after a game about a point.

    Both players take simultaneous gradient steps, as in Mescheder et al. 2018, section 2.
    """
    game, theta, slope = LOSSES[loss], torch.tensor(1.0), torch.tensor(0.0)
    for _ in range(steps):
        theta.requires_grad_(), slope.requires_grad_()
        real = slope * torch.zeros(1)
        critic = game.critic(real, slope * theta.detach()[None]) + penalty * slope.square()
        generator = game.generator(real.detach(), slope.detach() * theta[None])
        (by_slope,), (by_theta,) = torch.autograd.grad(critic, slope), torch.autograd.grad(generator, theta)
        theta, slope = (theta - rate * by_theta).detach(), (slope - rate * by_slope).detach()
    return float(torch.hypot(theta, slope))


@pytest.mark.parametrize("loss", ["wasserstein", "non-saturating", "relativistic"])
def test_the_game_of_a_point_mass_converges_with_a_zero_centred_penalty_alone(loss):
    assert dirac(loss, penalty=0.5) < 1e-3
    assert dirac(loss, penalty=0.0) > 0.1


def test_a_code_is_found_for_a_sample_and_a_path_leads_from_one_to_another(tmp_path):
    data = torch.randn(200, 2).numpy()
    settings = {"width": 16, "critic_width": 16, "batch_size": 32}
    emulator = pf.fit(data, "gan", steps=3, settings=settings, out=tmp_path / "run", progress=False)
    x = emulator.sample(4, seed=0)
    codes = emulator.encode(x)
    assert (emulator.decode(codes) - x).abs().max() < 0.05
    for path in ("spherical", "straight"):
        ways = emulator.interpolate(codes[:2], codes[2:], 5, path=path, codes=True)
        assert ways.shape == (2, 5, 2)
        torch.testing.assert_close(ways[:, -1], emulator.decode(codes[2:]))
    assert emulator.sample(8, seed=1, corrected=True, proposals=4).shape == (8, 2)
