"""Ways through a latent space: ends, lengths, directions, and codes that are found again."""

from __future__ import annotations

import pytest
import torch

from pushforward.errors import UsageError
from pushforward.models.latent_paths import attribute_direction, invert, latent_path


@pytest.mark.parametrize("path", ["spherical", "straight"])
def test_a_path_begins_and_ends_where_it_should(path):
    z = torch.randn(2, 64)
    codes = latent_path(*z, 7, path)
    torch.testing.assert_close(codes[[0, -1]], z)


def test_the_spherical_path_keeps_to_the_shell_of_noise_and_the_straight_one_does_not():
    z = torch.nn.functional.normalize(torch.randn(2, 4096), dim=1) * 64
    norms = {path: latent_path(*z, 5, path).norm(dim=1) for path in ("spherical", "straight")}
    torch.testing.assert_close(norms["spherical"], torch.full((5,), 64.0))
    assert norms["straight"][2] < 0.75 * 64


def test_codes_in_one_direction_are_joined_by_a_straight_line():
    z = torch.randn(8)
    torch.testing.assert_close(latent_path(z, 3 * z, 3)[1], 2 * z)


def test_a_direction_is_that_of_the_attribute():
    codes = torch.randn(4000, 3)
    having = codes[:, 1] > 0
    direction = attribute_direction(codes, having)
    assert direction[1] == pytest.approx(2 * (2 / torch.pi) ** 0.5, rel=0.05)
    assert direction[[0, 2]].abs().max() < 0.1


def test_codes_are_found_again():
    torch.manual_seed(0)
    network = torch.nn.Sequential(torch.nn.Linear(3, 32), torch.nn.Tanh(), torch.nn.Linear(32, 6))
    wanted = torch.randn(5, 3)
    with torch.no_grad():
        x = network(wanted)
        z = invert(network, x, torch.randn(3, 5, 3))
        assert (network(z) - x).abs().max() < 0.02


def test_what_has_no_path_or_direction_is_refused():
    z = torch.randn(2, 4)
    with pytest.raises(UsageError, match="at least 2"):
        latent_path(*z, 1)
    with pytest.raises(UsageError, match="'spherical' or 'straight'"):
        latent_path(*z, 3, "curved")
    with pytest.raises(UsageError, match="members that have it and members that do not"):
        attribute_direction(z, torch.tensor([True, True]))
