r"""Which noise a data point is joined to.

Any pairing of a batch's data with its noise keeps both distributions, and so does the flow that is learnt from it.
The pairing of least total squared distance makes the paths nearly disjoint: they are straighter, and the regression
target varies less at a given point.

With conditions c the pairing must not mix them, or the noise of a condition would no longer be Gaussian. Each noise row
carries the condition of the row it came with, and an exchange pays for the difference:

    cost_ij = |x_i - eps_j|^2 + w |c_i - c_j|^2.

References:
    Tong et al. 2024, https://arxiv.org/abs/2302.00482; Pooladian et al. 2023, https://arxiv.org/abs/2304.14772
    Cheng & Schwing 2025, https://arxiv.org/abs/2503.10636 (conditions)
"""

from __future__ import annotations

import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor

__all__ = ["optimal_transport"]


def optimal_transport(
    data: Tensor, noise: Tensor, condition: Tensor | None = None, condition_weight: float = 100.0
) -> Tensor:
    """The noise in the order that minimises the total cost: row i of the result belongs to row i of ``data``.

    Exact: between equally many equally weighted points, an optimal plan is a permutation.

    Arguments:
        data: shape (batch, ...).
        noise: shape (batch, ...).
        condition: shape (batch, condition_dim), of the rows of both; None if there is none.
        condition_weight: w, in units of squared distance over squared condition. Large keeps conditions apart.
    """
    with torch.no_grad():
        cost = torch.cdist(data.flatten(1), noise.flatten(1)).square()
        if condition is not None:
            cost += condition_weight * torch.cdist(condition, condition).square()
        _, order = linear_sum_assignment(cost.cpu().numpy())
    return noise[torch.as_tensor(order, device=noise.device)]
