r"""Priors of independent parameters: uniform within bounds, or normal and cut off at bounds.

.. math:: \ln p(\theta) = \sum_j \ln p_j(\theta_j) + \mathrm{const}, \qquad
          p_j = \mathrm{const} \quad\text{or}\quad
          p_j \propto e^{-(\theta_j - \mu_j)^2 / 2 \sigma_j^2}, \qquad l_j \le \theta_j \le h_j .
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray

from pushforward.errors import UsageError

__all__ = ["Prior", "prior_of", "truncation_of"]

_SLACK = 0.01
"""Largest excess of a bound over the range in training, relative to it; draws end short of their prior's bounds."""
_LEAST, _MOST = 0.01, 0.99
"""Probability of a normal prior within the training range: refused below the first, no warning above the second."""


@dataclass(frozen=True)
class Prior:
    """Independent priors within bounds, in the user's units; every array has shape ``(P,)``.

    Attributes:
        names: of the parameters.
        low, high: bounds, outside of which the density vanishes.
        mean, deviation: of the normal priors; the deviation of a uniform prior is infinite.
    """

    names: tuple[str, ...]
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    mean: NDArray[np.float64]
    deviation: NDArray[np.float64]

    def log_prob(self, theta: Float[np.ndarray, "n P"]) -> Float[np.ndarray, " n"]:
        """Log-density up to a constant, nats; -inf outside of the bounds."""
        inside = self.contains(theta)
        return np.where(inside, -0.5 * (((theta - self.mean) / self.deviation) ** 2).sum(axis=1), -np.inf)

    def contains(self, theta: Float[np.ndarray, "n P"]) -> NDArray[np.bool_]:
        """Whether all parameters lie within their bounds."""
        return np.all((theta >= self.low) & (theta <= self.high), axis=1)

    def sample(self, n: int, rng: np.random.Generator) -> Float[np.ndarray, "n P"]:
        """Independent draws."""
        drawn = rng.uniform(self.low, self.high, (n, len(self.names)))
        for column in np.flatnonzero(np.isfinite(self.deviation)):
            drawn[:, column] = self._normal(int(column), n, rng)
        return drawn

    def _normal(self, column: int, n: int, rng: np.random.Generator) -> NDArray[np.float64]:
        """Draws of a normal prior between its bounds, by its quantiles."""
        from scipy import stats

        mean, deviation = self.mean[column], self.deviation[column]
        bounds = ((bound[column] - mean) / deviation for bound in (self.low, self.high))
        return np.asarray(stats.truncnorm.rvs(*bounds, loc=mean, scale=deviation, size=n, random_state=rng))


def prior_of(given: Mapping[str, Any] | None, names: Sequence[str], low: NDArray[Any], high: NDArray[Any]) -> Prior:
    """Prior written by a user; other parameters are uniform over their range in training.

    Arguments:
        given: by name of a parameter, ``(low, high)`` or ``"LOW:HIGH"`` of a uniform prior, or ``"MEAN+-DEVIATION"`` of
            a normal one, which is cut off at the range in training, with a warning if that leaves out more than 1 %.
        names: of the parameters.
        low, high: range in training, shape ``(P,)``, beyond which the model must not be evaluated.

    Raises:
        UsageError: for an unknown name, a prior that cannot be read, bounds clearly outside of the range in training,
            or a normal prior with less than 1 % of its probability within.
    """
    low, high = np.array(low, dtype=np.float64), np.array(high, dtype=np.float64)
    mean, deviation = np.zeros(len(low)), np.full(len(low), np.inf)
    widest = list(zip(low.tolist(), high.tolist(), strict=True))
    for name, text in (given or {}).items():
        column = _column(name, names)
        first, last = widest[column]
        if _is_normal(text):
            mean[column], deviation[column] = _two(name, text.split("+-"), text)
            if not deviation[column] > 0:
                raise UsageError(f"the prior {name}={text} has a standard deviation that is not positive")
            _check_within(name, text, mean[column], deviation[column], first, last)
            continue
        low[column], high[column] = bounds = _bounds(name, text)
        if _exceed(bounds, first, last):
            where = "lies outside of" if bounds[0] >= last or bounds[1] <= first else "exceeds"
            raise UsageError(
                f"the prior {name}={_said(text)} {where} {_training_range(first, last)}; choose bounds within"
            )
    return Prior(tuple(names), low, high, mean, deviation)


def truncation_of(
    given: Mapping[str, Any] | None, names: Sequence[str], ranges: Sequence[tuple[float, float]]
) -> Prior:
    """Bounds to which the learned prior of a model of parameters is truncated, written by a user.

    Arguments:
        given: by name of a parameter, ``(low, high)`` or ``"LOW:HIGH"``.
        names: of the parameters.
        ranges: of the parameters in training; empty if they are not known. Bounds that exceed them give a warning.

    Raises:
        UsageError: for an unknown name, bounds that cannot be read or lie wholly outside of the range in training, and
            a normal prior, since the density of the training members is not known.
    """
    low, high = np.full(len(names), -np.inf), np.full(len(names), np.inf)
    for name, text in (given or {}).items():
        column = _column(name, names)
        if _is_normal(text):
            raise UsageError(
                "this model has learned the prior of its training members, which can only be truncated; give LOW:HIGH"
            )
        low[column], high[column] = bounds = _bounds(name, text)
        if not ranges or not _exceed(bounds, *ranges[column]):
            continue
        first, last = ranges[column]
        slack = _SLACK * (last - first)
        if bounds[0] >= last + slack or bounds[1] <= first - slack:
            raise UsageError(
                f"the prior {name}={_said(text)} lies outside of {_training_range(first, last)}, of which this model "
                "has learned the posterior; choose bounds within"
            )
        warnings.warn(
            f"the prior {name}={_said(text)} reaches beyond {_training_range(first, last)}: the model has learned the "
            "prior of its training members, which vanishes there",
            stacklevel=4,
        )
    return Prior(tuple(names), low, high, np.zeros(len(names)), np.full(len(names), np.inf))


def _is_normal(text: Any) -> bool:
    """Whether a normal prior is written, not bounds."""
    return isinstance(text, str) and "+-" in text


def _exceed(bounds: tuple[float, float], first: float, last: float) -> bool:
    """Whether bounds reach beyond the range in training, ``first`` to ``last``, by more than `_SLACK` of it."""
    slack = _SLACK * (last - first)
    return bounds[0] < first - slack or bounds[1] > last + slack


def _training_range(first: float, last: float) -> str:
    """The range in training, as messages show it."""
    return f"the training range, {first:.7g} to {last:.7g}"


def _bounds(name: str, text: Any) -> tuple[float, float]:
    """The bounds of a uniform prior."""
    bounds = _two(name, text.split(":") if isinstance(text, str) else text, text)
    if not bounds[0] < bounds[1]:
        raise UsageError(f"the prior {name}={_said(text)} has no width; give the lower bound first")
    return bounds


def _check_within(name: str, text: str, mean: float, deviation: float, first: float, last: float) -> None:
    """Raise for a normal prior outside of the range in training, ``first`` to ``last``; warn if it is cut off."""
    from scipy import stats

    share = float(np.diff(stats.norm.cdf([first, last], mean, deviation))[0])
    within = _training_range(first, last)
    if share < _LEAST:
        raise UsageError(
            f"the prior {name}={text} lies outside of {within}, with {100 * share:.2g} % of its probability within; "
            "train on simulations where the prior is"
        )
    if share < _MOST:
        warnings.warn(
            f"the prior {name}={text} is cut off at {within}, which leaves out {100 * (1 - share):.2g} % of its "
            "probability: the posterior is limited to where the model was trained",
            stacklevel=5,
        )


def _column(name: str, names: Sequence[str]) -> int:
    """Index of a parameter by its name."""
    if name not in names:
        near = get_close_matches(str(name), list(names), n=1)
        hint = f"did you mean {near[0]!r}? " if near else ""
        raise UsageError(f"there is no parameter called {name!r}; {hint}known ones are {', '.join(names)}")
    return list(names).index(name)


def _said(text: Any) -> str:
    """Bounds as a message shows them."""
    return text if isinstance(text, str) else ":".join(f"{each:.7g}" for each in text)


def _two(name: str, parts: Any, text: Any) -> tuple[float, float]:
    try:
        first, second = (float(each) for each in parts)
    except (TypeError, ValueError):
        first = second = float("nan")
    if not np.isfinite([first, second]).all():
        raise UsageError(f"the prior {name}={text} cannot be read; write LOW:HIGH or MEAN+-DEVIATION")
    return first, second
