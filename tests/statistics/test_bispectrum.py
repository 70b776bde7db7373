from itertools import product

import numpy as np
import pytest
import torch
from gaussian_maps import gaussian_fields, wavenumber

from pushforward.errors import UsageError
from pushforward.statistics import bispectrum, power_spectrum, standard_error


def every_triangle(field, sides, edges, triple):
    """B, number and mean sides by going through all pairs of modes."""
    grid = field.shape
    modes = np.fft.fftn(field)
    k = wavenumber(grid, sides)
    shell = np.digitize(k, edges) - 1
    numbers = [np.array(np.nonzero(shell == side)).T for side in triple]
    total, count, lengths = 0.0, 0, np.zeros(3)
    for first, second in product(numbers[0], numbers[1]):
        third = tuple((-(first + second)) % np.array(grid))
        first, second = tuple(first), tuple(second)
        if shell[third] == triple[2]:
            total += (modes[first] * modes[second] * modes[third]).real
            lengths += [k[first], k[second], k[third]]
            count += 1
    scale = np.prod(sides) ** 2 / np.prod(grid) ** 3
    return total / max(count, 1) * scale, count, lengths / max(count, 1)


@pytest.mark.parametrize(("grid", "sides"), [((12, 12), (3.0, 3.0)), ((10, 13), (10.0, 13.0)), ((8, 8, 8), (2.0,) * 3)])
def test_is_the_mean_over_all_triangles(grid, sides):
    field = np.random.default_rng(0).exponential(size=grid)
    fundamental = 2 * np.pi / max(sides)
    edges = np.array([0.5, 1.5, 2.5]) * fundamental
    found = bispectrum(torch.tensor(field)[None, None], box=sides, bins=edges.tolist(), triangles="all")
    asked = [(0, 0, 0), (0, 0, 1), (0, 1, 1), (1, 1, 1)]
    closing = [triple for triple in asked if every_triangle(field, sides, edges, triple)[1] > 0]
    assert [tuple(triple) for triple in found.index.tolist()] == closing
    power = power_spectrum(torch.tensor(field)[None, None], box=sides, bins=edges.tolist()).power[0, 0]
    for row, triple in enumerate(found.index.tolist()):
        expected, count, lengths = every_triangle(field, sides, edges, triple)
        assert found.triangles[row] == count
        np.testing.assert_allclose(found.k[row], lengths, rtol=1e-10)
        np.testing.assert_allclose(found.bispectrum[0, 0, row], expected, rtol=1e-8)
        a, b, c = power[triple]
        torch.testing.assert_close(found.products[0, 0, row], a * b + b * c + c * a)


def local_type(grid, sides, index, edges, f, spectrum):
    """2 f <P1 P2 + P2 P3 + P3 P1> averaged over the triangles of each bin, from sums over cells of filtered spectra."""
    k = wavenumber(grid, sides)
    power = np.where(k > 0, spectrum(np.where(k > 0, k, 1.0)), 0.0)

    def kept(shell, weight):
        return np.fft.ifftn(np.where((edges[shell] <= k) & (k < edges[shell + 1]), weight, 0.0)).real

    expected = []
    for triple in index:
        one, weighted = [kept(s, 1.0) for s in triple], [kept(s, power) for s in triple]
        pairs = sum(np.sum(one[i] * weighted[(i + 1) % 3] * weighted[(i + 2) % 3]) for i in range(3))
        expected.append(2 * f * pairs / np.sum(one[0] * one[1] * one[2]))
    return np.array(expected)


@pytest.mark.parametrize(("grid", "box", "count"), [((64, 64), 25.0, 300), ((24, 24, 24), 12.0, 60)])
def test_quadratic_field_has_its_closed_form(grid, box, count):
    sides = (box,) * len(grid)

    def spectrum(k):
        return 0.3 * k ** (1.0 - len(grid))

    g = gaussian_fields(count, grid, sides, spectrum)
    variance = np.var(g)
    f = 0.05 / np.sqrt(variance)
    # g and -g are equally likely: over the pair the scatter of <g g g> cancels, which leaves that of the signal.
    quadratic = f * (g**2 - variance)
    fundamental = 2 * np.pi / box
    edges = np.arange(0.5, grid[0] / 3, 2.0) * fundamental
    for triangles in ("equilateral", "squeezed", "all"):
        up, down = (
            bispectrum(torch.tensor(sign * g + quadratic), box, edges.tolist(), triangles) for sign in (1.0, -1.0)
        )
        values = (up.bispectrum + down.bispectrum)[:, 0] / 2
        expected = local_type(grid, sides, up.index.tolist(), edges, f, spectrum)
        error = standard_error(values).numpy()
        # Terms of order f^3 are below a per cent of the signal at this f.
        z = (values.mean(0).numpy() - expected) / np.hypot(error, 0.01 * expected)
        assert np.abs(z).max() < 5
        assert abs(np.average(values.mean(0).numpy() / expected, weights=(expected / error) ** 2) - 1) < 0.03


def test_gaussian_field_has_none():
    found = bispectrum(torch.tensor(gaussian_fields(200, (48, 48), (48.0, 48.0), lambda k: k**-1.0)), triangles="all")
    z = found.bispectrum.mean((0, 1)) / standard_error(found.bispectrum)[0]
    assert z.abs().max() < 5
    assert 0.5 < z.square().mean() < 1.6


def test_reduced_bispectrum_is_twice_the_amplitude():
    g = gaussian_fields(400, (32, 32), (32.0, 32.0), lambda k: k**-1.0)
    fields = torch.tensor(np.concatenate([g, -g]) + 0.1 * np.concatenate([g**2, g**2]))
    reduced = bispectrum(fields, triangles="all").reduced
    assert abs(reduced[0, 5:].median() - 0.2) < 0.02


def test_does_not_depend_on_batch_precision_order_or_unit():
    fields = torch.randn(40, 2, 24, 24, dtype=torch.float64).exp()
    together = bispectrum(fields, triangles="all")
    apart = torch.cat([bispectrum(part, triangles="all").bispectrum for part in fields.split(7)])
    torch.testing.assert_close(together.bispectrum, apart, rtol=1e-9, atol=1e-9)
    scale = together.products.sqrt().mean()
    for unit in (1.0, 1e-15, 1e15):
        single = bispectrum((fields * unit).float(), triangles="all").bispectrum / unit**3
        torch.testing.assert_close(single, together.bispectrum, rtol=1e-4, atol=1e-4 * float(scale))
    triples = [(2, 1, 1), (1, 2, 1)]
    turned = bispectrum(fields, triangles=triples).bispectrum
    torch.testing.assert_close(turned[..., 0], turned[..., 1])


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"triangles": "isosceles"}, "unknown"),
        ({"triangles": [(0, 1, 99)]}, "shell numbers"),
        ({"triangles": [(0, 0, 3)]}, "closes"),
        ({"bins": [0.1, 5.0]}, "Nyquist"),
        ({"bins": [2.5, 3.0], "triangles": [(0, 0, 0)]}, "aliased"),
    ],
)
def test_says_what_is_wrong(arguments, says):
    with pytest.raises(UsageError, match=says):
        bispectrum(torch.randn(1, 1, 16, 16), **arguments)


def test_several_families_at_once_are_those_one_after_the_other():
    field = torch.from_numpy(np.random.default_rng(3).exponential(size=(3, 2, 24, 24)))
    both = bispectrum(field, triangles=("equilateral", "squeezed"))
    for family, rows in (
        ("equilateral", both.index[:, 0] == both.index[:, 2]),
        ("squeezed", both.index[:, 2] == 0),
    ):
        one = bispectrum(field, triangles=family)
        torch.testing.assert_close(both.bispectrum[..., rows], one.bispectrum)
        torch.testing.assert_close(both.k[rows], one.k)
    with pytest.raises(UsageError, match="isosceles"):
        bispectrum(field, triangles=("equilateral", "isosceles"))


def test_a_shell_that_starts_at_zero_holds_no_triangle_with_the_mean():
    fields = torch.randn(4, 1, 24, 24) + 5
    from_zero, above = (bispectrum(fields, bins=[low, 0.5, 0.9, 1.3], triangles="all") for low in (0.0, 1e-9))
    torch.testing.assert_close(from_zero.triangles, above.triangles)
    torch.testing.assert_close(from_zero.bispectrum, above.bispectrum)
    torch.testing.assert_close(from_zero.k, above.k)
