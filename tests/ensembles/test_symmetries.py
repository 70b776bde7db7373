"""Symmetry operations move values and never change them, and reach every element of the group."""

import numpy as np
import pytest
import torch

from pushforward.ensembles import augment
from pushforward.spaces import Field, Particles, Vector


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


@pytest.mark.parametrize(
    "space",
    [
        Particles(4, 2, centred=True),
        Particles(5, 3),
        Particles(3, 1),
        Particles(6, 3, box=2.5),
        Particles(5, 3, species=("H", "O", "H", "O", "H")),
    ],
)
def test_particles_keep_their_distances_within_and_between_species(space):
    """Distances are those of the nearest image in a box; the sorted ones of each pair of species stay as they are."""
    x = 2.5 * torch.rand(20, *space.shape, dtype=torch.float64)
    y = augment(x, space, np.random.default_rng(0))

    def distances(x):
        apart = x[:, :, None] - x[:, None]
        if space.box:
            apart = apart - space.box * (apart / space.box).round()
        return apart.norm(dim=-1)

    names = np.array(space.species or ["X"] * space.count)
    for first in set(names):
        for second in set(names):
            before, after = (distances(z)[:, names == first][:, :, names == second].flatten(1) for z in (x, y))
            torch.testing.assert_close(after.sort().values, before.sort().values)
    moved = (y - x).abs().flatten(1).sum(1) > 1e-3
    assert moved.float().mean() > 0.5, "most samples do not stay where they were"
    if not space.box:
        # a turn about the origin
        torch.testing.assert_close(y.norm(dim=2).sort().values, x.norm(dim=2).sort().values)


def test_particles_turn_to_every_direction_and_take_every_place():
    space = Particles(3, 2)
    x = torch.tensor([[1.0, 0.0], [2.0, 0.0], [0.0, 3.0]]).expand(3000, -1, -1)
    y = augment(x, space, np.random.default_rng(0))
    radius, angle = y[:, 0].norm(dim=1), torch.atan2(y[:, 0, 1], y[:, 0, 0])
    assert torch.bincount(radius.round().long(), minlength=4)[1:].tolist() == pytest.approx([1000] * 3, abs=120)
    counts = torch.histc(angle, 8, -np.pi, np.pi)
    assert ((counts - 375).square() / 375).sum() < 30
    # third particle to the left or to the right of the first two: reflections are half of the operations
    order = y.norm(dim=2).argsort(1)
    a, c = (y.gather(1, order[:, i, None, None].expand(-1, 1, 2))[:, 0] for i in (0, 2))
    assert ((a[:, 0] * c[:, 1] - a[:, 1] * c[:, 0]) > 0).float().mean() == pytest.approx(0.5, abs=0.04)


def test_what_happens_to_particles_does_not_depend_on_their_batch():
    space, x = Particles(5, 3), torch.randn(4, 5, 3)
    alone = [augment(x[i : i + 1], space, [np.random.default_rng(i)]) for i in range(4)]
    together = augment(x, space, [np.random.default_rng(i) for i in range(4)])
    torch.testing.assert_close(together, torch.cat(alone))
