"""Parameters recovered from translated members, beside those from the true members in their place.

Posteriors of the parameters are learnt from true members of the target ensemble, by regression on their summaries
(`inference.regression`), and applied to unseen translations, to their true partners, and to untranslated members. A
translation that preserves the information on the parameters gives the posterior of the true partner: the same mean, the
same width, and nominal coverage.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import singledispatch
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from pushforward import statistics
from pushforward.ensembles import Ensemble
from pushforward.inference.regression import RegressionPosteriors
from pushforward.spaces import Field, Space
from pushforward.validation.true_pairs import Translated

__all__ = ["CREDIBILITY", "FEWEST_GROUPS", "Recovered", "parameters_of_pairs", "recovered"]

Rows = NDArray[np.float64]

CREDIBILITY = 0.68
"""Credibility of the central intervals whose coverage is stated."""
FEWEST_GROUPS = 20
"""Smallest number of simulations of different parameters."""
MOST = 4096
"""Largest number of true members that posteriors are learnt from."""
_QUANTILES = (0.02, 0.1, 0.3, 0.5, 0.7, 0.9, 0.98, 0.995)


@dataclass(frozen=True)
class Recovered:
    """One parameter, recovered from the translations of one direction.

    Attributes:
        direction, parameter: names.
        error, error_true, error_untranslated: rms difference of posterior means from the parameter, relative to its
            scatter, of translations, of their true partners, and of members as they are.
        shift: mean difference of the posterior means of translations and of their true partners, in units of the
            width of the latter. apart: rms of the same.
        width: mean width of the posteriors of translations relative to that of their true partners.
        coverage, coverage_true: share of parameters within the central 68 % of the posteriors of either.
        values, means, means_true: of each member, the parameter and both posterior means.
    """

    direction: str
    parameter: str
    error: float
    error_true: float
    error_untranslated: float
    shift: float
    apart: float
    width: float
    coverage: float
    coverage_true: float
    values: Rows
    means: Rows
    means_true: Rows

    def to_dict(self) -> dict[str, str | float]:
        """The numbers by name, without those of single members."""
        return {name: value for name, value in vars(self).items() if not isinstance(value, np.ndarray)}


def parameters_of_pairs(pairs: Ensemble) -> tuple[tuple[str, ...], Rows] | str:
    """Names and values, of at most `MOST` members, of parameters that can be recovered, or why there are none."""
    rows = np.arange(min(len(pairs), MOST))
    given = pairs.condition_rows(rows)
    if given is None:
        return "the pairs have no parameters"
    names = [parameter.name for parameter in pairs.parameters]
    varied = [
        column
        for column, parameter in enumerate(pairs.parameters)
        if not parameter.classes and np.ptp(given[:, column]) > 0
    ]
    if not varied:
        return "no parameter of the pairs is a number that varies"
    groups = len(np.unique(pairs.groups[rows]))
    if groups < FEWEST_GROUPS:
        return f"the pairs come from {groups} simulations; at least {FEWEST_GROUPS} are needed to recover parameters"
    return tuple(names[column] for column in varied), given[:, varied].astype(float)


def recovered(
    space: Space, each: Translated, known: Tensor, names: tuple[str, ...], values: Rows, pairs: Ensemble
) -> list[Recovered]:
    """Every parameter, recovered from the translations of one direction.

    Arguments:
        space: of one member.
        each: translations of the first members of the pairs.
        known: the first N members of the target ensemble in the pairs, from which posteriors are learnt.
        names: of the parameters.
        values: parameters of the known members, shape ``(N, P)``.
        pairs: the pairs; members of one group are not independent.
    """
    smallest = float(known.min())
    posteriors = RegressionPosteriors.fit(_summaries(space, known, smallest), values, pairs.groups[: len(known)])
    count = len(each.moved)
    truth, groups = values[:count], pairs.groups[:count]
    drawn = {
        name: posteriors.samples(_summaries(space, x, smallest), groups)
        for name, x in (("moved", each.moved), ("target", each.target), ("origin", each.origin))
    }
    mean = {name: rows.mean(1) for name, rows in drawn.items()}
    width = {name: rows.std(1) for name, rows in drawn.items()}
    scatter = values.std(0)
    error = {name: np.sqrt(((rows - truth) ** 2).mean(0)) / scatter for name, rows in mean.items()}
    apart = (mean["moved"] - mean["target"]) / width["target"]
    inside = {name: _coverage(rows, truth) for name, rows in drawn.items()}
    return [
        Recovered(
            direction=each.arrow,
            parameter=name,
            error=float(error["moved"][p]),
            error_true=float(error["target"][p]),
            error_untranslated=float(error["origin"][p]),
            shift=float(apart[:, p].mean()),
            apart=float(np.sqrt((apart[:, p] ** 2).mean())),
            width=float(width["moved"][:, p].mean() / width["target"][:, p].mean()),
            coverage=float(inside["moved"][p]),
            coverage_true=float(inside["target"][p]),
            values=truth[:, p],
            means=mean["moved"][:, p],
            means_true=mean["target"][:, p],
        )
        for p, name in enumerate(names)
    ]


def _coverage(drawn: Rows, truth: Rows) -> Rows:
    """Share of members, of each parameter, within the central interval of their samples."""
    low, high = np.quantile(drawn, [(1 - CREDIBILITY) / 2, (1 + CREDIBILITY) / 2], axis=1)
    inside: Rows = ((low <= truth) & (truth <= high)).mean(0)
    return inside


@singledispatch
def _summaries(space: Space, x: Tensor, smallest: float) -> Rows:
    """Summaries, one row per member: the numbers themselves, unless the samples are fields."""
    return x.flatten(1).double().numpy()


@_summaries.register
def _(space: Field, x: Tensor, smallest: float) -> Rows:
    """Power spectrum, moments and directions (`statistics.summary_features`), and quantiles of the values.

    Quantiles of positive fields are in logarithms, not below the smallest value of true members.
    """
    window: Literal["hann"] | None = None if space.periodic else "hann"
    features = statistics.summary_features(x, space.box, window=window).numpy()
    quantiles = np.stack([np.quantile(row, _QUANTILES) for row in x.double().numpy()])
    return np.concatenate([features, np.log(np.maximum(quantiles, smallest)) if smallest > 0 else quantiles], 1)
