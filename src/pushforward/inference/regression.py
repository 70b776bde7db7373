r"""Posteriors of simulated parameters by regression on summaries, without a likelihood.

With a linear regression m(s) of the parameters on the summaries s, the posterior at an observation is represented by

    θ_j' = m(s) + θ_j - m(s_j),      j: the simulations whose m(s_j) is nearest to m(s),

approximate Bayesian computation with regressed summaries and regression-adjusted parameters. Nothing is trained beyond
the regression, and the prior is the distribution of the simulated parameters. Regression and residuals are
cross-fitted: groups of simulations are held out in turn, so posteriors at the simulations themselves are honest.

References:
    Beaumont, Zhang & Balding 2002, Genetics 162, 2025 (regression adjustment)
    Fearnhead & Prangle 2012, https://arxiv.org/abs/1004.1112 (regressed parameters as summaries)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pushforward.errors import DataError

__all__ = ["RegressionPosteriors"]

Rows = NDArray[np.float64]

_FOLDS = 5
_PENALTIES = np.logspace(-2, 4, 13)
# Relative to the largest scatter: a summary that hardly varies would be scaled up without bound.
_SMALLEST_SCATTER = 1e-4


@dataclass(frozen=True)
class RegressionPosteriors:
    """Posteriors learnt from simulations with known parameters. Make one with `fit`.

    Attributes:
        groups: of each simulation, shape ``(N,)``: no simulation contributes to posteriors at others of its group.
        centre, scale: of the summaries, shape ``(F,)``; the scale is infinite where a summary hardly varies.
        fold: of each group, by its number. regressions: of each fold, fitted without it.
        means, residuals: m(s_j) by the regression without the fold of j, and θ_j - m(s_j), shape ``(N, P)``.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> theta = rng.uniform(size=(500, 1))
        >>> posteriors = RegressionPosteriors.fit(theta + 0.1 * rng.normal(size=(500, 3)), theta)
        >>> drawn = posteriors.samples(np.full((1, 3), 0.5))
        >>> drawn.shape, bool(abs(drawn.mean() - 0.5) < 0.03), bool(abs(drawn.std() - 0.1 / 3**0.5) < 0.02)
        ((1, 99, 1), True, True)
    """

    groups: NDArray[np.int64]
    centre: Rows
    scale: Rows
    fold: dict[int, int]
    regressions: tuple[Any, ...]
    means: Rows
    residuals: Rows

    @classmethod
    def fit(
        cls, summaries: Rows, parameters: Rows, groups: NDArray[np.int64] | None = None, *, seed: int = 0
    ) -> RegressionPosteriors:
        """Learn from simulations.

        Arguments:
            summaries: shape ``(N, F)``. parameters: shape ``(N, P)``.
            groups: of each simulation; None if they are independent.
            seed: of the division into folds.

        Raises:
            DataError: for fewer groups than folds, or values that are not finite.
        """
        from sklearn.linear_model import RidgeCV

        summaries, parameters = np.asarray(summaries, float), np.asarray(parameters, float)
        groups = np.arange(len(summaries)) if groups is None else np.asarray(groups, np.int64)
        unique = np.unique(groups)
        if len(unique) < _FOLDS:
            raise DataError(f"posteriors by regression need at least {_FOLDS} groups of simulations, not {len(unique)}")
        if not (np.isfinite(summaries).all() and np.isfinite(parameters).all()):
            raise DataError("summaries and parameters must be finite")
        scatter = summaries.std(0)
        alive = scatter > _SMALLEST_SCATTER * scatter.max(initial=0.0)
        centre, scale = summaries.mean(0), np.where(alive, scatter, np.inf)
        order = np.random.default_rng(seed).permutation(len(unique)) % _FOLDS
        fold = {int(group): int(part) for group, part in zip(unique, order, strict=True)}
        z, parts = (summaries - centre) / scale, np.array([fold[int(group)] for group in groups])
        regressions = tuple(RidgeCV(_PENALTIES).fit(z[parts != k], parameters[parts != k]) for k in range(_FOLDS))
        means = np.empty_like(parameters)
        for k, regression in enumerate(regressions):
            means[parts == k] = regression.predict(z[parts == k]).reshape(-1, parameters.shape[1])
        return cls(groups, centre, scale, fold, regressions, means, parameters - means)

    def samples(self, summaries: Rows, groups: NDArray[np.int64] | None = None, *, count: int = 99) -> Rows:
        """Posterior samples at each observation, shape ``(n, count, P)``.

        Arguments:
            summaries: of the observations, shape ``(n, F)``.
            groups: of the observations; simulations of the same group do not contribute. None if all contribute.
            count: samples per observation; fewer if there are not as many simulations of other groups.
        """
        _, members = np.unique(self.groups, return_counts=True)
        count = min(count, len(self.groups) - int(members.max()))
        z = (np.asarray(summaries, float) - self.centre) / self.scale
        owners = [None] * len(z) if groups is None else np.asarray(groups, np.int64).tolist()
        width = self.residuals.std(0)
        drawn = []
        for row, group in zip(z, owners, strict=True):
            regression, others = self._without(group)
            mean = regression.predict(row[None]).reshape(-1)
            distance = (((self.means[others] - mean) / width) ** 2).sum(1)
            drawn.append(mean + self.residuals[others[np.argsort(distance)[:count]]])
        return np.stack(drawn)

    def _without(self, group: int | None) -> tuple[Any, NDArray[np.int64]]:
        """Regression and simulations that may contribute at an observation of a group; any if it has none."""
        if group is None:
            return self.regressions[0], np.arange(len(self.groups))
        return self.regressions[self.fold.get(group, 0)], np.flatnonzero(self.groups != group)
