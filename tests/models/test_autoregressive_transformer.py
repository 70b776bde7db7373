"""Autoregressive models: densities of one number, exact probabilities of discrete values, kept keys and values."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch
from minimise import minimise
from two_clusters import log_density, two_clusters

import pushforward as pf
from pushforward.errors import UsageError
from pushforward.models import Batch, model_class
from pushforward.models.conditionals import Bins, Cells, LogisticMixture, OrderedCells
from pushforward.randomness import Draws
from pushforward.spaces import Field, Particles, Vector

Autoregressive = model_class("autoregressive")
EDGES = torch.tensor([-2.0, -1.0, 0.5, 0.75, 3.0])
CONDITIONALS = {"mixture": LogisticMixture(4), "one": LogisticMixture(1), "bins": Bins(16, 3.0), "cells": Cells(EDGES)}
conditionals = pytest.mark.parametrize("density", CONDITIONALS.values(), ids=CONDITIONALS)


@conditionals
@pytest.mark.parametrize("size", [0.0, 1.0])
def test_a_conditional_density_integrates_to_one(density, size):
    torch.manual_seed(0)
    raw = size * torch.randn(5, 1, density.parameters, dtype=torch.float64)
    low, high = (-2.0, 3.0) if isinstance(density, Cells) else (-50.0, 50.0)
    x = torch.linspace(low, high, 40_001, dtype=torch.float64)[:-1] + (high - low) / 80_000
    mass = density.log_prob(x.expand(5, -1), raw.expand(-1, len(x), -1)).exp().mean(1) * (high - low)
    torch.testing.assert_close(mass, torch.ones_like(mass), atol=2e-3, rtol=0)


@conditionals
def test_draws_have_the_distribution_of_the_density(density):
    """The share of draws below a value is the integral of the density up to it."""
    torch.manual_seed(1)
    raw = torch.randn(density.parameters, dtype=torch.float64).expand(40_000, -1)
    draws = density.sample(raw, torch.rand(40_000, 2, dtype=torch.float64))
    low = -2.0 if isinstance(density, Cells) else -60.0
    for limit in (-1.0, 0.5, 0.75, 2.999):
        x = torch.linspace(low, limit, 40_001, dtype=torch.float64)[:-1] + (limit - low) / 80_000
        mass = density.log_prob(x, raw).exp().mean() * (limit - low)
        if isinstance(density, Cells) and limit not in EDGES.tolist():
            continue  # draws keep to the middle of a cell
        assert (draws < limit).double().mean() == pytest.approx(mass.item(), abs=0.015)


@pytest.mark.parametrize("unbounded", [False, True], ids=["bounded", "unbounded"])
def test_ordered_cells_share_all_the_probability_of_their_mixture(unbounded):
    """Of the cells, and of what is beyond the last one where there is no largest value."""
    torch.manual_seed(2)
    mixture = LogisticMixture(4)
    density = OrderedCells(EDGES.double(), mixture, torch.tensor(unbounded))
    raw = (2 * torch.randn(6, 1, mixture.parameters)).double()
    middles = 0.5 * (EDGES[1:] + EDGES[:-1]).double()
    log_mass = density.log_prob(middles.expand(6, -1), raw.expand(-1, 4, -1)) + EDGES.diff().log()
    total = log_mass.exp().sum(1)
    if unbounded:
        last = EDGES[-1].double().expand(6, 1)
        total = total + mixture.log_mass(last, last + 1, raw, above=torch.ones(6, 1, dtype=torch.bool)).exp()[:, 0]
    torch.testing.assert_close(total, torch.ones_like(total), atol=1e-6, rtol=0)
    draws = density.sample(raw.expand(-1, 20_000, -1), torch.rand(6, 20_000, 2, dtype=torch.float64))
    share = torch.stack([(draws == middle).double().mean(1) for middle in middles], 1)
    torch.testing.assert_close(share, log_mass.exp(), atol=0.02, rtol=0)


def test_ordered_cells_keep_their_digits_in_the_tails_and_have_gradients():
    mixture, at = LogisticMixture(1), torch.tensor([1e3, -1e3])
    raw = torch.zeros(2, 3, requires_grad=True)
    edges = torch.tensor([-2e3, -1e3 - 1, -1e3 + 1, 1e3 - 1, 1e3 + 1, 2e3])
    log_prob = OrderedCells(edges, mixture, torch.tensor([True, False])).log_prob(at, raw)
    torch.testing.assert_close(log_prob, mixture.log_prob(at, raw), atol=3.0, rtol=0)
    log_prob.sum().backward()
    assert raw.grad.isfinite().all()


PLANE = Vector(2)


def small(space=PLANE, **settings):
    torch.manual_seed(0)
    return Autoregressive(space, settings=Autoregressive.Settings(width=32, depth=2, **settings))


@pytest.mark.parametrize("outputs", ["mixture", "bins"])
def test_it_comes_near_to_the_density_of_its_members(outputs):
    model = small(outputs=outputs, bins=96)
    minimise(model, lambda step: Batch(two_clusters(256, step + 1), None, Draws(step, 256)), 250, learning_rate=5e-3)
    x = two_clusters(4000, 99)
    with torch.no_grad():
        gap = (log_density(x) - model.log_prob(x)).mean()
    assert -0.02 < gap < 0.2


def test_numbers_do_not_see_those_after_them():
    model = small(Field(2, (3, 4))).double()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.2 * torch.randn_like(parameter))
    x = torch.randn(1, 24, dtype=torch.float64)
    raw = torch.autograd.functional.jacobian(lambda x: model.net(x[..., None])[0].sum(1), x)[:, 0]
    assert (raw.triu(0) == 0).all(), "the density of a number must not depend on it or on a later one"


def test_samples_with_kept_keys_and_values_have_the_density_of_a_whole_pass():
    model = small(Field(1, (3, 3)), cells=((-1.0, 0.0, 1.0),)).double()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.2 * torch.randn_like(parameter))
        x, log_prob = model.sample_and_log_prob(Draws(0, 6, dtype=torch.float64))
        torch.testing.assert_close(log_prob, model.log_prob(x))


def test_the_probabilities_of_all_spin_configurations_add_up_to_one(tmp_path):
    """Of a trained emulator, in the user's units, without a dequantisation gap."""
    rng = np.random.default_rng(0)
    spins = rng.choice([-1.0, 1.0], size=(600, 2, 2)).astype(np.float32)
    spins[:, 1] = np.where(rng.random((600, 2)) < 0.8, spins[:, 0], spins[:, 1])
    emulator = pf.fit(
        pf.read(spins[:, None], space=Field(1, (2, 2))), "autoregressive", steps=60, out=tmp_path / "run",
        settings={"width": 16, "depth": 1, "augment": False}, progress=False, device="cpu",
    )  # fmt: skip
    configurations = np.array(list(itertools.product([-1.0, 1.0], repeat=4)), np.float32).reshape(16, 1, 2, 2)
    for each in (emulator, pf.Emulator.load(tmp_path / "run", device="cpu")):
        log_prob = each.log_prob(configurations).double()
        assert log_prob.exp().sum() == pytest.approx(1.0, abs=1e-4)
    drawn = emulator.sample(50, seed=0)
    assert set(drawn.unique().tolist()) == {-1.0, 1.0}


def test_discrete_and_continuous_columns_stand_side_by_side(tmp_path):
    """The density of a normal number whose mean is a label: exact in both."""
    rng = np.random.default_rng(1)
    label = rng.integers(3, size=4000)
    rows = np.stack([label, label + 0.3 * rng.standard_normal(4000)], 1).astype(np.float32)
    emulator = pf.fit(
        rows, "autoregressive", steps=300, out=tmp_path / "run", progress=False, device="cpu",
        settings={"width": 32, "depth": 1, "learning_rate": 1e-2},
    )  # fmt: skip
    truth = -math.log(3) - 0.5 * ((rows[:, 1] - label) / 0.3) ** 2 - math.log(0.3 * math.sqrt(2 * math.pi))
    gap = float(np.mean(truth - emulator.log_prob(rows).numpy()))
    assert -0.03 < gap < 0.1
    assert set(emulator.sample(100, seed=0)[:, 0].unique().tolist()) == {0.0, 1.0, 2.0}


def test_counts_without_a_largest_have_exact_probabilities(tmp_path):
    rng = np.random.default_rng(0)
    counts = rng.poisson(3.0, (4000, 1)).astype(np.float32)
    pf.fit(
        counts, "autoregressive", steps=150, out=tmp_path / "run", progress=False, device="cpu",
        settings={"width": 16, "depth": 1},
    )  # fmt: skip
    values = torch.arange(60.0)[:, None]
    log_prob = pf.Emulator.load(tmp_path / "run", device="cpu").log_prob(values).double()
    assert log_prob.exp().sum() == pytest.approx(1.0, abs=1e-4)
    exact = torch.distributions.Poisson(3.0).log_prob(values[:, 0].double())
    assert (exact.exp() * (exact - log_prob)).sum() == pytest.approx(0.0, abs=0.01)


def test_particles_are_refused():
    with pytest.raises(UsageError, match="autoregressive learns vectors and fields, not particles"):
        Autoregressive(Particles(3, 2))
