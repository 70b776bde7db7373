"""The autoencoder of discrete values: exact probabilities given the code, allowed values, bounds in user's units."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch

import pushforward as pf
from pushforward.conditions import Condition, ConditionSpace
from pushforward.errors import UsageError
from pushforward.models import Batch
from pushforward.models.vae import VAE
from pushforward.randomness import Draws
from pushforward.spaces import Field, Vector

SPINS, LEVELS, COUNTS = (-1.0, 0.0, 1.0), tuple(np.linspace(-2, 2, 18)), (*np.linspace(-1, 6, 40), math.inf)
KINDS = {
    "spins": (Field(1, (4, 4), periodic=True), (SPINS,)),
    "grey levels": (Field(2, (8, 6)), (LEVELS, LEVELS)),
    "colours beside a map": (Field(2, (4, 4)), (LEVELS, ())),
    "counts": (Vector(3), (COUNTS,) * 3),
    "a row of each": (Vector(4), (SPINS, LEVELS, COUNTS, ())),
    "a map that is halved": (Field(1, (32, 32)), (SPINS,)),
}
kinds = pytest.mark.parametrize(("space", "cells"), KINDS.values(), ids=KINDS)


def built(space, cells, **settings):
    torch.manual_seed(0)
    model = VAE(space, ConditionSpace(1), VAE.Settings(width=8, latent_dim=3, cells=cells, **settings))
    x, given = 0.7 * torch.randn(16, *space.shape), Condition(torch.randn(16, 1))
    model.prepare(Batch(x, given, Draws(0, 16)))
    return model, x, given


def middles(cells):
    edges = torch.tensor([each for each in cells if math.isfinite(each)])
    return 0.5 * (edges[1:] + edges[:-1])


@kinds
def test_samples_are_allowed_values_and_bounds_do_not_depend_on_the_place_in_the_cell(space, cells):
    model, x, given = built(space, cells)
    with torch.no_grad():
        samples = model.sample(Draws(1, 16), given)
        found = model.log_prob_bound(x, Draws(2, 16), given, count=5)
        again = model.log_prob_bound(model.likelihood.middle(x), Draws(2, 16), given, count=5)
        decoded = model.decode(model.encode(x, given), given)
    assert samples.shape == decoded.shape == x.shape
    assert decoded.isfinite().all()
    torch.testing.assert_close(found, again)
    for channel, edges in enumerate(cells):
        values = samples[:, channel].flatten()
        if edges and math.isfinite(edges[-1]):
            nearest = (values[:, None] - middles(edges)).abs().min(1).values
            assert nearest.max() < 0.3 * float(np.diff(edges).max()), "draws keep to the middle of their cells"


@kinds
@pytest.mark.parametrize("richer", [{}, {"prior": "flow", "posterior": "flow", "importance": 2, "free_bits": 0.1}])
def test_all_parts_of_the_model_learn(space, cells, richer):
    model, x, given = built(space, cells, **richer)
    turn = next(model.turns(iter([Batch(x, given, Draws(1, 16), 0.5)])))
    turn.loss.backward()
    without = [name for name, each in model.named_parameters() if each.grad is None]
    assert turn.player == ("model",)
    assert without == [], "parameters without a gradient"
    assert all(each.grad.isfinite().all() for each in model.parameters())
    assert ("bits_per_dim" in turn.logs) == all(cells)


def test_the_start_gives_each_number_about_its_own_distribution():
    """Cells of a map that is not homogeneous have their own; the bound then is that of independent numbers."""
    generator = torch.Generator().manual_seed(0)
    shares = torch.linspace(0.05, 0.95, 16).view(1, 1, 4, 4)
    x = torch.where(torch.rand(400, 1, 4, 4, generator=generator) < shares, 0.5, -0.5)
    model = VAE(Field(1, (4, 4)), settings=VAE.Settings(width=8, latent_dim=2, cells=(SPINS,)))
    model.prepare(Batch(x, None, Draws(0, 400)))
    with torch.no_grad():
        log_prob = model.likelihood.log_prob(x, torch.zeros(400, 2, 4, 4)).mean()
    entropy = -(shares * shares.log() + (1 - shares) * (1 - shares).log()).sum()
    assert float(log_prob) == pytest.approx(-float(entropy), abs=0.4)


def spins(count, seed):
    """Four spins in a row, each like the one before with probability .9: entropy ln 2 + 3 H(.1)."""
    rng = np.random.default_rng(seed)
    first, flips = rng.integers(0, 2, (count, 1)), rng.random((count, 3)) < 0.1
    return (2.0 * (np.concatenate([first, flips], 1).cumsum(1) % 2) - 1).astype(np.float32)


ENTROPY = math.log(2) - 3 * (0.1 * math.log(0.1) + 0.9 * math.log(0.9))


@pytest.fixture(scope="module")
def learnt(tmp_path_factory):
    settings = {"width": 32, "latent_dim": 3, "learning_rate": 5e-3, "batch_size": 256}
    data = pf.read(spins(4000, 0), space="vector")
    path = tmp_path_factory.mktemp("spins") / "run"
    return pf.fit(data, "vae", steps=250, out=path, settings=settings, device="cpu", progress=False)


def test_the_bound_is_one_of_probabilities_that_add_up_to_one(learnt):
    every = np.array(list(itertools.product([-1.0, 1.0], repeat=4)), np.float32)
    for emulator in (learnt, pf.Emulator.load(learnt.run, device="cpu")):
        total = emulator.log_prob_bound(every, 600).double().exp().sum()
        assert float(total) == pytest.approx(1.0, abs=0.08)
    test = spins(2000, 1)
    few, many = (-float(learnt.log_prob_bound(test, count).mean()) for count in (1, 32))
    assert ENTROPY - 0.05 < many < few
    assert many < ENTROPY + 0.15
    assert learnt.losses["model/bits_per_dim"].iloc[-1] * 4 * math.log(2) == pytest.approx(few, abs=0.15)


def test_samples_codes_and_ways_between_are_in_the_units_of_the_data(learnt):
    samples = learnt.sample(4000, seed=0)
    assert set(samples.unique().tolist()) == {-1.0, 1.0}
    same = (samples[:, 1:] == samples[:, :-1]).double().mean()
    assert float(same) == pytest.approx(0.9, abs=0.1)
    test = spins(200, 1)
    rebuilt = learnt.decode(learnt.encode(test))
    assert set(rebuilt.unique().tolist()) == {-1.0, 1.0}
    assert float((rebuilt == torch.from_numpy(test)).double().mean()) > 0.8
    ways = learnt.interpolate(test[:4], test[4:8], 5)
    assert ways.shape == (4, 5, 4)
    assert set(ways.unique().tolist()) <= {-1.0, 1.0}
    smooth = learnt.sample(50, seed=0, noise=False)
    assert set(smooth.unique().tolist()) <= {-1.0, 1.0}


def test_probabilities_follow_the_condition(tmp_path):
    rng = np.random.default_rng(0)
    rate = rng.uniform(0, 4, 3000).astype(np.float32)
    counts = rng.poisson(np.stack([rate, 5 - rate], 1)).astype(np.float32)
    data = pf.Ensemble.from_array(counts, conditions=rate[:, None], name="counts")
    settings = {"width": 32, "latent_dim": 2, "learning_rate": 5e-3, "batch_size": 256}
    emulator = pf.fit(data, "vae", steps=250, out=tmp_path / "run", settings=settings, device="cpu", progress=False)
    name = emulator.parameters[0].name
    for at in (0.5, 3.5):
        samples = emulator.sample(2000, {name: at}, seed=0)
        assert samples.mean(0).tolist() == pytest.approx([at, 5 - at], abs=0.35)
    truth = torch.distributions.Poisson(torch.from_numpy(np.stack([rate, 5 - rate], 1))).log_prob(
        torch.from_numpy(counts)
    )
    gap = truth.sum(1) - emulator.log_prob_bound(counts, 32, rate[:, None])
    assert -0.05 < float(gap.mean()) < 0.15


@pytest.mark.parametrize("settings", [{"likelihood": "gaussian"}, {"noise": "channel"}])
def test_gaussian_noise_can_be_chosen(tmp_path, settings):
    data = pf.read(spins(200, 0), space="vector")
    made = pf.fit(data, "vae", steps=2, out=tmp_path / "run", settings=settings, device="cpu", progress=False)
    assert made.model.likelihood is None
    assert made.model.noise is not None


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [({}, "likelihood=discrete needs a channel"), ({"noise": "value"}, "noise=value is of the Gaussian likelihood")],
)
def test_a_discrete_likelihood_that_cannot_be_is_refused(tmp_path, settings, sentence):
    settings = {"likelihood": "discrete", **settings}
    with pytest.raises(UsageError, match=sentence):
        pf.fit("two-moons", "vae", steps=1, settings=settings, out=tmp_path / "run", progress=False)
