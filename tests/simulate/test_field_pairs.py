"""Pairs of fields: what belongs together, what does not, and that each step of the rendering does what it says."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from pushforward.errors import UsageError
from pushforward.simulate import simulate
from pushforward.simulate.field_pairs import rendered_gas
from pushforward.statistics import cross_spectra

PLAIN = {"box": 100.0, "smoothing": 0.0, "displacement": 0.0, "bias": 0.0, "feedback": 0.0, "scatter": 0.0}


def matter(count: int = 6) -> np.ndarray:
    return simulate("field-pairs-a", count, grid=16).x


def test_pairs_belong_together_and_sides_do_not():
    pairs = simulate("field-pairs", 12, grid=16)
    assert pairs.x.shape == (12, 2, 16, 16)
    np.testing.assert_allclose(pairs.x[:, 1].mean((1, 2)), 1, rtol=1e-4)
    together = cross_spectra(torch.from_numpy(pairs.x)).correlation[..., 0].mean()
    sides = [simulate(f"field-pairs-{side}", 12, grid=16).x for side in "ab"]
    apart = cross_spectra(torch.from_numpy(np.concatenate(sides, 1))).correlation[..., 0].mean()
    assert together > 0.9
    assert abs(apart) < 0.6


def test_without_any_step_gas_is_matter():
    x = matter()
    gas = rendered_gas(x, np.random.default_rng(0), **PLAIN)
    np.testing.assert_allclose(gas, x / x.mean((2, 3), keepdims=True), rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize(
    ("option", "value", "wider"), [("smoothing", 8.0, False), ("bias", 1.0, True), ("feedback", 0.9, False)]
)
def test_a_step_changes_the_contrast_as_it_says(option, value, wider):
    x = 3 * matter()
    gas = rendered_gas(x, np.random.default_rng(0), **{**PLAIN, option: value})
    assert (gas.std() > (x / 3).std()) == wider


def test_displacement_keeps_the_values_and_moves_them():
    x = matter()
    gas = rendered_gas(x, np.random.default_rng(0), **{**PLAIN, "displacement": 20.0, "smoothing": 4.0})
    still = rendered_gas(x, np.random.default_rng(0), **{**PLAIN, "smoothing": 4.0})
    assert 0.5 < np.corrcoef(gas.ravel(), still.ravel())[0, 1] < 0.9999


def test_options_out_of_range_are_refused():
    with pytest.raises(UsageError, match=r"feedback in \[0, 1\]"):
        simulate("field-pairs", 2, grid=16, feedback=2.0)


def test_varied_pairs_keep_their_cosmology():
    pairs = simulate("field-pairs", 30, grid=16, varied=True)
    assert pairs.names == ("Omega_m", "sigma_8")
    assert len(np.unique(pairs.conditions, axis=0)) == 3, "one cosmology per simulation"
    assert simulate("field-pairs-a", 12, grid=16).conditions is None
