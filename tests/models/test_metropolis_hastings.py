"""The correction of samples by a critic: calibration, the chain's limit, and what is refused."""

from __future__ import annotations

import pytest
import torch

from pushforward.errors import UsageError
from pushforward.models import Batch
from pushforward.models.gan import GAN
from pushforward.models.metropolis_hastings import chain, logistic_slope
from pushforward.randomness import Draws
from pushforward.spaces import Vector


def test_the_slope_of_a_critic_that_is_too_sure_is_found():
    # Two normals a unit apart have the log-ratio x - 1/2; the scores are three times as steep.
    generator = torch.Generator().manual_seed(0)
    real = torch.randn(20_000, generator=generator) + 1
    fake = torch.randn(20_000, generator=generator)
    assert logistic_slope(3 * real, 3 * fake) == pytest.approx(1 / 3, rel=0.05)


def test_the_slope_is_finite_for_scores_without_overlap_and_zero_for_those_that_are_the_wrong_way_round():
    low, high = torch.linspace(0, 1, 100), torch.linspace(2, 3, 100)
    assert 0 < logistic_slope(high, low) < 1e3
    assert logistic_slope(low, high) == 0.0


def test_the_chain_has_the_wanted_limit():
    count = 20_000
    draws = Draws(0, count)
    # Proposals N(0, 1), wanted N(1, 1).
    x, accepted = chain(lambda: draws.normal(1), lambda x: x[:, 0] - 0.5, draws, proposals=64)
    assert x.mean() == pytest.approx(1.0, abs=0.03)
    assert x.std() == pytest.approx(1.0, abs=0.03)
    # The acceptance of an independent chain: the mean of min(1, ratio), 2 Phi(-1 / sqrt 2).
    assert accepted == pytest.approx(0.48, abs=0.02)


def trained(**settings) -> GAN:
    model = GAN(Vector(2), settings=GAN.Settings(width=16, critic_width=16, **settings))
    batch = Batch(torch.randn(64, 2), None, Draws(0, 64))
    model.prepare(batch)
    list(model.turns(iter([batch] * 8)))
    return model.eval()


def test_corrected_samples_repeat_with_the_seed_and_leave_an_acceptance():
    model = trained()
    options = model.Sampling(corrected=True, proposals=4)
    first, again = (model.sample(Draws(1, 50), None, options) for _ in range(2))
    assert torch.equal(first, again)
    assert 0 < model.acceptance <= 1


def test_packs_and_models_without_members_cannot_correct():
    corrected = GAN.Sampling(corrected=True)
    with pytest.raises(UsageError, match="packs"):
        trained(packing=2).sample(Draws(0, 4), None, corrected)
    with pytest.raises(UsageError, match="no members"):
        GAN(Vector(2)).sample(Draws(0, 4), None, corrected)
