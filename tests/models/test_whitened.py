"""Whitening of periodic fields."""

import torch

from pushforward.models.whitened import Whitening
from pushforward.spaces import Field, Vector


def fields(count, slope):
    """Gaussian fields with a power that falls with the wavenumber."""
    torch.manual_seed(0)
    k = (torch.fft.fftfreq(16)[:, None].square() + torch.fft.rfftfreq(16).square()).sqrt() * 16
    modes = torch.fft.rfft2(torch.randn(count, 1, 16, 16), norm="ortho") * (1 + k) ** slope
    return torch.fft.irfft2(modes, s=(16, 16), norm="ortho")


def test_whitened_fields_have_unit_power_and_go_back():
    whitening, x = Whitening(Field(1, (16, 16), periodic=True)), fields(400, -1.0)
    for part in x.split(100):
        whitening.update(part)
    w = whitening(x)
    power = torch.fft.rfft2(w, norm="ortho").abs().square().mean((0, 1))
    assert (power - 1).abs().max() < 0.35, "a mode has 400 samples, so 0.05 of scatter and three of a shell together"
    assert abs(power.mean() - 1) < 0.01
    torch.testing.assert_close(whitening.inverse(w), x, rtol=1e-4, atol=1e-5)


def test_between_two_whitenings_is_the_filter_of_gaussian_transport():
    a, b = (Whitening(Field(1, (16, 16), periodic=True)) for _ in range(2))
    x, y = fields(400, -1.0), fields(400, 0.5)
    a.update(x)
    b.update(y)
    x = x.double()
    moved = torch.fft.rfft2(b.inverse(a(x))) / torch.fft.rfft2(x)
    assert moved.imag.abs().max() < 1e-3, "phases are kept"
    k = torch.fft.rfftfreq(16) * 16
    expected = (1 + k.double()) ** 1.5
    torch.testing.assert_close(moved.real[0, 0, 0], expected, rtol=0.15, atol=0.0)


def test_power_is_learnt_in_training_alone_and_other_samples_are_left_as_they_are():
    whitening, x = Whitening(Field(1, (16, 16), periodic=True)).eval(), fields(4, -1.0)
    whitening.update(x)
    torch.testing.assert_close(whitening(x), x)
    for space, rows in ((Vector(3), torch.randn(4, 3)), (Field(1, (8, 8)), torch.randn(4, 1, 8, 8))):
        plain = Whitening(space)
        plain.update(rows)
        assert plain(rows) is rows
        assert plain.inverse(rows) is rows
