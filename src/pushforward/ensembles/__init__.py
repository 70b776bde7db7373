"""Ensembles: read lazily from any format, split without tearing simulations apart, and brought to network units."""

from __future__ import annotations

from pushforward.ensembles.energy_source import EnergySource
from pushforward.ensembles.ensemble import Ensemble, Parameter
from pushforward.ensembles.pair import EnsemblePair, PairPreprocessing
from pushforward.ensembles.preprocessing import Preprocessing
from pushforward.ensembles.preprocessings import preprocessing_from_dict
from pushforward.ensembles.read import read
from pushforward.ensembles.source import EnsembleSource, Source, source_of
from pushforward.ensembles.symmetries import augment
from pushforward.ensembles.trajectories import Trajectories

__all__ = [
    "EnergySource",
    "Ensemble",
    "EnsemblePair",
    "EnsembleSource",
    "PairPreprocessing",
    "Parameter",
    "Preprocessing",
    "Source",
    "Trajectories",
    "augment",
    "preprocessing_from_dict",
    "read",
    "source_of",
]
