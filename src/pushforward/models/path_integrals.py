"""Integrals along the path of a sample in a velocity field, solved together with the path."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

from pushforward.models.flat_velocity import FlatField
from pushforward.networks import PreparedField

__all__ = ["PathIntegrals"]


class PathIntegrals:
    """The field of a state (z, ∫ tr ∂f/∂z, ∫ ‖f‖², ∫ ‖∂f/∂z‖²_F), of which the last two integrals are optional.

    Arguments:
        field: velocity f at the batch's conditions.
        estimated: whether the trace is estimated from the random vectors ``probe`` (Hutchinson), instead of exact.
        kinetic, jacobian: whether to compute the last two integrals; that of the Jacobian is an estimate.

    Attributes:
        probe: one random vector of unit covariance per sample, set before a solve that needs it.
    """

    def __init__(
        self,
        field: PreparedField | FlatField,
        *,
        estimated: bool = False,
        kinetic: bool = False,
        jacobian: bool = False,
    ) -> None:
        self.field, self.estimated, self.kinetic, self.jacobian = field, estimated, kinetic, jacobian
        self.probe: Tensor | None = None

    @property
    def more(self) -> int:
        """Number of integrals along the path."""
        return 1 + self.kinetic + self.jacobian

    @property
    def needs_probe(self) -> bool:
        return self.estimated or self.jacobian

    @property
    def tensors(self) -> list[Tensor]:
        return self.field.tensors

    @property
    def rowwise(self) -> bool:
        return self.field.rowwise and self.probe is None

    def start(self, z: Float[Tensor, "batch dim"]) -> Float[Tensor, "batch more"]:
        """State at the beginning of a path."""
        return nn.functional.pad(z, (0, self.more))

    def __call__(self, t: Tensor, state: Tensor) -> Tensor:
        z = state[:, : state.shape[1] - self.more]
        stretch = []
        if self.probe is not None:
            value, (change,) = self.field.with_changes(t, z, self.probe[None])
            # ε·Jε has the mean tr J and ‖Jε‖² the mean ‖J‖²_F, over ε of unit covariance.
            trace = (change * self.probe).sum(1)
            stretch = [change.square().sum(1)] if self.jacobian else []
        if not self.estimated:
            value, trace = self.field.with_divergence(t, z)
        energy = [value.square().sum(1)] if self.kinetic else []
        return torch.cat([value, torch.stack([trace, *energy, *stretch], 1)], 1)

    def parts(self, state: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """z and the three integrals; those not computed are zero."""
        z, volume, *others = state.split([state.shape[1] - self.more, *[1] * self.more], dim=1)
        nothing = torch.zeros_like(volume)
        energy = others[0] if self.kinetic else nothing
        stretch = others[-1] if self.jacobian else nothing
        return z, volume.squeeze(1), energy.squeeze(1), stretch.squeeze(1)
