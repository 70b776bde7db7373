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
    (x, conditions) = asked[0]
    test = web.test.take(np.arange(len(web.test)))
    torch.testing.assert_close(x[0], torch.from_numpy(test[0]))
    torch.testing.assert_close(x[-1], torch.from_numpy(test[-1]))
    assert len(x) == len(conditions) <= len(test)
    assert report.verdict("nll").value == pytest.approx(float(x.flatten(1).sum(1).mean()), rel=1e-6)
    assert report.verdict("nll").verdict == "no floor known"
