r"""Observables of calorimeter showers: energies, profile along the layers, and sparsity.

For the energies E_lc >= 0 of the cells c in layer l, with E_l = sum_c E_lc and E = sum_l E_l,

    depth = sum_l l E_l / E,        width^2 = sum_l (l - depth)^2 E_l / E,        sparsity_l = < E_lc <= threshold >_c,

and, if the energy of the incident particle is given, the response E / E_incident. Generators of showers are compared by
these observables (Krause et al. 2024, https://arxiv.org/abs/2410.21611, sec. 4).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from pushforward.errors import UsageError
from pushforward.statistics.arrays import Array, as_tensor, as_vectors, wide

__all__ = ["ShowerObservables", "shower_observables"]


@dataclass(frozen=True)
class ShowerObservables:
    """Observables of each shower.

    Attributes:
        total: E, in the unit of the cells.
        layers: E_l, the same unit.
        depth, width: of the profile, in layers from 0; 0 for a shower without energy.
        sparsity: share of the cells of each layer that hold no more than the threshold.
        response: E over the incident energy; None where that is not known.
    """

    total: Float[Tensor, " samples"]
    layers: Float[Tensor, "samples layers"]
    depth: Float[Tensor, " samples"]
    width: Float[Tensor, " samples"]
    sparsity: Float[Tensor, "samples layers"]
    response: Float[Tensor, " samples"] | None

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the columns of `features`."""
        layers = range(1, self.layers.shape[1] + 1)
        given = ("response",) if self.response is not None else ()
        energies = (f"share of layer {layer}" for layer in layers)
        return (
            "total energy",
            "depth",
            "width",
            *given,
            *energies,
            *(f"sparsity of layer {layer}" for layer in layers),
        )

    @property
    def features(self) -> Float[Tensor, "samples features"]:
        """All observables side by side, energies of layers as shares of the total: for tests of two sets."""
        shares = self.layers / torch.where(self.total > 0, self.total, 1.0)[:, None]
        columns = [self.total, self.depth, self.width, *([] if self.response is None else [self.response])]
        return torch.cat([torch.stack(columns, 1), shares, self.sparsity], 1)


def shower_observables(
    energies: Float[Array, "samples *cells"],
    layers: Sequence[int] | None = None,
    *,
    threshold: float = 0.0,
    incident: Float[Array, " samples"] | None = None,
) -> ShowerObservables:
    """Observables of calorimeter showers.

    Arguments:
        energies: of the cells, ``(samples, cells)`` or ``(samples, channels, layers, *cells)``.
        layers: number of cells in each layer, in the order of the cells, whose sum is the number of cells; None where
            the third axis counts the layers.
        threshold: energy up to which a cell counts as empty.
        incident: energy of the incident particle of each sample.

    Raises:
        UsageError: if the layers do not fit the cells, or the incident energies the samples.

    Example:
        >>> found = shower_observables(torch.tensor([[0.0, 2.0, 1.0, 1.0, 0.0, 0.0]]), layers=[2, 4])
        >>> found.total.tolist(), found.layers.tolist(), found.depth.tolist(), found.sparsity.tolist()
        ([4.0], [[2.0, 2.0]], [0.5], [[0.5, 0.5]])
    """
    given = as_tensor(energies)
    if layers is None:
        if given.ndim < 3:
            raise UsageError(
                f"energies of shape {tuple(given.shape)} were given without layers; name the cells in each layer"
            )
        count = given.shape[2]
        by_layer = wide(as_vectors(given.movedim(2, 1))).reshape(len(given), count, -1)
        sums, empty = by_layer.sum(2), (by_layer <= threshold).to(by_layer.dtype).mean(2)
    else:
        cells = wide(as_vectors(given))
        sizes = [int(size) for size in layers]
        if min(sizes, default=0) < 1 or sum(sizes) != cells.shape[1]:
            raise UsageError(f"layers of {sum(sizes)} cells were given for showers of {cells.shape[1]} cells")
        parts = cells.split(sizes, 1)
        sums = torch.stack([part.sum(1) for part in parts], 1)
        empty = torch.stack([(part <= threshold).to(part.dtype).mean(1) for part in parts], 1)
    total = sums.sum(1)
    share = sums / torch.where(total > 0, total, 1.0)[:, None]
    number = torch.arange(sums.shape[1], dtype=sums.dtype, device=sums.device)
    depth = (share * number).sum(1)
    width = (share * (number - depth[:, None]).square()).sum(1).clamp_min(0).sqrt()
    response = None
    if incident is not None:
        energy = wide(as_tensor(incident).to(total.device)).flatten()
        if energy.shape != total.shape:
            raise UsageError(f"{len(energy)} incident energies were given for {len(total)} showers; give one for each")
        response = total / energy
    return ShowerObservables(total, sums, depth, width, empty, response)
