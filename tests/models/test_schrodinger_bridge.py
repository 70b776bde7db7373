"""The family `schrodinger-bridge`: what it learns of Gaussian ensembles, its pairs, and its random translations."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import pushforward as pf
from pushforward.ensembles.batch import PairBatch
from pushforward.models.schrodinger_bridge import SchrodingerBridge
from pushforward.randomness import Draws
from pushforward.spaces import Vector
from pushforward.transport.schrodinger import gaussian_coupling


def batch_of(count: int, seed: int, progress: float = 0.0) -> PairBatch:
    draws = Draws(seed, count)
    return PairBatch(draws.normal(1), None, draws, progress, b=draws.normal(1))


def test_it_learns_the_entropic_coupling_of_two_gaussian_ensembles():
    """From independent pairs, whose bridges do not have it."""
    sigma = 1.0
    settings = SchrodingerBridge.Settings(noise=sigma, width=32, depth=1, pairs=1, fitting=0.7, path_steps=6, repeats=2)
    model = SchrodingerBridge(Vector(1), settings=settings)
    optimiser = torch.optim.Adam(model.parameters(), lr=5e-3)
    steps = 100
    for step in range(steps):
        for group in optimiser.param_groups:
            group["lr"] = 5e-3 * (1 - step / steps)
        batch = batch_of(512, step, progress=step / steps)
        for turn in model.turns(iter([batch])):
            optimiser.zero_grad()
            turn.loss.backward()
            optimiser.step()
    one = torch.eye(1)
    expected = float(gaussian_coupling(one, one, sigma))
    start = Draws(1, 20_000).normal(1)
    for to in "ab":
        end = model.simulate(start, to, Draws(2, len(start)), steps=60)
        assert float((start * end).mean()) == pytest.approx(expected, abs=0.06)
        assert float(end.std()) == pytest.approx(1.0, abs=0.06)
    # both drifts belong to one process: its flow between equal ensembles is the identity
    torch.testing.assert_close(model.translate(start[:500], "b").std(), start[:500].std(), atol=0.06, rtol=0)


def test_pairs_are_simulated_in_the_last_part_of_the_run_and_aim_at_real_members():
    model = SchrodingerBridge(Vector(1), settings=SchrodingerBridge.Settings(width=8, fitting=0.5, repeats=3))
    first = [turn.player for turn in model.turns(iter([batch_of(8, 0, progress=0.4)]))]
    later = [turn.player for turn in model.turns(iter([batch_of(8, 0, progress=0.6)]))]
    assert first == ["to_b", "to_a"]
    assert later == ["to_b", "to_a"] * 3


def test_random_translations_repeat_with_their_seed_and_the_flow_returns(tmp_path):
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(200, 2)).astype(np.float32), rng.normal(size=(150, 2)).astype(np.float32) * 2 + 5
    pair = pf.EnsemblePair(pf.Ensemble.from_array(a), pf.Ensemble.from_array(b))
    options = {"out": tmp_path / "run", "settings": {"width": 16}, "progress": False}
    pf.fit(pair, "schrodinger-bridge", steps=2, **options)
    emulator = pf.fit(pair, "schrodinger-bridge", steps=4, resume=True, **options)
    assert emulator.abilities == ("translator",)
    one, again, other = (emulator.translate(a, "b", seed=seed, random=True) for seed in (1, 1, 2))
    assert torch.equal(one, again)
    assert not torch.equal(one, other)
    back = emulator.translate(emulator.translate(a, "b"), "a")
    torch.testing.assert_close(back, torch.from_numpy(a), atol=0.02, rtol=0)
