r"""Quadrupole of the power spectrum: dependence of the power on direction, which averages over shells hide.

With c(k) = cos 2 phi and sin 2 phi in two dimensions (phi from the first axis), and the Legendre polynomial
L_2(mu_i) = (3 mu_i^2 - 1) / 2 of the cosine to each axis in three,

    P(k) = P_0(k) (1 + q(k) c(k)),        q(k) P_0(k) = sum_m (c_m - <c>) P_m / sum_m (c_m - <c>)^2

over the modes m of a shell, so that q is exact on any grid and box. It vanishes in the mean for isotropic fields.
Redshift-space distortions, lensing shear, flow and stretched boxes make one (Hamilton 1998,
https://arxiv.org/abs/astro-ph/9708102, sec. 5, where P_2 / P_0 is q).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import torch
from jaxtyping import Float
from torch import Tensor

from pushforward.errors import UsageError
from pushforward.statistics.arrays import FieldArray, as_fields, binary_unit
from pushforward.statistics.modes import Box, Edges, box_sides, sum_over_shells, wavenumbers
from pushforward.statistics.power_spectrum import Window, weighted_powers
from pushforward.tensors.samples import box_of

__all__ = ["Quadrupole", "quadrupole"]


@dataclass(frozen=True)
class Quadrupole:
    """Dependence of the power on direction.

    Attributes:
        k: mean wavenumber of the modes of each shell, radians per unit length.
        components: "cos 2 phi" and "sin 2 phi", or "L2 axis 1" to "L2 axis 3".
        power: P_0 of each sample.
        moment: q P_0 of each sample, the same unit; NaN in a shell whose modes have one direction.
        modes: modes in each shell, conjugates counted.
        weights: weight of each shell in the mean of q over scales, inverse to its variance for a Gaussian field; their
            sum is 1.
    """

    k: Float[Tensor, " bins"]
    components: tuple[str, ...]
    power: Float[Tensor, "samples channels bins"]
    moment: Float[Tensor, "samples channels components bins"]
    modes: Float[Tensor, " bins"]
    weights: Float[Tensor, "components bins"]

    @property
    def relative(self) -> Float[Tensor, "channels components bins"]:
        """q(k) of the ensemble, a ratio of means."""
        return self.moment.mean(0) / self.power.mean(0)[:, None]

    @property
    def strength(self) -> Float[Tensor, "samples channels components"]:
        """q averaged over all scales, of each sample relative to the ensemble's P_0: for `mean_difference`."""
        share = (self.moment / self.power.mean(0)[:, None]).nan_to_num(0.0, 0.0, 0.0)
        return (share * self.weights).sum(-1)


def quadrupole(fields: FieldArray, box: Box = None, bins: Edges = "all", *, window: Window = None) -> Quadrupole:
    """Quadrupole of the power of each sample and channel.

    Arguments:
        fields: ``(samples, channels, *grid)``, two or three axes.
        box, window: as in `power_spectrum`.
        bins: as in `power_spectrum`; by default every scale of the grid.

    Raises:
        UsageError: if the shape, the box, the bins or the window make no sense.

    Example:
        >>> white = torch.randn(100, 1, 32, 32, generator=torch.Generator().manual_seed(0))
        >>> stretched = white + white.roll(1, 2)
        >>> quadrupole(white).strength.shape
        torch.Size([100, 1, 2])
        >>> bool(quadrupole(stretched).strength.mean(0)[0, 0] < -0.3)
        True
    """
    box = box_of(fields, box)
    fields = as_fields(fields, (2, 3))
    grid = tuple(fields.shape[2:])
    sides = box_sides(grid, box)
    directions = _directions(grid, sides, fields.device)
    of, power, moment = weighted_powers(fields, box, bins, window, directions)
    scale = binary_unit(fields).to(power)[:, None].square()
    mean = sum_over_shells(directions, of) / of.modes
    spread = sum_over_shells(directions.square(), of) / of.modes - mean.square()
    usable = spread > 1e-9
    variance = torch.where(usable, spread, torch.nan)
    excess = (moment - mean * power[:, :, None]) / variance
    weights = torch.where(usable, of.modes * spread, 0.0)
    total = weights.sum(-1, keepdim=True)
    if not bool((total > 0).all()):
        raise UsageError(f"a grid of {grid} has no shell whose modes point in different directions")
    return Quadrupole(of.k, _names(len(grid)), power * scale, excess * scale[:, None], of.modes, weights / total)


def _names(dimensions: int) -> tuple[str, ...]:
    return ("cos 2 phi", "sin 2 phi") if dimensions == 2 else tuple(f"L2 axis {axis}" for axis in (1, 2, 3))


@lru_cache(maxsize=16)
def _directions(
    grid: tuple[int, ...], sides: tuple[float, ...], device: torch.device
) -> Float[Tensor, "components stored"]:
    """c of each stored mode. Nyquist modes, whose sign is arbitrary, keep the directions that do not depend on it."""
    parts = torch.broadcast_tensors(*wavenumbers(grid, sides))
    square = torch.stack([part.square() for part in parts])
    total = square.sum(0)
    safe = torch.where(total > 0, total, 1.0)
    if len(grid) == 2:
        product = 2 * parts[0] * parts[1]
        for axis, cells in enumerate(grid):
            if cells % 2 == 0:
                product = product.index_fill(axis, torch.tensor([cells // 2]), 0.0)
        found = torch.stack([square[0] - square[1], product]) / safe
    else:
        found = (3 * square / safe - 1) / 2
    kind = torch.float32 if device.type == "mps" else torch.float64
    return found.flatten(1).to(device, kind)
