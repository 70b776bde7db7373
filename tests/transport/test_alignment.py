"""Alignment of particles: what symmetries undo costs nothing, and no move is outside of them."""

from itertools import permutations

import pytest
import torch
from scipy.stats import kstest

from pushforward.errors import UsageError
from pushforward.transport.alignment import aligned, aligned_transport

GENERATOR = torch.Generator().manual_seed(0)


def configurations(batch, count, dim, centred=True):
    x = torch.randn(batch, count, dim, generator=GENERATOR)
    return x - x.mean(1, keepdim=True) if centred else x


def turned(x):
    """Each sample under a random rotation or reflection and permutation of its own."""
    batch, count, dim = x.shape
    rotation = torch.linalg.qr(torch.randn(batch, dim, dim, generator=GENERATOR))[0]
    order = torch.rand(batch, count, generator=GENERATOR).argsort(1)
    return (x @ rotation).gather(1, order[..., None].expand(-1, -1, dim))


@pytest.mark.parametrize(("count", "dim"), [(3, 1), (4, 2), (2, 3), (13, 3)])
def test_a_moved_copy_is_brought_back(count, dim):
    x = configurations(40, count, dim)
    error = (aligned(x, turned(x)) - x).square().sum((1, 2)).sqrt()
    assert error.max() < 1e-4


@pytest.mark.parametrize(("count", "dim"), [(4, 2), (6, 3)])
def test_noise_keeps_its_distances(count, dim):
    x, noise = configurations(30, count, dim), configurations(30, count, dim)
    moved = aligned(x, noise)
    before, after = (torch.cdist(z, z).flatten(1).sort().values for z in (noise, moved))
    torch.testing.assert_close(after, before, atol=1e-4, rtol=1e-4)


def test_the_least_distance_of_a_brute_force_search_is_nearly_reached():
    x, noise = configurations(60, 4, 2), configurations(60, 4, 2)
    orders = torch.tensor(list(permutations(range(4))))
    every = noise[:, orders]
    # max over R in O(d) of tr(R^T noise^T x) is the sum of the singular values
    overlap = torch.linalg.svdvals(every.mT @ x[:, None]).sum(-1).max(1).values
    least = x.square().sum((1, 2)) + noise.square().sum((1, 2)) - 2 * overlap
    found = (aligned(x, noise) - x).square().sum((1, 2))
    assert (found >= least - 1e-4).all()
    assert found.mean() < 1.05 * least.mean()


def test_species_do_not_change_places():
    x, noise = configurations(20, 5, 3), configurations(20, 5, 3)
    species = ("O", "O", "H", "H", "H")
    moved = aligned(x, noise, species)
    for some in (slice(0, 2), slice(2, 5)):
        before, after = (z[:, some].norm(dim=2).sort(1).values for z in (noise, moved))
        torch.testing.assert_close(after, before, atol=1e-4, rtol=1e-4)


def test_pairs_are_nearer_than_independent_ones_and_the_noise_stays_normal():
    x, noise = 2 * turned(configurations(512, 4, 2)), configurations(512, 4, 2)
    paired = aligned_transport(x, noise)
    assert (paired - x).square().sum() < 0.5 * (noise - x).square().sum()
    # one coordinate of centred noise has variance 1 - 1/4
    assert kstest(paired[:, 0, 0].numpy() / 0.75**0.5, "norm").pvalue > 1e-3
    before, after = (z.norm(dim=(1, 2)).sort().values for z in (noise, paired))
    torch.testing.assert_close(after, before, atol=1e-4, rtol=1e-4)


def test_conditions_are_not_mixed():
    x, noise = configurations(64, 4, 2), configurations(64, 4, 2)
    label = torch.arange(64) % 2
    paired = aligned_transport(x, noise, label[:, None].float())
    for each in (0, 1):
        before, after = (z[label == each].norm(dim=(1, 2)).sort().values for z in (noise, paired))
        torch.testing.assert_close(after, before, atol=1e-4, rtol=1e-4)


def test_other_shapes_are_refused():
    with pytest.raises(UsageError, match="data and noise of one shape"):
        aligned_transport(torch.zeros(3, 4, 2), torch.zeros(3, 5, 2))
