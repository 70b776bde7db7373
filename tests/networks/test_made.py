"""Masked networks: units begin with sums of one size, however few inputs they see."""

from __future__ import annotations

import torch

from pushforward.networks import MADE


def test_units_that_see_few_inputs_begin_as_bent_as_those_that_see_many():
    torch.manual_seed(0)
    net = MADE(32, 2, width=1024)
    sums = torch.randn(4000, 32) @ (net.first.weight * net.first_mask).T
    deviation = sums.std(0).view(32, 32).mean(1)
    assert deviation[0] == 0, "units of degree zero see nothing"
    assert deviation[1:].min() > 1.2
    assert deviation[1:].max() < 2.2
