"""Settings that may name a network of the user's own (see `networks.custom`)."""

from __future__ import annotations

from typing import Any, TypeVar

from pydantic import Field as Setting

from pushforward.models.settings import Settings
from pushforward.networks.custom import search_here
from pushforward.networks.factory import is_custom

__all__ = ["NetworkSettings", "with_own_network"]

Chosen = TypeVar("Chosen", bound=Any)


class NetworkSettings(Settings):
    """
    Attributes:
        network: of a field, ``unet`` or ``transformer``; None is the U-Net. For any space, ``module`` or
            ``module:Class`` of your own (see `networks.custom`), which receives ``width`` and ``depth`` if set.
        width: hidden features of a vector's network, channels at a field's full resolution; None follows from the
            space.
        depth: residual blocks, for a field at each resolution; None follows from the space.
    """

    network: str | None = None
    width: int | None = Setting(default=None, ge=1)
    depth: int | None = Setting(default=None, ge=1)


def with_own_network(settings: Chosen) -> Chosen:
    """The settings, unchanged; the module of a custom ``network`` may be in the current folder."""
    if is_custom(settings.network):
        search_here()
    return settings
