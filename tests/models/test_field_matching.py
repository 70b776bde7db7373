"""Generated fields matched to the values and the power spectrum of the data, in the user's units."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import pushforward as pf
from pushforward.emulator import Emulator
from pushforward.models import Batch
from pushforward.models.field_matching import UserValues
from pushforward.models.wgan import WGANGP
from pushforward.randomness import Draws
from pushforward.spaces import Field
from pushforward.statistics import power_spectrum

SPACE = Field(1, (16, 16), periodic=True)
SMALL = {"width": 8, "critic_width": 8}


def smoothed(x: torch.Tensor, cells: float) -> torch.Tensor:
    waves = torch.fft.fftfreq(16)[:, None].square() + torch.fft.rfftfreq(16).square()
    return torch.fft.irfft2(torch.fft.rfft2(x) * torch.exp(-2 * (torch.pi * cells) ** 2 * waves), s=(16, 16))


def clumps(count: int, seed: int = 0) -> torch.Tensor:
    """Smoothed exponentials of Gaussian fields: peaks of one shape, which a Gaussian field of their scores has not."""
    noise = torch.randn(count, 1, 16, 16, generator=torch.Generator().manual_seed(seed))
    sharp = 1.2 * smoothed(noise, 0.8) / smoothed(noise, 0.8).std()
    return smoothed(sharp.exp(), 0.5).clamp(min=1e-3)


def powers(x: torch.Tensor) -> torch.Tensor:
    return power_spectrum(x, box=1.0).power.mean((0, 1))[:6]


def prepared(data: torch.Tensor) -> WGANGP:
    torch.manual_seed(0)
    model = WGANGP(SPACE, settings=WGANGP.Settings(**SMALL))
    x = data.log()
    model.prepare(Batch((x - x.mean()) / x.std(), None, Draws(0, len(data)), values=data))
    return model


def test_a_table_gives_values_in_the_users_units():
    v = torch.randn(16, 2, 32, 32)
    table = UserValues(2)
    torch.testing.assert_close(table(0.9 * v / v.abs().max()), 0.9 * v / v.abs().max(), atol=1e-5, rtol=0)
    table.fit(v, torch.cat([v[:, :1].exp(), 3 - v[:, 1:].mul(-0.5)], 1))
    inside = torch.randn(4, 2, 32, 32).clamp(-3, 3)
    torch.testing.assert_close(
        table(inside), torch.cat([inside[:, :1].exp(), 3 + 0.5 * inside[:, 1:]], 1), rtol=0.01, atol=0.01
    )


def test_samples_have_the_power_and_the_values_of_the_data_in_the_users_units():
    data, unseen = clumps(512), clumps(512, seed=1)
    model = prepared(data).eval()
    x = data.log()
    draws = Draws(1, 512)
    samples = (model.sample(draws) * x.std() + x.mean()).exp().detach()
    floor = (powers(data) / powers(unseen)).log().abs().max()
    assert floor < 0.15
    assert (powers(samples) / powers(unseen)).log().abs().max() < 0.15
    levels = torch.tensor([0.1, 0.5, 0.9, 0.99, 0.999])
    found, wanted = (torch.from_numpy(np.quantile(each.numpy(), levels)) for each in (samples, unseen))
    torch.testing.assert_close(found, wanted, rtol=0.1, atol=0.02)
    # What a Gaussian field of scores has without the match.
    apart = model.sample(draws, sampling=WGANGP.Sampling(matched=False)).detach()
    assert (powers((apart * x.std() + x.mean()).exp()) / powers(unseen)).log().abs().max() > 0.3


def test_the_match_can_be_undone():
    model = prepared(clumps(256)).eval()
    model.complete()
    white = torch.randn(4, *model.coordinates.space.shape)
    x = model.coordinates.inverse(white, finished=True)
    torch.testing.assert_close(model.coordinates(x, finished=True), white, atol=1e-2, rtol=1e-2)


@pytest.mark.parametrize("family", ["r3gan", "drifting"])
def test_a_run_is_saved_with_its_match(tmp_path, family):
    data = pf.Ensemble.from_array(clumps(128).numpy(), space="field", periodic=True)
    settings = {"width": 8, "batch_size": 8}
    emulator = pf.fit(data, family, steps=2, out=tmp_path / "run", settings=settings, device="cpu", progress=False)
    loaded = Emulator.load(tmp_path / "run")
    finish = loaded.model.coordinates.finish
    assert finish.done == 1
    assert (finish.match.gain - 1).abs().max() > 0.05
    torch.testing.assert_close(loaded.sample(4, seed=0), emulator.sample(4, seed=0))
    # Training changes the weights, which then need another match.
    assert loaded.model.train().coordinates.finish.done == 0
