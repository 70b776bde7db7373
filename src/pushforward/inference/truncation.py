"""Samples of a model of parameters, truncated to a prior narrower than that of training."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from pushforward.errors import UsageError
from pushforward.inference.posterior import Posterior
from pushforward.inference.priors import Prior

__all__ = ["draw_within"]

Draw = Callable[[int, int], Tensor]
"""Function of a number of samples and an attempt's number to parameters, shape ``(n, P)``, in the user's units."""

ATTEMPTS = 20


def draw_within(draw: Draw, prior: Prior, n: int, *, seed: int) -> Posterior:
    """Posterior samples within the bounds of the prior: those outside are drawn again.

    A model of parameters given data has learned the posterior under the prior of its training members, with some
    density where that prior vanishes (leakage). Within the bounds, the posterior is proportional to the learned one.

    Raises:
        UsageError: where fewer than one sample in ``ATTEMPTS`` lies within.
    """
    accepted: list[Tensor] = []
    tried = within = 0
    for attempt in range(ATTEMPTS):
        samples = draw(n, attempt)
        inside = torch.from_numpy(prior.contains(samples.double().numpy()))
        accepted.append(samples[inside])
        tried, within = tried + n, within + int(inside.sum())
        if within >= n:
            break
    if within < n:
        raise UsageError(
            f"{within} of {tried} posterior samples lie within the prior; the observation does not fit the prior, or is"
            " far from the training data"
        )
    count = len(prior.names)
    return Posterior(
        samples=torch.cat(accepted)[:n],
        names=prior.names,
        method="neural",
        ess=np.full(count, float(n)),
        r_hat=np.full(count, np.nan),
        acceptance=within / tried,
        seed=seed,
    )
