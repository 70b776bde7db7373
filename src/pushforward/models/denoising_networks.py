"""Networks, solver steps and training defaults of the models that learn a flow from noise to data, by space."""

from __future__ import annotations

from functools import singledispatch
from typing import Any

from torch import nn

from pushforward.ensembles.batch import Batch
from pushforward.errors import UsageError
from pushforward.networks import ResidualMLP
from pushforward.networks.factory import is_custom
from pushforward.spaces import Field, Particles, Space
from pushforward.transport import Straight, time_grid

__all__ = ["denoising_defaults", "network_options", "samples_per_time", "times_to_noise"]

_SHARED = {"betas": (0.9, 0.99), "gradient_clip": 1.0, "average": 0.1}


@singledispatch
def denoising_defaults(space: Space) -> dict[str, Any]:
    """Default settings of the training loop."""
    # With a rate inverse to the width, 16 columns learn less from 300 steps and from 1200 (`benchmarks.learning`).
    return {"learning_rate": 5e-3 * (64 / _width(space)) ** 0.5, "batch_size": 1024, **_SHARED}


@denoising_defaults.register
def _(space: Field) -> dict[str, Any]:
    return {"learning_rate": 4e-3, "optimiser": "muon", "batch_size": 8, **_SHARED}


@denoising_defaults.register
def _(space: Particles) -> dict[str, Any]:
    # Densities of equivariant flows need a higher precision than bfloat16.
    return {"learning_rate": 2e-3, "batch_size": 256, "precision": "32", **_SHARED}


def network_options(space: Space, settings: Any) -> dict[str, Any]:
    """Options of `time_network` from the settings of a model; None keeps the network's default.

    Raises:
        UsageError: if a setting belongs to another network or another kind of sample.
    """
    if not is_custom(settings.network):
        return _options(space, settings)
    if settings.multipliers is not None or settings.patch is not None:
        raise UsageError(
            f"patch and multipliers are settings of built-in networks; leave them out for network={settings.network}"
        )
    return {"network": settings.network, "width": settings.width, "depth": settings.depth}


@singledispatch
def _options(space: Space, settings: Any) -> dict[str, Any]:
    _refuse_those_of_fields(space, settings)
    return {"width": settings.width or _width(space), "depth": settings.depth or 3}


@_options.register
def _(space: Particles, settings: Any) -> dict[str, Any]:
    _refuse_those_of_fields(space, settings)
    return {"width": settings.width, "depth": settings.depth}


@_options.register
def _(space: Field, settings: Any) -> dict[str, Any]:
    inputs = {"in_channels": 2 * space.channels}  # the noisy field, as it is and whitened
    if settings.network == "transformer":
        if settings.multipliers is not None:
            raise UsageError("multipliers is a setting of the U-Net; leave it out for a transformer")
        sizes = {"width": settings.width, "depth": settings.depth, "patch": settings.patch}
        return {"network": "transformer", **sizes, **inputs}
    if settings.patch is not None:
        raise UsageError("patch is a setting of network=transformer; leave it out for the U-Net")
    return {"width": settings.width or 16, "blocks": settings.depth, "multipliers": settings.multipliers, **inputs}


def samples_per_time(network: nn.Module, batch: Batch) -> int:
    """Number of consecutive samples of a batch that are trained at the same time.

    A perceptron computes what it needs of a time once for all of them; without conditions, that is more than half of
    its operations. At least 64 times are left, whose strata leave little variance.
    """
    if not isinstance(network, ResidualMLP) or batch.condition is not None:
        return 1
    draws = batch.draws
    return next(n for n in (8, 4, 2, 1) if n == 1 or (draws.count % n == 0 and draws.total >= 64 * n))


@singledispatch
def times_to_noise(space: Space, last: float) -> list[float]:
    """Times of the straight line, from the data to ``last``, for the fourth-order steps of codes and densities."""
    # On two moons 20 steps give an error of 5e-4 nats in the mean log-density.
    return time_grid(Straight(), 12 if space.grid else 20, start=0.0, stop=last)


@times_to_noise.register
def _(space: Particles, last: float) -> list[float]:
    # Near the data, where particles meet, the flow changes fastest: on DW4, 20 of these steps give an error of
    # 0.01 nats in a log-density, 20 equal ones 0.04.
    return [last * (step / 20) ** 2 for step in range(21)]


def _refuse_those_of_fields(space: Space, settings: Any) -> None:
    if settings.multipliers is not None or settings.network is not None or settings.patch is not None:
        raise UsageError(
            f"network, patch and multipliers are settings for fields; leave them out for {space.kind} data"
        )


def _width(space: Space) -> int:
    """Width by dimension: in few dimensions a narrow network, with more steps in the same time, learns faster."""
    return min(256, max(64, 16 * space.size))
