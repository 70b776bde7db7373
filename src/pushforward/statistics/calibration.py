r"""P-values from draws of the floor: values of a statistic for real data against real data.

If a value v is exchangeable with B draws of its floor, the share

    p = (1 + number of draws at least as far out as v) / (B + 1)

is uniform (Phipson and Smyth 2010, https://doi.org/10.2202/1544-6115.1585), but never below 1 / (B + 1). Where fewer
than ten draws lie beyond v, the tail is continued from the tenth outermost draw v_10 with a law T fitted to all draws,

    p = 10 / (B + 1)  T(v) / T(v_10)

(in the spirit of Knijnenburg et al. 2009, https://doi.org/10.1093/bioinformatics/btp211), but kept between k / (B + 1)
and (k + 1) / (B + 1) for k draws beyond v, so that it never contradicts the rank of v. T is Student's t for a signed
statistic. A discrepancy, which is positive by construction, has the law of a root mean square of Gaussian numbers,

    D^2 = a chi^2_nu,      nu = 2 <D^2>^2 / Var(D^2),      a = <D^2> / nu,

from one degree of freedom (\|x\|, such as the error of a single correlation coefficient) to many, where it is Gaussian.
At one degree of freedom the 97.5 % quantile is 3.3 medians: no multiple of a median can stand for a p-value.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal, get_args

import numpy as np
import torch
from jaxtyping import Float
from scipy import optimize, stats
from torch import Tensor

from pushforward.errors import DataError, UsageError
from pushforward.statistics.arrays import Array, as_tensor

__all__ = ["Alternative", "joint_p_value", "p_value", "rank_p_value", "significance", "smallest_noticeable"]

Alternative = Literal["both", "larger", "smaller", "discrepancy"]
"""Values that speak against the null: of a signed statistic on both sides, above or below; of a discrepancy, above."""

_Tail = Callable[[np.ndarray, np.ndarray], np.ndarray]
_Rule = Callable[[float, np.ndarray, _Tail], float]

# Draws beyond a value from which its p-value is counted; fewer scatter by more than a third.
COUNTED = 10


def rank_p_value(
    value: Float[Array, "*statistics"], floor: Float[Array, "draws *statistics"], alternative: Alternative = "both"
) -> Float[Tensor, "*statistics"]:
    """Exact p-value of each statistic by counting, at least 1 / (draws + 1); a tie counts as beyond.

    Arguments:
        value: one or several statistics.
        floor: draws of the same; draws that are NaN are left out.
        alternative: "larger" and "discrepancy" count draws above, "smaller" below, "both" twice the lesser of the two.

    Raises:
        UsageError: if the shapes do not fit or the alternative is unknown.
        DataError: if a statistic has no draw.
    """
    return _each(value, floor, alternative, _counted)


def p_value(
    value: Float[Array, "*statistics"], floor: Float[Array, "draws *statistics"], alternative: Alternative = "both"
) -> Float[Tensor, "*statistics"]:
    """P-value of each statistic, counted where ten draws lie beyond it, and extrapolated further out.

    Arguments, raises: as in `rank_p_value`.

    Example:
        >>> floor = torch.randn(4000, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
        >>> bool((p_value(1.96, floor) - 0.05).abs() < 0.03), bool(p_value(5.0, floor) < 1e-4)
        (True, True)
        >>> bool((p_value(2.58, floor.abs(), "discrepancy") - 0.01).abs() < 0.005)
        True
    """
    return _each(value, floor, alternative, _extrapolated)


def significance(p: Float[Array, "*statistics"]) -> Float[Tensor, "*statistics"]:
    """Standard deviations of a Gaussian that are exceeded, on both sides together, with probability ``p``."""
    return torch.as_tensor(stats.norm.isf(as_tensor(p).double().cpu().numpy() / 2))


def joint_p_value(
    values: Float[Array, " statistics"],
    floor: Float[Array, "draws statistics"],
    alternatives: Alternative | Sequence[Alternative] = "both",
) -> Float[Tensor, ""]:
    """Probability that the most extreme statistic of a perfect sample is at least as extreme as here.

    Each draw holds all statistics of the same two real sets, so that their correlations are accounted for: the farthest
    of each draw is ranked with the farthest of the values (max-T; Westfall and Young 1993). Distances are in units of
    each statistic's median and 84 % quantile over values and draws together, for a discrepancy after the cube root of
    its square, which is nearly Gaussian at any number of degrees of freedom (Wilson and Hilferty 1931).

    Arguments:
        values: all statistics of the sample; those that are NaN are left out.
        floor: the same for each draw.
        alternatives: one for all statistics, or one each.

    Raises:
        UsageError: if the shapes do not fit or an alternative is unknown.
        DataError: if there is no draw.
    """
    found, draws = _pair(values, floor)
    names = [alternatives] * len(found) if isinstance(alternatives, str) else list(alternatives)
    if found.ndim != 1 or len(names) != len(found):
        raise UsageError(f"{len(names)} alternatives were given for statistics of shape {found.shape}; give one each")
    pool = np.vstack([found, draws])[:, np.isfinite(found)]
    names = [name for name, finite in zip(names, np.isfinite(found), strict=True) if finite]
    farthest = np.full(len(pool), -np.inf)
    for name, column in zip(names, pool.T, strict=True):
        farthest = np.fmax(farthest, _distance(_known(name), column))
    return torch.tensor((1 + np.sum(farthest[1:] >= farthest[0])) / len(pool), dtype=torch.float64)


def smallest_noticeable(
    floor: Float[Array, "draws *statistics"],
    alternative: Alternative = "both",
    *,
    level: float = 0.05,
    power: float = 0.95,
) -> Float[Tensor, "*statistics"]:
    """Size of a defect, in the statistic's unit, that would be noticed with probability ``power``.

    Noticed means a p-value below ``level``. A signed statistic of scatter s needs a shift of s (z_level + z_power); for
    a discrepancy D^2 / a is a non-central chi^2, and the size is the root of a times its non-centrality.

    Arguments:
        floor: as in `p_value`.
        alternative: as in `p_value`.
        level, power: in (0, 1).

    Raises:
        UsageError: if level or power are out of range or the alternative is unknown.
        DataError: if there are fewer than two draws.

    Example:
        >>> noise = torch.randn(100_000, generator=torch.Generator().manual_seed(0))
        >>> bool((smallest_noticeable(noise) - (1.96 + 1.645)).abs() < 0.05)
        True
    """
    if not (0 < level < 1 and level < power < 1):
        raise UsageError(f"level={level} and power={power} were given; both lie in (0, 1), the power above the level")
    name, draws = _known(alternative), _numbers(floor)
    if len(draws) < 2:
        raise DataError(f"{len(draws)} draws of the floor were given; its spread needs at least two")
    if name != "discrepancy":
        reach = stats.norm.isf(level / 2 if name == "both" else level) + stats.norm.isf(1 - power)
        return torch.as_tensor(np.asarray(reach * np.nanstd(draws, axis=0, ddof=1)))
    sizes = [_noticeable_discrepancy(column, level, power) for column in draws.reshape(len(draws), -1).T]
    return torch.tensor(sizes, dtype=torch.float64).reshape(draws.shape[1:])


def _noticeable_discrepancy(draws: np.ndarray, level: float, power: float) -> float:
    dof, unit = _chi_squared(draws)
    if unit == 0:
        return 0.0
    critical = stats.chi2.isf(level, dof)

    def missed(shift: float) -> float:
        return float(stats.ncx2.cdf(critical, dof, shift) - (1 - power))

    most = critical + 10 * (critical + dof) ** 0.5 + 50
    return float((unit * optimize.brentq(missed, 1e-9, most)) ** 0.5)


def _each(value: Any, floor: Any, alternative: str, rule: _Rule) -> Tensor:
    found, draws = _pair(value, floor)
    name = _known(alternative)
    columns = draws.reshape(len(draws), -1).T
    p = [
        _of_column(float(v), column[np.isfinite(column)], name, rule)
        for v, column in zip(found.ravel(), columns, strict=True)
    ]
    return torch.tensor(p, dtype=torch.float64).reshape(found.shape)


def _of_column(value: float, draws: np.ndarray, alternative: str, rule: _Rule) -> float:
    if len(draws) == 0:
        raise DataError("a statistic has no finite draw of its floor; a p-value needs some")
    if np.isnan(value):
        return np.nan
    if alternative == "both":
        return float(min(1.0, 2 * min(rule(value, draws, _student), rule(-value, -draws, _student))))
    if alternative == "smaller":
        return float(rule(-value, -draws, _student))
    return float(rule(value, draws, _chi if alternative == "discrepancy" else _student))


def _counted(value: float, draws: np.ndarray, law: _Tail) -> float:
    return float((1 + np.sum(draws >= value)) / (len(draws) + 1))


def _extrapolated(value: float, draws: np.ndarray, law: _Tail) -> float:
    if np.sum(draws >= value) >= COUNTED or len(draws) < 2 * COUNTED or np.ptp(draws) == 0:
        return _counted(value, draws, law)
    anchor = np.sort(draws)[-COUNTED]
    beyond, at = law(np.array([value, anchor]), draws)
    rank = _counted(value, draws, law)
    if not at > 0:
        return rank
    return float(np.clip(COUNTED / (len(draws) + 1) * min(1.0, beyond / at), rank - 1 / (len(draws) + 1), rank))


def _student(values: np.ndarray, draws: np.ndarray) -> np.ndarray:
    spread = draws.std(ddof=1) * (1 + 1 / len(draws)) ** 0.5
    return np.asarray(stats.t.sf((values - draws.mean()) / spread, len(draws) - 1))


def _chi(values: np.ndarray, draws: np.ndarray) -> np.ndarray:
    dof, unit = _chi_squared(draws)
    return np.asarray(stats.chi2.sf(values**2 / unit, dof))


def _chi_squared(draws: np.ndarray) -> tuple[float, float]:
    """Degrees of freedom and unit of D^2 by its moments; not fewer degrees than the one of a single number."""
    squares = draws[np.isfinite(draws)] ** 2
    mean, variance = squares.mean(), squares.var(ddof=1)
    dof = max(1.0, 2 * mean**2 / variance) if variance > 0 else 1.0
    return float(dof), float(mean / dof)


def _distance(alternative: str, pool: np.ndarray) -> np.ndarray:
    scale = np.sign(pool) * np.abs(pool) ** (2 / 3) if alternative == "discrepancy" else pool
    centred = scale - np.nanmedian(scale)
    if alternative == "both":
        centred = np.abs(centred)
        unit = np.nanquantile(centred, 0.68)
    else:
        centred = -centred if alternative == "smaller" else centred
        unit = np.nanquantile(centred, 0.84)
    return np.divide(centred, unit, out=np.where(centred > 0, np.inf, 0.0), where=unit > 0)


def _known(alternative: str) -> str:
    if alternative not in get_args(Alternative):
        known = ", ".join(get_args(Alternative))
        raise UsageError(f"alternative={alternative!r} is unknown; there are {known}")
    return alternative


def _numbers(values: Any) -> np.ndarray:
    return as_tensor(values).double().cpu().numpy()


def _pair(value: Any, floor: Any) -> tuple[np.ndarray, np.ndarray]:
    found, draws = _numbers(value), _numbers(floor)
    if draws.ndim == 0 or draws.shape[1:] != found.shape:
        raise UsageError(
            f"statistics of shape {found.shape} were given with a floor of shape {draws.shape}; "
            "the floor has one axis more, of draws, in front"
        )
    if len(draws) == 0:
        raise DataError("the floor has no draw; a p-value needs some")
    return found, draws
