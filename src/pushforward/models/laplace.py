r"""Laplace approximation: the peak of a posterior, and the Gaussian of its curvature there.

For codes with the prior :math:`N(0, 1)` and the likelihood :math:`\exp(-\tfrac12 |r(z)|^2)` the peak of the posterior
is found by damped Gauss-Newton steps,

.. math:: z \leftarrow z - (J^\top J + 1 + \lambda)^{-1} (J^\top r + z), \qquad J = \partial r / \partial z,

where :math:`\lambda` falls after a successful step and rises after a failed one, which is undone. The Gaussian has the
covariance :math:`(J^\top J + 1)^{-1}` at the peak.

Sources: Levenberg 1944 (Quart. Appl. Math. 2, 164); Tierney and Kadane 1986 (J. Amer. Stat. Assoc. 81, 82).
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

__all__ = ["Linearised", "climb"]

FIRST_DAMPING, FASTER, SLOWER = 0.1, 0.2, 6.0

Linearised = Callable[[Tensor], tuple[Tensor, Tensor]]


@torch.no_grad()
def climb(
    linearised: Linearised, z: Float[Tensor, "count batch dim"], iterations: int
) -> tuple[Float[Tensor, "count batch dim"], Float[Tensor, "count batch dim dim"], Float[Tensor, "count batch"]]:
    """Local peaks uphill from given codes, Cholesky factors of the precision there, and log-posteriors in nats.

    Arguments:
        linearised: residuals (count, batch, values), in units of their standard deviation, of codes (count, batch,
            dim), and their derivatives (count, batch, values, dim).
        iterations: steps per code.
    """
    damping = torch.full_like(z[..., 0], FIRST_DAMPING)
    normal, slope, height = _at(linearised, z)
    for _ in range(iterations):
        curvature = normal + torch.diag_embed(damping[..., None] * normal.diagonal(dim1=-2, dim2=-1))
        tried = z - torch.cholesky_solve(slope[..., None], torch.linalg.cholesky(curvature))[..., 0]
        found = _at(linearised, tried)
        better = found[2] > height
        damping = torch.where(better, damping * FASTER, damping * SLOWER).clamp(1e-4, 1e6)
        z = torch.where(better[..., None], tried, z)
        normal = torch.where(better[..., None, None], found[0], normal)
        slope, height = torch.where(better[..., None], found[1], slope), torch.where(better, found[2], height)
    return z, torch.linalg.cholesky(normal), height


def _at(linearised: Linearised, z: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Precision, gradient of the negative log posterior, and the log posterior, of codes (count, batch, dim)."""
    r, jacobian = linearised(z)
    # A small addition keeps a large matrix positive definite under rounding.
    normal = jacobian.mT @ jacobian + torch.eye(z.shape[-1], dtype=z.dtype, device=z.device)
    normal = normal + torch.diag_embed(1e-6 * normal.diagonal(dim1=-2, dim2=-1))
    slope = (r[..., None, :] @ jacobian)[..., 0, :] + z
    height = -0.5 * (r.square().sum(-1) + z.square().sum(-1))
    return normal, slope, torch.where(torch.isfinite(height), height, -torch.inf)
