"""Settings that may name a network of the user's own (see `networks.custom`)."""

from __future__ import annotations

from typing import Any, TypeVar

from pushforward.networks.custom import search_here
from pushforward.networks.factory import is_custom

__all__ = ["with_own_network"]

Chosen = TypeVar("Chosen", bound=Any)


def with_own_network(settings: Chosen) -> Chosen:
    """The settings, unchanged; the module of a custom ``network`` may be in the current folder."""
    if is_custom(settings.network):
        search_here()
    return settings
