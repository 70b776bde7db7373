"""Flow matching with paired noise: the noise it trains on, and what it refuses."""

from __future__ import annotations

import pytest
import torch

from pushforward.errors import UsageError
from pushforward.models import Batch, model_class
from pushforward.randomness import Draws
from pushforward.spaces import Field, Particles, Vector

OTFlowMatching = model_class("ot-flow-matching")


def distances(space, coupling: str, rows: int = 64) -> tuple[float, float]:
    """Mean squared distance of data and their noise, paired and as drawn."""
    model = OTFlowMatching(space, settings=OTFlowMatching.Settings(coupling=coupling))
    x = torch.randn(rows, *space.shape, generator=torch.Generator().manual_seed(1))
    paired = model.noise(Batch(x, None, Draws(0, rows)))
    drawn = Draws(0, rows).normal(*space.shape)
    return float((x - paired).square().mean()), float((x - drawn).square().mean())


@pytest.mark.parametrize("coupling", ["optimal-transport", "sinkhorn"])
def test_paired_noise_is_nearer_to_its_data(coupling):
    paired, drawn = distances(Vector(2), coupling)
    assert paired < 0.3 * drawn


def test_noise_that_may_move_is_nearer_still():
    space = Field(1, (8, 8), periodic=True)
    moved, ordered = (distances(space, coupling, 16)[0] for coupling in ("translations", "optimal-transport"))
    assert moved < ordered


def test_translations_are_refused_where_nothing_may_move():
    with pytest.raises(UsageError, match="not periodic"):
        OTFlowMatching(Field(1, (8, 8)), settings=OTFlowMatching.Settings(coupling="translations"))


def test_noise_of_particles_that_may_turn_is_nearer_still():
    space = Particles(6, 3)
    moved, ordered = (distances(space, coupling)[0] for coupling in (None, "optimal-transport"))
    assert moved < 0.5 * ordered
    assert distances(space, "alignment")[0] == moved, "which is the default for particles"


def test_alignment_is_refused_for_what_has_no_particles():
    with pytest.raises(UsageError, match="not vector data"):
        OTFlowMatching(Vector(2), settings=OTFlowMatching.Settings(coupling="alignment"))
