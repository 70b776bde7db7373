import numpy as np
import pytest
import torch
from gaussian_maps import gaussian_fields, shell_means, wavenumber

from pushforward.errors import UsageError
from pushforward.statistics import cross_power_spectrum, power_spectrum


@pytest.mark.parametrize(
    ("grid", "sides"),
    [((12,), (3.0,)), ((8, 8), (2.0, 2.0)), ((9, 7), (9.0, 7.0)), ((8, 12), (5.0, 7.5)), ((6, 5, 8), (1.0, 2.0, 3.0))],
)
def test_is_the_mean_over_the_modes_of_a_shell(grid, sides):
    fields = np.random.default_rng(0).normal(2.0, 3.0, (2, 2, *grid))
    k = wavenumber(grid, sides)
    fundamental, nyquist = 2 * np.pi / max(sides), np.pi * min(np.array(grid) / np.array(sides))
    edges = np.arange(0.5, 100) * fundamental
    edges = edges[edges <= nyquist] * (1 - 1e-10)
    found = power_spectrum(torch.tensor(fields), box=sides)
    mean_k, counts = shell_means(k, k, edges)
    np.testing.assert_allclose(found.k, np.where(counts > 0, mean_k, (edges[1:] + edges[:-1]) / 2), rtol=1e-12)
    np.testing.assert_array_equal(found.modes, counts)
    for sample in range(2):
        for channel in range(2):
            modes = np.fft.fftn(fields[sample, channel])
            power = np.prod(sides) * np.abs(modes) ** 2 / np.prod(grid) ** 2
            expected, _ = shell_means(power, k, edges)
            inhabited = counts > 0
            np.testing.assert_allclose(found.power[sample, channel][inhabited], expected[inhabited], rtol=1e-10)
            assert bool(found.power[sample, channel][~inhabited].isnan().all())


@pytest.mark.parametrize(("grid", "box"), [((64, 64), 25.0), ((32, 48), 100.0), ((24, 24, 24), 10.0)])
def test_recovers_the_spectrum_of_a_gaussian_field_within_its_sampling_error(grid, box):
    sides = tuple(box * n / grid[0] for n in grid)
    fields = gaussian_fields(60, grid, sides, lambda k: 3.0 * k**-1.5)
    found = power_spectrum(torch.tensor(fields, dtype=torch.float32), box=box)
    k = wavenumber(grid, sides)
    fundamental = 2 * np.pi / max(sides)
    expected, counts = shell_means(
        np.where(k > 0, 3.0 * np.where(k > 0, k, 1) ** -1.5, 0), k, (0.5 + np.arange(len(found.k) + 1)) * fundamental
    )
    z = (found.power.mean((0, 1)).numpy() / expected - 1) / np.sqrt(2 / counts / 60)
    assert np.abs(z).max() < 4.5
    assert 0.4 < np.mean(z**2) < 1.8


def test_all_shells_together_hold_the_variance():
    grid, box = (10, 15), 4.0
    fields = torch.randn(3, 1, *grid, dtype=torch.float64)
    found = power_spectrum(fields, box=box, bins=[1e-6, 5.0, 10.0, 100.0])
    volume = box * box * 15 / 10
    variance = (found.power * found.modes).sum(-1) / volume
    torch.testing.assert_close(variance, fields.var((2, 3), unbiased=False))


@pytest.mark.parametrize("grid", [(64,), (32, 32), (12, 12, 12)])
@pytest.mark.parametrize("window", [None, "hann"])
def test_a_shell_that_starts_at_zero_does_not_count_the_mean(grid, window):
    white = torch.randn(4000 // len(grid) ** 2, 1, *grid) + 7
    bins = [0.0, 1.5 * 2 * np.pi / grid[0], 2.5 * 2 * np.pi / grid[0]]
    found = power_spectrum(white, bins=bins, window=window)
    mean = found.power.mean((0, 1))
    tolerance = 5 * found.power.std((0, 1)) / len(white) ** 0.5
    if window is None:
        assert (mean - 1).abs().lt(tolerance).all()
        assert found.modes[0] == 3 ** len(grid) - 1 - (8 if len(grid) == 3 else 0)
    torch.testing.assert_close(power_spectrum(white, bins=[1e-9, *bins[1:]], window=window).power, found.power)
    cross = cross_power_spectrum(white, 2 * white, bins=bins, window=window)
    torch.testing.assert_close(cross.power, 2 * found.power)


def test_scales_with_the_units():
    fields = torch.randn(2, 1, 16, 16)
    plain, scaled = power_spectrum(fields), power_spectrum(3 * fields, box=8.0)
    torch.testing.assert_close(scaled.k, plain.k * 2)
    torch.testing.assert_close(scaled.power, plain.power * 9 / 4, rtol=1e-5, atol=0)


@pytest.mark.parametrize("unit", [1e-30, 1e30])
def test_units_far_from_one_do_not_leave_the_range_of_float32(unit):
    fields = torch.randn(2, 1, 16, 16, dtype=torch.float64)
    plain = power_spectrum(fields).power
    found = power_spectrum((fields * unit).float()).power
    torch.testing.assert_close(found / unit**2, plain, rtol=1e-5, atol=0)


def test_a_large_mean_costs_few_digits():
    fields = torch.randn(2, 1, 32, 32, dtype=torch.float64)
    found = power_spectrum((fields + 1000).float())
    torch.testing.assert_close(found.power, power_spectrum(fields).power, rtol=1e-3, atol=0)


def test_does_not_depend_on_the_batch_or_on_the_precision():
    fields = torch.randn(70, 2, 64, 64, dtype=torch.float64)
    together = power_spectrum(fields)
    apart = torch.cat([power_spectrum(part).power for part in fields.split(11)])
    torch.testing.assert_close(together.power, apart, rtol=1e-12, atol=0)
    torch.testing.assert_close(power_spectrum(fields.float()).power, together.power, rtol=1e-5, atol=0)
    torch.testing.assert_close(power_spectrum(fields.numpy()).power, together.power)


def test_agrees_with_powerbox():
    powerbox = pytest.importorskip("powerbox")
    for grid, sides in (((64, 64), (25.0, 25.0)), ((16, 16, 16), (3.0, 3.0, 3.0)), ((32, 48), (10.0, 13.7))):
        field = gaussian_fields(1, grid, sides, lambda k: k**-2.0)
        found = power_spectrum(torch.tensor(field, dtype=torch.float32), box=sides)
        edges = (0.5 + np.arange(len(found.k) + 1)) * 2 * np.pi / max(sides)
        theirs = powerbox.get_power(field[0, 0], list(sides), bins=edges)
        np.testing.assert_allclose(found.power[0, 0], theirs.power, rtol=1e-4)
        np.testing.assert_allclose(found.k, theirs.bin_avg, rtol=1e-10)
        np.testing.assert_array_equal(found.modes, theirs.nsamples)


def test_a_window_stops_the_leakage_of_a_crop():
    whole = gaussian_fields(40, (256, 256), (256.0, 256.0), lambda k: k**-4.0)
    crops = torch.tensor(whole[:, :, :64, :64])
    bare, windowed = power_spectrum(crops), power_spectrum(crops, window="hann")
    high = bare.k > 1.0
    expected = bare.k[high] ** -4.0
    leaked = (bare.power.mean((0, 1))[high] / expected).mean()
    kept = (windowed.power.mean((0, 1))[high] / expected).mean()
    assert leaked > 3
    assert abs(kept - 1) < 0.1


def test_a_window_leaves_white_noise_as_it_is():
    fields = torch.randn(200, 1, 32, 32)
    found = power_spectrum(fields, window="hann").power.mean((0, 1))
    assert abs(found[2:].mean() - 1) < 0.02


def test_cross_spectrum_of_a_field_with_a_noisy_multiple_of_itself():
    a = torch.randn(100, 1, 32, 32)
    b = 2 * a + torch.randn(100, 1, 32, 32)
    found = cross_power_spectrum(a, b)
    assert (found.correlation.mean((0, 1)) - 2 / 5**0.5).abs().max() < 0.05
    assert (found.transfer.mean((0, 1))[5:] - 5**0.5).abs().max() < 0.1
    assert ((found.power.mean((0, 1)) - 2) * (found.modes / 2).sqrt()).abs().max() < 4.5 * 3 / 2**0.5 / 10
    torch.testing.assert_close(cross_power_spectrum(a, a).power, power_spectrum(a).power)


def test_cross_spectrum_sees_a_shift_as_a_phase():
    a = torch.randn(4, 1, 16, 16, dtype=torch.float64)
    shifted = cross_power_spectrum(a, a.roll(8, -1), bins=[0.5 * 2 * np.pi / 16, 1.2 * 2 * np.pi / 16])
    # Half a box away: modes with n_x = 1 change sign, modes with n_y = 1 do not.
    modes = torch.fft.fft2(a)[:, :, [0, 1], [1, 0]].abs().square()
    expected = (modes[..., 1] - modes[..., 0]) / modes.sum(-1)
    torch.testing.assert_close(shifted.correlation[..., 0], expected)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"fields": torch.zeros(3, 8)}, "shape"),
        ({"fields": torch.zeros(0, 1, 8, 8)}, "no values"),
        ({"fields": torch.zeros(1, 1, 1, 1)}, "no complete shell"),
        ({"fields": torch.zeros(1, 1, 8, 8), "box": -1.0}, "positive"),
        ({"fields": torch.zeros(1, 1, 8, 8), "box": (1.0, 2.0, 3.0)}, "each axis"),
        ({"fields": torch.zeros(1, 1, 8, 8), "bins": [2.0, 1.0]}, "rise"),
        ({"fields": torch.zeros(1, 1, 8, 8), "window": "hamming"}, "hann"),
    ],
)
def test_says_what_is_wrong(arguments, says):
    with pytest.raises(UsageError, match=says):
        power_spectrum(**arguments)
