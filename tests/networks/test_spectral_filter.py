"""The filter: nothing at first, nothing on the largest scales, smooth in the wavenumber, different at other times."""

import pytest
import torch

from pushforward.networks.spectral_filter import SpectralFilter


@pytest.fixture
def trained():
    filter = SpectralFilter(torch.linspace(0, 3, 61))
    torch.nn.init.normal_(filter.last.weight)
    torch.nn.init.normal_(filter.last.bias)
    return filter


def test_it_starts_as_nothing():
    assert (SpectralFilter(torch.rand(4, 5, 3))(torch.tensor([0.2, 1.0])) == 0).all()


def test_the_largest_scales_are_left_alone(trained):
    assert (trained(torch.tensor([0.3]))[:, 0] == 0).all()


def test_modes_of_one_wavenumber_have_one_factor(trained):
    k = torch.tensor([[0.5, 1.0], [1.0, 0.5]])
    factors = SpectralFilter(k)
    factors.load_state_dict(trained.state_dict())
    values = factors(torch.tensor([0.7]))[0]
    assert values[0, 0] == values[1, 1] != values[0, 1]


def test_it_changes_with_time_and_smoothly_with_the_wavenumber(trained):
    early, late = trained(torch.tensor([0.1, 1.0]))
    assert (early - late).abs().max() > 1e-2
    assert early.diff().diff().abs().max() < 0.3 * (early.max() - early.min())


def test_one_coefficient_for_all_gives_a_constant_away_from_zero():
    """B-splines of one knot vector sum to one: with the first left out, to less only before the second knot."""
    filter = SpectralFilter(torch.linspace(0, 1, 101))
    torch.nn.init.ones_(filter.last.bias)
    values = filter(torch.tensor([0.5]))[0]
    torch.testing.assert_close(values[10:], torch.ones(91))
    assert (values[:5] < 1).all()
