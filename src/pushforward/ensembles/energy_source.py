"""Energy as a training source: batches hold random numbers and the energy, without members."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor, nn

from pushforward.conditions import ConditionSpace
from pushforward.energies import Energy
from pushforward.ensembles.batch import EnergyBatch
from pushforward.ensembles.batching import BatchSource, Shard
from pushforward.ensembles.ensemble import Parameter
from pushforward.errors import DataError, UsageError
from pushforward.randomness import Purpose
from pushforward.spaces import Space, space_from_dict, space_to_dict

__all__ = ["EnergySource", "Rescaled"]


class Rescaled(nn.Module):
    """Rescaling of samples by their typical extent: z = (x - location) / scale, the same for every coordinate.

    Arguments:
        space: space of the samples.
        location, scale: constants in the user's units.
    """

    constants: Tensor
    parameters_: tuple[Parameter, ...] = ()
    condition_space = ConditionSpace()
    needs_condition = False

    def __init__(self, space: Space, location: float = 0.0, scale: float = 1.0) -> None:
        super().__init__()
        self.space = space
        self.register_buffer("constants", torch.tensor([location, scale], dtype=torch.float64))

    def forward(self, x: Float[Tensor, "batch *shape"], condition: None = None) -> Float[Tensor, "batch *shape"]:
        """Samples in network units."""
        location, scale = self.constants.to(x)
        return (x - location) / scale

    def inverse(self, z: Float[Tensor, "batch *shape"], condition: None = None) -> Float[Tensor, "batch *shape"]:
        """Samples in the user's units."""
        location, scale = self.constants.to(z)
        return z * scale + location

    def log_abs_det(self, x: Float[Tensor, "batch *shape"], condition: None = None) -> Float[Tensor, " batch"]:
        """``ln |det dz/dx|``, nats, on the degrees of freedom of the space."""
        return x.new_full((len(x),), -self.space.degrees * float(self.constants[1].log()))

    def encode_condition(self, condition: Any) -> None:
        raise UsageError("samples of an energy have no conditions; leave the condition out")

    def describe(self) -> list[str]:
        """One line for the terminal and the report."""
        location, scale = self.constants.tolist()
        return [f"network units: (x - {location:g}) / {scale:g}"]

    def to_dict(self) -> dict[str, Any]:
        """Plain values for `from_dict`, which makes a module without the constants."""
        return {"kind": "rescaled", "space": space_to_dict(self.space)}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        return cls(space_from_dict(values["space"]))


@dataclass
class EnergySource:
    """Training source made of an energy.

    Arguments:
        energy: energy in the user's units.
        spec: arguments of `named_energy` that recreate it; None for a user's own energy.
    """

    energy: Energy
    spec: dict[str, Any] | None = None
    kind: ClassVar[str] = "energy"
    parameters: ClassVar[tuple[Parameter, ...]] = ()
    notes: ClassVar[tuple[str, ...]] = ()
    condition_space: ClassVar[ConditionSpace] = ConditionSpace()

    @property
    def name(self) -> str:
        return self.energy.name

    @property
    def space(self) -> Space:
        return self.energy.space

    def check(self) -> None:
        """Check the energy before training.

        Raises:
            DataError: if the energy or its gradient is not finite at any of 16 typical samples.
        """
        x = self.energy.start(16, torch.Generator().manual_seed(0))
        values, gradient = self.energy(x), self.energy.gradient(x)
        usable = values.isfinite() & gradient.flatten(1).isfinite().all(1)
        if not usable.any():
            raise DataError(
                f"the energy of {self.name} is not finite at any of 16 samples with location {self.energy.location:g}"
                f" and scale {self.energy.scale:g}; give the location and scale of typical samples"
            )

    def preprocessing(self, options: Mapping[str, Any]) -> Rescaled:
        return Rescaled(self.space, self.energy.location, self.energy.scale)

    def batches(
        self, preprocessing: Rescaled, shard: Shard, seed: int, *, augmented: bool, device: torch.device
    ) -> tuple[BatchSource, bool]:
        nothing = torch.empty(0, *self.space.shape, device=device)

        def energy(z: Tensor) -> Tensor:
            x = preprocessing.inverse(z)
            return self.energy(x) + preprocessing.log_abs_det(x)

        def made(number: int) -> EnergyBatch:
            return EnergyBatch(nothing, None, shard.draws(seed, number, Purpose.BATCH, device=device), energy=energy)

        return made, True

    def condition_rows(self) -> NDArray[np.float32] | None:
        return None

    def describe(self) -> list[str]:
        return [f"{self.name}: an energy of {self.space}; there are no members"]

    def to_dict(self) -> dict[str, Any]:
        return {
            "kind": self.kind,
            "name": self.name,
            "spec": self.spec,
            "fingerprint": self.energy.fingerprint,
            "members": 0,
            "training_members": 0,
            "parameters": [],
            "notes": [],
        }

    def portable(self) -> EnergySource:
        return self
