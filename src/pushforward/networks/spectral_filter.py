r"""Isotropic, time-dependent filter of Fourier modes, a cubic spline in the wavenumber.

.. math:: f(k, t) = \sum_{j \ge 1} c_j(t)\, B_j(k / k_{max})

with cubic B-splines :math:`B_j` on uniform knots between 0 and 1, and coefficients :math:`c_j` from a small MLP of the
time with sine activations. :math:`B_0`, the only one that does not vanish at k = 0, is left out: f(0, t) = 0, so the
largest scales are unchanged. In the source the MLP also places the knots.

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
    """Filter f(k, t) of the modes of a real transform; zero before training.

    Arguments:
        wavenumbers: of the modes ``(*modes,)``, in any unit.
        splines: number of B-splines.
        width: hidden features of the MLP.

    Example:
        >>> SpectralFilter(torch.linspace(0, 1, 5))(torch.tensor([0.1, 0.5])).shape
        torch.Size([2, 5])
    """

    basis: Tensor
    places: Tensor

    def __init__(self, wavenumbers: Float[Tensor, "*modes"], splines: int = 16, width: int = 32) -> None:
        super().__init__()
        # Few distinct |k| occur: the spline is evaluated once for each.
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
        """The filter at all modes, at the time of each sample."""
        return self.of_values(t)[:, self.places]

    def of_values(self, t: Float[Tensor, " batch"]) -> Float[Tensor, "batch values"]:
        """The filter at the distinct wavenumbers, ascending."""
        hidden = torch.sin(self.first(t[:, None].to(self.first.weight)))
        return self.last(torch.sin(self.second(hidden))) @ self.basis
