r"""An isotropic filter of Fourier modes that changes with time, as a cubic spline of the wavenumber.

.. math:: f(k, t) = \sum_{j \ge 1} c_j(t)\, B_j(k / k_{max})

with the cubic B-splines :math:`B_j` of uniform knots between 0 and 1, and coefficients :math:`c_j` from a small MLP of
the time with sines as activations. :math:`B_0`, the only one that is not zero at k = 0, is left out: f(0, t) = 0, so
that the largest scales are left alone. In the source the MLP places the knots, too.

Source: Lanzieri, Lanusse & Starck 2022 (arXiv:2207.05509), section 3.
"""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float
from scipy.interpolate import BSpline
from torch import Tensor, nn

__all__ = ["SpectralFilter"]

_DEGREE = 3


class SpectralFilter(nn.Module):
    """The filter f(k, t) of the modes of a real transform, zero when it is made.

    Arguments:
        wavenumbers: of the modes ``(*modes,)``, in any unit.
        splines: B-splines, each with a coefficient.
        width: hidden features of the MLP.

    Example:
        >>> SpectralFilter(torch.linspace(0, 1, 5))(torch.tensor([0.1, 0.5])).shape
        torch.Size([2, 5])
    """

    basis: Tensor
    places: Tensor

    def __init__(self, wavenumbers: Float[Tensor, "*modes"], splines: int = 16, width: int = 32) -> None:
        super().__init__()
        # Modes share few values of |k|: the spline is evaluated once for each.
        values, places = torch.unique((wavenumbers / wavenumbers.max()).double(), return_inverse=True)
        inner = np.linspace(0, 1, splines - _DEGREE + 2)
        knots = np.concatenate([np.zeros(_DEGREE), inner, np.ones(_DEGREE)])
        basis = BSpline.design_matrix(values.numpy().clip(0, 1), knots, _DEGREE).toarray()[:, 1:]
        self.register_buffer("basis", torch.from_numpy(basis.T.astype(np.float32)), persistent=False)
        self.register_buffer("places", places, persistent=False)
        self.first = nn.Linear(1, width)
        self.second = nn.Linear(width, width)
        self.last = nn.Linear(width, splines)
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(self.last.bias)

    def forward(self, t: Float[Tensor, " batch"]) -> Float[Tensor, "batch *modes"]:
        """f at all modes, at the time of each sample."""
        return self.of_values(t)[:, self.places]

    def of_values(self, t: Float[Tensor, " batch"]) -> Float[Tensor, "batch values"]:
        """f at each value that the wavenumbers take, ascending."""
        hidden = torch.sin(self.first(t[:, None].to(self.first.weight)))
        return self.last(torch.sin(self.second(hidden))) @ self.basis
