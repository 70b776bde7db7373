r"""Posterior sampling with the likelihood of a model of data given parameters.

.. math:: \ln p(\theta \mid x_1 \dots x_m) = \sum_i \ln p(x_i \mid \theta) + \ln p(\theta) + \mathrm{const} .

The sampler is emcee's ensemble of walkers with moves of differential evolution (Foreman-Mackey et al. 2013,
https://arxiv.org/abs/1202.3665; Nelson et al. 2014, https://arxiv.org/abs/1311.5229), which asks for many densities at
once, needs no gradient and no scale of the parameters. The chain runs until it is 50 autocorrelation times long.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray

from pushforward.ensembles.precision import narrowed
from pushforward.errors import UsageError
from pushforward.inference.posterior import Posterior
from pushforward.inference.priors import Prior

__all__ = ["LogLikelihood", "sample_likelihood"]

LogLikelihood = Callable[[NDArray[np.float64]], NDArray[np.float64]]
"""Log-likelihood of the observation (nats), shape ``(m,)``, at parameters of shape ``(m, P)``."""

LONG = 50
"""Smallest length of a chain, in autocorrelation times."""
BURN_IN = 5
"""Length of the discarded start of a chain, in autocorrelation times."""
ROUND, MOST_ROUNDS = 200, 50


def sample_likelihood(
    log_likelihood: LogLikelihood,
    prior: Prior,
    n: int,
    *,
    seed: int,
    watch: Callable[[float], None] = lambda share: None,
) -> Posterior:
    """Samples of the posterior, thinned evenly from the chain.

    Arguments:
        log_likelihood: log-likelihood of the observation, for batches of parameters.
        prior: prior of the parameters.
        n: number of samples.
        seed: seed of the random numbers.
        watch: function called with the completed fraction of the work.

    Raises:
        UsageError: without the package emcee, or if the observation is impossible everywhere within the prior.
    """
    try:
        import emcee
    except ImportError:
        raise UsageError("posteriors by a likelihood need emcee; install pushforward[inference]") from None
    rng, dim = np.random.default_rng(seed), len(prior.names)
    walkers = max(32, 4 * dim)

    def log_prob(theta: NDArray[np.float64]) -> NDArray[np.float64]:
        inside = prior.contains(theta)
        values = np.full(len(theta), -np.inf)
        if inside.any():
            values[inside] = prior.log_prob(theta[inside]) + log_likelihood(theta[inside])
        return np.where(np.isnan(values), -np.inf, values)

    start = _start(log_prob, prior, walkers, rng)
    moves = [(emcee.moves.DEMove(), 0.7), (emcee.moves.DESnookerMove(), 0.1), (emcee.moves.StretchMove(), 0.2)]
    sampler = emcee.EnsembleSampler(walkers, dim, log_prob, vectorize=True, moves=moves)
    sampler.random_state = np.random.RandomState(rng.integers(2**31)).get_state()
    state, times = start, np.full(dim, np.inf)
    for rounds in range(1, MOST_ROUNDS + 1):
        state = sampler.run_mcmc(state, ROUND, skip_initial_state_check=True)
        steps = rounds * ROUND
        times = np.maximum(sampler.get_autocorr_time(tol=0), 1.0)
        done = steps / (LONG * times.max()) if np.isfinite(times).all() else rounds / MOST_ROUNDS
        watch(min(1.0, max(done, rounds / MOST_ROUNDS)))
        if done >= 1 and (steps - BURN_IN * times.max()) * walkers >= n:
            break
    times = np.where(np.isfinite(times), times, sampler.iteration)
    chain = sampler.get_chain(discard=min(int(BURN_IN * times.max()), sampler.iteration // 2))
    flat = chain.reshape(-1, dim)
    rows = np.linspace(0, len(flat) - 1, n).round().astype(int) if n <= len(flat) else rng.integers(len(flat), size=n)
    return Posterior(
        samples=torch.from_numpy(narrowed(flat[rows])),
        names=prior.names,
        method="likelihood",
        ess=np.minimum(len(flat) / times, n),
        r_hat=_r_hat(chain),
        acceptance=float(np.mean(sampler.acceptance_fraction)),
        seed=seed,
    )


def _start(log_prob: LogLikelihood, prior: Prior, walkers: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Walkers at draws of the prior, resampled by their densities, tempered so that enough of them differ."""
    tried = prior.sample(16 * walkers, rng)
    logs = log_prob(tried)
    possible = np.isfinite(logs)
    if not possible.any():
        raise UsageError(
            "the observation has zero likelihood at all parameters tried: it is far from the training data, holds "
            "values that no sample can take (a count of 2.5, say), or the prior excludes it; check both"
        )
    best = np.argsort(-np.where(possible, logs, -np.inf))[: 2 * walkers]
    best = best[possible[best]]
    chosen = tried[best[rng.integers(len(best), size=walkers)]]
    width = np.minimum(tried[best].std(axis=0) + 1e-3 * (prior.high - prior.low), prior.high - prior.low)
    moved = chosen + 0.1 * width * rng.normal(size=chosen.shape)
    return np.clip(moved, prior.low + 1e-9 * width, prior.high - 1e-9 * width)


def _r_hat(chain: NDArray[np.float64]) -> NDArray[np.float64]:
    """Split R-hat of each parameter over walkers (Gelman and Rubin 1992, https://doi.org/10.1214/ss/1177011136)."""
    half = len(chain) // 2
    parts = np.concatenate([chain[:half], chain[half : 2 * half]], axis=1)
    within = parts.var(axis=0, ddof=1).mean(axis=0)
    between = parts.mean(axis=0).var(axis=0, ddof=1)
    return np.sqrt((half - 1) / half + between / np.where(within > 0, within, np.nan))
