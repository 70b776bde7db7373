"""Plug-ins from other installed packages, found by their entry points.

A package declares its plug-ins in its ``pyproject.toml``, with one group per kind:

    [project.entry-points."pushforward.models"]
    my-flow = "my_package.flow:MyFlow"              # a Model, or a Family of the registry

    [project.entry-points."pushforward.simulators"]
    my-maps = "my_package.maps:SIMULATOR"               # a Simulator of `pushforward.simulate`

    [project.entry-points."pushforward.formats"]
    ".mine" = "my_package.files:open_mine"          # a reader: (path, field) -> Contents

    [project.entry-points."pushforward.statistics"]
    my-statistic = "my_package.statistics:STATISTIC"

A plug-in is loaded only when used by name or listed.
"""

from __future__ import annotations

from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from pushforward.errors import UsageError

__all__ = ["load_plugin", "plugins"]


@cache
def plugins(group: str) -> dict[str, EntryPoint]:
    """Entry points of the group ``pushforward.<group>`` by name."""
    return {point.name: point for point in entry_points(group=f"pushforward.{group}")}


def load_plugin(group: str, name: str) -> Any:
    """Load the object of an entry point.

    Raises:
        UsageError: if its package cannot be imported.
    """
    point = plugins(group)[name]
    try:
        return point.load()
    except (ImportError, AttributeError) as problem:
        package = point.dist.name if point.dist is not None else point.value
        raise UsageError(f"{name} of the installed package {package} cannot be loaded: {problem}") from None
