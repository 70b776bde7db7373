"""Statistics of particles against scipy's distances, an ideal gas, and what symmetries must leave alone."""

import math

import numpy as np
import pytest
import torch
from scipy.spatial.distance import pdist

from pushforward.errors import DataError, UsageError
from pushforward.statistics import (
    configuration_features,
    pair_distances,
    radial_distribution,
    radius_of_gyration,
)

GENERATOR = torch.Generator().manual_seed(0)


def test_distances_are_those_of_an_independent_implementation():
    x = torch.randn(7, 6, 3, generator=GENERATOR, dtype=torch.float64)
    np.testing.assert_allclose(pair_distances(x), [pdist(each) for each in x], rtol=1e-12)


def test_distances_in_a_box_are_those_of_the_nearest_of_all_images():
    x = 2.5 * torch.rand(5, 4, 2, generator=GENERATOR, dtype=torch.float64)
    shifts = 2.5 * torch.cartesian_prod(*[torch.arange(-1.0, 2.0)] * 2).double()
    i, j = torch.triu_indices(4, 4, 1)
    nearest = (x[:, i, None] - x[:, j, None] + shifts).norm(dim=-1).min(-1).values
    torch.testing.assert_close(pair_distances(x, box=2.5), nearest)


@pytest.mark.parametrize("dim", [1, 2, 3])
def test_an_ideal_gas_has_no_structure(dim):
    x = 3.0 * torch.rand(400, 30, dim, generator=GENERATOR)
    found = radial_distribution(x, box=3.0, bins=8)
    error = found.g.std(0) / math.sqrt(len(x))
    assert ((found.g.mean(0) - 1).abs() < 5 * error).all()
    assert found.edges[-1] == 1.5


def test_a_lattice_has_its_neighbours_where_they_are():
    side = torch.arange(4.0)
    lattice = torch.cartesian_prod(side, side)[None]
    found = radial_distribution(lattice, box=4.0, bins=40, farthest=2.0)
    # 16 particles with 4 neighbours at 1 and 4 at sqrt 2: 32 pairs each of 120.
    shells = math.pi * (found.edges[1:] ** 2 - found.edges[:-1] ** 2) / 16
    pairs = found.g[0] * shells * 120
    assert pairs[(found.r - 1.025).abs().argmin()] == pytest.approx(32)
    assert pairs[(found.r - math.sqrt(2)).abs().argmin()] == pytest.approx(32)


def test_the_density_of_distances_in_open_space_integrates_to_one():
    x = torch.randn(50, 6, 3, generator=GENERATOR)
    found = radial_distribution(x, bins=30)
    torch.testing.assert_close((found.g * found.edges.diff()).sum(1), torch.ones(50, dtype=torch.float64))


def test_pairs_of_species_are_told_apart():
    x = torch.tensor([[[0.0], [1.0], [3.0], [7.0]]])
    species = ("O", "H", "H", "O")
    assert pair_distances(x, species=species, between=("H", "O")).sort().values.tolist() == [[1, 3, 4, 6]]
    assert pair_distances(x, species=species, between=("O", "O")).tolist() == [[7]]
    assert configuration_features(x, species=species).tolist() == [[2, 1, 3, 4, 6, 7]]
    assert configuration_features(x[:, :3], species=("O", "H", "H")).tolist() == [[2, 1, 3]]


def test_features_do_not_see_symmetries():
    x = torch.randn(9, 5, 3, generator=GENERATOR, dtype=torch.float64)
    rotation = torch.linalg.qr(torch.randn(3, 3, generator=GENERATOR, dtype=torch.float64))[0]
    moved = (x @ rotation + 1.0)[:, [3, 1, 0, 4, 2]]
    torch.testing.assert_close(configuration_features(moved), configuration_features(x))
    torch.testing.assert_close(radius_of_gyration(moved), radius_of_gyration(x))
    other = configuration_features(torch.randn(9, 5, 3, generator=GENERATOR))
    assert (other - configuration_features(x)).abs().amin(1).max() > 0


def test_the_radius_of_gyration_follows_from_the_distances():
    x = torch.randn(9, 5, 3, generator=GENERATOR, dtype=torch.float64)
    torch.testing.assert_close(radius_of_gyration(x), pair_distances(x).square().sum(1).sqrt() / 5)


@pytest.mark.parametrize(
    ("x", "options", "error", "words"),
    [
        (torch.zeros(3, 2), {}, UsageError, r"\(samples, count, dim\)"),
        (torch.zeros(0, 3, 2), {}, DataError, "at least one sample"),
        (torch.zeros(2, 1, 2), {}, UsageError, "two particles"),
        (torch.zeros(2, 2, 2), {"species": ("O", "H"), "between": ("O", "O")}, UsageError, "pairs of O and O"),
    ],
)
def test_what_has_no_distances_is_refused(x, options, error, words):
    with pytest.raises(error, match=words):
        pair_distances(x, **options)
