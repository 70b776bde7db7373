"""Smoothing of the rougher of two ensembles: never amplifies, can be undone, and makes values comparable in place."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from pushforward import EnsemblePair
from pushforward.ensembles import Ensemble
from pushforward.ensembles.preprocessings import preprocessing_from_dict
from pushforward.ensembles.smoothing import SmoothedPreprocessing, smoothing_between
from pushforward.spaces import Field

OPTIONS = {"transform": "gaussianise", "scale_by_condition": True, "discrete": True, "equal_smoothness": True}


def rough(count: int, seed: int, grid: tuple[int, ...] = (32, 32)) -> np.ndarray:
    """Positive fields with a power law as spectrum."""
    noise = np.random.default_rng(seed).normal(size=(count, 1, *grid))
    axes = [np.fft.fftfreq(n) for n in grid[:-1]] + [np.fft.rfftfreq(grid[-1])]
    k = np.sqrt(sum(each**2 for each in np.meshgrid(*axes, indexing="ij")))
    amplitude = 1 / (k + 0.05)
    amplitude[(0,) * len(grid)] = 0
    axes_of = tuple(range(2, 2 + len(grid)))
    x = np.fft.irfftn(np.fft.rfftn(noise, axes=axes_of) * amplitude, s=grid, axes=axes_of)
    return np.exp(x / x.std()).astype(np.float32)


def smooth(x: np.ndarray, radius: float = 1.5) -> np.ndarray:
    """The same through a Gaussian beam, and a local function of the result."""
    grid = x.shape[2:]
    axes = [np.fft.fftfreq(n) for n in grid[:-1]] + [np.fft.rfftfreq(grid[-1])]
    square = sum(each**2 for each in np.meshgrid(*axes, indexing="ij"))
    axes_of = tuple(range(2, x.ndim))
    beam = np.exp(-2 * np.pi**2 * radius**2 * square)
    return (np.fft.irfftn(np.fft.rfftn(x, axes=axes_of) * beam, s=grid, axes=axes_of) ** 1.5).astype(np.float32)


def ensemble(x: np.ndarray, periodic: bool = True) -> Ensemble:
    return Ensemble.from_array(x, space=Field(x.shape[1], x.shape[2:], periodic=periodic))


@pytest.mark.parametrize("grid", [(32, 32), (24, 32), (33, 20), (16, 16, 16)])
def test_the_rougher_ensemble_is_smoothed_and_the_way_back_is_exact(grid):
    a, b = rough(60, 0, grid), smooth(rough(60, 1, grid))
    for pair, expected in (((a, b), "a"), ((b, a), "b")):
        side, filtered = smoothing_between(*map(ensemble, pair))
        assert side == expected
        assert float(filtered.factor.max()) <= 1
        x = torch.from_numpy(a[:4])
        assert torch.allclose(filtered.inverse(filtered(x)), x, rtol=1e-3, atol=1e-3)
        assert torch.allclose(filtered(x).flatten(1).mean(1), x.flatten(1).mean(1), rtol=1e-4), "means are left alone"


def test_scores_of_smoothed_members_belong_to_those_of_their_partners():
    a, b = rough(120, 0), smooth(rough(120, 1))
    truth = rough(20, 2), smooth(rough(20, 2))
    found = {}
    for equal in (True, False):
        pair = EnsemblePair(ensemble(a), ensemble(b))
        units = pair.preprocessing({**OPTIONS, "equal_smoothness": equal})
        ours, theirs = (each(torch.from_numpy(x)).flatten() for each, x in zip((units.a, units.b), truth, strict=True))
        found[equal] = float(torch.corrcoef(torch.stack([ours, theirs]))[0, 1])
    assert found[True] > 0.97 > 0.93 > found[False]


def test_what_needs_no_smoothing_or_cannot_be_smoothed_is_left_alone():
    a = rough(60, 0)
    assert smoothing_between(ensemble(a), ensemble(3 * rough(60, 1))) is None, "an amplitude is no roughness"
    assert smoothing_between(ensemble(a, periodic=False), ensemble(smooth(a), periodic=False)) is None
    counts = ensemble(np.random.default_rng(0).poisson(3 * a).astype(np.float32))
    units = EnsemblePair(counts, ensemble(smooth(a))).preprocessing(OPTIONS)
    assert not isinstance(units.a, SmoothedPreprocessing), "whole numbers must remain whole"
    plain = EnsemblePair(ensemble(a), ensemble(smooth(a))).preprocessing({**OPTIONS, "transform": "auto"})
    assert not isinstance(plain.a, SmoothedPreprocessing)


def test_it_is_saved_and_keeps_the_range_of_positive_fields():
    a, b = rough(60, 0), smooth(rough(60, 1))
    units = EnsemblePair(ensemble(a), ensemble(b)).preprocessing(OPTIONS)
    assert isinstance(units.a, SmoothedPreprocessing)
    assert "smoothed like the other ensemble" in units.describe()[0]
    again = preprocessing_from_dict(units.to_dict())
    again.load_state_dict(units.state_dict())
    x = torch.from_numpy(a[:8])
    assert torch.equal(again.a(x), units.a(x))
    noise = torch.randn(8, 1, 32, 32, generator=torch.Generator().manual_seed(0))
    assert float(units.a.inverse(3 * noise).min()) >= 0, "amplified noise stays in the range of the data"
