r"""Tempering: the power of a misspecified likelihood, chosen by held-out members.

A density of maps or series of thousands of values that is slightly wrong everywhere counts its errors as evidence, and
its posteriors are too narrow. With the likelihood to the power t they are

.. math:: p_t(\theta \mid x) \propto p(\theta) \, p(x \mid \theta)^t ,

and t is the power at which the parameters of held-out members are identified best among M others, drawn from those in
training:

.. math:: t = \arg\max_{t \le 1} \sum_i \ln \frac{p(x_i \mid \theta_i)^t}{p(x_i \mid \theta_i)^t
          + \sum_{j=1}^{M} p(x_i \mid \theta_j)^t} .

Tempering changes the width of posteriors alone: biased ones are widened until they cover their bias.

Sources: Grünwald and van Ommen 2017 (arXiv:1412.3730) for powers of misspecified likelihoods; van den Oord, Li and
Vinyals 2018 (arXiv:1807.03748) for the score among others.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from pushforward.errors import UsageError

__all__ = ["FEWEST", "MEMBERS", "best_power"]

FEWEST, MEMBERS, OTHERS = 20, 64, 127
"""Smallest and largest number of members, and number of other parameters for each."""
POWERS = np.geomspace(1e-3, 1, 121)
"""Powers that are compared."""
_ALONE = 0.9
"""Mean probability of members' own parameters above which the others are too far away to determine the power."""


def best_power(
    log_likelihood: Callable[[int, NDArray[np.float64]], NDArray[np.float64]],
    truth: NDArray[np.float64],
    others: NDArray[np.float64],
    *,
    seed: int = 0,
    watch: Callable[[float], None] = lambda share: None,
) -> float:
    """The power of a likelihood at which the parameters of members are identified best among others.

    Arguments:
        log_likelihood: of the member with a number, at parameters of shape ``(m, P)``; shape ``(m,)``, nats.
        truth: parameters of the members, shape ``(members, P)``.
        others: parameters in training, shape ``(rows, P)``; a random choice of them is compared with each member's.
        seed: of this choice.
        watch: function called with the completed fraction of the work.

    Returns:
        The power, in [0.001, 1]. A warning tells if the parameters in training are too far apart to determine it.

    Raises:
        UsageError: if there are too few members, or too few that have a density.
    """
    if len(truth) < FEWEST:
        raise UsageError(
            f"the power of a likelihood follows from {FEWEST} held-out members of different parameters or more, not "
            f"from {len(truth)}"
        )
    rng, logs = np.random.default_rng(seed), []
    for number, own in enumerate(truth):
        chosen = others[rng.permutation(len(others))[:OTHERS]]
        logs.append(log_likelihood(number, np.concatenate([own[None], chosen])))
        watch((number + 1) / len(truth))
    table = np.nan_to_num(np.stack(logs), nan=-np.inf, neginf=-np.inf)
    # A member with a value that no sample can take says nothing of the power.
    table = table[np.isfinite(table.max(axis=1))]
    if len(table) < FEWEST:
        raise UsageError(
            f"{len(truth) - len(table)} of {len(truth)} held-out members have no density at any parameters"
        )
    # Relative to the largest; a parameter that is excluded stays so at every power.
    table = np.maximum(table - table.max(axis=1, keepdims=True), -1e6)
    log_shares = [t * table[:, 0] - np.log(np.exp(t * table).sum(axis=1)) for t in POWERS]
    best = int(np.argmax([each.mean() for each in log_shares]))
    if np.exp(log_shares[best]).mean() > _ALONE:
        warnings.warn(
            "posteriors are narrower than the distances of parameters in training, so the power of the likelihood "
            f"is uncertain; {POWERS[best]:.2g} is taken",
            stacklevel=4,
        )
    return float(POWERS[best])
