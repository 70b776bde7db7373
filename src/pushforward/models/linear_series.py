r"""Series that are linear in Gaussian coefficients, with a rough component and noise: evidence and posterior.

.. math::
    x_d(t) = \sum_f \phi_f(t) \Big[\mu_{df} + \sum_j \Lambda_{dfj}\, a_j\Big] + g_d(t) + \sigma_d \epsilon, \qquad
    a \sim N(0, 1), \qquad g_d \sim \text{Matern}_{3/2}(s_d, l_d)

for given features :math:`\phi`. The rough component g is the stationary solution of a linear stochastic differential
equation; it takes what the features cannot follow. With :math:`S_d` the covariance of g and the noise at the observed
times and whitened features :math:`S_d^{-1/2} \phi`, the coefficients have the posterior precision

.. math:: M = 1 + \sum_d \Lambda_d^\top \phi^\top S_d^{-1} \phi\, \Lambda_d .

The covariance does not depend on the features, so that it is factorised once for any number of them.

Source: Rasmussen and Williams 2006, Gaussian Processes for Machine Learning, sections 2.7 and 4.2.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import product

import torch
from jaxtyping import Bool, Float
from torch import Tensor

__all__ = ["Basis", "Roughness", "Rows", "loading_slots"]

_RELATIVE, _ABSOLUTE = 1e-3, 1e-6
"""Addition to variances of the rough component at times that may be equal, relative and in network units."""
_ROUNDING = 4e-7
"""Error of a covariance in float32, relative and per row."""
_FIRST_WAVE, _FIRST_SLOW, _FIRST_CONSTANT = 0.7, 0.2, 0.7
"""First loadings, in network units, in which data are of order one; harmonic h begins with the first over h squared."""


@dataclass(frozen=True)
class Basis:
    """Features, mean and loadings of coefficients.

    Attributes:
        features: at the times of the rows, shape (count, batch, T, f).
        mean: shape (count, batch, dim, f).
        loadings: shape (count, batch, dim, f, m).
    """

    features: Float[Tensor, "count batch T f"]
    mean: Float[Tensor, "count batch dim f"]
    loadings: Float[Tensor, "count batch dim f m"]

    def path(self, a: Float[Tensor, "count batch m"]) -> Float[Tensor, "count batch T dim"]:
        """Sum of the features, without the rough component."""
        weights = self.mean + torch.einsum("kbdfm,kbm->kbdf", self.loadings, a)
        return torch.einsum("kbtf,kbdf->kbtd", self.features, weights)


@dataclass(frozen=True)
class Roughness:
    """The rough component and the noise: standard deviations and correlation length per coordinate, shape (dim,)."""

    size: Float[Tensor, " dim"]
    length: Float[Tensor, " dim"]
    noise: Float[Tensor, " dim"]

    def covariance(self, s: Float[Tensor, "batch S"], t: Float[Tensor, "batch T"]) -> Float[Tensor, "batch dim S T"]:
        """Covariance of the rough component between times."""
        lag = math.sqrt(3) * (s[:, None, :, None] - t[:, None, None, :]).abs() / self.length[:, None, None]
        return self.size.square()[:, None, None] * (1 + lag) * (-lag).exp()

    def factor(self, covariance: Float[Tensor, "batch dim T T"]) -> Float[Tensor, "batch dim T T"]:
        """Lower Cholesky factor of a covariance of the rough component, of which times may be equal."""
        addition = (_RELATIVE * self.size.square() + _ABSOLUTE)[:, None, None]
        return _cholesky(covariance + addition * torch.eye(covariance.shape[-1]).to(covariance))


class Rows:
    """Observed rows of a batch of series.

    Arguments:
        times, values, seen: of all rows; values that are not seen may be anything finite.
        rough: the rough component and the noise.
    """

    def __init__(
        self,
        times: Float[Tensor, "batch T"],
        values: Float[Tensor, "batch T dim"],
        seen: Bool[Tensor, "batch T dim"],
        rough: Roughness,
    ) -> None:
        self.times, self.rough = times, rough
        self.seen = seen.mT.to(values)
        both = self.seen[..., None] * self.seen[..., None, :]
        # A small addition keeps a large matrix positive definite under rounding.
        rounding = _ROUNDING * times.shape[1] * rough.size.square()
        diagonal = self.seen * (rough.noise.square() + rounding)[:, None] + (1 - self.seen)
        self.factor = _cholesky(rough.covariance(times, times) * both + torch.diag_embed(diagonal))
        self.values = values.mT * self.seen
        self.standard = self.whiten(self.values[..., None])[..., 0]
        self.constant = -self.factor.diagonal(dim1=-2, dim2=-1).log().sum((1, 2))
        self.constant = self.constant - 0.5 * math.log(2 * math.pi) * self.seen.sum((1, 2))

    def whiten(self, rows: Float[Tensor, "batch dim T n"]) -> Float[Tensor, "batch dim T n"]:
        """Inverse of the Cholesky factor of the covariance times n columns, whose covariance becomes one."""
        return torch.linalg.solve_triangular(self.factor, rows, upper=False)

    def whitened(self, features: Float[Tensor, "count batch T f"]) -> Float[Tensor, "batch dim T count f"]:
        """Whitened features, for each coordinate of the series."""
        count, batch, length, f = features.shape
        flat = features.permute(1, 2, 0, 3).reshape(batch, 1, length, count * f)
        return self.whiten(flat * self.seen[..., None]).unflatten(-1, (count, f))

    def whitened_paths(self, paths: Float[Tensor, "count batch T dim n"]) -> Float[Tensor, "count batch values n"]:
        """Whitened paths, or n derivatives of them, with one row per value (dim T)."""
        count, batch, length, dim, n = paths.shape
        columns = paths.permute(1, 3, 2, 0, 4).reshape(batch, dim, length, count * n)
        made = self.whiten(columns * self.seen[..., None]).unflatten(-1, (count, n))
        return made.permute(3, 0, 1, 2, 4).flatten(2, 3)

    def posterior(
        self, basis: Basis
    ) -> tuple[Float[Tensor, "count batch"], Float[Tensor, "count batch m"], Float[Tensor, "count batch m m"]]:
        """Log-density of the observations in nats, posterior mean of the coefficients, and the Cholesky factor of their
        posterior precision."""
        features = self.whitened(basis.features)
        columns = features.permute(3, 0, 1, 2, 4)
        normal = columns.mT @ columns
        against = torch.einsum("kbdtf,bdt->kbdf", columns, self.standard)
        loaded = normal @ basis.loadings
        precision = (basis.loadings.mT @ loaded).sum(2)
        # A small addition keeps a large matrix positive definite under rounding.
        diagonal = precision.diagonal(dim1=-2, dim2=-1)
        precision = precision + torch.diag_embed(1 + 1e-6 * diagonal)
        left = against - (normal @ basis.mean[..., None])[..., 0]
        pull = torch.einsum("kbdfm,kbdf->kbm", basis.loadings, left)
        squares = self.standard.square().sum((1, 2)) - (basis.mean * (against + left)).sum((2, 3))
        factor = _cholesky(precision)
        half = torch.linalg.solve_triangular(factor, pull[..., None], upper=False)
        mean = torch.linalg.solve_triangular(factor.mT, half, upper=True)[..., 0]
        volume = factor.diagonal(dim1=-2, dim2=-1).log().sum(-1)
        return self.constant - 0.5 * (squares - half.square().sum((2, 3))) - volume, mean, factor

    def rough_posterior(
        self,
        times: Float[Tensor, "batch S"],
        smooth: Float[Tensor, "count batch T dim"],
        noise: Float[Tensor, "count batch dim S"],
    ) -> Float[Tensor, "count batch S dim"]:
        """Draws of the rough component given the observations and the sum of the features.

        Arguments:
            times: of the draws, ascending.
            smooth: sum of the features at the rows, per draw.
            noise: standard normal numbers; zeros give the mean.
        """
        across = self.whiten(self.rough.covariance(self.times, times) * self.seen[..., None])
        left = self.values - smooth.mT * self.seen
        standard = self.whiten(left.permute(1, 2, 3, 0))
        mean = torch.einsum("bdts,bdtk->kbsd", across, standard)
        factor = self.rough.factor(self.rough.covariance(times, times) - across.mT @ across)
        drawn = mean + torch.einsum("bdst,kbdt->kbsd", factor, noise)
        # A path has one value at a time, also where that is asked for twice.
        place = torch.arange(times.shape[1], device=times.device)
        repeated = torch.nn.functional.pad(times[:, 1:] == times[:, :-1], (1, 0))
        first = torch.where(repeated, 0, place).cummax(1).values
        return drawn.gather(2, first[None, :, :, None].expand_as(drawn))


def _cholesky(matrix: Float[Tensor, "*batch n n"]) -> Float[Tensor, "*batch n n"]:
    """Lower Cholesky factor; NaN where there is none."""
    factor, info = torch.linalg.cholesky_ex(matrix)
    return torch.where(info[..., None, None] == 0, factor, torch.nan)


def loading_slots(dim: int, pairs: int, harmonics: int, slow: int) -> tuple[Tensor, Tensor]:
    """Number of the free loading at each place, and the first values of the free loadings.

    Numbers have the shape (dim, features, coefficients), begin with 1, and are 0 where a loading is always zero. Each
    wave, each slow coordinate and the constant has coefficients of its own: one per feature (a cosine and a sine for a
    wave) and rank. The rank is that of the coordinates of the series, and at most two.
    """
    ranks = min(dim, 2)
    f = 2 * pairs * harmonics + slow + 1
    blocks: list[tuple[list[int], float]] = []
    for h, k in product(range(harmonics), range(pairs)):
        blocks.append(([2 * pairs * h + k, 2 * pairs * h + pairs + k], _FIRST_WAVE / (1 + h) ** 2))
    blocks += [([2 * pairs * harmonics + k], _FIRST_SLOW) for k in range(slow)] + [([f - 1], _FIRST_CONSTANT)]
    slots = torch.zeros(dim, f, ranks * sum(len(rows) for rows, _ in blocks), dtype=torch.long)
    first: list[float] = []
    column = 0
    for rows, size in blocks:
        for rank, own in product(range(ranks), rows):
            for d, row in product(range(dim), rows):
                first.append(size if d % ranks == rank and row == own else 0.0)
                slots[d, row, column] = len(first)
            column += 1
    return slots, torch.tensor(first)
