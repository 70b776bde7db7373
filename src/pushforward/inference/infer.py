r"""Posterior of parameters given an observation, by either of two kinds of model.

- A model of parameters given data samples the posterior directly (neural posterior estimation; Papamakarios and Murray
  2016, https://arxiv.org/abs/1605.06376), under the prior of its training members.
- A model of data given parameters has a likelihood, with which the posterior is sampled under any prior.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Protocol, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pushforward.arguments import checked
from pushforward.conditions import ConditionSpace
from pushforward.ensembles import Ensemble, Parameter
from pushforward.errors import UsageError
from pushforward.inference.likelihood import sample_likelihood
from pushforward.inference.observations import Target, numbers_observed, samples_observed, target_of
from pushforward.inference.posterior import Posterior
from pushforward.inference.priors import prior_of, truncation_of
from pushforward.inference.tempering import MEMBERS, best_power
from pushforward.inference.truncation import draw_within
from pushforward.randomness import Purpose, seed_for
from pushforward.spaces import Space

__all__ = ["Inferring", "infer", "inferred"]


class Inferring(Protocol):
    """Interface of an emulator used in inference."""

    space: Space
    parameters: tuple[Parameter, ...]
    condition_space: ConditionSpace
    config: Any
    rows: NDArray[np.float32] | None

    @property
    def abilities(self) -> tuple[str, ...]: ...

    @property
    def wanted(self) -> tuple[str, ...]: ...

    def sample(self, n: int, condition: Any = None, *, seed: int | None = None) -> Tensor: ...

    def log_prob(self, x: Any, condition: Any = None) -> Tensor: ...


@checked(n=1)
def infer(
    emulator: Inferring,
    observation: Any,
    n: int = 4000,
    *,
    prior: Mapping[str, Any] | None = None,
    of: str | None = None,
    tempered: Ensemble | float | None = None,
    seed: int | None = None,
    watch: Callable[[float], None] = lambda share: None,
) -> Posterior:
    """Samples of the posterior given an observation.

    Arguments:
        emulator: conditional emulator.
        observation: observation in the user's units: for a posterior of ``samples`` one condition, as
            `Emulator.sample` takes it, or a file of numbers; for one of ``conditions`` one or several independent
            samples at the same parameters, shape ``(*space.shape)`` or ``(m, *space.shape)``.
        n: number of posterior samples.
        prior: by name of a parameter, ``(low, high)``, ``"LOW:HIGH"`` or ``"MEAN+-DEVIATION"``; see `prior_of` and, for
            a posterior of samples, `truncation_of`.
        of: ``samples`` or ``conditions``, if the model could infer either.
        tempered: power of the likelihood in a posterior of conditions, in (0, 1], or held-out members with their
            conditions that choose it (see `inference.tempering`); of the ensemble that the emulator was trained on,
            only the validation members are used. None leaves the likelihood as it is.
        seed: seed of the random numbers; a fresh one if None.
        watch: function called with the completed fraction of the work.

    Raises:
        UsageError: if the model cannot infer parameters, or the observation, the prior or ``tempered`` do not fit.
    """
    seed = secrets.randbits(31) if seed is None else seed
    names, target = _sampled(emulator), inferred(emulator, of)
    if target == "conditions":
        return _by_likelihood(emulator, observation, n, prior, tempered, seed, watch)
    if tempered is not None:
        raise UsageError("this model samples its posteriors; only those by a likelihood, of conditions, are tempered")
    given = observation
    if emulator.condition_space.field is None:
        given = numbers_observed(observation, [parameter.name for parameter in emulator.parameters])
        # A row is of one observation; by name, one value serves all samples.
        given = given if isinstance(given, dict) else np.repeat(given, n, axis=0)
    bounds = truncation_of(prior, names, (emulator.config.get("data") or {}).get("ranges") or ())
    return draw_within(
        lambda count, attempt: emulator.sample(count, given, seed=seed_for(seed, attempt, Purpose.ATTEMPTS)),
        bounds,
        n,
        seed=seed,
    )


def inferred(emulator: Inferring, of: str | None = None) -> Target:
    """Target of a posterior of this emulator: the user's choice, or the only possible one.

    Raises:
        UsageError: see `target_of`.
    """
    return target_of(
        of,
        sampled=_sampled(emulator),
        conditions=emulator.wanted,
        density="density" in emulator.abilities and bool(emulator.parameters),
        vector=emulator.space.kind == "vector" and "sampler" in emulator.abilities,
    )


def _sampled(emulator: Inferring) -> tuple[str, ...]:
    """Names of the coordinates of a sample."""
    return tuple(getattr(emulator.space, "names", ())) or tuple(f"x{i + 1}" for i in range(emulator.space.size))


def _by_likelihood(
    emulator: Inferring,
    observation: Any,
    n: int,
    prior: Mapping[str, Any] | None,
    tempered: Ensemble | float | None,
    seed: int,
    watch: Callable[[float], None],
) -> Posterior:
    labels = [parameter.name for parameter in emulator.parameters if parameter.classes]
    if labels:
        raise UsageError(
            f"{labels[0]} is a label; the posterior of a label follows from `score` at each of its classes"
        )
    if emulator.condition_space.field is not None:
        raise UsageError("samples of this model are conditional on a field, which has no posterior here")
    x = torch.from_numpy(samples_observed(observation, emulator.space))
    seen = emulator.config.get("parameters") or ()
    if not seen:
        raise UsageError("the range of the parameters in training is not recorded in this run")
    low, high = (np.array([each[bound] for each in seen], dtype=float) for bound in ("minimum", "maximum"))
    chosen = prior_of(prior, [parameter.name for parameter in emulator.parameters], low, high)
    power = 1.0 if tempered is None else _power(emulator, tempered, seed)

    def log_likelihood(theta: NDArray[np.float64]) -> NDArray[np.float64]:
        return power * _log_likelihood(emulator, x, theta)

    found = sample_likelihood(log_likelihood, chosen, n, seed=seed, watch=watch)
    return replace(found, power=power)


def _log_likelihood(emulator: Inferring, x: Tensor, theta: NDArray[np.float64]) -> NDArray[np.float64]:
    """Sum over independent samples of their log-densities at each of several parameters, shape ``(m,)``."""
    rows = np.repeat(theta, len(x), axis=0)
    log_prob = emulator.log_prob(x.repeat(len(theta), *(1 for _ in emulator.space.shape)), rows)
    return np.asarray(log_prob.double().reshape(len(theta), len(x)).sum(1))


def _power(emulator: Inferring, tempered: Ensemble | float, seed: int) -> float:
    """The power of the likelihood: as given, or chosen by held-out members."""
    if isinstance(tempered, int | float):
        if not 0 < tempered <= 1:
            raise UsageError(f"the likelihood is tempered by a power in (0, 1], not by {tempered:g}")
        return float(tempered)
    members = _held_out(emulator, tempered)
    # Members of one simulation share its parameters, and are no independent evidence.
    first = np.sort(np.unique(members.groups, return_index=True)[1])[:MEMBERS]
    x, truth = members.subset(first).tensor(), cast(Any, members.conditions)[first].astype(np.float64)
    others = np.unique(truth if emulator.rows is None else emulator.rows.astype(np.float64), axis=0)
    return best_power(lambda number, theta: _log_likelihood(emulator, x[number, None], theta), truth, others, seed=seed)


def _held_out(emulator: Inferring, given: Ensemble) -> Ensemble:
    """Members with conditions that training did not see.

    Raises:
        UsageError: if their conditions or their shape are not those of the emulator.
    """
    trained = (emulator.config.get("data") or {}).get("fingerprint")
    members = given.validation if given.fingerprint == trained else given
    names = [parameter.name for parameter in emulator.parameters]
    if members.conditions is None or [parameter.name for parameter in members.parameters] != names:
        raise UsageError(f"the members that the likelihood is tempered by need the conditions {', '.join(names)}")
    if tuple(members.space.shape) != tuple(emulator.space.shape):
        raise UsageError(
            f"the members that the likelihood is tempered by have shape {members.space.shape}; those of the emulator "
            f"{emulator.space.shape}"
        )
    return members
