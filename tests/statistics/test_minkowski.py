import numpy as np
import pytest
import torch
from gaussian_maps import gaussian_fields, wavenumber

from pushforward.errors import UsageError
from pushforward.statistics import gaussian_minkowski, minkowski_functionals, standard_error

GRID, BOX, SMOOTHING = (64, 64), 32.0, 1.3


def smooth_spectrum(k):
    return k**-1.0 * np.exp(-((k * SMOOTHING) ** 2))


def smooth_maps(count, grid=GRID, box=BOX, seed=0):
    """Gaussian maps, their sigma, and sigma_1 in units of it, both from the spectrum."""
    sides = (box, box)
    k = wavenumber(grid, sides)
    power = np.where(k > 0, smooth_spectrum(np.where(k > 0, k, 1.0)), 0.0) / np.prod(sides)
    sigma, sigma_1 = np.sqrt(power.sum()), np.sqrt((k**2 * power).sum())
    return gaussian_fields(count, grid, sides, smooth_spectrum, seed), sigma, sigma_1 / sigma


def z_scores(found, expected):
    for name in ("v0", "v1", "v2"):
        values = getattr(found, name)
        yield name, (values.mean(0) - getattr(expected, name)) / standard_error(values)


@pytest.mark.parametrize("periodic", [True, False])
def test_gaussian_maps_have_the_closed_form_within_the_sampling_error(periodic):
    maps, sigma, sigma_1 = smooth_maps(400)
    nu = torch.linspace(-2.5, 2.5, 21)
    found = minkowski_functionals(
        torch.tensor(maps, dtype=torch.float32), nu, box=BOX, periodic=periodic, mean=[0.0], sigma=[sigma]
    )
    if periodic:
        gradient = torch.tensor([sigma_1])
        torch.testing.assert_close(found.gradient, gradient, rtol=0.01, atol=0)
    else:
        # The gradient that central differences see, from the spectrum: sin(k h) / h in the place of k.
        gradient = torch.tensor([central_gradient(sigma)])
    for name, z in z_scores(found, gaussian_minkowski(nu, gradient)):
        assert z.abs().max() < 5, name
        assert z.square().mean() < 2, name


def central_gradient(sigma):
    h = BOX / GRID[0]
    axis = 2 * np.pi * np.fft.fftfreq(GRID[0], d=h)
    k = wavenumber(GRID, (BOX, BOX))
    power = np.where(k > 0, smooth_spectrum(np.where(k > 0, k, 1.0)), 0.0) / BOX**2
    return float(np.sqrt((power * ((np.sin(axis * h) / h) ** 2)[:, None] * 2).sum()) / sigma)


def on_the_lattice(u, nu, h):
    """V0, V1 (crossings of the lines of the grid: Crofton) and V2 (vertices - edges + faces) of periodic maps."""
    inside = u > nu
    right, down = np.roll(inside, -1, -1), np.roll(inside, -1, -2)
    area = inside[..., 0].size * h**2
    crossings = (inside ^ right).sum((-2, -1)) + (inside ^ down).sum((-2, -1))
    vertices = inside.sum((-2, -1))
    edges = (inside & right).sum((-2, -1)) + (inside & down).sum((-2, -1))
    faces = (inside & right & down & np.roll(right, -1, -2)).sum((-2, -1))
    area = inside.shape[-1] * inside.shape[-2] * h**2
    # The mean over directions of the crossings per length is 2 / pi times the boundary's length per area.
    length = np.pi / 2 * crossings * h / 2 / area
    return inside.mean((-2, -1)), length / 4, (vertices - edges + faces) / area


def test_agrees_with_counts_on_the_lattice_for_maps_that_are_not_gaussian():
    maps, sigma, _ = smooth_maps(60, (128, 128), BOX)
    maps = np.exp(0.5 * maps / sigma)
    mean, spread = maps.mean(), maps.std()
    nu = torch.arange(-1.2, 3.0, 0.2)
    found = minkowski_functionals(torch.tensor(maps), nu, box=BOX, periodic=True)
    u = (maps - mean) / spread
    lattice = [
        np.mean([on_the_lattice(u[:, 0], level + step, BOX / 128) for step in np.linspace(-0.09, 0.09, 10)], 0)
        for level in nu.tolist()
    ]
    v0, v1, v2 = np.moveaxis(np.array(lattice), 0, -1)
    for name, ours, theirs in (("v0", found.v0, v0), ("v1", found.v1, v1), ("v2", found.v2, v2)):
        ours = ours[:, 0].numpy()
        error = (ours - theirs).std(0) / len(maps) ** 0.5
        scale = np.abs(theirs.mean(0)).max()
        # A contour between two lines of the grid is missed by the counts: they are low by up to a few parts in 100.
        assert np.abs(ours.mean(0) - theirs.mean(0)).max() < 0.03 * scale + 5 * error.max(), name


@pytest.mark.parametrize("periodic", [True, False])
def test_a_single_hill_is_a_disc(periodic):
    cells, width, h = 256, 40.0, 0.5
    axis = (np.arange(cells) - cells / 2 + 0.25) * h
    hill = np.exp(-(axis[:, None] ** 2 + axis[None, :] ** 2) / (2 * (width * h) ** 2))
    # Above a level t lies the disc of radius w sqrt(-2 log t).
    levels = torch.linspace(0.3, 0.8, 11)
    found = minkowski_functionals(
        torch.tensor(hill)[None, None], levels, box=cells * h, periodic=periodic, mean=[0.0], sigma=[1.0]
    )
    radius = width * h * torch.sqrt(-2 * levels.double().log())
    whole, seen = (cells * h) ** 2, ((cells if periodic else cells - 4) * h) ** 2
    torch.testing.assert_close(found.v0[0, 0] * whole, np.pi * radius**2, rtol=0.01, atol=0)
    torch.testing.assert_close(found.v1[0, 0] * seen, 2 * np.pi * radius / 4, rtol=0.05, atol=0)
    torch.testing.assert_close(found.v2[0, 0] * seen, torch.ones(11).double(), rtol=0.05, atol=0)


def test_smoothing_in_front_is_smoothing():
    rough = torch.randn(20, 2, 64, 64)
    found = minkowski_functionals(rough, box=64.0, periodic=True, smoothing=3.0)
    # White noise smoothed at R has sigma_1 / sigma = 1 / R.
    assert (found.gradient - 1 / 3).abs().max() < 0.02
    assert found.v1.shape == (20, 2, 25)


def test_does_not_depend_on_the_batch_or_on_the_precision():
    maps = torch.tensor(smooth_maps(40)[0])
    together = minkowski_functionals(maps, periodic=True)
    parts = [
        minkowski_functionals(part, periodic=True, mean=together.mean, sigma=together.sigma) for part in maps.split(7)
    ]
    torch.testing.assert_close(torch.cat([part.v2 for part in parts]), together.v2)
    single = minkowski_functionals(maps.float(), periodic=True)
    torch.testing.assert_close(single.v1, together.v1, rtol=1e-3, atol=1e-3)


def test_says_what_is_wrong():
    with pytest.raises(UsageError, match="shape"):
        minkowski_functionals(torch.zeros(1, 1, 8, 8, 8))
    with pytest.raises(UsageError, match="rising"):
        minkowski_functionals(torch.randn(1, 1, 8, 8), torch.tensor([1.0, 0.0]))
    with pytest.raises(UsageError, match="channels"):
        minkowski_functionals(torch.randn(1, 1, 8, 8), mean=[0.0, 1.0])
