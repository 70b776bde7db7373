"""The turn-around time: noise above the difference of two spectra."""

from __future__ import annotations

import pytest
import torch

from pushforward.errors import UsageError
from pushforward.randomness import Draws
from pushforward.spaces import Field
from pushforward.transport import GaussianDenoiser, Straight, VPCosine, turn_around_time
from pushforward.transport.path import Moment

DATA: Moment[float] = Moment(0.0, 1.0, 0.0, 0.0, 0.0)
K = torch.arange(1, 33, dtype=torch.float64)


@pytest.mark.parametrize("path", [Straight(), VPCosine()])
@pytest.mark.parametrize("tolerance", [0.1, 1.0])
def test_at_that_time_and_not_before_the_noised_spectra_agree(path, tolerance):
    a, b = 30 * K**-2, 30 * K**-2 * torch.exp(-((K / 10) ** 2))
    t = turn_around_time(a, b, path, tolerance)

    def excess(t: float) -> float:
        moment = path.moments([t])[0]
        noised = [moment.alpha**2 * power + moment.sigma**2 for power in (a, b)]
        return float((noised[0] / noised[1]).max()) - 1

    assert excess(t) == pytest.approx(tolerance, rel=1e-6)
    assert excess(0.9 * t) > tolerance
    assert turn_around_time(b, a, path, tolerance) == t


def test_a_cut_in_one_spectrum_is_met_by_noise_of_the_power_of_the_other_there():
    a = 30 * K**-2
    b = torch.where(K < 8, a, 0.0)
    t = turn_around_time(a, b)
    assert (t / (1 - t)) ** 2 == pytest.approx(30 / 64)


def test_spectra_that_agree_need_no_noise():
    assert turn_around_time(K**-2, 1.5 * K**-2) == 0.0
    with pytest.raises(UsageError, match="must be positive"):
        turn_around_time(K, K, tolerance=0.0)


def test_it_is_found_from_two_ensembles_of_maps():
    space = Field(1, (32, 32), periodic=True)
    sides = [GaussianDenoiser(space) for _ in range(2)]
    shells = torch.arange(len(sides[0].raw_log_power))
    a = 100.0 / (1 + shells) ** 2
    powers = [a, torch.where(shells < 6, a, 0.01 * a)]
    found = []
    for side, power in zip(sides, powers, strict=True):
        with torch.no_grad():
            side.raw_log_power.copy_(power.log() / side.speed)
            maps = side.colour(Draws(len(found), 200).normal(*space.shape), DATA)
        found.append(GaussianDenoiser(space).powers_of(maps))
        torch.testing.assert_close(found[-1][1:20], power[1:20], rtol=0.2, atol=0)
    assert turn_around_time(*found) == pytest.approx(turn_around_time(*powers), abs=0.02)
