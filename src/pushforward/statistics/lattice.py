r"""Observables of lattice fields: magnetisation, susceptibility, Binder cumulant, two-point function.

For a configuration s(x) on V sites, with m = sum_x s(x) / V,

    e   = -sum_<xy> s(x) s(y) / V                    energy of nearest neighbours, each bond once
    chi = V ( <m^2> - <|m|>^2 )                      susceptibility
    U   = 1 - <m^4> / (3 <m^2>^2)                    Binder cumulant: 0 for a Gaussian m, 2/3 in the ordered phase
    C(r) = < s(x) s(x + r e_i) > over x and axes i   two-point function
    xi  = sqrt( G(0) / G(k_1) - 1 ) / (2 sin(pi / L))      second-moment correlation length

with G(k) = <|s_k|^2> / V, G(0) = V <m^2> and k_1 the smallest wavenumbers, one along each axis (Binder 1981,
https://doi.org/10.1007/BF01293604; Caracciolo et al. 1993, https://doi.org/10.1016/0920-5632(93)90246-2).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from pushforward.errors import UsageError
from pushforward.statistics.arrays import FieldArray, as_fields, chunks, wide
from pushforward.statistics.uncertainty import Bootstrap, Groups, bootstrap

__all__ = ["LatticeObservables", "TwoPointFunction", "lattice_observables", "two_point_function"]


@dataclass(frozen=True)
class LatticeObservables:
    """Observables of an ensemble of configurations, lattice spacing 1.

    Attributes:
        magnetisation, energy: m and e of each sample, in the field's unit and its square.
        susceptibility, binder, correlation_length: of each channel, with bootstrap errors; the length is NaN where
            G(k_1) exceeds G(0), as it may by chance in a disordered phase.
    """

    magnetisation: Float[Tensor, "samples channels"]
    energy: Float[Tensor, "samples channels"]
    susceptibility: Bootstrap
    binder: Bootstrap
    correlation_length: Bootstrap


@dataclass(frozen=True)
class TwoPointFunction:
    """C(r) of each sample, compared between sets by `mean_difference`.

    Attributes:
        r: separation along an axis, sites.
        correlation: in the field's unit squared.
    """

    r: Float[Tensor, " separations"]
    correlation: Float[Tensor, "samples channels separations"]


def lattice_observables(
    fields: FieldArray, groups: Groups = None, *, periodic: bool = True, seed: int = 0
) -> LatticeObservables:
    """Observables of lattice configurations.

    Arguments:
        fields: ``(samples, channels, *grid)``, such as spins of -1 and 1.
        groups: of samples that are not independent, such as blocks of a Markov chain.
        periodic: whether bonds wrap around.
        seed: of the bootstrap.

    Raises:
        UsageError: if the shape or the groups make no sense.
        DataError: if there are fewer than two samples or groups.

    Example:
        >>> spins = torch.ones(100, 1, 8, 8)
        >>> spins[::2] = -1
        >>> found = lattice_observables(spins)
        >>> float(found.energy[0, 0]), round(float(found.binder.estimate[0]), 4)
        (-2.0, 0.6667)
    """
    fields = as_fields(fields)
    grid = fields.shape[2:]
    sites = fields[0, 0].numel()
    m, energy, smallest = [], [], []
    for rows in chunks(len(fields), fields[0].numel()):
        part = wide(fields[rows])
        m.append(part.flatten(2).mean(2))
        energy.append(-sum((_bonds(part, axis, periodic) for axis in range(2, fields.ndim)), torch.zeros(())) / sites)
        smallest.append(_longest_waves(part) / sites)
    magnetisation = torch.cat(m)
    square = magnetisation.square()
    moments = torch.stack([magnetisation.abs(), square, square.square(), torch.cat(smallest)], -1)

    def of_means(function: Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]) -> Bootstrap:
        return bootstrap(moments, lambda means: function(*means.unbind(-1)), groups, seed=seed)

    wave = 2 * torch.sin(torch.tensor(torch.pi / max(grid)))
    return LatticeObservables(
        magnetisation,
        torch.cat(energy),
        of_means(lambda size, second, fourth, low: sites * (second - size.square())),
        of_means(lambda size, second, fourth, low: 1 - fourth / (3 * second.square())),
        of_means(lambda size, second, fourth, low: (sites * second / low - 1).sqrt() / wave.to(low)),
    )


def two_point_function(fields: FieldArray, *, periodic: bool = True, connected: bool = False) -> TwoPointFunction:
    """Two-point function along the axes, for separations up to half the shortest side.

    Arguments:
        fields: ``(samples, channels, *grid)``.
        periodic: whether pairs wrap around.
        connected: whether to take away the square of the mean over samples and sites.

    Raises:
        UsageError: if the shape makes no sense.

    Example:
        >>> stripes = torch.tensor([1.0, -1.0]).repeat(4).expand(3, 1, 8, 8)
        >>> two_point_function(stripes).correlation[0, 0]
        tensor([1., 0., 1., 0., 1.], dtype=torch.float64)
    """
    fields = as_fields(fields)
    reach = min(fields.shape[2:]) // 2
    if reach < 1:
        raise UsageError(f"a grid of {tuple(fields.shape[2:])} sites has no two sites along each axis")
    parts = []
    for rows in chunks(len(fields), 4 * fields[0].numel()):
        part = wide(fields[rows])
        along = [_along(part, axis, reach, periodic) for axis in range(2, fields.ndim)]
        parts.append(torch.stack(along).mean(0))
    found = torch.cat(parts)
    if connected:
        found = found - wide(fields.mean((0, *range(2, fields.ndim)), dtype=torch.float64)).square()[:, None]
    return TwoPointFunction(torch.arange(reach + 1, dtype=found.dtype, device=found.device), found)


def _bonds(part: Tensor, axis: int, periodic: bool) -> Float[Tensor, "samples channels"]:
    cells = part.shape[axis]
    total = (part.narrow(axis, 0, cells - 1) * part.narrow(axis, 1, cells - 1)).flatten(2).sum(2)
    # Two sites have one bond, whether or not they wrap around.
    if periodic and cells > 2:
        total = total + (part.narrow(axis, 0, 1) * part.narrow(axis, cells - 1, 1)).flatten(2).sum(2)
    return total


def _longest_waves(part: Tensor) -> Float[Tensor, "samples channels"]:
    """|s_k|^2 at the smallest wavenumber along each of the longest axes, averaged."""
    grid = part.shape[2:]
    powers = []
    for axis, cells in enumerate(grid, start=2):
        if cells == max(grid):
            others = tuple(other for other in range(2, part.ndim) if other != axis)
            lines = part.sum(others) if others else part
            powers.append(torch.fft.rfft(lines, dim=-1)[..., min(1, cells // 2)].abs().square())
    return torch.stack(powers).mean(0)


def _along(part: Tensor, axis: int, reach: int, periodic: bool) -> Float[Tensor, "samples channels separations"]:
    cells = part.shape[axis]
    length = cells if periodic else 2 * cells
    power = torch.fft.rfft(part, n=length, dim=axis).abs().square()
    sums = torch.fft.irfft(power, n=length, dim=axis).narrow(axis, 0, reach + 1).movedim(axis, -1)
    pairs = torch.full((reach + 1,), float(cells)) if periodic else cells - torch.arange(reach + 1.0)
    lines = part[0, 0].numel() // cells
    return sums.flatten(2, -2).sum(2) / (pairs.to(sums) * lines) if sums.ndim > 3 else sums / pairs.to(sums)
