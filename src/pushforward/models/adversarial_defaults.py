"""Defaults of adversarial models that follow from the space."""

from __future__ import annotations

from functools import singledispatch
from typing import Any, Literal

from pushforward.errors import UsageError
from pushforward.models.scattering import has_scattering_spectra
from pushforward.models.stationary import is_stationary
from pushforward.models.wavelet_bands import halvings_for
from pushforward.spaces import Field, Space

__all__ = ["ConstraintName", "chosen_halvings", "chosen_penalty", "chosen_scattering", "training_defaults"]

ConstraintName = Literal["gradient-penalty", "one-sided", "zero-centred", "clipping", "none"]


def chosen_halvings(space: Space) -> int:
    """Number of halvings of a field's grid."""
    # A cube of 8^3 has as many cells as a map of 22^2; at 16^3 both networks would cost several times as much.
    return halvings_for(space, smallest=8) if len(space.grid) == 3 else halvings_for(space)


def chosen_penalty(space: Space, constraint: ConstraintName) -> float:
    """Weight of a penalty on a space."""
    if constraint == "zero-centred":
        return 1.0 if space.grid else 0.3
    return 10.0 if space.grid else 0.1


_SCATTERING = 3000.0
"""Weight at which the spectra, not the critic, teach the generator."""


def chosen_scattering(space: Space, chosen: float | None, *, whitened: bool) -> float:
    """Weight of the score of scattering spectra; 0 where there are none.

    Raises:
        UsageError: if a weight is given for other samples than whitened maps.
    """
    able = whitened and has_scattering_spectra(space)
    if chosen and not able:
        raise UsageError(
            f"scattering={chosen:g} needs homogeneous maps of at least 8 x 8 cells that are generated from noise; set "
            "scattering=0"
        )
    return (_SCATTERING if able else 0.0) if chosen is None else chosen


@singledispatch
def training_defaults(space: Space) -> dict[str, Any]:
    """Default loop settings on a space."""
    # Two players circle around their equilibrium; an average over a longer part of the run comes closer to it.
    return {"learning_rate": 1e-3, "batch_size": 256, "betas": (0.0, 0.9), "average": 0.1}


@training_defaults.register
def _(space: Field) -> dict[str, Any]:
    if not is_stationary(space):
        return {"learning_rate": 2e-3, "batch_size": 16, "betas": (0.0, 0.9)}
    # A cube holds many independent patches, and its steps are expensive.
    size = 4 if len(space.grid) == 3 else 16
    # Gaussian fields of normal scores also have the right distribution of values.
    return {"learning_rate": 1e-3, "batch_size": size, "betas": (0.0, 0.9), "transform": "gaussianise"}
