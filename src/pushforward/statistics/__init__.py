"""Statistics that a physicist compares ensembles by: batched functions of tensors, each returning tensors.

Fields have shape ``(samples, channels, *grid)``, vectors ``(samples, dim)``. Results stay on the samples' device, in
float64 where the device has it. Each statistic of one set keeps its samples apart, so that errors come from their
scatter.
"""

from __future__ import annotations

from pushforward.statistics.energy_distance import EnergyDistance, energy_distance
from pushforward.statistics.one_point import OnePointDistance, OnePointPDF, one_point_distance, one_point_pdf
from pushforward.statistics.power_spectrum import CrossSpectrum, PowerSpectrum, cross_power_spectrum, power_spectrum
from pushforward.statistics.sliced_wasserstein import SlicedWasserstein, sliced_wasserstein
from pushforward.statistics.wasserstein import Wasserstein2, wasserstein2

__all__ = [
    "CrossSpectrum",
    "EnergyDistance",
    "OnePointDistance",
    "OnePointPDF",
    "PowerSpectrum",
    "SlicedWasserstein",
    "Wasserstein2",
    "cross_power_spectrum",
    "energy_distance",
    "one_point_distance",
    "one_point_pdf",
    "power_spectrum",
    "sliced_wasserstein",
    "wasserstein2",
]
