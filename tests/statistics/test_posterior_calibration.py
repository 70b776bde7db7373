"""Calibration of posteriors: right ones are uniform, narrow, shifted and uncorrelated ones are noticed and named."""

from __future__ import annotations

import pytest
import torch

from pushforward.errors import DataError, UsageError
from pushforward.statistics import p_value, posterior_calibration

MEMBERS, SAMPLES = 200, 99


def _draws(seed=0, correlation=0.8):
    """Posteriors of mean m_i and correlated scatter, and a truth drawn from each."""
    generator = torch.Generator().manual_seed(seed)
    factor = torch.tensor([[1.0, 0.0], [correlation, (1 - correlation**2) ** 0.5]])
    centre = torch.randn(MEMBERS, 1, 2, generator=generator)
    drawn = torch.randn(MEMBERS, SAMPLES + 1, 2, generator=generator) @ factor.T
    return centre, drawn


def _p(found):
    """p-values of bias, width, correlations and coverage, of the worst parameter each."""
    moments = [
        (found.single.bias, found.single.bias_null),
        (found.single.spread - 1, found.single.spread_null - 1),
        (found.paired.spread - 1, found.paired.spread_null - 1),
        (found.coverage - found.credibility, found.coverage_null - found.credibility),
    ]
    return [float(p_value(value.abs().max(), null.abs().amax(1), "discrepancy")) for value, null in moments]


def test_right_posteriors_pass_as_often_as_they_should():
    found = []
    for seed in range(40):
        centre, drawn = _draws(seed)
        found.append(_p(posterior_calibration(centre + drawn[:, 1:], (centre + drawn[:, :1])[:, 0])))
    p = torch.tensor(found)
    assert ((p < 0.1).double().mean(0) < 0.3).all()
    assert ((p.mean(0) - 0.5).abs() < 0.2).all()


@pytest.mark.parametrize(
    ("change", "seen"),
    [
        (lambda x: 0.8 * x, "narrow"),
        (lambda x: 1.3 * x, "wide"),
        (lambda x: x - 0.3, "low"),
        (lambda x: torch.stack([x[..., 0], x[..., 1].roll(1, 1)], -1), "uncorrelated"),
    ],
)
def test_wrong_posteriors_are_noticed_and_named(change, seen):
    centre, drawn = _draws()
    found = posterior_calibration(centre + change(drawn[:, 1:]), (centre + drawn[:, :1])[:, 0])
    bias, width, correlations, _ = _p(found)
    if seen == "uncorrelated":
        assert width > 0.05, "ranks of single parameters do not see correlations"
        assert correlations < 1e-3
    elif seen == "low":
        assert bias < 1e-3
        assert found.single.bias.min() > 0.05
    else:
        assert width < 1e-3
        assert (found.single.spread > 1.1).all() if seen == "narrow" else (found.single.spread < 0.85).all()


def test_regions_that_are_too_narrow_cover_too_little():
    centre, drawn = _draws()
    found = posterior_calibration(centre + 0.5 * drawn[:, 1:], (centre + drawn[:, :1])[:, 0])
    assert _p(found)[3] < 0.01


def test_equal_values_have_random_ranks():
    found = posterior_calibration(torch.zeros(400, 9, 1), torch.zeros(400, 1))
    assert found.single.ranks.double().mean() == pytest.approx(4.5, abs=0.5)
    assert found.pairs == ()


def test_what_cannot_be_calibrated_is_refused():
    with pytest.raises(UsageError, match="expected"):
        posterior_calibration(torch.zeros(5, 9, 2), torch.zeros(5, 3))
    with pytest.raises(DataError, match="finite"):
        posterior_calibration(torch.full((5, 9, 2), torch.nan), torch.zeros(5, 2))
