"""Built-in sets: simulators whose distribution is known exactly, real digits, and maps of the cosmic web."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from pushforward.simulate.registry import SIMULATORS, Entry
from pushforward.simulate.run import option_names, simulate

if TYPE_CHECKING:
    from pushforward.simulate.simulated import Exact, Simulated
    from pushforward.simulate.write import check_output, write

__all__ = ["SIMULATORS", "Entry", "Exact", "Simulated", "check_output", "option_names", "simulate", "write"]

_HOMES = {"Exact": "simulated", "Simulated": "simulated", "check_output": "write", "write": "write"}


def __getattr__(name: str) -> Any:
    """Names that need numpy or a file format are imported when first used."""
    if name in _HOMES:
        return getattr(import_module(f"pushforward.simulate.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'pushforward.simulate' has no attribute {name!r}")
