"""Built-in data sets: simulators with exactly known distributions, real digits, and maps of the cosmic web."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pushforward.lazy_names import lazy_names
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

__getattr__ = lazy_names("pushforward.simulate", _HOMES)
