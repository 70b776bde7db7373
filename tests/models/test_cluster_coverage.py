"""Clusters that samples reach are counted rightly, whether modes are lost from the start or along the way."""

from __future__ import annotations

import torch

from pushforward.models.cluster_coverage import CLUSTERS, ClusterCoverage


def ring(count: int, modes: int, generator: torch.Generator) -> torch.Tensor:
    """Narrow clusters at equal angles, the first ``modes`` of ten."""
    angles = torch.randint(modes, (count,), generator=generator) * 2 * torch.pi / CLUSTERS
    return torch.stack([angles.cos(), angles.sin()], 1) + 0.01 * torch.randn(count, 2, generator=generator)


def covered(coverage: ClusterCoverage, modes: int, seed: int, batches: int = 20) -> int:
    generator = torch.Generator().manual_seed(seed)
    for _ in range(batches):
        found, clusters = coverage(ring(256, CLUSTERS, generator), ring(256, modes, generator))
    assert clusters == CLUSTERS
    return int(found)


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
    covered, clusters = coverage(x, x)
    assert covered == clusters >= 1


def test_a_cloud_without_clusters_is_covered_by_itself_in_many_dimensions():
    coverage, generator = ClusterCoverage(4096), torch.Generator().manual_seed(0)
    coverage.initialise(torch.randn(16, 4096, generator=generator))
    for _ in range(100):
        covered, clusters = coverage(*torch.randn(2, 16, 4096, generator=generator))
    assert covered == clusters
    for _ in range(300):
        covered, clusters = coverage(torch.randn(16, 4096, generator=generator), torch.zeros(16, 4096))
    assert covered <= 1
