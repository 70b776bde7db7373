"""The density of a model: which members are asked for it, and how far it is from the exact one."""

import numpy as np
import pytest
import torch
from stand_ins import StandIn, conditional_maps, maps

from pushforward.validation import validate


def test_members_whose_density_is_asked_for_are_spread_over_the_test_set():
    """Members come simulation by simulation: the first ones alone would be few universes."""
    web = conditional_maps(400)
    asked = []

    class Counting(StandIn):
        def log_prob(self, x, conditions=None):
            asked.append((x, conditions))
            return -x.flatten(1).sum(1).double()

    report = validate(Counting(web, lambda n, rows, rng: maps(rows, rng), ("density",)), web, progress=False)
    x, test = torch.cat([x for x, _ in asked]), torch.from_numpy(web.test.take(np.arange(len(web.test))))
    assert all(len(x) == len(conditions) for x, conditions in asked)
    rows = torch.cdist(x.flatten(1), test.flatten(1)).argmin(1)
    torch.testing.assert_close(test[rows], x)
    assert {0, len(test) - 1} <= set(rows.tolist())
    assert len(set(rows.tolist())) == len(x) <= len(test)
    assert report.verdict("nll").value == pytest.approx(float(x.flatten(1).sum(1).mean()), rel=1e-6)
    assert report.verdict("nll").verdict == "no floor known"


def test_members_without_density_are_told_and_left_out_of_the_mean():
    web = conditional_maps(100)

    class Excluding(StandIn):
        def log_prob(self, x, conditions=None):
            logs = torch.full((len(x),), -2.0, dtype=torch.float64)
            logs[0] = -np.inf
            return logs

    report = validate(Excluding(web, lambda n, rows, rng: maps(rows, rng), ("density",)), web, progress=False)
    verdict = report.verdict("nll")
    assert verdict.value == 2.0
    assert "1 of " in verdict.note
    assert "no sample can take" in verdict.note
