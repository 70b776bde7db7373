r"""Cloud-in-cell interpolation between particles and a periodic mesh, differentiable and batched.

Cloud in cell (Hockney & Eastwood 1981, section 5-2): a particle at the fraction u of its cell along an axis has weight
1 - u in this cell and u in the next, and in a corner of the cube the product over the axes,

.. math:: \rho(c) = \sum_i W(x_i - c), \qquad f(x_i) = \sum_c W(x_i - c)\, f(c).

Reading is the transpose of painting: :math:`\sum_c f(c)\, \rho(c) = \sum_i f(x_i)`. With a force that is odd in the
separation of cells, this conserves the momentum of the particles.
"""

from __future__ import annotations

from math import prod

import torch
from jaxtyping import Float, Int
from torch import Tensor

__all__ = ["CloudInCell"]


class CloudInCell:
    """Cells of particles, with their weights.

    Arguments:
        position: of the particles in units of cells, shape ``(batch, count, dim)``; wrapped around.
        grid: cells along each axis.

    Example:
        >>> cloud = CloudInCell(torch.tensor([[[0.5, 3.75]]]), (4, 4))
        >>> cloud.paint()[0, 0]
        tensor([0.3750, 0.0000, 0.0000, 0.1250])
    """

    def __init__(self, position: Float[Tensor, "batch count dim"], grid: tuple[int, ...]) -> None:
        self.batch, self.count = position.shape[:2]
        self.grid = grid
        # Particles last: every operation runs along them, in memory order.
        x = position.flatten(0, 1).T.contiguous()
        sides = x.new_tensor(grid)[:, None]
        # The indices are piecewise constant: only the weights carry gradients.
        floor = x.detach().floor()
        share = x - floor
        index = torch.int32 if self.batch * prod(grid) < 2**31 else torch.int64
        low = floor - sides * (floor / sides).floor()
        ends = torch.stack([low, torch.where(low + 1 == sides, 0.0, low + 1)], 1).to(index)
        parts = torch.stack([1 - share, share], 1)
        cells = torch.arange(self.batch, dtype=index, device=x.device).repeat_interleave(self.count)[None]
        shares = torch.ones_like(x[:1])
        for axis, side in enumerate(grid):
            cells = (cells[:, None] * side + ends[axis]).flatten(0, 1)
            shares = (shares[:, None] * parts[axis]).flatten(0, 1)
        self.cells: Int[Tensor, "corners particles"] = cells
        self.shares: Float[Tensor, "corners particles"] = shares

    def paint(self, weight: Float[Tensor, "batch count"] | None = None) -> Float[Tensor, "batch *grid"]:
        """Density of particles per cell, optionally weighted."""
        shares = self.shares if weight is None else self.shares * weight.flatten()
        mesh = shares.new_zeros(self.batch * prod(self.grid))
        return mesh.index_add(0, self.cells.flatten(), shares.flatten()).view(self.batch, *self.grid)

    def read(self, fields: Float[Tensor, "batch channels *grid"]) -> Float[Tensor, "batch count channels"]:
        """Values of fields at the particles."""
        # One channel at a time: gathering rows of three numbers is slower, and so are its derivatives.
        values = [
            (field.flatten().index_select(0, self.cells.flatten()).view_as(self.shares) * self.shares).sum(0)
            for field in fields.unbind(1)
        ]
        return torch.stack(values, -1).view(self.batch, self.count, -1)
