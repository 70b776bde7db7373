r"""Difference of two means with its sign, its standard error and its significance, for any statistic of single samples.

    D = <a> - <b>     or, relative,     D = ln <a> - ln <b>,            z = D / error.

The error is the scatter between samples or between groups of both sets; of pairs at the same conditions, the scatter of
the differences, in which what the conditions do to both cancels. The relative difference of means is taken before the
logarithm, so few modes or counts do not bias it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy import stats
from torch import Tensor

from pushforward.errors import UsageError
from pushforward.statistics.arrays import Array, as_tensor, wide
from pushforward.statistics.uncertainty import Groups, standard_error

__all__ = ["Difference", "degrees_of_freedom", "mean_difference", "student_p_value"]


@dataclass(frozen=True)
class Difference:
    """A difference of means, generated less real.

    Attributes:
        value: in the statistic's unit, or without one if relative.
        error: its standard error.
    """

    value: Float[Tensor, "*shape"]
    error: Float[Tensor, "*shape"]

    @property
    def z(self) -> Float[Tensor, "*shape"]:
        """Value over error: Student's t with as many degrees of freedom as there are groups, less one or two."""
        return self.value / self.error


def mean_difference(
    generated: Float[Array, "n *shape"],
    real: Float[Array, "m *shape"],
    groups: Groups = None,
    real_groups: Groups = None,
    *,
    paired: bool = False,
    relative: bool = False,
) -> Difference:
    """Difference of the means of two sets.

    Arguments:
        generated, real: one statistic of each sample, such as ``power_spectrum(fields).power``.
        groups, real_groups: group of each sample, as in `standard_error`; of pairs, one of them serves for both.
        paired: whether ``generated[i]`` was made at the condition of ``real[i]``.
        relative: whether to take the logarithm of the ratio of the means.

    Raises:
        UsageError: if the shapes or the groups do not fit.
        DataError: if a set has fewer than two samples or groups.

    Example:
        >>> import torch
        >>> a, b = torch.randn(2, 400, 3, generator=torch.Generator().manual_seed(0))
        >>> found = mean_difference(a + torch.tensor([0.0, 0.0, 1.0]), b)
        >>> (found.z.abs() > 5).tolist()
        [False, False, True]
    """
    a, b = wide(as_tensor(generated)), wide(as_tensor(real))
    if a.shape[1:] != b.shape[1:] or (paired and len(a) != len(b)):
        raise UsageError(
            f"statistics of shapes {tuple(a.shape)} and {tuple(b.shape)} were given; "
            "all axes but that of the samples must agree, and of pairs that too"
        )
    b = b.to(a.device)
    mean_a, mean_b = a.mean(0), b.mean(0)
    value = mean_a.log() - mean_b.log() if relative else mean_a - mean_b
    if relative:
        a, b = a / mean_a, b / mean_b
    if paired:
        return Difference(value, standard_error(a - b, real_groups if groups is None else groups))
    errors = standard_error(a, groups), standard_error(b, real_groups)
    return Difference(value, (errors[0].square() + errors[1].square()).sqrt())


def student_p_value(
    generated: Float[Array, " n"],
    real: Float[Array, " m"],
    groups: Groups = None,
    real_groups: Groups = None,
    *,
    two_sided: bool = True,
) -> float:
    """P-value of a difference of two means by Student's t; one-sided, of a larger mean of ``generated``.

    Where neither set scatters it is 0 or 1. Arguments and errors are those of `mean_difference`.

    Example:
        >>> round(student_p_value([1.0, 2.0, 3.0], [2.0, 3.0, 4.0]), 2)
        0.35
    """
    found = mean_difference(generated, real, groups, real_groups)
    value, error = float(found.value), float(found.error)
    if error == 0:
        return 0.0 if value > 0 or (two_sided and value < 0) else 1.0
    z, degrees = float(found.z), degrees_of_freedom(len(generated), len(real), groups, real_groups)
    return float(2 * stats.t.sf(abs(z), degrees) if two_sided else stats.t.sf(z, degrees))


def degrees_of_freedom(count: int, real_count: int, groups: Groups = None, real_groups: Groups = None) -> int:
    """The smaller number of independent samples, or groups, of two sets, less one."""
    sets = ((count, groups), (real_count, real_groups))
    return min(size if who is None else len(np.unique(as_tensor(who).cpu())) for size, who in sets) - 1
