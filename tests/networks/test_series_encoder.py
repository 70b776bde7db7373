"""The encoder of series: what it must not look at, and what it must."""

import torch

from pushforward.networks.series_encoder import SeriesEncoder


def some(count: int = 6, length: int = 9, dim: int = 2):
    generator = torch.Generator().manual_seed(0)
    times = torch.rand(count, length, generator=generator).sort(1).values
    values = torch.randn(count, length, dim, generator=generator)
    return times, values, torch.rand(count, length, dim, generator=generator) < 0.7


def test_rows_that_were_not_observed_change_nothing():
    encode = SeriesEncoder(2, 3).double()
    times, values, seen = some()
    times, values = times.double(), values.double()
    seen[:, 4] = False
    whole = encode(times, values, seen)
    kept = [0, 1, 2, 3, 5, 6, 7, 8]
    torch.testing.assert_close(encode(times[:, kept], values[:, kept], seen[:, kept]), whole)
    longer = [torch.cat([each, each[:, -1:].expand(-1, 4, *each.shape[2:])], 1) for each in (times, values, seen)]
    longer[2][:, 9:] = False
    torch.testing.assert_close(encode(*longer), whole)
    torch.testing.assert_close(encode(times, torch.where(seen, values, torch.nan), seen), whole)


def test_waves_are_fourier_sums_of_what_was_observed():
    encode = SeriesEncoder(1, 3, waves=7)
    times = torch.rand(1, 200).sort(1).values
    frequency = 20 * encode.frequencies[4]
    values = (frequency * times + 0.3).cos()[..., None]
    cosines, sines = encode._waves(times, values, torch.ones_like(values, dtype=torch.bool), 20.0)[0, :14].split(7)
    expected = ((values[..., 0] - values.mean()) * (frequency * times).cos()).mean()
    torch.testing.assert_close(cosines[4], expected)
    assert int((cosines**2 + sines**2).argmax()) == 4, "the wave that is in the series must stand out"


def test_a_single_value_matters_to_its_own_series_alone():
    encode = SeriesEncoder(2, 3)
    times, values, seen = some()
    seen[2, 3, 1] = True
    values.requires_grad_()
    encode(times, values, seen)[2].sum().backward()
    assert values.grad[2, 3, 1] != 0
    assert (values.grad[[0, 1, 3, 4, 5]] == 0).all()
    assert (values.grad[~seen] == 0).all()
