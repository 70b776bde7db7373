"""CUT: what its contrast tells apart, one way alone, and what it learns."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

import pushforward as pf
from pushforward.ensembles.batch import PairBatch
from pushforward.errors import UsageError
from pushforward.models.cut import CUT
from pushforward.models.patch_contrast import PatchContrast
from pushforward.randomness import Draws
from pushforward.spaces import Field
from pushforward.validation import validate

SPACES = {"map": Field(1, (16, 16), periodic=True), "cube": Field(1, (8, 8, 8), periodic=True)}
NARROW = {"width": 8, "critic_width": 8}


def batch_of(space, seed: int = 0, count: int = 8) -> PairBatch:
    generator = torch.Generator().manual_seed(seed)
    a, b = (torch.randn(count, *space.shape, generator=generator) for _ in range(2))
    return PairBatch(a, None, Draws(seed, count), b=3 * b + 2)


def test_places_that_agree_lose_less_than_places_that_do_not():
    torch.manual_seed(0)
    contrast, features = PatchContrast([6], places=25), torch.randn(4, 6, 8, 8)
    same = contrast([features], [features], Draws(0, 4))
    moved = contrast([features.roll(3, 2)], [features], Draws(0, 4))
    blank = contrast([torch.ones_like(features)], [torch.ones_like(features)], Draws(0, 4))
    assert same < 0.5 * moved
    assert blank.item() == pytest.approx(math.log(25)), "equal places cannot be told apart"


def test_no_gradient_flows_to_the_features_of_the_member():
    contrast = PatchContrast([3])
    ours, theirs = (torch.randn(2, 3, 4, 4, requires_grad=True) for _ in range(2))
    contrast([ours], [theirs], Draws(0, 2)).backward()
    assert ours.grad is not None
    assert theirs.grad is None


@pytest.mark.parametrize("network", ["unet", "resnet"])
@pytest.mark.parametrize("key", SPACES)
def test_one_way_alone_has_one_translator_and_one_critic(key, network):
    model = CUT(SPACES[key], settings=CUT.Settings(ends="b", network=network, **NARROW))
    batch = batch_of(SPACES[key])
    model.prepare(batch)
    assert [turn.player for turn in model.turns(iter([batch]))] == [("to_b",), "critic_b"]
    assert model.translate(batch.x, "b").shape == batch.x.shape
    with pytest.raises(UsageError, match="translates to b only; train one with ends=both, or ends=a"):
        model.translate(batch.b, "a")
    with pytest.raises(UsageError, match="to must be"):
        model.translate(batch.b, "c")


def test_one_way_is_fitted_resumed_and_judged_by_what_it_has(tmp_path):
    rng = np.random.default_rng(0)
    a, b = (rng.normal(size=(96, 1, 8, 8)).astype(np.float32) * scale for scale in (1.0, 3.0))
    pair = pf.EnsemblePair(*(pf.Ensemble.from_array(x, space=Field(1, (8, 8), periodic=True)) for x in (a, b)))
    options = {"out": tmp_path / "run", "settings": {"ends": "b", **NARROW}, "progress": False}
    pf.fit(pair, "cut", steps=1, **options)
    emulator = pf.fit(pair, "cut", steps=2, resume=True, **options)
    pairs = pf.Ensemble.from_array(np.concatenate([a, 3 * a], 1), space=Field(2, (8, 8), periodic=True))
    report = validate(emulator, pairs, progress=False)
    assert {each.label.split(", ")[1] for each in report.figures} == {"a to b"}
    assert "round_trip" not in {each.statistic for each in report.figures}
    unpaired = validate(emulator, pair, samples=8, progress=False)
    assert list(unpaired.reports) == ["b"]
    assert not unpaired.round_trips
