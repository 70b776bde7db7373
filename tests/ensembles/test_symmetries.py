"""Symmetry operations move values and never change them, and reach every element of the group."""

import numpy as np
import pytest
import torch

from pushforward.ensembles import augment
from pushforward.spaces import Field, Vector


def field(*grid, channels=2, batch=5):
    return torch.arange(batch * channels * int(np.prod(grid)), dtype=torch.float32).reshape(batch, channels, *grid)


@pytest.mark.parametrize("grid", [(8, 8), (6, 8), (4, 4, 4), (4, 6, 4)])
@pytest.mark.parametrize(("periodic", "isotropic"), [(True, True), (True, False), (False, True), (False, False)])
def test_values_only_change_places(grid, periodic, isotropic):
    x = field(*grid)
    y = augment(x, Field(2, grid, periodic=periodic, isotropic=isotropic), np.random.default_rng(0))
    assert y.shape == x.shape
    torch.testing.assert_close(y.flatten(2).sort(-1).values, x.flatten(2).sort(-1).values, rtol=0, atol=0)
    assert torch.equal(y, x) == (not periodic and not isotropic)


def test_channels_move_together():
    x = field(8, 8)
    x[:, 1] = x[:, 0] + 1000
    y = augment(x, Field(2, (8, 8), periodic=True, isotropic=True), np.random.default_rng(0))
    torch.testing.assert_close(y[:, 1], y[:, 0] + 1000, rtol=0, atol=0)


@pytest.mark.parametrize(("grid", "count"), [((4, 4), 8), ((4, 6), 4), ((3, 3, 3), 48), ((3, 4, 3), 16)])
def test_every_symmetry_of_the_box_is_reached_equally_often(grid, count):
    tries = 60 * count
    x = field(*grid, channels=1, batch=1).expand(tries, -1, *[-1] * len(grid))
    y = augment(x, Field(1, grid, isotropic=True), np.random.default_rng(0))
    _, times = torch.unique(y.flatten(1), dim=0, return_counts=True)
    assert len(times) == count
    assert ((times - 60).float() ** 2 / 60).sum() < 2 * count + 20  # chi-squared


def test_every_translation_is_reached():
    x = field(4, 3, channels=1, batch=1).expand(600, -1, -1, -1)
    y = augment(x, Field(1, (4, 3), periodic=True), np.random.default_rng(0))
    seen = {tuple(each.flatten().tolist()) for each in y}
    assert seen == {tuple(torch.roll(x[0, 0], (i, j), (0, 1)).flatten().tolist()) for i in range(4) for j in range(3)}


def test_rotations_keep_neighbours():
    """A symmetry keeps the distances between cells, so a field's spectrum as a function of |k| stays as it is."""
    x = torch.randn(6, 1, 16, 16)
    y = augment(x, Field(1, (16, 16), periodic=True, isotropic=True), np.random.default_rng(3))
    k = torch.fft.fftfreq(16) ** 2
    size = (k[:, None] + k[None, :]).flatten()

    def spectrum(each):
        power = torch.fft.fft2(each).abs().square().flatten(1)
        return torch.stack([power[:, size == value].sum(1) for value in size.unique()], 1)

    torch.testing.assert_close(spectrum(y), spectrum(x), rtol=1e-3, atol=1e-2)


def test_a_generator_for_each_sample_does_not_depend_on_its_neighbours():
    x, space = field(8, 8), Field(2, (8, 8), periodic=True, isotropic=True)
    together = augment(x, space, [np.random.default_rng(number) for number in range(5)])
    for number in range(5):
        alone = augment(x[number : number + 1], space, [np.random.default_rng(number)])
        torch.testing.assert_close(together[number : number + 1], alone, rtol=0, atol=0)


def test_only_fields_have_symmetries_here():
    x = torch.randn(3, 2)
    assert augment(x, Vector(2), np.random.default_rng(0)) is x
