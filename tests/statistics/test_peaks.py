from itertools import product

import numpy as np
import pytest
import torch

from pushforward.statistics import peak_counts


def every_cell(field, levels, periodic):
    """Peaks above each level, by looking at each cell's neighbours."""
    counts = np.zeros(len(levels))
    shape = np.array(field.shape)
    for cell in product(*(range(n) for n in field.shape)):
        neighbours = [np.array(cell) + step for step in product((-1, 0, 1), repeat=field.ndim) if any(step)]
        if not periodic and any((n < 0).any() or (n >= shape).any() for n in neighbours):
            continue
        if all(field[cell] > field[tuple(n % shape)] for n in neighbours):
            counts += field[cell] > levels
    return counts


@pytest.mark.parametrize("periodic", [True, False])
@pytest.mark.parametrize("grid", [(30,), (12, 9), (6, 5, 7)])
def test_counts_what_a_walk_over_the_cells_counts(grid, periodic):
    fields = torch.randn(3, 2, *grid, dtype=torch.float64) + torch.tensor([0.0, 5.0]).reshape(2, *[1] * len(grid))
    found = peak_counts(fields, torch.linspace(-1, 3, 9), periodic=periodic)
    for sample, channel in product(range(3), range(2)):
        levels = (found.mean[channel] + found.sigma[channel] * found.thresholds).numpy()
        expected = every_cell(fields[sample, channel].numpy(), levels, periodic)
        np.testing.assert_array_equal(found.counts[sample, channel], expected)


def test_a_plateau_is_no_peak():
    flat = torch.zeros(1, 1, 8, 8)
    flat[..., 3:5, 3:5] = 1.0
    assert peak_counts(flat, periodic=True).counts.sum() == 0


def test_white_noise_peaks_once_in_nine_cells():
    counts = peak_counts(torch.randn(50, 1, 64, 64), torch.tensor([-10.0, 0.0, 2.0]), periodic=True).counts
    assert abs(counts[..., 0].mean() / 64**2 - 1 / 9) < 0.001
    # The largest of nine values lies above nu with probability 1 - Phi(nu)^9.
    assert abs(counts[..., 2].mean() / 64**2 - (1 - 0.977250**9) / 9) < 0.001


def test_a_second_set_is_counted_at_the_values_of_the_first():
    fields = torch.randn(4, 1, 16, 16)
    first = peak_counts(fields)
    second = peak_counts(2 * fields, mean=first.mean, sigma=2 * first.sigma)
    torch.testing.assert_close(peak_counts(2 * fields).counts, first.counts)
    assert (second.counts - first.counts).abs().max() <= 1
    parts = [peak_counts(part, mean=first.mean, sigma=first.sigma).counts for part in fields.split(1)]
    torch.testing.assert_close(torch.cat(parts), first.counts)
