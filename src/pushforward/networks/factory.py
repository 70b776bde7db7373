"""Velocity and denoising networks by space."""

from __future__ import annotations

from functools import singledispatch
from typing import Any, TypeGuard

from torch import nn

from pushforward.conditions import ConditionSpace
from pushforward.errors import UsageError
from pushforward.networks.custom import custom_network
from pushforward.networks.egnn import EGNN
from pushforward.networks.mlp import ResidualMLP
from pushforward.networks.transformer import Transformer
from pushforward.networks.unet import UNet
from pushforward.spaces import Field, Particles, Space, Vector

__all__ = ["is_custom", "time_network"]

_OF_FIELDS: dict[str, type[nn.Module]] = {"unet": UNet, "transformer": Transformer}


def time_network(
    space: Space, condition: ConditionSpace = ConditionSpace(), *, network: str | None = None, **options: Any
) -> nn.Module:
    """Network called as ``net(x, t, condition)`` with an output like ``x``: `ResidualMLP`, `UNet` or `EGNN`.

    Arguments:
        space: space of a sample.
        condition: space of the conditions.
        network: ``"unet"`` or ``"transformer"`` (see `Transformer`), for fields, or ``module:Class`` of your own (see
            `networks.custom`); None: the default of the space.
        options: of the network, such as ``width``; None keeps the network's default.

    Raises:
        UsageError: if the space has no such network, or the network cannot take the condition.

    >>> from pushforward.spaces import Vector
    >>> type(time_network(Vector(2), width=64)).__name__
    'ResidualMLP'
    """
    given = {name: value for name, value in options.items() if value is not None}
    if is_custom(network):
        return custom_network(network, space, condition, given)
    if network is not None and not space.grid:
        raise UsageError(
            f"network={network} is for fields, not for {space.kind} data: leave it out, or name a module of your own"
        )
    return _of_space(space, condition, network, given)


def is_custom(network: str | None) -> TypeGuard[str]:
    """Whether a network is the user's own rather than built in."""
    return network is not None and network not in _OF_FIELDS


@singledispatch
def _of_space(space: Space, condition: ConditionSpace, network: str | None, options: dict[str, Any]) -> nn.Module:
    raise UsageError(f"there is no velocity network for {space.kind} data, only for vectors, fields and particles")


@_of_space.register
def _(space: Vector, condition: ConditionSpace, network: str | None, options: dict[str, Any]) -> nn.Module:
    return ResidualMLP(space, condition, **options)


@_of_space.register
def _(space: Field, condition: ConditionSpace, network: str | None, options: dict[str, Any]) -> nn.Module:
    return _OF_FIELDS[network or "unet"](space, condition, **options)


@_of_space.register
def _(space: Particles, condition: ConditionSpace, network: str | None, options: dict[str, Any]) -> nn.Module:
    return EGNN(space, condition, **options)
