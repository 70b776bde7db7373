"""Built-in data sets: simulators with exactly known distributions, real digits, and maps of the cosmic web."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from pushforward.simulate.registry import SIMULATORS, Simulator
from pushforward.simulate.run import option_names, simulate

if TYPE_CHECKING:
    from pushforward.simulate.cosmology import Cosmology
    from pushforward.simulate.simulated import Exact, Simulated

__all__ = [
    "SIMULATORS",
    "Cosmology",
    "Exact",
    "Simulated",
    "Simulator",
    "option_names",
    "simulate",
]

_HOMES = {
    "Cosmology": "cosmology",
    "Exact": "simulated",
    "Simulated": "simulated",
}


def __getattr__(name: str) -> Any:
    """Import names that need numpy on first use."""
    if name in _HOMES:
        value = getattr(import_module(f"pushforward.simulate.{_HOMES[name]}"), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module 'pushforward.simulate' has no attribute {name!r}")
