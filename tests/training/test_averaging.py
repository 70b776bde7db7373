import numpy as np
import pytest
import torch
from torch import nn

from pushforward.training.averaging import PowerAverage, exponent


def profile(width: float, steps: int) -> np.ndarray:
    """The weight of each step's value in the average, found by averaging unit vectors."""
    parameter = nn.Parameter(torch.zeros(steps, dtype=torch.float64))
    average = PowerAverage([parameter], width)
    for step in range(1, steps + 1):
        with torch.no_grad():
            parameter.zero_()
            parameter[step - 1] = 1
        average.update(step)
    return average.values[0].numpy()


@pytest.mark.parametrize("width", [0.05, 0.1, 0.2])
def test_the_profile_is_a_power_law_of_the_given_relative_width(width):
    steps = 2000
    weights = profile(width, steps)
    t = np.arange(1, steps + 1) / steps
    mean = (weights * t).sum()
    assert weights.sum() == pytest.approx(1)
    assert np.sqrt((weights * (t - mean) ** 2).sum()) == pytest.approx(width, rel=0.02)
    late = slice(steps // 2, None)
    slope = np.polyfit(np.log(t[late]), np.log(weights[late]), 1)[0]
    assert slope == pytest.approx(exponent(width), rel=0.02)


def test_the_exponent_inverts_the_formula_of_the_relative_width():
    for width in (0.02, 0.05, 0.1, 0.2):
        gamma = exponent(width)
        assert (gamma + 1) ** 0.5 / (gamma + 2) / (gamma + 3) ** 0.5 == pytest.approx(width)


def test_no_width_keeps_the_latest_weights():
    parameter = nn.Parameter(torch.tensor([1.0]))
    average = PowerAverage([parameter], 0.0)
    with torch.no_grad():
        parameter.fill_(5.0)
    average.update(7)
    assert average.values[0].item() == 5.0
