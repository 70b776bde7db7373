"""Scattering spectra: symmetries, powers by Parseval, what they tell apart; and generators that learn by them."""

from __future__ import annotations

from itertools import repeat

import pytest
import torch

from pushforward.conditions import Condition, ConditionSpace
from pushforward.errors import UsageError
from pushforward.models import Batch
from pushforward.models.r3gan import R3GAN
from pushforward.models.scattering import ScatteringSpectra
from pushforward.models.wgan import WGANGP
from pushforward.randomness import Draws
from pushforward.spaces import Field, Vector

PERIODIC = Field(1, (32, 32), periodic=True)


def smooth(count: int, seed: int = 0, grid: tuple[int, int] = (32, 32), channels: int = 1) -> torch.Tensor:
    """Periodic Gaussian maps of unit variance."""
    k = torch.hypot(*torch.meshgrid(torch.fft.fftfreq(grid[0]), torch.fft.rfftfreq(grid[1]), indexing="ij"))
    noise = torch.randn(count, channels, *grid, generator=torch.Generator().manual_seed(seed))
    maps = torch.fft.irfft2(torch.fft.rfft2(noise) / (k + 0.05), s=grid)
    return (maps - maps.mean()) / maps.std()


@pytest.fixture(scope="module")
def spectra() -> ScatteringSpectra:
    found = ScatteringSpectra(PERIODIC)
    found.fit(smooth(64), smooth(64).exp())
    return found


def test_spectra_of_members_have_mean_zero_and_unit_scatter(spectra):
    found = spectra(smooth(64), smooth(64).exp())
    assert found.shape == (64, spectra.count)
    torch.testing.assert_close(found.mean(0), torch.zeros(spectra.count), atol=1e-3, rtol=0)
    assert float(found.square().mean()) == pytest.approx(1, abs=0.02)
    assert float(spectra.weight.sum()) == pytest.approx(1)


def test_spectra_do_not_see_where_a_map_begins(spectra):
    x = smooth(4, seed=1)
    moved = x.roll((4, 12), (2, 3))
    torch.testing.assert_close(spectra(moved, moved.exp()), spectra(x, x.exp()), atol=1e-3, rtol=0)


def test_powers_are_those_of_the_waves(spectra):
    x = smooth(4, seed=1)
    powers = spectra._powers(torch.fft.rfft2(x, norm="forward"))
    for octave, wave in enumerate(spectra._waves(x)):
        torch.testing.assert_close(wave.abs().square().mean((3, 4)), powers[:, :, octave])


def test_octaves_and_directions_share_the_power_of_all_but_the_longest_waves():
    spectra = ScatteringSpectra(PERIODIC)
    modes = torch.zeros(1, 1, 32, 17, dtype=torch.complex64)
    for row, column in ((4, 3), (0, 7), (9, 9)):
        modes[..., row, column] = 1.0
    # cos^6 of the angle to four directions and their opposites adds up to 5 / 4; a wave and its conjugate share it.
    assert float(spectra._powers(modes).sum()) == pytest.approx(3 * 5 / 4, rel=1e-4)


def test_filaments_are_told_from_a_gaussian_field_of_the_same_power(spectra):
    x = smooth(32, seed=2)
    ridges = -x.abs()
    ridges = (ridges - ridges.mean()) / ridges.std()
    phases = torch.fft.rfft2(torch.randn(ridges.shape, generator=torch.Generator().manual_seed(3)))
    gaussian = torch.fft.irfft2(torch.fft.rfft2(ridges).abs() * phases / phases.abs(), s=(32, 32))
    found = ScatteringSpectra(PERIODIC)
    found.fit(gaussian, gaussian)
    assert float(found(ridges, ridges).mean(0).square() @ found.weight) > 0.5


@pytest.mark.parametrize("width", [1.0, 1.5])
def test_the_score_of_normal_spectra_is_its_closed_form(spectra, width):
    torch.manual_seed(0)
    first, second, real = (s * torch.randn(400, spectra.count) for s in (width, width, 1.0))
    expected = ((2 * (1 + width**2)) ** 0.5 - width) / torch.pi**0.5
    assert float(spectra.score(first, second, real)) == pytest.approx(expected, abs=1e-2)


@pytest.mark.parametrize("grid", [(16, 40), (33, 31), (8, 8)])
def test_any_grid_of_eight_cells_has_spectra(grid):
    x = smooth(6, grid=grid, channels=2)
    found = ScatteringSpectra(Field(2, grid))
    found.fit(x, x)
    assert found(x, x).shape == (6, found.count)
    assert found(x, x).isfinite().all()


@pytest.mark.parametrize("space", [Vector(4), Field(1, (6, 9)), Field(1, (16, 16, 16))])
def test_other_samples_have_no_spectra(space):
    with pytest.raises(UsageError, match="scattering spectra are of maps"):
        ScatteringSpectra(space)
    with pytest.raises(UsageError, match="homogeneous maps"):
        WGANGP(space, settings=WGANGP.Settings(scattering=1.0))
    assert R3GAN(space).spectra is None


def test_a_coloured_generator_starts_as_the_identity():
    model = R3GAN(PERIODIC, settings=R3GAN.Settings(width=8, critic_width=4))
    model.prepare(Batch(smooth(64), None, Draws(0, 64)))
    z = model.generator.noise(Draws(1, 4))
    torch.testing.assert_close(model.generator(z).flatten(1), z, atol=2e-3, rtol=0)


@pytest.mark.parametrize("options", [{}, {"packing": 2, "conditioning": "auxiliary", "instance_noise": 0.5}])
def test_the_score_of_spectra_falls_and_every_parameter_is_taught(options):
    torch.manual_seed(0)
    x, given = smooth(64), torch.randn(64, 1)
    x = (x - x.roll(1, 3)).abs() * (1.5 + given.tanh()[..., None, None])
    settings = R3GAN.Settings(width=8, critic_width=4, scattering=1e4, **options)
    model = R3GAN(PERIODIC, ConditionSpace(1), settings)
    model.prepare(Batch(x, Condition(given), Draws(0, 64)))
    players = model.players()
    optimisers = {name: torch.optim.Adam(player.parameters, 2e-3) for name, player in players.items()}
    scores = []
    for _ in range(8):
        batch = Batch(x[:8], Condition(given[:8]), Draws(0, 8), progress=0.1)
        for turn in model.turns(repeat(batch)):
            optimisers[turn.player].zero_grad()
            turn.loss.backward(inputs=list(players[turn.player].parameters))
            optimisers[turn.player].step()
            scores += [float(turn.logs["scattering"])] if turn.player == "generator" else []
    assert scores[-1] < scores[0] - 0.01, f"scores of the same batch: {scores}"
    lost = [n for n, p in model.named_parameters() if p.requires_grad and p.grad is None and "untold" not in n]
    assert not lost, f"no turn reaches {lost}"
