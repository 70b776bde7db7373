"""Clusters that samples reach are counted rightly, whether modes are lost from the start or along the way."""

from __future__ import annotations

import torch

from pushforward.models.cluster_coverage import CLUSTERS, ClusterCoverage


def ring(count: int, modes: int, generator: torch.Generator) -> torch.Tensor:
    """Narrow clusters at equal angles, the first ``modes`` of ten."""
    angles = torch.randint(modes, (count,), generator=generator) * 2 * torch.pi / CLUSTERS
    return torch.stack([angles.cos(), angles.sin()], 1) + 0.01 * torch.randn(count, 2, generator=generator)


def covered(coverage: ClusterCoverage, modes: int, seed: int, batches: int = 20) -> float:
    generator = torch.Generator().manual_seed(seed)
    for _ in range(batches):
        part = coverage(ring(256, CLUSTERS, generator), ring(256, modes, generator))
    return round(CLUSTERS * float(part))


def test_modes_are_counted_as_they_are_lost_and_found():
    coverage = ClusterCoverage(2)
    coverage.initialise(ring(256, CLUSTERS, torch.Generator().manual_seed(0)))
    assert [covered(coverage, modes, seed) for seed, modes in enumerate((10, 3, 7), start=1)] == [10, 3, 7]


def test_it_goes_on_where_it_was_saved():
    first, second = ClusterCoverage(2), ClusterCoverage(2)
    first.initialise(ring(64, CLUSTERS, torch.Generator().manual_seed(0)))
    covered(first, 5, 1)
    second.load_state_dict(first.state_dict())
    assert covered(first, 4, 2) == covered(second, 4, 2)


def test_a_first_batch_smaller_than_the_clusters_will_do():
    coverage = ClusterCoverage(2)
    coverage.initialise(torch.randn(4, 2))
    x = torch.randn(4, 2)
    assert coverage(x, x) == 1.0
