"""The parts of consistency models: neighbouring levels, the loss, and sampling in any number of calls."""

from __future__ import annotations

import pytest
import torch

from pushforward.randomness import Draws
from pushforward.transport import Straight, VarianceExploding, VPCosine, earlier, multistep, pseudo_huber, time_grid

SPREAD = torch.tensor([0.5, 2.0])


def exact(z, moment):
    """The end of the flow of Gaussian data with standard deviations `SPREAD`."""
    return z * SPREAD / torch.sqrt(moment.alpha**2 * SPREAD**2 + moment.sigma**2)


@pytest.mark.parametrize("path", [Straight(), VPCosine(), VarianceExploding(sigma_max=200.0)], ids=repr)
@pytest.mark.parametrize("calls", [1, 2, 5])
def test_any_number_of_calls_of_the_exact_function_samples_the_data(path, calls):
    times = time_grid(path, calls)[:-1]
    x = multistep(exact, path, times, Draws(0, 20000), (2,))
    torch.testing.assert_close(x.T.cov(), torch.diag(SPREAD**2), rtol=0.03, atol=0.03)


def test_a_later_call_depends_on_the_one_before():
    first, then, fresh = (
        multistep(exact, Straight(), times, Draws(0, 2000), (2,)) for times in ([1.0], [1.0, 0.2], [1.0, 1.0])
    )
    correlation = [torch.corrcoef(torch.stack([first[:, 0], x[:, 0]]))[0, 1] for x in (then, fresh)]
    assert correlation[0] > 0.85, "little noise was added to the first sample"
    assert abs(correlation[1]) < 0.1, "there is nothing but fresh noise at the last time"


def test_the_level_before_is_on_the_way_to_the_data():
    t = torch.linspace(0, 1, 101)
    for levels in (2, 8, 64):
        s = earlier(t, levels)
        assert (s <= t).all()
        assert (s[1:] < t[1:]).all()
        assert (s.diff() >= 0).all()
        assert (s[t < levels**-3] == 0).all(), "below the last level are the data"
    gaps = [float((t - earlier(t, levels)).max()) for levels in (2, 8, 64)]
    assert gaps[0] > gaps[1] > gaps[2]
    again = torch.tensor(1.0)
    for _ in range(8):
        again = earlier(again, 8)
    assert again < 1e-6, "eight levels take eight steps"


def test_the_loss_is_a_square_for_small_errors_and_a_distance_for_large_ones():
    error = torch.ones(1, 3, 4)
    assert pseudo_huber(1e-3 * error, 1.0).item() == pytest.approx(0.5e-6, rel=0.1)
    assert pseudo_huber(1e3 * error, 1.0).item() == pytest.approx(1e3 - 1, rel=1e-3)
    assert pseudo_huber(0 * error, 0.3).item() == pytest.approx(0, abs=1e-7)
